//===- DecodeWide.cpp - Scores and outputs of wide values ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DecodeWide.h"

using namespace mlir;
using namespace einhead::hopper;

void einhead::hopper::runWideEmitter(OpBuilder &builder, Location loc,
                                     const DecodeShape &shape,
                                     const DecodeParameters &parameters,
                                     Value sharedBase) {
  WideEmitter emitter(builder, loc, shape, parameters);
  emitter.sharedBase = sharedBase;
  emitter.run();
}

//===----------------------------------------------------------------------===//
// The ring
//===----------------------------------------------------------------------===//

/// Of columns of the value the group that multiplies them is the last reader,
/// of the rest both groups: they read weights there.
void WideEmitter::initBarriers() {
  for (int64_t half = 0; half < 2; ++half)
    for (int64_t segment : {left, right, tail}) {
      initBarrier(fullOf(half, segment), 1);
      initBarrier(emptyOf(half, segment), segment == tail ? 8 : 4);
    }
}

/// The group's columns of a half, and its weights, are read.
void WideEmitter::release(int64_t half) {
  ifThen(isEqual(lane, 0), [&] {
    arrive(emptyOf(half, self));
    if (shape.weightsInRing())
      arrive(emptyOf(half, tail));
  });
}

void WideEmitter::copySegment(const Item &item, Value firstKey, Value phase,
                              int64_t half, Segment segment) {
  int64_t begin = boundary(segment), end = boundary(segment + 1);
  if (begin == end)
    return;
  Value barrier = fullOf(half, segment);
  wait(emptyOf(half, segment), phase);
  expectBytes(barrier, (end - begin) * boxBytes);
  copyBoxes(item, add(firstKey, half * halfKeys), begin, end,
            i32(half * shape.stageBytes() + begin * boxBytes), barrier,
            /*ofValue=*/false);
}

