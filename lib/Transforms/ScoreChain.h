//===- ScoreChain.h - From the scores einsum to the softmax -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_SCORECHAIN_H
#define EINHEAD_TRANSFORMS_SCORECHAIN_H

#include "einhead/IR/Attn.h"
#include "mlir/IR/PatternMatch.h"
#include <memory>

namespace einhead {

/// softmax input = score(scale * einsum) + bias.
struct ScoreChain {
  attn::EinsumOp einsum;
  double scale = 1.0;
  /// What is added last, or null, with its letters (those of the einsum's
  /// result).
  mlir::Value bias;
  std::string biasLetters;
  /// What lies between scale and bias, or null: a block of the score region
  /// whose indices are those of the einsum's result, in its order.
  std::unique_ptr<mlir::Block> region;

  /// Matches what is above `softmax`; the first reason why not, or "".
  static std::string match(attn::SoftmaxOp softmax, ScoreChain &chain);

  /// Moves the region into `op`, whose score letters may have another order
  /// than `letters`, the einsum's result.
  void moveInto(attn::AttentionOp op, llvm::StringRef letters);

  /// "; score region: 3 ops, reads 1 tensor", or "".
  std::string describe() const;
};

/// The einsums of the softmax's rank above it, behind elementwise ops only, in
/// the order of operands.
llvm::SmallVector<attn::EinsumOp> einsumsAbove(attn::SoftmaxOp softmax);

/// The one number that all elements of `value` are.
std::optional<double> uniformValue(mlir::Value value);

} // namespace einhead

#endif // EINHEAD_TRANSFORMS_SCORECHAIN_H
