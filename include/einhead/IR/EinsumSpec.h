//===- EinsumSpec.h - The text of an einsum ---------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_EINSUMSPEC_H
#define EINHEAD_IR_EINSUMSPEC_H

#include "mlir/IR/Diagnostics.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <string>

namespace einhead::attn {

/// "bhk, bhmk -> bhm": one term of letters for each operand and the result.
struct EinsumSpec {
  llvm::SmallVector<std::string, 3> inputs;
  std::string output;

  /// Says why and where (column in `text`, from 1) through `emitError`, which
  /// may be null.
  static mlir::FailureOr<EinsumSpec>
  parse(llvm::StringRef text,
        llvm::function_ref<mlir::InFlightDiagnostic()> emitError = nullptr);

  /// The canonical spelling: terms joined by ", ", then " -> ".
  std::string str() const;

  /// All letters, in order of first appearance: inputs, then output.
  std::string letters() const;
};

/// Position of a letter in a term, or -1.
inline int64_t indexOf(llvm::StringRef term, char letter) {
  size_t at = term.find(letter);
  return at == llvm::StringRef::npos ? -1 : static_cast<int64_t>(at);
}

/// The letters of `term` that are not in `without`.
std::string lettersWithout(llvm::StringRef term, llvm::StringRef without);

} // namespace einhead::attn

#endif // EINHEAD_IR_EINSUMSPEC_H
