//===- ForallToGPUBody.cpp - A body, run by a block of threads --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ForallToGPU.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

//===----------------------------------------------------------------------===//
// The block
//===----------------------------------------------------------------------===//

void ThreadBlock::shareIn(ImplicitLocOpBuilder &b, Value count, Item body) {
  Value step = arith::ConstantIndexOp::create(b, threads);
  auto loop = scf::ForOp::create(b, thread, count, step);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void ThreadBlock::share(ImplicitLocOpBuilder &b, Value count, Item body) {
  shareIn(b, count, body);
}

void ThreadBlock::share(ImplicitLocOpBuilder &b, int64_t count, Item body) {
  if (count > threads) {
    shareIn(b, arith::ConstantIndexOp::create(b, count), body);
  } else if (count == threads) {
    body(thread);
  } else if (count > 0) {
    Value end = arith::ConstantIndexOp::create(b, count);
    Value mine =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ult, thread, end);
    auto branch = scf::IfOp::create(b, mine, /*withElse=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    body(thread);
  }
}

Value ThreadBlock::allocate(ImplicitLocOpBuilder &b, ArrayRef<int64_t> shape,
                            Type element) {
  auto type =
      MemRefType::get(shape, element, MemRefLayoutAttrInterface(),
                      cast<MemRefType>(bytes.getType()).getMemorySpace());
  Value offset = arith::ConstantIndexOp::create(b, used);
  used += bytesOf(type.getNumElements(), element);
  most = std::max(most, used);
  assert(used <= limit && "a plan asked for room that there is not");
  return memref::ViewOp::create(b, type, bytes, offset, ValueRange());
}

SmallVector<Value> einhead::delinearize(ImplicitLocOpBuilder &b, Value item,
                                        ValueRange extents) {
  SmallVector<Value> indices(extents.size(), item);
  for (size_t i = extents.size(); i-- > 1;) {
    indices[i] = b.createOrFold<arith::RemUIOp>(item, extents[i]);
    item = b.createOrFold<arith::DivUIOp>(item, extents[i]);
    indices[i - 1] = item;
  }
  return indices;
}

std::pair<Value, Value> einhead::splitItem(ImplicitLocOpBuilder &b, Value item,
                                           int64_t inner) {
  Value size = arith::ConstantIndexOp::create(b, inner);
  return {b.createOrFold<arith::DivUIOp>(item, size),
          b.createOrFold<arith::RemUIOp>(item, size)};
}

Value einhead::toF32(ImplicitLocOpBuilder &b, Value number) {
  Type element = getElementTypeOrSelf(number);
  if (element.isF32())
    return number;
  Type type = b.getF32Type();
  if (auto vector = dyn_cast<VectorType>(number.getType()))
    type = vector.clone(type);
  if (element.isInteger())
    return arith::SIToFPOp::create(b, type, number);
  return arith::ExtFOp::create(b, type, number);
}

//===----------------------------------------------------------------------===//
// The body
//===----------------------------------------------------------------------===//

namespace {
class BodyLowering {
public:
  BodyLowering(Block &body, ThreadBlock &block)
      : body(body), block(block), rewriter(body.getParentOp()->getContext()) {}

  LogicalResult run();

private:
  static Value root(Value memref);
  void noteWrites(Operation *op);
  LogicalResult takeMemory(Operation *op);
  LogicalResult lower(Block &inner);
  LogicalResult lower(Operation *op);
  void afterLoad(memref::LoadOp load);
  void byOneThread(memref::StoreOp store);

  Block &body;
  ThreadBlock &block;
  IRRewriter rewriter;
  llvm::DenseSet<Value> written;
};
} // namespace

Value BodyLowering::root(Value memref) {
  while (auto view = memref.getDefiningOp<ViewLikeOpInterface>())
    memref = view.getViewSource();
  return memref;
}

void BodyLowering::noteWrites(Operation *op) {
  if (auto store = dyn_cast<memref::StoreOp>(op))
    written.insert(root(store.getMemRef()));
  else if (auto copy = dyn_cast<memref::CopyOp>(op))
    written.insert(root(copy.getTarget()));
  else if (auto filled = dyn_cast<DestinationStyleOpInterface>(op))
    for (Value init : filled.getDpsInits())
      written.insert(root(init));
}

/// Memory of the body is the block's: before everything else, since it lives
/// throughout.
LogicalResult BodyLowering::takeMemory(Operation *op) {
  auto type = cast<MemRefType>(op->getResult(0).getType());
  if (!type.hasStaticShape() || !type.getLayout().isIdentity())
    return op->emitOpError("takes memory of a dynamic size in a parallel body, "
                           "which a kernel's shared memory cannot have");
  if (!type.getElementType().isIntOrIndexOrFloat())
    return op->emitOpError() << "takes memory of " << type.getElementType()
                             << " in a parallel body";
  int64_t bytes =
      ThreadBlock::bytesOf(type.getNumElements(), type.getElementType());
  if (bytes > block.room())
    return op->emitOpError()
           << "brings the shared memory of a parallel body to "
           << block.mark() + bytes << " bytes, above the " << block.limit
           << " that a block may have";
  ImplicitLocOpBuilder b(op->getLoc(), op->getContext());
  b.setInsertionPoint(op);
  Value shared = block.allocate(b, type.getShape(), type.getElementType());
  // Its users know no address space; LLVM finds it again.
  Value plain = memref::MemorySpaceCastOp::create(b, type, shared);
  for (Operation *user : llvm::make_early_inc_range(op->getUsers()))
    if (isa<memref::DeallocOp>(user))
      rewriter.eraseOp(user);
  rewriter.replaceOp(op, plain);
  return success();
}

/// Nobody writes it before all have read it.
void BodyLowering::afterLoad(memref::LoadOp load) {
  if (!written.contains(root(load.getMemRef())))
    return;
  rewriter.setInsertionPointAfter(load);
  gpu::BarrierOp::create(rewriter, load.getLoc());
}

/// A number that all threads know, written once.
void BodyLowering::byOneThread(memref::StoreOp store) {
  ImplicitLocOpBuilder b(store.getLoc(), store.getContext());
  b.setInsertionPoint(store);
  block.barrier(b);
  block.share(b, 1, [&](Value) { b.clone(*store); });
  block.barrier(b);
  rewriter.eraseOp(store);
}

LogicalResult BodyLowering::lower(Operation *op) {
  if (auto partial = dyn_cast<PartialAttentionOp>(op))
    return lowerToThreads(rewriter, partial, block);
  if (auto merge = dyn_cast<MergeOp>(op))
    return lowerToThreads(rewriter, merge, block);
  if (auto copy = dyn_cast<memref::CopyOp>(op)) {
    rewriter.setInsertionPoint(copy);
    op = rewriter.replaceOpWithNewOp<linalg::CopyOp>(copy, copy.getSource(),
                                                     copy.getTarget());
  }
  if (auto elements = dyn_cast<linalg::LinalgOp>(op))
    return lowerToThreads(rewriter, elements, block);
  if (auto load = dyn_cast<memref::LoadOp>(op))
    return afterLoad(load), success();
  if (auto store = dyn_cast<memref::StoreOp>(op))
    return byOneThread(store), success();
  if (isMemoryEffectFree(op) || isa<gpu::TerminatorOp>(op))
    return success();
  if (!isa<scf::ForOp, scf::IfOp>(op))
    return op->emitOpError("cannot be shared by the threads of a kernel");
  for (Region &region : op->getRegions())
    for (Block &inner : region)
      if (failed(lower(inner)))
        return failure();
  return success();
}

LogicalResult BodyLowering::lower(Block &inner) {
  for (Operation &op : llvm::make_early_inc_range(inner))
    if (failed(lower(&op)))
      return failure();
  return success();
}

LogicalResult BodyLowering::run() {
  SmallVector<Operation *> allocations;
  body.walk([&](Operation *op) {
    if (isa<memref::AllocOp, memref::AllocaOp>(op))
      allocations.push_back(op);
  });
  for (Operation *op : allocations)
    if (failed(takeMemory(op)))
      return failure();
  body.walk([&](Operation *op) { noteWrites(op); });
  return lower(body);
}

LogicalResult einhead::lowerToThreads(Block &body, ThreadBlock &block) {
  return BodyLowering(body, block).run();
}
