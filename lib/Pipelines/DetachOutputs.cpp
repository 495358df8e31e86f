//===- DetachOutputs.cpp - Outputs that are not read ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

static void detachOutputs(linalg::GenericOp op) {
  OpBuilder b(op);
  for (OpOperand &output : op.getDpsInitsMutable()) {
    auto type = dyn_cast<RankedTensorType>(output.get().getType());
    if (!type || !op.getMatchingBlockArgument(&output).use_empty() ||
        output.get().getDefiningOp<tensor::EmptyOp>() ||
        !op.getMatchingIndexingMap(&output).isPermutation())
      continue;
    SmallVector<OpFoldResult> sizes =
        tensor::getMixedSizes(b, op.getLoc(), output.get());
    output.set(
        tensor::EmptyOp::create(b, op.getLoc(), sizes, type.getElementType()));
  }
}

namespace {
struct DetachOutputsPass final
    : PassWrapper<DetachOutputsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(DetachOutputsPass)

  StringRef getArgument() const override { return "einhead-detach-outputs"; }
  StringRef getDescription() const override {
    return "Give linalg ops that do not read their outputs empty ones";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<tensor::TensorDialect>();
  }
  void runOnOperation() override {
    // A reduction reads what it wrote.
    getOperation().walk([](linalg::GenericOp op) {
      if (op.getNumParallelLoops() == op.getNumLoops())
        detachOutputs(op);
    });
  }
};
} // namespace

std::unique_ptr<Pass> einhead::createDetachOutputsPass() {
  return std::make_unique<DetachOutputsPass>();
}
