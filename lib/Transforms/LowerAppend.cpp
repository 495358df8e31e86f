//===- LowerAppend.cpp - attn.append as insertions --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LowerAppend.h"
#include "einhead/IR/Attn.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

namespace {
/// tensor.insert_slice at the position; one for each sequence where positions
/// differ.
struct LowerAppend final : OpRewritePattern<AppendOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AppendOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    EinsumSpec spec = *EinsumSpec::parse(op.getSpec());
    Value rows = inCacheOrder(rewriter, op, spec);
    if (op.getPosition().getType().isIndex()) {
      rewriter.replaceOp(op, insert(rewriter, op, spec, rows, op.getCache(),
                                    op.getPosition(), Value()));
      return success();
    }
    Value zero = arith::ConstantIndexOp::create(rewriter, loc, 0);
    Value one = arith::ConstantIndexOp::create(rewriter, loc, 1);
    Value count = getValueOrCreateConstantIndexOp(
        rewriter, loc, tensor::getMixedSize(rewriter, loc, op.getCache(), 0));
    auto loop = scf::ForOp::create(
        rewriter, loc, zero, count, one, ValueRange{op.getCache()},
        [&](OpBuilder &b, Location l, Value sequence, ValueRange cache) {
          Value position =
              tensor::ExtractOp::create(b, l, op.getPosition(), sequence);
          position =
              arith::IndexCastOp::create(b, l, b.getIndexType(), position);
          Value next = insert(b, op, spec, rows, cache[0], position, sequence);
          scf::YieldOp::create(b, l, next);
        });
    rewriter.replaceOp(op, loop.getResults());
    return success();
  }

private:
  static char grown(const EinsumSpec &spec) {
    return lettersWithout(spec.output, spec.inputs[0]).front();
  }

  /// The new rows with their letters in the cache's order (the appended letter
  /// is the new rows' own, or missing).
  static Value inCacheOrder(OpBuilder &builder, AppendOp op, EinsumSpec &spec) {
    std::string own = lettersWithout(spec.inputs[0], spec.output), wanted;
    for (char letter : spec.output)
      wanted += letter == grown(spec) ? own : std::string(1, letter);
    if (wanted == spec.inputs[0])
      return op.getNewRows();
    SmallVector<int64_t> order;
    for (char letter : wanted)
      order.push_back(indexOf(spec.inputs[0], letter));
    auto sizes = tensor::getMixedSizes(builder, op.getLoc(), op.getNewRows());
    SmallVector<OpFoldResult> shape;
    for (int64_t at : order)
      shape.push_back(sizes[at]);
    Value empty = tensor::EmptyOp::create(builder, op.getLoc(), shape,
                                          op.getType().getElementType());
    spec.inputs[0] = wanted;
    return linalg::TransposeOp::create(builder, op.getLoc(), op.getNewRows(),
                                       empty, order)
        ->getResult(0);
  }

  /// Whether canonicalization could take another dimension of extent 1 than the
  /// appended one for that which the rows lack: it only asks for types that can
  /// be cast, and dynamic extents can.
  static bool isAmbiguous(Value rows, ArrayRef<OpFoldResult> sizes) {
    return !cast<RankedTensorType>(rows.getType()).hasStaticShape() &&
           llvm::count_if(sizes, [](OpFoldResult size) {
             return isConstantIntValue(size, 1);
           }) > 1;
  }

  /// The rows with one more dimension, of extent 1, at `place`.
  static Value withUnitDim(OpBuilder &b, Location loc, Value rows,
                           int64_t place) {
    auto type = cast<RankedTensorType>(rows.getType());
    SmallVector<int64_t> shape(type.getShape());
    shape.insert(shape.begin() + place, 1);
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, rows);
    sizes.insert(sizes.begin() + place, b.getIndexAttr(1));
    SmallVector<ReassociationIndices> groups(type.getRank());
    for (int64_t d = 0, e = shape.size(); d < e; ++d)
      groups[std::max<int64_t>(d >= place ? d - 1 : d, 0)].push_back(d);
    return tensor::ExpandShapeOp::create(b, loc, type.clone(shape), rows,
                                         groups, sizes);
  }

  /// Inserts all rows at `position`, or those of one sequence.
  static Value insert(OpBuilder &b, AppendOp op, const EinsumSpec &spec,
                      Value rows, Value cache, Value position, Value sequence) {
    Location loc = op.getLoc();
    std::string own = lettersWithout(spec.inputs[0], spec.output);
    OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
    SmallVector<OpFoldResult> offsets, sizes, rowOffsets, rowSizes;
    for (char letter : spec.output) {
      bool appended = letter == grown(spec);
      int64_t at = appended
                       ? (own.empty() ? -1 : indexOf(spec.inputs[0], own[0]))
                       : indexOf(spec.inputs[0], letter);
      bool single = sequence && letter == spec.output.front();
      OpFoldResult offset = single ? OpFoldResult(sequence) : zero;
      OpFoldResult size =
          at < 0 || single ? one : tensor::getMixedSize(b, loc, rows, at);
      offsets.push_back(appended ? OpFoldResult(position) : offset);
      sizes.push_back(size);
      if (at >= 0) {
        rowOffsets.push_back(offset);
        rowSizes.push_back(size);
      }
    }
    if (sequence) {
      SmallVector<OpFoldResult> rowOnes(rowOffsets.size(), one);
      rows = tensor::ExtractSliceOp::create(b, loc, rows, rowOffsets, rowSizes,
                                            rowOnes);
    }
    if (own.empty() && isAmbiguous(rows, sizes))
      rows = withUnitDim(b, loc, rows, indexOf(spec.output, grown(spec)));
    SmallVector<OpFoldResult> ones(offsets.size(), one);
    return tensor::InsertSliceOp::create(b, loc, rows, cache, offsets, sizes,
                                         ones);
  }
};
} // namespace

void einhead::populateAppendLowering(RewritePatternSet &patterns) {
  patterns.add<LowerAppend>(patterns.getContext());
}
