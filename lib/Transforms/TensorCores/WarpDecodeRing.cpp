//===- WarpDecodeRing.cpp - K and V into shared memory ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Each half of a stage is a group of copies of its own, in the order in which
// halves are read: keys, values, the next keys.  Threads count their groups: so
// a half that is past the item's end is an empty one.

#include "WarpDecode.h"

using namespace mlir;
using namespace einhead::tensorcores;

static constexpr int64_t pieceBytes = 16;

WarpEmitter::Stream WarpEmitter::streamOf(bool ofValue) {
  Stream stream;
  int64_t columns = ofValue ? shape.width : shape.depth;
  stream.pitch = shape.pitch(columns);
  stream.start = ofValue ? groupKeys() * shape.pitch(shape.depth) : 0;
  stream.pieces = columns / 8;
  stream.memory = ofValue ? &p.value : &p.key;
  stream.stride = mul64(ofValue ? p.valueStride : p.keyStride, i64(2));
  int64_t bit = ofValue ? 2 : 1;
  stream.isAligned = isEqual(andOf(p.aligned, i32(bit)), bit);
  // A power of two of threads for each row: pieces of one thread are all in the
  // same column, or in columns that are as far apart as there are threads.
  stream.lanes = 1;
  while (stream.lanes < stream.pieces && stream.lanes < 32)
    stream.lanes *= 2;
  stream.row = div(groupThread, stream.lanes);
  Value piece = rem(groupThread, stream.lanes);
  stream.column = mul(piece, pieceBytes);
  if (stream.pieces < stream.lanes)
    stream.takesPart = isLess(piece, stream.pieces);
  if (groupThreads() / stream.lanes > groupKeys()) {
    Value hasRow = isLess(stream.row, groupKeys());
    stream.takesPart =
        stream.takesPart ? andOf(stream.takesPart, hasRow) : hasRow;
  }
  return stream;
}

/// Where the item's rows begin.
void WarpEmitter::startStream(Stream &stream, const Item &item) {
  Value index = i64(0);
  for (auto [i, stride] : llvm::enumerate(stream.memory->batchStrides))
    index = add64(index, mul64(widen(item.batch[i]), stride));
  Value base =
      LLVM::AddrSpaceCastOp::create(b, pointerType(1), stream.memory->base);
  index = add64(mul64(index, i64(2)), widen(stream.column));
  stream.base = at(base, b.getI8Type(), index);
}

/// This thread's pieces of the rows from `firstKey` on; 0 for keys that no row
/// attends, where there may be some.
void WarpEmitter::copyRows(const Stream &stream, const Item &item,
                           Value firstKey, Value to, bool isPartial) {
  int64_t rowsAtOnce = groupThreads() / stream.lanes;
  Value key = add(firstKey, stream.row);
  Value from = mul64(widen(key), stream.stride);
  for (int64_t row = 0; row < groupKeys(); row += rowsAtOnce) {
    Value line = from, given;
    if (row)
      line = add64(from, mul64(stream.stride, i64(row)));
    if (isPartial) {
      Value counts = isLess(add(key, row), item.limit);
      if (p.mask)
        counts = andOf(counts, isLess(p.mask->begin, add(key, row + 1)));
      given = select(counts, i32(pieceBytes), i32(0));
      line = select(counts, line, i64(0));
    }
    for (int64_t piece = 0; piece < stream.pieces; piece += stream.lanes) {
      int64_t bytes = piece * pieceBytes;
      auto copyPiece = [&] {
        copyAsync(add(to, row * stream.pitch + bytes),
                  at(stream.base, b.getI8Type(), add64(line, i64(bytes))),
                  given);
      };
      int64_t left = stream.pieces - piece;
      if (piece == 0 || left >= stream.lanes)
        copyPiece();
      else // the first ones are guarded as a whole
        ifThen(isLess(stream.column, left * pieceBytes), copyPiece);
    }
  }
}

