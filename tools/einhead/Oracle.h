//===- Oracle.h - What a function computes, with error bounds ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_ORACLE_H
#define EINHEAD_TOOLS_ORACLE_H

#include "Reference.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/Error.h"
#include <vector>

namespace einhead::tool {

/// How the code that is judged sums, where that sharpens the bounds.
struct OracleOptions {
  /// Terms of an einsum that are summed before two sums are joined; 0: unknown.
  int64_t sumBlock = 0;
  /// Keys of an attention that are summed so.
  int64_t keysPerBlock = 64;
  /// Keys of one part of an attention that is merged at the end.
  int64_t chunk = 1024;
  /// Certain: bounds that hold whatever the errors.  Independent: likely ones,
  /// for deep graphs (reference::EinsumOptions).  Automatic: certain ones,
  /// unless one of them is larger than its whole tensor's largest element; a
  /// result could then hardly be wrong.
  enum class Errors { Certain, Independent, Automatic };
  Errors errors = Errors::Automatic;
};

/// Interprets a function of level 0 or 1, op by op, in double.  The arguments
/// are in the function's order; scalars have rank 0, integers are numbers.
/// What an op of a 16- or 32-bit type rounds goes into the bounds, not into the
/// values.  An op that is not known is an error that names it and its location.
llvm::Expected<std::vector<reference::Tensor>>
evaluate(mlir::func::FuncOp function,
         llvm::ArrayRef<reference::Tensor> arguments,
         const OracleOptions &options = {});

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_ORACLE_H
