//===- WarpDecodeTile.cpp - One tile of keys, by warps ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Element e of block n of an accumulator (m16n8k16, f32) is at row
// lane / 4 + 8 * (e / 2) and column 8 * n + lane % 4 * 2 + e % 2.  Pairs of
// neighbours in two blocks are operand A of the product with 16 rows of V.

#include "WarpDecode.h"

using namespace mlir;
using namespace einhead::tensorcores;

/// Scores beyond the reference by more than this raise it, as on Hopper
/// (DecodeTile.cpp).
static constexpr double slack = 8;

/// Weights as f16 are up to 2^15, to have few that it has no exponent for.
double WarpEmitter::room() const { return shape.element.isF16() ? 7 : 0; }

Values WarpState::pack() const {
  Values values = {unseen};
  llvm::append_range(values, maxima);
  llvm::append_range(values, sums);
  llvm::append_range(values, outputs);
  return values;
}

WarpState WarpState::unpack(ValueRange values, int64_t rowTiles) {
  size_t rows = 2 * rowTiles;
  return {values[0], Values(values.slice(1, rows)),
          Values(values.slice(1 + rows, 2 * rows)),
          Values(values.drop_front(1 + 3 * rows))};
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Operand B of 16 columns (or the 8 that are left; the others are 0) of 16
/// keys: two registers for each 8 of them.
Values WarpEmitter::loadKeys(Value keys, int64_t step, int64_t sixteen) {
  Value from = add(keys, sixteen * 16 * keyStream.pitch + step * 32);
  if (step * 16 + 16 <= shape.depth)
    return loadMatrices(add(from, alongKeys), 4, /*isTurned=*/false);
  Values half = loadMatrices(add(from, alongQueries), 2, /*isTurned=*/false);
  return {half[0], i32(0), half[1], i32(0)};
}

/// S = Q K^T of the group's keys.
Values WarpEmitter::scores(Value keys, ValueRange queries) {
  Values sums(rowTiles() * keyBlocks() * 4, f32(0));
  for (int64_t step = 0; step < depthSteps(); ++step) {
    SmallVector<Values> rows;
    for (int64_t m = 0; m < rowTiles(); ++m)
      rows.push_back(queries.empty() ? queryRows(m, step)
                                     : Values(queries.slice(
                                           (step * rowTiles() + m) * 4, 4)));
    for (int64_t n = 0; n < keyBlocks(); n += 2) {
      Values columns = loadKeys(keys, step, n / 2);
      for (int64_t m = 0; m < rowTiles(); ++m)
        for (int64_t half = 0; half < 2; ++half) {
          int64_t at = scoreAt(m, n + half, 0);
          Values four = multiplyAdd(shape.element, rows[m],
                                    ValueRange(columns).slice(half * 2, 2),
                                    ValueRange(sums).slice(at, 4));
          llvm::copy(four, sums.begin() + at);
        }
    }
  }
  return sums;
}

/// O += P V of the group's keys; and their sum, as the product with ones: it is
/// that of the rounded weights, for all lanes.
void WarpEmitter::addValues(Value values, ArrayRef<Value> weights,
                            WarpState &state) {
  Values &outputs = state.outputs;
  Value ones = i32(shape.element.isBF16() ? 0x3F803F80 : 0x3C003C00);
  int64_t pitch = shape.valueInKey ? keyStream.pitch : valueStream.pitch;
  int64_t blocks = shape.width / 8;
  for (int64_t n = 0; n < keyBlocks(); n += 2) {
    SmallVector<Values> rows(rowTiles());
    for (int64_t m = 0; m < rowTiles(); ++m)
      for (int64_t i = 0; i < 4; ++i) {
        int64_t at = scoreAt(m, n + i / 2, i % 2 * 2);
        rows[m].push_back(packPair(weights[at], weights[at + 1]));
      }
    for (int64_t m = 0; m < rowTiles(); ++m)
      llvm::copy(multiplyAdd(shape.element, rows[m], Values{ones, ones},
                             ValueRange(state.sums).slice(m * 4, 4)),
                 state.sums.begin() + m * 4);
    for (int64_t column = 0; column < blocks; column += 2) {
      int64_t count = std::min<int64_t>(2, blocks - column);
      Value from = add(add(values, alongValues), n * 8 * pitch + column * 16);
      Values matrices = loadMatrices(from, 2 * count, /*isTurned=*/true);
      for (int64_t m = 0; m < rowTiles(); ++m)
        for (int64_t half = 0; half < count; ++half) {
          int64_t at = (m * blocks + column + half) * 4;
          Values four = multiplyAdd(shape.element, rows[m],
                                    ValueRange(matrices).slice(half * 2, 2),
                                    ValueRange(outputs).slice(at, 4));
          llvm::copy(four, outputs.begin() + at);
        }
    }
  }
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

/// -inf for keys that do not count.
Values WarpEmitter::maskScores(const Item &item, Values scores,
                               Value firstKey) {
  Value none = negativeInfinity();
  SmallVector<Values> letters;
  if (p.mask)
    for (int64_t i = 0; i < 2 * rowTiles(); ++i)
      letters.push_back(rowLetters(rowAt(i)));
  for (int64_t n = 0; n < keyBlocks(); ++n)
    for (int64_t e = 0; e < 4; ++e) {
      Value key = add(add(firstKey, lanePair), n * 8 + e % 2);
      Value isThere = isLess(key, item.limit);
      for (int64_t m = 0; m < rowTiles(); ++m) {
        Value counts = isThere;
        if (p.mask)
          counts = andOf(counts, isLive(letters[2 * m + e / 2], key));
        Value &score = scores[scoreAt(m, n, e)];
        score = select(counts, score, none);
      }
    }
  return scores;
}

/// Scores in units of log2, less what the weights of their row refer to: its
/// maximum so far, or 0.
Values WarpEmitter::relative(ArrayRef<Value> scores, ArrayRef<Value> maxima) {
  Value scale = f32(shape.scale * 1.4426950408889634);
  Values less, result;
  for (Value max : maxima)
    less.push_back(
        select(isEqualF(max, negativeInfinity()), f32(0), negF(max)));
  for (auto [i, score] : llvm::enumerate(scores))
    result.push_back(fma(score, scale, less[rowOfScore(i)]));
  return result;
}

/// Rare: raises the maxima to those of this tile's relative scores, and
/// rescales what was summed with the old ones.  A row without a key keeps -inf
/// and counts from 0.
std::pair<Values, WarpState> WarpEmitter::raise(ArrayRef<Value> scores,
                                                WarpState state) {
  Value none = negativeInfinity(), unseen = i1(false);
  int64_t ofTile = shape.width / 8 * 4;
  Values changes;
  for (int64_t row = 0; row < 2 * rowTiles(); ++row) {
    Values ofRow;
    for (auto [i, score] : llvm::enumerate(scores))
      if (rowOfScore(i) == row)
        ofRow.push_back(score);
    Value max = largest(ofRow);
    for (int64_t distance : {1, 2})
      max = maxF(max, shuffleXor(max, distance));
    Value before = state.maxima[row];
    Value reference = select(isEqualF(before, none), f32(0), before);
    max = maxF(before, subF(addF(max, reference), f32(room())));
    Value empty = isEqualF(max, none);
    unseen = orOf(unseen, andOf(empty, isLess(rowAt(row), shape.rows)));
    Value shift = select(empty, f32(0), max);
    Value factor = exp2(subF(before, shift));
    changes.push_back(subF(reference, shift));
    state.maxima[row] = max;
    auto rescale = [&](Values &sums, int64_t count) {
      for (int64_t i = 0; i < count; ++i)
        if (i % 4 / 2 == row % 2) {
          Value &sum = sums[row / 2 * count + i];
          sum = mulF(sum, factor);
        }
    };
    rescale(state.sums, 4);
    rescale(state.outputs, ofTile);
  }
  state.unseen = warpAny(unseen);
  Values result;
  for (auto [i, score] : llvm::enumerate(scores))
    result.push_back(addF(score, changes[rowOfScore(i)]));
  return {std::move(result), std::move(state)};
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

WarpState WarpEmitter::tile(const Item &item, Value number, Value slot,
                            ValueRange queries, WarpState state) {
  Value firstKey = add(mul(add(item.firstOfUnit, number), shape.keyTile),
                       mul(group, groupKeys()));
  copyWait(ahead());
  syncKeys(); // the keys are there, and nobody reads the half before them
  refill(shape.valueInKey ? keyStream : valueStream, item,
         add(number, shape.stages - 1), before(slot));

  Values raw = scores(slot, queries);
  raw = ifElse(
      isPartial(item, firstKey),
      [&] { return maskScores(item, raw, firstKey); }, [&] { return raw; });
  Values scaled = relative(raw, state.maxima);
  Value exceeds = isGreaterF(largest(scaled), f32(slack + room()));
  Value grows = warpAny(orOf(state.unseen, exceeds));
  Values next = ifElse(
      grows,
      [&] {
        auto [weights, raised] = raise(scaled, state);
        llvm::append_range(weights, raised.pack());
        return weights;
      },
      [&] {
        Values same = scaled;
        llvm::append_range(same, state.pack());
        return same;
      });
  state =
      WarpState::unpack(ValueRange(next).drop_front(raw.size()), rowTiles());
  Values weights(ArrayRef<Value>(next).take_front(raw.size()));
  for (Value &weight : weights)
    weight = exp2(weight);
  if (!shape.valueInKey) {
    copyWait(ahead());
    syncKeys();
    refill(keyStream, item, add(number, shape.stages), slot);
  }
  addValues(add(slot, valueStream.start), weights, state);
  return state;
}
