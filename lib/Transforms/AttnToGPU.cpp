//===- AttnToGPU.cpp - Attention as kernels of tensor cores ---------------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// An attention on buffers whose schedule says `wgmma` becomes a kernel and the
// host code that launches it (Hopper/DecodeLauncher.h): where K and V are,
// workspace, the number of blocks and of parts that each unit's keys are cut
// into.  The chip says which kernel: that of Hopper/DecodeKernel.h, or that of
// TensorCores/WarpDecode.h where there is no wgmma.

#include "Hopper/DecodeLauncher.h"
#include "TensorCores/WarpPlan.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/SymbolTable.h"

namespace einhead {
#define GEN_PASS_DEF_ATTNTOGPUPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;
using namespace einhead::hopper;

namespace {
struct AttnToGPUPass final : einhead::impl::AttnToGPUPassBase<AttnToGPUPass> {
  AttnToGPUPass() = default;
  AttnToGPUPass(const AttnToGPUPass &other) : AttnToGPUPassBase(other) {}

  Option<std::string> chip{
      *this, "chip", llvm::cl::init("sm_90a"),
      llvm::cl::desc("the target GPU, whose shared memory says how deep the "
                     "ring is")};

  void runOnOperation() override {
    llvm::Expected<GPUInfo> gpu = GPUInfo::get(chip);
    if (!gpu) {
      getOperation().emitError() << llvm::toString(gpu.takeError());
      return signalPassFailure();
    }
    SmallVector<AttentionOp> ops;
    getOperation().walk([&](AttentionOp op) {
      ScheduleAttr schedule = op.getScheduleAttr();
      if (schedule && schedule.getProducts() == Products::WGMMA)
        ops.push_back(op);
    });
    llvm::StringMap<unsigned> counts;
    for (AttentionOp op : ops)
      if (failed(lower(op, *gpu, counts)))
        return signalPassFailure();
  }

  LogicalResult lower(AttentionOp op, const GPUInfo &gpu,
                      llvm::StringMap<unsigned> &counts) {
    if (!isa<MemRefType>(op.getQuery().getType()))
      return op.emitOpError("is on tensors; bufferize first");
    std::string why;
    std::optional<DecodeShape> shape =
        tensorcores::planTensorCores(op, gpu, why);
    if (!shape)
      return op.emitOpError("has products by wgmma in its schedule, but ")
             << why;
    StringRef function = op->getParentOfType<func::FuncOp>().getName();
    std::string name =
        (function + "_attention_" + Twine(counts[function]++)).str();
    OpBuilder builder(op);
    Launcher(builder, op, kernelsOf(getOperation()), *shape).run(name);
    return success();
  }
};
} // namespace
