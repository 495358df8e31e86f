//===- LinalgKernelHost.cpp - What a kernel takes of the host ---*- C++ -*-===//
//-*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BufferRoots.h"
#include "LinalgKernel.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace einhead;

/// The subview whose iterations write different memory: it takes one element of
/// a buffer from outside at `variable`.
static bool writesApart(Value buffer, Value variable, scf::ForOp outermost) {
  while (Operation *op = buffer.getDefiningOp()) {
    if (auto subview = dyn_cast<memref::SubViewOp>(op)) {
      bool isFromOutside =
          outermost.isDefinedOutsideOfLoop(subview.getSource());
      for (auto [offset, size] :
           llvm::zip(subview.getMixedOffsets(), subview.getMixedSizes()))
        if (isFromOutside && isConstantIntValue(size, 1) &&
            dyn_cast<Value>(offset) == variable)
          return true;
      buffer = subview.getSource();
    } else if (auto view = dyn_cast<ViewLikeOpInterface>(op)) {
      buffer = view.getViewSource();
    } else {
      return false;
    }
  }
  return false;
}

/// Whether the body is `inner` and what only reads and computes before it.
static bool holdsOnly(scf::ForOp loop, Operation *inner) {
  if (loop.getNumResults() != 0)
    return false;
  for (Operation &op : loop.getBody()->without_terminator()) {
    if (&op == inner)
      continue;
    if (auto load = dyn_cast<memref::LoadOp>(op)) {
      if (!op.isBeforeInBlock(inner) || !isMovable(load, inner))
        return false;
      continue;
    }
    if (!isPure(&op))
      return false;
  }
  return true;
}

/// Whether turns of the loop may run in any order, each being a turn of `op`.
static bool isIndependent(linalg::LinalgOp op, scf::ForOp loop) {
  Value written;
  for (OpOperand &output : op.getDpsInitsMutable()) {
    if (!writesApart(output.get(), loop.getInductionVar(), loop))
      return false;
    if (written && bufferRoot(output.get()) != written)
      return false;
    written = bufferRoot(output.get());
  }
  auto isWritten = [&](Value buffer) {
    if (!isa<MemRefType>(buffer.getType()))
      return false;
    Value root = bufferRoot(buffer);
    return !root || !written || root == written;
  };
  if (llvm::any_of(op.getDpsInputs(), isWritten))
    return false;
  return !loop.walk([&](memref::LoadOp load) {
                return isWritten(load.getMemRef()) ? WalkResult::interrupt()
                                                   : WalkResult::advance();
              })
              .wasInterrupted();
}

void LinalgKernel::takeLoops() {
  Operation *inner = op;
  while (auto loop = dyn_cast<scf::ForOp>(inner->getParentOp())) {
    auto isOutside = [&](OpFoldResult size) {
      auto value = dyn_cast<Value>(size);
      return !value || loop.isDefinedOutsideOfLoop(value);
    };
    bool areSizesOutside = llvm::all_of(
        ranges, [&](const Range &range) { return isOutside(range.size); });
    bool areBoundsOutside = llvm::all_of(loops, [&](scf::ForOp other) {
      return isOutside(other.getLowerBound()) &&
             isOutside(other.getUpperBound()) && isOutside(other.getStep());
    });
    if (!areSizesOutside || !areBoundsOutside || !holdsOnly(loop, inner) ||
        !isIndependent(op, loop))
      return;
    loops.insert(loops.begin(), loop);
    inner = loop;
  }
}

//===----------------------------------------------------------------------===//
// Fills
//===----------------------------------------------------------------------===//

/// Whether the op, or one in it, may use the memory of `root`.
static bool mayUse(Operation *op, Value root) {
  return op
      ->walk([&](Operation *inner) {
        for (Value operand : inner->getOperands()) {
          auto type = dyn_cast<MemRefType>(operand.getType());
          // Memory of a block is no tensor's.
          if (!type || type.getMemorySpace())
            continue;
          Value other = bufferRoot(operand);
          if (!other || other == root)
            return WalkResult::interrupt();
        }
        return WalkResult::advance();
      })
      .wasInterrupted();
}

/// Whether each element of the op's one output is a sum that it computes, so
/// that the sums can stay in registers.
static bool hasWholeSums(linalg::LinalgOp op) {
  if (op.getNumDpsInits() != 1)
    return false;
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  SmallVector<unsigned> reductions;
  op.getReductionDims(reductions);
  return map.isProjectedPermutation() &&
         map.getNumResults() == op.getNumParallelLoops() &&
         llvm::none_of(reductions, [&](unsigned loop) {
           return map.isFunctionOfDim(loop);
         });
}

linalg::FillOp einhead::fillBefore(linalg::LinalgOp op) {
  if (!hasWholeSums(op))
    return {};
  OpOperand *output = op.getDpsInitOperand(0);
  Value root = bufferRoot(output->get());
  bool isRead = llvm::any_of(op.getDpsInputs(), [&](Value input) {
    return isa<MemRefType>(input.getType()) &&
           (!bufferRoot(input) || bufferRoot(input) == root);
  });
  if (!root || isRead)
    return {};
  for (Operation *before = op->getPrevNode(); before;
       before = before->getPrevNode()) {
    auto fill = dyn_cast<linalg::FillOp>(before);
    if (fill && fill.getOutputs().front() == output->get() &&
        fill.getInputs().front().getType() ==
            op.getRegionOutputArgs()[0].getType())
      return fill;
    // Asking for the extents of memory does not touch it.
    if (!isPure(before) && mayUse(before, root))
      return {};
  }
  return {};
}

void LinalgKernel::takeFill() {
  if (linalg::FillOp fill = fillBefore(op)) {
    start = fill.getInputs().front();
    fill->erase();
  }
}
