//===- Contractions.cpp - Sums of products as vectors -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../Transforms/Contraction.h"
#include "Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace einhead;

namespace {
struct ContractionsToVectorPass final
    : PassWrapper<ContractionsToVectorPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ContractionsToVectorPass)

  ContractionsToVectorPass() = default;
  explicit ContractionsToVectorPass(StringRef cpu) { this->cpu = cpu.str(); }
  ContractionsToVectorPass(const ContractionsToVectorPass &other)
      : PassWrapper(other) {}

  StringRef getArgument() const override {
    return "einhead-contractions-to-vector";
  }
  StringRef getDescription() const override {
    return "Lower sums of products on buffers to vectors kept in registers";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<arith::ArithDialect, memref::MemRefDialect, scf::SCFDialect,
                    vector::VectorDialect, x86vector::X86VectorDialect>();
  }

  void runOnOperation() override {
    llvm::Expected<TargetInfo> target = TargetInfo::get(cpu);
    if (!target) {
      getOperation().emitError(llvm::toString(target.takeError()));
      return signalPassFailure();
    }
    SmallVector<linalg::GenericOp> ops;
    getOperation().walk([&](linalg::GenericOp op) { ops.push_back(op); });
    IRRewriter rewriter(&getContext());
    for (linalg::GenericOp op : ops)
      lowerContraction(rewriter, op, *target);
  }

  Option<std::string> cpu{*this, "cpu", llvm::cl::desc("The target CPU"),
                          llvm::cl::init("host")};
};
} // namespace

std::unique_ptr<Pass> einhead::createContractionsToVectorPass(StringRef cpu) {
  return std::make_unique<ContractionsToVectorPass>(cpu);
}
