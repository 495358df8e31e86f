//===- MatrixTile.cpp - Attention in matrix tiles (AMX) ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Tiles do not live across loops, so sums are unrolled.

#include "MatrixTile.h"
#include "PairMath.h"
#include "VectorMath.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// Rows of a tile, and its columns of f32; pairs of bf16 are as many.
static constexpr int64_t most = 16;
/// Elements of a tile of f32, and of one of bf16.
static constexpr int64_t tileFloats = most * most, tilePairs = 2 * tileFloats;
/// Tiles of columns that are summed at a time.
static constexpr int64_t run = 4;

bool MatrixTile::takes(TileBuilder &tile) {
  return tile.keyTile % (2 * most) == 0 && tile.lanes == most;
}

MatrixTile::MatrixTile(TileBuilder &tile)
    : t(tile), b(tile.b), inBlock(t.rows <= 4   ? 4
                                  : t.rows <= 8 ? 8
                                                : most),
      blocks(llvm::divideCeil(t.rows, inBlock)),
      steps(llvm::divideCeil(t.depth, 2 * most)),
      keyBlocks(t.keyTile / (2 * most)),
      columns(llvm::alignTo(t.width, 2 * most)) {
  Type bf16 = b.getBF16Type(), f32 = b.getF32Type();
  // A tile of rows that are shorter than its own reaches beyond the last one.
  int64_t beyond = 2 * (most - inBlock), slots = std::min<int64_t>(blocks, 4);
  q = t.scratch({t.rows, steps * 2 * most}, bf16);
  turned = t.scratch({blocks * steps * most * inBlock * 2 + beyond}, bf16);
  across = t.scratch({slots * t.keyTile * inBlock + beyond}, f32);
  rounded = t.scratch({blocks * keyBlocks * tilePairs}, bf16);
  beside = t.scratch({2 * keyBlocks * run * tilePairs}, bf16);
  sums = t.scratch({blocks * most * columns}, f32);
  maxima = t.scratch({blocks * most}, f32);
  totals = t.scratch({blocks * most}, f32);
  byLane = t.scratch({most}, f32);
}

Value MatrixTile::scaled(Value x, int64_t factor) {
  return arith::MulIOp::create(b, x, t.index(factor));
}

/// All tiles are whole ones: a tile register keeps one shape in a function.
Value MatrixTile::load(Type element, Value memref, Value at, int64_t stride) {
  int64_t width = element.isF32() ? most : 2 * most;
  auto type = amx::TileType::get({most, width}, element);
  return amx::TileLoadOp::create(b, type, memref, at, t.index(stride));
}

Value MatrixTile::vectorAt(Value memref, Value at) {
  return vector::LoadOp::create(b, t.floats(), memref, at);
}

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

Value MatrixTile::sumsAt(Value block, Value row, Value column) {
  Value at = t.add(scaled(block, most * columns), scaled(row, most));
  return t.add(at, scaled(column, most));
}

/// Calls `body` for each row and pair of tiles of columns; `columns` of them
/// are left.
void MatrixTile::overSums(
    llvm::function_ref<void(Value, Value, Value, int64_t)> body) {
  t.loop(0, t.rows, 1, [&](Value row) {
    Value block = arith::DivUIOp::create(b, row, t.index(inBlock));
    Value inside = arith::RemUIOp::create(b, row, t.index(inBlock));
    auto at = [&](Value column, int64_t left) {
      body(sumsAt(block, inside, column), row, column, left);
    };
    int64_t whole = t.width / (2 * most) * 2 * most;
    t.loop(0, whole, 2 * most, [&](Value column) { at(column, 2 * most); });
    if (whole < t.width)
      at(t.index(whole), t.width - whole);
  });
}

bool MatrixTile::startsAnew(Operation *anchor) {
  for (Operation *op = anchor->getPrevNode(); op; op = op->getPrevNode()) {
    if (auto fill = dyn_cast<linalg::FillOp>(op)) {
      if (fill.getOutputs().front() != t.op.getAccumulator())
        continue;
      bool isZero = matchPattern(fill.getInputs().front(), m_AnyZeroFloat());
      if (isZero)
        fill.erase();
      return isZero;
    }
    if (!isMemoryEffectFree(op) && !isa<memref::AllocaOp>(op))
      return false;
  }
  return false;
}

