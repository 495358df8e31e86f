//===- MatrixWeights.cpp - Weights of rows in lanes -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// A vector of `across` has 16 / inBlock keys of inBlock rows.  What scores are
// compared with is a maximum that a row has had: it is raised only where a
// score is more than `slack` above it, so that sums are hardly ever rescaled.
// Each row decides for itself.

#include "MatrixTile.h"
#include "PairMath.h"
#include "VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

static constexpr int64_t lanes = 16;
static constexpr double infinity = std::numeric_limits<double>::infinity();
/// Powers of two that a weight may be above 1.
static constexpr double slack = 8;

Value MatrixTile::acrossAt(Value slot, Value key) {
  return scaled(t.add(scaled(slot, t.keyTile), key), inBlock);
}

/// Scores of keys from `count` on are -inf.
void MatrixTile::endKeys(Value slot, Value count) {
  Value at = acrossAt(slot, t.index(0)), end = scaled(count, inBlock);
  t.loop(0, t.keyTile * inBlock, lanes, [&](Value i) {
    Value left = arith::SubIOp::create(b, end, i);
    left = arith::MaxSIOp::create(b, left, t.index(0));
    Value exists = vector::CreateMaskOp::create(
        b, t.vectorOf(b.getI1Type(), lanes), ValueRange{left});
    Value place = t.add(at, i);
    Value score = arith::SelectOp::create(b, exists, vectorAt(across, place),
                                          splat(b, t.floats(), -infinity));
    vector::StoreOp::create(b, score, across, place);
  });
}

/// The largest score of each row, in all of its lanes.
Value MatrixTile::largest(Value slot) {
  constexpr int64_t apart = 4;
  Value at = acrossAt(slot, t.index(0));
  SmallVector<Value> first(apart, splat(b, t.floats(), -infinity));
  auto over = t.loop(t.index(0), t.index(t.keyTile * inBlock), apart * lanes,
                     first, [&](Value i, ValueRange carried) {
                       SmallVector<Value> next;
                       for (int64_t z = 0; z < apart; ++z) {
                         Value score =
                             vectorAt(across, t.add(t.add(at, i), z * lanes));
                         next.push_back(buildMax(b, carried[z], score));
                       }
                       return next;
                     });
  auto all = over.getResults();
  Value max =
      buildMax(b, buildMax(b, all[0], all[1]), buildMax(b, all[2], all[3]));
  for (int64_t half = lanes / 2; half >= inBlock; half /= 2) {
    SmallVector<int64_t> other;
    for (int64_t lane = 0; lane < lanes; ++lane)
      other.push_back(lane ^ half);
    max = buildMax(b, max, vector::ShuffleOp::create(b, max, max, other));
  }
  return max;
}

void MatrixTile::raiseMaxima(Value slot, Value block, const Tile &tile) {
  if (!tile.full)
    endKeys(slot, tile.count);
  double factor = t.scoreFactor() * 1.4426950408889634;
  Value max =
      arith::MulFOp::create(b, largest(slot), splat(b, t.floats(), factor));
  Value at = scaled(block, lanes), before = vectorAt(maxima, at);
  Value limit = arith::AddFOp::create(b, before, splat(b, t.floats(), slack));
  Value grows = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, max, limit);
  Value any = vector::ReductionOp::create(b, vector::CombiningKind::OR, grows);
  t.ifThen(any, [&] {
    Value now = arith::SelectOp::create(b, grows, max, before);
    vector::StoreOp::create(b, now, maxima, at);
    Value factors = buildExp2(b, arith::SubFOp::create(b, before, now));
    // Before the first key there is nothing to scale.
    Value isNew = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, before,
                                        splat(b, t.floats(), -infinity));
    Value one = splat(b, t.floats(), 1.0);
    factors = arith::SelectOp::create(b, isNew, one, factors);
    rescale(block, arith::SelectOp::create(b, grows, factors, one));
  });
}

void MatrixTile::rescale(Value block, Value factors) {
  SmallVector<int64_t> order;
  for (int64_t lane = 0; lane < lanes; ++lane)
    order.push_back(lane / (lanes / inBlock));
  Value at = scaled(block, lanes);
  Value byPair = vector::ShuffleOp::create(b, factors, factors, order);
  vector::StoreOp::create(
      b, arith::MulFOp::create(b, vectorAt(totals, at), byPair), totals, at);
  vector::StoreOp::create(b, factors, byLane, t.index(0));
  t.loop(0, inBlock, 1, [&](Value row) {
    Value factor = memref::LoadOp::create(b, byLane, row);
    Value moved = arith::CmpFOp::create(b, arith::CmpFPredicate::UNE, factor,
                                        splat(b, b.getF32Type(), 1.0));
    t.ifThen(moved, [&] {
      Value spread = vector::BroadcastOp::create(b, t.floats(), factor);
      t.loop(0, columns, lanes, [&](Value column) {
        Value place = sumsAt(block, row, column);
        Value sum = arith::MulFOp::create(b, vectorAt(sums, place), spread);
        vector::StoreOp::create(b, sum, sums, place);
      });
    });
  });
}

static Value callIntrinsic(ImplicitLocOpBuilder &b, Type type, StringRef name,
                           ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr(name), operands)
      .getResult(0);
}

