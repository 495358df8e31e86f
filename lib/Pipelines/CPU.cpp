//===- CPU.cpp - The pipeline to CPU code -----------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Pipelines/CPU.h"
#include "Passes.h"
#include "Steps.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace einhead;

llvm::StringRef einhead::levelName(Level level) {
  switch (level) {
  case Level::Graph:
    return "graph";
  case Level::Attention:
    return "attention";
  case Level::Shared:
    return "shared";
  case Level::Scheduled:
    return "scheduled";
  case Level::Tiled:
    return "tiled";
  case Level::Vector:
    return "vector";
  case Level::LLVM:
    return "llvm";
  }
  llvm_unreachable("a level without a name");
}

std::optional<Level> einhead::parseLevel(llvm::StringRef name) {
  if (name.empty())
    return Level::LLVM;
  for (Level level : levels)
    if (levelName(level) == name)
      return level;
  return std::nullopt;
}

void einhead::addCleanup(OpPassManager &pm) {
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

void einhead::buildGraphPipeline(OpPassManager &pm,
                                 const CPUPipelineOptions &options) {
  // Without sizes too: what one type says of a letter, all say.
  SpecializePassOptions specialize;
  specialize.sizes.assign(options.sizes.begin(), options.sizes.end());
  pm.addPass(createSpecializePass(specialize));
}

/// Everything on tensors becomes linalg before functions get destinations, so
/// that empty tensors inside fused ops can become the destinations.
void einhead::addLinalg(OpPassManager &pm) {
  OpPassManager &functions = pm.nest<func::FuncOp>();
  functions.addPass(createConvertAttnToLinalgPass());
  functions.addPass(createConvertElementwiseToLinalgPass());
  functions.addPass(createFuseElementwisePass());
  addCleanup(pm);
}

void einhead::addBufferization(OpPassManager &pm, bool ownFills) {
  // A private function that nobody calls is no entry, only work.
  pm.addPass(createSymbolDCEPass());
  pm.addPass(createDestinationResultsPass());
  addCleanup(pm);
  if (ownFills)
    pm.addNestedPass<func::FuncOp>(createOwnFillsPass());
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  bufferization::OneShotBufferizePassOptions options;
  options.bufferizeFunctionBoundaries = true;
  // Public functions say the layout of each argument (DestinationResults).
  options.functionBoundaryTypeConversion =
      bufferization::LayoutMapOption::InferLayoutMap;
  options.unknownTypeConversion =
      bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(options));
  pm.addPass(bufferization::createDropEquivalentBufferResultsPass());
  // Looks through the casts and loops that cleanup has left.
  addCleanup(pm);
  pm.addPass(createFinishInterfacesPass());
  addCleanup(pm);
}

/// No deallocation is placed: the workspace is an arena that ends with the
/// call.
static void addVector(OpPassManager &pm, const CPUPipelineOptions &options) {
  addLinalg(pm);
  addBufferization(pm);
  OpPassManager &functions = pm.nest<func::FuncOp>();
  // First: reassociation is for linalg, never for the loops of attention.  The
  // unfused path keeps every sum in the order of its letters: it is the second
  // opinion that the fused one is compared with.
  if (options.fuse) {
    functions.addPass(createContractionsToVectorPass(options.cpu.getValue()));
    functions.addPass(createLinalgReductionsToLoopsPass());
  }
  functions.addPass(createAttnToVectorPass());
  PrefetchPassOptions prefetch;
  prefetch.cpu = options.cpu;
  functions.addPass(createPrefetchPass(prefetch));
  functions.addPass(createConvertLinalgToLoopsPass());
  addCleanup(pm);
}

static void addLLVM(OpPassManager &pm) {
  // Before outlining: it makes allocas, which outlining moves to entry blocks.
  pm.addNestedPass<func::FuncOp>(createConvertVectorToSCFPass());
  pm.addPass(createOutlineParallelPass());
  addHostLLVM(pm);
}

