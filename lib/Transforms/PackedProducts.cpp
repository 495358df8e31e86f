//===- PackedProducts.cpp - Products of a tile in scratch -------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Many rows share a tile, so it pays to bring it once into the layout that the
// products like best, with a row's elements spread over the lanes:
//
//   turned[D][KT]     K with the keys in the lanes: a score needs no sum over
//                     lanes
//   beside[KT][V]     V as f32
//
// and with bf16 pairs, of which a vector holds as many as f32,
//
//   turned[D / 2][KT][2], beside[KT / 2][V][2]
//
// Register blocks are MR rows x NZ vectors of keys or columns.

#include "PackedProducts.h"
#include "PairMath.h"
#include "VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

PackedProducts::PackedProducts(TileBuilder &tile, bool pairs)
    : TileProducts(tile), pairs(pairs), each(pairs ? 2 : 1),
      step(each * t.lanes) {
  // 24 sums in 32 registers, 12 in 16.
  wide = t.lanes >= 16 ? 4 : 2;
  constexpr int64_t most = 6;
  blockRows = llvm::divideCeil(t.rows, llvm::divideCeil(t.rows, most));
  Type element = pairs ? Type(b.getBF16Type()) : Type(b.getF32Type());
  int64_t columns = llvm::alignTo(t.depth, step);
  int64_t width = llvm::alignTo(t.width, step);
  q = t.scratch({t.rows, columns}, element);
  turned = t.scratch({columns / each, t.keyTile * each}, element);
  beside = t.scratch(
      {static_cast<int64_t>(llvm::divideCeil(t.keyTile, each)), width * each},
      element);
  weights = pairs ? t.scratch({t.rows, t.keyTile}, element) : t.scores;
}

//===----------------------------------------------------------------------===//
// The tile into scratch
//===----------------------------------------------------------------------===//

void PackedProducts::stage(Value start, Value count, bool full) {
  turn(start, count, full);
  if (pairs)
    interleaveValues(t, beside, start, count, full, t.index(0), t.width);
  else
    widen(start, count);
}

void PackedProducts::turn(Value start, Value count, bool full) {
  Value end = t.add(start, count);
  Value last = full ? Value() : arith::SubIOp::create(b, end, t.index(1));
  t.loop(t.index(0), count, t.lanes, {}, [&](Value key, ValueRange) {
    SmallVector<Value> keyRows;
    for (int64_t k = 0; k < t.lanes; ++k) {
      Value at = t.add(t.add(start, key), k);
      // Past the end the last key is read again; its score is discarded.
      if (!full)
        at = arith::MinUIOp::create(b, at, last);
      keyRows.push_back(t.rowOf(at));
    }
    int64_t whole = t.depth / step * step;
    t.loop(0, whole, step,
           [&](Value column) { turnBlock(keyRows, key, column, step); });
    if (whole < t.depth)
      turnBlock(keyRows, key, t.index(whole), t.depth - whole);
    return SmallVector<Value>();
  });
}

void PackedProducts::turnBlock(ArrayRef<Value> keyRows, Value key, Value column,
                               int64_t columns) {
  Type element = getElementTypeOrSelf(turned);
  Value memref = t.op.getKey();
  SmallVector<Value> vectors;
  for (Value keyRow : keyRows) {
    auto indices = t.at(t.roles.keyTerm, Value(), keyRow, column);
    Value row = pairs ? t.loadRaw(memref, indices, step, columns)
                      : t.loadVector(memref, indices, columns);
    vectors.push_back(castElements(b, row, b.getI32Type()));
  }
  buildTranspose(b, vectors);
  Value first = column, at = key;
  if (pairs) {
    first = arith::DivUIOp::create(b, column, t.index(each));
    at = arith::MulIOp::create(b, key, t.index(each));
  }
  for (auto [i, vector] : llvm::enumerate(vectors))
    vector::StoreOp::create(b, castElements(b, vector, element), turned,
                            ValueRange{t.add(first, i), at});
}

void PackedProducts::widen(Value start, Value count) {
  Value memref = t.op.getValue();
  t.loop(t.index(0), count, 1, {}, [&](Value key, ValueRange) {
    Value row = t.rowOf(t.add(start, key));
    auto copy = [&](Value column, int64_t columns) {
      Value vector = t.loadVector(
          memref, t.at(t.roles.valueTerm, Value(), row, column), columns);
      vector::StoreOp::create(b, vector, beside, ValueRange{key, column});
    };
    int64_t whole = t.width / t.lanes * t.lanes;
    t.loop(0, whole, t.lanes, [&](Value column) { copy(column, t.lanes); });
    if (whole < t.width)
      copy(t.index(whole), t.width - whole);
    return SmallVector<Value>();
  });
}

