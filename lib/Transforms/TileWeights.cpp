//===- TileWeights.cpp - Scores of a tile into weights ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// For each row: max' = max(max, scores), weights = exp2(scores - max'), sum' =
// sum * exp2(max - max') + weights, and the accumulator times the same factor
// where the maximum grew.  As many rows as lanes, or else a power of two, are
// taken together: their maxima, factors and sums are vectors.

#include "PartialEmitter.h"
#include "VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

static constexpr double infinity = std::numeric_limits<double>::infinity();

/// Scores [key, key + lanes) of a row, those past `count` -inf.
Value PartialEmitter::scoreVector(Value row, int64_t key, Value count,
                                  bool full) {
  Value score =
      vector::LoadOp::create(b, floats(), scores, ValueRange{row, index(key)});
  if (full)
    return score;
  Value left = arith::SubIOp::create(b, count, index(key));
  left = arith::MaxSIOp::create(b, left, index(0));
  Value exists = vector::CreateMaskOp::create(b, vectorOf(b.getI1Type(), lanes),
                                              ValueRange{left});
  return arith::SelectOp::create(b, exists, score,
                                 splat(b, floats(), -infinity));
}

/// A score in units of log2.
Value PartialEmitter::toLog2(Value score) {
  if (isShaped())
    return score;
  double factor = scoreFactor() * 1.4426950408889634;
  return arith::MulFOp::create(b, score, splat(b, floats(), factor));
}

/// The logarithm of a weight that is about to be rounded to bf16: what is left
/// of the largest score's own rounding does not show.
Value PartialEmitter::belowMax(Value score, Value max) {
  if (isShaped())
    return arith::SubFOp::create(b, score, max);
  double factor = scoreFactor() * 1.4426950408889634;
  return vector::FMAOp::create(b, score, splat(b, floats(), factor),
                               arith::NegFOp::create(b, max));
}

/// The largest scores of a row, by lanes.
Value PartialEmitter::rowMax(Value row, Value count, bool full) {
  Value largest;
  for (int64_t key = 0; key < keyTile; key += lanes) {
    Value score = scoreVector(row, key, count, full);
    largest = largest ? buildMax(b, largest, score) : score;
  }
  return largest;
}

/// Keeps a row's weights and returns their sums by lanes.
Value PartialEmitter::rowWeights(Value row, Value max, Value count, bool full) {
  Value maxes = vector::BroadcastOp::create(b, floats(), max);
  SmallVector<Value> weights;
  for (int64_t key = 0; key < keyTile; key += lanes) {
    Value score = scoreVector(row, key, count, full), weight;
    if (products->roundsWeights()) {
      weight = buildWeight(b, belowMax(score, maxes));
    } else {
      score = toLog2(score);
      weight = buildExp2(b, arith::SubFOp::create(b, score, maxes));
    }
    if (mayExclude()) {
      Value dead = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, score,
                                         splat(b, floats(), -infinity));
      weight =
          arith::SelectOp::create(b, dead, splat(b, floats(), -0.0), weight);
    }
    weights.push_back(weight);
  }
  Value none = splat(b, floats(), 0.0);
  if (!valueScales)
    return products->keepWeights(row, weights, none);
  // The sum of a row is that of its weights, whatever the values are.
  Value total = none;
  for (Value weight : weights)
    total = arith::AddFOp::create(b, total, weight);
  products->keepWeights(row, scaledWeights(weights), none);
  return total;
}

void PartialEmitter::rescale(Value row, Value factor) {
  Value factors = vector::BroadcastOp::create(b, floats(), factor);
  auto scaleAt = [&](Value column, int64_t count) {
    auto indices = at(roles.outputTerm, row, Value(), column);
    Value value = loadVector(op.getAccumulator(), indices, count);
    storeVector(arith::MulFOp::create(b, value, factors), op.getAccumulator(),
                indices, count);
  };
  int64_t whole = width / lanes * lanes;
  loop(0, whole, lanes, [&](Value column) { scaleAt(column, lanes); });
  if (whole < width)
    scaleAt(index(whole), width - whole);
}

//===----------------------------------------------------------------------===//
// A row in each lane
//===----------------------------------------------------------------------===//

/// state[row ... row + block), again and again.
Value PartialEmitter::stateVector(Value state, Value row, int64_t block) {
  SmallVector<Value> numbers;
  for (int64_t r = 0; r < block; ++r)
    numbers.push_back(memref::LoadOp::create(
        b, state, at(roles.state(), add(row, r), Value(), Value())));
  for (int64_t r = block; r < lanes; ++r)
    numbers.push_back(numbers[r % block]);
  return vector::FromElementsOp::create(b, floats(), numbers);
}

