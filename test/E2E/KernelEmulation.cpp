//===- KernelEmulation.cpp - Kernels on a CPU, thread by thread -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelEmulation.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::test;

namespace {
/// One launch.
class Emulation {
public:
  explicit Emulation(gpu::LaunchOp launch)
      : b(launch.getLoc(), launch), launch(launch) {}
  LogicalResult run();

private:
  using Segment = SmallVector<Operation *>;

  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  scf::ForOp loop(Value count) {
    auto loop = scf::ForOp::create(b, index(0), count, index(1));
    b.setInsertionPointToStart(loop.getBody());
    return loop;
  }
  void findThreads();
  bool ofThread(Operation *op);
  Value sharedMemory();
  LogicalResult block(Block &source, IRMapping &mapping);
  LogicalResult segment(ArrayRef<Operation *> ops, IRMapping &mapping);
  LogicalResult around(Operation *op, IRMapping &mapping);
  LogicalResult need(Operation *op, IRMapping &mapping);

  ImplicitLocOpBuilder b;
  gpu::LaunchOp launch;
  llvm::DenseSet<Value> threadValues; ///< those that differ between threads
  Value threads, isReversed;
};
} // namespace

static bool hasBarrier(Operation *op) {
  return op->walk([](gpu::BarrierOp) { return WalkResult::interrupt(); })
      .wasInterrupted();
}

static bool writes(Operation *op) {
  return op
      ->walk([](Operation *inner) {
        if (isMemoryEffectFree(inner) || isa<memref::LoadOp>(inner) ||
            inner->hasTrait<OpTrait::HasRecursiveMemoryEffects>())
          return WalkResult::advance();
        return WalkResult::interrupt();
      })
      .wasInterrupted();
}

bool Emulation::ofThread(Operation *op) {
  auto differs = [&](Value value) { return threadValues.contains(value); };
  bool any = llvm::any_of(op->getOperands(), differs);
  for (Region &region : op->getRegions())
    visitUsedValuesDefinedAbove(region, region, [&](OpOperand *operand) {
      any |= differs(operand->get());
    });
  return any;
}

void Emulation::findThreads() {
  threadValues.insert(launch.getThreadIds().x);
  launch.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (hasBarrier(op))
      return WalkResult::advance();
    if (ofThread(op))
      threadValues.insert(op->result_begin(), op->result_end());
    return WalkResult::skip();
  });
}

/// As many bytes as the launch asks for, NaN in every block anew.
Value Emulation::sharedMemory() {
  llvm::APInt bytes;
  Value size = launch.getDynamicSharedMemorySize();
  if (!size || !matchPattern(size, m_ConstantInt(&bytes)))
    return {};
  auto type = MemRefType::get({bytes.getSExtValue()}, b.getI8Type());
  Value memory;
  {
    OpBuilder::InsertionGuard guard(b);
    auto function = launch->getParentOfType<func::FuncOp>();
    b.setInsertionPointToStart(&function.getBody().front());
    memory = memref::AllocaOp::create(b, type, b.getI64IntegerAttr(64));
  }
  Value poison = arith::ConstantOp::create(b, b.getI8IntegerAttr(-1));
  {
    OpBuilder::InsertionGuard guard(b);
    auto each = loop(index(bytes.getSExtValue()));
    memref::StoreOp::create(b, poison, memory, each.getInductionVar());
  }
  auto dynamic = MemRefType::get({ShapedType::kDynamic}, b.getI8Type());
  return memref::CastOp::create(b, dynamic, memory);
}

/// A pure op of a thread that an earlier segment has.
LogicalResult Emulation::need(Operation *op, IRMapping &mapping) {
  SetVector<Value> used(op->operand_begin(), op->operand_end());
  for (Region &region : op->getRegions())
    getUsedValuesDefinedAbove(region, region, used);
  for (Value value : used) {
    Operation *definition = value.getDefiningOp();
    if (mapping.contains(value) || !threadValues.contains(value))
      continue;
    if (!definition || !isMemoryEffectFree(definition))
      return op->emitOpError("of a thread uses what it loaded before a "
                             "barrier, which is not emulated");
    if (failed(need(definition, mapping)))
      return failure();
    b.clone(*definition, mapping);
  }
  return success();
}

