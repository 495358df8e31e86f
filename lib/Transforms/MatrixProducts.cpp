//===- MatrixProducts.cpp - Products in matrix tiles (AMX) ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// A left operand of the matrix unit is rows as they lie, a right one has pairs
// of the summed letter beside each other.  K is read in place:
//
//   across[key][row] = K . Q^T        Q turned once, [D / 2][rows][2]
//   scores[row][key]                  across, turned in registers
//   acc[row][column] += P . V         V interleaved for a block of columns
//
// Tiles do not live across loops, so sums are unrolled.  A block is 2 x 2
// result tiles, which uses each loaded tile twice, or 4 x 1 where there is one.

#include "PackedProducts.h"
#include "VectorMath.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// Rows of a tile, and its columns of f32; pairs of bf16 are as many.
static constexpr int64_t most = 16;

namespace {
class MatrixProducts final : public TileProducts {
public:
  MatrixProducts(TileBuilder &tile, int64_t rowStride);

  void pack() override;
  void stage(Value start, Value count, bool full) override;
  void scores(Value start, Value count, bool full) override;
  Value keepWeights(Value row, ArrayRef<Value> vectors, Value total) override {
    return keepPairs(b, vectors, weights, row, total);
  }
  bool roundsWeights() const override { return true; }
  void values(Value start, Value count, bool full) override;

private:
  using At = llvm::function_ref<Value(int64_t tile, int64_t step)>;
  /// `sums`, high x wide tiles, and the products of left(i, step) and right(j,
  /// step).
  void multiply(int64_t high, int64_t wide, int64_t steps, At left, At right,
                llvm::MutableArrayRef<Value> sums);
  Value load(Type element, Value memref, ValueRange indices, Value stride = {});
  /// Calls `body(at, extent)` for blocks of `block` that cover `extent`.
  void overBlocks(int64_t extent, int64_t block,
                  llvm::function_ref<void(Value, int64_t)> body);
  bool takesKeysAsTheyLie(bool full) {
    return full && !t.isList && t.depth % (2 * most) == 0;
  }
  void scoreBlock(Value start, bool full, Value key, Value row, int64_t inKeys,
                  int64_t inRows);
  void turnScores(Value key, Value row, int64_t keyTiles, int64_t inRows);
  void valueBlock(Value row, int64_t inRows, Value column, int64_t inColumns);
  /// Adds the tiles in `edge` to the accumulator's rows and columns.
  void addEdge(Value row, int64_t inRows, Value column, int64_t inColumns);

  /// Tiles of a block along the letter that shares the rows' tiles.
  int64_t run;
  Value q;           ///< [rows][D], and turned:
  Value turned;      ///< [D / 2][rows][2]
  Value lying;       ///< [keys][D]: K where it cannot be taken as it lies
  Value across;      ///< [keys of a block][rows of a block]
  Value weights;     ///< [rows][keys]
  Value beside;      ///< [keys / 2][columns of a block][2]
  Value edge;        ///< tiles that reach beyond rows or columns
  int64_t rowStride; ///< of the accumulator, if one number
};
} // namespace

MatrixProducts::MatrixProducts(TileBuilder &tile, int64_t rowStride)
    : TileProducts(tile), run(tile.rows <= most ? 4 : 2), rowStride(rowStride) {
  Type bf16 = b.getBF16Type(), f32 = b.getF32Type();
  int64_t rows = t.paddedRows();
  int64_t depth = llvm::alignTo(t.depth, 2 * most), block = run * most;
  q = t.scratch({rows, depth}, bf16);
  turned = t.scratch({depth / 2, rows * 2}, bf16);
  lying = t.scratch({t.keyTile, depth}, bf16);
  across = t.scratch({block, 2 * most}, f32);
  weights = t.scratch({rows, t.keyTile}, bf16);
  beside = t.scratch({t.keyTile / 2, block * 2}, bf16);
  edge = t.scratch({2 * most, block}, f32);
}

/// All tiles are whole ones: a tile register keeps one shape in a function.
Value MatrixProducts::load(Type element, Value memref, ValueRange indices,
                           Value stride) {
  int64_t columns = element.isF32() ? most : 2 * most;
  auto type = amx::TileType::get({most, columns}, element);
  return amx::TileLoadOp::create(b, type, memref, indices, stride);
}

