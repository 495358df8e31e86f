//===- PartialStages.cpp - Scores, weights and values of a tile -*- C++ -*-===//
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
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

void PartialEmitter::scores(Value start, Value count, bool full) {
  overRowBlocks([&](Value row, int64_t block, bool first) {
    int64_t keys = lanes / block;
    loop(index(0), count, keys, {}, [&](Value key, ValueRange) {
      scoreBlock(row, block, add(start, key), add(start, count), full,
                 first && ahead);
      return SmallVector<Value>();
    });
  });
}

void PartialEmitter::scoreBlock(Value row, int64_t block, Value key, Value end,
                                bool full, bool fetch) {
  int64_t keys = lanes / block;
  VectorType type = vectorOf(b.getF32Type(), lanes);
  SmallVector<Value> keyRows;
  Value last = full ? Value() : arith::SubIOp::create(b, end, index(1));
  for (int64_t k = 0; k < keys; ++k) {
    Value at = add(key, k);
    // Past the end the last key is read again; its score is discarded.
    keyRows.push_back(rowOf(full ? at : arith::MinUIOp::create(b, at, last)));
  }
  // Lines of the keys `ahead`, a few with each step, so that memory is asked at
  // an even pace: where vectors share a line, the steps take turns on the rows.
  int64_t shared = vectorsInLine(op.getKey());
  auto fetchAhead = [&](Value column) {
    Value turn = arith::RemUIOp::create(
        b, arith::DivUIOp::create(b, column, index(lanes)), index(shared));
    Value line = arith::SubIOp::create(
        b, column, arith::MulIOp::create(b, turn, index(lanes)));
    for (int64_t k = 0; k < keys; k += shared) {
      Value keyRow = add(add(key, k + ahead), turn);
      prefetch(op.getKey(), at(roles.keyTerm, Value(), keyRow, line));
    }
  };
  auto step = [&](Value column, ValueRange sums, int64_t valid) {
    SmallVector<Value> next(sums), loaded;
    if (fetch)
      fetchAhead(column);
    for (Value keyRow : keyRows)
      loaded.push_back(loadVector(
          op.getKey(), at(roles.keyTerm, Value(), keyRow, column), valid));
    for (int64_t r = 0; r < block; ++r) {
      Value query =
          vector::LoadOp::create(b, type, q, ValueRange{add(row, r), column});
      for (int64_t k = 0; k < keys; ++k) {
        Value &sum = next[r * keys + k];
        sum = vector::FMAOp::create(b, query, loaded[k], sum);
      }
    }
    return next;
  };
  SmallVector<Value> sums(lanes, splat(b, type, 0.0));
  int64_t whole = depth / lanes * lanes;
  if (whole)
    sums =
        llvm::to_vector(ValueRange(loop(index(0), index(whole), lanes, sums,
                                        [&](Value column, ValueRange carried) {
                                          return step(column, carried, lanes);
                                        })
                                       .getResults()));
  if (whole < depth)
    sums = step(index(whole), sums, depth - whole);
  Value score = buildLaneSums(b, sums);
  Value base = arith::SubIOp::create(b, key, keyBase);
  for (int64_t r = 0; r < block; ++r) {
    Value part = vector::ExtractStridedSliceOp::create(
        b, score, ArrayRef<int64_t>{r * keys}, ArrayRef<int64_t>{keys},
        ArrayRef<int64_t>{1});
    vector::StoreOp::create(b, part, s, ValueRange{add(row, r), base});
  }
}

//===----------------------------------------------------------------------===//
// Score region, bias, mask, valid
//===----------------------------------------------------------------------===//

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
        vector::LoadOp::create(b, type, s, ValueRange{row, index(key)});
    score = arith::SelectOp::create(
        b, attends, score,
        splat(b, type, -std::numeric_limits<double>::infinity()));
    vector::StoreOp::create(b, score, s, ValueRange{row, index(key)});
  }
}

