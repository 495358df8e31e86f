//===- KeyTile.cpp - The keys of an attention op, as values -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/KeyTile.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace einhead::attn;

static Value index(OpBuilder &builder, Location loc, int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

/// The absolute number of keys: those of K, cut at `valid` where that is one
/// number.
static Value keyLimit(OpBuilder &builder, AttentionLike op,
                      const LetterTile &tile) {
  Location loc = op.getLoc();
  char key = rolesOf(op).key.front();
  Value limit = getValueOrCreateConstantIndexOp(builder, loc,
                                                letterExtent(builder, op, key));
  if (Value offset = offsetOf(op, key))
    limit = arith::AddIOp::create(builder, loc, offset, limit);
  if (Value valid = scalarValid(builder, op, tile))
    limit = arith::MinSIOp::create(builder, loc, limit, valid);
  return limit;
}

TileKeys TileKeys::get(OpBuilder &builder, AttentionLike op, MaskAttr mask,
                       const LetterTile &tile) {
  Location loc = op.getLoc();
  char key = rolesOf(op).key.front();
  SmallVector<int64_t> sizes;
  SmallVector<Value> starts, dynamic;
  for (char letter : otherLetters(mask, key)) {
    Value start = offsetOf(op, letter);
    OpFoldResult size = letterExtent(builder, op, letter);
    if (tile.contains(letter)) {
      size = tile.size(letter);
      Value at =
          getValueOrCreateConstantIndexOp(builder, loc, tile.offset(letter));
      start = start ? arith::AddIOp::create(builder, loc, start, at).getResult()
                    : at;
    }
    starts.push_back(start ? start : index(builder, loc, 0));
    std::optional<int64_t> number = getConstantIntValue(size);
    sizes.push_back(number.value_or(ShapedType::kDynamic));
    if (!number)
      dynamic.push_back(cast<Value>(size));
  }
  TileKeys result{KeySet::get(mask, key, sizes), starts};
  llvm::append_range(result.symbols, dynamic);
  llvm::append_range(result.symbols, op.getMaskSymbols());
  result.symbols.push_back(keyLimit(builder, op, tile));
  return result;
}

/// Bound `bound` + `more`, counted from the first key of the op's K.
static Value relative(OpBuilder &builder, AttentionLike op,
                      const KeyBound &bound, ValueRange symbols, int64_t more) {
  Location loc = op.getLoc();
  Value value = bound.build(builder, loc, symbols);
  if (!value)
    return nullptr;
  if (more)
    value =
        arith::AddIOp::create(builder, loc, value, index(builder, loc, more));
  if (Value offset = offsetOf(op, rolesOf(op).key.front()))
    value = arith::SubIOp::create(builder, loc, value, offset);
  return value;
}

/// Whether the mask may have a key in the tile (KeySet::where); null if that is
/// not known.
static Value hasKeys(OpBuilder &builder, Location loc, const TileKeys &keys) {
  Value any;
  for (ArrayRef<AffineExpr> conditions : keys.keys.where) {
    // The least of the conditions, as of bounds from above.
    KeyBound least{false, {{conditions.begin(), conditions.end()}}};
    Value holds = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge,
                                        least.build(builder, loc, keys.symbols),
                                        index(builder, loc, 0));
    any = any ? arith::OrIOp::create(builder, loc, any, holds).getResult()
              : holds;
  }
  return any;
}

