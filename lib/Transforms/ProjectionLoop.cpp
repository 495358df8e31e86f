//===- ProjectionLoop.cpp - Blocks of several projections -------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProjectionLoop.h"
#include "EinsumLoops.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// Columns, then sums, rows and at last what is contiguous in the weight: a row
/// of the weight that has been loaded serves all rows of x.
static std::string loopOrder(const Projection &projection) {
  char inner = projection.weightTerm().back();
  bool sums = !hasLetter(projection.spec.output, inner);
  std::string columns, rows, summed;
  for (char letter : projection.spec.letters()) {
    if (letter == inner)
      continue;
    if (!hasLetter(projection.spec.output, letter))
      summed.push_back(letter);
    else if (hasLetter(projection.weightTerm(), letter))
      columns.push_back(letter);
    else
      rows.push_back(letter);
  }
  return (sums ? columns + rows + summed : columns + summed + rows) + inner;
}

namespace {
/// Where the block of one member starts in each letter that is cut, and its
/// size; and which part of the sums it is.
struct Part {
  struct Cut {
    char letter;
    OpFoldResult offset, size;
  };
  SmallVector<Cut, 3> cuts;
  OpFoldResult part;

  void place(char letter, OpFoldResult &offset, OpFoldResult &size) const {
    for (const Cut &cut : cuts)
      if (cut.letter == letter) {
        offset = cut.offset;
        size = cut.size;
      }
  }
};
} // namespace

/// min(block, extent - offset).
static OpFoldResult sizeOf(OpBuilder &b, Location loc, OpFoldResult offset,
                           int64_t extent, int64_t block) {
  AffineExpr at = b.getAffineDimExpr(0);
  auto map = AffineMap::get(1, 0, {b.getAffineConstantExpr(block), extent - at},
                            b.getContext());
  return affine::makeComposedFoldedAffineMin(b, loc, map, {offset});
}

/// min(index * block, extent): blocks past the last one are empty.
static OpFoldResult offsetOf(OpBuilder &b, Location loc, Value index,
                             int64_t extent, int64_t block, int64_t blocks) {
  AffineExpr at = b.getAffineDimExpr(0) * block;
  if ((blocks - 1) * block < extent)
    return affine::makeComposedFoldedAffineApply(
        b, loc, AffineMap::get(1, 0, at), {OpFoldResult(index)});
  auto map = AffineMap::get(1, 0, {at, b.getAffineConstantExpr(extent)},
                            b.getContext());
  return affine::makeComposedFoldedAffineMin(b, loc, map,
                                             {OpFoldResult(index)});
}

/// The part of `tensor`, over `term`, that belongs to a block.
static tensor::ExtractSliceOp sliceOf(OpBuilder &b, Location loc, Value tensor,
                                      llvm::StringRef term, const Part &where) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, tensor);
  // Sums that are cut have one more, leading dimension.
  bool isPart = sizes.size() > term.size();
  SmallVector<OpFoldResult> offsets(sizes.size(), b.getIndexAttr(0));
  SmallVector<OpFoldResult> ones(sizes.size(), b.getIndexAttr(1));
  for (auto [i, letter] : llvm::enumerate(term))
    where.place(letter, offsets[i + isPart], sizes[i + isPart]);
  if (!isPart || !where.part)
    return tensor::ExtractSliceOp::create(b, loc, tensor, offsets, sizes, ones);
  offsets[0] = where.part;
  sizes[0] = b.getIndexAttr(1);
  auto type = tensor::ExtractSliceOp::inferCanonicalRankReducedResultType(
      term.size(), cast<RankedTensorType>(tensor.getType()), sizes);
  return tensor::ExtractSliceOp::create(b, loc, type, tensor, offsets, sizes,
                                        ones);
}

/// Writes `block` where `target` was taken from.
static void insertBlock(OpBuilder &b, scf::ForallOp forall, Value block,
                        tensor::ExtractSliceOp target) {
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(forall.getTerminator().getBody());
  tensor::ParallelInsertSliceOp::create(
      b, target.getLoc(), block, target.getSource(), target.getMixedOffsets(),
      target.getMixedSizes(), target.getMixedStrides());
}

static Value fillWithZero(OpBuilder &b, Location loc, Value tensor) {
  Type type = getElementTypeOrSelf(tensor);
  Value zero = arith::ConstantOp::create(b, loc, b.getFloatAttr(type, 0.0));
  return linalg::FillOp::create(b, loc, zero, tensor).getResult(0);
}

/// One block of one result, written into `output`.
static void createBlock(OpBuilder &b, scf::ForallOp forall, Projection &member,
                        const Part &where, Value output) {
  Location loc = member.op.getLoc();
  SmallVector<Value> inputs;
  for (auto [input, term] :
       llvm::zip(member.op.getInputs(), member.spec.inputs))
    inputs.push_back(sliceOf(b, loc, input, term, where));
  auto target = sliceOf(b, loc, output, member.spec.output, where);
  Value init = fillWithZero(b, loc, target);
  auto block =
      createSumOfProducts(b, loc, member.spec, loopOrder(member), inputs, init);
  insertBlock(b, forall, block.getResult(0), target);
}

/// Adds the parts of one block's sums, in their order.
static void createSum(OpBuilder &b, scf::ForallOp forall, Projection &member,
                      const Part &where, Value parts, Value output) {
  Location loc = member.op.getLoc();
  llvm::StringRef term = member.spec.output;
  Value input = sliceOf(b, loc, parts, term, where);
  auto target = sliceOf(b, loc, output, term, where);
  Value init = fillWithZero(b, loc, target);
  SmallVector<utils::IteratorType> iterators(term.size() + 1,
                                             utils::IteratorType::parallel);
  iterators[0] = utils::IteratorType::reduction;
  AffineMap all = b.getMultiDimIdentityMap(term.size() + 1);
  auto sum = linalg::GenericOp::create(
      b, loc, TypeRange(init.getType()), input, init,
      ArrayRef<AffineMap>{all, all.dropResult(0)}, iterators,
      [](OpBuilder &b, Location l, ValueRange args) {
        Value next = arith::AddFOp::create(b, l, args[1], args[0]);
        linalg::YieldOp::create(b, l, next);
      });
  insertBlock(b, forall, sum.getResult(0), target);
}

