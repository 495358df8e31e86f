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
        score = shapedScore(score, scoreFactor(), row, add(start, i));
        memref::StoreOp::create(b, score, scores, ValueRange{row, i});
        return SmallVector<Value>();
      });
    if (tested && byRow)
      testKeys(row, start, count);
    if (tested)
      excludeKeys(row);
  });
}
