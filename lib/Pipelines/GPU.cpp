//===- GPU.cpp - The pipeline to GPU code -----------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Pipelines/GPU.h"
#include "Passes.h"
#include "Steps.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/GPU/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace einhead;

/// Projections stay einsums: blocks of columns for each thread of a CPU are too
/// few for a GPU.
static void addTiled(OpPassManager &pm) {
  OpPassManager &functions = pm.nest<func::FuncOp>();
  functions.addPass(createSplitKeysPass());
  functions.addPass(createTileDecodePass());
  addCleanup(pm);
  pm.addNestedPass<func::FuncOp>(createCheckTrafficPass());
}

/// All work on tensors becomes kernels; the host computes extents and launches.
static void addKernels(OpPassManager &pm, llvm::StringRef chip) {
  addLinalg(pm);
  addBufferization(pm, /*ownFills=*/true);
  std::unique_ptr<Pass> attention = createAttnToGPUPass();
  // The name of a chip is one word: nothing in it can fail to be read.
  (void)attention->initializeOptions(
      ("chip=" + chip).str(),
      [](const llvm::Twine &) { return llvm::failure(); });
  pm.addPass(std::move(attention));
  pm.addPass(createContractionsToGPUPass(chip));
  pm.addNestedPass<func::FuncOp>(createForallToGPUPass());
  pm.addNestedPass<func::FuncOp>(createLinalgToGPUPass());
  addCleanup(pm);
  pm.addPass(createGpuLaunchSinkIndexComputationsPass());
  pm.addPass(createNameKernelsPass());
  pm.addPass(createGpuKernelOutliningPass());
  addCleanup(pm);
  pm.addPass(createCheckHostMemoryPass());
}

/// Kernels first: what the host's conversions would make of them is for a CPU.
static void addDeviceLLVM(OpPassManager &pm) {
  OpPassManager &kernels = pm.nest<gpu::GPUModuleOp>();
  kernels.addPass(createConvertVectorToSCFPass());
  // Kernels of the LLVM dialect are as they should be: what would leave their
  // loops, descriptors of matrices above all, would cost registers.
  kernels.addNestedPass<gpu::GPUFuncOp>(createLoopInvariantCodeMotionPass());
  kernels.addPass(createLowerAffinePass());
  kernels.addPass(memref::createExpandStridedMetadataPass());
  kernels.addPass(createLowerAffinePass());
  addCleanup(kernels);
  kernels.addPass(createDeviceMathPass());
  kernels.addPass(createExpandFloat8Pass());
  // LLVM converts bf16 by itself, and every chip that has an instruction for it
  // has it.
  kernels.addPass(arith::createArithExpandOpsPass());
  kernels.addPass(createSCFToControlFlowPass());
  kernels.addPass(createConvertNVGPUToNVVMPass());
  kernels.addPass(createConvertMathToLLVMPass());
  kernels.addPass(createArithToLLVMConversionPass());
  kernels.addPass(createKernelsToNVVMPass());
  kernels.addPass(createConvertNVVMToLLVMPass());
  addCleanup(kernels);
  kernels.addPass(createReconcileUnrealizedCastsPass());
}

void einhead::buildGPULevelPipeline(OpPassManager &pm, Level level,
                                    const GPUPipelineOptions &options) {
  switch (level) {
  case Level::Scheduled:
    if (options.fuse)
      addScheduled(pm, options, options.chip.getValue());
    return;
  case Level::Tiled:
    if (options.fuse)
      addTiled(pm);
    return;
  case Level::Vector:
    return addKernels(pm, options.chip.getValue());
  case Level::LLVM:
    addDeviceLLVM(pm);
    pm.addPass(createLaunchThroughHostPass());
    return addHostLLVM(pm);
  default:
    return buildLevelPipeline(pm, level, options);
  }
}

void einhead::buildGPUPipeline(OpPassManager &pm,
                               const GPUPipelineOptions &options) {
  buildLevels(pm, options, "einhead-to-gpu",
              [&](Level level) { buildGPULevelPipeline(pm, level, options); });
}
