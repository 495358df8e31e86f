//===- OutlineParallel.cpp - scf.forall calls the host ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "IterationSpace.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/RegionUtils.h"

namespace einhead {
#define GEN_PASS_DEF_OUTLINEPARALLELPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;

static constexpr StringLiteral hostName = "einhead_module_host";
/// What one body may keep on the stack of a thread.
static constexpr int64_t maxStackBytes = 512 << 10;

namespace {
/// One captured value: itself at the call, its converted type in the context.
struct Capture {
  Value value;
  Type stored;
};
} // namespace

/// Cheap values are made again inside the body.
static bool isCloned(Value value) {
  Operation *op = value.getDefiningOp();
  return op && op->getNumRegions() == 0 && op->getNumOperands() == 0 &&
         (matchPattern(value, m_Constant()) || isa<memref::GetGlobalOp>(op));
}

static Value castTo(OpBuilder &b, Location loc, Value value, Type type) {
  if (value.getType() == type)
    return value;
  return UnrealizedConversionCastOp::create(b, loc, type, value).getResult(0);
}

static int64_t byteSize(MemRefType type) {
  if (!type.getElementType().isIntOrIndexOrFloat())
    return maxStackBytes + 1;
  unsigned bits =
      type.getElementType().isIndex() ? 64 : type.getElementTypeBitWidth();
  return type.getNumElements() * llvm::divideCeil(bits, 8);
}

/// The workspace belongs to the calling thread: what a body allocates has to
/// fit on its own thread's stack.
static LogicalResult moveAllocationsToStack(scf::ForallOp forall) {
  int64_t total = 0;
  SmallVector<memref::AllocOp> allocations;
  forall.getBody()->walk(
      [&](memref::AllocOp op) { allocations.push_back(op); });
  for (memref::AllocOp op : allocations) {
    MemRefType type = op.getType();
    if (!type.hasStaticShape() || !op.getSymbolOperands().empty())
      return op.emitOpError("allocates memory of a dynamic size in a parallel "
                            "body");
    for (Operation *user : op->getUsers())
      if (isa<scf::YieldOp>(user))
        return op.emitOpError("is carried by a loop in a parallel body");
    total += byteSize(type);
    if (total > maxStackBytes)
      return op.emitOpError() << "brings the memory of a parallel body above "
                              << maxStackBytes << " bytes";
    OpBuilder b(op);
    auto onStack =
        memref::AllocaOp::create(b, op.getLoc(), type, op.getAlignmentAttr());
    for (Operation *user : llvm::make_early_inc_range(op->getUsers()))
      if (isa<memref::DeallocOp>(user))
        user->erase();
    op.replaceAllUsesWith(onStack.getResult());
    op.erase();
  }
  return success();
}

/// An alloca in a loop would grow the stack with each iteration.
static LogicalResult hoistAllocas(func::FuncOp function) {
  Block &entry = function.front();
  SmallVector<memref::AllocaOp> allocas;
  function.walk([&](memref::AllocaOp op) { allocas.push_back(op); });
  for (memref::AllocaOp op : llvm::reverse(allocas)) {
    if (op.getType().hasStaticShape() && op.getSymbolOperands().empty())
      op->moveBefore(&entry, entry.begin());
    else if (op->getParentOfType<LoopLikeOpInterface>())
      return op.emitOpError("of a dynamic size in a loop");
  }
  return success();
}

namespace {
struct OutlineParallelPass final
    : einhead::impl::OutlineParallelPassBase<OutlineParallelPass> {
  void runOnOperation() override;

private:
  LogicalResult outline(scf::ForallOp forall, func::FuncOp function,
                        unsigned number);
  func::FuncOp createBody(scf::ForallOp forall, func::FuncOp function,
                          unsigned number, const IterationSpace &space,
                          ArrayRef<Capture> captures);
  void fillBody(OpBuilder &b, scf::ForallOp forall, const IterationSpace &space,
                IRMapping &mapping, func::FuncOp body);
  Value createContext(OpBuilder &b, scf::ForallOp forall, func::FuncOp function,
                      ArrayRef<Capture> captures);
  void createCall(OpBuilder &b, Location loc, Value count, Value context,
                  func::FuncOp body);
  LLVM::GlobalOp hostVariable(Location loc);

  LLVM::LLVMStructType contextType(ArrayRef<Capture> captures) {
    SmallVector<Type> fields;
    for (const Capture &capture : captures)
      fields.push_back(capture.stored);
    return LLVM::LLVMStructType::getLiteral(&getContext(), fields);
  }
};
} // namespace

/// What the body uses from outside, without what it makes again.
static FailureOr<SmallVector<Capture>> capturesOf(scf::ForallOp forall,
                                                  const IterationSpace &space) {
  SetVector<Value> used;
  for (const SmallVector<Value> *values :
       {&space.lower, &space.step, &space.trips})
    used.insert(values->begin(), values->end());
  getUsedValuesDefinedAbove(forall.getRegion(), forall.getRegion(), used);
  LowerToLLVMOptions options(forall.getContext());
  LLVMTypeConverter converter(forall.getContext(), options);
  SmallVector<Capture> captures;
  for (Value value : used) {
    if (isCloned(value))
      continue;
    Type stored = converter.convertType(value.getType());
    if (!stored)
      return forall.emitOpError() << "uses a value of type " << value.getType()
                                  << ", which cannot be passed to threads";
    captures.push_back({value, stored});
  }
  return captures;
}

LLVM::GlobalOp OutlineParallelPass::hostVariable(Location loc) {
  ModuleOp module = getOperation();
  if (auto global = module.lookupSymbol<LLVM::GlobalOp>(hostName))
    return global;
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  auto pointer = LLVM::LLVMPointerType::get(&getContext());
  return LLVM::GlobalOp::create(b, loc, pointer, /*isConstant=*/false,
                                LLVM::Linkage::External, hostName,
                                LLVM::ZeroAttr::get(&getContext()));
}

func::FuncOp OutlineParallelPass::createBody(scf::ForallOp forall,
                                             func::FuncOp function,
                                             unsigned number,
                                             const IterationSpace &space,
                                             ArrayRef<Capture> captures) {
  Location loc = forall.getLoc();
  OpBuilder b(function->getContext());
  b.setInsertionPointAfter(function);
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto type = b.getFunctionType({pointer, b.getI64Type(), b.getI64Type()}, {});
  auto body = func::FuncOp::create(
      b, loc, (function.getName() + "_parallel_" + Twine(number)).str(), type);
  body.setPrivate();
  Block *entry = body.addEntryBlock();
  b.setInsertionPointToStart(entry);

  IRMapping mapping;
  LLVM::LLVMStructType context = contextType(captures);
  for (auto [i, capture] : llvm::enumerate(captures)) {
    Value address =
        LLVM::GEPOp::create(b, loc, pointer, context, entry->getArgument(0),
                            ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(i)});
    Value stored = LLVM::LoadOp::create(b, loc, capture.stored, address);
    mapping.map(capture.value, castTo(b, loc, stored, capture.value.getType()));
  }
  fillBody(b, forall, space, mapping, body);
  return body;
}

