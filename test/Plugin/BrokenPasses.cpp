//===- BrokenPasses.cpp - A pass that breaks a number -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/Attn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

using namespace mlir;
using namespace einhead::attn;

namespace {
/// Wrong by one part in a hundred: nothing that the verifier could see.
struct BreakScalePass final
    : PassWrapper<BreakScalePass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(BreakScalePass)

  StringRef getArgument() const override { return "test-break-scale"; }
  StringRef getDescription() const override { return "Spoil each scale"; }

  void runOnOperation() override {
    getOperation().walk([](AttentionOp op) {
      double scale = op.getScale().convertToDouble();
      op.setScaleAttr(
          FloatAttr::get(Float64Type::get(op->getContext()), 1.01 * scale));
    });
  }
};
} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "EinheadBroken", "1",
          [] { PassRegistration<BreakScalePass>(); }};
}
