//===- LinalgKernel.cpp - One linalg op as a kernel -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LinalgKernel.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace einhead;

/// Threads of a block, and of a warp, whose accesses are one where they are
/// neighbours.
static constexpr int64_t blockThreads = 256, warpThreads = 32;
/// Reductions that are shorter are not worth a barrier.
static constexpr int64_t leastSplit = 64;

LinalgKernel::LinalgKernel(linalg::LinalgOp op)
    : op(op), loc(op.getLoc()), b(op), ranges(op.createLoopRanges(b, loc)) {}

Value LinalgKernel::constant(int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

/// Parallel loops in the order of the first output's dimensions, so that
/// neighbouring threads write neighbouring memory; or the others.
SmallVector<unsigned> LinalgKernel::loopsOf(bool parallel) {
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

/// A sum that no output indexes by stays in registers.
bool LinalgKernel::areSumsCarried() {
  SmallVector<unsigned> reductions = loopsOf(/*parallel=*/false);
  return llvm::none_of(op.getDpsInitsMutable(), [&](OpOperand &output) {
    AffineMap map = op.getMatchingIndexingMap(&output);
    return llvm::any_of(
        reductions, [&](unsigned loop) { return map.isFunctionOfDim(loop); });
  });
}

/// Which reduction is shared out, if one is: that along the rows of the input
/// with the most elements, so that neighbouring threads read neighbouring
/// memory; or the longest, where its rows are those of the output.
std::optional<LinalgKernel::Split> LinalgKernel::findSplit() {
  SmallVector<unsigned> reductions = loopsOf(/*parallel=*/false);
  if (reductions.empty() || op.getNumDpsInits() != 1 || !areSumsCarried())
    return std::nullopt;
  SmallVector<Operation *> combiners;
  if (!matchReduction(op.getRegionOutputArgs(), 0, combiners) ||
      combiners.size() != 1)
    return std::nullopt;
  std::optional<TypedAttr> neutral = arith::getNeutralElement(combiners[0]);
  Type element = op.getRegionOutputArgs()[0].getType();
  if (!neutral || !element.isIntOrFloat() || neutral->getType() != element)
    return std::nullopt;

  OpOperand *largest = nullptr;
  for (OpOperand *input : op.getDpsInputOperands())
    if (!largest || op.getMatchingIndexingMap(input).getNumResults() >
                        op.getMatchingIndexingMap(largest).getNumResults())
      largest = input;
  AffineMap map = largest ? op.getMatchingIndexingMap(largest) : AffineMap();
  int64_t row = -1;
  if (map && map.getNumResults())
    if (auto last = dyn_cast<AffineDimExpr>(map.getResults().back()))
      row = last.getPosition();
  auto sizeOf = [&](unsigned loop) {
    auto size = getConstantIntValue(ranges[loop].size);
    return size.value_or(std::numeric_limits<int64_t>::max());
  };
  unsigned loop = *llvm::max_element(reductions, [&](unsigned x, unsigned y) {
    return sizeOf(x) < sizeOf(y);
  });
  bool partsFirst = llvm::is_contained(reductions, row);
  if (partsFirst)
    loop = static_cast<unsigned>(row);
  if (sizeOf(loop) < leastSplit)
    return std::nullopt;
  int64_t parts = partsFirst ? warpThreads : blockThreads / warpThreads;
  return Split{loop,  combiners[0],         *neutral,
               parts, blockThreads / parts, partsFirst};
}

/// The turns of all parallel loops, those of the host first.
SmallVector<Value> LinalgKernel::countTrips() {
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
  return trips;
}

/// A launch of blocks that have `points` points each; how many points there
/// are.
Value LinalgKernel::createLaunch(ArrayRef<Value> trips, int64_t points,
                                 Value sharedBytes) {
  Value one = constant(1), total = one;
  for (Value count : trips)
    total = b.createOrFold<arith::MulIOp>(loc, total, count);
  Value blocks =
      b.createOrFold<arith::CeilDivUIOp>(loc, total, constant(points));
  // A launch without blocks is an error of the driver.
  blocks = b.createOrFold<arith::MaxUIOp>(loc, blocks, one);
  launch = gpu::LaunchOp::create(b, loc, blocks, one, one,
                                 constant(blockThreads), one, one, sharedBytes);
  b.setInsertionPointToEnd(&launch.getBody().front());
  auto end = gpu::TerminatorOp::create(b, loc);
  b.setInsertionPoint(end);
  return total;
}

/// The loops' variables at point `id` of all, the last one fastest, and what
/// stands in the host's loops before the op.
void LinalgKernel::enter(Value id, ArrayRef<Value> trips) {
  SmallVector<Value> point(trips.size());
  for (unsigned i = trips.size(); i-- > 0;) {
    point[i] = id;
    if (i == 0)
      break;
    point[i] = arith::RemUIOp::create(b, loc, id, trips[i]);
    id = arith::DivUIOp::create(b, loc, id, trips[i]);
  }
  variables.assign(ranges.size(), Value());
  for (auto [i, loop] : llvm::enumerate(loopsOf(/*parallel=*/true)))
    variables[loop] = point[loops.size() + i];
  for (auto [i, loop] : llvm::enumerate(loops)) {
    Value scaled = arith::MulIOp::create(b, loc, point[i], loop.getStep());
    mapping.map(loop.getInductionVar(),
                arith::AddIOp::create(b, loc, scaled, loop.getLowerBound()));
  }
  for (auto [i, loop] : llvm::enumerate(loops)) {
    Operation *inner =
        i + 1 < loops.size() ? loops[i + 1].getOperation() : op.getOperation();
    for (Operation &other : loop.getBody()->without_terminator()) {
      if (&other == inner)
        break;
      b.clone(other, mapping);
    }
  }
}

void LinalgKernel::emit() {
  Operation *replaced = loops.empty() ? op.getOperation() : loops.front();
  b.setInsertionPoint(replaced);
  split = findSplit();
  SmallVector<Value> trips = countTrips();
  if (split) {
    Type element = split->neutral.getType();
    int64_t bytes =
        blockThreads * llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
    Value shared = arith::ConstantIntOp::create(b, loc, bytes, 32);
    runSplit(trips, createLaunch(trips, split->points, shared));
  } else {
    Value total = createLaunch(trips, blockThreads, Value());
    Value first = arith::MulIOp::create(b, loc, launch.getBlockIds().x,
                                        constant(blockThreads));
    Value id = arith::AddIOp::create(b, loc, first, launch.getThreadIds().x);
    Value isInside =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, id, total);
    auto guard = scf::IfOp::create(b, loc, isInside, /*withElseRegion=*/false);
    b.setInsertionPointToStart(guard.thenBlock());
    enter(id, trips);
    runBody();
  }
  replaced->erase();
}

/// Parts to shared memory, a barrier, then the sum of them.
void LinalgKernel::runSplit(ArrayRef<Value> trips, Value total) {
  Value thread = launch.getThreadIds().x;
  Value fast = constant(split->partsFirst ? split->parts : split->points);
  Value low = arith::RemUIOp::create(b, loc, thread, fast);
  Value high = arith::DivUIOp::create(b, loc, thread, fast);
  part = split->partsFirst ? low : high;
  Value point = split->partsFirst ? high : low;
  Value first = arith::MulIOp::create(b, loc, launch.getBlockIds().x,
                                      constant(split->points));
  Value id = arith::AddIOp::create(b, loc, first, point);
  Value isInside =
      arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, id, total);
  auto space =
      gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
  Value bytes = gpu::DynamicSharedMemoryOp::create(
      b, loc,
      MemRefType::get({ShapedType::kDynamic}, b.getI8Type(), AffineMap(),
                      space));
  auto type = MemRefType::get({split->parts, split->points},
                              split->neutral.getType(), AffineMap(), space);
  Value sums =
      memref::ViewOp::create(b, loc, type, bytes, constant(0), ValueRange());

  auto guard = scf::IfOp::create(b, loc, isInside, /*withElseRegion=*/false);
  b.setInsertionPointToStart(guard.thenBlock());
  enter(id, trips);
  Value neutral = arith::ConstantOp::create(b, loc, split->neutral);
  Value sum = reduce(loopsOf(/*parallel=*/false), neutral).front();
  memref::StoreOp::create(b, loc, sum, sums, ValueRange{part, point});
  b.setInsertionPointAfter(guard);
  gpu::BarrierOp::create(b, loc);

  Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, part,
                                        constant(0));
  Value isLast = arith::AndIOp::create(b, loc, isInside, isFirst);
  auto last = scf::IfOp::create(b, loc, isLast, /*withElseRegion=*/false);
  b.setInsertionPointToStart(last.thenBlock());
  enter(id, trips);
  OpOperand &output = *op.getDpsInitOperand(0);
  auto loop = scf::ForOp::create(b, loc, constant(0), constant(split->parts),
                                 constant(1), load(output));
  b.setInsertionPointToStart(loop.getBody());
  Value next = memref::LoadOp::create(
      b, loc, sums, ValueRange{loop.getInductionVar(), point});
  IRMapping both;
  for (Value operand : split->combiner->getOperands())
    both.map(operand, operand == op.getRegionOutputArgs()[0]
                          ? loop.getRegionIterArgs()[0]
                          : next);
  Operation *joined = b.clone(*split->combiner, both);
  scf::YieldOp::create(b, loc, joined->getResults());
  b.setInsertionPointAfter(loop);
  store(output, loop.getResult(0));
}