void OutlineParallelPass::fillBody(OpBuilder &b, scf::ForallOp forall,
                                   const IterationSpace &space,
                                   IRMapping &mapping, func::FuncOp body) {
  Location loc = forall.getLoc();
  auto cloneIfCheap = [&](Value value) {
    if (!mapping.contains(value) && isCloned(value))
      b.clone(*value.getDefiningOp(), mapping);
  };
  SetVector<Value> used;
  getUsedValuesDefinedAbove(forall.getRegion(), forall.getRegion(), used);
  for (const SmallVector<Value> *values :
       {&space.lower, &space.step, &space.trips})
    used.insert(values->begin(), values->end());
  llvm::for_each(used, cloneIfCheap);

  Value begin =
      arith::IndexCastOp::create(b, loc, b.getIndexType(), body.getArgument(1));
  Value end =
      arith::IndexCastOp::create(b, loc, b.getIndexType(), body.getArgument(2));
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  auto loop = scf::ForOp::create(b, loc, begin, end, one);
  func::ReturnOp::create(b, loc);

  b.setInsertionPointToStart(loop.getBody());
  Value rest = loop.getInductionVar();
  SmallVector<Value> variables = forall.getInductionVars();
  for (unsigned i = variables.size(); i-- > 0;) {
    Value trips = mapping.lookup(space.trips[i]);
    Value index = rest;
    if (i != 0) {
      index = arith::RemUIOp::create(b, loc, rest, trips);
      rest = arith::DivUIOp::create(b, loc, rest, trips);
    }
    Value scaled = b.createOrFold<arith::MulIOp>(loc, index,
                                                 mapping.lookup(space.step[i]));
    mapping.map(variables[i], b.createOrFold<arith::AddIOp>(
                                  loc, scaled, mapping.lookup(space.lower[i])));
  }
  for (Operation &op : forall.getBody()->without_terminator())
    b.clone(op, mapping);
}

