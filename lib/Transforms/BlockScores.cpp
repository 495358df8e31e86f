//===- BlockScores.cpp - Scores and weights by a block ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlockAttention.h"
#include "VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

static constexpr double infinity = std::numeric_limits<double>::infinity();
static constexpr double log2e = 1.4426950408889634;

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

/// Of the `count` keys in the stage, which are those from `from` on in the tile
/// at `start`.  As few rows share a thread as leave none without work.
void BlockAttention::score(Value from, Value start, Value count, bool full) {
  int64_t few = 4;
  while (few > 1 && blockRows / few * keysAtOnce < block.threads)
    few /= 2;
  overRows(few, [&](int64_t first, int64_t end, int64_t some) {
    block.share(b, (end - first) / some * keysAtOnce, [&](Value item) {
      auto [rowItem, key] = splitItem(b, item, keysAtOnce);
      Value row = add(arith::MulIOp::create(b, rowItem, index(some)), first);
      auto body = [&, key = key] { scoresOf(row, some, from, start, key); };
      if (full && keyTile % keysAtOnce == 0)
        return body();
      ifThen(arith::CmpIOp::create(b, arith::CmpIPredicate::ult, key, count),
             body);
    });
  });
}

/// The products of key `key` of the stage with `few` rows.
void BlockAttention::scoresOf(Value row, int64_t few, Value from, Value start,
                              Value key) {
  VectorType raw = vectorOf(keys.element(), keys.lanes),
             type = vectorOf(b.getF32Type(), keys.lanes);
  llvm::MaybeAlign alignment(ThreadBlock::alignment);
  SmallVector<Value> zeros(few, splat(b, type, 0.0));
  auto products = loop(
      index(0), index(keys.padded), keys.lanes, zeros,
      [&](Value column, ValueRange carried) {
        Value numbers = toF32(b, vector::LoadOp::create(
                                     b, raw, keys.rows, ValueRange{key, column},
                                     /*nontemporal=*/false, alignment));
        SmallVector<Value> next;
        for (int64_t r = 0; r < few; ++r) {
          Value query = vector::LoadOp::create(
              b, type, queries, ValueRange{add(row, r), column},
              /*nontemporal=*/false, alignment);
          next.push_back(vector::FMAOp::create(b, query, numbers, carried[r]));
        }
        return next;
      });
  Value place = arith::AddIOp::create(b, from, key);
  Value number = arith::AddIOp::create(b, start, place);
  for (int64_t r = 0; r < few; ++r) {
    Value product = vector::ReductionOp::create(b, vector::CombiningKind::ADD,
                                                products.getResult(r));
    Value shaped = finish(product, add(row, r), number);
    store(shaped, scores, {add(row, r), place});
  }
}

/// The score of a product in units of log2, -inf where the key does not attend.
Value BlockAttention::finish(Value product, Value row, Value key) {
  Value score = product;
  double scale = op.getScale().convertToDouble();
  if (Value scales = op.getKeyScale())
    score = arith::MulFOp::create(
        b, score,
        load(scales, at(roles.keyScale(), global(row), rowOf(key), Value())));
  if (isShaped())
    score = shapedScore(score, scale, global(row), key);
  else
    score = arith::MulFOp::create(b, score,
                                  splat(b, b.getF32Type(), scale * log2e));
  if (!isTested())
    return score;
  return arith::SelectOp::create(b, isLive(global(row), key), score,
                                 splat(b, b.getF32Type(), -infinity));
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// The largest score of each thread's keys: part p takes p, p + parts, ...
void BlockAttention::findMaxima(Value count) {
  block.share(b, blockRows * parts, [&](Value item) {
    auto [row, part] = splitItem(b, item, parts);
    Value none = splat(b, b.getF32Type(), -infinity);
    auto largest =
        loop(part, count, parts, none,
             [&, row = row](Value key, ValueRange carried) {
               Value score = load(scores, {row, key});
               return SmallVector<Value>{buildMax(b, carried[0], score)};
             });
    store(largest.getResult(0), maxima, {row, part});
  });
}

/// exp2(score - max): to 2 ulp, and 0 for -inf.
Value BlockAttention::weight(Value score, Value max) {
  return math::Exp2Op::create(b, arith::SubFOp::create(b, score, max));
}

/// Weights in the place of scores.  That of a key which does not attend is -0,
/// and its value, which may be NaN, does not count.
void BlockAttention::weigh(Value start, Value count) {
  Type f32 = b.getF32Type();
  Value none = splat(b, f32, -infinity), zero = splat(b, f32, 0.0);
  block.share(b, blockRows * parts, [&](Value item) {
    auto [row, part] = splitItem(b, item, parts);
    Value before =
        load(op.getMax(), at(roles.state(), global(row), Value(), Value()));
    Value tileMax = load(maxima, {row, index(0)});
    for (int64_t p = 1; p < parts; ++p)
      tileMax = buildMax(b, tileMax, load(maxima, {row, index(p)}));
    Value grows =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, tileMax, before);
    Value max = arith::SelectOp::create(b, grows, tileMax, before);
    // 0 stands in for the -inf of a row that no key has reached.
    Value dead = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, max, none);
    Value finite = arith::SelectOp::create(b, dead, zero, max);
    auto total = loop(
        part, count, parts, zero, [&, row = row](Value key, ValueRange sum) {
          Value score = load(scores, {row, key});
          Value each = weight(score, finite);
          Value next = arith::AddFOp::create(b, sum[0], each);
          if (Value scales = op.getValueScale()) {
            Value place = rowOf(arith::AddIOp::create(b, start, key));
            each = arith::MulFOp::create(
                b, each,
                load(scales,
                     at(roles.valueScale(), global(row), place, Value())));
          }
          if (mayExclude()) {
            Value absent = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ,
                                                 score, none);
            each =
                arith::SelectOp::create(b, absent, splat(b, f32, -0.0), each);
          }
          store(each, scores, {row, key});
          return SmallVector<Value>{next};
        });
    store(total.getResult(0), sums, {row, part});
    Value isFirst =
        arith::CmpIOp::create(b, arith::CmpIPredicate::eq, part, index(0));
    ifThen(isFirst, [&, row = row] {
      Value factor = arith::SelectOp::create(b, grows, weight(before, finite),
                                             splat(b, f32, 1.0));
      store(max, newMax, row);
      store(factor, factors, row);
    });
  });
}

/// The rows' maxima and sums; nobody reads them before the next tile.
void BlockAttention::keepState() {
  block.share(b, blockRows, [&](Value row) {
    auto place = at(roles.state(), global(row), Value(), Value());
    store(load(newMax, row), op.getMax(), place);
    Value sum =
        arith::MulFOp::create(b, load(op.getSum(), place), load(factors, row));
    for (int64_t p = 0; p < parts; ++p)
      sum = arith::AddFOp::create(b, sum, load(sums, {row, index(p)}));
    store(sum, op.getSum(), place);
  });
}