/// As buildWeight, of any NaN, with the instructions that CPUs with matrix
/// tiles have for the fraction of x and for 2^floor(x): 6 operations instead
/// of 10, where weights are what takes longest.
static Value buildTileWeight(ImplicitLocOpBuilder &b, Value x) {
  Type type = x.getType();
  auto constant = [&](Type of, int64_t value) -> Value {
    return arith::ConstantOp::create(b, b.getIntegerAttr(of, value));
  };
  constexpr int64_t towardsMinus = 1, currentRounding = 4;
  Value none = splat(b, type, 0.0), all = constant(b.getI16Type(), -1);
  Value rounding = constant(b.getI32Type(), currentRounding);
  Value f = callIntrinsic(
      b, type, "llvm.x86.avx512.mask.reduce.ps.512",
      {x, constant(b.getI32Type(), towardsMinus), none, all, rounding});
  // 2^f on [0, 1] to 3e-6, exactly 1 for 0.
  Value p = splat(b, type, 1.342668428952977e-02);
  for (double c : {5.224247418758152e-02, 2.412802047740303e-01,
                   6.930448448986983e-01, 1.0})
    p = vector::FMAOp::create(b, p, f, splat(b, type, c));
  // The op's operands have the intrinsic's order, not that of their names.
  return x86vector::MaskScaleFOp::create(b, type, p, x, none, all, rounding);
}

/// vectors[i], n groups of lanes -> group i of all of them, n vectors.
static void turnGroups(ImplicitLocOpBuilder &b,
                       SmallVectorImpl<Value> &vectors) {
  int64_t count = vectors.size(), size = lanes / count;
  if (count == lanes)
    return buildTranspose(b, vectors);
  for (int64_t stride = 1; stride < count; stride *= 2)
    for (int64_t i = 0; i < count; ++i) {
      if (i & stride)
        continue;
      SmallVector<int64_t> low, high;
      for (int64_t lane = 0; lane < lanes; ++lane) {
        bool isOdd = lane / size & stride;
        int64_t other = lanes + lane;
        low.push_back(isOdd ? other - stride * size : lane);
        high.push_back(isOdd ? other : lane + stride * size);
      }
      Value x = vectors[i], &y = vectors[i + stride];
      vectors[i] = vector::ShuffleOp::create(b, x, y, low);
      y = vector::ShuffleOp::create(b, x, y, high);
    }
}

/// In units of 32 scores.  Each becomes a vector of bf16 with the keys of a row
/// beside each other, which the last unit turns into rows of 32 keys.
void MatrixTile::addWeights(Beside &beside, Value slot, Value block,
                            Value keyBlock) {
  struct Work {
    Value at, top, total;
    SmallVector<Value> vectors;
  };
  auto work = std::make_shared<Work>();
  double factor = t.scoreFactor() * 1.4426950408889634;
  int64_t keys = 2 * lanes / inBlock; // of a unit
  SmallVector<int64_t> order;
  for (int64_t i = 0; i < 2 * lanes; ++i)
    order.push_back(i % keys * inBlock + i / keys);
  beside.add([=, this] {
    work->at = acrossAt(slot, scaled(keyBlock, 2 * lanes));
    Value top = buildFinite(b, vectorAt(maxima, scaled(block, lanes)));
    work->top = arith::NegFOp::create(b, top);
    work->total = vectorAt(totals, scaled(block, lanes));
  });
  for (int64_t unit = 0; unit < inBlock; ++unit)
    beside.add([=, this] {
      Value halves[2];
      for (int64_t i : {0, 1}) {
        Value score = vectorAt(across, t.add(work->at, (2 * unit + i) * lanes));
        Value x = vector::FMAOp::create(b, score, splat(b, t.floats(), factor),
                                        work->top);
        halves[i] = buildTileWeight(b, x);
      }
      Value both = callIntrinsic(b, t.vectorOf(b.getBF16Type(), 2 * lanes),
                                 "llvm.x86.avx512bf16.cvtne2ps2bf16.512",
                                 {halves[1], halves[0]});
      both = castElements(b, both, b.getI16Type());
      both = vector::ShuffleOp::create(b, both, both, order);
      Value pairs = castElements(b, both, b.getBF16Type());
      // Summed as the values will be: the rounded weights, in pairs.
      work->total = buildMultiplyAdd(b, pairs, splat(b, pairs.getType(), 1.0),
                                     work->total);
      work->vectors.push_back(castElements(b, both, b.getI32Type()));
    });
  beside.add([=, this] {
    vector::StoreOp::create(b, work->total, totals, scaled(block, lanes));
    turnGroups(b, work->vectors);
    Value tile = t.add(scaled(block, keyBlocks), keyBlock);
    for (auto [row, vector] : llvm::enumerate(work->vectors))
      vector::StoreOp::create(
          b, castElements(b, vector, b.getBF16Type()), rounded,
          t.add(scaled(tile, 2 * lanes * lanes), row * 2 * lanes));
  });
}

void MatrixTile::weights(Value slot, Value block) {
  t.loop(0, keyBlocks, 1, [&](Value keyBlock) {
    Beside all;
    addWeights(all, slot, block, keyBlock);
    all.write(1, 1);
  });
}
