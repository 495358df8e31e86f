//===- HostMemory.cpp - Kernels apart from the host -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Passes.h"
#include "einhead/IR/Attn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace einhead;

static constexpr StringLiteral kernelsName = "kernels";

namespace {
struct NameKernelsPass final
    : PassWrapper<NameKernelsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(NameKernelsPass)

  StringRef getArgument() const override { return "einhead-name-kernels"; }
  StringRef getDescription() const override {
    return "Name the kernels after their functions, in one GPU module";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<gpu::GPUDialect>();
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto kernels = module.lookupSymbol<gpu::GPUModuleOp>(kernelsName);
    if (!kernels) {
      OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
      kernels = gpu::GPUModuleOp::create(b, module.getLoc(), kernelsName);
    }
    MLIRContext *context = &getContext();
    module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(),
                    UnitAttr::get(context));
    for (auto function : module.getOps<func::FuncOp>()) {
      unsigned number = 0;
      function.walk([&](gpu::LaunchOp launch) {
        std::string name;
        do
          name = (function.getName() + "_" + Twine(number++)).str();
        while (kernels.lookupSymbol(name));
        launch.setModuleAttr(FlatSymbolRefAttr::get(context, kernelsName));
        launch.setFunctionAttr(FlatSymbolRefAttr::get(context, name));
      });
    }
  }
};

struct CheckHostMemoryPass final
    : PassWrapper<CheckHostMemoryPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CheckHostMemoryPass)

  StringRef getArgument() const override { return "einhead-check-host-memory"; }
  StringRef getDescription() const override {
    return "Check that the host leaves tensor memory to kernels";
  }

  void runOnOperation() override {
    bool isWrong = false;
    for (auto function : getOperation().getOps<func::FuncOp>())
      function.walk([&](Operation *op) { isWrong |= failed(check(op)); });
    if (isWrong)
      signalPassFailure();
  }

private:
  static LogicalResult check(Operation *op);
};
} // namespace

/// Whether a value of the load decides what the host does next.
static bool decidesHostCode(Operation *load) {
  SmallVector<Operation *> todo{load};
  llvm::SmallPtrSet<Operation *, 16> seen;
  while (!todo.empty()) {
    Operation *op = todo.pop_back_val();
    if (!seen.insert(op).second)
      continue;
    if (isa<scf::ForOp, scf::IfOp, scf::WhileOp, memref::AllocOp>(op))
      return true;
    llvm::append_range(todo, op->getUsers());
  }
  return false;
}

LogicalResult CheckHostMemoryPass::check(Operation *op) {
  if (isa<gpu::LaunchFuncOp, memref::AllocOp, memref::DeallocOp>(op))
    return success();
  if (isa<scf::ForallOp, scf::ParallelOp>(op))
    return op->emitOpError("is left in host code: no pass made it a kernel");
  if (isa_and_nonnull<attn::AttnDialect, linalg::LinalgDialect>(
          op->getDialect()))
    return isa<linalg::YieldOp, linalg::IndexOp>(op)
               ? success()
               : op->emitOpError("is left in host code: no pass made it a "
                                 "kernel");
  if (isa<memref::GetGlobalOp>(op) && !op->use_empty())
    return op->emitOpError("is memory of the host that a kernel cannot read");
  if (isa<memref::LoadOp>(op) && decidesHostCode(op))
    return op->emitOpError(
        "reads tensor memory, which is on the device, and host code branches "
        "or allocates by it; pass the number as a scalar argument");
  auto effects = dyn_cast<MemoryEffectOpInterface>(op);
  if (!effects)
    return success();
  SmallVector<MemoryEffects::EffectInstance> instances;
  effects.getEffects(instances);
  for (auto &instance : instances) {
    Value value = instance.getValue();
    if (value && isa<BaseMemRefType>(value.getType()))
      return op->emitOpError("touches tensor memory in host code, which is on "
                             "the device");
  }
  return success();
}

std::unique_ptr<Pass> einhead::createNameKernelsPass() {
  return std::make_unique<NameKernelsPass>();
}

std::unique_ptr<Pass> einhead::createCheckHostMemoryPass() {
  return std::make_unique<CheckHostMemoryPass>();
}
