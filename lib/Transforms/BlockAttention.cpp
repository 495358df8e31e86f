//===- BlockAttention.cpp - One partial attention by a block ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlockAttention.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

Value BlockAttention::load(Value memref, ValueRange indices) {
  return memref::LoadOp::create(b, memref, indices);
}

void BlockAttention::store(Value value, Value memref, ValueRange indices) {
  memref::StoreOp::create(b, value, memref, indices);
}

void BlockAttention::overRows(
    int64_t few, llvm::function_ref<void(int64_t, int64_t, int64_t)> body) {
  int64_t done = 0;
  for (; few > 0; few /= 2) {
    int64_t end = done + (blockRows - done) / few * few;
    if (end > done)
      body(done, end, few);
    done = end;
  }
}

//===----------------------------------------------------------------------===//
// What fits
//===----------------------------------------------------------------------===//

LogicalResult BlockAttention::checkTypes() {
  for (Value operand : {op.getQuery(), op.getKey(), op.getValue()}) {
    Type element = getElementTypeOrSelf(operand);
    if (!element.isF32() && !element.isF16() && !element.isBF16() &&
        !isa<Float8E4M3FNType>(element) && !element.isInteger(8))
      return op.emitOpError() << "has an operand of " << element
                              << ", which kernels do not read; f32, f16, bf16, "
                                 "f8E4M3FN and i8 can be";
  }
  return success();
}

/// Rows of K and V in shared memory start at an odd multiple of one access, so
/// that threads with neighbouring keys meet in no bank.
void BlockAttention::measureStages() {
  auto fill = [&](Stage &stage, Value source, llvm::StringRef term,
                  int64_t columns) {
    stage.source = source;
    stage.term = term;
    stage.columns = columns;
    stage.lanes = ThreadBlock::alignment /
                  llvm::divideCeil(stage.element().getIntOrFloatBitWidth(), 8);
    stage.padded = llvm::alignTo(columns, stage.lanes);
    stage.stride = (stage.padded / stage.lanes | 1) * stage.lanes;
  };
  fill(keys, op.getKey(), roles.keyTerm, depth);
  fill(vals, op.getValue(), roles.valueTerm, width);
}

int64_t BlockAttention::partsAt(int64_t rowCount) const {
  return std::clamp<int64_t>(
      llvm::bit_floor<uint64_t>(block.threads / rowCount), 1, 8);
}

/// Shared memory for so many rows and keys; `allocate` takes it.
int64_t BlockAttention::bytesAt(int64_t rowCount, int64_t keyCount,
                                bool bothStages) {
  Type f32 = b.getF32Type();
  int64_t own = ThreadBlock::bytesOf(rowCount * keyTile, f32) +
                ThreadBlock::bytesOf(rowCount * keys.padded, f32) +
                2 * ThreadBlock::bytesOf(rowCount * partsAt(rowCount), f32) +
                2 * ThreadBlock::bytesOf(rowCount, f32);
  if (isList)
    own += 2 * ThreadBlock::bytesOf(keyTile, b.getIndexType());
  int64_t ofK = ThreadBlock::bytesOf(keyCount * keys.stride, keys.element()),
          ofV = ThreadBlock::bytesOf(keyCount * vals.stride, vals.element());
  return own + (bothStages ? ofK + ofV : std::max(ofK, ofV));
}

/// K and V beside each other, which asks for them in one go; else one after the
/// other; else in steps of fewer keys, or for fewer rows.
LogicalResult BlockAttention::plan() {
  bothAtOnce = false;
  for (rowsAtOnce = rows;; rowsAtOnce = llvm::divideCeil(rowsAtOnce, 2)) {
    int64_t least = rowsAtOnce == 1 ? 1 : std::min<int64_t>(keyTile, 8);
    for (keysAtOnce = keyTile; keysAtOnce >= least; keysAtOnce /= 2) {
      bothAtOnce = keysAtOnce == keyTile &&
                   bytesAt(rowsAtOnce, keysAtOnce, true) <= block.room();
      if (bothAtOnce ||
          bytesAt(rowsAtOnce, keysAtOnce, false) <= block.room()) {
        parts = partsAt(rowsAtOnce);
        return success();
      }
    }
    if (rowsAtOnce == 1)
      return op.emitOpError()
             << "takes " << bytesAt(1, 1, false)
             << " bytes of shared memory for one row and one key, above the "
             << block.room()
             << " that a block has left; raise shared-bytes where the GPU has "
                "more";
  }
}

