//===- MatrixTile.h - Attention in matrix tiles (AMX) -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// A left operand of the matrix unit is rows as they lie, a right one has pairs
// of the summed letter beside each other.  K is read in place, and rows of
// queries stay in the lanes of vectors until the weights are rounded:
//
//   across[key][row] = K . Q^T        Q turned once, in tiles
//   weights[row][key]                 maxima and exponentials of across, turned
//                                     as pairs of bf16
//   sums[row][column] += weights . V  V interleaved for 64 columns at a time
//
// Rows go in blocks of 16; up to 8 or 4 rows are one block of so many, several
// keys beside each other in a vector.  Everything is kept in whole tiles, 1 KB
// without a gap, and so are the states of the rows, from enter() to leave().
// Unpacking V leaves the columns of the sums in an order of its own, which
// enter() and leave() know.
//
// The unit multiplies while vectors are at work: the exponentials of two blocks
// of rows stand between the products of the next two, and columns of V are
// interleaved between the products of those before.

#ifndef EINHEAD_LIB_TRANSFORMS_MATRIXTILE_H
#define EINHEAD_LIB_TRANSFORMS_MATRIXTILE_H

#include "TileBuilder.h"
#include <functional>

namespace einhead {

/// Vector code that stands between products of tiles, evenly.
class Beside {
public:
  void add(std::function<void()> unit) { units.push_back(std::move(unit)); }
  /// Writes what is to be done when `part` of `parts` products are.
  void write(int64_t part, int64_t parts) {
    for (size_t until = units.size() * part / parts; done < until; ++done)
      units[done]();
  }

private:
  std::vector<std::function<void()>> units;
  size_t done = 0;
};

/// All of a tile in matrix tiles, for attention whose keys all attend.
class MatrixTile {
public:
  explicit MatrixTile(TileBuilder &tile);
  /// Whether tiles, keys and vectors allow it.
  static bool takes(TileBuilder &tile);

  /// The queries into tiles.
  void pack();
  /// Whether the accumulator is filled with 0 before `anchor`; what fills it is
  /// erased, for nothing asks for it before leave().
  bool startsAnew(mlir::Operation *anchor);
  /// The states of the rows into tiles.
  void enter(bool isNew);
  void attend(mlir::Value start, mlir::Value count, bool full);
  /// And back.
  void leave();

private:
  struct ScoreBlock {
    mlir::Value start;          ///< of the tile
    mlir::Value key;            ///< the first one, in the tile
    mlir::Value block, slot;    ///< of rows
    int64_t high = 2, wide = 1; ///< tiles of keys and of rows
    int64_t firstStep = 0, steps = 0;
    bool full = true;
  };
  struct Tile {
    mlir::Value start, count;
    bool full;
  };

  mlir::Value scaled(mlir::Value x, int64_t factor);
  mlir::Value load(mlir::Type element, mlir::Value memref, mlir::Value at,
                   int64_t stride);
  mlir::Value vectorAt(mlir::Value memref, mlir::Value at);
  bool takesKeysAsTheyLie(bool full) {
    return full && !t.isList && t.depth % 32 == 0;
  }

  // States.
  mlir::Value sumsAt(mlir::Value block, mlir::Value row, mlir::Value column);
  void overSums(llvm::function_ref<void(mlir::Value place, mlir::Value row,
                                        mlir::Value column, int64_t columns)>
                    body);

  // Scores.
  void stage(const Tile &tile);
  void packBlock(mlir::Value block, int64_t inRows);
  void scores(const Tile &tile);
  void scorePair(const Tile &tile, mlir::Value block, int64_t wide,
                 mlir::Value slot, mlir::Value before, mlir::Value beforeSlot);
  /// The first columns of V beside the first scores, which have no weights.
  void firstValues(Beside &beside, const Tile &tile, mlir::Value key,
                   int64_t keys);
  void scoreTiles(const ScoreBlock &at, Beside &beside);
  void multiplyScores(const ScoreBlock &at,
                      llvm::MutableArrayRef<mlir::Value> sums, Beside &beside);
  mlir::Value keyTileAt(const ScoreBlock &at, mlir::Value apart, int64_t i,
                        int64_t step);
  mlir::Value queryTileAt(const ScoreBlock &at, int64_t j, int64_t step);

  // Weights (MatrixWeights.cpp).
  mlir::Value acrossAt(mlir::Value slot, mlir::Value key);
  void endKeys(mlir::Value slot, mlir::Value count);
  mlir::Value largest(mlir::Value slot);
  void raiseMaxima(mlir::Value slot, mlir::Value block, const Tile &tile);
  void rescale(mlir::Value block, mlir::Value factors);
  /// The weights of keys [32 keyBlock, + 32) of a block of rows.
  void addWeights(Beside &beside, mlir::Value slot, mlir::Value block,
                  mlir::Value keyBlock);
  void weights(mlir::Value slot, mlir::Value block);

  // Values.
  void values(const Tile &tile);
  /// Of narrow values, whose columns are all interleaved beside the first
  /// scores, blocks of rows meet them as soon as they have weights, while those
  /// are in the first cache.
  bool takesValuesEarly() const { return blocks > 1 && t.width <= 64; }
  void valuesOf(mlir::Value block, int64_t count);
  void overColumns(const Tile &tile, mlir::Value column, int64_t left,
                   mlir::Value next, int64_t afterwards);
  void interleavePair(const Tile &tile, mlir::Value pair, mlir::Value column,
                      int64_t left);
  void valueTiles(mlir::Value block, mlir::Value column, int64_t left,
                  Beside &beside);
  mlir::Value besideAt(mlir::Value column);

  TileBuilder &t;
  mlir::ImplicitLocOpBuilder &b;
  int64_t inBlock;     ///< rows of a block
  int64_t blocks;      ///< of rows
  int64_t steps;       ///< tiles along the depth
  int64_t keyBlocks;   ///< of 32 keys
  int64_t columns;     ///< of the sums: whole pairs of tiles
  mlir::Value q;       ///< [rows][depth]
  mlir::Value turned;  ///< [block][step][16 pairs][row][2]
  mlir::Value lying;   ///< [keys][depth]: K where it cannot be taken as it lies
  mlir::Value across;  ///< [slot][key][row]
  mlir::Value rounded; ///< [block][key block][16 rows][32 keys]
  mlir::Value beside;  ///< [2][key block][tile of columns][16 pairs][16][2]
  mlir::Value sums;    ///< [block][tile of columns][16 rows][16]
  mlir::Value maxima;  ///< [block][16]: row i % inBlock in lane i
  mlir::Value totals;  ///< [block][16]: row i / (16 / inBlock)
  mlir::Value byLane;  ///< a number for each row of a block
};

} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_MATRIXTILE_H
