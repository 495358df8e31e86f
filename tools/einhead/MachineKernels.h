//===- MachineKernels.h - Loops that measure a machine ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// As MLIR that the compiler compiles: what is measured is what generated code
// can reach, with no intrinsic.
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_MACHINEKERNELS_H
#define EINHEAD_TOOLS_MACHINEKERNELS_H

#include "einhead/Target/TargetInfo.h"

namespace einhead::tool {

/// A module whose function @measure(x: f32[tasks, width]) -> f32[tasks, width]
/// does the same work in each task, on `tasks` threads where there are as many.
struct MachineKernel {
  std::string text;
  int64_t width = 0;
  /// What one task does in a call: operations (an addition is one), links of a
  /// chain, or parallel loops.
  double work = 0;
};

/// Independent f32 FMAs, as many as hide their latency.
MachineKernel fmaKernel(const TargetInfo &target, int64_t tasks);
/// The same with dot products of bf16 pairs.
MachineKernel dotKernel(const TargetInfo &target, int64_t tasks);
/// Products of bf16 tiles from the first cache, four sums at a time.
MachineKernel tileKernel(int64_t tasks);
/// One loop after the other, each with a task for each thread that does nothing
/// but add one.
MachineKernel forkKernel(int64_t tasks);
/// Integer multiplications, each of which waits for the one before: three
/// cycles on every x86-64 of the last fifteen years.
MachineKernel chainKernel();
constexpr double chainCycles = 3;

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_MACHINEKERNELS_H