void einhead::interleaveValues(TileBuilder &t, Value beside, Value start,
                               Value count, bool full, Value column,
                               int64_t columns) {
  ImplicitLocOpBuilder &b = t.b;
  int64_t step = 2 * t.lanes;
  Value memref = t.op.getValue();
  auto load = [&](Value row, Value from, int64_t valid) {
    return t.loadRaw(memref, t.at(t.roles.valueTerm, Value(), row, from), step,
                     valid);
  };
  t.loop(t.index(0), count, 2, {}, [&](Value key, ValueRange) {
    Value first = t.add(start, key), second = t.add(first, 1);
    Value place = arith::DivUIOp::create(b, key, t.index(2));
    Value hasSecond;
    if (!full || t.keyTile % 2) {
      hasSecond = arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                        t.add(key, 1), count);
      second = arith::SelectOp::create(b, hasSecond, second, start);
    }
    Value rowX = t.rowOf(first), rowY = t.rowOf(second);
    auto copy = [&](Value inBlock, int64_t valid) {
      Value from = arith::AddIOp::create(b, column, inBlock);
      Value x = load(rowX, from, valid), y = load(rowY, from, valid);
      Value zero = splat(b, y.getType(), 0.0);
      if (hasSecond)
        y = arith::SelectOp::create(b, hasSecond, y, zero);
      Value at = arith::MulIOp::create(b, inBlock, t.index(2));
      for (auto [i, half] : llvm::enumerate(buildInterleave(b, x, y)))
        vector::StoreOp::create(b, half, beside,
                                ValueRange{place, t.add(at, i * step)});
    };
    int64_t whole = columns / step * step;
    t.loop(0, whole, step, [&](Value inBlock) { copy(inBlock, step); });
    if (whole < columns)
      copy(t.index(whole), columns - whole);
    return SmallVector<Value>();
  });
}

//===----------------------------------------------------------------------===//
// Register blocks
//===----------------------------------------------------------------------===//

void PackedProducts::overRowBlocks(
    llvm::function_ref<void(Value, int64_t)> body) {
  int64_t whole = t.rows / blockRows * blockRows;
  t.loop(0, whole, blockRows, [&](Value row) { body(row, blockRows); });
  if (whole < t.rows)
    body(t.index(whole), t.rows - whole);
}

Value PackedProducts::spread(Value memref, Value row, Value column) {
  if (pairs)
    return loadPair(b, memref, row, column, step);
  Value value = memref::LoadOp::create(b, memref, ValueRange{row, column});
  return vector::BroadcastOp::create(b, t.floats(), value);
}

PackedProducts::Sums PackedProducts::multiply(Value left, Value row,
                                              int64_t block, Value right,
                                              Value at, int64_t vectors,
                                              Value count, ValueRange sums) {
  VectorType type = t.vectorOf(getElementTypeOrSelf(right), step);
  auto loop =
      t.loop(t.index(0), count, each, sums, [&](Value i, ValueRange carried) {
        Sums next(carried), loaded;
        Value place =
            pairs ? Value(arith::DivUIOp::create(b, i, t.index(each))) : i;
        for (int64_t z = 0; z < vectors; ++z)
          loaded.push_back(vector::LoadOp::create(
              b, type, right, ValueRange{place, t.add(at, z * step)}));
        for (int64_t r = 0; r < block; ++r) {
          Value x = spread(left, t.add(row, r), i);
          for (int64_t z = 0; z < vectors; ++z) {
            Value &sum = next[r * vectors + z];
            sum = buildMultiplyAdd(b, x, loaded[z], sum);
          }
        }
        return next;
      });
  return Sums(loop.getResults());
}

//===----------------------------------------------------------------------===//
// Scores and values
//===----------------------------------------------------------------------===//

PackedProducts::Sums PackedProducts::scoreSums(Value row, int64_t block,
                                               Value key, int64_t vectors) {
  Value at = key;
  if (pairs)
    at = arith::MulIOp::create(b, key, t.index(each));
  Sums sums(block * vectors, splat(b, t.floats(), 0.0));
  return multiply(q, row, block, turned, at, vectors, t.index(t.depth), sums);
}

void PackedProducts::scoreBlock(Value row, int64_t block, Value key,
                                int64_t vectors) {
  Sums sums = scoreSums(row, block, key, vectors);
  for (int64_t r = 0; r < block; ++r)
    for (int64_t z = 0; z < vectors; ++z)
      vector::StoreOp::create(
          b, sums[r * vectors + z], t.scores,
          ValueRange{t.add(row, r), t.add(key, z * t.lanes)});
}

void PackedProducts::overKeyBlocks(
    llvm::function_ref<void(Value, int64_t)> body) {
  int64_t block = wide * t.lanes, whole = t.keyTile / block * block;
  t.loop(0, whole, block, [&](Value key) { body(key, wide); });
  if (whole < t.keyTile)
    body(t.index(whole), (t.keyTile - whole) / t.lanes);
}

void PackedProducts::scores(Value start, Value count, bool full) {
  overKeyBlocks([&](Value key, int64_t vectors) {
    overRowBlocks(
        [&](Value row, int64_t rows) { scoreBlock(row, rows, key, vectors); });
  });
}

Value PackedProducts::keepWeights(Value row, ArrayRef<Value> vectors,
                                  Value total) {
  return pairs ? keepPairs(b, vectors, weights, row, total)
               : keepFloats(b, vectors, weights, row, total);
}