/// 16 bytes, or 8 elements one by one.
Value WarpEmitter::loadPiece(Value from, Value isAligned) {
  Type i16 = b.getI16Type(), piece = VectorType::get({8}, i16);
  return ifElse(
      isAligned, [&] { return Values{load(piece, from, 16)}; },
      [&] {
        Value all = LLVM::UndefOp::create(b, piece);
        for (int64_t i = 0; i < 8; ++i)
          all = LLVM::InsertElementOp::create(
              b, all, load(i16, at(from, i16, i64(i)), 2), i32(i));
        return Values{all};
      })[0];
}

/// The same for memory that cp.async does not take.
void WarpEmitter::loadRows(const Stream &stream, const Item &item,
                           Value firstKey, Value to) {
  int64_t rowsAtOnce = groupThreads() / stream.lanes;
  auto type = VectorType::get({8}, b.getI16Type());
  Value zero = arith::ConstantOp::create(
      b, DenseElementsAttr::get(type, b.getI16IntegerAttr(0)));
  loop(i32(0), i32(groupKeys()), i32(rowsAtOnce), [&](Value row) {
    Value key = add(add(firstKey, stream.row), row);
    Value counts = isLess(key, item.limit);
    if (p.mask)
      counts = andOf(counts, isLess(p.mask->begin, add(key, 1)));
    Value line =
        at(stream.base, b.getI8Type(), mul64(widen(key), stream.stride));
    Value piece = div(stream.column, pieceBytes);
    loop(piece, i32(stream.pieces), i32(stream.lanes), [&](Value number) {
      Value bytes = mul(sub(number, piece), pieceBytes);
      Value data = ifElse(
          counts,
          [&] {
            return Values{
                loadPiece(at(line, b.getI8Type(), widen(bytes)), i1(false))};
          },
          [&] { return Values{zero}; })[0];
      storeShared(data, add(add(to, bytes), mul(row, stream.pitch)), 16);
    });
  });
}

/// A tile's keys of this group to the half of the stage at `slot`.
void WarpEmitter::copy(const Stream &stream, const Item &item, Value tile,
                       Value slot) {
  Value firstKey = add(mul(add(item.firstOfUnit, tile), shape.keyTile),
                       mul(group, groupKeys()));
  Value to = add(add(add(slot, stream.start), stream.column),
                 mul(stream.row, stream.pitch));
  Value isPartial = isLess(item.limit, add(firstKey, groupKeys()));
  if (p.mask)
    isPartial = orOf(isPartial, isLess(firstKey, p.mask->begin));
  auto copyAsynchronously = [&] {
    ifElse(
        isPartial,
        [&] {
          copyRows(stream, item, firstKey, to, true);
          return Values();
        },
        [&] {
          copyRows(stream, item, firstKey, to, false);
          return Values();
        });
    return Values();
  };
  auto copyAll = [&] {
    ifElse(stream.isAligned, copyAsynchronously, [&] {
      loadRows(stream, item, firstKey, to);
      return Values();
    });
  };
  if (stream.takesPart)
    ifThen(stream.takesPart, copyAll);
  else
    copyAll();
}

/// The half at `slot` is free: the tile that is its next one.
void WarpEmitter::refill(const Stream &stream, const Item &item, Value tile,
                         Value slot) {
  ifThen(isLess(tile, item.end), [&] { copy(stream, item, tile, slot); });
  copyCommit();
}

/// All halves of the ring but the last one, which the first tile asks for.
void WarpEmitter::fill(const Item &item) {
  for (int64_t i = 0; i < shape.stages; ++i) {
    Value tile = add(item.begin, i), slot = add(groupRing, i * stageBytes());
    bool isLast = i == shape.stages - 1;
    if (!isLast || !shape.valueInKey)
      refill(keyStream, item, tile, slot);
    if (!isLast && !shape.valueInKey)
      refill(valueStream, item, tile, slot);
  }
}

Value WarpEmitter::after(Value slot) {
  Value next = add(slot, stageBytes());
  Value end = add(groupRing, ringBytes());
  return select(isEqual(next, end), groupRing, next);
}

Value WarpEmitter::before(Value slot) {
  Value last = add(groupRing, ringBytes() - stageBytes());
  return select(isEqual(slot, groupRing), last, sub(slot, i32(stageBytes())));
}
