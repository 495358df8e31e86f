//===- DecodeScales.cpp - A scale for each key and value --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// A key's scale multiplies its scores, a value's scale its weights, once these
// are in the sums.  The producer's warp copies both into the stage's place
// beside the ring (they come with the keys), 0 for keys that do not count.
//
// Weights are rounded to f16, which has fewer exponents than a scale: they are
// multiplied by scale * unit, where the group's unit is a power of two that
// brings all scales so far below 1.  A larger one halves the unit, as often as
// it takes, and the outputs so far; what leaves the group is divided by it.

#include "DecodeEmitter.h"

using namespace mlir;
using namespace einhead::hopper;

/// Units are 2^-126 to 2^126, as f32 stores exponents; the first is the last.
static constexpr int64_t largestUnit = 253;

//===----------------------------------------------------------------------===//
// The producer
//===----------------------------------------------------------------------===//

/// One lane's keys of a tile: 4 bytes each, wherever they stand.
void DecodeEmitter::copyScales(const Item &item, const Addressed &scales,
                               Value firstKey, Value to) {
  constexpr unsigned globalSpace = 1;
  auto cache = NVVM::LoadCacheModifierKindAttr::get(
      b.getContext(), NVVM::LoadCacheModifierKind::CA);
  Value start = i64(0);
  for (auto [letter, stride] : llvm::enumerate(scales.batchStrides))
    start = add64(start, mul64(widen(item.batch[letter]), stride));
  for (int64_t i = 0; i < shape.keyTile; i += 32) {
    Value key = add(add(firstKey, lane), i);
    Value counts = isLess(key, item.limit);
    if (p.mask)
      counts = andOf(counts, isLess(sub(p.mask->begin, i32(1)), key));
    key = select(counts, key, i32(0));
    Value index = add64(start, mul64(widen(key), scales.rowStrides[0]));
    Value from = LLVM::AddrSpaceCastOp::create(
        b, pointerType(globalSpace), at(scales.base, b.getF32Type(), index));
    NVVM::CpAsyncOp::create(b, shared(add(add(to, mul(lane, 4)), i * 4)), from,
                            b.getI32IntegerAttr(4), cache,
                            select(counts, i32(4), i32(0)));
  }
}

/// Asks for a tile's scales, by all lanes of a warp; each arrives at `full`
/// when its own are there.
void DecodeEmitter::copyTileScales(const Item &item, Value firstKey,
                                   Value stage, Value full) {
  Value to = add(mul(stage, shape.scaleBytes()), shape.scalesOffset());
  if (shape.keyScaled)
    copyScales(item, p.keyScale, firstKey, to);
  if (shape.valueScaled)
    copyScales(item, p.valueScale, firstKey, add(to, shape.valueScalePlace()));
  NVVM::CpAsyncMBarrierArriveOp::create(b, shared(full), /*noinc=*/true);
}

//===----------------------------------------------------------------------===//
// The consumers
//===----------------------------------------------------------------------===//

/// Those of the keys that the thread has in a round's scores, from `start` of
/// the tile on.
Scales DecodeEmitter::loadScales(Value stage, int64_t start) {
  Scales result;
  Value place = add(mul(stage, shape.scaleBytes()), shape.scalesOffset());
  place = add(place, mul(add(mul(groupWarp, 16), laneRow), 4));
  for (int64_t i = 0; i < 2 * shape.keyBlocks; ++i) {
    int64_t key = (start + i / 2 * 64 + i % 2 * 8) * 4;
    auto load = [&](int64_t first) {
      return loadShared(b.getF32Type(), add(place, first + key));
    };
    if (shape.keyScaled)
      result.keys.push_back(load(0));
    if (shape.valueScaled)
      result.values.push_back(load(shape.valueScalePlace()));
  }
  return result;
}

void DecodeEmitter::scaleScores(Values &scores, const Scales &scales) {
  if (!shape.keyScaled)
    return;
  for (auto [i, score] : llvm::enumerate(scores))
    score = mulF(score, scales.keys[keyIndex(i)]);
}

void DecodeEmitter::scaleWeights(Values &weights, const Scales &scales,
                                 Value unit) {
  if (!shape.valueScaled)
    return;
  Values factors;
  for (Value scale : scales.values)
    factors.push_back(mulF(scale, unit));
  for (auto [i, weight] : llvm::enumerate(weights))
    weight = mulF(weight, factors[keyIndex(i)]);
}

Value DecodeEmitter::bitsOf(Value x) {
  return LLVM::BitcastOp::create(b, b.getI32Type(), x);
}

Value DecodeEmitter::magnitudeBits(Value x) {
  return andOf(bitsOf(x), i32(0x7FFFFFFF));
}

/// Whether a scale is not below 1 with this unit.
Value DecodeEmitter::exceedsUnit(const Scales &scales, Value unit) {
  Value most = i32(0);
  for (Value scale : scales.values)
    most = maxOf(most, magnitudeBits(mulF(scale, unit)));
  return isLess(i32(0x3F7FFFFF), most);
}

/// 1 / unit, or the other way round.
Value DecodeEmitter::inverseOf(Value unit) {
  Value bits = sub(i32(254 << 23), bitsOf(unit));
  return LLVM::BitcastOp::create(b, b.getF32Type(), bits);
}

Value DecodeEmitter::unitOf(Value ofGroup) {
  return add(mul(ofGroup, 4), shape.unitsOffset());
}

void DecodeEmitter::clearUnits() {
  ifThen(isLess(thread, shape.groups), [&] {
    storeShared(
        LLVM::BitcastOp::create(b, b.getF32Type(), i32(largestUnit << 23)),
        unitOf(thread));
  });
}

/// Rare: the unit for these scales, too.  All threads of the group know the old
/// one, and barriers follow.
Value DecodeEmitter::lowerUnit(const Scales &scales, Value unit) {
  Value most = i32(0);
  for (Value scale : scales.values)
    most = maxOf(most, magnitudeBits(scale));
  for (int64_t distance : {4, 8, 16})
    most = maxOf(most, shuffleXor(most, distance));
  Value place = add(mul(group, 16), shape.unitsOffset() + shape.groups * 4);
  ifThen(isEqual(lane, 0),
         [&] { storeShared(most, add(place, mul(groupWarp, 4))); });
  syncGroup();
  for (int64_t warp = 0; warp < 4; ++warp)
    most = maxOf(most, loadShared(b.getI32Type(), add(place, warp * 4)));
  Value exponent = b.createOrFold<arith::ShRUIOp>(most, i32(23));
  exponent = maxOf(sub(i32(largestUnit), exponent), i32(1));
  Value bits =
      minOf(bitsOf(unit), b.createOrFold<arith::ShLIOp>(exponent, i32(23)));
  Value lower = LLVM::BitcastOp::create(b, b.getF32Type(), bits);
  ifThen(isEqual(rem(thread, 128), 0),
         [&] { storeShared(lower, unitOf(group)); });
  return lower;
}

/// What was summed in one unit, in another one.
void DecodeEmitter::changeUnit(Values &outputs, Value from, Value to) {
  Value factor = mulF(to, inverseOf(from));
  for (Value &output : outputs)
    output = mulF(output, factor);
}

/// Outputs in no unit, as they leave the group.
Values DecodeEmitter::withoutUnit(const Values &outputs) {
  if (!shape.valueScaled)
    return outputs;
  Value factor = inverseOf(loadShared(b.getF32Type(), unitOf(group)));
  Values result;
  for (Value output : outputs)
    result.push_back(mulF(output, factor));
  return result;
}
