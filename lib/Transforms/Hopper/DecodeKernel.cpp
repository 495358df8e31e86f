//===- DecodeKernel.cpp - Roles, items, the producer ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DecodeEmitter.h"

using namespace mlir;
using namespace einhead::hopper;

static constexpr int64_t producerRegisters = 24;

int64_t DecodeShape::fullOffset() const {
  int64_t products =
      (queryBoxes() + weightGroups() * keyBlocks) * paddedRows() * 128;
  int64_t joined = (outputGroups() * width + groups * 2) * rows * 4;
  int64_t merged = consumers() * 6 * 4;
  if (wide) { // outputs leave from registers, and weights may go into the ring
    products -= weightsInRing() ? groups * paddedRows() * 128 : 0;
    joined = 0;
  }
  return queryOffset() +
         llvm::alignTo(std::max({products, joined, merged}), 16);
}

int64_t DecodeShape::warpBytes() const {
  int64_t streamed = queryOffset() + paddedRows() * pitch(depth);
  int64_t joined = groups * rows * (width + 2) * 4;
  int64_t merged = consumers() * 6 * 4;
  return llvm::alignTo(std::max({streamed, joined, merged}), 16);
}

void einhead::hopper::buildDecodeKernel(OpBuilder &builder, Location loc,
                                        const DecodeShape &shape,
                                        const DecodeParameters &parameters,
                                        Value sharedBase) {
  if (shape.wide)
    return runWideEmitter(builder, loc, shape, parameters, sharedBase);
  if (shape.split)
    return runSplitEmitter(builder, loc, shape, parameters, sharedBase);
  if (shape.warps)
    return runWarpEmitter(builder, loc, shape, parameters, sharedBase);
  DecodeEmitter emitter(builder, loc, shape, parameters);
  emitter.sharedBase = sharedBase;
  emitter.run();
}