void PartialEmitter::keepState(Value vector, Value state, Value row,
                               int64_t block) {
  for (int64_t r = 0; r < block; ++r) {
    Value number = vector::ExtractOp::create(b, vector, ArrayRef<int64_t>{r});
    memref::StoreOp::create(b, number, state,
                            at(roles.state(), add(row, r), Value(), Value()));
  }
}

/// A vector for each of `block` rows; of many rows by way of memory, which
/// keeps the code that of one.
SmallVector<Value>
PartialEmitter::ofRows(int64_t block, llvm::function_ref<Value(Value)> ofRow) {
  SmallVector<Value> vectors;
  constexpr int64_t few = 4;
  if (block <= few) {
    for (int64_t r = 0; r < block; ++r)
      vectors.push_back(ofRow(index(r)));
    return vectors;
  }
  loop(0, block, 1, [&](Value r) {
    vector::StoreOp::create(b, ofRow(r), byRow, ValueRange{r, index(0)});
  });
  for (int64_t r = 0; r < block; ++r)
    vectors.push_back(vector::LoadOp::create(b, floats(), byRow,
                                             ValueRange{index(r), index(0)}));
  return vectors;
}

/// The states of rows whose maximum grows from `before` to `max`.
void PartialEmitter::raiseStates(Value row, int64_t block, Value before,
                                 Value max, Value grows) {
  keepState(max, op.getMax(), row, block);
  Value factor =
      buildExp2(b, arith::SubFOp::create(b, before, buildFinite(b, max)));
  factor = arith::SelectOp::create(b, grows, factor, splat(b, floats(), 1.0));
  Value sum = stateVector(op.getSum(), row, block);
  keepState(arith::MulFOp::create(b, sum, factor), op.getSum(), row, block);
  vector::StoreOp::create(b, factor, byLane, index(0));
  loop(0, block, 1, [&](Value r) {
    Value ofRow = memref::LoadOp::create(b, byLane, r);
    Value moved = arith::CmpFOp::create(b, arith::CmpFPredicate::UNE, ofRow,
                                        splat(b, b.getF32Type(), 1.0));
    ifThen(moved, [&] {
      rescale(add(row, r), ofRow);
      products->rescaleSum(add(row, r), ofRow);
    });
  });
}

/// Of rows whose scores become weights at once: where one is far above the
/// maximum that the row has had.
void PartialEmitter::raiseMaxima(Value row, int64_t block,
                                 ArrayRef<Value> largest) {
  SmallVector<Value> vectors(largest);
  while (!llvm::isPowerOf2_64(vectors.size()))
    vectors.push_back(vectors.back());
  Value tileMax = toLog2(buildLaneMaxima(b, vectors));
  Value before = stateVector(op.getMax(), row, block);
  Value limit =
      arith::AddFOp::create(b, before, splat(b, floats(), TileProducts::slack));
  Value grows =
      arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, tileMax, limit);
  Value max = arith::SelectOp::create(b, grows, tileMax, before);
  raiseStates(row, block, before, max, grows);
}

void PartialEmitter::weighRows(Value row, int64_t block, Value count,
                               bool full) {
  auto rowAt = [&](Value r) { return add(row, r); };
  Value tileMax = buildLaneMaxima(
      b, ofRows(block, [&](Value r) { return rowMax(rowAt(r), count, full); }));
  tileMax = toLog2(tileMax);
  Value before = stateVector(op.getMax(), row, block);
  Value grows =
      arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, tileMax, before);
  Value max = arith::SelectOp::create(b, grows, tileMax, before);
  Value any = vector::ReductionOp::create(b, vector::CombiningKind::OR, grows);
  ifThen(any, [&] { raiseStates(row, block, before, max, grows); });
  vector::StoreOp::create(b, buildFinite(b, max), byLane, index(0));
  SmallVector<Value> totals = ofRows(block, [&](Value r) {
    Value ofRow = memref::LoadOp::create(b, byLane, r);
    return rowWeights(rowAt(r), ofRow, count, full);
  });
  Value sum = stateVector(op.getSum(), row, block);
  sum = arith::AddFOp::create(b, sum, buildLaneSums(b, totals));
  keepState(sum, op.getSum(), row, block);
}

void PartialEmitter::weights(Value count, bool full) {
  if (!byRow)
    byRow = scratch({lanes, lanes}, b.getF32Type());
  int64_t done = 0;
  for (int64_t block = lanes; block > 0; block /= 2) {
    int64_t end = done + (rows - done) / block * block;
    loop(done, end, block,
         [&](Value row) { weighRows(row, block, count, full); });
    done = end;
  }
}
