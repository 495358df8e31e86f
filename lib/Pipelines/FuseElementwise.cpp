//===- FuseElementwise.cpp - Elementwise ops in one loop --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

static bool isParallel(linalg::LinalgOp op) {
  return op.getNumParallelLoops() == op.getNumLoops();
}

/// Whether fusing computes no element twice: a reduction, or a loop over more
/// dimensions, would make the producer's elements again and again.
static bool isWorthFusing(OpOperand *operand) {
  auto producer = operand->get().getDefiningOp<linalg::LinalgOp>();
  auto consumer = dyn_cast<linalg::LinalgOp>(operand->getOwner());
  return producer && consumer && isParallel(producer) && isParallel(consumer) &&
         producer->hasOneUse() &&
         producer.getNumLoops() == consumer.getNumLoops();
}

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
struct FuseElementwisePass final
    : PassWrapper<FuseElementwisePass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FuseElementwisePass)

  StringRef getArgument() const override { return "einhead-fuse-elementwise"; }
  StringRef getDescription() const override {
    return "Fuse elementwise linalg ops with their only users, and give them "
           "empty outputs";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<tensor::TensorDialect>();
  }

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    linalg::populateElementwiseOpsFusionPatterns(patterns, isWorthFusing);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    // A reduction reads what it wrote.
    getOperation().walk([](linalg::GenericOp op) {
      if (isParallel(op))
        detachOutputs(op);
    });
  }
};
} // namespace

std::unique_ptr<Pass> einhead::createFuseElementwisePass() {
  return std::make_unique<FuseElementwisePass>();
}
