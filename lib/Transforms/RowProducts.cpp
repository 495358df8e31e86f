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
//
// Where V is read several times and nothing is asked for ahead, it is taken
// page by page: the hardware's prefetchers go on while a page is read again.

#include "PairMath.h"
#include "TileProducts.h"
#include "VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"

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
  bool readsInOrder() const override {
    return t.rows <= squareBlock() && rowsAdjoin(t.roles);
  }

private:
  /// Rows of a block of as many keys, or of half as many.
  int64_t squareBlock() const {
    return llvm::bit_floor<uint64_t>(std::sqrt(t.lanes));
  }
  /// Calls `body(row, rows)` for register blocks that cover all rows, of
  /// `most` rows, a power of two, and of fewer at the end.
  void overRowBlocks(int64_t most,
                     llvm::function_ref<void(Value, int64_t)> body);
  using Rows = SmallVector<Value>;
  Rows keyRows(Value key, int64_t keys, Value end, bool full);
  Value query(Value row, Value column);
  Value keyVector(Value keyRow, Value column, int64_t valid);
  Value heldScores(ValueRange queries, int64_t block, const Rows &keyRows);
  Value streamedScores(Value row, int64_t block, const Rows &keyRows);
  /// Keys [from, to) of the tile that begins at `start`, in whole or in pieces;
  /// `full`: all of them exist.
  struct Keys {
    Value start, from, to;
    bool full, isFirst = true, isLast = true;
  };
  int64_t keysOfPiece(bool isReadAgain);
  void valuesOf(const Keys &keys, int64_t most);
  void valueBlock(Value row, int64_t block, const Keys &keys, Value column,
                  int64_t vectors, int64_t columns);
  SmallVector<Value> valueStep(Value row, int64_t block, Value start, Value key,
                               Value column, int64_t vectors, int64_t columns,
                               ValueRange sums);
  SmallVector<Value> pairStep(Value row, int64_t block, Value start, Value key,
                              Value hasSecond, Value column, int64_t vectors,
                              int64_t columns, ValueRange sums);
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

void RowProducts::overRowBlocks(int64_t most,
                                llvm::function_ref<void(Value, int64_t)> body) {
  for (int64_t done = 0, block = most; done < t.rows; block /= 2) {
    int64_t end = done + (t.rows - done) / block * block;
    t.loop(done, end, block, [&](Value row) { body(row, block); });
    done = end;
  }
}

void RowProducts::pack() { packQueries(t, q); }

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

/// The queries stay in registers where those of one row fit: K is read in the
/// order of its addresses then, which the hardware's prefetchers follow.
/// Otherwise as many keys as rows share loads best.
void RowProducts::scores(Value start, Value count, bool full) {
  int64_t steps = llvm::divideCeil(t.depth, step);
  bool held = steps <= t.lanes;
  int64_t most = squareBlock();
  while (held && most * steps > t.lanes)
    most /= 2;
  overRowBlocks(most, [&](Value row, int64_t block) {
    SmallVector<Value> queries;
    for (int64_t r = 0; held && r < block; ++r)
      for (int64_t i = 0; i < steps; ++i)
        queries.push_back(query(t.add(row, r), t.index(i * step)));
    int64_t keys = t.lanes / block;
    t.loop(t.index(0), count, keys, {}, [&](Value key, ValueRange) {
      Rows rows = keyRows(t.add(start, key), keys, t.add(start, count), full);
      Value score = held ? heldScores(queries, block, rows)
                         : streamedScores(row, block, rows);
      for (int64_t r = 0; r < block; ++r) {
        Value part = vector::ExtractStridedSliceOp::create(
            b, score, ArrayRef<int64_t>{r * keys}, ArrayRef<int64_t>{keys},
            ArrayRef<int64_t>{1});
        vector::StoreOp::create(b, part, t.scores,
                                ValueRange{t.add(row, r), key});
      }
      return SmallVector<Value>();
    });
  });
}

/// Past the end the last key is read again; its score is discarded.
RowProducts::Rows RowProducts::keyRows(Value key, int64_t keys, Value end,
                                       bool full) {
  Rows rows;
  Value last = full ? Value() : arith::SubIOp::create(b, end, t.index(1));
  for (int64_t k = 0; k < keys; ++k) {
    Value at = t.add(key, k);
    rows.push_back(t.rowOf(full ? at : arith::MinUIOp::create(b, at, last)));
  }
  return rows;
}

Value RowProducts::query(Value row, Value column) {
  auto type = t.vectorOf(cast<MemRefType>(q.getType()).getElementType(), step);
  return vector::LoadOp::create(b, type, q, ValueRange{row, column});
}

Value RowProducts::keyVector(Value keyRow, Value column, int64_t valid) {
  auto indices = t.at(t.roles.keyTerm, Value(), keyRow, column);
  return pairs ? t.loadRaw(t.op.getKey(), indices, step, valid)
               : t.loadVector(t.op.getKey(), indices, valid);
}

/// One key after the other, all of its depth at once.
Value RowProducts::heldScores(ValueRange queries, int64_t block,
                              const Rows &keyRows) {
  int64_t steps = queries.size() / block;
  SmallVector<LaneSums> ofRow(block, LaneSums(b));
  for (Value keyRow : keyRows) {
    SmallVector<Value> sums(block, splat(b, t.floats(), 0.0));
    for (int64_t i = 0; i < steps; ++i) {
      Value key = keyVector(keyRow, t.index(i * step), t.depth - i * step);
      for (int64_t r = 0; r < block; ++r)
        sums[r] = buildMultiplyAdd(b, queries[r * steps + i], key, sums[r]);
    }
    for (int64_t r = 0; r < block; ++r)
      ofRow[r].push(sums[r]);
  }
  LaneSums all(b, keyRows.size());
  for (const LaneSums &each : ofRow)
    all.push(each.sum());
  return all.sum();
}