KeyRange einhead::attn::hullOf(OpBuilder &builder, AttentionLike op,
                               const TileKeys &keys) {
  Location loc = op.getLoc();
  Value zero = index(builder, loc, 0);
  Value begin = relative(builder, op, keys.keys.first, keys.symbols, 0);
  Value end = relative(builder, op, keys.keys.last, keys.symbols, 1);
  Value extent = getValueOrCreateConstantIndexOp(
      builder, loc, letterExtent(builder, op, rolesOf(op).key.front()));
  begin = begin ? arith::MaxSIOp::create(builder, loc, begin, zero).getResult()
                : zero;
  // Without a bound in the mask, the limit still bounds the keys.
  if (!end) {
    KeyBound limit{false,
                   {{getAffineSymbolExpr(keys.keys.numSymbols - 1,
                                         builder.getContext())}}};
    end = relative(builder, op, limit, keys.symbols, 0);
  }
  end = arith::MinSIOp::create(builder, loc, end, extent);
  end = arith::MaxSIOp::create(builder, loc, end, begin);
  if (Value some = hasKeys(builder, loc, keys))
    end = arith::SelectOp::create(builder, loc, some, end, begin);
  return {begin, end};
}

std::optional<KeyRange> einhead::attn::fullKeysOf(OpBuilder &builder,
                                                  AttentionLike op,
                                                  const TileKeys &keys,
                                                  const KeyRange &hull) {
  if (!keys.keys.mayBeFull)
    return std::nullopt;
  Location loc = op.getLoc();
  Value begin = relative(builder, op, keys.keys.fullFirst, keys.symbols, 0);
  Value end = relative(builder, op, keys.keys.fullLast, keys.symbols, 1);
  KeyRange full = hull;
  if (begin)
    full.begin = arith::MaxSIOp::create(builder, loc, hull.begin, begin);
  if (end)
    full.end = arith::MinSIOp::create(builder, loc, hull.end, end);
  return full;
}

FailureOr<KeyList> einhead::attn::keyListOf(OpBuilder &builder,
                                            AttentionLike op,
                                            const LetterTile &tile) {
  TileKeys keys = TileKeys::get(builder, op, *op.getMask(), tile);
  if (!keys.keys.sparse)
    return op->emitOpError("its keys are a list for one index of \"")
           << choosingLetters(*op.getMask(), rolesOf(op).key.front())
           << "\" at a time";
  Location loc = op.getLoc();
  const SparseKeys &sparse = *keys.keys.sparse;
  Value first = sparse.firstBlock.build(builder, loc, keys.symbols);
  Value last = sparse.lastBlock.build(builder, loc, keys.symbols);
  KeyBound base{true, {{sparse.base}}};
  KeyList list;
  list.isExact = sparse.isExact;
  list.map = sparse.map(builder.getContext());
  list.symbols = {first, base.build(builder, loc, keys.symbols)};
  Value blocks = arith::SubIOp::create(builder, loc, last, first);
  blocks = arith::AddIOp::create(builder, loc, blocks, index(builder, loc, 1));
  blocks = arith::MaxSIOp::create(builder, loc, blocks, index(builder, loc, 0));
  if (Value some = hasKeys(builder, loc, keys))
    blocks = arith::SelectOp::create(builder, loc, some, blocks,
                                     index(builder, loc, 0));
  list.count = sparse.run == 1
                   ? blocks
                   : arith::MulIOp::create(builder, loc, blocks,
                                           index(builder, loc, sparse.run));
  return list;
}

Value einhead::attn::mostListedKeys(OpBuilder &builder, AttentionLike op,
                                    MaskAttr mask) {
  Location loc = op.getLoc();
  char key = rolesOf(op).key.front();
  SmallVector<int64_t> ones(otherLetters(mask, key).size(), 1);
  SparseKeys sparse = *KeySet::get(mask, key, ones).sparse;
  KeyRange hull =
      hullOf(builder, op, TileKeys::get(builder, op, mask, LetterTile()));
  // Of n keys in a row at most n / stride + 2 blocks have one.
  AffineExpr begin, end;
  bindSymbols(builder.getContext(), begin, end);
  AffineExpr blocks = (end - begin).floorDiv(sparse.stride) + 2;
  return getValueOrCreateConstantIndexOp(
      builder, loc,
      affine::makeComposedFoldedAffineApply(
          builder, loc, blocks * sparse.run,
          {OpFoldResult(hull.begin), OpFoldResult(hull.end)}));
}
