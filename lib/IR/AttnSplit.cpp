//===- AttnSplit.cpp - Partial reductions of attention ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/LetterLoops.h"
#include "einhead/IR/Tile.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace einhead::attn;

//===----------------------------------------------------------------------===//
// PartialReductionOpInterface: the states of splits, and their merge
//===----------------------------------------------------------------------===//

/// The sizes of the loops, followed by those of the value letters.
static SmallVector<OpFoldResult> stateShape(OpBuilder &builder, AttentionOp op,
                                            OpFoldResult splits,
                                            llvm::StringRef term) {
  auto like = cast<AttentionLike>(op.getOperation());
  SmallVector<OpFoldResult> shape = {splits};
  for (char letter : term)
    shape.push_back(letterExtent(builder, like, letter));
  return shape;
}

FailureOr<SmallVector<Value>>
AttentionOp::generateInitialTensorForPartialReduction(
    OpBuilder &builder, Location loc, ArrayRef<OpFoldResult> sizes,
    const SetVector<unsigned> &reductionDims) {
  AttentionRoles roles = rolesOf(cast<AttentionLike>(getOperation()));
  if (reductionDims.size() != 1 || roles.key.size() != 1 ||
      reductionDims.front() != roles.state().size())
    return emitOpError("only its one key letter can be split");
  OpFoldResult splits = sizes[reductionDims.front()];
  auto state = stateShape(builder, *this, splits, roles.state());
  auto accumulator = stateShape(builder, *this, splits, roles.outputTerm);
  return SmallVector<Value>{
      createFilled(builder, loc, state, builder.getF32Type(),
                   -std::numeric_limits<double>::infinity()),
      createFilled(builder, loc, state, builder.getF32Type(), 0.0),
      createFilled(builder, loc, accumulator, builder.getF32Type(), 0.0)};
}

FailureOr<TilingResult> AttentionOp::tileToPartialReduction(
    OpBuilder &builder, Location loc, ReductionTilingStrategy strategy,
    ValueRange init, ArrayRef<OpFoldResult> offsets,
    ArrayRef<OpFoldResult> sizes, const SetVector<unsigned> &reductionDims,
    ArrayRef<OpFoldResult> splitReductionIvs) {
  auto like = cast<AttentionLike>(getOperation());
  AttentionRoles roles = rolesOf(like);
  if (strategy != ReductionTilingStrategy::PartialReductionOuterParallel)
    return emitOpError("its keys split into parallel parts only");
  // It is in state 0 before any part is (SplitKeys.cpp); a part cannot know.
  if (getSink())
    return emitOpError("its sink belongs to no part of the keys; "
                       "transform.attn.split_keys takes it along");
  // A part of K holds some keys of the lists, and which ones is not known.
  if (getBlocks())
    return emitOpError("its keys are listed in blocks, not split by number; "
                       "transform.attn.split_keys splits the lists");
  LetterTile tile;
  for (auto [letter, offset, size] : llvm::zip(roles.scores(), offsets, sizes))
    tile.bind(letter, offset, size);
  TiledOperands tiled = tileOperands(builder, like, tile, /*dropValid=*/false);
  // This split's states, without their leading dimension.
  SmallVector<Value> states;
  for (auto [i, state] : llvm::enumerate(init)) {
    SmallVector<OpFoldResult> at, extents;
    if (failed(getPartialResultTilePosition(builder, i, strategy, offsets,
                                            sizes, reductionDims,
                                            splitReductionIvs, at, extents)))
      return failure();
    SmallVector<OpFoldResult> ones(at.size(), builder.getIndexAttr(1));
    auto whole = cast<RankedTensorType>(tensor::ExtractSliceOp::inferResultType(
        cast<RankedTensorType>(state.getType()), extents));
    auto reduced = RankedTensorType::get(whole.getShape().drop_front(),
                                         whole.getElementType());
    states.push_back(tensor::ExtractSliceOp::create(builder, loc, reduced,
                                                    state, at, extents, ones));
  }
  auto op = buildPartial(builder, like, tiled, states, /*chunk=*/nullptr);
  return TilingResult{{op}, SmallVector<Value>(op->getResults()), {}};
}

FailureOr<MergeResult>
AttentionOp::mergeReductions(OpBuilder &builder, Location loc,
                             ValueRange partialReduce,
                             const SetVector<unsigned> &reductionDims) {
  AttentionRoles roles = rolesOf(cast<AttentionLike>(getOperation()));
  std::string spec =
      roles.state() + ", " + roles.outputTerm + " -> " + roles.outputTerm;
  SmallVector<Type> types = {getOutput().getType()};
  if (getLse())
    types.push_back(getLse().getType());
  auto merge = MergeOp::create(builder, loc, types, builder.getStringAttr(spec),
                               partialReduce[0], partialReduce[1],
                               partialReduce[2], getOutput(), getLse());
  return MergeResult{{merge}, SmallVector<Value>(merge->getResults())};
}

LogicalResult AttentionOp::getPartialResultTilePosition(
    OpBuilder &builder, unsigned result, ReductionTilingStrategy,
    ArrayRef<OpFoldResult> offsets, ArrayRef<OpFoldResult> sizes,
    const SetVector<unsigned> &, ArrayRef<OpFoldResult> splitReductionIvs,
    SmallVector<OpFoldResult> &resultOffsets,
    SmallVector<OpFoldResult> &resultSizes) {
  auto like = cast<AttentionLike>(getOperation());
  AttentionRoles roles = rolesOf(like);
  LetterTile tile;
  for (auto [letter, offset, size] : llvm::zip(roles.scores(), offsets, sizes))
    tile.bind(letter, offset, size);
  resultOffsets = {splitReductionIvs.front()};
  resultSizes = {builder.getIndexAttr(1)};
  std::string term = result == 2 ? roles.outputTerm : roles.state();
  for (char letter : term) {
    bool bound = tile.contains(letter);
    resultOffsets.push_back(bound ? tile.offset(letter)
                                  : builder.getIndexAttr(0));
    resultSizes.push_back(bound ? tile.size(letter)
                                : letterExtent(builder, like, letter));
  }
  return success();
}
