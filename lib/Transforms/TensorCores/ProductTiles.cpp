//===- ProductTiles.cpp - Operands into shared memory -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// A tile stands in shared memory as its matrix does in memory: in rows of 64
// sums, one for each line, or, of a matrix whose lines are neighbours, in a row
// of all lines for each sum.  Pieces of 16 bytes are moved within a row
// (swizzled), so that the 8 rows that ldmatrix reads at once are in different
// banks.

#include "ProductKernel.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::tensorcores;

static constexpr int64_t pieceBytes = 16, pieceElements = 8;

/// How many of these points there are.
Value ProductEmitter::countOf(ArrayRef<unsigned> loops) {
  Value count = i32(1);
  for (unsigned loop : loops)
    count = mul(count, p.extents[loop]);
  return count;
}

/// Elements from the first point of these loops to this one.
Value ProductEmitter::offsetOf(const Addressed &memory,
                               ArrayRef<unsigned> loops, Value index) {
  Value offset;
  for (size_t i = loops.size(); i-- > 0;) {
    Value at = index, extent = p.extents[loops[i]];
    if (i > 0) {
      at = rem(index, extent);
      index = div(index, extent);
    }
    if (Value stride = memory.strides[loops[i]]) {
      Value term = mul64(widen(at), stride);
      offset = offset ? add64(offset, term) : term;
    }
  }
  return offset ? offset : i64(0);
}

int64_t ProductEmitter::chunksOf(const Source &source) const {
  return source.lines * Tile::sums / pieceElements;
}

/// The first line and the first sum of a piece, in the tile.
std::pair<Value, Value> ProductEmitter::pieceAt(const Source &source,
                                                Value chunk) {
  int64_t perRow =
      (source.matrix.isLineMajor ? source.lines : Tile::sums) / pieceElements;
  Value row = div(chunk, perRow);
  Value along = mul(rem(chunk, perRow), pieceElements);
  return source.matrix.isLineMajor ? std::make_pair(along, row)
                                   : std::make_pair(row, along);
}

/// Where the piece of this line and sum is, in bytes from its tile's start.
Value ProductEmitter::placeOf(const Source &source, Value line, Value sum) {
  bool isLineMajor = source.matrix.isLineMajor;
  int64_t width = isLineMajor ? source.lines : Tile::sums;
  int64_t perRow = width / pieceElements;
  Value row = isLineMajor ? sum : line;
  Value piece = div(isLineMajor ? line : sum, pieceElements);
  // 8 pieces are all banks: rows of fewer share them.
  Value turn = perRow >= 8 ? rem(row, 8) : rem(div(row, 8 / perRow), perRow);
  Value turned = xorOf(piece, turn);
  return add(mul(row, width * 2), mul(turned, pieceBytes));
}

/// What this thread's pieces have in common in all steps.
void ProductEmitter::prepare(Source &source) {
  Type pointer = pointerType(1);
  Value base = LLVM::AddrSpaceCastOp::create(b, pointer, source.memory.base);
  source.base = at(base, product.element(),
                   offsetOf(source.memory, product.batch, batchIndex));
  source.count = countOf(source.loops);
  if (!source.matrix.hasVectors)
    return;
  int64_t pieces = llvm::divideCeil(chunksOf(source), tile.threads());
  for (int64_t i = 0; i < pieces; ++i) {
    auto [line, sum] = pieceAt(source, add(thread, i * tile.threads()));
    Value index = add(source.first, line);
    Value isThere = isLess(index, source.count);
    source.places.push_back(add(placeOf(source, line, sum), source.start));
    source.isThere.push_back(isThere);
    source.offsets.push_back(
        offsetOf(source.memory, source.loops, select(isThere, index, i32(0))));
    source.atSum.push_back(sum);
  }
}

/// What is not there is 0, and is not read.
void ProductEmitter::copyVectors(Source &source, Value firstSum, Value stage) {
  for (size_t i = 0; i < source.places.size(); ++i) {
    auto copy = [&] {
      Value sum = add(firstSum, source.atSum[i]);
      Value isThere = andOf(source.isThere[i], isLess(sum, sumCount));
      Value offset =
          add64(source.offsets[i], offsetOf(source.memory, product.sums, sum));
      Value from =
          at(source.base, product.element(), select(isThere, offset, i64(0)));
      copyAsync(add(stage, source.places[i]), from,
                select(isThere, i32(pieceBytes), i32(0)));
    };
    int64_t rest = chunksOf(source) - static_cast<int64_t>(i) * tile.threads();
    if (rest >= tile.threads())
      copy();
    else
      ifThen(isLess(thread, rest), copy);
  }
}

void ProductEmitter::copyElements(Source &source, Value firstSum, Value stage) {
  Type i16 = b.getI16Type();
  auto copyPiece = [&](Value chunk) {
    auto [line, sum] = pieceAt(source, chunk);
    Value place = add(add(placeOf(source, line, sum), source.start), stage);
    bool isLineMajor = source.matrix.isLineMajor;
    auto copy = [&, line = line, sum = sum](Value e) {
      Value index = add(source.first, isLineMajor ? add(line, e) : line);
      Value at_ = add(firstSum, isLineMajor ? sum : add(sum, e));
      Value isThere = andOf(isLess(index, source.count), isLess(at_, sumCount));
      Value bits = ifElse(
          isThere,
          [&] {
            Value offset = add64(offsetOf(source.memory, source.loops, index),
                                 offsetOf(source.memory, product.sums, at_));
            return Values{load(i16, at(source.base, i16, offset), 2)};
          },
          [&] { return Values{arith::ConstantIntOp::create(b, 0, 16)}; })[0];
      storeShared(bits, add(place, mul(e, 2)), 2);
    };
    loop(i32(0), i32(pieceElements), i32(1), copy);
  };
  loop(thread, i32(chunksOf(source)), i32(tile.threads()), copyPiece);
}

void ProductEmitter::loadStage(Value step, Value stage) {
  Value firstSum = mul(step, Tile::sums);
  for (Source *source : {&left, &right}) {
    if (!source->matrix.hasVectors) {
      copyElements(*source, firstSum, stage);
      continue;
    }
    ifElse(
        source->isVector,
        [&] {
          copyVectors(*source, firstSum, stage);
          return Values();
        },
        [&] {
          copyElements(*source, firstSum, stage);
          return Values();
        });
  }
}
