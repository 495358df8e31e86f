//===- Tile.cpp - Slices of an attention's operands by letter ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/Tile.h"
#include "einhead/IR/KeySet.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace einhead::attn;

void LetterTile::position(OpBuilder &builder, Location loc, Value value,
                          llvm::StringRef term,
                          SmallVectorImpl<OpFoldResult> &offsets,
                          SmallVectorImpl<OpFoldResult> &sizes) const {
  for (auto [i, letter] : llvm::enumerate(term)) {
    auto range = ranges.find(letter);
    offsets.push_back(range == ranges.end() ? builder.getIndexAttr(0)
                                            : range->second.first);
    sizes.push_back(range == ranges.end()
                        ? tensor::getMixedSize(builder, loc, value, i)
                        : range->second.second);
  }
}

Value LetterTile::slice(OpBuilder &builder, Location loc, Value value,
                        llvm::StringRef term) const {
  if (!value || llvm::none_of(term, [&](char c) { return contains(c); }))
    return value;
  SmallVector<OpFoldResult> offsets, sizes;
  position(builder, loc, value, term, offsets, sizes);
  SmallVector<OpFoldResult> strides(term.size(), builder.getIndexAttr(1));
  return tensor::ExtractSliceOp::create(builder, loc, value, offsets, sizes,
                                        strides);
}

int64_t einhead::attn::rowTileOf(int64_t extent, int64_t limit) {
  if (ShapedType::isDynamic(extent))
    return limit;
  if (extent <= limit)
    return extent;
  for (int64_t tile = limit; 2 * tile > limit; --tile)
    if (extent % tile == 0)
      return tile;
  return limit;
}

ScheduleAttr einhead::attn::scheduleOf(AttentionLike op) {
  if (auto whole = dyn_cast<AttentionOp>(op.getOperation()))
    return whole.getScheduleAttr();
  return cast<PartialAttentionOp>(op.getOperation()).getScheduleAttr();
}

Value einhead::attn::scalarValid(OpBuilder &builder, AttentionLike op,
                                 const LetterTile &tile) {
  Value valid = op.getValid();
  if (!valid || valid.getType().isIndex())
    return valid;
  Location loc = op.getLoc();
  char first = rolesOf(op).queryTerm.front();
  OpFoldResult at = builder.getIndexAttr(0);
  if (tile.contains(first)) {
    if (!isConstantIntValue(tile.size(first), 1))
      return nullptr;
    at = tile.offset(first);
  } else if (staticExtent(op, first) != 1) {
    return nullptr;
  }
  Value index = getValueOrCreateConstantIndexOp(builder, loc, at);
  Value length = tensor::ExtractOp::create(builder, loc, valid, index);
  return arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                    length);
}

bool einhead::attn::hasKeyList(AttentionLike op) {
  auto partial = dyn_cast<PartialAttentionOp>(op.getOperation());
  return partial && (partial.getBlocks() || partial.getKeyMap() ||
                     partial.getKeyCount() || partial.getSparse());
}

OpFoldResult einhead::attn::keyLoopExtent(OpBuilder &builder,
                                          AttentionLike op) {
  auto partial = dyn_cast<PartialAttentionOp>(op.getOperation());
  if (partial && partial.getKeyCount())
    return partial.getKeyCount();
  if (Value list = op.getBlocks()) {
    OpFoldResult length =
        tensor::getMixedSize(builder, op.getLoc(), list,
                             cast<ShapedType>(list.getType()).getRank() - 1);
    AffineExpr n;
    bindSymbols(builder.getContext(), n);
    return affine::makeComposedFoldedAffineApply(
        builder, op.getLoc(), n * *op.getBlockSize(), {length});
  }
  return letterExtent(builder, op, rolesOf(op).key.front());
}

std::string einhead::attn::choosingLetters(AttentionLike op) {
  auto partial = dyn_cast<PartialAttentionOp>(op.getOperation());
  if (op.getBlocks())
    return op.getBlockLetters()->str();
  if (partial && partial.getSparse())
    return choosingLetters(*op.getMask(), rolesOf(op).key.front());
  return "";
}

/// Letters whose index the mask, the region or a list of keys must know.
static std::string lettersWithOffset(AttentionLike op, bool keepsValid) {
  AttentionRoles roles = rolesOf(op);
  std::string letters = op.getMask() ? op.getMask()->getLetters().str() : "";
  auto add = [&](char letter) {
    if (indexOf(letters, letter) < 0)
      letters.push_back(letter);
  };
  if (scoreOf(op))
    for (char letter : roles.scores())
      add(letter);
  if (keepsValid || hasKeyList(op) || op.getBlocks())
    add(roles.key.front());
  return letters;
}