void PartialEmitter::shapeScores(Value start, Value count) {
  bool shaped = op.getBias() || scoreOf(like);
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
        Value score = memref::LoadOp::create(b, s, ValueRange{row, i});
        score = shapedScore(score, row, add(start, i));
        memref::StoreOp::create(b, score, s, ValueRange{row, i});
        return SmallVector<Value>();
      });
    if (tested && byRow)
      testKeys(row, start, count);
    if (tested)
      excludeKeys(row);
  });
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

void PartialEmitter::rescale(Value row, Value factor) {
  VectorType type = vectorOf(b.getF32Type(), lanes);
  Value factors = vector::BroadcastOp::create(b, type, factor);
  auto scaleAt = [&](Value column, int64_t count) {
    auto indices = at(roles.outputTerm, row, Value(), column);
    Value value = loadVector(op.getAccumulator(), indices, count);
    storeVector(arith::MulFOp::create(b, value, factors), op.getAccumulator(),
                indices, count);
  };
  int64_t whole = width / lanes * lanes;
  loop(0, whole, lanes, [&](Value column) { scaleAt(column, lanes); });
  if (whole < width)
    scaleAt(index(whole), width - whole);
  auto indices = at(roles.state(), row, Value(), Value());
  Value sum = memref::LoadOp::create(b, op.getSum(), indices);
  memref::StoreOp::create(b, arith::MulFOp::create(b, sum, factor), op.getSum(),
                          indices);
}

void PartialEmitter::weights(Value count, bool full) {
  Type f32 = b.getF32Type();
  VectorType type = vectorOf(f32, lanes);
  const double infinity = std::numeric_limits<double>::infinity();
  loop(0, rows, 1, [&](Value row) {
    SmallVector<Value> scores;
    Value largest = splat(b, type, -infinity);
    for (int64_t key = 0; key < keyTile; key += lanes) {
      Value score =
          vector::LoadOp::create(b, type, s, ValueRange{row, index(key)});
      if (!full) {
        Value left = arith::SubIOp::create(b, count, index(key));
        Value zero = index(0);
        left = arith::MaxSIOp::create(b, left, zero);
        Value exists = vector::CreateMaskOp::create(
            b, vectorOf(b.getI1Type(), lanes), ValueRange{left});
        score = arith::SelectOp::create(b, exists, score,
                                        splat(b, type, -infinity));
      }
      scores.push_back(score);
      largest = buildMax(b, largest, score);
    }
    auto indices = at(roles.state(), row, Value(), Value());
    Value before = memref::LoadOp::create(b, op.getMax(), indices);
    Value tileMax =
        vector::ReductionOp::create(b, vector::CombiningKind::MAXNUMF, largest);
    Value grows =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, tileMax, before);
    scf::IfOp::create(b, grows, [&](OpBuilder &inner, Location) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(inner.getInsertionBlock(), inner.getInsertionPoint());
      memref::StoreOp::create(b, tileMax, op.getMax(), indices);
      rescale(row, buildExp2(b, arith::SubFOp::create(b, before, tileMax)));
      scf::YieldOp::create(b);
    });
    // A row that no key has reached keeps -inf; 0 stands in for it, so that
    // its weights are exp2(-inf) = 0.
    Value max = arith::SelectOp::create(b, grows, tileMax, before);
    Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, max,
                                       splat(b, f32, -infinity));
    max = arith::SelectOp::create(b, none, splat(b, f32, 0.0), max);
    Value maxes = vector::BroadcastOp::create(b, type, max);
    Value total = splat(b, type, 0.0);
    for (auto [i, score] : llvm::enumerate(scores)) {
      Value weight = buildExp2(b, arith::SubFOp::create(b, score, maxes));
      if (mayExclude()) {
        Value dead = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, score,
                                           splat(b, type, -infinity));
        weight = arith::SelectOp::create(b, dead, splat(b, type, -0.0), weight);
      }
      total = arith::AddFOp::create(b, total, weight);
      vector::StoreOp::create(b, weight, s, ValueRange{row, index(i * lanes)});
    }
    Value sum = memref::LoadOp::create(b, op.getSum(), indices);
    Value added =
        vector::ReductionOp::create(b, vector::CombiningKind::ADD, total);
    memref::StoreOp::create(b, arith::AddFOp::create(b, sum, added),
                            op.getSum(), indices);
  });
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// Whether a weight is that of a key that does not attend: -0.
Value PartialEmitter::isExcluded(Value weight) {
  Type i32 = b.getI32Type();
  Value bits = arith::BitcastOp::create(b, i32, weight);
  Value sign = arith::ConstantOp::create(
      b, b.getI32IntegerAttr(std::numeric_limits<int32_t>::min()));
  return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, bits, sign);
}

