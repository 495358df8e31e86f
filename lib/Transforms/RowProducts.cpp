//===- RowProducts.cpp - Products of K and V as they lie --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Scores: register blocks of MR rows x NK keys, MR * NK accumulators, whose
// lane sums are one vector.  Values: blocks of MR rows x NZ vectors of columns.
// Each row of K and V is loaded once for a block of MR rows, and the tile stays
// in the first cache for the other blocks.
//
// With bf16 pairs a vector holds two f32's worth of columns.  A product of
// pairs sums two neighbours: of the depth for the scores, of the keys for the
// values, where the rows of two keys are interleaved by the unpack
// instructions.  Those leave the columns of an accumulator in an order of their
// own, so that it is brought into that order before the keys of a tile and back
// afterwards.

#include "PairMath.h"
#include "TileProducts.h"
#include "VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

namespace {
class RowProducts final : public TileProducts {
public:
  RowProducts(TileBuilder &tile, bool pairs);

  void pack() override;
  void scores(Value start, Value count, bool full) override;
  Value keepWeights(Value row, ArrayRef<Value> weights, Value total) override;
  bool roundsWeights() const override { return pairs; }
  void values(Value start, Value count, bool full) override;

private:
  /// Rows of a register block: the largest power of two up to `left` that
  /// leaves room for at least as many keys.
  int64_t rowBlock(int64_t left) const;
  /// Calls `body(row, rows, first)` for register blocks that cover all rows;
  /// the first block is the one that brings the tile in.
  void overRowBlocks(llvm::function_ref<void(Value, int64_t, bool)> body);
  void scoreBlock(Value row, int64_t block, Value key, Value end, bool full,
                  bool fetch);
  SmallVector<Value> scoreStep(Value row, int64_t block,
                               ArrayRef<Value> keyRows, Value column,
                               int64_t valid, ValueRange sums);
  void fetchKeys(Value key, int64_t keys, Value column);
  void valueBlock(Value row, int64_t block, Value start, Value count,
                  Value column, int64_t vectors, int64_t columns, bool full,
                  bool fetch);
  SmallVector<Value> valueStep(Value row, int64_t block, Value start, Value key,
                               Value column, int64_t vectors, int64_t columns,
                               ValueRange sums);
  SmallVector<Value> pairStep(Value row, int64_t block, Value start, Value key,
                              Value hasSecond, Value column, int64_t vectors,
                              int64_t columns, ValueRange sums);
  void fetchValues(Value start, Value key, Value column, int64_t vectors);
  Value isExcluded(Value weight);
  bool pairs;
  int64_t step; ///< columns of K in a vector
  Value q, weights;
};
} // namespace

RowProducts::RowProducts(TileBuilder &tile, bool pairs)
    : TileProducts(tile), pairs(pairs), step(pairs ? 2 * t.lanes : t.lanes) {
  Type element = pairs ? Type(b.getBF16Type()) : Type(b.getF32Type());
  q = t.scratch({t.rows, static_cast<int64_t>(llvm::alignTo(t.depth, step))},
                element);
  // f32 weights take the place of the scores.
  weights = pairs ? t.scratch({t.rows, t.keyTile}, element) : t.scores;
}

int64_t RowProducts::rowBlock(int64_t left) const {
  int64_t block = 1;
  while (block * 2 <= left && block * block * 4 <= t.lanes)
    block *= 2;
  return block;
}

void RowProducts::overRowBlocks(
    llvm::function_ref<void(Value, int64_t, bool)> body) {
  int64_t done = rowBlock(t.rows);
  body(t.index(0), done, /*first=*/true);
  while (done < t.rows) {
    int64_t block = rowBlock(t.rows - done);
    int64_t end = done + (t.rows - done) / block * block;
    t.loop(done, end, block, [&](Value row) { body(row, block, false); });
    done = end;
  }
}

void RowProducts::pack() { packQueries(t, q); }

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

void RowProducts::scores(Value start, Value count, bool full) {
  overRowBlocks([&](Value row, int64_t block, bool first) {
    int64_t keys = t.lanes / block;
    t.loop(t.index(0), count, keys, {}, [&](Value key, ValueRange) {
      scoreBlock(row, block, t.add(start, key), t.add(start, count), full,
                 first && t.ahead);
      return SmallVector<Value>();
    });
  });
}

/// The lines of the keys `ahead`, a few with each step: memory is asked at an
/// even pace and in the order of its addresses, which the hardware's own
/// streams follow.
void RowProducts::fetchKeys(Value key, int64_t keys, Value column) {
  int64_t steps = llvm::divideCeil(t.depth, step);
  int64_t lines =
      llvm::divideCeil(keys * t.linesOf(t.op.getKey(), t.depth), steps);
  Value first = arith::MulIOp::create(
      b, arith::DivUIOp::create(b, column, t.index(step)), t.index(lines));
  t.prefetchLines(t.op.getKey(), t.roles.keyTerm, t.depth, t.add(key, t.ahead),
                  first, lines);
}

