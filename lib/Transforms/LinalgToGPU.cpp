//===- LinalgToGPU.cpp - Ops on buffers become kernels ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BufferRoots.h"
#include "LinalgKernel.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Transforms/RegionUtils.h"

namespace einhead {
#define GEN_PASS_DEF_LINALGTOGPUPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;

namespace {
/// Moves into one launch what must not be computed by the host: values that
/// come from tensor memory, and constants in memory.
class Sink {
public:
  explicit Sink(gpu::LaunchOp launch) : launch(launch) {}

  void run() {
    SetVector<Value> used;
    getUsedValuesDefinedAbove(launch.getBody(), used);
    OpBuilder b = OpBuilder::atBlockBegin(&launch.getBody().front());
    for (Value value : used) {
      if (!isFromMemory(value) || !canMove(value))
        continue;
      Value inside = clone(b, value);
      value.replaceUsesWithIf(inside, [&](OpOperand &use) {
        return launch.getBody().isAncestor(use.getOwner()->getParentRegion());
      });
    }
  }

private:
  /// Whether an element of a tensor, or a constant's memory, makes it.
  bool isFromMemory(Value value) {
    Operation *source = value.getDefiningOp();
    if (!source || isa<memref::AllocOp>(source))
      return false;
    if (isa<memref::LoadOp, memref::GetGlobalOp>(source))
      return true;
    return isPure(source) && source->getNumRegions() == 0 &&
           llvm::any_of(source->getOperands(),
                        [&](Value operand) { return isFromMemory(operand); });
  }

  bool canMove(Value value) {
    if (!isFromMemory(value))
      return true;
    Operation *source = value.getDefiningOp();
    auto load = dyn_cast<memref::LoadOp>(source);
    return (!load || isMovable(load, launch)) &&
           llvm::all_of(source->getOperands(),
                        [&](Value operand) { return canMove(operand); });
  }

  Value clone(OpBuilder &b, Value value) {
    if (!isFromMemory(value))
      return value;
    if (Value known = mapping.lookupOrNull(value))
      return known;
    Operation *source = value.getDefiningOp();
    for (Value operand : source->getOperands())
      mapping.map(operand, clone(b, operand));
    b.clone(*source, mapping);
    return mapping.lookup(value);
  }

  gpu::LaunchOp launch;
  IRMapping mapping;
};

struct LinalgToGPUPass final
    : einhead::impl::LinalgToGPUPassBase<LinalgToGPUPass> {
  void runOnOperation() override;

private:
  void launchStore(memref::StoreOp store);
};
} // namespace

/// One number is stored by a kernel of one thread.
void LinalgToGPUPass::launchStore(memref::StoreOp store) {
  OpBuilder b(store);
  Location loc = store.getLoc();
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  auto launch = gpu::LaunchOp::create(b, loc, one, one, one, one, one, one);
  b.setInsertionPointToEnd(&launch.getBody().front());
  gpu::TerminatorOp::create(b, loc);
  store->moveBefore(&launch.getBody().front().back());
}

void LinalgToGPUPass::runOnOperation() {
  func::FuncOp function = getOperation();
  // Those inside are the work of whoever made them.
  auto isHost = [](Operation *op) {
    return !op->getParentOfType<gpu::LaunchOp>() &&
           !op->getParentOfType<scf::ForallOp>();
  };
  SmallVector<memref::CopyOp> copies;
  function.walk([&](memref::CopyOp op) {
    if (isHost(op))
      copies.push_back(op);
  });
  for (memref::CopyOp op : copies) {
    OpBuilder b(op);
    linalg::makeMemRefCopyOp(b, op.getLoc(), op.getSource(), op.getTarget());
    op.erase();
  }
  SmallVector<linalg::LinalgOp> ops;
  SmallVector<memref::StoreOp> stores;
  function.walk([&](Operation *op) {
    if (!isHost(op))
      return;
    if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
        linalgOp && linalgOp.hasPureBufferSemantics())
      ops.push_back(linalgOp);
    else if (auto store = dyn_cast<memref::StoreOp>(op);
             store && !op->getParentOfType<linalg::LinalgOp>())
      stores.push_back(store);
  });
  // All fills are taken before the first op is gone.
  std::vector<LinalgKernel> kernels;
  for (linalg::LinalgOp op : ops)
    if (!isa<linalg::FillOp>(op))
      kernels.emplace_back(op).takeFill();
  function.walk([&](linalg::FillOp op) {
    if (isHost(op))
      kernels.emplace_back(op);
  });
  for (LinalgKernel &kernel : kernels) {
    kernel.takeLoops();
    kernel.emit();
  }
  for (memref::StoreOp store : stores)
    launchStore(store);
  function.walk([](gpu::LaunchOp launch) { Sink(launch).run(); });
}
