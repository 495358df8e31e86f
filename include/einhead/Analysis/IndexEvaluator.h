//===- IndexEvaluator.h - Run a function's index arithmetic -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_ANALYSIS_INDEXEVALUATOR_H
#define EINHEAD_ANALYSIS_INDEXEVALUATOR_H

#include "einhead/IR/Attn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace einhead {

/// A dimension of a function's argument.
using ArgumentDim = std::pair<mlir::BlockArgument, unsigned>;

/// Runs loops and index arithmetic of a function on tensors, for example sizes
/// of its arguments, and nothing else: what is in the tensors is not known.
class IndexEvaluator {
public:
  /// Sizes of dynamic dimensions of arguments; `otherSize` for the rest.
  /// Integers in tensors, and arguments that are integers, count as lengths.
  llvm::DenseMap<ArgumentDim, int64_t> sizes;
  int64_t otherSize = 3;
  int64_t length = 700;

  /// Calls `visit` for each op that is reached, in order, after its operands
  /// are known.  Returns the op that it cannot run, or null.
  mlir::Operation *run(mlir::func::FuncOp function,
                       llvm::function_ref<void(mlir::Operation *)> visit);

  /// The number that an integer is, at this point of the run.
  std::optional<int64_t> value(mlir::Value value) const;
  std::optional<int64_t> value(mlir::OpFoldResult value) const;
  /// A dimension of a tensor.
  std::optional<int64_t> dim(mlir::Value tensor, unsigned i) const;

private:
  bool runBlock(mlir::Block &block);
  bool runOp(mlir::Operation *op);
  bool runLoops(mlir::scf::ForallOp op, unsigned level);
  std::optional<int64_t> evaluate(mlir::Operation *op) const;

  llvm::function_ref<void(mlir::Operation *)> visit = nullptr;
  mlir::Operation *stuck = nullptr;
  llvm::DenseMap<mlir::Value, int64_t> known;
};

/// The argument's dimension that dimension `i` of `tensor` is, if it is one's.
std::optional<ArgumentDim> argumentDim(mlir::Value tensor, unsigned i);

/// The tensor that `tensor` is a slice of a slice of ... .
mlir::Value rootOf(mlir::Value tensor);

} // namespace einhead

#endif // EINHEAD_ANALYSIS_INDEXEVALUATOR_H