/// A half at a time, as they become free.
void WideEmitter::produce() {
  overItems({i32(1)}, [&](const Item &item, ValueRange ring) {
    return loop(
        item.begin, item.end, i32(1), ring, [&](Value tile, ValueRange inner) {
          Value phase = inner[0];
          Value firstKey = mul(add(item.firstOfUnit, tile), shape.keyTile);
          for (int64_t half : {0, 1})
            for (Segment segment : {left, right, tail})
              copySegment(item, firstKey, phase, half, segment);
          return Values{xorOf(phase, i32(1))};
        });
  });
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

/// Asks for S = Q K^T of the group's half of the tile.
Value WideEmitter::askScores(Value phase) {
  int64_t rows = shape.paddedRows();
  SmallVector<Type> types(halfKeys / 8 * 4, b.getF32Type());
  Value sums = LLVM::UndefOp::create(
      b, LLVM::LLVMStructType::getLiteral(b.getContext(), types));
  for (int64_t i = 0; i < shape.depthBoxes() * 4; ++i) {
    for (Segment segment : {left, right, tail})
      if (i == boundary(segment) * 4) {
        wait(fullOf(self, segment), phase);
        wgmmaFence(); // a wait is a loop, behind which the compiler wants one
      }
    int64_t keys = self * shape.stageBytes() + i / 4 * boxBytes + i % 4 * 32;
    int64_t queries = shape.queryOffset() + i / 4 * rows * 128 + i % 4 * 32;
    sums = wgmma(sums, descriptor(i32(queries)), descriptor(i32(keys)),
                 halfKeys, /*accumulate=*/i > 0);
  }
  wgmmaCommit();
  return sums;
}

/// -inf for keys that do not count.
Values WideEmitter::maskScores(const Item &item, Values scores,
                               Value firstKey) {
  Value none = negativeInfinity();
  for (int64_t i = 0; i < 2; ++i) {
    Values letters;
    if (p.mask)
      letters = rowLetters(rowAt(i));
    for (int64_t n = 0; n < halfKeys / 8; ++n)
      for (int64_t e = 0; e < 2; ++e) {
        Value key = add(add(firstKey, lanePair), n * 8 + e);
        Value counts = isLess(key, item.limit);
        if (p.mask)
          counts = andOf(counts, isLive(letters, key));
        Value &score = scores[n * 4 + i * 2 + e];
        score = select(counts, score, none);
      }
  }
  return scores;
}

/// Scores in units of log2, less the maximum of their row.
Values WideEmitter::relative(ArrayRef<Value> scores, ArrayRef<Value> maxima) {
  Value scale = f32(shape.scale * 1.4426950408889634);
  Values negative = {negF(maxima[0]), negF(maxima[1])}, result;
  for (size_t i = 0; i < scores.size(); ++i)
    result.push_back(fma(scores[i], scale, negative[i % 4 / 2]));
  return result;
}

/// A short chain of operations, which depend on each other in pairs alone.
static Value reduceTree(Values values,
                        llvm::function_ref<Value(Value, Value)> combine) {
  while (values.size() > 1) {
    size_t half = (values.size() + 1) / 2;
    for (size_t i = half; i < values.size(); ++i)
      values[i - half] = combine(values[i - half], values[i]);
    values.truncate(half);
  }
  return values.front();
}

/// Rare: the warp's outputs so far refer to lower maxima.
void WideEmitter::scaleOutputs(State &state, Value isScaled,
                               ArrayRef<Value> factors) {
  state.outputs = ifElse(
      isScaled,
      [&] {
        Values scaled;
        for (auto [o, output] : llvm::enumerate(state.outputs))
          scaled.push_back(mulF(output, factors[o % 4 / 2]));
        return scaled;
      },
      [&] { return state.outputs; });
}

/// Rare: raises the reference maxima of a warp's rows to those of these scores.
/// A row without a key keeps -inf and counts from 0.  Returns the relative
/// scores, maxima, and factors of what was summed with the old maxima.
Values WideEmitter::raise(ArrayRef<Value> scores, ArrayRef<Value> rowMaxima) {
  Value scale = f32(shape.scale * 1.4426950408889634);
  Values shifts, maxima, factors;
  for (int64_t i = 0; i < 2; ++i) {
    Value max = negativeInfinity();
    for (size_t s = i * 2; s < scores.size(); s += 4)
      max = maxF(max, maxF(scores[s], scores[s + 1]));
    for (int64_t distance : {1, 2})
      max = maxF(max, shuffleXor(max, distance));
    max = maxF(rowMaxima[i], mulF(max, scale));
    maxima.push_back(max);
    shifts.push_back(select(isEqualF(max, negativeInfinity()), f32(0), max));
    factors.push_back(exp2(subF(rowMaxima[i], shifts[i])));
  }
  Values result = relative(scores, shifts);
  llvm::append_range(result, maxima);
  llvm::append_range(result, factors);
  return result;
}

/// Scores become weights; what goes with them is noted for the other group.
Weights WideEmitter::weigh(ArrayRef<Value> scores, Values &sums) {
  Values rowMaxima;
  Value raises = i1(false);
  for (int64_t i = 0; i < 2; ++i) {
    rowMaxima.push_back(
        loadShared(b.getF32Type(), maximaOf(1 - self, rowAt(i))));
    raises = orOf(raises, isEqualF(rowMaxima[i], negativeInfinity()));
  }
  Values scaled = relative(scores, rowMaxima);
  Value most = reduceTree(scaled, [&](Value x, Value y) { return maxF(x, y); });
  raises = warpAny(orOf(raises, isGreaterF(most, f32(slack))));
  Values next = ifElse(
      raises, [&] { return raise(scores, rowMaxima); },
      [&] {
        Values same = scaled;
        llvm::append_range(same, rowMaxima);
        same.append(2, f32(1));
        return same;
      });
  Weights weights;
  weights.raised = raises;
  weights.values.assign(next.begin(), next.begin() + scores.size());
  rowMaxima.assign(next.end() - 4, next.end() - 2);
  weights.factors.assign(next.end() - 2, next.end());
  Values ofRow[2];
  for (Value &weight : weights.values)
    weight = exp2(weight);
  for (size_t i = 0; i < weights.values.size(); i += 2) {
    auto [one, other] = rounded(weights.values[i], weights.values[i + 1]);
    llvm::append_values(ofRow[i % 4 / 2], one, other);
  }
  auto plus = [&](Value x, Value y) { return addF(x, y); };
  for (int64_t i = 0; i < 2; ++i) {
    sums[i] = fma(sums[i], weights.factors[i], reduceTree(ofRow[i], plus));
    ifThen(isEqual(lanePair, 0), [&] {
      storeShared(rowMaxima[i], maximaOf(self, rowAt(i)));
      storeShared(weights.factors[i], factorsOf(self, rowAt(i)));
    });
  }
  ifThen(isEqual(lane, 0), [&] {
    storeShared(arith::ExtUIOp::create(b, b.getI32Type(), raises),
                growthOf(self));
  });
  return weights;
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

int64_t WideEmitter::weightsOf(int64_t half) const {
  if (shape.weightsInRing())
    return half * shape.stageBytes() + shape.widthBoxes() * boxBytes;
  return half * shape.paddedRows() * 128 + shape.weightOffset();
}

/// P as [row][64 keys], rows of 128 bytes with swizzled chunks.
void WideEmitter::storeWeights(ArrayRef<Value> weights) {
  Value matrix = div(lane, 8), inMatrix = rem(lane, 8);
  Value row = add(add(mul(groupWarp, 16), mul(rem(matrix, 2), 8)), inMatrix);
  Value line = add(mul(row, 128), weightsOf(self));
  for (int64_t n = 0; n < halfKeys / 8; n += 2) {
    Values sources;
    for (int64_t i = n * 4; i < n * 4 + 8; i += 2)
      sources.push_back(packPair(weights[i], weights[i + 1]));
    Value chunk = xorOf(add(div(matrix, 2), n), inMatrix);
    NVVM::StMatrixOp::create(
        b, shared(add(line, mul(chunk, 16))), sources, NVVM::MMALayout::row,
        NVVM::LdStMatrixShapeAttr::get(b.getContext(), 8, 8),
        NVVM::LdStMatrixEltType::B16);
  }
}

/// Asks for O += P V of a half, the group's columns.
Value WideEmitter::askValues(int64_t half, State &state) {
  pin(state.outputs);
  wgmmaFence();
  Value sums = toStruct(state.outputs);
  int64_t values = half * shape.stageBytes() + self * leftBoxes() * boxBytes;
  for (int64_t k = 0; k < halfKeys / 16; ++k)
    sums = wgmma(sums, descriptor(i32(weightsOf(half) + k * 32)),
                 descriptor(i32(values + k * 2048), boxBytes), columns(),
                 /*accumulate=*/true, /*turnedA=*/false, /*turnedB=*/true);
  wgmmaCommit();
  return sums;
}

void WideEmitter::takeValues(int64_t half, Value sums, State &state) {
  wgmmaWait();
  state.outputs = fromStruct(sums);
  pin(state.outputs);
  release(half);
}

/// The other group's half, when its weights are there.
Value WideEmitter::askOthers(State &state) {
  int64_t other = 1 - self;
  barrier(readyBarrier(other), shape.consumers());
  Value raised = loadShared(b.getI32Type(), growthOf(other));
  Values factors;
  for (int64_t i = 0; i < 2; ++i) {
    factors.push_back(loadShared(b.getF32Type(), factorsOf(other, rowAt(i))));
    state.sums[i] = mulF(state.sums[i], factors[i]);
  }
  scaleOutputs(state, isLess(i32(0), raised), factors);
  return askValues(other, state);
}

/// Both halves of a tile.  Group 1 asks for its scores before it waits for the
/// weights of group 0, which asks for its next scores when it has done with the
/// weights of group 1: so each is kept waiting by the other for the shortest
/// time, and gives stages back early.
void WideEmitter::addTile(const Item &item, Value firstKey, Value phase,
                          State &state) {
  firstKey = add(firstKey, self * halfKeys);
  Value asked = askScores(phase), others;
  if (self == 1)
    others = askOthers(state);
  wgmmaWait(self == 1 ? 1 : 0);
  Values raw = fromStruct(asked);
  pin(raw);
  Value partial = isPartial(item, firstKey);
  raw = ifElse(
      partial, [&] { return maskScores(item, raw, firstKey); },
      [&] { return raw; });
  Weights weights = weigh(raw, state.sums);
  storeWeights(weights.values);
  ifThen(partial,
         [&] { clearValues(item, i32(self * shape.stageBytes()), firstKey); });
  fenceAsync();
  NVVM::BarrierArriveOp::create(b, readyBarrier(self), i32(shape.consumers()));
  syncGroup(); // of the group, too, all weights are in place
  if (self == 1)
    takeValues(0, others, state);
  scaleOutputs(state, weights.raised, weights.factors);
  takeValues(self, askValues(self, state), state);
  if (self == 0)
    takeValues(1, askOthers(state), state);
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

void WideEmitter::startItem() {
  loop(thread, i32(4 * 64 + 8), i32(shape.consumers()), [&](Value i) {
    storeShared(negativeInfinity(), add(mul(i, 4), shape.maximaOffset()));
  });
  fenceAsync();
  syncConsumers();
}

/// Group 0 has the first half of a tile and comes first; the reference of a
/// tile is what the half before left.
void WideEmitter::overKeys() {
  overItems({i32(0)}, [&](const Item &item, ValueRange ring) {
    syncConsumers(); // the last item's sums are read
    loadQueries(item);
    startItem();
    State start;
    start.sums.assign(2, f32(0));
    start.outputs.assign(columns() / 8 * 4, f32(0));
    Values carried = {ring[0]};
    llvm::append_range(carried, start.pack());
    Values end = loop(
        item.begin, item.end, i32(1), carried, [&](Value tile, ValueRange now) {
          State state = State::unpack(now.drop_front());
          Value firstKey = mul(add(item.firstOfUnit, tile), shape.keyTile);
          addTile(item, firstKey, now[0], state);
          Values next = {xorOf(now[0], i32(1))};
          llvm::append_range(next, state.pack());
          return next;
        });
    finish(item, State::unpack(ValueRange(end).drop_front()));
    return Values{end[0]};
  });
}

void WideEmitter::consume() {
  setUpConsumer();
  groupBarrier = add(group, 4);
  firstOfThread = add(mul(groupWarp, 16), laneRow);
  auto as = [&](int64_t group) {
    self = group;
    overKeys();
    return Values();
  };
  ifElse(isEqual(group, 0), [&] { return as(0); }, [&] { return as(1); });
  mergeParts();
}
