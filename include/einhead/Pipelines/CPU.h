//===- CPU.h - The pipeline to CPU code -------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_PIPELINES_CPU_H
#define EINHEAD_PIPELINES_CPU_H

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"

namespace einhead {

/// What the IR holds, from source to code.  Each pass description says which
/// level it leads to.
enum class Level { Graph, Attention, Shared, Scheduled, Tiled, Vector, LLVM };

inline constexpr Level levels[] = {Level::Attention, Level::Shared,
                                   Level::Scheduled, Level::Tiled,
                                   Level::Vector,    Level::LLVM};

/// "attention", "shared", ...
llvm::StringRef levelName(Level level);
/// The level of that name; "" is the last one.
std::optional<Level> parseLevel(llvm::StringRef name);

struct CPUPipelineOptions : mlir::PassPipelineOptions<CPUPipelineOptions> {
  Option<std::string> cpu{*this, "cpu", llvm::cl::desc("The target CPU"),
                          llvm::cl::init("host")};
  Option<std::string> schedules{
      *this, "schedules",
      llvm::cl::desc("File of measured schedules (einhead tune)"),
      llvm::cl::init("")};
  Option<bool> fuse{*this, "fuse", llvm::cl::desc("Recognise attention"),
                    llvm::cl::init(true)};
  Option<bool> shareKV{*this, "share-kv",
                       llvm::cl::desc("Share K/V loads between rows"),
                       llvm::cl::init(true)};
  Option<bool> requireFused{
      *this, "require-fused",
      llvm::cl::desc("A softmax that is not fused is an error"),
      llvm::cl::init(false)};
  Option<std::string> stopAfter{
      *this, "stop-after",
      llvm::cl::desc("The last level: attention, shared, scheduled, tiled, "
                     "vector, llvm"),
      llvm::cl::init("")};
  ListOption<std::string> sizes{
      *this, "sizes", llvm::cl::desc("Extents of named dimensions: name=N")};
};

/// Gives named dimensions their extents (level 0 stays level 0).
void buildGraphPipeline(mlir::OpPassManager &pm,
                        const CPUPipelineOptions &options);

/// The passes that lead from the level before to `level`.
void buildLevelPipeline(mlir::OpPassManager &pm, Level level,
                        const CPUPipelineOptions &options);

/// All of them, up to `stopAfter`.
void buildCPUPipeline(mlir::OpPassManager &pm,
                      const CPUPipelineOptions &options);

} // namespace einhead

#endif // EINHEAD_PIPELINES_CPU_H
