//===- IterationSpace.h - The iterations of a parallel loop ---------------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_ITERATIONSPACE_H
#define EINHEAD_LIB_TRANSFORMS_ITERATIONSPACE_H

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace einhead {

/// The iteration space of an scf.forall, as index values.
struct IterationSpace {
  IterationSpace(mlir::OpBuilder &b, mlir::scf::ForallOp forall);

  llvm::SmallVector<mlir::Value> lower, step, trips;
  mlir::Value count;
};

/// scf.forall inside the body runs where it stands: it becomes a loop.
mlir::LogicalResult serializeNested(mlir::scf::ForallOp forall);

} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_ITERATIONSPACE_H
