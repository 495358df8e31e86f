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
/// Where the block of one member starts in each letter, and its size.
struct Block2D {
  char row = 0, column = 0;
  OpFoldResult rowOffset, rowSize, columnOffset, columnSize;

  void place(char letter, OpFoldResult &offset, OpFoldResult &size) const {
    if (letter == column) {
      offset = columnOffset;
      size = columnSize;
    } else if (letter == row) {
      offset = rowOffset;
      size = rowSize;
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

/// One block of one result, written into `output`.
static void createBlock(OpBuilder &b, scf::ForallOp forall, Projection &member,
                        const Block2D &where, Value output) {
  Location loc = member.op.getLoc();
  std::string loops = loopOrder(member);
  auto slice = [&](Value tensor, llvm::StringRef term) {
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, tensor);
    SmallVector<OpFoldResult> offsets(sizes.size(), b.getIndexAttr(0));
    SmallVector<OpFoldResult> ones(sizes.size(), b.getIndexAttr(1));
    for (auto [i, letter] : llvm::enumerate(term))
      where.place(letter, offsets[i], sizes[i]);
    return tensor::ExtractSliceOp::create(b, loc, tensor, offsets, sizes, ones);
  };
  SmallVector<Value> inputs;
  for (auto [input, term] :
       llvm::zip(member.op.getInputs(), member.spec.inputs))
    inputs.push_back(slice(input, term));
  auto target = slice(output, member.spec.output);
  Type type = getElementTypeOrSelf(output);
  Value zero = arith::ConstantOp::create(b, loc, b.getFloatAttr(type, 0.0));
  Value init =
      linalg::FillOp::create(b, loc, zero, target.getResult()).getResult(0);
  Value block = createSumOfProducts(b, loc, member.spec, loops, inputs, init)
                    .getResult(0);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(forall.getTerminator().getBody());
  tensor::ParallelInsertSliceOp::create(
      b, loc, block, output, target.getMixedOffsets(), target.getMixedSizes(),
      target.getMixedStrides());
}

static scf::ForallOp createLoop(OpBuilder &b, ProjectionGroup &group) {
  Projection &first = group.members.front();
  Location loc = first.op.getLoc();
  SmallVector<Value> outputs;
  for (Projection &member : group.members) {
    ReifiedRankedShapedTypeDims shapes;
    (void)member.op.reifyResultShapes(b, shapes);
    Type type = sumType(b, member.op.getType().getElementType());
    outputs.push_back(tensor::EmptyOp::create(b, loc, shapes[0], type));
  }
  int64_t rows = 0;
  SmallVector<OpFoldResult> lower = {b.getIndexAttr(0)}, steps, upper;
  if (group.rows >= 0) {
    rows = cast<RankedTensorType>(first.x().getType()).getDimSize(group.rows);
    lower.push_back(b.getIndexAttr(0));
    upper.push_back(b.getIndexAttr(rows));
    steps.push_back(b.getIndexAttr(projectionRows));
  }
  upper.push_back(b.getIndexAttr(group.blocks));
  steps.push_back(b.getIndexAttr(1));
  auto forall = scf::ForallOp::create(b, loc, lower, upper, steps, outputs,
                                      /*mapping=*/std::nullopt);
  b.setInsertionPoint(forall.getTerminator());
  Value index = forall.getInductionVars().back();
  for (auto [member, output] :
       llvm::zip(group.members, forall.getRegionIterArgs())) {
    Block2D where;
    where.column = member.column;
    where.columnOffset =
        offsetOf(b, loc, index, member.extent, member.block, group.blocks);
    where.columnSize =
        member.block * group.blocks == member.extent
            ? OpFoldResult(b.getIndexAttr(member.block))
            : sizeOf(b, loc, where.columnOffset, member.extent, member.block);
    if (group.rows >= 0) {
      where.row = member.xTerm()[group.rows];
      where.rowOffset = forall.getInductionVars().front();
      where.rowSize =
          rows % projectionRows == 0
              ? OpFoldResult(b.getIndexAttr(projectionRows))
              : sizeOf(b, loc, where.rowOffset, rows, projectionRows);
    }
    createBlock(b, forall, member, where, output);
  }
  return forall;
}

void einhead::createProjectionLoop(ProjectionGroup &group) {
  OpBuilder b(group.members.front().op);
  scf::ForallOp forall = createLoop(b, group);
  b.setInsertionPointAfter(forall);
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