void LinalgKernel::runBody() {
  SmallVector<unsigned> reductions = loopsOf(/*parallel=*/false);
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
  if (areSumsCarried())
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

SmallVector<Value> LinalgKernel::reduce(ArrayRef<unsigned> rest,
                                        ValueRange sums) {
  if (rest.empty())
    return compute(sums);
  bool isSplit = split && split->loop == rest.front();
  Value size =
      getValueOrCreateConstantIndexOp(b, loc, ranges[rest.front()].size);
  auto loop = scf::ForOp::create(b, loc, isSplit ? part : constant(0), size,
                                 constant(isSplit ? split->parts : 1), sums);
  variables[rest.front()] = loop.getInductionVar();
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> results =
      reduce(rest.drop_front(), loop.getRegionIterArgs());
  scf::YieldOp::create(b, loc, results);
  b.setInsertionPointAfter(loop);
  return SmallVector<Value>(loop.getResults());
}

SmallVector<Value> LinalgKernel::compute(ValueRange sums) {
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

SmallVector<Value> LinalgKernel::indices(OpOperand &operand) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  SmallVector<OpFoldResult> position;
  // Outside of the reductions the map does not look at their variables.
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

Value LinalgKernel::load(OpOperand &operand) {
  if (start && op.isDpsInit(&operand))
    return start;
  Value buffer = mapping.lookupOrDefault(operand.get());
  if (!isa<MemRefType>(buffer.getType()))
    return buffer;
  return memref::LoadOp::create(b, loc, buffer, indices(operand));
}

void LinalgKernel::store(OpOperand &operand, Value value) {
  memref::StoreOp::create(b, loc, value, mapping.lookupOrDefault(operand.get()),
                          indices(operand));
}
