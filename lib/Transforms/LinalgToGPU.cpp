//===- LinalgToGPU.cpp - Ops on buffers become kernels ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BufferRoots.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"

namespace einhead {
#define GEN_PASS_DEF_LINALGTOGPUPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;

/// Threads of a block.
static constexpr int64_t blockThreads = 256;

//===----------------------------------------------------------------------===//
// Host loops that a kernel takes
//===----------------------------------------------------------------------===//

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

//===----------------------------------------------------------------------===//
// One kernel
//===----------------------------------------------------------------------===//

namespace {
/// Writes one linalg op as a launch with a thread for each point of its
/// parallel loops; each thread runs the reductions, its sums in registers.
class Kernel {
public:
  explicit Kernel(linalg::LinalgOp op)
      : op(op), loc(op.getLoc()), b(op), ranges(op.createLoopRanges(b, loc)) {}

  /// Takes loops around the op as further parallel ones.
  void takeLoops();
  /// Replaces op and loops.
  gpu::LaunchOp emit();

private:
  SmallVector<unsigned> loopsOf(bool parallel);
  Value enterLaunch(gpu::LaunchOp launch, Value total);
  void mapPoint(Value id, ArrayRef<Value> trips);
  void cloneBefore(scf::ForOp loop, Operation *inner);
  void runBody();
  SmallVector<Value> reduce(ArrayRef<unsigned> loops, ValueRange sums);
  SmallVector<Value> compute(ValueRange sums);
  SmallVector<Value> indices(OpOperand &operand);
  Value load(OpOperand &operand);
  void store(OpOperand &operand, Value value);

  Value constant(int64_t value) {
    return arith::ConstantIndexOp::create(b, loc, value);
  }

