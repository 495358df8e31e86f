//===- DecodeWideEpilogue.cpp - Wide values leave registers ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DecodeWide.h"

using namespace mlir;
using namespace einhead::hopper;

/// Calls `body` for each pair of columns that a thread has of a row: the first
/// column, and the number of the pair's block.
void WideEmitter::overColumns(llvm::function_ref<void(Value, int64_t)> body) {
  Value first = add(i32(self * columns()), lanePair);
  for (int64_t n = 0; n < columns() / 8; ++n) {
    Value column = add(first, n * 8);
    if (shape.width == 2 * columns())
      body(column, n);
    else
      ifThen(isLess(column, shape.width), [&] { body(column, n); });
  }
}

/// A row of the output, normalised.
void WideEmitter::writeRow(const Item &item, int64_t i, Value max, Value sum,
                           const State &state) {
  Value row = rowAt(i), some = isGreaterF(sum, f32(0));
  Value factor = select(some, reciprocal(sum), f32(0));
  unsigned bytes = shape.output.isF32() ? 8 : 4;
  Value base = elementPointer(p.output, shape.output, item, row, Value());
  overColumns([&](Value column, int64_t n) {
    const Value *pair = &state.outputs[n * 4 + i * 2];
    Value both = pairOf(mulF(pair[0], factor), mulF(pair[1], factor));
    if (!shape.output.isF32())
      both =
          LLVM::FPTruncOp::create(b, VectorType::get({2}, shape.output), both);
    store(both, at(base, shape.output, widen(column)), bytes);
  });
  if (p.lse.base && self == 0)
    ifThen(isEqual(lanePair, 0), [&] { writeLse(item, row, max, sum); });
}

/// A row of a part's state.
void WideEmitter::storeState(const Item &item, int64_t i, Value max, Value sum,
                             const State &state) {
  Type type = b.getF32Type();
  Value row = rowAt(i), memory = ownState(item);
  if (self == 0)
    ifThen(isEqual(lanePair, 0), [&] {
      store(max, at(memory, type, widen(row)));
      store(sum, at(memory, type, widen(add(row, shape.rows))));
    });
  Value line = add(mul(row, shape.width), 4 * shape.rows);
  overColumns([&](Value column, int64_t n) {
    const Value *pair = &state.outputs[n * 4 + i * 2];
    store(pairOf(pair[0], pair[1]), at(memory, type, widen(add(line, column))),
          8);
  });
}

/// The groups have sums of the keys of their halves.
void WideEmitter::finish(const Item &item, const State &state) {
  Value first = i32(shape.reductionOffset());
  auto sumOf = [&](int64_t group, int64_t i) {
    return add(add(first, group * 64 * 4), mul(rowAt(i), 4));
  };
  for (int64_t i = 0; i < 2; ++i) {
    Value sum = state.sums[i];
    for (int64_t distance : {1, 2})
      sum = addF(sum, shuffleXor(sum, distance));
    ifThen(isEqual(lanePair, 0), [&] { storeShared(sum, sumOf(self, i)); });
  }
  syncConsumers();
  for (int64_t i = 0; i < 2; ++i) {
    Type type = b.getF32Type();
    Value sum =
        addF(loadShared(type, sumOf(0, i)), loadShared(type, sumOf(1, i)));
    Value max = loadShared(type, maximaOf(1, rowAt(i)));
    ifElse(
        item.isWhole,
        [&] {
          ifThen(hasRow(rowAt(i)), [&] { writeRow(item, i, max, sum, state); });
          return Values();
        },
        [&] {
          ifThen(isLess(rowAt(i), shape.rows),
                 [&] { storeState(item, i, max, sum, state); });
          return Values();
        });
  }
  Value isPart = xorOf(item.isWhole, i1(true));
  ifThen(andOf(isPart, xorOf(isCluster, i1(true))), [&] { announce(item); });
}
