//===- ScoreBuilder.h - What a score's letters and numbers are ------------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_SCOREBUILDER_H
#define EINHEAD_LIB_TRANSFORMS_SCOREBUILDER_H

#include "TileBuilder.h"

namespace einhead {

/// One score at a time, whatever the tile is made of: which key it is of,
/// whether that key attends, what region and bias make of the product.
class ScoreBuilder : public TileBuilder {
public:
  using TileBuilder::TileBuilder;

  /// Whether the tile can be written, and its extents.
  mlir::LogicalResult check();
  void measure();
  /// `body` at each index of the batch letters from number `letter` on.
  void overBatch(size_t letter, llvm::function_ref<void()> body);
  /// Keys of a list, or those of K.
  mlir::Value keyCount();

  /// Key `position` of the list.
  mlir::Value listedKey(mlir::Value position);
  /// Puts key `i` of the tile at `start` into `listed` and `listedRows`.
  void listKey(mlir::Value start, mlir::Value i);
  /// The index of `letter` in the whole attention, at `row` and `key`.
  mlir::Value absolute(char letter, mlir::Value row, mlir::Value key);
  /// Whether the key attends, where that is asked (`isTested`).
  mlir::Value isLive(mlir::Value row, mlir::Value key);
  /// `factor` times the score, through the score region and with the bias, in
  /// units of log2.
  mlir::Value shapedScore(mlir::Value score, double factor, mlir::Value row,
                          mlir::Value key);
  /// Whether some letter of `letters` is a row letter: then rows differ.
  bool namesRow(llvm::StringRef letters);
};
} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_SCOREBUILDER_H
