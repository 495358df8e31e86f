//===- ForallToGPULinalg.cpp - Elementwise work and sums, shared *- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// An item is one point of the parallel loops, the last of them fastest, so that
// neighbouring threads touch neighbouring memory.  Its thread walks the
// reductions, in their order, with the sums in registers.

#include "ForallToGPU.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace einhead;

namespace {
class LinalgThreads {
public:
  LinalgThreads(RewriterBase &rewriter, linalg::LinalgOp op, ThreadBlock &block)
      : b(op.getLoc(), rewriter), op(op), block(block) {}

  LogicalResult run();

private:
  LogicalResult check();
  Value value(OpFoldResult number) {
    return getValueOrCreateConstantIndexOp(b, b.getLoc(), number);
  }
  void item(Value number);
  SmallVector<Value> reduce(size_t i, ValueRange sums);
  SmallVector<Value> body(ValueRange sums);
  SmallVector<Value> indices(OpOperand &operand);
  Value load(OpOperand &operand);

  ImplicitLocOpBuilder b;
  linalg::LinalgOp op;
  ThreadBlock &block;
  SmallVector<Range> ranges;
  SmallVector<unsigned> parallel, reduction;
  SmallVector<Value> extents;   ///< of the parallel loops
  SmallVector<Value> variables; ///< by loop
};
} // namespace

/// Each point of the parallel loops must write elements of its own.
LogicalResult LinalgThreads::check() {
  if (!op.hasPureBufferSemantics())
    return op->emitOpError("is on tensors; bufferize first");
  op.getParallelDims(parallel);
  op.getReductionDims(reduction);
  if (parallel.size() + reduction.size() != op.getNumLoops())
    return op->emitOpError("has loops that are neither parallel nor sums");
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  for (OpOperand &output : op.getDpsInitsMutable()) {
    AffineMap map = op.getMatchingIndexingMap(&output);
    for (unsigned loop : parallel)
      if (sizes[loop] != 1 &&
          !llvm::is_contained(map.getResults(), b.getAffineDimExpr(loop)))
        return op->emitOpError()
               << "writes an element more than once: output "
               << output.getOperandNumber() - op.getNumDpsInputs()
               << " lacks parallel loop " << loop;
    for (unsigned loop : reduction)
      if (map.isFunctionOfDim(loop))
        return op->emitOpError("writes at the index of a sum");
  }
  return success();
}

LogicalResult LinalgThreads::run() {
  if (failed(check()))
    return failure();
  b.setInsertionPoint(op);
  ranges = op.createLoopRanges(b, b.getLoc());
  variables.resize(ranges.size());
  int64_t known = 1;
  Value count = arith::ConstantIndexOp::create(b, 1);
  for (unsigned loop : parallel) {
    extents.push_back(value(ranges[loop].size));
    count = b.createOrFold<arith::MulIOp>(count, extents.back());
    std::optional<int64_t> extent = getConstantIntValue(ranges[loop].size);
    known = extent && known >= 0 ? known * *extent : -1;
  }
  if (known >= 0)
    block.share(b, known, [&](Value number) { item(number); });
  else
    block.share(b, count, [&](Value number) { item(number); });
  block.barrier(b);
  return success();
}

void LinalgThreads::item(Value number) {
  SmallVector<Value> positions = delinearize(b, number, extents);
  Value zero = arith::ConstantIndexOp::create(b, 0);
  variables.assign(ranges.size(), zero);
  for (auto [loop, position] : llvm::zip(parallel, positions))
    variables[loop] = position;
  SmallVector<Value> sums;
  for (OpOperand &output : op.getDpsInitsMutable())
    sums.push_back(load(output));
  SmallVector<Value> results = reduce(0, sums);
  for (auto [output, result] : llvm::zip(op.getDpsInitsMutable(), results))
    memref::StoreOp::create(b, result, output.get(), indices(output));
}

/// Reductions `i` and on, which carry the sums; what they end with.
SmallVector<Value> LinalgThreads::reduce(size_t i, ValueRange sums) {
  if (i == reduction.size())
    return body(sums);
  Range range = ranges[reduction[i]];
  auto loop = scf::ForOp::create(b, value(range.offset), value(range.size),
                                 value(range.stride), sums);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  variables[reduction[i]] = loop.getInductionVar();
  scf::YieldOp::create(b, reduce(i + 1, loop.getRegionIterArgs()));
  return SmallVector<Value>(loop.getResults());
}

SmallVector<Value> LinalgThreads::body(ValueRange sums) {
  IRMapping mapping;
  Block *inner = op.getBlock();
  for (OpOperand *input : op.getDpsInputOperands())
    if (!op.getMatchingBlockArgument(input).use_empty())
      mapping.map(op.getMatchingBlockArgument(input), load(*input));
  for (auto [output, sum] : llvm::zip(op.getDpsInitsMutable(), sums))
    mapping.map(op.getMatchingBlockArgument(&output), sum);
  for (Operation &step : inner->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(step))
      mapping.map(index.getResult(), variables[index.getDim()]);
    else
      b.clone(step, mapping);
  }
  SmallVector<Value> results;
  for (Value result : inner->getTerminator()->getOperands())
    results.push_back(mapping.lookupOrDefault(result));
  return results;
}

SmallVector<Value> LinalgThreads::indices(OpOperand &operand) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  SmallVector<OpFoldResult> position(variables.begin(), variables.end());
  SmallVector<Value> values;
  for (unsigned i = 0, e = map.getNumResults(); i < e; ++i)
    values.push_back(value(affine::makeComposedFoldedAffineApply(
        b, b.getLoc(), map.getSubMap({i}), position)));
  return values;
}

Value LinalgThreads::load(OpOperand &operand) {
  if (!isa<MemRefType>(operand.get().getType()))
    return operand.get();
  return memref::LoadOp::create(b, operand.get(), indices(operand));
}

LogicalResult einhead::lowerToThreads(RewriterBase &rewriter,
                                      linalg::LinalgOp op, ThreadBlock &block) {
  if (failed(LinalgThreads(rewriter, op, block).run()))
    return failure();
  rewriter.eraseOp(op);
  return success();
}