void MatrixTile::enter(bool isNew) {
  Value none = splat(b, t.floats(), 0.0);
  auto clear = [&](Value memref) {
    int64_t size = cast<MemRefType>(memref.getType()).getNumElements();
    t.loop(0, size, most,
           [&](Value at) { vector::StoreOp::create(b, none, memref, at); });
  };
  clear(maxima);
  clear(totals);
  clear(sums);
  t.loop(0, t.rows, 1, [&](Value row) {
    auto state = t.at(t.roles.state(), row, Value(), Value());
    Value max = memref::LoadOp::create(b, t.op.getMax(), state);
    for (int64_t lane = 0; lane < most; lane += inBlock)
      memref::StoreOp::create(b, max, maxima, t.add(row, lane));
    Value sum = memref::LoadOp::create(b, t.op.getSum(), state);
    memref::StoreOp::create(b, sum, totals, scaled(row, most / inBlock));
  });
  if (isNew)
    return;
  overSums([&](Value place, Value row, Value column, int64_t left) {
    SmallVector<Value> pair = t.loadSums(row, 1, column, 2, left);
    toUnpackedOrder(b, pair);
    vector::StoreOp::create(b, pair[0], sums, place);
    vector::StoreOp::create(b, pair[1], sums, t.add(place, tileFloats));
  });
}

