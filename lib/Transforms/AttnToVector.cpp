//===- AttnToVector.cpp - Lower tiled attention on buffers ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PartialToVector.h"
#include "VectorMath.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

namespace einhead {
#define GEN_PASS_DEF_ATTNTOVECTORPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

namespace {
struct AttnToVectorPass final
    : einhead::impl::AttnToVectorPassBase<AttnToVectorPass> {
  void getDependentDialects(DialectRegistry &registry) const override {
    AttnToVectorPassBase::getDependentDialects(registry);
    registry.insert<LLVM::LLVMDialect>(); // intrinsics without an op
  }

  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<PartialAttentionOp, MergeOp, memref::CopyOp>(op))
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (Operation *op : ops)
      if (failed(lower(rewriter, op)))
        return signalPassFailure();
  }

  static LogicalResult lower(RewriterBase &rewriter, Operation *op) {
    rewriter.setInsertionPoint(op);
    if (auto copy = dyn_cast<memref::CopyOp>(op)) {
      // A call of a copy routine would be one more import of the module.
      rewriter.replaceOpWithNewOp<linalg::CopyOp>(copy, copy.getSource(),
                                                  copy.getTarget());
      return success();
    }
    if (!llvm::all_of(op->getOperandTypes(),
                      [](Type type) { return !isa<TensorType>(type); }))
      return op->emitOpError("is on tensors; bufferize first");
    if (auto partial = dyn_cast<PartialAttentionOp>(op))
      return lowerPartialAttention(rewriter, partial);
    return lowerMerge(rewriter, cast<MergeOp>(op));
  }
};
} // namespace
