//===- LinalgLoops.cpp - Reductions kept in registers -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

/// Sums of the unfused path may be taken in any order.  NaN and infinity keep
/// their meaning: a masked score is -inf.
static void allowReassociation(linalg::LinalgOp op) {
  auto flags = arith::FastMathFlagsAttr::get(
      op.getContext(),
      arith::FastMathFlags::reassoc | arith::FastMathFlags::contract);
  op.getBlock()->walk([&](Operation *inner) {
    if (isa<arith::AddFOp, arith::MulFOp>(inner))
      inner->setAttr("fastmath", flags);
  });
}

/// The number of loops at the end that no output depends on.
static unsigned innerReductions(linalg::LinalgOp op) {
  SmallVector<utils::IteratorType> types = op.getIteratorTypesArray();
  auto isCarried = [&](unsigned loop) {
    return types[loop] == utils::IteratorType::reduction &&
           llvm::none_of(op.getDpsInitsMutable(), [&](OpOperand &output) {
             return op.getMatchingIndexingMap(&output).isFunctionOfDim(loop);
           });
  };
  unsigned count = 0;
  while (count < types.size() && isCarried(types.size() - 1 - count))
    ++count;
  return count;
}

namespace {
/// Writes one linalg op as loops.
class Lowering {
public:
  Lowering(OpBuilder &b, linalg::LinalgOp op)
      : b(b), op(op), loc(op.getLoc()), ranges(op.createLoopRanges(b, loc)) {}

  void lower() {
    unsigned outer = ranges.size() - innerReductions(op);
    for (unsigned i = 0; i < outer; ++i) {
      scf::ForOp loop = createLoop(i, {});
      b.setInsertionPointToStart(loop.getBody());
    }
    SmallVector<Value> sums;
    for (OpOperand &output : op.getDpsInitsMutable())
      sums.push_back(load(output));
    SmallVector<Value> results = reduce(outer, sums);
    for (auto [output, result] : llvm::zip(op.getDpsInitsMutable(), results))
      memref::StoreOp::create(b, loc, result, output.get(), indices(output));
  }

private:
  scf::ForOp createLoop(unsigned i, ValueRange carried) {
    auto value = [&](OpFoldResult v) {
      return getValueOrCreateConstantIndexOp(b, loc, v);
    };
    auto loop = scf::ForOp::create(b, loc, value(ranges[i].offset),
                                   value(ranges[i].size),
                                   value(ranges[i].stride), carried);
    variables.push_back(loop.getInductionVar());
    return loop;
  }

  /// Loops `i` and on, carrying the sums; what they end with.
  SmallVector<Value> reduce(unsigned i, ValueRange sums) {
    if (i == ranges.size())
      return body(sums);
    scf::ForOp loop = createLoop(i, sums);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> results = reduce(i + 1, loop.getRegionIterArgs());
    scf::YieldOp::create(b, loc, results);
    b.setInsertionPointAfter(loop);
    return SmallVector<Value>(loop.getResults());
  }

  SmallVector<Value> body(ValueRange sums) {
    IRMapping mapping;
    Block *block = op.getBlock();
    for (OpOperand *input : op.getDpsInputOperands())
      mapping.map(op.getMatchingBlockArgument(input), load(*input));
    for (auto [output, sum] : llvm::zip(op.getDpsInitsMutable(), sums))
      mapping.map(op.getMatchingBlockArgument(&output), sum);
    for (Operation &inner : block->without_terminator()) {
      if (auto index = dyn_cast<linalg::IndexOp>(inner))
        mapping.map(index.getResult(), variables[index.getDim()]);
      else
        b.clone(inner, mapping);
    }
    SmallVector<Value> results;
    for (Value value : block->getTerminator()->getOperands())
      results.push_back(mapping.lookupOrDefault(value));
    return results;
  }

  SmallVector<Value> indices(OpOperand &operand) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    SmallVector<OpFoldResult> position(variables.begin(), variables.end());
    // Outside the reduction loops the map does not look at their variables.
    position.resize(map.getNumDims(), b.getIndexAttr(0));
    SmallVector<Value> values;
    for (unsigned i = 0, e = map.getNumResults(); i < e; ++i)
      values.push_back(getValueOrCreateConstantIndexOp(
          b, loc,
          affine::makeComposedFoldedAffineApply(b, loc, map.getSubMap({i}),
                                                position)));
    return values;
  }

  Value load(OpOperand &operand) {
    if (!isa<MemRefType>(operand.get().getType()))
      return operand.get();
    return memref::LoadOp::create(b, loc, operand.get(), indices(operand));
  }

  OpBuilder &b;
  linalg::LinalgOp op;
  Location loc;
  SmallVector<Range> ranges;
  SmallVector<Value> variables;
};

struct LinalgReductionsToLoopsPass final
    : PassWrapper<LinalgReductionsToLoopsPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LinalgReductionsToLoopsPass)

  StringRef getArgument() const override {
    return "einhead-linalg-reductions-to-loops";
  }
  StringRef getDescription() const override {
    return "Lower linalg ops with innermost reductions to loops that carry "
           "their sums";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<affine::AffineDialect, arith::ArithDialect,
                    memref::MemRefDialect, scf::SCFDialect>();
  }

  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> ops;
    getOperation().walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    for (linalg::LinalgOp op : ops) {
      if (!op.hasPureBufferSemantics())
        continue;
      allowReassociation(op);
      if (innerReductions(op) == 0)
        continue;
      OpBuilder b(op);
      Lowering(b, op).lower();
      op->erase();
    }
  }
};
} // namespace

std::unique_ptr<Pass> einhead::createLinalgReductionsToLoopsPass() {
  return std::make_unique<LinalgReductionsToLoopsPass>();
}
