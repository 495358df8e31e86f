//===- ProjectionLoop.h - Projections of one activation ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_PROJECTIONLOOP_H
#define EINHEAD_TRANSFORMS_PROJECTIONLOOP_H

#include "einhead/IR/Attn.h"

namespace einhead {

/// Rows of x that one block takes: with a panel of the weights they stay in the
/// second cache, and their products take longer than reading the weights.
constexpr int64_t projectionRows = 64;

/// One einsum of the activation and a weight.
struct Projection {
  attn::EinsumOp op;
  attn::EinsumSpec spec;
  unsigned activation = 0; // which operand
  /// The letter whose blocks the loop goes over, and the size of a block.
  char column = 0;
  int64_t extent = 0, block = 0;

  mlir::Value x() { return op.getInputs()[activation]; }
  mlir::Value weight() { return op.getInputs()[1 - activation]; }
  llvm::StringRef xTerm() const { return spec.inputs[activation]; }
  llvm::StringRef weightTerm() const { return spec.inputs[1 - activation]; }
};

/// Einsums that read one activation.
struct ProjectionGroup {
  llvm::SmallVector<Projection> members;
  int64_t blocks = 1;
  /// The dimension of x whose rows are taken in blocks, or -1.
  int64_t rows = -1;
  /// The dimension of x whose sums are cut into `splits` parts of `part`, or
  /// -1.
  int64_t summed = -1, part = 0, splits = 1;
};

/// Whether a letter stands in a term.
inline bool hasLetter(llvm::StringRef term, char letter) {
  return attn::indexOf(term, letter) >= 0;
}

/// Replaces the einsums by one scf.forall that computes blocks of all of them,
/// and where sums are cut by a second one that adds their parts in order.
void createProjectionLoop(ProjectionGroup &group);

} // namespace einhead

#endif // EINHEAD_TRANSFORMS_PROJECTIONLOOP_H