void BlockAttention::allocate() {
  Type f32 = b.getF32Type();
  scores = block.allocate(b, {rowsAtOnce, keyTile}, f32);
  queries = block.allocate(b, {rowsAtOnce, keys.padded}, f32);
  maxima = block.allocate(b, {rowsAtOnce, parts}, f32);
  sums = block.allocate(b, {rowsAtOnce, parts}, f32);
  newMax = block.allocate(b, {rowsAtOnce}, f32);
  factors = block.allocate(b, {rowsAtOnce}, f32);
  if (isList) {
    listed = block.allocate(b, {keyTile}, b.getIndexType());
    listedRows = block.allocate(b, {keyTile}, b.getIndexType());
  }
  int64_t mark = block.mark();
  keys.rows = block.allocate(b, {keysAtOnce, keys.stride}, keys.element());
  if (!bothAtOnce)
    block.release(mark);
  vals.rows = block.allocate(b, {keysAtOnce, vals.stride}, vals.element());
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

/// `body` at each step of keys, with how many of them there are.
void BlockAttention::overKeys(Value count, bool full,
                              llvm::function_ref<void(Value, Value)> body) {
  if (keysAtOnce == keyTile)
    return body(index(0), count);
  loop(index(0), count, keysAtOnce, {}, [&](Value from, ValueRange) {
    Value left = arith::SubIOp::create(b, count, from);
    body(from, full && keyTile % keysAtOnce == 0
                   ? index(keysAtOnce)
                   : Value(arith::MinSIOp::create(b, left, index(keysAtOnce))));
    return SmallVector<Value>();
  });
}

void BlockAttention::tile(Value start, Value count, bool full) {
  keyBase = start;
  if (isList) {
    block.share(b, count, [&](Value i) { listKey(start, i); });
    block.barrier(b);
  }
  overKeys(count, full, [&](Value from, Value some) {
    if (bothAtOnce)
      bring({&keys, &vals}, add(start, from), some);
    else
      bring({&keys}, add(start, from), some);
    block.barrier(b);
    score(from, start, some, full);
    block.barrier(b);
  });
  findMaxima(count);
  if (parts > 1) // else each thread reads what it wrote itself
    block.barrier(b);
  weigh(start, count);
  block.barrier(b);
  keepState();
  overKeys(count, full, [&](Value from, Value some) {
    if (!bothAtOnce) {
      bring({&vals}, add(start, from), some);
      block.barrier(b);
    }
    addValues(from, some);
    block.barrier(b);
  });
}

void BlockAttention::rowBlock(Value first, int64_t count) {
  rowBase = first;
  blockRows = count;
  bringQueries(); // the barrier behind the keys is theirs, too
  llvm::APInt constant;
  Value total = keyCount();
  int64_t known = extent(roles.key.front());
  if (isList)
    known = matchPattern(total, m_ConstantInt(&constant))
                ? constant.getSExtValue()
                : ShapedType::kDynamic;
  if (known == keyTile)
    return tile(index(0), index(keyTile), /*full=*/true);
  loop(index(0), total, keyTile, {}, [&](Value start, ValueRange) {
    Value left = arith::SubIOp::create(b, total, start);
    tile(start, arith::MinSIOp::create(b, left, index(keyTile)),
         /*full=*/false);
    return SmallVector<Value>();
  });
}

LogicalResult BlockAttention::run() {
  if (failed(check()) || failed(checkTypes()))
    return failure();
  measure();
  measureStages();
  if (failed(plan()))
    return failure();
  b.setInsertionPoint(op);
  int64_t mark = block.mark();
  allocate();
  keys.isAligned = alignmentOf(keys);
  vals.isAligned = alignmentOf(vals);
  overBatch(0, [&] {
    int64_t whole = rows / rowsAtOnce * rowsAtOnce;
    loop(0, whole, rowsAtOnce,
         [&](Value first) { rowBlock(first, rowsAtOnce); });
    if (whole < rows)
      rowBlock(index(whole), rows - whole);
  });
  block.release(mark);
  return success();
}

LogicalResult einhead::lowerToThreads(RewriterBase &rewriter,
                                      PartialAttentionOp op,
                                      ThreadBlock &block) {
  if (failed(BlockAttention(rewriter, op, block).run()))
    return failure();
  rewriter.eraseOp(op);
  return success();
}
