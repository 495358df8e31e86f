//===- Roles.h - What each letter of an attention does ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_ROLES_H
#define EINHEAD_IR_ROLES_H

#include "einhead/IR/EinsumSpec.h"

namespace einhead::attn {

/// The roles of the letters of `query, key, value -> output`, read off from
/// where each letter stands (docs/Spec.md):
///
///   batch  output, and key or value        outer, parallel
///   row    query and output only           shares every K/V load
///   key    key and value only              softmax and sum
///   depth  query and key only              contracted by the scores
///   value  value and output only           columns of the result
struct AttentionRoles {
  std::string queryTerm, keyTerm, valueTerm, outputTerm;
  /// Letters by role: batch, row and value in the output's order, key and depth
  /// in the key term's.
  std::string batch, row, key, depth, value;

  /// Says which letter has no role through `emitError`, which may be null.
  static mlir::FailureOr<AttentionRoles>
  get(llvm::StringRef spec,
      llvm::function_ref<mlir::InFlightDiagnostic()> emitError = nullptr);

  /// The letters of a row's state: the output's without the value letters.
  std::string state() const { return lettersWithout(outputTerm, value); }
  /// The letters of the scores: the state's, then the key letters.
  std::string scores() const { return state() + key; }
  /// The letters of the scales of keys and values: one number for each row.
  std::string keyScale() const { return lettersWithout(keyTerm, depth); }
  std::string valueScale() const { return lettersWithout(valueTerm, value); }
};

} // namespace einhead::attn

#endif // EINHEAD_IR_ROLES_H
