//===- TileWeights.cpp - Scores of a tile into weights ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// For each row: max' = max(max, scores), weights = exp2(scores - max'), sum' =
// sum * exp2(max - max') + weights, and the accumulator times the same factor
// where the maximum grew.  Where there are enough rows, as many of them as
// lanes are taken together: their maxima, factors and sums are vectors.

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

/// Scores [key, key + lanes) of a row in units of log2, those past `count`
/// -inf.
Value PartialEmitter::scoreVector(Value row, int64_t key, Value count,
                                  bool full) {
  Value score =
      vector::LoadOp::create(b, floats(), scores, ValueRange{row, index(key)});
  if (!isShaped()) {
    double factor = op.getScale().convertToDouble() * 1.4426950408889634;
    score = arith::MulFOp::create(b, score, splat(b, floats(), factor));
  }
  if (full)
    return score;
  Value left = arith::SubIOp::create(b, count, index(key));
  left = arith::MaxSIOp::create(b, left, index(0));
  Value exists = vector::CreateMaskOp::create(b, vectorOf(b.getI1Type(), lanes),
                                              ValueRange{left});
  return arith::SelectOp::create(b, exists, score,
                                 splat(b, floats(), -infinity));
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
    Value score = scoreVector(row, key, count, full);
    Value weight = buildExp2(b, arith::SubFOp::create(b, score, maxes),
                             products->roundsWeights());
    if (mayExclude()) {
      Value dead = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, score,
                                         splat(b, floats(), -infinity));
      weight =
          arith::SelectOp::create(b, dead, splat(b, floats(), -0.0), weight);
    }
    weights.push_back(weight);
  }
  return products->keepWeights(row, weights, splat(b, floats(), 0.0));
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

/// A row that no key has reached keeps -inf; 0 stands in for it, so that its
/// weights are exp2(-inf) = 0.
static Value finite(ImplicitLocOpBuilder &b, Value max) {
  Type type = max.getType();
  Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, max,
                                     splat(b, type, -infinity));
  return arith::SelectOp::create(b, none, splat(b, type, 0.0), max);
}

//===----------------------------------------------------------------------===//
// One row
//===----------------------------------------------------------------------===//

void PartialEmitter::weighRow(Value row, Value count, bool full) {
  auto indices = at(roles.state(), row, Value(), Value());
  Value before = memref::LoadOp::create(b, op.getMax(), indices);
  Value tileMax = vector::ReductionOp::create(b, vector::CombiningKind::MAXNUMF,
                                              rowMax(row, count, full));
  Value grows =
      arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, tileMax, before);
  ifThen(grows, [&] {
    memref::StoreOp::create(b, tileMax, op.getMax(), indices);
    Value factor = buildExp2(b, arith::SubFOp::create(b, before, tileMax));
    rescale(row, factor);
    Value sum = memref::LoadOp::create(b, op.getSum(), indices);
    sum = arith::MulFOp::create(b, sum, factor);
    memref::StoreOp::create(b, sum, op.getSum(), indices);
  });
  Value max = arith::SelectOp::create(b, grows, tileMax, before);
  Value total = rowWeights(row, finite(b, max), count, full);
  Value sum = memref::LoadOp::create(b, op.getSum(), indices);
  Value added =
      vector::ReductionOp::create(b, vector::CombiningKind::ADD, total);
  memref::StoreOp::create(b, arith::AddFOp::create(b, sum, added), op.getSum(),
                          indices);
}

//===----------------------------------------------------------------------===//
// A row in each lane
//===----------------------------------------------------------------------===//

/// state[row ... row + block), `rest` in the other lanes.
Value PartialEmitter::stateVector(Value state, Value row, int64_t block,
                                  double rest) {
  SmallVector<Value> numbers;
  for (int64_t r = 0; r < lanes; ++r)
    numbers.push_back(
        r < block
            ? memref::LoadOp::create(
                  b, state, at(roles.state(), add(row, r), Value(), Value()))
                  .getResult()
            : splat(b, b.getF32Type(), rest));
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

/// A vector for each of `block` rows, by way of memory, which keeps the code of
/// one row; `rest` in the other lanes.
SmallVector<Value>
PartialEmitter::ofRows(int64_t block, double rest,
                       llvm::function_ref<Value(Value)> ofRow) {
  loop(0, block, 1, [&](Value r) {
    vector::StoreOp::create(b, ofRow(r), byRow, ValueRange{r, index(0)});
  });
  SmallVector<Value> vectors;
  for (int64_t r = 0; r < lanes; ++r)
    vectors.push_back(
        r < block ? vector::LoadOp::create(b, floats(), byRow,
                                           ValueRange{index(r), index(0)})
                        .getResult()
                  : splat(b, floats(), rest));
  return vectors;
}

void PartialEmitter::weighRows(Value row, int64_t block, Value count,
                               bool full) {
  auto rowAt = [&](Value r) { return add(row, r); };
  Value tileMax = buildLaneMaxima(b, ofRows(block, -infinity, [&](Value r) {
                                    return rowMax(rowAt(r), count, full);
                                  }));
  Value before = stateVector(op.getMax(), row, block, -infinity);
  Value grows =
      arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, tileMax, before);
  Value max = arith::SelectOp::create(b, grows, tileMax, before);
  Value any = vector::ReductionOp::create(b, vector::CombiningKind::OR, grows);
  ifThen(any, [&] {
    keepState(max, op.getMax(), row, block);
    Value factor =
        buildExp2(b, arith::SubFOp::create(b, before, finite(b, max)));
    factor = arith::SelectOp::create(b, grows, factor, splat(b, floats(), 1.0));
    Value sum = stateVector(op.getSum(), row, block, 0.0);
    keepState(arith::MulFOp::create(b, sum, factor), op.getSum(), row, block);
    vector::StoreOp::create(b, factor, byLane, index(0));
    loop(0, block, 1, [&](Value r) {
      Value ofRow = memref::LoadOp::create(b, byLane, r);
      Value moved = arith::CmpFOp::create(b, arith::CmpFPredicate::UNE, ofRow,
                                          splat(b, b.getF32Type(), 1.0));
      ifThen(moved, [&] { rescale(rowAt(r), ofRow); });
    });
  });
  vector::StoreOp::create(b, finite(b, max), byLane, index(0));
  SmallVector<Value> totals = ofRows(block, 0.0, [&](Value r) {
    Value ofRow = memref::LoadOp::create(b, byLane, r);
    return rowWeights(rowAt(r), ofRow, count, full);
  });
  Value sum = stateVector(op.getSum(), row, block, 0.0);
  sum = arith::AddFOp::create(b, sum, buildLaneSums(b, totals));
  keepState(sum, op.getSum(), row, block);
}

void PartialEmitter::weights(Value count, bool full) {
  // Half a vector of rows is worth the sums over lanes that it saves.
  int64_t whole = rows / lanes * lanes;
  if (rows - whole >= lanes / 2)
    whole = rows;
  if (whole && !byLane) {
    byLane = scratch({lanes}, b.getF32Type());
    byRow = scratch({lanes, lanes}, b.getF32Type());
  }
  loop(0, whole / lanes * lanes, lanes,
       [&](Value row) { weighRows(row, lanes, count, full); });
  if (int64_t rest = whole % lanes)
    weighRows(index(whole - rest), rest, count, full);
  loop(whole, rows, 1, [&](Value row) { weighRow(row, count, full); });
}