void PartialEmitter::valueBlock(Value row, int64_t block, Value start,
                                Value count, Value column, int64_t vectors,
                                int64_t lastCount, bool fetch) {
  auto columnAt = [&](int64_t z) { return add(column, z * lanes); };
  auto countAt = [&](int64_t z) { return z + 1 < vectors ? lanes : lastCount; };
  SmallVector<Value> sums;
  for (int64_t r = 0; r < block; ++r)
    for (int64_t z = 0; z < vectors; ++z)
      sums.push_back(loadVector(
          op.getAccumulator(),
          at(roles.outputTerm, add(row, r), Value(), columnAt(z)), countAt(z)));
  auto keys =
      loop(index(0), count, 1, sums, [&](Value key, ValueRange carried) {
        SmallVector<Value> next(carried), loaded;
        for (int64_t z = 0; fetch && z < vectors;
             z += vectorsInLine(op.getValue()))
          prefetch(op.getValue(), at(roles.valueTerm, Value(),
                                     add(add(start, key), ahead), columnAt(z)));
        Value valueRow = rowOf(add(start, key));
        for (int64_t z = 0; z < vectors; ++z)
          loaded.push_back(loadVector(
              op.getValue(),
              at(roles.valueTerm, Value(), valueRow, columnAt(z)), countAt(z)));
        for (int64_t r = 0; r < block; ++r) {
          Value weight =
              memref::LoadOp::create(b, s, ValueRange{add(row, r), key});
          Value weights = vector::BroadcastOp::create(
              b, vectorOf(b.getF32Type(), lanes), weight);
          Value excluded = mayExclude() ? isExcluded(weight) : Value();
          for (int64_t z = 0; z < vectors; ++z) {
            Value &sum = next[r * vectors + z];
            Value value = loaded[z];
            if (excluded)
              value = arith::SelectOp::create(
                  b, excluded, splat(b, value.getType(), 0.0), value);
            sum = vector::FMAOp::create(b, weights, value, sum);
          }
        }
        return next;
      });
  for (int64_t r = 0; r < block; ++r)
    for (int64_t z = 0; z < vectors; ++z)
      storeVector(keys.getResult(r * vectors + z), op.getAccumulator(),
                  at(roles.outputTerm, add(row, r), Value(), columnAt(z)),
                  countAt(z));
}

void PartialEmitter::values(Value start, Value count) {
  overRowBlocks([&](Value row, int64_t block, bool first) {
    bool fetch = first && ahead;
    int64_t vectors = std::min<int64_t>(lanes / block, 8);
    int64_t chunk = vectors * lanes, whole = width / chunk * chunk;
    loop(0, whole, chunk, [&](Value column) {
      valueBlock(row, block, start, count, column, vectors, lanes, fetch);
    });
    if (whole == width)
      return;
    int64_t left = llvm::divideCeil(width - whole, lanes);
    valueBlock(row, block, start, count, index(whole), left,
               width - whole - (left - 1) * lanes, fetch);
  });
}
