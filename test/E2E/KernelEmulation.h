//===- KernelEmulation.h - Kernels on a CPU, thread by thread ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TEST_E2E_KERNELEMULATION_H
#define EINHEAD_TEST_E2E_KERNELEMULATION_H

#include "einhead/Compiler.h"

namespace einhead::test {

/// How kernels are made and run.
struct KernelOptions {
  int64_t threads = 128;
  int64_t sharedBytes = 49152;
  /// The barrier, among those between two stages in a loop, that gets lost;
  /// none if there are not so many.
  int64_t lostBarrier = -1;
};
extern KernelOptions kernelOptions;

/// Replaces each gpu.launch by loops over its blocks and threads that keep to
/// what barriers promise and to nothing more.  Between two barriers each thread
/// runs to the end before the next one starts, the first to the last in every
/// other block and the last to the first in the others.  What all threads
/// compute alike, loads too, comes before everything that a thread writes.
/// Shared memory is NaN at first.  So a missing barrier gives wrong numbers.
mlir::LogicalResult emulateLaunches(mlir::ModuleOp module);

/// Compiles, but runs parallel loops as emulated kernels.
llvm::Expected<std::string> compileAsKernels(mlir::ModuleOp module,
                                             EmitKind kind,
                                             const CompileOptions &options);

} // namespace einhead::test

#endif // EINHEAD_TEST_E2E_KERNELEMULATION_H
