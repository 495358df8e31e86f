//===- ProductEpilogue.cpp - Sums of a tile to memory -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProductKernel.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::tensorcores;

void ProductEmitter::finish(ValueRange sums) {
  ifElse(
      isEqual(p.parts, 1),
      [&] {
        store(sums);
        return Values();
      },
      [&] {
        storePart(sums);
        ifThen(isLastPart(), [&] { store(joinParts()); });
        return Values();
      });
}

/// Where this thread's four sums are among those of a part: neighbouring
/// threads have neighbouring memory.
Value ProductEmitter::partialPointer(Value part, int64_t quad) {
  int64_t size = tile.rows * tile.columns;
  Value number = add64(mul64(widen(tileNumber), widen(p.parts)), widen(part));
  Value at_ = add64(mul64(number, i64(size)),
                    widen(add(mul(thread, 4), quad * tile.threads() * 4)));
  return at(p.partials, b.getF32Type(), at_);
}

void ProductEmitter::storePart(ValueRange sums) {
  Type four = VectorType::get({4}, b.getF32Type());
  for (int64_t i = 0; i < sumsEach(); i += 4) {
    Value vector = LLVM::UndefOp::create(b, four);
    for (int64_t k = 0; k < 4; ++k)
      vector = LLVM::InsertElementOp::create(b, vector, sums[i + k], i32(k));
    KernelBuilder::store(vector, partialPointer(part, i / 4), 16);
  }
}

/// Whether all parts of the tile are stored.  The counter is left as 0.
Value ProductEmitter::isLastPart() {
  barrier(i32(0), tile.threads());
  ifThen(isEqual(thread, 0), [&] {
    Value counter = at(p.counters, b.getI32Type(), widen(tileNumber));
    // The barrier orders the block's stores before the fence, and the fence
    // before the counter's change.
    LLVM::FenceOp::create(b, LLVM::AtomicOrdering::acq_rel, "device");
    Value before =
        LLVM::AtomicRMWOp::create(b, LLVM::AtomicBinOp::add, counter, i32(1),
                                  LLVM::AtomicOrdering::monotonic, "device");
    LLVM::FenceOp::create(b, LLVM::AtomicOrdering::acq_rel, "device");
    Value isLast = isEqual(add(before, 1), p.parts);
    ifThen(isLast, [&] { KernelBuilder::store(i32(0), counter, 4); });
    storeShared(select(isLast, i32(1), i32(0)), i32(0), 4);
  });
  barrier(i32(0), tile.threads());
  return isEqual(loadShared(b.getI32Type(), i32(0)), 1);
}

/// The sums of all parts, in the order of the parts.
Values ProductEmitter::joinParts() {
  Type four = VectorType::get({4}, b.getF32Type());
  Values zero(sumsEach(), f32(0));
  return loop(i32(0), p.parts, i32(1), zero, [&](Value other, ValueRange sums) {
    Values next;
    for (int64_t i = 0; i < sumsEach(); i += 4) {
      Value loaded = load(four, partialPointer(other, i / 4), 16);
      for (int64_t k = 0; k < 4; ++k)
        next.push_back(addF(sums[i + k],
                            LLVM::ExtractElementOp::create(b, loaded, i32(k))));
    }
    return next;
  });
}

/// The sum as it is stored: with what C held before, where no fill said it,
/// and rounded.
Value ProductEmitter::started(Value pointer, Value sum) {
  if (!product.fill)
    return addF(load(b.getF32Type(), pointer, 4), sum);
  if (product.result().isF32())
    return sum;
  return arith::TruncFOp::create(b, product.result(), sum);
}

/// Two neighbours in C.
void ProductEmitter::storeTwo(Value pointer, Value isSecond, Value secondOffset,
                              Value x, Value y) {
  Type type = product.result();
  int64_t bytes = type.getIntOrFloatBitWidth() / 8;
  auto one = [&](Value to, Value sum) {
    KernelBuilder::store(started(to, sum), to, bytes);
  };
  auto apart = [&] {
    one(pointer, x);
    ifThen(isSecond, [&] { one(at(pointer, type, secondOffset), y); });
    return Values();
  };
  if (!product.c.hasVectors || !product.fill) {
    apart();
    return;
  }
  ifElse(
      isEqual(andOf(p.vectors, i32(4)), 4),
      [&] {
        Value two = LLVM::UndefOp::create(b, VectorType::get({2}, type));
        two =
            LLVM::InsertElementOp::create(b, two, started(pointer, x), i32(0));
        two =
            LLVM::InsertElementOp::create(b, two, started(pointer, y), i32(1));
        KernelBuilder::store(two, pointer, 2 * bytes);
        return Values();
      },
      apart);
}

/// A lane has two neighbouring columns of two rows of each 16 by 8.
void ProductEmitter::store(ValueRange sums) {
  Type type = product.result();
  Value base = at(LLVM::AddrSpaceCastOp::create(b, pointerType(1), p.c.base),
                  type, offsetOf(p.c, product.batch, batchIndex));
  Value firstColumn = add(add(right.first, mul(warpColumn, tile.warpColumns())),
                          mul(rem(lane, 4), 2));
  Values isColumn, isSecond, offsets, distances;
  for (int64_t j = 0; j < tilesAcross(); ++j) {
    Value column = add(firstColumn, j * 8);
    isColumn.push_back(isLess(column, right.count));
    isSecond.push_back(isLess(add(column, 1), right.count));
    offsets.push_back(offsetOf(p.c, product.columns, column));
    Value second = offsetOf(p.c, product.columns, add(column, 1));
    distances.push_back(b.createOrFold<arith::SubIOp>(second, offsets.back()));
  }
  Value firstRow =
      add(add(left.first, mul(warpRow, tile.warpRows())), div(lane, 4));
  for (int64_t i = 0; i < 2 * tilesDown(); ++i) {
    Value row = add(firstRow, i * 8);
    ifThen(isLess(row, left.count), [&] {
      Value line = at(base, type, offsetOf(p.c, product.rows, row));
      for (int64_t j = 0; j < tilesAcross(); ++j) {
        int64_t k = 4 * (i / 2 * tilesAcross() + j) + i % 2 * 2;
        ifThen(isColumn[j], [&] {
          storeTwo(at(line, type, offsets[j]), isSecond[j], distances[j],
                   sums[k], sums[k + 1]);
        });
      }
    });
  }
}
