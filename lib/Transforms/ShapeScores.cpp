//===- ShapeScores.cpp - Score region, bias, mask, valid -*- C++ -*------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PartialEmitter.h"
#include "VectorMath.h"
#include "einhead/IR/Mask.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

Value PartialEmitter::absolute(char letter, Value row, Value key) {
  if (letter == roles.key.front() && isList)
    return memref::LoadOp::create(
        b, listed, ValueRange{arith::SubIOp::create(b, key, keyBase)});
  Value i = at(llvm::StringRef(&letter, 1), row, key, Value()).front();
  Value offset = offsetOf(like, letter);
  return offset ? add(offset, i) : i;
}

Value PartialEmitter::isLive(Value row, Value key) {
  Value live;
  auto both = [&](Value more) {
    live = live ? Value(arith::AndIOp::create(b, live, more)) : more;
  };
  // Unsigned: a negative number is none of K's.
  if (isList)
    both(arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                               absolute(roles.key.front(), row, key),
                               keyExtent()));
  if (Value valid = op.getValid()) {
    if (!valid.getType().isIndex()) {
      valid = memref::LoadOp::create(
          b, valid, batchIndex.lookup(roles.queryTerm.front()));
      valid = arith::IndexCastOp::create(b, b.getIndexType(), valid);
    }
    both(arith::CmpIOp::create(b, arith::CmpIPredicate::slt,
                               absolute(roles.key.front(), row, key), valid));
  }
  if (std::optional<MaskAttr> mask = op.getMask()) {
    SmallVector<Value> dims;
    llvm::StringRef letters = mask->getLetters();
    for (char letter : letters)
      dims.push_back(absolute(letter, row, key));
    both(buildMaskTest(b, b.getLoc(), *mask, dims, op.getMaskSymbols()));
  }
  return live;
}

/// The score region and the bias, in units of log2.
Value PartialEmitter::shapedScore(Value score, Value row, Value key) {
  Type f32 = b.getF32Type();
  Value log2e = splat(b, f32, 1.4426950408889634);
  double factor = scoreFactor();
  if (!scoreOf(like))
    factor *= 1.4426950408889634;
  score = arith::MulFOp::create(b, score, splat(b, f32, factor));
  if (Block *region = scoreOf(like)) {
    IRMapping mapping;
    mapping.map(region->getArgument(0), score);
    for (auto [i, letter] : llvm::enumerate(roles.scores()))
      mapping.map(region->getArgument(i + 1), absolute(letter, row, key));
    for (Operation &inner : region->without_terminator())
      b.clone(inner, mapping);
    score = mapping.lookupOrDefault(
        cast<YieldOp>(region->getTerminator()).getScore());
    score = arith::MulFOp::create(b, score, log2e);
  }
  if (op.getBias()) {
    Value bias = memref::LoadOp::create(
        b, op.getBias(), at(*op.getBiasLetters(), row, rowOf(key), Value()));
    if (!bias.getType().isF32())
      bias = arith::ExtFOp::create(b, f32, bias);
    bias = arith::MulFOp::create(b, bias, log2e);
    score = arith::AddFOp::create(b, score, bias);
  }
  return score;
}

/// Whether some letter of `letters` is a row letter: then rows differ.
bool PartialEmitter::namesRow(llvm::StringRef letters) {
  return llvm::any_of(
      letters, [&](char letter) { return indexOf(roles.row, letter) >= 0; });
}

/// live[i] = whether key start + i attends, for row `row`.
void PartialEmitter::testKeys(Value row, Value start, Value count) {
  loop(index(0), count, 1, {}, [&](Value i, ValueRange) {
    Value attends = isLive(row, add(start, i));
    attends = arith::ExtUIOp::create(b, b.getI32Type(), attends);
    memref::StoreOp::create(b, attends, live, i);
    return SmallVector<Value>();
  });
}

/// Scores of keys that do not attend become -inf.
void PartialEmitter::excludeKeys(Value row) {
  VectorType type = vectorOf(b.getF32Type(), lanes),
             ints = vectorOf(b.getI32Type(), lanes);
  for (int64_t key = 0; key < keyTile; key += lanes) {
    Value flags = vector::LoadOp::create(b, ints, live, index(key));
    Value attends = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, flags,
                                          splat(b, ints, 0));
    Value score =
        vector::LoadOp::create(b, type, scores, ValueRange{row, index(key)});
    score = arith::SelectOp::create(
        b, attends, score,
        splat(b, type, -std::numeric_limits<double>::infinity()));
    vector::StoreOp::create(b, score, scores, ValueRange{row, index(key)});
  }
}

void PartialEmitter::shapeScores(Value start, Value count) {
  bool shaped = isShaped();
  bool tested = isTested();
  if (!shaped && !tested)
    return;
  if (tested && !live)
    live = scratch({keyTile}, b.getI32Type());
  std::optional<MaskAttr> mask = op.getMask();
  bool byRow = mask && namesRow(mask->getLetters());
  if (tested && !byRow)
    testKeys(index(0), start, count);
  loop(0, rows, 1, [&](Value row) {
    if (shaped)
      loop(index(0), count, 1, {}, [&](Value i, ValueRange) {
        Value score = memref::LoadOp::create(b, scores, ValueRange{row, i});
        score = shapedScore(score, row, add(start, i));
        memref::StoreOp::create(b, score, scores, ValueRange{row, i});
        return SmallVector<Value>();
      });
    if (tested && byRow)
      testKeys(row, start, count);
    if (tested)
      excludeKeys(row);
  });
}