/// What stands between two barriers.
LogicalResult Emulation::segment(ArrayRef<Operation *> ops,
                                 IRMapping &mapping) {
  Segment byThread;
  for (Operation *op : ops) {
    if (auto memory = dyn_cast<gpu::DynamicSharedMemoryOp>(op)) {
      Value value = sharedMemory();
      if (!value)
        return op->emitOpError("has no constant size");
      mapping.map(memory.getResult(), value);
    } else if (ofThread(op) || writes(op)) {
      byThread.push_back(op);
    } else if (!isa<gpu::TerminatorOp, scf::YieldOp>(op)) {
      b.clone(*op, mapping);
    }
  }
  llvm::erase_if(byThread,
                 [](Operation *op) { return isMemoryEffectFree(op); });
  if (byThread.empty())
    return success();
  OpBuilder::InsertionGuard guard(b);
  auto each = loop(threads);
  Value thread = each.getInductionVar();
  Value last = arith::SubIOp::create(b, threads, index(1));
  thread = arith::SelectOp::create(
      b, isReversed, arith::SubIOp::create(b, last, thread), thread);
  IRMapping local = mapping;
  local.map(launch.getThreadIds().x, thread);
  for (Operation *op : byThread) {
    if (failed(need(op, local)))
      return failure();
    b.clone(*op, local);
  }
  return success();
}

/// A loop or a branch with barriers inside: all threads take it alike.
LogicalResult Emulation::around(Operation *op, IRMapping &mapping) {
  if (ofThread(op) && llvm::any_of(op->getOperands(), [&](Value value) {
        return threadValues.contains(value);
      }))
    return op->emitOpError("has a barrier that not all threads come to");
  if (op->getNumResults() > 0 || !isa<scf::ForOp, scf::IfOp>(op))
    return op->emitOpError("with a barrier inside is not emulated");
  OpBuilder::InsertionGuard guard(b);
  if (auto source = dyn_cast<scf::ForOp>(op)) {
    auto copy =
        scf::ForOp::create(b, mapping.lookupOrDefault(source.getLowerBound()),
                           mapping.lookupOrDefault(source.getUpperBound()),
                           mapping.lookupOrDefault(source.getStep()));
    mapping.map(source.getInductionVar(), copy.getInductionVar());
    b.setInsertionPointToStart(copy.getBody());
    return block(*source.getBody(), mapping);
  }
  auto source = cast<scf::IfOp>(op);
  bool hasElse = !source.getElseRegion().empty();
  auto copy = scf::IfOp::create(
      b, mapping.lookupOrDefault(source.getCondition()), hasElse);
  b.setInsertionPointToStart(copy.thenBlock());
  if (failed(block(*source.thenBlock(), mapping)) || !hasElse)
    return success(!hasElse);
  b.setInsertionPointToStart(copy.elseBlock());
  return block(*source.elseBlock(), mapping);
}

LogicalResult Emulation::block(Block &source, IRMapping &mapping) {
  Segment ops;
  auto flush = [&] {
    LogicalResult done = segment(ops, mapping);
    ops.clear();
    return done;
  };
  for (Operation &op : source) {
    if (!hasBarrier(&op)) {
      ops.push_back(&op);
      continue;
    }
    if (isa<gpu::BarrierOp>(op)) {
      if (failed(flush()))
        return failure();
      continue;
    }
    // What stands before it in the segment is not behind a barrier, but no
    // thread can be told apart from one that comes late.
    if (failed(flush()) || failed(around(&op, mapping)))
      return failure();
  }
  return flush();
}

LogicalResult Emulation::run() {
  findThreads();
  auto grid = launch.getGridSizeOperandValues();
  threads = launch.getBlockSizeOperandValues().x;
  OpBuilder::InsertionGuard guard(b);
  Value x = loop(grid.x).getInductionVar();
  isReversed = arith::TruncIOp::create(
      b, b.getI1Type(), arith::IndexCastOp::create(b, b.getI64Type(), x));
  IRMapping mapping;
  mapping.map(launch.getBlockIds().x, x);
  if (failed(block(launch.getBody().front(), mapping)))
    return failure();
  launch.erase();
  return success();
}

