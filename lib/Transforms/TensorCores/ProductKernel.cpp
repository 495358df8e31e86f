//===- ProductKernel.cpp - Products by m16n8k16 -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProductKernel.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::tensorcores;

/// Sums of one instruction, and lines of what ldmatrix reads at once.
static constexpr int64_t instructionSums = 16, matrixLines = 8;

ProductEmitter::ProductEmitter(OpBuilder &builder, Location loc,
                               const Product &product, const Tile &tile,
                               const KernelParameters &parameters,
                               Value sharedBase)
    : KernelBuilder(builder, loc), product(product), tile(tile), p(parameters),
      left{product.a, p.a, product.rows, tile.rows, 0},
      right{product.b, p.b, product.columns, tile.columns, tile.aBytes()} {
  this->sharedBase = sharedBase;
}

/// Which part of which tile this block has.
void ProductEmitter::findTile() {
  Type i32Type = b.getI32Type();
  thread = NVVM::ThreadIdXOp::create(b, i32Type);
  Value block = NVVM::BlockIdXOp::create(b, i32Type);
  lane = rem(thread, 32);
  Value warp = div(thread, 32);
  warpRow = div(warp, tile.warpsAcross);
  warpColumn = rem(warp, tile.warpsAcross);
  part = rem(block, p.parts);
  tileNumber = div(block, p.parts);
  auto tilesOf = [&](ArrayRef<unsigned> loops, int64_t size) {
    return div(add(countOf(loops), size - 1), size);
  };
  Value across = tilesOf(product.columns, tile.columns);
  Value down = tilesOf(product.rows, tile.rows);
  right.first = mul(rem(tileNumber, across), tile.columns);
  Value rest = div(tileNumber, across);
  left.first = mul(rem(rest, down), tile.rows);
  batchIndex = div(rest, down);
  sumCount = countOf(product.sums);
  left.isVector = isEqual(andOf(p.vectors, i32(1)), 1);
  right.isVector = isEqual(andOf(p.vectors, i32(2)), 2);
}

void ProductEmitter::run() {
  findTile();
  prepare(left);
  prepare(right);
  prepareFragments();
  Value steps = div(add(sumCount, Tile::sums - 1), Tile::sums);
  Value begin = mul(part, p.stepsEach);
  Value end = minOf(add(begin, p.stepsEach), steps);
  finish(multiply(begin, end));
}

/// The steps through the ring: a step is copied while those before it are
/// multiplied.
Values ProductEmitter::multiply(Value begin, Value end) {
  int64_t ahead = tile.stages - 1, bytes = tile.stageBytes();
  for (int64_t i = 0; i < ahead; ++i) {
    Value step = add(begin, i);
    ifThen(isLess(step, end), [&] { loadStage(step, i32(i * bytes)); });
    copyCommit();
  }
  Values carried(sumsEach(), f32(0));
  carried.push_back(i32(0));             // the stage that is multiplied
  carried.push_back(i32(ahead * bytes)); // the one that is free
  auto next = [&](Value stage) {
    Value later = add(stage, bytes);
    return select(isEqual(later, tile.stages * bytes), i32(0), later);
  };
  Values done =
      loop(begin, end, i32(1), carried, [&](Value step, ValueRange now) {
        copyWait(ahead - 1);
        // All pieces of this step are there, and nobody reads the stage that
        // is filled next.
        barrier(i32(0), tile.threads());
        Value reads = now[sumsEach()], fills = now[sumsEach() + 1];
        Value later = add(step, ahead);
        ifThen(isLess(later, end), [&] { loadStage(later, fills); });
        copyCommit();
        Values sums = multiplyStage(reads, now.take_front(sumsEach()));
        sums.push_back(next(reads));
        sums.push_back(next(fills));
        return sums;
      });
  done.resize(sumsEach());
  return done;
}

/// Where this lane's row of the matrices is that ldmatrix reads.  Of A: 16
/// rows, then the next 8 sums of them; of B: 8 columns, the next 8 sums of
/// them, then 8 columns more.
void ProductEmitter::prepareFragments() {
  Value low = rem(lane, matrixLines);
  Value first = rem(div(lane, 8), 2), second = div(lane, 16);
  for (int64_t i = 0; i < tilesDown(); ++i) {
    Value row = add(add(mul(warpRow, tile.warpRows()), i * 16), mul(first, 8));
    Value sum = mul(second, 8);
    if (product.a.isLineMajor)
      aPlaces.push_back(placeOf(left, row, add(sum, low)));
    else
      aPlaces.push_back(placeOf(left, add(row, low), sum));
  }
  for (int64_t j = 0; j < tilesAcross(); j += 2) {
    Value column =
        add(add(mul(warpColumn, tile.warpColumns()), j * 8), mul(second, 8));
    Value sum = mul(first, 8);
    if (product.b.isLineMajor)
      bPlaces.push_back(
          add(placeOf(right, column, add(sum, low)), right.start));
    else
      bPlaces.push_back(
          add(placeOf(right, add(column, low), sum), right.start));
  }
}

/// Four matrices of 8 by 8, `step` instructions into the stage.
Values ProductEmitter::loadFragment(const Source &source, Value stage,
                                    Value place, int64_t step) {
  bool isTurned = source.matrix.isLineMajor;
  // Rows of 64 sums: the pieces are turned, so that the next is no sum away.
  Value from = isTurned ? add(place, step * instructionSums * source.lines * 2)
                        : xorOf(place, i32(step * instructionSums * 2));
  return loadMatrices(add(stage, from), 4, isTurned);
}

Values ProductEmitter::multiplyStage(Value stage, ValueRange sums) {
  Values next(sums);
  for (int64_t k = 0; k < Tile::sums / instructionSums; ++k) {
    SmallVector<Values> x, y;
    for (Value place : aPlaces)
      x.push_back(loadFragment(left, stage, place, k));
    for (Value place : bPlaces)
      y.push_back(loadFragment(right, stage, place, k));
    for (int64_t i = 0; i < tilesDown(); ++i)
      for (int64_t j = 0; j < tilesAcross(); ++j) {
        ValueRange columns = ValueRange(y[j / 2]).slice(j % 2 * 2, 2);
        int64_t at = 4 * (i * tilesAcross() + j);
        Values four = multiplyAdd(product.element(), x[i], columns,
                                  ValueRange(next).slice(at, 4));
        llvm::copy(four, next.begin() + at);
      }
  }
  return next;
}
