//===- MatrixProducts.cpp - Products in matrix tiles (AMX) ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// A packed tile has the layout that the matrix unit wants of a right operand:
// pairs of the summed letter beside each other.  Left operands are queries and
// weights as they stand.  Blocks of 2 x 2 tiles use each loaded tile twice.
// Tiles do not live across loops, so the sums over the depth are unrolled.

#include "PackedProducts.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// Rows of a tile, and its columns of f32; pairs of bf16 are as many.
static constexpr int64_t most = 16;

namespace {
class MatrixProducts final : public PackedProducts {
public:
  explicit MatrixProducts(TileBuilder &tile, int64_t rowStride)
      : PackedProducts(tile, /*pairs=*/true), rowStride(rowStride) {
    padsValues = true;
    if (t.rows % (2 * most) || t.width % (2 * most))
      edge = t.scratch({2 * most, 2 * most}, b.getF32Type());
  }

  void scores(Value start, Value count, bool full) override;
  void values(Value start, Value count, bool full) override;

private:
  /// A block of result tiles: where it starts, how many tiles it is high and
  /// wide, and how many of their rows and columns there are.
  struct Area {
    Value row, column;
    int64_t high, wide, rows, columns;
    int64_t tiles() const { return high * wide; }
    bool isWhole() const {
      return rows == high * most && columns == wide * most;
    }
  };
  /// Calls `body` for blocks that cover all rows x `columns`.
  void overAreas(int64_t columns, llvm::function_ref<void(const Area &)> body);
  Value load(Type element, Value memref, ValueRange indices, Value stride = {});
  /// `sums`, tile by tile, and the products of left[row][i] and right[i]
  /// [column], i < 32 * steps.
  void multiply(const Area &area, Value left, Value right, int64_t steps,
                llvm::MutableArrayRef<Value> sums);
  /// Adds to the tiles of `area` that stand in `memref`, at `indices` of tile
  /// row and column.
  void addValues(const Area &area, Value memref,
                 llvm::function_ref<SmallVector<Value>(int64_t, int64_t)> at,
                 Value stride);
  /// The accumulator's part of `area` to or from `edge`.
  void copyEdge(const Area &area, bool back);

  Value edge;        ///< [32][32]: tiles that reach beyond rows or columns
  int64_t rowStride; ///< of the accumulator
};
} // namespace

void MatrixProducts::overAreas(int64_t columns,
                               llvm::function_ref<void(const Area &)> body) {
  constexpr int64_t block = 2 * most;
  auto over = [&](int64_t extent, llvm::function_ref<void(Value, int64_t)> of) {
    int64_t whole = extent / block * block;
    t.loop(0, whole, block, [&](Value at) { of(at, block); });
    if (whole < extent)
      of(t.index(whole), extent - whole);
  };
  over(columns, [&](Value column, int64_t inColumns) {
    over(t.rows, [&](Value row, int64_t inRows) {
      int64_t high = llvm::divideCeil(inRows, most);
      int64_t wide = llvm::divideCeil(inColumns, most);
      body({row, column, high, wide, inRows, inColumns});
    });
  });
}

/// All tiles are whole ones: a tile register keeps one shape in a function.
Value MatrixProducts::load(Type element, Value memref, ValueRange indices,
                           Value stride) {
  int64_t columns = element.isF32() ? most : 2 * most;
  auto type = amx::TileType::get({most, columns}, element);
  return amx::TileLoadOp::create(b, type, memref, indices, stride);
}

void MatrixProducts::multiply(const Area &area, Value left, Value right,
                              int64_t steps,
                              llvm::MutableArrayRef<Value> sums) {
  Type bf16 = b.getBF16Type();
  Value column = arith::MulIOp::create(b, area.column, t.index(2));
  for (int64_t step = 0; step < steps; ++step) {
    SmallVector<Value, 2> lefts, rights;
    for (int64_t i = 0; i < area.high; ++i)
      lefts.push_back(load(
          bf16, left, {t.add(area.row, i * most), t.index(step * 2 * most)}));
    for (int64_t j = 0; j < area.wide; ++j)
      rights.push_back(load(
          bf16, right, {t.index(step * most), t.add(column, j * 2 * most)}));
    for (int64_t i = 0; i < area.tiles(); ++i)
      sums[i] =
          amx::TileMulFOp::create(b, sums[i].getType(), lefts[i / area.wide],
                                  rights[i % area.wide], sums[i]);
  }
}

void MatrixProducts::scores(Value start, Value count, bool full) {
  auto type = amx::TileType::get({most, most}, b.getF32Type());
  overAreas(t.keyTile, [&](const Area &area) {
    SmallVector<Value> sums;
    for (int64_t i = 0; i < area.tiles(); ++i)
      sums.push_back(amx::TileZeroOp::create(b, type));
    multiply(area, q, turned, llvm::divideCeil(t.depth, 2 * most), sums);
    for (int64_t i = 0; i < area.tiles(); ++i)
      amx::TileStoreOp::create(
          b, t.scores,
          ValueRange{t.add(area.row, i / area.wide * most),
                     t.add(area.column, i % area.wide * most)},
          sums[i], /*stride=*/Value());
  });
}

void MatrixProducts::addValues(
    const Area &area, Value memref,
    llvm::function_ref<SmallVector<Value>(int64_t, int64_t)> at, Value stride) {
  SmallVector<Value> sums;
  for (int64_t i = 0; i < area.tiles(); ++i)
    sums.push_back(
        load(b.getF32Type(), memref, at(i / area.wide, i % area.wide), stride));
  multiply(area, weights, beside, t.keyTile / (2 * most), sums);
  for (int64_t i = 0; i < area.tiles(); ++i)
    amx::TileStoreOp::create(b, memref, at(i / area.wide, i % area.wide),
                             sums[i], stride);
}

void MatrixProducts::copyEdge(const Area &area, bool back) {
  t.loop(0, area.rows, 1, [&](Value row) {
    for (int64_t z = 0; z < area.wide; ++z) {
      auto indices =
          t.at(t.roles.outputTerm, arith::AddIOp::create(b, area.row, row),
               Value(), t.add(area.column, z * most));
      int64_t count = std::min(most, area.columns - z * most);
      SmallVector<Value> inEdge = {row, t.index(z * most)};
      if (back)
        t.storeVector(vector::LoadOp::create(b, t.floats(), edge, inEdge),
                      t.op.getAccumulator(), indices, count);
      else
        vector::StoreOp::create(
            b, t.loadVector(t.op.getAccumulator(), indices, count), edge,
            inEdge);
    }
  });
}

void MatrixProducts::values(Value start, Value count, bool full) {
  overAreas(t.width, [&](const Area &area) {
    if (!area.isWhole()) {
      copyEdge(area, /*back=*/false);
      addValues(
          area, edge,
          [&](int64_t i, int64_t j) {
            return SmallVector<Value>{t.index(i * most), t.index(j * most)};
          },
          Value());
      copyEdge(area, /*back=*/true);
      return;
    }
    addValues(
        area, t.op.getAccumulator(),
        [&](int64_t i, int64_t j) {
          return t.at(t.roles.outputTerm, t.add(area.row, i * most), Value(),
                      t.add(area.column, j * most));
        },
        t.index(rowStride));
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
  int64_t rowStride = rowStrideOf(tile);
  if (!rowStride || tile.keyTile % (2 * most) || tile.lanes != most)
    return createPackedProducts(tile, /*pairs=*/true);
  return std::make_unique<MatrixProducts>(tile, rowStride);
}
