//===- BufferRoots.cpp - Which memory a buffer is ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BufferRoots.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace einhead;

Value einhead::bufferRoot(Value buffer) {
  while (Operation *op = buffer.getDefiningOp()) {
    if (auto view = dyn_cast<ViewLikeOpInterface>(op))
      buffer = view.getViewSource();
    else if (isa<memref::CastOp>(op))
      buffer = op->getOperand(0);
    else if (isa<memref::AllocOp, memref::GetGlobalOp>(op))
      return buffer;
    else
      return nullptr;
  }
  auto argument = cast<BlockArgument>(buffer);
  return isa<func::FuncOp>(argument.getOwner()->getParentOp()) ? buffer
                                                               : Value();
}

/// Whether `op` itself may write the memory of `root`.
static bool mayWrite(Operation *op, Value root) {
  auto isSame = [&](Value value) {
    Value other = bufferRoot(value);
    return !other || other == root;
  };
  if (auto launch = dyn_cast<gpu::LaunchFuncOp>(op)) {
    // Kernels that passes write whole take positions and lengths, which are
    // arguments of integers, to read them.
    bool isPositions =
        isa<BlockArgument>(root) &&
        cast<MemRefType>(root.getType()).getElementType().isIntOrIndex();
    return !isPositions &&
           llvm::any_of(launch.getKernelOperands(), [&](Value operand) {
             return isa<BaseMemRefType>(operand.getType()) && isSame(operand);
           });
  }
  if (isa<CallOpInterface>(op))
    return llvm::any_of(op->getOperands(), [&](Value operand) {
      return isa<BaseMemRefType>(operand.getType()) && isSame(operand);
    });
  auto effects = dyn_cast<MemoryEffectOpInterface>(op);
  if (!effects)
    return false;
  SmallVector<MemoryEffects::EffectInstance> instances;
  effects.getEffects(instances);
  return llvm::any_of(instances, [&](auto &instance) {
    if (!isa<MemoryEffects::Write>(instance.getEffect()))
      return false;
    Value value = instance.getValue();
    return !value || (isa<BaseMemRefType>(value.getType()) && isSame(value));
  });
}

/// Whether `first` lies before `second` in the innermost block with both.
static bool isBefore(Operation *first, Operation *second) {
  for (Block *block = second->getBlock(); block;
       block = block->getParentOp() ? block->getParentOp()->getBlock()
                                    : nullptr)
    if (Operation *a = block->findAncestorOpInBlock(*first)) {
      Operation *b = block->findAncestorOpInBlock(*second);
      return a != b && a->isBeforeInBlock(b);
    }
  return false;
}

bool einhead::isMovable(memref::LoadOp load, Operation *later) {
  Value root = bufferRoot(load.getMemRef());
  if (!root)
    return false;
  auto function = load->getParentOfType<func::FuncOp>();
  // Each turn of a loop around both passes the load before it comes to `later`;
  // a loop around `later` alone may write between two turns.
  auto loop = later->getParentOfType<LoopLikeOpInterface>();
  Operation *end = later;
  for (; loop && !loop->isAncestor(load);
       loop = loop->getParentOfType<LoopLikeOpInterface>())
    end = loop;
  return !function
              .walk([&](Operation *op) {
                bool isWritten = mayWrite(op, root) && !isBefore(op, load) &&
                                 (isBefore(op, end) || end->isAncestor(op));
                return isWritten ? WalkResult::interrupt()
                                 : WalkResult::advance();
              })
              .wasInterrupted();
}