/// The block of `member` that number `index` of the columns is.
static Part::Cut columnsOf(OpBuilder &b, Projection &member, Value index,
                           int64_t blocks) {
  Location loc = member.op.getLoc();
  Part::Cut cut{member.column,
                offsetOf(b, loc, index, member.extent, member.block, blocks),
                b.getIndexAttr(member.block)};
  if (member.block * blocks != member.extent)
    cut.size = sizeOf(b, loc, cut.offset, member.extent, member.block);
  return cut;
}

/// Empty tensors for the results; with `parts`, of each part of their sums.
static SmallVector<Value> createOutputs(OpBuilder &b, ProjectionGroup &group,
                                        bool parts) {
  SmallVector<Value> outputs;
  for (Projection &member : group.members) {
    ReifiedRankedShapedTypeDims shapes;
    (void)member.op.reifyResultShapes(b, shapes);
    SmallVector<OpFoldResult> shape = shapes[0];
    if (parts)
      shape.insert(shape.begin(), b.getIndexAttr(group.splits));
    Type type = sumType(b, member.op.getType().getElementType());
    outputs.push_back(
        tensor::EmptyOp::create(b, member.op.getLoc(), shape, type));
  }
  return outputs;
}

/// The cut [offset, offset + step) of a dimension of x, whose extent is known.
static Part::Cut cutOf(OpBuilder &b, Projection &first, int64_t dimension,
                       Value offset, int64_t step) {
  int64_t extent =
      cast<RankedTensorType>(first.x().getType()).getDimSize(dimension);
  Part::Cut cut{first.xTerm()[dimension], offset, b.getIndexAttr(step)};
  if (extent % step)
    cut.size = sizeOf(b, first.op.getLoc(), offset, extent, step);
  return cut;
}

static scf::ForallOp createLoop(OpBuilder &b, ProjectionGroup &group) {
  Projection &first = group.members.front();
  Location loc = first.op.getLoc();
  SmallVector<OpFoldResult> lower, steps, upper;
  auto over = [&](int64_t end, int64_t step) {
    lower.push_back(b.getIndexAttr(0));
    upper.push_back(b.getIndexAttr(end));
    steps.push_back(b.getIndexAttr(step));
  };
  auto type = cast<RankedTensorType>(first.x().getType());
  if (group.rows >= 0)
    over(type.getDimSize(group.rows), projectionRows);
  bool parts = group.summed >= 0;
  if (parts)
    over(group.splits, 1);
  over(group.blocks, 1);
  auto forall = scf::ForallOp::create(b, loc, lower, upper, steps,
                                      createOutputs(b, group, parts),
                                      /*mapping=*/std::nullopt);
  b.setInsertionPoint(forall.getTerminator());
  SmallVector<Value> variables = forall.getInductionVars();
  for (auto [member, output] :
       llvm::zip(group.members, forall.getRegionIterArgs())) {
    Part where;
    where.cuts.push_back(columnsOf(b, member, variables.back(), group.blocks));
    if (group.rows >= 0)
      where.cuts.push_back(
          cutOf(b, member, group.rows, variables.front(), projectionRows));
    if (parts) {
      Value part = variables[variables.size() - 2];
      where.part = part;
      Value offset = affine::makeComposedAffineApply(
          b, loc, b.getAffineDimExpr(0) * group.part, {OpFoldResult(part)});
      where.cuts.push_back(cutOf(b, member, group.summed, offset, group.part));
    }
    createBlock(b, forall, member, where, output);
  }
  return forall;
}

static scf::ForallOp createSumLoop(OpBuilder &b, ProjectionGroup &group,
                                   ValueRange parts) {
  Location loc = group.members.front().op.getLoc();
  auto forall = scf::ForallOp::create(
      b, loc, ArrayRef<OpFoldResult>{b.getIndexAttr(0)},
      ArrayRef<OpFoldResult>{b.getIndexAttr(group.blocks)},
      ArrayRef<OpFoldResult>{b.getIndexAttr(1)},
      createOutputs(b, group, /*parts=*/false), /*mapping=*/std::nullopt);
  b.setInsertionPoint(forall.getTerminator());
  Value index = forall.getInductionVars().front();
  for (auto [member, input, output] :
       llvm::zip(group.members, parts, forall.getRegionIterArgs())) {
    Part where;
    where.cuts.push_back(columnsOf(b, member, index, group.blocks));
    createSum(b, forall, member, where, input, output);
  }
  return forall;
}

void einhead::createProjectionLoop(ProjectionGroup &group) {
  OpBuilder b(group.members.front().op);
  scf::ForallOp forall = createLoop(b, group);
  b.setInsertionPointAfter(forall);
  if (group.summed >= 0) {
    forall = createSumLoop(b, group, forall.getResults());
    b.setInsertionPointAfter(forall);
  }
  for (auto [member, result] : llvm::zip(group.members, forall.getResults())) {
    Value value = result;
    if (value.getType() != member.op.getType())
      value = arith::TruncFOp::create(b, member.op.getLoc(),
                                      member.op.getType(), value);
    member.op.getResult().replaceAllUsesWith(value);
  }
  for (Projection &member : group.members)
    member.op->erase();
}