/// All keys of the block side by side, a vector of their depth at a time.
Value RowProducts::streamedScores(Value row, int64_t block,
                                  const Rows &keyRows) {
  auto body = [&](Value column, int64_t valid, ValueRange sums) {
    SmallVector<Value> next(sums), keys;
    for (Value keyRow : keyRows)
      keys.push_back(keyVector(keyRow, column, valid));
    for (int64_t r = 0; r < block; ++r) {
      Value ofRow = query(t.add(row, r), column);
      for (auto [k, key] : llvm::enumerate(keys)) {
        Value &sum = next[r * keys.size() + k];
        sum = buildMultiplyAdd(b, ofRow, key, sum);
      }
    }
    return next;
  };
  int64_t whole = t.depth / step * step;
  auto loop = t.loop(t.index(0), t.index(whole), step,
                     SmallVector<Value>(t.lanes, splat(b, t.floats(), 0.0)),
                     [&](Value column, ValueRange carried) {
                       return body(column, step, carried);
                     });
  SmallVector<Value> sums(loop.getResults());
  if (whole < t.depth)
    sums = body(t.index(whole), t.depth - whole, sums);
  return buildLaneSums(b, sums);
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
void RowProducts::valueBlock(Value row, int64_t block, const Keys &keys,
                             Value column, int64_t vectors, int64_t columns) {
  SmallVector<Value> sums = t.loadSums(row, block, column, vectors, columns);
  auto ofRow = [&](int64_t r) {
    return llvm::MutableArrayRef<Value>(sums).slice(r * vectors, vectors);
  };
  for (int64_t r = 0; pairs && keys.isFirst && r < block; ++r)
    toUnpackedOrder(b, ofRow(r));
  auto loop = t.loop(keys.from, keys.to, pairs ? 2 : 1, sums,
                     [&](Value key, ValueRange carried) -> SmallVector<Value> {
                       if (!pairs)
                         return valueStep(row, block, keys.start, key, column,
                                          vectors, columns, carried);
                       Value hasSecond;
                       if (!keys.full || t.keyTile % 2)
                         hasSecond =
                             arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                                                   t.add(key, 1), keys.to);
                       return pairStep(row, block, keys.start, key, hasSecond,
                                       column, vectors, columns, carried);
                     });
  sums = SmallVector<Value>(loop.getResults());
  for (int64_t r = 0; pairs && keys.isLast && r < block; ++r)
    fromUnpackedOrder(b, ofRow(r));
  t.storeSums(row, block, column, columns, sums);
}

/// Keys whose values are a page, where they are read again for other rows and
/// the hardware's prefetchers alone bring them; otherwise those of a tile.
int64_t RowProducts::keysOfPiece(bool isReadAgain) {
  constexpr int64_t page = 4096, fewest = 8;
  Type element = getElementTypeOrSelf(t.op.getValue());
  int64_t rowBytes = t.width * element.getIntOrFloatBitWidth() / 8;
  int64_t keys =
      std::max<int64_t>(fewest, llvm::bit_floor<uint64_t>(page / rowBytes));
  // Sums that wait in the order of unpacking fill their vectors.
  bool isWhole = t.width % step == 0 && t.keyTile % keys == 0;
  bool isFollowed = readsInOrder() && !t.ahead && !t.isList;
  return isReadAgain && isWhole && isFollowed ? keys : t.keyTile;
}

void RowProducts::valuesOf(const Keys &keys, int64_t most) {
  overRowBlocks(most, [&](Value row, int64_t block) {
    int64_t vectors = std::min<int64_t>(t.lanes / block, 8);
    if (pairs)
      vectors = std::max<int64_t>(vectors, 2);
    int64_t chunk = vectors * t.lanes, whole = t.width / chunk * chunk;
    t.loop(0, whole, chunk, [&](Value column) {
      valueBlock(row, block, keys, column, vectors, chunk);
    });
    if (whole == t.width)
      return;
    int64_t left = llvm::divideCeil(t.width - whole, t.lanes);
    if (pairs)
      left = llvm::alignTo(left, 2);
    valueBlock(row, block, keys, t.index(whole), left, t.width - whole);
  });
}

/// Where one block of rows would do, half as many take twice the columns: V is
/// read in longer runs, which counts more than the loads that are shared.
void RowProducts::values(Value start, Value count, bool full) {
  int64_t most = squareBlock();
  if (readsInOrder() && t.width * most > t.lanes * t.lanes)
    most = std::max<int64_t>(1, most / 2);
  int64_t piece = full ? keysOfPiece(t.rows > most) : t.keyTile;
  if (piece >= t.keyTile)
    return valuesOf({start, t.index(0), count, full}, most);
  for (int64_t from = 0; from < t.keyTile; from += piece)
    valuesOf({start, t.index(from), t.index(from + piece), full, from == 0,
              from + piece == t.keyTile},
             most);
}

std::unique_ptr<TileProducts> einhead::createRowProducts(TileBuilder &tile,
                                                         bool pairs) {
  return std::make_unique<RowProducts>(tile, pairs);
}
