//===- AttnFusion.cpp - Tiles of attention for a tiled consumer -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// What a consumer's loop reads of a result is computed there: its batch and row
// letters are the tile, the keys are whole.  Of the value letters a tile must
// have all: part of the columns would need all of the weights again.

#include "einhead/IR/Tile.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace einhead::attn;

/// The loops over `letters` for the tile of `op`'s result with the letters
/// `term`: loops whose letter the result lacks are whole.
static LogicalResult domainTile(OpBuilder &builder, TilingInterface op,
                                llvm::StringRef letters, unsigned result,
                                llvm::StringRef term,
                                ArrayRef<OpFoldResult> offsets,
                                ArrayRef<OpFoldResult> sizes,
                                SmallVectorImpl<OpFoldResult> &loopOffsets,
                                SmallVectorImpl<OpFoldResult> &loopSizes) {
  auto type = cast<ShapedType>(op->getResult(result).getType());
  for (auto [i, letter] : llvm::enumerate(term)) {
    bool isWhole = isConstantIntValue(offsets[i], 0) && !type.isDynamicDim(i) &&
                   isConstantIntValue(sizes[i], type.getDimSize(i));
    if (indexOf(letters, letter) < 0 && !isWhole)
      return failure();
  }
  for (auto [letter, range] :
       llvm::zip(letters, op.getIterationDomain(builder))) {
    int64_t at = indexOf(term, letter);
    loopOffsets.push_back(at < 0 ? range.offset : offsets[at]);
    loopSizes.push_back(at < 0 ? range.size : sizes[at]);
  }
  return success();
}

/// The tile of one result; the other results are computed beside it.
static FailureOr<TilingResult> resultTile(OpBuilder &builder,
                                          TilingInterface op, unsigned result,
                                          ArrayRef<OpFoldResult> offsets,
                                          ArrayRef<OpFoldResult> sizes) {
  SmallVector<OpFoldResult> loopOffsets, loopSizes;
  if (failed(op.getIterationDomainTileFromResultTile(
          builder, result, offsets, sizes, loopOffsets, loopSizes)))
    return failure();
  FailureOr<TilingResult> tiled =
      op.getTiledImplementation(builder, loopOffsets, loopSizes);
  if (failed(tiled))
    return failure();
  tiled->tiledValues = {tiled->tiledValues[result]};
  return tiled;
}

//===----------------------------------------------------------------------===//
// attn.attention
//===----------------------------------------------------------------------===//

LogicalResult AttentionOp::getIterationDomainTileFromResultTile(
    OpBuilder &builder, unsigned result, ArrayRef<OpFoldResult> offsets,
    ArrayRef<OpFoldResult> sizes, SmallVectorImpl<OpFoldResult> &loopOffsets,
    SmallVectorImpl<OpFoldResult> &loopSizes) {
  AttentionRoles roles = rolesOf(cast<AttentionLike>(getOperation()));
  return domainTile(builder, *this, roles.scores(), result,
                    result ? roles.state() : roles.outputTerm, offsets, sizes,
                    loopOffsets, loopSizes);
}

FailureOr<TilingResult>
AttentionOp::generateResultTileValue(OpBuilder &builder, unsigned result,
                                     ArrayRef<OpFoldResult> offsets,
                                     ArrayRef<OpFoldResult> sizes) {
  return resultTile(builder, *this, result, offsets, sizes);
}

//===----------------------------------------------------------------------===//
// attn.partial_attention
//===----------------------------------------------------------------------===//

LogicalResult PartialAttentionOp::getIterationDomainTileFromResultTile(
    OpBuilder &builder, unsigned result, ArrayRef<OpFoldResult> offsets,
    ArrayRef<OpFoldResult> sizes, SmallVectorImpl<OpFoldResult> &loopOffsets,
    SmallVectorImpl<OpFoldResult> &loopSizes) {
  if (getChunk()) // a tile is the state of one chunk, of one dimension less
    return failure();
  AttentionRoles roles = rolesOf(cast<AttentionLike>(getOperation()));
  return domainTile(builder, *this, roles.scores(), result,
                    result == 2 ? roles.outputTerm : roles.state(), offsets,
                    sizes, loopOffsets, loopSizes);
}

FailureOr<TilingResult>
PartialAttentionOp::generateResultTileValue(OpBuilder &builder, unsigned result,
                                            ArrayRef<OpFoldResult> offsets,
                                            ArrayRef<OpFoldResult> sizes) {
  return resultTile(builder, *this, result, offsets, sizes);
}

//===----------------------------------------------------------------------===//
// attn.merge
//===----------------------------------------------------------------------===//

LogicalResult MergeOp::getIterationDomainTileFromResultTile(
    OpBuilder &builder, unsigned result, ArrayRef<OpFoldResult> offsets,
    ArrayRef<OpFoldResult> sizes, SmallVectorImpl<OpFoldResult> &loopOffsets,
    SmallVectorImpl<OpFoldResult> &loopSizes) {
  EinsumSpec spec = *EinsumSpec::parse(getSpec());
  return domainTile(builder, *this, spec.inputs[0], result,
                    result ? spec.inputs[0] : spec.output, offsets, sizes,
                    loopOffsets, loopSizes);
}

FailureOr<TilingResult>
MergeOp::generateResultTileValue(OpBuilder &builder, unsigned result,
                                 ArrayRef<OpFoldResult> offsets,
                                 ArrayRef<OpFoldResult> sizes) {
  return resultTile(builder, *this, result, offsets, sizes);
}
