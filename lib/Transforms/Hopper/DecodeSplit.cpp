//===- DecodeSplit.cpp - Groups of weights, a group of outputs --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DecodeSplit.h"

using namespace mlir;
using namespace einhead::hopper;

void einhead::hopper::runSplitEmitter(OpBuilder &builder, Location loc,
                                      const DecodeShape &shape,
                                      const DecodeParameters &parameters,
                                      Value sharedBase) {
  SplitEmitter emitter(builder, loc, shape, parameters);
  emitter.sharedBase = sharedBase;
  emitter.run();
}

/// One arrival for each warp of the groups that read a stage, or weights.
void SplitEmitter::initBarriers() {
  int64_t count = shape.stages * shape.barriersPerStage();
  for (int64_t i = 0; i < count; ++i) {
    initBarrier(i32(shape.fullOffset() + i * 8), arrivalsOf(i));
    initBarrier(i32(shape.emptyOffset() + i * 8), shape.valueInKey ? 8 : 4);
  }
  for (int64_t g = 0; g < shape.weightGroups(); ++g) {
    initBarrier(roleBarrier(weightsFull, i32(g)), 4);
    initBarrier(roleBarrier(weightsEmpty, i32(g)), 4);
    initBarrier(roleBarrier(decided, i32(g)), 1);
  }
}

//===----------------------------------------------------------------------===//
// References
//===----------------------------------------------------------------------===//

/// Takes another group's references for this one's.
void SplitEmitter::adoptReferences(Value ofGroup) {
  int64_t bytes = shape.paddedRows() * 4;
  syncGroup(); // all have read this group's
  loop(rem(thread, 128), i32(shape.paddedRows()), i32(128), [&](Value row) {
    for (int64_t first : {shape.maximaOffset(), shape.referenceOffset()}) {
      Value from = add(add(mul(row, 4), mul(ofGroup, bytes)), first);
      Value to = add(add(mul(row, 4), mul(group, bytes)), first);
      storeShared(loadShared(b.getF32Type(), from), to);
    }
  });
  if (shape.valueScaled)
    ifThen(isEqual(rem(thread, 128), 0), [&] {
      storeShared(loadShared(b.getF32Type(), unitOf(ofGroup)), unitOf(group));
    });
  syncGroup();
}

