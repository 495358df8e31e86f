//===- ForallToGPU.cpp - Parallel loops as kernel launches ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ForallToGPU.h"
#include "IterationSpace.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

namespace einhead {
#define GEN_PASS_DEF_FORALLTOGPUPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

namespace {
struct ForallToGPUPass final
    : einhead::impl::ForallToGPUPassBase<ForallToGPUPass> {
  using ForallToGPUPassBase::ForallToGPUPassBase;
  void runOnOperation() override;

private:
  LogicalResult check();
  LogicalResult launch(scf::ForallOp forall);
  LogicalResult fill(gpu::LaunchOp launch, scf::ForallOp forall,
                     const IterationSpace &space);
};
} // namespace

/// A merge or a partial attention of no parallel loop is one of one iteration.
static void wrapAlone(Operation *op) {
  ImplicitLocOpBuilder b(op->getLoc(), op);
  auto forall = scf::ForallOp::create(
      b, ArrayRef<OpFoldResult>{b.getIndexAttr(1)}, ValueRange(), std::nullopt);
  op->moveBefore(forall.getBody()->getTerminator());
}

/// Indices of the block's iteration, then the body.
LogicalResult ForallToGPUPass::fill(gpu::LaunchOp launch, scf::ForallOp forall,
                                    const IterationSpace &space) {
  Block &entry = launch.getBody().front();
  ImplicitLocOpBuilder b(forall.getLoc(), &getContext());
  b.setInsertionPointToStart(&entry);
  auto bytes = MemRefType::get(
      {ShapedType::kDynamic}, b.getI8Type(), MemRefLayoutAttrInterface(),
      gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup));
  Value memory = gpu::DynamicSharedMemoryOp::create(b, bytes);
  IRMapping mapping;
  SmallVector<Value> indices =
      delinearize(b, launch.getBlockIds().x, space.trips);
  for (auto [variable, index, lower, step] :
       llvm::zip(forall.getInductionVars(), indices, space.lower, space.step)) {
    Value scaled = b.createOrFold<arith::MulIOp>(index, step);
    mapping.map(variable, b.createOrFold<arith::AddIOp>(scaled, lower));
  }
  for (Operation &op : forall.getBody()->without_terminator())
    b.clone(op, mapping);
  gpu::TerminatorOp::create(b);

  ThreadBlock block(launch.getThreadIds().x, memory, threads, sharedBytes);
  if (failed(lowerToThreads(entry, block)))
    return failure();
  if (memory.use_empty()) {
    memory.getDefiningOp()->erase();
    launch.getDynamicSharedMemorySizeMutable().clear();
    return success();
  }
  b.setInsertionPoint(launch);
  launch.getDynamicSharedMemorySizeMutable().assign(
      arith::ConstantOp::create(b, b.getI32IntegerAttr(block.peak())));
  return success();
}

LogicalResult ForallToGPUPass::launch(scf::ForallOp forall) {
  if (!forall.getOutputs().empty())
    return forall.emitOpError("is on tensors; bufferize before "
                              "attn-forall-to-gpu");
  if (failed(serializeNested(forall)))
    return failure();
  ImplicitLocOpBuilder b(forall.getLoc(), forall);
  IterationSpace space(b, forall);
  // A grid of no blocks is an error of the driver.
  if (!matchPattern(space.count, m_Constant())) {
    Value some =
        arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, space.count,
                              arith::ConstantIndexOp::create(b, 0));
    auto branch = scf::IfOp::create(b, some, /*withElse=*/false);
    b.setInsertionPointToStart(branch.thenBlock());
  }
  Value one = arith::ConstantIndexOp::create(b, 1);
  Value size = arith::ConstantIndexOp::create(b, threads);
  Value none = arith::ConstantOp::create(b, b.getI32IntegerAttr(0));
  auto launch = gpu::LaunchOp::create(b, space.count, one, one, size, one, one,
                                      /*dynamicSharedMemorySize=*/none);
  if (failed(fill(launch, forall, space)))
    return failure();
  forall.erase();
  return success();
}

LogicalResult ForallToGPUPass::check() {
  // 1,024 is what every GPU takes.
  if (threads < 1 || threads > 1024 || !llvm::isPowerOf2_64(threads))
    return emitError(getOperation().getLoc())
           << "attn-forall-to-gpu: threads=" << threads.getValue()
           << " is no power of two up to 1024";
  if (sharedBytes < 0)
    return emitError(getOperation().getLoc())
           << "attn-forall-to-gpu: shared-bytes is negative";
  return success();
}

void ForallToGPUPass::runOnOperation() {
  if (failed(check()))
    return signalPassFailure();
  SmallVector<Operation *> alone;
  getOperation().walk([&](Operation *op) {
    if (isa<PartialAttentionOp, MergeOp>(op) &&
        !op->getParentOfType<scf::ForallOp>())
      alone.push_back(op);
  });
  for (Operation *op : alone) {
    if (llvm::any_of(op->getOperandTypes(),
                     [](Type type) { return isa<TensorType>(type); })) {
      op->emitOpError("is on tensors; bufferize first");
      return signalPassFailure();
    }
    wrapAlone(op);
  }
  SmallVector<scf::ForallOp> outermost;
  getOperation().walk<WalkOrder::PreOrder>([&](scf::ForallOp forall) {
    outermost.push_back(forall);
    return WalkResult::skip();
  });
  for (scf::ForallOp forall : outermost)
    if (failed(launch(forall)))
      return signalPassFailure();
}
