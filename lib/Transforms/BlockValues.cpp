//===- BlockValues.cpp - Weights times values by a block --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlockAttention.h"
#include "VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// Of the `count` keys in the stage, those from `from` on in the tile.  First
/// more columns share a thread, then more rows, as long as all have work.
void BlockAttention::addValues(Value from, Value count) {
  int64_t columnCount = 1, few = 1;
  auto hasWork = [&](int64_t columns, int64_t some) {
    return blockRows / some * (width / columns) >= block.threads;
  };
  while (columnCount < 4 && width % (2 * columnCount) == 0 &&
         hasWork(2 * columnCount, few))
    columnCount *= 2;
  while (few < 4 && hasWork(columnCount, 2 * few))
    few *= 2;
  int64_t each = width / columnCount;
  overRows(few, [&](int64_t first, int64_t end, int64_t some) {
    block.share(b, (end - first) / some * each, [&](Value item) {
      auto [rowItem, column] = splitItem(b, item, each);
      Value row = add(arith::MulIOp::create(b, rowItem, index(some)), first);
      column = arith::MulIOp::create(b, column, index(columnCount));
      valuesOf(row, some, column, columnCount, from, count);
    });
  });
}

void BlockAttention::valuesOf(Value row, int64_t few, Value column,
                              int64_t columnCount, Value from, Value count) {
  Type f32 = b.getF32Type();
  VectorType type = vectorOf(f32, columnCount),
             raw = vectorOf(vals.element(), columnCount);
  llvm::MaybeAlign alignment(columnCount *
                             vals.element().getIntOrFloatBitWidth() / 8);
  auto place = [&](int64_t r, int64_t c) {
    return at(roles.outputTerm, global(add(row, r)), Value(), add(column, c));
  };
  // What the state has is rescaled once, at the first keys of the tile.
  Value isFirst =
      arith::CmpIOp::create(b, arith::CmpIPredicate::eq, from, index(0));
  SmallVector<Value> before;
  for (int64_t r = 0; r < few; ++r) {
    Value factor = arith::SelectOp::create(
        b, isFirst, load(factors, add(row, r)), splat(b, f32, 1.0));
    SmallVector<Value> numbers;
    for (int64_t c = 0; c < columnCount; ++c)
      numbers.push_back(arith::MulFOp::create(
          b, load(op.getAccumulator(), place(r, c)), factor));
    before.push_back(vector::FromElementsOp::create(b, type, numbers));
  }
  auto sums =
      loop(index(0), count, 1, before, [&](Value key, ValueRange carried) {
        Value numbers = toF32(b, vector::LoadOp::create(
                                     b, raw, vals.rows, ValueRange{key, column},
                                     /*nontemporal=*/false, alignment));
        Value inTile = arith::AddIOp::create(b, from, key);
        SmallVector<Value> next;
        for (int64_t r = 0; r < few; ++r) {
          Value weight = load(scores, {add(row, r), inTile});
          Value weights = vector::BroadcastOp::create(b, type, weight);
          Value sum = vector::FMAOp::create(b, weights, numbers, carried[r]);
          if (mayExclude()) {
            Value bits = arith::BitcastOp::create(b, b.getI32Type(), weight);
            Value dead = arith::CmpIOp::create(
                b, arith::CmpIPredicate::eq, bits,
                splat(b, b.getI32Type(), std::numeric_limits<int32_t>::min()));
            sum = arith::SelectOp::create(b, dead, carried[r], sum);
          }
          next.push_back(sum);
        }
        return next;
      });
  for (int64_t r = 0; r < few; ++r)
    for (int64_t c = 0; c < columnCount; ++c)
      store(
          vector::ExtractOp::create(b, sums.getResult(r), ArrayRef<int64_t>{c}),
          op.getAccumulator(), place(r, c));
}
