//===- MaskPoints.h - A mask counted point by point -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_ANALYSIS_MASKPOINTS_H
#define EINHEAD_LIB_ANALYSIS_MASKPOINTS_H

#include "einhead/Analysis/MaskWalk.h"

namespace einhead {

/// The keys of an attention's mask, by testing each point; of all batches.
class MaskPoints {
public:
  /// For the keys 0 ... limit - 1; nothing if an extent or a symbol is unknown.
  static std::optional<MaskPoints> get(attn::AttentionLike op,
                                       const IndexEvaluator &at, int64_t limit);

  /// Keys that some row attends.
  int64_t attended();
  /// Keys that loops over a part visit: those of its list, for each row that
  /// chooses one, or all between its first and its last one.
  int64_t walked(const WalkedMask &part);

  /// Pairs of a row and a key that it attends: the rows of the mask's letters,
  /// and all batches.  Nothing where counting would take long.
  std::optional<int64_t> pairs();

private:
  explicit MaskPoints(attn::AttentionLike op) : op(op) {}
  int64_t overBatch(size_t letter, llvm::function_ref<int64_t()> count);
  bool attends(attn::MaskAttr part, llvm::StringRef rows);
  int64_t keysOf(attn::MaskAttr part, llvm::StringRef rows, bool between);
  int64_t overRows(const WalkedMask &part, llvm::StringRef choosing,
                   llvm::StringRef others);

  int64_t overRowsOf(size_t row, llvm::function_ref<int64_t()> count);
  int64_t keysOfOneRow(attn::MaskAttr part, const attn::KeySet &keys);

  attn::AttentionLike op;
  char key;
  std::string batch, rows; ///< letters of the mask
  int64_t limit, otherBatches;
  llvm::DenseMap<char, int64_t> extents, point;
  llvm::SmallVector<int64_t> symbols;
};

} // namespace einhead

#endif // EINHEAD_LIB_ANALYSIS_MASKPOINTS_H