  linalg::LinalgOp op;
  Location loc;
  OpBuilder b;
  SmallVector<Range> ranges;
  SmallVector<scf::ForOp> loops; ///< outermost first
  SmallVector<Value> variables;  ///< of each loop of the op
  IRMapping mapping;             ///< what the launch has of the host's values
};
} // namespace

void Kernel::takeLoops() {
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

/// Parallel loops in the order of the first output's dimensions, so that
/// neighbouring threads write neighbouring memory; or the others.
SmallVector<unsigned> Kernel::loopsOf(bool parallel) {
  SmallVector<unsigned> result;
  for (auto [i, type] : llvm::enumerate(op.getIteratorTypesArray()))
    if ((type == utils::IteratorType::parallel) == parallel)
      result.push_back(i);
  if (!parallel)
    return result;
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  auto place = [&](unsigned loop) {
    auto at =
        llvm::find(map.getResults(), getAffineDimExpr(loop, map.getContext()));
    return at == map.getResults().end() ? -1 : at - map.getResults().begin();
  };
  llvm::stable_sort(
      result, [&](unsigned x, unsigned y) { return place(x) < place(y); });
  return result;
}

/// Opens the body of the threads that there is a point for; which one it is.
Value Kernel::enterLaunch(gpu::LaunchOp launch, Value total) {
  b.setInsertionPointToEnd(&launch.getBody().front());
  auto end = gpu::TerminatorOp::create(b, loc);
  b.setInsertionPoint(end);
  Value first = arith::MulIOp::create(b, loc, launch.getBlockIds().x,
                                      constant(blockThreads));
  Value id = arith::AddIOp::create(b, loc, first, launch.getThreadIds().x);
  Value isInside =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, id, total);
  auto guard = scf::IfOp::create(b, loc, isInside, /*withElseRegion=*/false);
  b.setInsertionPointToStart(guard.thenBlock());
  return id;
}

/// The loops' variables at point `id` of all, the last one fastest.
void Kernel::mapPoint(Value id, ArrayRef<Value> trips) {
  SmallVector<Value> point(trips.size());
  for (unsigned i = trips.size(); i-- > 0;) {
    point[i] = id;
    if (i == 0)
      break;
    point[i] = arith::RemUIOp::create(b, loc, id, trips[i]);
    id = arith::DivUIOp::create(b, loc, id, trips[i]);
  }
  for (auto [i, loop] : llvm::enumerate(loops)) {
    Value scaled = arith::MulIOp::create(b, loc, point[i], loop.getStep());
    mapping.map(loop.getInductionVar(),
                arith::AddIOp::create(b, loc, scaled, loop.getLowerBound()));
  }
  variables.resize(ranges.size());
  for (auto [i, loop] : llvm::enumerate(loopsOf(/*parallel=*/true)))
    variables[loop] = point[loops.size() + i];
}

void Kernel::cloneBefore(scf::ForOp loop, Operation *inner) {
  for (Operation &other : loop.getBody()->without_terminator()) {
    if (&other == inner)
      return;
    b.clone(other, mapping);
  }
}

gpu::LaunchOp Kernel::emit() {
  Operation *replaced = loops.empty() ? op.getOperation() : loops.front();
  b.setInsertionPoint(replaced);
  Value one = constant(1);
  SmallVector<Value> trips;
  for (scf::ForOp loop : loops) {
    Value distance = b.createOrFold<arith::SubIOp>(loc, loop.getUpperBound(),
                                                   loop.getLowerBound());
    Value count =
        b.createOrFold<arith::CeilDivSIOp>(loc, distance, loop.getStep());
    trips.push_back(b.createOrFold<arith::MaxSIOp>(loc, count, constant(0)));
  }
  for (unsigned loop : loopsOf(/*parallel=*/true))
    trips.push_back(getValueOrCreateConstantIndexOp(b, loc, ranges[loop].size));
  Value total = one;
  for (Value count : trips)
    total = b.createOrFold<arith::MulIOp>(loc, total, count);
  Value threads = constant(blockThreads);
  Value blocks = b.createOrFold<arith::CeilDivUIOp>(loc, total, threads);
  // A launch without blocks is an error of the driver.
  blocks = b.createOrFold<arith::MaxUIOp>(loc, blocks, one);
  auto launch =
      gpu::LaunchOp::create(b, loc, blocks, one, one, threads, one, one);
  mapPoint(enterLaunch(launch, total), trips);
  for (auto [i, loop] : llvm::enumerate(loops))
    cloneBefore(loop, i + 1 < loops.size() ? loops[i + 1].getOperation()
                                           : op.getOperation());
  runBody();
  replaced->erase();
  return launch;
}

/// A sum that no output indexes by stays in registers.
void Kernel::runBody() {
  SmallVector<unsigned> reductions = loopsOf(/*parallel=*/false);
  bool isCarried = llvm::none_of(op.getDpsInitsMutable(), [&](OpOperand &out) {
    AffineMap map = op.getMatchingIndexingMap(&out);
    return llvm::any_of(
        reductions, [&](unsigned loop) { return map.isFunctionOfDim(loop); });
  });
  auto loadSums = [&] {
    SmallVector<Value> sums;
    for (OpOperand &output : op.getDpsInitsMutable())
      sums.push_back(load(output));
    return sums;
  };
  auto storeSums = [&](ValueRange sums) {
    for (auto [output, sum] : llvm::zip(op.getDpsInitsMutable(), sums))
      store(output, sum);
  };
  if (isCarried)
    return storeSums(reduce(reductions, loadSums()));
  for (unsigned i : reductions) {
    auto loop = scf::ForOp::create(
        b, loc, constant(0),
        getValueOrCreateConstantIndexOp(b, loc, ranges[i].size), constant(1));
    variables[i] = loop.getInductionVar();
    b.setInsertionPointToStart(loop.getBody());
  }
  storeSums(compute(loadSums()));
}

SmallVector<Value> Kernel::reduce(ArrayRef<unsigned> rest, ValueRange sums) {
  if (rest.empty())
    return compute(sums);
  Value size =
      getValueOrCreateConstantIndexOp(b, loc, ranges[rest.front()].size);
  auto loop = scf::ForOp::create(b, loc, constant(0), size, constant(1), sums);
  variables[rest.front()] = loop.getInductionVar();
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> results =
      reduce(rest.drop_front(), loop.getRegionIterArgs());
  scf::YieldOp::create(b, loc, results);
  b.setInsertionPointAfter(loop);
  return SmallVector<Value>(loop.getResults());
}

SmallVector<Value> Kernel::compute(ValueRange sums) {
  IRMapping inside = mapping;
  for (OpOperand *input : op.getDpsInputOperands())
    inside.map(op.getMatchingBlockArgument(input), load(*input));
  for (auto [output, sum] : llvm::zip(op.getDpsInitsMutable(), sums))
    inside.map(op.getMatchingBlockArgument(&output), sum);
  for (Operation &each : op.getBlock()->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(each))
      inside.map(index.getResult(), variables[index.getDim()]);
    else
      b.clone(each, inside);
  }
  SmallVector<Value> results;
  for (Value value : op.getBlock()->getTerminator()->getOperands())
    results.push_back(inside.lookupOrDefault(value));
  return results;
}

SmallVector<Value> Kernel::indices(OpOperand &operand) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  SmallVector<OpFoldResult> position;
  // Before the reductions begin the map does not look at their variables.
  for (Value variable : variables)
    position.push_back(variable ? OpFoldResult(variable) : b.getIndexAttr(0));
  SmallVector<Value> values;
  for (unsigned i = 0, e = map.getNumResults(); i < e; ++i)
    values.push_back(getValueOrCreateConstantIndexOp(
        b, loc,
        affine::makeComposedFoldedAffineApply(b, loc, map.getSubMap({i}),
                                              position)));
  return values;
}

Value Kernel::load(OpOperand &operand) {
  Value buffer = mapping.lookupOrDefault(operand.get());
  if (!isa<MemRefType>(buffer.getType()))
    return buffer;
  // An output that is not read may hold anything.
  return memref::LoadOp::create(b, loc, buffer, indices(operand));
}

void Kernel::store(OpOperand &operand, Value value) {
  memref::StoreOp::create(b, loc, value, mapping.lookupOrDefault(operand.get()),
                          indices(operand));
}

//===----------------------------------------------------------------------===//
// What a launch reads
//===----------------------------------------------------------------------===//

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
  for (linalg::LinalgOp op : ops) {
    Kernel kernel(op);
    kernel.takeLoops();
    kernel.emit();
  }
  for (memref::StoreOp store : stores)
    launchStore(store);
  function.walk([](gpu::LaunchOp launch) { Sink(launch).run(); });
}
