//===- Tile.cpp - Slices of an attention's operands by letter ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/Tile.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

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

TiledOperands einhead::attn::tileOperands(OpBuilder &builder, AttentionLike op,
                                          const LetterTile &tile,
                                          bool dropValid) {
  Location loc = op.getLoc();
  AttentionRoles roles = rolesOf(op);
  TiledOperands tiled;
  tiled.query = tile.slice(builder, loc, op.getQuery(), roles.queryTerm);
  tiled.key = tile.slice(builder, loc, op.getKey(), roles.keyTerm);
  tiled.value = tile.slice(builder, loc, op.getValue(), roles.valueTerm);
  if (op.getBias())
    tiled.bias = tile.slice(builder, loc, op.getBias(), *op.getBiasLetters());
  if (op.getValid() && !dropValid) {
    tiled.valid = scalarValid(builder, op, tile);
    if (!tiled.valid)
      tiled.valid =
          tile.slice(builder, loc, op.getValid(), roles.queryTerm.substr(0, 1));
  }
  // Offsets matter to a mask, and to the keys where `valid` stays.
  std::string letters = op.getMask() ? op.getMask()->getLetters().str() : "";
  if (tiled.valid && indexOf(letters, roles.key.front()) < 0)
    letters.push_back(roles.key.front());
  for (char letter : letters) {
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
  return tiled;
}

PartialAttentionOp einhead::attn::buildPartial(OpBuilder &builder,
                                               AttentionLike op,
                                               const TiledOperands &operands,
                                               ValueRange states,
                                               IntegerAttr chunk) {
  auto letters = [&](llvm::StringRef text) {
    return text.empty() ? StringAttr() : builder.getStringAttr(text);
  };
  return PartialAttentionOp::create(
      builder, op.getLoc(), TypeRange(states),
      builder.getStringAttr(op.getSpec()), operands.query, operands.key,
      operands.value, builder.getFloatAttr(builder.getF64Type(), op.getScale()),
      operands.bias,
      op.getBias() ? builder.getStringAttr(*op.getBiasLetters()) : StringAttr(),
      operands.valid, op.getMask() ? *op.getMask() : MaskAttr(),
      op.getMaskSymbols(), letters(operands.offsetLetters), operands.offsets,
      chunk, scheduleOf(op), states[0], states[1], states[2]);
}
