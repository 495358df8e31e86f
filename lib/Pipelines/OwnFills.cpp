//===- OwnFills.cpp - A fill for each sum -----------------------*- C++ -*-===//
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
using namespace einhead;

namespace {
/// Elimination of common subexpressions leaves one zero for all sums of a
/// shape.  Bufferization then copies it for all but the last of them.
struct OwnFillsPass final
    : PassWrapper<OwnFillsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(OwnFillsPass)

  StringRef getArgument() const override { return "einhead-own-fills"; }
  StringRef getDescription() const override {
    return "Give each use of a filled tensor a fill of its own";
  }

  void runOnOperation() override {
    SmallVector<linalg::FillOp> fills;
    getOperation().walk([&](linalg::FillOp fill) { fills.push_back(fill); });
    for (linalg::FillOp fill : fills)
      if (fill.hasPureTensorSemantics())
        separate(fill);
  }

private:
  static void separate(linalg::FillOp fill);
};
} // namespace

void OwnFillsPass::separate(linalg::FillOp fill) {
  auto empty = fill.getOutputs()[0].getDefiningOp<tensor::EmptyOp>();
  if (!empty)
    return;
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : fill->getUses())
    uses.push_back(&use);
  // The fill itself keeps one of them; memory of its own, too.
  for (size_t i = 0; i < uses.size(); ++i) {
    OpBuilder b(uses[i]->getOwner());
    auto place = cast<tensor::EmptyOp>(b.clone(*empty));
    IRMapping mapping;
    mapping.map(empty.getResult(), place.getResult());
    uses[i]->set(b.clone(*fill, mapping)->getResult(0));
  }
  fill.erase();
  if (empty->use_empty())
    empty.erase();
}

std::unique_ptr<Pass> einhead::createOwnFillsPass() {
  return std::make_unique<OwnFillsPass>();
}