void einhead::addHostLLVM(OpPassManager &pm) {
  pm.addPass(createLoopInvariantCodeMotionPass());
  // Subviews become arithmetic in affine.apply, hence affine twice.
  pm.addPass(createLowerAffinePass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  addCleanup(pm);
  pm.addPass(createSCFToControlFlowPass());
  // Before arith: memref.dim of a constant dimension needs to see the constant.
  FinalizeMemRefToLLVMConversionPassOptions memory;
  memory.useGenericFunctions = true;
  memory.useAlignedAlloc = true;
  pm.addPass(createFinalizeMemRefToLLVMConversionPass(memory));
  ConvertVectorToLLVMPassOptions vector;
  // A cache of more than 2^31 rows is no vector index.
  vector.force32BitVectorIndices = false;
  vector.x86Vector = true;
  vector.amx = true;
  pm.addPass(createConvertVectorToLLVMPass(vector));
  pm.addPass(createExpandFloat8Pass());
  arith::ArithExpandOpsPassOptions expand;
  // Not every CPU rounds to bf16, and those that can flush denormals.
  expand.includeBf16 = true;
  pm.addPass(arith::createArithExpandOpsPass(expand));
  // Math first as LLVM intrinsics; the C library takes what has none.
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createUBToLLVMConversionPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createEmitEntryPointsPass());
}

void einhead::addScheduled(OpPassManager &pm, const CPUPipelineOptions &options,
                           llvm::StringRef chip) {
  OpPassManager &functions = pm.nest<func::FuncOp>();
  SchedulePassOptions schedule;
  schedule.cpu = options.cpu;
  schedule.chip = chip.str();
  schedule.file = options.schedules;
  schedule.requireFused = options.requireFused;
  functions.addPass(createSchedulePass(schedule));
  // Without sharing the loops read more, on purpose.
  if (options.shareKV)
    functions.addPass(createStateTrafficPass());
}

void einhead::buildLevelPipeline(OpPassManager &pm, Level level,
                                 const CPUPipelineOptions &options) {
  OpPassManager &functions = pm.nest<func::FuncOp>();
  switch (level) {
  case Level::Graph:
    return buildGraphPipeline(pm, options);
  case Level::Attention: {
    addCleanup(pm);
    if (!options.fuse)
      return;
    // Before raise, which then sees attention to the latent.
    pm.addNestedPass<func::FuncOp>(createAbsorbPass());
    RaisePassOptions raise;
    raise.requireFused = options.requireFused;
    pm.addNestedPass<func::FuncOp>(createRaisePass(raise));
    // An extent taken from a softmax's result would keep the whole chain alive.
    pm.addPass(memref::createResolveRankedShapeTypeResultDimsPass());
    return addCleanup(pm);
  }
  case Level::Shared:
    if (options.fuse && options.shareKV)
      functions.addPass(createFuseSharedKVPass());
    return;
  case Level::Scheduled:
    if (options.fuse)
      addScheduled(pm, options);
    return;
  case Level::Tiled:
    if (!options.fuse)
      return;
    functions.addPass(createSplitKeysPass());
    functions.addPass(createTileDecodePass());
    functions.addPass(createFuseProjectionsPass());
    addCleanup(pm);
    pm.addNestedPass<func::FuncOp>(createCheckTrafficPass());
    return;
  case Level::Vector:
    return addVector(pm, options);
  case Level::LLVM:
    return addLLVM(pm);
  }
}

void einhead::buildLevels(OpPassManager &pm, const CPUPipelineOptions &options,
                          llvm::StringRef pipeline,
                          llvm::function_ref<void(Level)> build) {
  std::optional<Level> last = parseLevel(options.stopAfter);
  if (!last)
    llvm::report_fatal_error(llvm::Twine(pipeline) + ": unknown level " +
                                 options.stopAfter,
                             /*gen_crash_diag=*/false);
  buildGraphPipeline(pm, options);
  for (Level level : levels) {
    build(level);
    if (level == *last)
      return;
  }
}

void einhead::buildCPUPipeline(OpPassManager &pm,
                               const CPUPipelineOptions &options) {
  buildLevels(pm, options, "einhead-to-cpu",
              [&](Level level) { buildLevelPipeline(pm, level, options); });
}
