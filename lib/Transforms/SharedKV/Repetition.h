//===- Repetition.h - Letters over which K and V repeat ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_SHAREDKV_REPETITION_H
#define EINHEAD_TRANSFORMS_SHAREDKV_REPETITION_H

#include "Parts.h"
#include "SharedKV.h"
#include "View.h"

namespace einhead::shared_kv {

/// One operand read from what it repeats.
struct Unrepeated {
  View view;
  llvm::SmallVector<SourceIndex> forms;
  /// The letters of the operand that the source lacks, with an extent that is
  /// not 1, and those without such an extent.
  std::string dropped, droppedUnits;
  /// The letters that the source has in part.
  llvm::SmallVector<std::pair<char, SourceIndex>> split;

  bool repeats() const { return !dropped.empty() || !split.empty(); }
  /// Whether both repeat the same letters in the same way.
  bool sameAs(const Unrepeated &other) const;
};

/// How K and V are read without their repetitions.
struct Repetition {
  Unrepeated key, value;

  /// A reason, or "" and `found` (if anything is repeated).
  static Reason find(const AttentionParts &parts,
                     std::optional<Repetition> &found);
};

} // namespace einhead::shared_kv

#endif // EINHEAD_TRANSFORMS_SHAREDKV_REPETITION_H
