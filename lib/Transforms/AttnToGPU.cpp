//===- AttnToGPU.cpp - Attention as kernels of Hopper tensor cores --------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// An attention on buffers whose schedule says `wgmma` becomes a kernel
// (Hopper/DecodeKernel.h) and the host code that launches it
// (Hopper/DecodeLauncher.h): tensor maps of K and V, workspace, the number of
// blocks and of parts that each unit's keys are cut into.

#include "Hopper/DecodeLauncher.h"
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
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<AttentionOp> ops;
    module.walk([&](AttentionOp op) {
      ScheduleAttr schedule = op.getScheduleAttr();
      if (schedule && schedule.getProducts() == Products::WGMMA)
        ops.push_back(op);
    });
    llvm::StringMap<unsigned> counts;
    for (AttentionOp op : ops) {
      if (!isa<MemRefType>(op.getQuery().getType())) {
        op.emitOpError("is on tensors; bufferize first");
        return signalPassFailure();
      }
      if (std::string why = whyNotDecodeKernel(op); !why.empty()) {
        op.emitOpError("has products by wgmma in its schedule, but ") << why;
        return signalPassFailure();
      }
      StringRef function = op->getParentOfType<func::FuncOp>().getName();
      std::string name =
          (function + "_attention_" + Twine(counts[function]++)).str();
      OpBuilder builder(op);
      Launcher(builder, op, kernelsOf(module)).run(name);
    }
  }
};
} // namespace
