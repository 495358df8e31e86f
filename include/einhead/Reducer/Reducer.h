//===- Reducer.h - Smaller modules of the same behaviour --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_REDUCER_REDUCER_H
#define EINHEAD_REDUCER_REDUCER_H

#include "mlir/IR/DialectRegistry.h"

namespace einhead {

/// What upstream's --reduction-tree asks the attn dialect for: extents are
/// shrunk, parts of ops, ops, results and arguments go, each step kept where
/// the test still finds the module interesting.
void registerReductionPatterns(mlir::DialectRegistry &registry);

} // namespace einhead

#endif // EINHEAD_REDUCER_REDUCER_H