/// Where the tile starts, absolutely.
static void tileOffsets(OpBuilder &builder, AttentionLike op,
                        const LetterTile &tile, TiledOperands &tiled) {
  Location loc = op.getLoc();
  for (char letter : lettersWithOffset(op, static_cast<bool>(tiled.valid))) {
    Value before = offsetOf(op, letter);
    if (!before && !tile.contains(letter))
      continue;
    Value offset = before;
    if (tile.contains(letter)) {
      offset =
          getValueOrCreateConstantIndexOp(builder, loc, tile.offset(letter));
      if (before)
        offset = arith::AddIOp::create(builder, loc, before, offset);
    }
    tiled.offsetLetters.push_back(letter);
    tiled.offsets.push_back(offset);
  }
}

TiledOperands einhead::attn::tileOperands(OpBuilder &builder, AttentionLike op,
                                          const LetterTile &tile,
                                          bool dropValid) {
  Location loc = op.getLoc();
  AttentionRoles roles = rolesOf(op);
  TiledOperands tiled;
  LetterTile data = tile;
  if (hasKeyList(op)) {
    char key = roles.key.front();
    data.release(key);
    auto partial = cast<PartialAttentionOp>(op.getOperation());
    if (AffineMapAttr map = partial.getKeyMapAttr())
      tiled.keys.map = map.getValue();
    tiled.keys.symbols = llvm::to_vector(partial.getKeySymbols());
    tiled.keys.count = partial.getKeyCount();
    if (tile.contains(key))
      tiled.keys.count =
          getValueOrCreateConstantIndexOp(builder, loc, tile.size(key));
    tiled.sparse = partial.getSparse();
  }
  tiled.query = data.slice(builder, loc, op.getQuery(), roles.queryTerm);
  tiled.key = data.slice(builder, loc, op.getKey(), roles.keyTerm);
  tiled.value = data.slice(builder, loc, op.getValue(), roles.valueTerm);
  tiled.keyScale = data.slice(builder, loc, op.getKeyScale(), roles.keyScale());
  tiled.valueScale =
      data.slice(builder, loc, op.getValueScale(), roles.valueScale());
  if (op.getBias())
    tiled.bias = data.slice(builder, loc, op.getBias(), *op.getBiasLetters());
  if (op.getBlocks())
    tiled.blocks = data.slice(builder, loc, op.getBlocks(),
                              op.getBlockLetters()->str() + "#");
  if (op.getValid() && !dropValid) {
    tiled.valid = scalarValid(builder, op, tile);
    if (!tiled.valid)
      tiled.valid =
          tile.slice(builder, loc, op.getValid(), roles.queryTerm.substr(0, 1));
  }
  tileOffsets(builder, op, tile, tiled);
  if (op.getMask())
    tiled.mask = *op.getMask();
  tiled.maskSymbols = llvm::to_vector(op.getMaskSymbols());
  return tiled;
}

void einhead::attn::copyScore(AttentionLike from, AttentionLike to) {
  IRMapping mapping;
  if (scoreOf(from))
    from.getScore().front().cloneInto(&to.getScore().front(), mapping);
}

PartialAttentionOp einhead::attn::buildPartial(OpBuilder &builder,
                                               AttentionLike op,
                                               const TiledOperands &operands,
                                               ValueRange states,
                                               IntegerAttr chunk) {
  auto letters = [&](std::optional<llvm::StringRef> text) {
    return text && !text->empty() ? builder.getStringAttr(*text) : StringAttr();
  };
  const KeyList &keys = operands.keys;
  auto partial = PartialAttentionOp::create(
      builder, op.getLoc(), TypeRange(states),
      builder.getStringAttr(op.getSpec()), operands.query, operands.key,
      operands.value, builder.getFloatAttr(builder.getF64Type(), op.getScale()),
      operands.keyScale, operands.valueScale, operands.bias,
      op.getBias() ? builder.getStringAttr(*op.getBiasLetters()) : StringAttr(),
      operands.valid, operands.mask, operands.maskSymbols,
      letters(operands.offsetLetters), operands.offsets,
      operands.blocks ? builder.getStringAttr(*op.getBlockLetters())
                      : StringAttr(),
      operands.blocks,
      operands.blocks ? builder.getI64IntegerAttr(*op.getBlockSize())
                      : IntegerAttr(),
      keys.map ? AffineMapAttr::get(keys.map) : AffineMapAttr(), keys.symbols,
      keys.count, operands.sparse ? builder.getUnitAttr() : UnitAttr(), chunk,
      scheduleOf(op), states[0], states[1], states[2], op.getScore().size());
  copyScore(op, partial);
  return partial;
}