SmallVector<Value> RowProducts::scoreStep(Value row, int64_t block,
                                          ArrayRef<Value> keyRows, Value column,
                                          int64_t valid, ValueRange sums) {
  SmallVector<Value> next(sums), loaded;
  for (Value keyRow : keyRows) {
    auto indices = t.at(t.roles.keyTerm, Value(), keyRow, column);
    loaded.push_back(pairs ? t.loadRaw(t.op.getKey(), indices, step, valid)
                           : t.loadVector(t.op.getKey(), indices, valid));
  }
  VectorType type =
      t.vectorOf(cast<MemRefType>(q.getType()).getElementType(), step);
  for (int64_t r = 0; r < block; ++r) {
    Value query =
        vector::LoadOp::create(b, type, q, ValueRange{t.add(row, r), column});
    for (size_t k = 0; k < keyRows.size(); ++k) {
      Value &sum = next[r * keyRows.size() + k];
      sum = buildMultiplyAdd(b, query, loaded[k], sum);
    }
  }
  return next;
}

void RowProducts::scoreBlock(Value row, int64_t block, Value key, Value end,
                             bool full, bool fetch) {
  int64_t keys = t.lanes / block;
  SmallVector<Value> keyRows;
  Value last = full ? Value() : arith::SubIOp::create(b, end, t.index(1));
  for (int64_t k = 0; k < keys; ++k) {
    Value at = t.add(key, k);
    // Past the end the last key is read again; its score is discarded.
    keyRows.push_back(t.rowOf(full ? at : arith::MinUIOp::create(b, at, last)));
  }
  SmallVector<Value> sums(t.lanes, splat(b, t.floats(), 0.0));
  int64_t whole = t.depth / step * step;
  auto body = [&](Value column, ValueRange carried) {
    if (fetch)
      fetchKeys(key, keys, column);
    return scoreStep(row, block, keyRows, column, step, carried);
  };
  if (whole) {
    auto loop = t.loop(t.index(0), t.index(whole), step, sums, body);
    sums = SmallVector<Value>(loop.getResults());
  }
  if (whole < t.depth)
    sums =
        scoreStep(row, block, keyRows, t.index(whole), t.depth - whole, sums);
  Value score = buildLaneSums(b, sums);
  Value base = arith::SubIOp::create(b, key, t.keyBase);
  for (int64_t r = 0; r < block; ++r) {
    Value part = vector::ExtractStridedSliceOp::create(
        b, score, ArrayRef<int64_t>{r * keys}, ArrayRef<int64_t>{keys},
        ArrayRef<int64_t>{1});
    vector::StoreOp::create(b, part, t.scores, ValueRange{t.add(row, r), base});
  }
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

Value RowProducts::keepWeights(Value row, ArrayRef<Value> vectors,
                               Value total) {
  return pairs ? keepPairs(b, vectors, weights, row, total)
               : keepFloats(b, vectors, weights, row, total);
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// Whether a weight is that of a key that does not attend: -0.
Value RowProducts::isExcluded(Value weight) {
  Type i32 = b.getI32Type();
  Value bits = arith::BitcastOp::create(b, i32, weight);
  Value sign = arith::ConstantOp::create(
      b, b.getI32IntegerAttr(std::numeric_limits<int32_t>::min()));
  return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, bits, sign);
}

/// The same for the values; a step takes one or two keys of `vectors` vectors.
void RowProducts::fetchValues(Value start, Value key, Value column,
                              int64_t vectors) {
  Value memref = t.op.getValue();
  int64_t each = pairs ? 2 : 1;
  int64_t lines = t.linesOf(memref, vectors * t.lanes) * each;
  Value step = arith::DivUIOp::create(b, column, t.index(vectors * t.lanes));
  step = arith::MulIOp::create(b, step,
                               t.index(llvm::divideCeil(t.keyTile, each)));
  step = t.add(step, arith::DivUIOp::create(b, key, t.index(each)));
  t.prefetchLines(memref, t.roles.valueTerm, t.width, t.add(start, t.ahead),
                  arith::MulIOp::create(b, step, t.index(lines)), lines);
}

SmallVector<Value> RowProducts::valueStep(Value row, int64_t block, Value start,
                                          Value key, Value column,
                                          int64_t vectors, int64_t columns,
                                          ValueRange sums) {
  SmallVector<Value> next(sums), loaded;
  Value valueRow = t.rowOf(t.add(start, key));
  for (int64_t z = 0; z < vectors; ++z)
    loaded.push_back(t.loadVector(
        t.op.getValue(),
        t.at(t.roles.valueTerm, Value(), valueRow, t.add(column, z * t.lanes)),
        t.countAt(z, columns)));
  for (int64_t r = 0; r < block; ++r) {
    Value weight =
        memref::LoadOp::create(b, weights, ValueRange{t.add(row, r), key});
    Value spread = vector::BroadcastOp::create(b, t.floats(), weight);
    Value excluded = t.mayExclude() ? isExcluded(weight) : Value();
    for (int64_t z = 0; z < vectors; ++z) {
      Value &sum = next[r * vectors + z];
      Value value = loaded[z];
      if (excluded)
        value = arith::SelectOp::create(b, excluded,
                                        splat(b, value.getType(), 0.0), value);
      sum = buildMultiplyAdd(b, spread, value, sum);
    }
  }
  return next;
}

/// Two keys.  `hasSecond`, if given, says whether there is a second one; its
/// weight is 0 otherwise, but its row may be none of V's.
SmallVector<Value> RowProducts::pairStep(Value row, int64_t block, Value start,
                                         Value key, Value hasSecond,
                                         Value column, int64_t vectors,
                                         int64_t columns, ValueRange sums) {
  SmallVector<Value> next(sums), loaded;
  Value first = t.add(start, key), second = t.add(first, 1);
  if (hasSecond)
    second = arith::SelectOp::create(b, hasSecond, second, first);
  first = t.rowOf(first);
  second = t.rowOf(second);
  for (int64_t z = 0; z < vectors; z += 2) {
    Value at = t.add(column, z * t.lanes);
    int64_t count = columns - z * t.lanes;
    Value x =
        t.loadRaw(t.op.getValue(), t.at(t.roles.valueTerm, Value(), first, at),
                  step, count);
    Value y =
        t.loadRaw(t.op.getValue(), t.at(t.roles.valueTerm, Value(), second, at),
                  step, count);
    if (hasSecond)
      y = arith::SelectOp::create(b, hasSecond, y, splat(b, y.getType(), 0.0));
    for (bool high : {false, true})
      loaded.push_back(buildUnpack(b, x, y, high));
  }
  for (int64_t r = 0; r < block; ++r) {
    Value spread = loadPair(b, weights, t.add(row, r), key, step);
    for (int64_t z = 0; z < vectors; ++z) {
      Value &sum = next[r * vectors + z];
      sum = buildMultiplyAdd(b, spread, loaded[z], sum);
    }
  }
  return next;
}

/// `columns` columns from `column` on, in `vectors` vectors.
void RowProducts::valueBlock(Value row, int64_t block, Value start, Value count,
                             Value column, int64_t vectors, int64_t columns,
                             bool full, bool fetch) {
  SmallVector<Value> sums = t.loadSums(row, block, column, vectors, columns);
  for (int64_t r = 0; pairs && r < block; ++r)
    toUnpackedOrder(
        b, llvm::MutableArrayRef<Value>(sums).slice(r * vectors, vectors));
  auto keys = t.loop(t.index(0), count, pairs ? 2 : 1, sums,
                     [&](Value key, ValueRange carried) -> SmallVector<Value> {
                       if (fetch)
                         fetchValues(start, key, column, vectors);
                       if (!pairs)
                         return valueStep(row, block, start, key, column,
                                          vectors, columns, carried);
                       Value hasSecond;
                       if (!full || t.keyTile % 2)
                         hasSecond =
                             arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                                   t.add(key, 1), count);
                       return pairStep(row, block, start, key, hasSecond,
                                       column, vectors, columns, carried);
                     });
  sums = SmallVector<Value>(keys.getResults());
  for (int64_t r = 0; pairs && r < block; ++r)
    fromUnpackedOrder(
        b, llvm::MutableArrayRef<Value>(sums).slice(r * vectors, vectors));
  t.storeSums(row, block, column, columns, sums);
}

void RowProducts::values(Value start, Value count, bool full) {
  overRowBlocks([&](Value row, int64_t block, bool first) {
    bool fetch = first && t.ahead;
    int64_t vectors = std::min<int64_t>(t.lanes / block, 8);
    if (pairs)
      vectors = std::max<int64_t>(vectors, 2);
    int64_t chunk = vectors * t.lanes, whole = t.width / chunk * chunk;
    t.loop(0, whole, chunk, [&](Value column) {
      valueBlock(row, block, start, count, column, vectors, chunk, full, fetch);
    });
    if (whole == t.width)
      return;
    int64_t left = llvm::divideCeil(t.width - whole, t.lanes);
    if (pairs)
      left = llvm::alignTo(left, 2);
    valueBlock(row, block, start, count, t.index(whole), left, t.width - whole,
               full, fetch);
  });
}

std::unique_ptr<TileProducts> einhead::createRowProducts(TileBuilder &tile,
                                                         bool pairs) {
  return std::make_unique<RowProducts>(tile, pairs);
}