/// A CPU has one kind of memory.
static void dropSpaces(Operation *root) {
  auto drop = [](Value value) {
    auto type = dyn_cast<MemRefType>(value.getType());
    if (type && type.getMemorySpace())
      value.setType(MemRefType::get(type.getShape(), type.getElementType(),
                                    type.getLayout()));
  };
  root->walk([&](Operation *op) {
    llvm::for_each(op->getResults(), drop);
    for (Region &region : op->getRegions())
      for (Block &inner : region)
        llvm::for_each(inner.getArguments(), drop);
  });
  root->walk([](memref::MemorySpaceCastOp cast) {
    cast.replaceAllUsesWith(cast.getSource());
    cast.erase();
  });
}

KernelOptions einhead::test::kernelOptions;

/// Erases barrier `kernelOptions.lostBarrier`.  Not at the end of a loop's
/// body, where loops over threads wait for each other anyway.
static void loseBarrier(ModuleOp module) {
  SmallVector<gpu::BarrierOp> barriers;
  module.walk([&](gpu::BarrierOp barrier) {
    if (isa<scf::ForOp>(barrier->getParentOp()) &&
        !barrier->getNextNode()->hasTrait<OpTrait::IsTerminator>())
      barriers.push_back(barrier);
  });
  int64_t lost = kernelOptions.lostBarrier;
  if (lost >= 0 && lost < static_cast<int64_t>(barriers.size()))
    barriers[lost].erase();
}

LogicalResult einhead::test::emulateLaunches(ModuleOp module) {
  loseBarrier(module);
  SmallVector<gpu::LaunchOp> launches;
  module.walk([&](gpu::LaunchOp launch) { launches.push_back(launch); });
  for (gpu::LaunchOp launch : launches)
    if (failed(Emulation(launch).run()))
      return failure();
  dropSpaces(module);
  return success();
}

/// The passes before and behind those of attention on buffers, as the pipeline
/// has them.
static constexpr llvm::StringLiteral toBuffers =
    "func.func(convert-attn-to-linalg,convert-elementwise-to-linalg,"
    "einhead-fuse-elementwise),canonicalize,cse,symbol-dce,"
    "attn-destination-results,canonicalize,cse,eliminate-empty-tensors,"
    "one-shot-bufferize{bufferize-function-boundaries=1 "
    "function-boundary-type-conversion=infer-layout-map "
    "unknown-type-conversion=identity-layout-map},"
    "drop-equivalent-buffer-results,canonicalize,cse,"
    "einhead-finish-interfaces,canonicalize,cse";

static LogicalResult runPasses(ModuleOp module, const Twine &text) {
  static bool once = (registerAllPasses(), true);
  (void)once;
  PassManager passes(module.getContext());
  return success(succeeded(parsePassPipeline(text.str(), passes)) &&
                 succeeded(passes.run(module)));
}

llvm::Expected<std::string>
einhead::test::compileAsKernels(ModuleOp module, EmitKind kind,
                                const CompileOptions &options) {
  CompileOptions first = options, rest = options;
  first.stopAfter = "tiled";
  llvm::Expected<std::string> text = compile(module, EmitKind::MLIR, first);
  if (!text)
    return text;
  std::string toKernels =
      llvm::formatv("func.func(attn-forall-to-gpu{{threads={0} "
                    "shared-bytes={1}})",
                    kernelOptions.threads, kernelOptions.sharedBytes);
  auto tiled = parseSourceString<ModuleOp>(*text, module.getContext());
  if (!tiled || failed(runPasses(*tiled, toBuffers)) ||
      failed(runPasses(*tiled, toKernels)) || failed(emulateLaunches(*tiled)) ||
      failed(runPasses(*tiled, "func.func(convert-linalg-to-loops),"
                               "canonicalize,cse")))
    return llvm::createStringError("the kernels cannot be made");
  rest.startFrom = "vector";
  rest.schedules.clear();
  rest.sizes.clear();
  return compile(*tiled, kind, rest);
}