void MatrixTile::leave() {
  t.loop(0, t.rows, 1, [&](Value row) {
    auto state = t.at(t.roles.state(), row, Value(), Value());
    memref::StoreOp::create(b, memref::LoadOp::create(b, maxima, row),
                            t.op.getMax(), state);
    Value lane = scaled(row, most / inBlock), sum;
    for (int64_t i = 0; i < most / inBlock; ++i) {
      Value part = memref::LoadOp::create(b, totals, t.add(lane, i));
      sum = sum ? Value(arith::AddFOp::create(b, sum, part)) : part;
    }
    memref::StoreOp::create(b, sum, t.op.getSum(), state);
  });
  overSums([&](Value place, Value row, Value column, int64_t left) {
    SmallVector<Value> pair = {vectorAt(sums, place),
                               vectorAt(sums, t.add(place, tileFloats))};
    fromUnpackedOrder(b, pair);
    t.storeSums(row, 1, column, left, pair);
  });
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

void MatrixTile::pack() {
  packQueries(t, q);
  int64_t whole = t.rows / inBlock;
  t.loop(0, whole, 1, [&](Value block) { packBlock(block, inBlock); });
  if (whole < blocks)
    packBlock(t.index(whole), t.rows - whole * inBlock);
}

/// Rows that are not there are 0.
void MatrixTile::packBlock(Value block, int64_t inRows) {
  auto type = t.vectorOf(b.getBF16Type(), 2 * most);
  t.loop(0, steps, 1, [&](Value step) {
    SmallVector<Value> vectors;
    Value column = scaled(step, 2 * most);
    for (int64_t r = 0; r < most; ++r) {
      Value row = t.add(scaled(block, inBlock), r);
      Value vector =
          r < inRows
              ? vector::LoadOp::create(b, type, q, ValueRange{row, column})
                    .getResult()
              : splat(b, type, 0.0);
      vectors.push_back(castElements(b, vector, b.getI32Type()));
    }
    buildTranspose(b, vectors);
    Value at = t.add(scaled(block, steps), step);
    at = scaled(at, most * inBlock * 2);
    // Each overwrites what the one before has too much.
    for (auto [i, vector] : llvm::enumerate(vectors))
      vector::StoreOp::create(b, castElements(b, vector, b.getBF16Type()),
                              turned, t.add(at, i * inBlock * 2));
  });
}

/// Rows that end within a tile, and those of a list, one after the other.  Past
/// the end the last key is taken again; its scores are discarded.
void MatrixTile::stage(const Tile &tile) {
  if (takesKeysAsTheyLie(tile.full))
    return;
  lying = t.scratch({t.keyTile, steps * 2 * most}, b.getBF16Type());
  Value memref = t.op.getKey();
  Value last = arith::SubIOp::create(b, tile.count, t.index(1));
  t.loop(0, t.keyTile, 1, [&](Value key) {
    Value at = tile.full ? key : arith::MinUIOp::create(b, key, last);
    Value row = t.rowOf(t.add(tile.start, at));
    auto copy = [&](Value column, int64_t left) {
      Value vector = t.loadRaw(
          memref, t.at(t.roles.keyTerm, Value(), row, column), 2 * most, left);
      vector::StoreOp::create(b, vector, lying, ValueRange{key, column});
    };
    int64_t whole = t.depth / (2 * most) * 2 * most;
    t.loop(0, whole, 2 * most, [&](Value column) { copy(column, 2 * most); });
    if (whole < t.depth)
      copy(t.index(whole), t.depth - whole);
  });
}

/// 16 keys by 32 columns of K, which is `apart` elements from row to row if it
/// is taken as it lies.
Value MatrixTile::keyTileAt(const ScoreBlock &at, Value apart, int64_t i,
                            int64_t step) {
  Value key = t.add(at.key, i * most), column = t.index(step * 2 * most);
  auto type = amx::TileType::get({most, 2 * most}, b.getBF16Type());
  if (!apart)
    return amx::TileLoadOp::create(b, type, lying, ValueRange{key, column},
                                   Value());
  return amx::TileLoadOp::create(
      b, type, t.op.getKey(),
      t.at(t.roles.keyTerm, Value(), t.add(at.start, key), column), apart);
}

Value MatrixTile::queryTileAt(const ScoreBlock &at, int64_t j, int64_t step) {
  Value place = t.add(scaled(t.add(at.block, j), steps), step);
  return load(b.getBF16Type(), turned, scaled(place, most * inBlock * 2),
              inBlock * 2);
}

/// `sums` and the products of a block, beside other work.  Queries are loaded
/// first, keys just before their products: eight tiles in all.
void MatrixTile::multiplyScores(const ScoreBlock &at,
                                llvm::MutableArrayRef<Value> sums,
                                Beside &beside) {
  Value apart;
  if (takesKeysAsTheyLie(at.full)) {
    auto metadata = memref::ExtractStridedMetadataOp::create(b, t.op.getKey());
    apart = metadata.getStrides()[indexOf(t.roles.keyTerm, t.roles.key[0])];
  }
  int64_t last = at.firstStep + at.steps, all = sums.size() * at.steps;
  for (int64_t step = at.firstStep, done = 0; step < last; ++step) {
    SmallVector<Value> queries;
    for (int64_t j = 0; j < at.wide; ++j)
      queries.push_back(queryTileAt(at, j, step));
    for (int64_t i = 0; i < at.high; ++i) {
      Value keys = keyTileAt(at, apart, i, step);
      for (int64_t j = 0; j < at.wide; ++j) {
        Value &sum = sums[i * at.wide + j];
        sum = amx::TileMulFOp::create(b, sum.getType(), keys, queries[j], sum);
        beside.write(++done, all);
      }
    }
  }
}

void MatrixTile::scoreTiles(const ScoreBlock &at, Beside &beside) {
  Type f32 = b.getF32Type();
  auto place = [&](int64_t i) {
    return acrossAt(t.add(at.slot, i % at.wide),
                    t.add(at.key, i / at.wide * most));
  };
  auto type = amx::TileType::get({most, most}, f32);
  SmallVector<Value> products;
  for (int64_t i = 0; i < at.high * at.wide; ++i)
    products.push_back(at.firstStep
                           ? load(f32, across, place(i), inBlock)
                           : amx::TileZeroOp::create(b, type).getResult());
  multiplyScores(at, products, beside);
  for (auto [i, product] : llvm::enumerate(products))
    amx::TileStoreOp::create(b, across, place(i), product, t.index(inBlock));
}

/// Scores of two blocks of rows (`wide` = 1: of one) beside the weights of the
/// two that came before.  The depth is walked in parts, so that the queries of
/// a part stay in the first cache for all keys.
void MatrixTile::scorePair(const Tile &tile, Value block, int64_t wide,
                           Value slot, Value before, Value beforeSlot) {
  constexpr int64_t mostSteps = 10;
  int64_t parts = llvm::divideCeil(steps, mostSteps);
  int64_t each = llvm::divideCeil(steps, parts);
  for (int64_t part = 0; part < parts; ++part)
    t.loop(0, t.keyTile, 2 * most, [&](Value key) {
      Beside weights; // or values
      Value keyBlock = arith::DivUIOp::create(b, key, t.index(2 * most));
      if (!before && part == 0)
        firstValues(weights, tile, key, 2 * most);
      for (int64_t u = 0; before && u < 2; ++u)
        if (parts == 1 || part == u)
          addWeights(weights, t.add(beforeSlot, u), t.add(before, u), keyBlock);
      ScoreBlock at = {tile.start, key, block, slot, 2, wide, part * each};
      at.steps = std::min(each, steps - part * each);
      at.full = tile.full;
      scoreTiles(at, weights);
    });
  for (int64_t u = 0; u < wide; ++u)
    raiseMaxima(t.add(slot, u), t.add(block, u), tile);
}

void MatrixTile::scores(const Tile &tile) {
  Value zero = t.index(0), two = t.index(2);
  if (blocks == 1) {
    int64_t high = t.keyTile % (4 * most) == 0 ? 4 : 2;
    t.loop(0, t.keyTile, high * most, [&](Value key) {
      ScoreBlock at = {tile.start, key, zero, zero, high, 1, 0, steps};
      at.full = tile.full;
      Beside beside;
      firstValues(beside, tile, key, high * most);
      scoreTiles(at, beside);
    });
    raiseMaxima(zero, zero, tile);
    return weights(zero, zero);
  }
  // Slots are taken in turn.
  auto slotOf = [&](Value pair) {
    return scaled(arith::RemUIOp::create(b, pair, two), 2);
  };
  int64_t pairs = blocks / 2;
  scorePair(tile, zero, 2, zero, Value(), Value());
  t.loop(1, pairs, 1, [&](Value pair) {
    Value before = arith::SubIOp::create(b, pair, t.index(1));
    scorePair(tile, scaled(pair, 2), 2, slotOf(pair), scaled(before, 2),
              slotOf(before));
    valuesOf(scaled(before, 2), 2);
  });
  Value last = t.index(pairs);
  if (blocks % 2) {
    Value before = t.index(pairs - 1);
    scorePair(tile, scaled(last, 2), 1, slotOf(last), scaled(before, 2),
              slotOf(before));
    valuesOf(scaled(before, 2), 2);
    weights(slotOf(last), scaled(last, 2));
    return valuesOf(scaled(last, 2), 1);
  }
  last = t.index(pairs - 1);
  for (int64_t u = 0; u < 2; ++u)
    weights(t.add(slotOf(last), u), t.add(scaled(last, 2), u));
  valuesOf(scaled(last, 2), 2);
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// Columns go to two places in turn.
Value MatrixTile::besideAt(Value column) {
  Value turn = arith::DivUIOp::create(b, column, t.index(run * most));
  turn = arith::RemUIOp::create(b, turn, t.index(2));
  return scaled(turn, keyBlocks * run * tilePairs);
}

/// Keys 2 pair and 2 pair + 1 of V, columns [column, column + left), unpacked:
/// a row of two tiles for 32 columns.  Keys past the last one are 0.
void MatrixTile::interleavePair(const Tile &tile, Value pair, Value column,
                                int64_t left) {
  int64_t tiles = llvm::divideCeil(left, 2 * most) * 2;
  Value key = scaled(pair, 2), rows[2], exist[2];
  for (int64_t i : {0, 1}) {
    Value at = t.add(key, i), row = t.add(tile.start, at);
    if (!tile.full) {
      exist[i] =
          arith::CmpIOp::create(b, arith::CmpIPredicate::ult, at, tile.count);
      row = arith::SelectOp::create(b, exist[i], row, tile.start);
    }
    rows[i] = t.rowOf(row);
  }
  Value keyBlock = arith::DivUIOp::create(b, pair, t.index(most));
  Value inBlock = arith::RemUIOp::create(b, pair, t.index(most));
  Value at =
      t.add(scaled(keyBlock, tiles * tilePairs), scaled(inBlock, 2 * most));
  at = t.add(at, besideAt(column));
  for (int64_t z = 0; z < tiles; z += 2) {
    Value halves[2];
    for (int64_t i : {0, 1}) {
      halves[i] = t.loadRaw(
          t.op.getValue(),
          t.at(t.roles.valueTerm, Value(), rows[i], t.add(column, z * most)),
          2 * most, left - z * most);
      if (exist[i])
        halves[i] = arith::SelectOp::create(b, exist[i], halves[i],
                                            splat(b, halves[i].getType(), 0.0));
    }
    for (int64_t high : {0, 1})
      vector::StoreOp::create(b, buildUnpack(b, halves[0], halves[1], high),
                              beside, t.add(at, (z + high) * tilePairs));
  }
}

void MatrixTile::firstValues(Beside &beside, const Tile &tile, Value key,
                             int64_t keys) {
  int64_t left = std::min(t.width, run * most);
  for (int64_t i = 0; i < keys / 2; ++i)
    beside.add([=, this] {
      Value pair = arith::DivUIOp::create(b, key, t.index(2));
      interleavePair(tile, t.add(pair, i), t.index(0), left);
    });
}

void MatrixTile::valueTiles(Value block, Value column, int64_t left,
                            Beside &work) {
  Type bf16 = b.getBF16Type(), f32 = b.getF32Type();
  int64_t tiles = llvm::divideCeil(left, 2 * most) * 2;
  Value at = sumsAt(block, t.index(0), column), from = besideAt(column);
  Value ofRows = scaled(block, keyBlocks * tilePairs);
  SmallVector<Value> products;
  for (int64_t z = 0; z < tiles; ++z)
    products.push_back(load(f32, sums, t.add(at, z * tileFloats), most));
  for (int64_t k = 0, done = 0; k < keyBlocks; ++k) {
    Value left = load(bf16, rounded, t.add(ofRows, k * tilePairs), 2 * most);
    for (int64_t z = 0; z < tiles; ++z) {
      Value right = load(bf16, beside, t.add(from, (k * tiles + z) * tilePairs),
                         2 * most);
      products[z] = amx::TileMulFOp::create(b, products[z].getType(), left,
                                            right, products[z]);
      work.write(++done, keyBlocks * tiles);
    }
  }
  for (int64_t z = 0; z < tiles; ++z)
    amx::TileStoreOp::create(b, sums, t.add(at, z * tileFloats), products[z],
                             t.index(most));
}

/// `left` columns from `column` on, beside the interleaving of `afterwards`
/// columns from `next` on, whose pairs of keys are shared among the rows.
void MatrixTile::overColumns(const Tile &tile, Value column, int64_t left,
                             Value next, int64_t afterwards) {
  int64_t pairs = t.keyTile / 2, each = llvm::divideCeil(pairs, blocks);
  t.loop(0, blocks, 1, [&](Value block) {
    Beside work;
    for (int64_t i = 0; next && i < each; ++i)
      work.add([=, this] {
        Value pair = t.add(scaled(block, each), i);
        // The last ones are done again where they do not come out even.
        if (each * blocks > pairs)
          pair = arith::MinUIOp::create(b, pair, t.index(pairs - 1));
        interleavePair(tile, pair, next, afterwards);
      });
    valueTiles(block, column, left, work);
  });
}

void MatrixTile::valuesOf(Value block, int64_t count) {
  for (int64_t u = 0; takesValuesEarly() && u < count; ++u) {
    Beside nothing;
    valueTiles(t.add(block, u), t.index(0), t.width, nothing);
  }
}

void MatrixTile::values(const Tile &tile) {
  if (takesValuesEarly())
    return;
  int64_t block = run * most, whole = t.width / block * block;
  int64_t tail = t.width - whole;
  t.loop(0, whole - block, block, [&](Value column) {
    overColumns(tile, column, block, t.add(column, block), block);
  });
  if (whole)
    overColumns(tile, t.index(whole - block), block,
                tail ? t.index(whole) : Value(), tail);
  if (tail)
    overColumns(tile, t.index(whole), tail, Value(), 0);
}

void MatrixTile::attend(Value start, Value count, bool full) {
  Tile tile = {start, count, full};
  stage(tile);
  scores(tile);
  values(tile);
}
