//===- PackedProducts.h - Products of a tile in scratch memory --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_PACKEDPRODUCTS_H
#define EINHEAD_LIB_TRANSFORMS_PACKEDPRODUCTS_H

#include "PairMath.h"
#include "TileProducts.h"

namespace einhead {

class PackedProducts final : public TileProducts {
public:
  PackedProducts(TileBuilder &tile, bool pairs);

  void pack() override { packQueries(t, q); }
  void stage(mlir::Value start, mlir::Value count, bool full) override;
  void scores(mlir::Value start, mlir::Value count, bool full) override;
  mlir::Value keepWeights(mlir::Value row, llvm::ArrayRef<mlir::Value> vectors,
                          mlir::Value total) override;
  bool roundsWeights() const override { return pairs; }
  bool weighsAtOnce() const override { return pairs; }
  void weigh(Raise raise) override;
  void beginSums() override;
  void rescaleSum(mlir::Value row, mlir::Value factor) override;
  void endSums() override;
  void values(mlir::Value start, mlir::Value count, bool full) override;

private:
  using Sums = llvm::SmallVector<mlir::Value>;
  void turn(mlir::Value start, mlir::Value count, bool full);
  void turnBlock(llvm::ArrayRef<mlir::Value> keyRows, mlir::Value key,
                 mlir::Value column, int64_t columns);
  void widen(mlir::Value start, mlir::Value count);
  /// Calls `body(row, rows)` for register blocks that cover all rows.
  void overRowBlocks(llvm::function_ref<void(mlir::Value, int64_t)> body);
  /// `sums` of `block` rows x `vectors` vectors, and the products of
  /// left[row][i] with right[i / each][at ...], i < count.
  Sums multiply(mlir::Value left, mlir::Value row, int64_t block,
                mlir::Value right, mlir::Value at, int64_t vectors,
                mlir::Value count, mlir::ValueRange sums);
  mlir::Value spread(mlir::Value memref, mlir::Value row, mlir::Value column);
  Sums scoreSums(mlir::Value row, int64_t block, mlir::Value key,
                 int64_t vectors);
  void scoreBlock(mlir::Value row, int64_t block, mlir::Value key,
                  int64_t vectors);
  /// Calls `body(key, vectors)` for blocks of the keys of a tile.
  void overKeyBlocks(llvm::function_ref<void(mlir::Value, int64_t)> body);
  void weighBlock(mlir::Value row, int64_t block, mlir::Value key,
                  llvm::ArrayRef<mlir::Value> scores, Raise raise);
  mlir::Value stateOf(mlir::Value state, mlir::Value row);
  void valueBlock(mlir::Value row, int64_t block, mlir::Value count,
                  mlir::Value column, int64_t vectors, int64_t columns);

  bool pairs;
  int64_t each;      ///< elements that one lane sums at a time
  int64_t step;      ///< elements of a vector
  int64_t wide;      ///< vectors of a register block
  int64_t blockRows; ///< rows of a register block
  mlir::Value q, turned, beside, weights;
  mlir::Value totals; ///< [rows][lanes]: sums of weights
};

/// Columns [column, column + columns) of V of a tile into `beside`, [keys / 2]
/// [columns][2]: the elements of two keys beside each other.
void interleaveValues(TileBuilder &tile, mlir::Value beside, mlir::Value start,
                      mlir::Value count, bool full, mlir::Value column,
                      int64_t columns);

} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_PACKEDPRODUCTS_H
