//===- PartialEmitter.h - One partial attention as register tiles ---------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_PARTIALEMITTER_H
#define EINHEAD_LIB_TRANSFORMS_PARTIALEMITTER_H

#include "MatrixTile.h"
#include "ScoreBuilder.h"
#include "TileProducts.h"

namespace einhead {

/// Writes the stages of TileBuilder.h, one after the other, around the products
/// that the schedule asks for.
class PartialEmitter : public ScoreBuilder {
public:
  using ScoreBuilder::ScoreBuilder;
  mlir::LogicalResult run();

private:
  // The whole.
  mlir::LogicalResult check();
  void measure();
  mlir::Operation *packAnchor();
  mlir::Operation *stateAnchor();
  void runMatrix(bool single);
  void runProducts(bool single);
  int64_t staticKeys();
  void askForFirst(mlir::scf::ForOp tiles);
  bool valueIsInKey();
  void tiles();
  void tile(mlir::Value start, mlir::Value count, bool full);
  void list(mlir::Value start, mlir::Value count);
  // Scores into those of exp2 (ShapeScores.cpp).
  void shapeScores(mlir::Value start, mlir::Value count);
  void testKeys(mlir::Value row, mlir::Value start, mlir::Value count);
  void excludeKeys(mlir::Value row);
  // Scales of i8 keys and values (TileScales.cpp).
  void copyScales(mlir::Value memref, llvm::StringRef term, mlir::Value start,
                  mlir::Value count, bool full, mlir::Value into);
  void loadScales(mlir::Value start, mlir::Value count, bool full);
  void scaleScores();
  llvm::SmallVector<mlir::Value>
  scaledWeights(llvm::ArrayRef<mlir::Value> weights);
  // Scores into weights (TileWeights.cpp).
  void weights(mlir::Value count, bool full);
  mlir::Value scoreVector(mlir::Value row, int64_t key, mlir::Value count,
                          bool full);
  mlir::Value toLog2(mlir::Value score);
  mlir::Value belowMax(mlir::Value score, mlir::Value max);
  mlir::Value rowMax(mlir::Value row, mlir::Value count, bool full);
  mlir::Value rowWeights(mlir::Value row, mlir::Value max, mlir::Value count,
                         bool full);
  void weighRows(mlir::Value row, int64_t block, mlir::Value count, bool full);
  llvm::SmallVector<mlir::Value>
  ofRows(int64_t block, llvm::function_ref<mlir::Value(mlir::Value)> ofRow);
  void rescale(mlir::Value row, mlir::Value factor);
  void raiseStates(mlir::Value row, int64_t block, mlir::Value before,
                   mlir::Value max, mlir::Value grows);
  void raiseMaxima(mlir::Value row, int64_t block,
                   llvm::ArrayRef<mlir::Value> largest);
  mlir::Value stateVector(mlir::Value state, mlir::Value row, int64_t block);
  void keepState(mlir::Value vector, mlir::Value state, mlir::Value row,
                 int64_t block);

  std::unique_ptr<TileProducts> products;
  std::unique_ptr<MatrixTile> matrix; ///< instead of `products`
  mlir::Value live;                   ///< by position in the tile
  mlir::Value keyScales, valueScales; ///< the same; null where there are none
  mlir::Value byLane;                 ///< a number for each row of a block
  mlir::Value byRow;                  ///< a vector for each of them
};
} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_PARTIALEMITTER_H
