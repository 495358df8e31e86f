//===- WarpDecode.cpp - Warps, queries, items -------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WarpDecode.h"

using namespace mlir;
using namespace einhead::tensorcores;

void einhead::hopper::runWarpEmitter(OpBuilder &builder, Location loc,
                                     const DecodeShape &shape,
                                     const DecodeParameters &parameters,
                                     Value sharedBase) {
  WarpEmitter emitter(builder, loc, shape, parameters);
  emitter.sharedBase = sharedBase;
  emitter.runWarps();
}

void WarpEmitter::runWarps() {
  findPlace();
  isCluster = i1(false);
  takeRun();
  setUpWarps();
  overKeys();
  mergeParts();
}

void WarpEmitter::setUpWarps() {
  int64_t rowWarps = shape.warps->rowWarps;
  group = div(warp, rowWarps);
  groupThread = sub(thread, mul(group, groupThreads()));
  groupBarrier = add(group, 2);
  groupRing = mul(group, ringBytes());
  firstOfWarp = mul(rem(warp, rowWarps), rowTiles() * 16);
  laneRow = div(lane, 4);
  lanePair = mul(rem(lane, 4), 2);
  firstOfThread = add(firstOfWarp, laneRow);
  keyStream = streamOf(/*ofValue=*/false);
  if (!shape.valueInKey)
    valueStream = streamOf(/*ofValue=*/true);
  Value low = rem(lane, 8), first = rem(div(lane, 8), 2);
  Value second = div(lane, 16), row = rem(lane, 16);
  int64_t pitch = shape.pitch(shape.depth);
  alongKeys = add(mul(add(low, mul(second, 8)), pitch), mul(first, 16));
  alongQueries = add(mul(row, pitch), mul(second, 16));
  alongValues = shape.valueInKey
                    ? alongQueries
                    : add(mul(row, shape.pitch(shape.width)), mul(second, 16));
}

/// All warps of the group.
void WarpEmitter::syncKeys() {
  if (shape.warps->rowWarps == 1)
    syncWarp();
  else
    barrier(groupBarrier, groupThreads());
}

//===----------------------------------------------------------------------===//
// Queries
//===----------------------------------------------------------------------===//

/// The queries of the unit into shared memory, 0 where there is no row.
void WarpEmitter::loadQueries(const Item &item) {
  auto pieceType = VectorType::get({8}, b.getI16Type());
  int64_t pieces = shape.depth / 8;
  Value isAligned = isEqual(andOf(p.aligned, i32(4)), 4);
  Value zero = arith::ConstantOp::create(
      b, DenseElementsAttr::get(pieceType, b.getI16IntegerAttr(0)));
  loop(thread, i32(shape.paddedRows() * pieces), i32(shape.consumers()),
       [&](Value i) {
         Value row = div(i, pieces), piece = rem(i, pieces);
         Value data = ifElse(
             hasRow(row),
             [&] {
               return Values{loadPiece(elementPointer(p.query, shape.element,
                                                      item, row, mul(piece, 8)),
                                       isAligned)};
             },
             [&] { return Values{zero}; })[0];
         Value offset = add(mul(row, shape.pitch(shape.depth)), mul(piece, 16));
         storeShared(data, add(offset, shape.queryOffset()), 16);
       });
}

/// Operand A: 16 rows of 16 columns, or of the 8 that are left.
Values WarpEmitter::queryRows(int64_t rowTile, int64_t step) {
  int64_t pitch = shape.pitch(shape.depth);
  Value from = add(add(mul(firstOfWarp, pitch), alongQueries),
                   shape.queryOffset() + rowTile * 16 * pitch + step * 32);
  bool isWhole = step * 16 + 16 <= shape.depth;
  Values loaded = loadMatrices(from, isWhole ? 4 : 2, /*isTurned=*/false);
  while (loaded.size() < 4)
    loaded.push_back(i32(0));
  return loaded;
}

/// All of them, where they stay in registers.
Values WarpEmitter::keptQueries() {
  Values result;
  if (shape.warps->keepsQueries)
    for (int64_t step = 0; step < depthSteps(); ++step)
      for (int64_t m = 0; m < rowTiles(); ++m)
        llvm::append_range(result, queryRows(m, step));
  return result;
}

//===----------------------------------------------------------------------===//
// Items
//===----------------------------------------------------------------------===//

void WarpEmitter::overKeys() {
  overItems({}, [&](const Item &item, ValueRange) {
    startStream(keyStream, item);
    if (!shape.valueInKey)
      startStream(valueStream, item);
    syncConsumers(); // the last item's outputs stand where the ring is
    fill(item);
    loadQueries(item);
    syncConsumers();
    Values queries = keptQueries();
    WarpState start;
    start.unseen = i1(true);
    start.maxima.assign(2 * rowTiles(), negativeInfinity());
    start.sums.assign(4 * rowTiles(), f32(0));
    start.outputs.assign(rowTiles() * shape.width / 8 * 4, f32(0));
    Values state = {groupRing};
    llvm::append_range(state, start.pack());
    Values end = loop(
        item.begin, item.end, i32(1), state, [&](Value number, ValueRange now) {
          WarpState carried =
              tile(item, number, now[0], queries,
                   WarpState::unpack(now.drop_front(1), rowTiles()));
          Values next = {after(now[0])};
          llvm::append_range(next, carried.pack());
          return next;
        });
    finish(item, WarpState::unpack(ValueRange(end).drop_front(1), rowTiles()));
    return Values();
  });
}

/// The warp's outputs to shared memory as [group][row][column], then maxima and
/// sums, where joinGroups() looks for them.
void WarpEmitter::spillState(const WarpState &state) {
  int64_t rows = shape.rows, width = shape.width;
  int64_t states = shape.outputOffset() + shape.groups * rows * width * 4;
  auto two = VectorType::get({2}, b.getF32Type());
  for (int64_t i = 0; i < 2 * rowTiles(); ++i) {
    Value sum = state.sums[i / 2 * 4 + i % 2 * 2];
    Value row = rowAt(i), line = add(mul(group, rows), row);
    ifThen(isLess(row, rows), [&] {
      for (int64_t n = 0; n < width / 8; ++n) {
        int64_t at = (i / 2 * (width / 8) + n) * 4 + i % 2 * 2;
        Value both = LLVM::UndefOp::create(b, two);
        for (int64_t k = 0; k < 2; ++k)
          both = LLVM::InsertElementOp::create(b, both, state.outputs[at + k],
                                               i32(k));
        Value column = add(mul(line, width), lanePair);
        storeShared(both, add(mul(column, 4), shape.outputOffset() + n * 32),
                    8);
      }
      ifThen(isEqual(lanePair, 0), [&] {
        Value offset = add(mul(line, 8), states);
        storeShared(state.maxima[i], offset);
        storeShared(sum, add(offset, 4));
      });
    });
  }
}

void WarpEmitter::finish(const Item &item, const WarpState &state) {
  syncConsumers(); // ring and queries become the outputs' place
  spillState(state);
  syncConsumers();
  joinGroups(item);
  ifThen(xorOf(item.isWhole, i1(true)), [&] { announce(item); });
}