Value OutlineParallelPass::createContext(OpBuilder &b, scf::ForallOp forall,
                                         func::FuncOp function,
                                         ArrayRef<Capture> captures) {
  Location loc = forall.getLoc();
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  LLVM::LLVMStructType type = contextType(captures);
  Value context;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(&function.front());
    Value one = LLVM::ConstantOp::create(b, loc, b.getI64Type(),
                                         b.getI64IntegerAttr(1));
    context = LLVM::AllocaOp::create(b, loc, pointer, type, one);
  }
  for (auto [i, capture] : llvm::enumerate(captures)) {
    Value address =
        LLVM::GEPOp::create(b, loc, pointer, type, context,
                            ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(i)});
    LLVM::StoreOp::create(b, loc, castTo(b, loc, capture.value, capture.stored),
                          address);
  }
  return context;
}

/// Asks the host where there is something to share out.
void OutlineParallelPass::createCall(OpBuilder &b, Location loc, Value count,
                                     Value context, func::FuncOp body) {
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value isParallel =
      b.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::sgt, count, one);
  Value tasks = arith::IndexCastOp::create(b, loc, b.getI64Type(), count);
  auto branch = scf::IfOp::create(b, loc, isParallel, /*withElse=*/true);

  b.setInsertionPointToStart(branch.thenBlock());
  Value variable = LLVM::AddressOfOp::create(b, loc, hostVariable(loc));
  Value table = LLVM::LoadOp::create(b, loc, pointer, variable);
  Value parallelFor = LLVM::LoadOp::create(b, loc, pointer, table);
  Value function = func::ConstantOp::create(b, loc, body.getFunctionType(),
                                            FlatSymbolRefAttr::get(body));
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()),
                                  {b.getI64Type(), pointer, pointer});
  LLVM::CallOp::create(b, loc, type,
                       ValueRange{parallelFor, tasks,
                                  castTo(b, loc, function, pointer), context});

  b.setInsertionPointToStart(branch.elseBlock());
  Value zero =
      LLVM::ConstantOp::create(b, loc, b.getI64Type(), b.getI64IntegerAttr(0));
  func::CallOp::create(b, loc, body, ValueRange{context, zero, tasks});
}

LogicalResult OutlineParallelPass::outline(scf::ForallOp forall,
                                           func::FuncOp function,
                                           unsigned number) {
  if (!forall.getOutputs().empty())
    return forall.emitOpError(
        "is on tensors; bufferize before attn-outline-parallel");
  if (failed(serializeNested(forall)) || failed(moveAllocationsToStack(forall)))
    return failure();
  OpBuilder b(forall);
  IterationSpace space(b, forall);
  FailureOr<SmallVector<Capture>> captures = capturesOf(forall, space);
  if (failed(captures))
    return failure();
  func::FuncOp body = createBody(forall, function, number, space, *captures);
  Value context = createContext(b, forall, function, *captures);
  createCall(b, forall.getLoc(), space.count, context, body);
  forall.erase();
  return hoistAllocas(body);
}

void OutlineParallelPass::runOnOperation() {
  for (auto function :
       llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>())) {
    if (function.isExternal())
      continue;
    SmallVector<scf::ForallOp> outermost;
    function.walk<WalkOrder::PreOrder>([&](scf::ForallOp forall) {
      outermost.push_back(forall);
      return WalkResult::skip();
    });
    for (auto [i, forall] : llvm::enumerate(outermost))
      if (failed(outline(forall, function, i)))
        return signalPassFailure();
    if (failed(hoistAllocas(function)))
      return signalPassFailure();
  }
}
