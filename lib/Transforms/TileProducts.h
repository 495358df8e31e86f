//===- TileProducts.h - The two products of a tile --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_TILEPRODUCTS_H
#define EINHEAD_LIB_TRANSFORMS_TILEPRODUCTS_H

#include "TileBuilder.h"
#include <memory>

namespace einhead {

/// How scores and values of a tile are multiplied; `products` and `packed` of
/// the schedule choose.  Each keeps the queries and the weights in the layout
/// that its instructions take.
class TileProducts {
public:
  explicit TileProducts(TileBuilder &tile) : t(tile), b(tile.b) {}
  virtual ~TileProducts() = default;

  /// The queries of all rows into scratch.
  virtual void pack() = 0;
  /// The keys [start, start + count) into scratch, where K and V are not taken
  /// as they lie.  With `full`, count is the whole tile.
  virtual void stage(mlir::Value start, mlir::Value count, bool full) {}
  /// scores[row][key] of all rows; those of keys from `count` on are anything.
  virtual void scores(mlir::Value start, mlir::Value count, bool full) = 0;
  /// Keeps the weights of one row, vectors of f32 in the order of the keys,
  /// rounded as `values` takes them; returns `total` and their sum by lanes.
  virtual mlir::Value keepWeights(mlir::Value row,
                                  llvm::ArrayRef<mlir::Value> weights,
                                  mlir::Value total) = 0;
  /// Whether the weights are rounded to bf16.
  virtual bool roundsWeights() const = 0;
  /// Whether weigh() may take the place of scores(), and of all that is made of
  /// the scores of a whole tile whose keys all attend.
  virtual bool weighsAtOnce() const { return false; }
  /// What a block of rows does where a score is more than `slack` above the
  /// maximum of its row; `largest` are those of each row, by lanes.
  using Raise = llvm::function_ref<void(mlir::Value row, int64_t block,
                                        llvm::ArrayRef<mlir::Value> largest)>;
  static constexpr double slack = 8;
  virtual void weigh(Raise raise) {}
  /// The sums of the weights since beginSums(), of which endSums() adds the
  /// lanes to the states; in between they may be multiplied.
  virtual void beginSums() {}
  virtual void rescaleSum(mlir::Value row, mlir::Value factor) {}
  virtual void endSums() {}
  /// accumulator[row] += weights . V.
  virtual void values(mlir::Value start, mlir::Value count, bool full) = 0;

  /// Whether K and V are read about in the order of their addresses, and hardly
  /// anything is done with a tile beside: prefetchers of the hardware do well.
  virtual bool readsInOrder() const { return false; }

  static std::unique_ptr<TileProducts> create(TileBuilder &tile);

protected:
  TileBuilder &t;
  mlir::ImplicitLocOpBuilder &b;
};

/// Rows of K and V as they lie; `pairs`: dot products of bf16, else f32 FMAs.
std::unique_ptr<TileProducts> createRowProducts(TileBuilder &tile, bool pairs);
/// K turned and V widened or interleaved in scratch, for many rows.
std::unique_ptr<TileProducts> createPackedProducts(TileBuilder &tile,
                                                   bool pairs);

} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_TILEPRODUCTS_H