/// Where `ofGroup` has raised references since this group took them, what was
/// summed refers to the new ones, too.
void SplitEmitter::follow(Value isBehind, Value ofGroup, Carried &carried) {
  Values sums = carried.pack();
  sums = ifElse(
      isBehind,
      [&] {
        Carried scaled = carried;
        Values own = rowValues(maxima);
        Values other = rowValues(
            add(mul(ofGroup, shape.paddedRows() * 4), shape.referenceOffset()));
        for (int64_t row = 0; row < blocks() * 2; ++row) {
          Value factor = exp2(subF(own[row], other[row]));
          if (!scaled.sums.empty())
            scaled.sums[row] = mulF(scaled.sums[row], factor);
          scaleRow(scaled.outputs, row, factor);
        }
        if (shape.valueScaled)
          changeUnit(scaled.outputs, loadShared(b.getF32Type(), unitOf(group)),
                     loadShared(b.getF32Type(), unitOf(ofGroup)));
        adoptReferences(ofGroup);
        return scaled.pack();
      },
      [&] { return sums; });
  size_t rows = carried.sums.size();
  carried.sums = Values(ArrayRef<Value>(sums).slice(1, rows));
  carried.outputs = Values(ArrayRef<Value>(sums).drop_front(1 + rows));
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// The raw scores of a tile.
Values SplitEmitter::tileScores(const Item &item, Value firstKey, Value stage,
                                Value phase, Scales &scales) {
  wait(fullBarrier(stage, false), phase);
  Values raw = streamScores(mul(stage, shape.stageBytes()));
  scales = loadScales(stage, 0);
  scaleScores(raw, scales);
  ifThen(isEqual(lane, 0), [&] { arrive(emptyBarrier(stage, false)); });
  return ifElse(
      isPartial(item, firstKey),
      [&] { return maskScores(item, raw, firstKey); }, [&] { return raw; });
}

/// Weights, of which the carried sums are; they have their values' scales.  The
/// tile before has been decided on, and group 2 has read this group's last
/// weights and references.
Values SplitEmitter::decide(ArrayRef<Value> raw, const Scales &scales,
                            Value number, Value &raises, Carried &carried) {
  Value turn = rem(div(number, 2), 2), other = xorOf(group, i32(1));
  wait(roleBarrier(weightsEmpty, group), xorOf(turn, i32(1)));
  wait(roleBarrier(decided, other), xorOf(turn, other));
  Value latest = loadShared(b.getI32Type(), raisesOf(other));
  Value isBehind = xorOf(isEqual(latest, raises), i1(true));
  follow(isBehind, other, carried);
  carried.unseen = isEqual(andOf(latest, i32(1)), 1);
  Related related = relate(raw, scales, carried);
  Value unseen = arith::ExtUIOp::create(b, b.getI32Type(), carried.unseen);
  raises = select(related.grows, add(andOf(latest, i32(-2)), add(unseen, 2)),
                  latest);
  Value isFirst = isEqual(rem(thread, 128), 0);
  ifThen(orOf(related.grows, isBehind), [&] {
    ifThen(isFirst, [&] { storeShared(raises, raisesOf(group)); });
    syncGroup();
  });
  ifThen(isFirst, [&] { arrive(roleBarrier(decided, group)); });
  return weigh(related, scales, carried);
}

void SplitEmitter::addWeights(const Item &item, Value tile, Value stage,
                              Value phase, Value number, Value &raises,
                              Carried &carried) {
  Value firstKey = mul(add(item.firstOfUnit, tile), shape.keyTile);
  Scales scales;
  Values raw = tileScores(item, firstKey, stage, phase, scales);
  storeWeights(decide(raw, scales, number, raises, carried));
  fenceAsync();
  syncWarp();
  ifThen(isEqual(lane, 0), [&] { arrive(roleBarrier(weightsFull, group)); });
}

/// The sums of weights, of every other tile.
Values SplitEmitter::computeWeights(const Item &item, ValueRange ring) {
  Values state(ring);
  state.push_back(i32(1));
  state.append(blocks() * 2, f32(0));
  Value count = sub(item.end, item.begin);
  Values end = whileLoop(
      state, [&](ValueRange now) { return isLess(now[0], count); },
      [&](ValueRange now) {
        Value raises = now[4];
        Carried carried;
        carried.unseen = i1(false);
        carried.sums = Values(now.drop_front(5));
        addWeights(item, add(item.begin, now[0]), now[1], now[2], now[3],
                   raises, carried);
        auto [stage, phase] = nextStage(now[1], now[2], shape.weightGroups());
        Values next = {add(now[0], shape.weightGroups()), stage, phase,
                       add(now[3], shape.weightGroups()), raises};
        llvm::append_range(next, carried.sums);
        return next;
      });
  syncConsumers(); // queries and weights become the outputs' place
  for (int64_t row = 0; row < blocks() * 2; ++row)
    noteSum(row / 2, row % 2, end[5 + row]);
  syncGroup();
  storeStates();
  return {sub(end[0], count), end[1], end[2], end[3]};
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

/// The first values of a tile, converted: 0 behind the last one.
Values SplitEmitter::prepareValues(const Item &item, Value tile, Value stage,
                                   Value phase) {
  return ifElse(
      isLess(tile, item.end),
      [&] {
        wait(fullBarrier(stage, !shape.valueInKey), phase);
        Value firstKey = mul(add(item.firstOfUnit, tile), shape.keyTile);
        Value values = valuesOf(stage);
        ifThen(isPartial(item, firstKey), [&] {
          clearValues(item, values, firstKey);
          syncGroup();
        });
        return firstValues(values);
      },
      [&] { return Values(16, i32(0)); });
}

/// Adds a tile's values, of which the first ones are converted, and converts
/// the next tile's.
Values SplitEmitter::addOutputs(const Item &item, Value tile, Value stage,
                                Value phase, Value number,
                                ArrayRef<Value> ahead, Value &raises,
                                Carried &carried) {
  Value from = rem(number, 2), turn = rem(div(number, 2), 2);
  wait(roleBarrier(weightsFull, from), turn);
  Value latest = loadShared(b.getI32Type(), raisesOf(from));
  follow(xorOf(isEqual(latest, raises), i1(true)), from, carried);
  raises = latest;
  weightsOffset = add(mul(from, shape.keyBlocks * shape.paddedRows() * 128),
                      shape.weightOffset());
  pin(carried.outputs);
  streamValues(valuesOf(stage), ahead, carried.outputs);
  // The next tile's take the registers of this one's first two pairs.
  int64_t pairs = shape.outputBlocks() * shape.keyBlocks * 2;
  wgmmaWait(std::min<int64_t>(pairs - 2, 2));
  auto [nextStage, nextPhase] = this->nextStage(stage, phase, 1);
  Values next = prepareValues(item, add(tile, 1), nextStage, nextPhase);
  wgmmaWait();
  pin(carried.outputs);
  ifThen(isEqual(lane, 0), [&] {
    arrive(emptyBarrier(stage, !shape.valueInKey));
    arrive(roleBarrier(weightsEmpty, from));
  });
  return next;
}

Values SplitEmitter::computeOutputs(const Item &item, ValueRange ring) {
  constexpr size_t first = 5, ahead = 16;
  Values state(ring);
  state.push_back(i32(1));
  llvm::append_range(state, prepareValues(item, item.begin, ring[1], ring[2]));
  state.append(shape.outputBlocks() * blocks() * 4, f32(0));
  Value count = sub(item.end, item.begin);
  Values end = whileLoop(
      state, [&](ValueRange now) { return isLess(now[0], count); },
      [&](ValueRange now) {
        Value raises = now[4];
        Values operands(now.slice(first, ahead));
        Carried carried;
        carried.unseen = i1(false);
        carried.outputs = Values(now.drop_front(first + ahead));
        operands = addOutputs(item, add(item.begin, now[0]), now[1], now[2],
                              now[3], operands, raises, carried);
        auto [stage, phase] = nextStage(now[1], now[2], 1);
        Values next = {add(now[0], 1), stage, phase, add(now[3], 1), raises};
        llvm::append_range(next, operands);
        llvm::append_range(next, carried.outputs);
        return next;
      });
  syncConsumers(); // as above
  Values outputs =
      withoutUnit(Values(ArrayRef<Value>(end).drop_front(first + ahead)));
  for (int64_t row = 0; row < blocks() * 2; ++row) {
    Value at = rowOf(row / 2, row % 2);
    spillRow(outputs, row / 2, row % 2, at, mul(at, shape.width));
  }
  storeStates(/*hasSums=*/false);
  return {sub(end[0], count), end[1], end[2], end[3]};
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

void SplitEmitter::startItem(const Item &item) {
  syncConsumers(); // the last item's outputs stood where the queries go
  loadScaledQueries(item);
  clearMaxima();
  ifThen(isLess(thread, shape.weightGroups()),
         [&] { storeShared(i32(1), raisesOf(thread)); });
  fenceAsync();
  syncConsumers();
}

void SplitEmitter::consume() {
  setUpConsumer();
  Value weighs = isLess(group, shape.weightGroups());
  Value first = select(weighs, group, i32(0));
  overItems({first, first, i32(0), first}, [&](const Item &item,
                                               ValueRange ring) {
    startItem(item);
    Values next = ifElse(
        weighs, [&] { return computeWeights(item, ring); },
        [&] { return computeOutputs(item, ring); });
    syncConsumers();
    joinGroups(item);
    Value isPart = xorOf(item.isWhole, i1(true));
    ifThen(andOf(isPart, xorOf(isCluster, i1(true))), [&] { announce(item); });
    return next;
  });
  mergeParts();
}