/// The scores of a block become weights in the registers that they are summed
/// in.  They are compared with a maximum that the row has had, which is raised
/// only where one is more than `slack` above it: sums are hardly ever rescaled.
/// Each row decides for itself.
void PackedProducts::weigh(Raise raise) {
  overKeyBlocks([&](Value key, int64_t vectors) {
    overRowBlocks([&](Value row, int64_t rows) {
      weighBlock(row, rows, key, scoreSums(row, rows, key, vectors), raise);
    });
  });
}

Value PackedProducts::stateOf(Value state, Value row) {
  return memref::LoadOp::create(b, state,
                                t.at(t.roles.state(), row, Value(), Value()));
}

void PackedProducts::weighBlock(Value row, int64_t block, Value key,
                                ArrayRef<Value> scores, Raise raise) {
  double log2 = t.scoreFactor() * 1.4426950408889634;
  Value factor = splat(b, t.floats(), log2), any;
  int64_t vectors = scores.size() / block;
  SmallVector<Value> largest;
  for (int64_t r = 0; r < block; ++r) {
    Value max;
    for (Value score : scores.slice(r * vectors, vectors))
      max = max ? buildMax(b, max, score) : score;
    largest.push_back(max);
    Value limit = stateOf(t.op.getMax(), t.add(row, r));
    limit = arith::AddFOp::create(b, limit, splat(b, limit.getType(), slack));
    Value grows = arith::CmpFOp::create(
        b, arith::CmpFPredicate::OGT, arith::MulFOp::create(b, max, factor),
        vector::BroadcastOp::create(b, t.floats(), limit));
    any = any ? arith::OrIOp::create(b, any, grows).getResult() : grows;
  }
  any = vector::ReductionOp::create(b, vector::CombiningKind::OR, any);
  t.ifThen(any, [&] { raise(row, block, largest); });
  for (int64_t r = 0; r < block; ++r) {
    Value at = t.add(row, r), zero = t.index(0);
    Value max = vector::BroadcastOp::create(
        b, t.floats(), buildFinite(b, stateOf(t.op.getMax(), at)));
    Value below = arith::NegFOp::create(b, max);
    SmallVector<Value> ofRow;
    for (Value score : scores.slice(r * vectors, vectors))
      ofRow.push_back(
          buildWeight(b, vector::FMAOp::create(b, score, factor, below)));
    Value total =
        vector::LoadOp::create(b, t.floats(), totals, ValueRange{at, zero});
    total = keepPairs(b, ofRow, weights, at, total, key);
    vector::StoreOp::create(b, total, totals, ValueRange{at, zero});
  }
}

void PackedProducts::beginSums() {
  if (!totals)
    totals = t.scratch({t.rows, t.lanes}, b.getF32Type());
  t.loop(0, t.rows, 1, [&](Value row) {
    vector::StoreOp::create(b, splat(b, t.floats(), 0.0), totals,
                            ValueRange{row, t.index(0)});
  });
}

void PackedProducts::rescaleSum(Value row, Value factor) {
  if (!totals)
    return;
  SmallVector<Value> at = {row, t.index(0)};
  Value total = vector::LoadOp::create(b, t.floats(), totals, at);
  factor = vector::BroadcastOp::create(b, t.floats(), factor);
  vector::StoreOp::create(b, arith::MulFOp::create(b, total, factor), totals,
                          at);
}

void PackedProducts::endSums() {
  t.loop(0, t.rows, 1, [&](Value row) {
    Value total = vector::LoadOp::create(b, t.floats(), totals,
                                         ValueRange{row, t.index(0)});
    total = vector::ReductionOp::create(b, vector::CombiningKind::ADD, total);
    auto at = t.at(t.roles.state(), row, Value(), Value());
    Value sum = memref::LoadOp::create(b, t.op.getSum(), at);
    memref::StoreOp::create(b, arith::AddFOp::create(b, sum, total),
                            t.op.getSum(), at);
  });
}

void PackedProducts::valueBlock(Value row, int64_t block, Value count,
                                Value column, int64_t vectors,
                                int64_t columns) {
  Sums sums = t.loadSums(row, block, column, vectors, columns);
  Value at = column;
  if (pairs)
    at = arith::MulIOp::create(b, column, t.index(each));
  sums = multiply(weights, row, block, beside, at, vectors, count, sums);
  t.storeSums(row, block, column, columns, sums);
}

void PackedProducts::values(Value start, Value count, bool full) {
  int64_t block = wide * t.lanes, whole = t.width / block * block;
  auto over = [&](Value column, int64_t vectors, int64_t columns) {
    overRowBlocks([&](Value row, int64_t rows) {
      valueBlock(row, rows, count, column, vectors, columns);
    });
  };
  t.loop(0, whole, block, [&](Value column) { over(column, wide, block); });
  int64_t left = t.width - whole;
  if (left)
    over(t.index(whole), llvm::divideCeil(left, t.lanes), left);
}

std::unique_ptr<TileProducts> einhead::createPackedProducts(TileBuilder &tile,
                                                            bool pairs) {
  return std::make_unique<PackedProducts>(tile, pairs);
}
