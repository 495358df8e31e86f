//===- Steps.h - What the pipelines of all targets share --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_PIPELINES_STEPS_H
#define EINHEAD_LIB_PIPELINES_STEPS_H

#include "einhead/Pipelines/CPU.h"

namespace einhead {

void addCleanup(mlir::OpPassManager &pm);

/// Schedules for the loops of a CPU, or, with a `chip`, for its kernels.
void addScheduled(mlir::OpPassManager &pm, const CPUPipelineOptions &options,
                  llvm::StringRef chip = "");

/// Everything on tensors but tiled attention becomes linalg.
void addLinalg(mlir::OpPassManager &pm);

/// Functions get destinations, tensors become buffers.  With `ownFills` no two
/// sums share the memory that is filled for them.
void addBufferization(mlir::OpPassManager &pm, bool ownFills = false);

/// Code on buffers, without loops that are parallel, becomes the LLVM dialect,
/// with the entry points that the runtime calls.
void addHostLLVM(mlir::OpPassManager &pm);

/// Builds one level after the other, up to the last one of the options; ends
/// the process where that is none.
void buildLevels(mlir::OpPassManager &pm, const CPUPipelineOptions &options,
                 llvm::StringRef pipeline,
                 llvm::function_ref<void(Level)> build);

} // namespace einhead

#endif // EINHEAD_LIB_PIPELINES_STEPS_H
