//===- GPU.h - The pipeline to GPU code -------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_PIPELINES_GPU_H
#define EINHEAD_PIPELINES_GPU_H

#include "einhead/Pipelines/CPU.h"

namespace einhead {

/// Those of the CPU, which runs the host part, and the GPU.
struct GPUPipelineOptions : CPUPipelineOptions {
  Option<std::string> chip{*this, "chip", llvm::cl::desc("The target GPU"),
                           llvm::cl::init("sm_90a")};

  GPUPipelineOptions() { cpu = "x86-64"; }
};

/// The passes that lead from the level before to `level`.
void buildGPULevelPipeline(mlir::OpPassManager &pm, Level level,
                           const GPUPipelineOptions &options);

/// All of them, up to `stopAfter`.
void buildGPUPipeline(mlir::OpPassManager &pm,
                      const GPUPipelineOptions &options);

} // namespace einhead

#endif // EINHEAD_PIPELINES_GPU_H
