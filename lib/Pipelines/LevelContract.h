//===- LevelContract.h - What holds at each level ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_PIPELINES_LEVELCONTRACT_H
#define EINHEAD_LIB_PIPELINES_LEVELCONTRACT_H

#include "einhead/Pipelines/CPU.h"
#include "mlir/IR/BuiltinOps.h"

namespace einhead {

/// Whether `module` holds what docs/Pipeline.md says of `level`, so that the
/// passes after it can go on.  An error at the first op that belongs before or
/// after that level, with notes at others.
mlir::LogicalResult checkLevel(mlir::ModuleOp module, Level level,
                               const CPUPipelineOptions &options,
                               bool isForDevice = false);

} // namespace einhead

#endif // EINHEAD_LIB_PIPELINES_LEVELCONTRACT_H