/// Eight tiles: of 2 x 2 sums all four operands are loaded first, else the one
/// of the shorter side.
void MatrixProducts::multiply(int64_t high, int64_t wide, int64_t steps,
                              At left, At right,
                              llvm::MutableArrayRef<Value> sums) {
  bool isSquare = high == wide;
  for (int64_t step = 0; step < steps; ++step) {
    SmallVector<Value> lefts(high), rights(wide);
    auto load = [&](At side, SmallVector<Value> &tiles) {
      for (auto [i, tile] : llvm::enumerate(tiles))
        tile = side(i, step);
    };
    if (high < wide || isSquare)
      load(left, lefts);
    if (wide < high || isSquare)
      load(right, rights);
    for (int64_t i = 0; i < high * wide; ++i) {
      Value &x = lefts[i / wide], &y = rights[i % wide];
      if (!x)
        x = left(i / wide, step);
      if (!y)
        y = right(i % wide, step);
      sums[i] = amx::TileMulFOp::create(b, sums[i].getType(), x, y, sums[i]);
    }
  }
}

void MatrixProducts::overBlocks(int64_t extent, int64_t block,
                                llvm::function_ref<void(Value, int64_t)> body) {
  int64_t whole = extent / block * block;
  t.loop(0, whole, block, [&](Value at) { body(at, block); });
  if (whole < extent)
    body(t.index(whole), extent - whole);
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

void MatrixProducts::pack() {
  packQueries(t, q);
  auto pairs = t.vectorOf(b.getBF16Type(), 2 * most);
  int64_t depth = llvm::alignTo(t.depth, 2 * most);
  t.loop(0, t.paddedRows(), most, [&](Value row) {
    t.loop(0, depth, 2 * most, [&](Value column) {
      SmallVector<Value> vectors;
      for (int64_t r = 0; r < most; ++r)
        vectors.push_back(
            castElements(b,
                         vector::LoadOp::create(
                             b, pairs, q, ValueRange{t.add(row, r), column}),
                         b.getI32Type()));
      buildTranspose(b, vectors);
      Value first = arith::DivUIOp::create(b, column, t.index(2));
      Value at = arith::MulIOp::create(b, row, t.index(2));
      for (auto [i, vector] : llvm::enumerate(vectors))
        vector::StoreOp::create(b, castElements(b, vector, b.getBF16Type()),
                                turned, ValueRange{t.add(first, i), at});
    });
  });
}

/// Rows that end within a tile, and those of a list, one after the other.  Past
/// the end the last key is taken again; its scores are discarded.
void MatrixProducts::stage(Value start, Value count, bool full) {
  if (takesKeysAsTheyLie(full))
    return;
  Value memref = t.op.getKey();
  Value last = arith::SubIOp::create(b, count, t.index(1));
  t.loop(0, t.keyTile, 1, [&](Value key) {
    Value at = full ? key : arith::MinUIOp::create(b, key, last);
    Value row = t.rowOf(t.add(start, at));
    overBlocks(t.depth, 2 * most, [&](Value column, int64_t columns) {
      Value vector =
          t.loadRaw(memref, t.at(t.roles.keyTerm, Value(), row, column),
                    2 * most, columns);
      vector::StoreOp::create(b, vector, lying, ValueRange{key, column});
    });
  });
}

void MatrixProducts::scores(Value start, Value count, bool full) {
  overBlocks(t.keyTile, run * most, [&](Value key, int64_t inKeys) {
    overBlocks(t.rows, 2 * most, [&](Value row, int64_t inRows) {
      scoreBlock(start, full, key, row, inKeys, inRows);
    });
  });
}

void MatrixProducts::scoreBlock(Value start, bool full, Value key, Value row,
                                int64_t inKeys, int64_t inRows) {
  Type bf16 = b.getBF16Type();
  int64_t high = llvm::divideCeil(inKeys, most);
  int64_t wide = llvm::divideCeil(inRows, most);
  Value stride;
  if (takesKeysAsTheyLie(full)) {
    auto metadata = memref::ExtractStridedMetadataOp::create(b, t.op.getKey());
    stride = metadata.getStrides()[indexOf(t.roles.keyTerm, t.roles.key[0])];
  }
  auto keys = [&](int64_t i, int64_t step) {
    Value at = t.add(key, i * most), column = t.index(step * 2 * most);
    if (!stride)
      return load(bf16, lying, {at, column});
    return load(bf16, t.op.getKey(),
                t.at(t.roles.keyTerm, Value(), t.add(start, at), column),
                stride);
  };
  Value pair = arith::MulIOp::create(b, row, t.index(2));
  auto queries = [&](int64_t j, int64_t step) {
    return load(bf16, turned,
                {t.index(step * most), t.add(pair, j * 2 * most)});
  };
  auto type = amx::TileType::get({most, most}, b.getF32Type());
  SmallVector<Value> sums;
  for (int64_t i = 0; i < high * wide; ++i)
    sums.push_back(amx::TileZeroOp::create(b, type));
  multiply(high, wide, llvm::divideCeil(t.depth, 2 * most), keys, queries,
           sums);
  for (int64_t i = 0; i < high * wide; ++i)
    amx::TileStoreOp::create(
        b, across,
        ValueRange{t.index(i / wide * most), t.index(i % wide * most)}, sums[i],
        /*stride=*/Value());
  turnScores(key, row, high, inRows);
}

void MatrixProducts::turnScores(Value key, Value row, int64_t keyTiles,
                                int64_t inRows) {
  for (int64_t i = 0; i < keyTiles; ++i)
    for (int64_t first = 0; first < inRows; first += most) {
      SmallVector<Value> vectors;
      for (int64_t k = 0; k < most; ++k)
        vectors.push_back(vector::LoadOp::create(
            b, t.floats(), across,
            ValueRange{t.index(i * most + k), t.index(first)}));
      buildTranspose(b, vectors);
      for (int64_t r = 0; r < std::min(most, inRows - first); ++r)
        vector::StoreOp::create(
            b, vectors[r], t.scores,
            ValueRange{t.add(row, first + r), t.add(key, i * most)});
    }
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

void MatrixProducts::values(Value start, Value count, bool full) {
  overBlocks(t.width, run * most, [&](Value column, int64_t inColumns) {
    interleaveValues(t, beside, start, count, full, column, inColumns,
                     /*pads=*/true);
    overBlocks(t.rows, 2 * most, [&](Value row, int64_t inRows) {
      valueBlock(row, inRows, column, inColumns);
    });
  });
}

void MatrixProducts::valueBlock(Value row, int64_t inRows, Value column,
                                int64_t inColumns) {
  Type bf16 = b.getBF16Type(), f32 = b.getF32Type();
  int64_t high = llvm::divideCeil(inRows, most);
  int64_t wide = llvm::divideCeil(inColumns, most);
  bool isWhole = rowStride && inRows % most == 0 && inColumns % most == 0;
  Value stride = t.index(rowStride);
  auto place = [&](int64_t i) {
    int64_t down = i / wide * most, right = i % wide * most;
    return isWhole ? t.at(t.roles.outputTerm, t.add(row, down), Value(),
                          t.add(column, right))
                   : SmallVector<Value>{t.index(down), t.index(right)};
  };
  auto type = amx::TileType::get({most, most}, f32);
  SmallVector<Value> sums;
  for (int64_t i = 0; i < high * wide; ++i)
    sums.push_back(isWhole ? load(f32, t.op.getAccumulator(), place(i), stride)
                           : Value(amx::TileZeroOp::create(b, type)));
  multiply(
      high, wide, t.keyTile / (2 * most),
      [&](int64_t i, int64_t step) {
        return load(bf16, weights,
                    {t.add(row, i * most), t.index(step * 2 * most)});
      },
      [&](int64_t j, int64_t step) {
        return load(bf16, beside,
                    {t.index(step * most), t.index(j * 2 * most)});
      },
      sums);
  for (auto [i, sum] : llvm::enumerate(sums))
    amx::TileStoreOp::create(b, isWhole ? t.op.getAccumulator() : edge,
                             place(i), sum, isWhole ? stride : Value());
  if (!isWhole)
    addEdge(row, inRows, column, inColumns);
}

void MatrixProducts::addEdge(Value row, int64_t inRows, Value column,
                             int64_t inColumns) {
  int64_t wide = llvm::divideCeil(inColumns, most);
  t.loop(0, inRows, 1, [&](Value r) {
    Value at = arith::AddIOp::create(b, row, r);
    SmallVector<Value> sums = t.loadSums(at, 1, column, wide, inColumns);
    for (int64_t z = 0; z < wide; ++z)
      sums[z] = arith::AddFOp::create(
          b, sums[z],
          vector::LoadOp::create(b, t.floats(), edge,
                                 ValueRange{r, t.index(z * most)}));
    t.storeSums(at, 1, column, inColumns, sums);
  });
}

/// How far rows of the accumulator that follow one another are apart; 0 if that
/// is not one number.
static int64_t rowStrideOf(TileBuilder &t) {
  auto type = cast<MemRefType>(t.op.getAccumulator().getType());
  auto [strides, offset] = type.getStridesAndOffset();
  int64_t expected = 0, first = 0;
  for (size_t i = strides.size(); i-- > 0;) {
    char letter = t.roles.outputTerm[i];
    if (indexOf(t.roles.row, letter) < 0 || t.extent(letter) == 1)
      continue;
    if (ShapedType::isDynamic(strides[i]) || (first && strides[i] != expected))
      return 0;
    first = first ? first : strides[i];
    expected = strides[i] * t.extent(letter);
  }
  return first ? first : t.width;
}

std::unique_ptr<TileProducts> einhead::createMatrixProducts(TileBuilder &tile) {
  if (tile.keyTile % (2 * most) || tile.lanes != most)
    return createPackedProducts(tile, /*pairs=*/true);
  return std::make_unique<MatrixProducts>(tile, rowStrideOf(tile));
}
