//===- TileScales.cpp - Scales of i8 keys and values ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The products take i8 rows as the numbers that they are.  What each row is
// multiplied by comes in where there is one number for it: a key's scale times
// its scores, a value's scale times its weights.  That is an operation for each
// row and key, where scaling K and V would be one for each of their elements.
//
// Scales past the last key of a tile are anything; what they are multiplied
// with does not count.

#include "PartialEmitter.h"
#include "VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// Whether the scales of neighbouring keys are neighbours in memory.
static bool liesInRow(Value memref, llvm::StringRef term, char key) {
  int64_t offset;
  SmallVector<int64_t> strides;
  return term.back() == key &&
         succeeded(cast<MemRefType>(memref.getType())
                       .getStridesAndOffset(strides, offset)) &&
         strides.back() == 1;
}

/// The scales of the keys [start, start + count) into `into`.
void PartialEmitter::copyScales(Value memref, llvm::StringRef term, Value start,
                                Value count, bool full, Value into) {
  if (isList || !liesInRow(memref, term, roles.key.front())) {
    loop(index(0), count, 1, {}, [&](Value i, ValueRange) {
      Value row = rowOf(add(start, i));
      Value scale =
          memref::LoadOp::create(b, memref, at(term, Value(), row, Value()));
      memref::StoreOp::create(b, scale, into, i);
      return SmallVector<Value>();
    });
    return;
  }
  for (int64_t key = 0; key < keyTile; key += lanes) {
    SmallVector<Value> from = at(term, Value(), add(start, key), Value());
    Value scales;
    if (full) {
      scales = vector::LoadOp::create(b, floats(), memref, from);
    } else {
      Value left = arith::SubIOp::create(b, count, index(key));
      left = arith::MaxSIOp::create(b, left, index(0));
      Value exists = vector::CreateMaskOp::create(
          b, vectorOf(b.getI1Type(), lanes), ValueRange{left});
      scales = vector::MaskedLoadOp::create(b, floats(), memref, from, exists,
                                            splat(b, floats(), 0.0));
    }
    vector::StoreOp::create(b, scales, into, index(key));
  }
}

void PartialEmitter::loadScales(Value start, Value count, bool full) {
  for (auto [memref, term, scales] :
       {std::tuple(op.getKeyScale(), roles.keyScale(), &keyScales),
        std::tuple(op.getValueScale(), roles.valueScale(), &valueScales)}) {
    if (!memref)
      continue;
    if (!*scales)
      *scales = scratch({keyTile}, b.getF32Type());
    copyScales(memref, term, start, count, full, *scales);
  }
}

void PartialEmitter::scaleScores() {
  if (!keyScales)
    return;
  loop(0, rows, 1, [&](Value row) {
    for (int64_t key = 0; key < keyTile; key += lanes) {
      SmallVector<Value> place = {row, index(key)};
      Value score = vector::LoadOp::create(b, floats(), scores, place);
      Value scale = vector::LoadOp::create(b, floats(), keyScales, index(key));
      score = arith::MulFOp::create(b, score, scale);
      vector::StoreOp::create(b, score, scores, place);
    }
  });
}

/// A row's weights as they meet i8 values.  That of a key which does not attend
/// stays what it is, -0, whatever its scale.
SmallVector<Value> PartialEmitter::scaledWeights(ArrayRef<Value> weights) {
  SmallVector<Value> result;
  for (auto [i, weight] : llvm::enumerate(weights)) {
    Value scale =
        vector::LoadOp::create(b, floats(), valueScales, index(i * lanes));
    Value scaled = arith::MulFOp::create(b, weight, scale);
    if (mayExclude()) {
      VectorType ints = vectorOf(b.getI32Type(), lanes);
      Value bits = arith::BitcastOp::create(b, ints, weight);
      Value dead = arith::CmpIOp::create(
          b, arith::CmpIPredicate::eq, bits,
          splat(b, ints, std::numeric_limits<int32_t>::min()));
      scaled = arith::SelectOp::create(b, dead, weight, scaled);
    }
    result.push_back(scaled);
  }
  return result;
}