void DecodeEmitter::run() {
  setUp();
  Value isConsumer = isLess(warp, shape.groups * 4);
  auto roles = scf::IfOp::create(b, isConsumer, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(roles.elseBlock());
  setRegisters(producerRegisters, NVVM::SetMaxRegisterAction::decrease);
  // Scales are copied by a warp, all else is asked for by one thread.
  ifThen(shape.isScaled() ? isEqual(warp, shape.groups * 4)
                          : isEqual(thread, shape.consumers()),
         [&] { produce(); });
  b.setInsertionPointToStart(roles.thenBlock());
  setRegisters(DecodeShape::registers(shape.groups),
               NVVM::SetMaxRegisterAction::increase);
  consume();
}

/// With several groups, consumers take the registers that the producer does not
/// need.
void DecodeEmitter::setRegisters(int64_t count,
                                 NVVM::SetMaxRegisterAction action) {
  if (shape.groups > 1 && shape.blocksPerSM == 1)
    NVVM::SetMaxRegisterOp::create(b, count, action);
}

void DecodeEmitter::setUp() {
  setUpDescriptors();
  findPlace();
  Value blocksOfCluster = NVVM::ClusterDim::create(b, b.getI32Type());
  isCluster = isLess(i32(1), blocksOfCluster);
  ifThen(isEqual(thread, 0), [&] { initBarriers(); });
  NVVM::FenceMbarrierInitOp::create(b);
  takeRun();
}

/// The thread's place in its block, and the block's in its team.
void DecodeEmitter::findPlace() {
  thread = NVVM::ThreadIdXOp::create(b, b.getI32Type());
  warp = div(thread, 32);
  lane = rem(thread, 32);
  block = NVVM::BlockIdXOp::create(b, b.getI32Type());
  Value blockCount = NVVM::GridDimXOp::create(b, b.getI32Type());
  team = div(block, shape.rowBlocks());
  rank = rem(block, shape.rowBlocks());
  teamCount = div(blockCount, shape.rowBlocks());
  firstRow = mul(rank, shape.rows);
}

/// What this block computes; all its threads meet here.
void DecodeEmitter::takeRun() {
  if (p.lengths)
    ifThen(andOf(isLess(p.parts, i32(0)), isEqual(warp, 0)),
           [&] { findRun(); });
  barrier(i32(0), shape.threads());
  shareOut();
}

//===----------------------------------------------------------------------===//
// The ring
//===----------------------------------------------------------------------===//

void DecodeEmitter::initBarriers() {
  int64_t count = shape.stages * shape.barriersPerStage();
  for (int64_t i = 0; i < count; ++i) {
    initBarrier(i32(shape.fullOffset() + i * 8), arrivalsOf(i));
    // One arrival for each warp of the group that reads the stage.
    initBarrier(i32(shape.emptyOffset() + i * 8), 4);
  }
}

/// At a full barrier: the thread's that asks for boxes and, where they bring
/// scales, each lane's.
int64_t DecodeEmitter::arrivalsOf(int64_t fullBarrier) const {
  bool isKey = fullBarrier % shape.barriersPerStage() == 0;
  return isKey && shape.isScaled() ? 33 : 1;
}

Value DecodeEmitter::fullBarrier(Value stage, bool ofValue) {
  Value first = mul(stage, shape.barriersPerStage() * 8);
  return add(first, shape.fullOffset() + (ofValue ? 8 : 0));
}

Value DecodeEmitter::emptyBarrier(Value stage, bool ofValue) {
  Value first = mul(stage, shape.barriersPerStage() * 8);
  return add(first, shape.emptyOffset() + (ofValue ? 8 : 0));
}

/// The stage `step` further round the ring, and the parity of its phase.
std::pair<Value, Value> DecodeEmitter::nextStage(Value stage, Value phase,
                                                 int64_t step) {
  Value next = add(stage, step);
  Value wraps = isLess(i32(shape.stages - 1), next);
  return {select(wraps, sub(next, i32(shape.stages)), next),
          select(wraps, xorOf(phase, i32(1)), phase)};
}

//===----------------------------------------------------------------------===//
// The producer
//===----------------------------------------------------------------------===//

/// Asks for boxes of 128 bytes of columns of K or V, from `firstKey` on, the
/// first of which goes to `offset`.
void DecodeEmitter::copyBoxes(const Item &item, Value firstKey, int64_t begin,
                              int64_t end, Value offset, Value full,
                              bool ofValue) {
  // K and V are read once: the first lines to leave the L2 cache.
  constexpr int64_t evictFirst = 0x12F0000000000000;
  constexpr unsigned clusterSpace = 7; // shared memory of a cluster's blocks
  Values coordinates = {Value(), firstKey};
  for (int64_t letter : ofValue ? p.valueLetters : p.keyLetters)
    coordinates.push_back(item.batch[letter]);
  for (int64_t box = begin; box < end; ++box) {
    coordinates[0] = i32(box * shape.boxColumns());
    Value to = LLVM::AddrSpaceCastOp::create(
        b, pointerType(clusterSpace),
        shared(add(offset, (box - begin) * shape.stageKeys() * 128)));
    NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(
        b, to, ofValue ? p.valueMap : p.keyMap, coordinates, shared(full),
        ValueRange(), Value(), i64(evictFirst), NVVM::TMALoadMode::TILE,
        /*isCTAOnly=*/false, NVVM::CTAGroupKindAttr(), Value());
  }
}

/// Waits for the stage's half to be empty, and asks for the tile of K or V.
void DecodeEmitter::copyTile(const Item &item, Value tile, Value stage,
                             Value phase, bool ofValue) {
  Value full = fullBarrier(stage, ofValue);
  wait(emptyBarrier(stage, ofValue), phase);
  auto ask = [&] {
    expectBytes(full, ofValue ? shape.valueBytes() : shape.keyBytes());
    Value start = mul(stage, shape.stageBytes());
    if (ofValue)
      start = add(start, shape.keyBytes());
    Value firstKey = mul(add(item.firstOfUnit, tile), shape.keyTile);
    copyBoxes(item, firstKey, 0,
              ofValue ? shape.widthBoxes() : shape.depthBoxes(), start, full,
              ofValue);
  };
  if (!shape.isScaled())
    return ask();
  ifThen(isEqual(lane, 0), ask);
  Value firstKey = mul(add(item.firstOfUnit, tile), shape.keyTile);
  if (!ofValue)
    copyTileScales(item, firstKey, stage, full);
}

void DecodeEmitter::produce() {
  overItems({i32(0), i32(1)}, [&](const Item &item, ValueRange ring) {
    return loop(item.begin, item.end, i32(1), ring,
                [&](Value tile, ValueRange inner) {
                  copyTile(item, tile, inner[0], inner[1], false);
                  if (!shape.valueInKey)
                    copyTile(item, tile, inner[0], inner[1], true);
                  auto [stage, phase] = nextStage(inner[0], inner[1], 1);
                  return Values{stage, phase};
                });
  });
}

//===----------------------------------------------------------------------===//
// The consumers
//===----------------------------------------------------------------------===//

/// The indices of the row letters.
Values DecodeEmitter::rowLetters(Value row) {
  Values letters(p.rowExtents.size());
  Value rest = add(firstRow, row);
  for (size_t i = p.rowExtents.size(); i-- > 0;) {
    Value outer = i ? div(rest, p.rowExtents[i]) : i32(0);
    letters[i] = i ? sub(rest, mul(outer, p.rowExtents[i])) : rest;
    rest = outer;
  }
  return letters;
}

Value DecodeEmitter::hasRow(Value row) {
  Value inUnit = isLess(row, shape.rows);
  if (shape.totalRows % shape.rows == 0)
    return inUnit;
  return andOf(inUnit, isLess(add(firstRow, row), shape.totalRows));
}

Value DecodeEmitter::elementPointer(const Addressed &tensor, Type type,
                                    const Item &item, Value row, Value column) {
  Value index = column ? widen(column) : i64(0);
  for (auto [i, stride] : llvm::enumerate(tensor.batchStrides))
    index = add64(index, mul64(widen(item.batch[i]), stride));
  for (auto [letter, stride] : llvm::zip(rowLetters(row), tensor.rowStrides))
    index = add64(index, mul64(widen(letter), stride));
  return at(tensor.base, type, index);
}

/// Chunk `i` of 16 bytes of the unit's queries, 0 where there is no row or
/// column.
Value DecodeEmitter::loadQuery(const Item &item, Value i) {
  auto type = VectorType::get({4}, b.getI32Type());
  int64_t chunks = shape.queryBoxes() * 8;
  Value row = div(i, chunks), chunk = rem(i, chunks);
  auto read = [&] {
    return Values{load(
        type, elementPointer(p.query, shape.element, item, row, mul(chunk, 8)),
        16)};
  };
  auto none = [&] {
    return Values{arith::ConstantOp::create(
        b, DenseElementsAttr::get(type, b.getI32IntegerAttr(0)))};
  };
  Value exists = andOf(hasRow(row), isLess(chunk, shape.depth / 8));
  return ifElse(exists, read, none).front();
}

/// The queries of the unit into shared memory, [box][row][64] with swizzled
/// chunks of 16 bytes.  Several are on their way at a time.
void DecodeEmitter::loadQueries(const Item &item) {
  constexpr int64_t mostLoads = 6; // for registers
  int64_t rows = shape.paddedRows(), chunks = shape.queryBoxes() * 8;
  int64_t rounds = llvm::divideCeil(rows * chunks, shape.consumers());
  for (int64_t first = 0; first < rounds; first += mostLoads) {
    Values places, loaded;
    for (int64_t i = first; i < std::min(first + mostLoads, rounds); ++i) {
      places.push_back(add(thread, i * shape.consumers()));
      loaded.push_back(loadQuery(item, places.back()));
    }
    for (auto [i, data] : llvm::zip(places, loaded)) {
      Value row = div(i, chunks), chunk = rem(i, chunks);
      Value swizzled = xorOf(rem(chunk, 8), rem(row, 8));
      Value offset = add(mul(div(chunk, 8), rows * 128), mul(row, 128));
      offset = add(add(offset, mul(swizzled, 16)), shape.queryOffset());
      auto put = [&, data = data] { storeShared(data, offset, 16); };
      if (rows * chunks % shape.consumers() == 0)
        put();
      else
        ifThen(isLess(i, rows * chunks), put);
    }
  }
}

void DecodeEmitter::setUpConsumer() {
  group = div(warp, 4);
  groupWarp = rem(warp, 4);
  laneRow = div(lane, 4);
  lanePair = mul(rem(lane, 4), 2);
  groupBarrier = add(group, 2);
  int64_t rows = shape.paddedRows();
  weightsOffset =
      add(mul(group, shape.keyBlocks * rows * 128), shape.weightOffset());
  maxima = add(mul(group, rows * 4), shape.maximaOffset());
  references = add(mul(group, rows * 4), shape.referenceOffset());
  reduction = add(mul(group, rows * 16), shape.reductionOffset());
}

/// No row has had a key.
void DecodeEmitter::clearMaxima() {
  loop(thread, i32(shape.groups * shape.paddedRows()), i32(shape.consumers()),
       [&](Value i) {
         storeShared(negativeInfinity(), add(mul(i, 4), shape.maximaOffset()));
         storeShared(f32(0), add(mul(i, 4), shape.referenceOffset()));
       });
  if (shape.valueScaled)
    clearUnits();
}

void DecodeEmitter::consume() {
  setUpConsumer();
  // How many tiles of the items so far are behind this group's next one.
  overItems({group, group, i32(0)}, [&](const Item &item, ValueRange ring) {
    syncConsumers(); // the last item's outputs stood where the queries go
    if (shape.byteKeys)
      loadScaledQueries(item);
    else
      loadQueries(item);
    clearMaxima();
    fenceAsync();
    syncConsumers();
    Carried start;
    start.unseen = arith::ConstantIntOp::create(b, 1, 1);
    start.sums.assign(blocks() * 2, f32(0));
    start.outputs.assign(shape.outputBlocks() * blocks() * 4, f32(0));
    Values state(ring);
    llvm::append_range(state, start.pack());
    Value count = sub(item.end, item.begin);
    Values end = whileLoop(
        state, [&](ValueRange now) { return isLess(now[0], count); },
        [&](ValueRange now) {
          Carried carried = Carried::unpack(now.drop_front(3), shape);
          carried = tile(item, add(item.begin, now[0]), now[1], now[2],
                         std::move(carried));
          auto [stage, phase] = nextStage(now[1], now[2], shape.groups);
          Values next = {add(now[0], shape.groups), stage, phase};
          llvm::append_range(next, carried.pack());
          return next;
        });
    finish(item, Carried::unpack(ValueRange(end).drop_front(3), shape));
    return Values{sub(end[0], count), end[1], end[2]};
  });
  mergeParts();
}
