//===- PairMath.cpp - Products of vectors, f32 or pairs of bf16 -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PairMath.h"
#include "VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// How many 32-bit elements the unpack instructions treat together.
static constexpr int64_t group = 4;

static int64_t sizeOf(Value vector) {
  return cast<VectorType>(vector.getType()).getNumElements();
}

Value einhead::castElements(ImplicitLocOpBuilder &b, Value vector,
                            Type element) {
  auto type = cast<VectorType>(vector.getType());
  int64_t bits = type.getNumElements() * type.getElementTypeBitWidth();
  return vector::BitCastOp::create(
      b, VectorType::get({bits / element.getIntOrFloatBitWidth()}, element),
      vector);
}

Value einhead::buildMultiplyAdd(ImplicitLocOpBuilder &b, Value x, Value y,
                                Value sum) {
  if (getElementTypeOrSelf(x).isF32())
    return vector::FMAOp::create(b, x, y, sum);
  return x86vector::DotBF16Op::create(b, sum, x, y);
}

/// `x` and `y` interleaved by elements, from the low or high half of each group
/// of 128 bits.
static Value unpack(ImplicitLocOpBuilder &b, Value x, Value y, bool high) {
  int64_t size = sizeOf(x);
  int64_t each =
      128 / cast<VectorType>(x.getType()).getElementTypeBitWidth() / 2;
  SmallVector<int64_t> mask;
  for (int64_t base = 0; base < size; base += 2 * each)
    for (int64_t i = 0; i < each; ++i) {
      mask.push_back(base + (high ? each : 0) + i);
      mask.push_back(size + mask.back());
    }
  return vector::ShuffleOp::create(b, x, y, mask);
}

Value einhead::buildUnpack(ImplicitLocOpBuilder &b, Value x, Value y,
                           bool high) {
  Type element = getElementTypeOrSelf(x);
  Value bits = unpack(b, castElements(b, x, b.getI16Type()),
                      castElements(b, y, b.getI16Type()), high);
  return castElements(b, bits, element);
}

std::array<Value, 2> einhead::buildInterleave(ImplicitLocOpBuilder &b, Value x,
                                              Value y) {
  Type element = getElementTypeOrSelf(x);
  int64_t size = sizeOf(x);
  x = castElements(b, x, b.getI16Type());
  y = castElements(b, y, b.getI16Type());
  std::array<Value, 2> halves;
  for (int64_t half : {0, 1}) {
    SmallVector<int64_t> mask;
    for (int64_t i = 0; i < size; ++i)
      mask.push_back((half * size + i) / 2 + (i % 2 ? size : 0));
    halves[half] =
        castElements(b, vector::ShuffleOp::create(b, x, y, mask), element);
  }
  return halves;
}

void einhead::toUnpackedOrder(ImplicitLocOpBuilder &b,
                              llvm::MutableArrayRef<Value> vectors) {
  int64_t lanes = sizeOf(vectors.front());
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < lanes; ++i) {
    low.push_back(i / group * 2 * group + i % group);
    high.push_back(low.back() + group);
  }
  for (size_t z = 0; z < vectors.size(); z += 2) {
    Value x = vectors[z], y = vectors[z + 1];
    vectors[z] = vector::ShuffleOp::create(b, x, y, low);
    vectors[z + 1] = vector::ShuffleOp::create(b, x, y, high);
  }
}

void einhead::fromUnpackedOrder(ImplicitLocOpBuilder &b,
                                llvm::MutableArrayRef<Value> vectors) {
  int64_t lanes = sizeOf(vectors.front());
  SmallVector<int64_t> from;
  for (int64_t column = 0; column < 2 * lanes; ++column) {
    int64_t inHalf = column / (2 * group) * group + column % group;
    from.push_back(column % (2 * group) < group ? inHalf : lanes + inHalf);
  }
  for (size_t z = 0; z < vectors.size(); z += 2) {
    Value low = vectors[z], high = vectors[z + 1];
    for (int64_t half : {0, 1})
      vectors[z + half] = vector::ShuffleOp::create(
          b, low, high, ArrayRef<int64_t>(from).slice(half * lanes, lanes));
  }
}

Value einhead::loadPair(ImplicitLocOpBuilder &b, Value memref, Value row,
                        Value column, int64_t size) {
  Type element = getElementTypeOrSelf(memref);
  Value pair = vector::LoadOp::create(b, VectorType::get({2}, element), memref,
                                      ValueRange{row, column});
  Value bits = castElements(b, pair, b.getI32Type());
  bits = vector::ExtractOp::create(b, bits, ArrayRef<int64_t>{0});
  bits = vector::BroadcastOp::create(
      b, VectorType::get({size / 2}, b.getI32Type()), bits);
  return castElements(b, bits, element);
}

Value einhead::keepFloats(ImplicitLocOpBuilder &b, ArrayRef<Value> vectors,
                          Value memref, Value row, Value total) {
  for (auto [i, vector] : llvm::enumerate(vectors)) {
    Value key = arith::ConstantIndexOp::create(b, i * sizeOf(vector));
    vector::StoreOp::create(b, vector, memref, ValueRange{row, key});
    total = arith::AddFOp::create(b, total, vector);
  }
  return total;
}

Value einhead::keepPairs(ImplicitLocOpBuilder &b, ArrayRef<Value> vectors,
                         Value memref, Value row, Value total, Value firstKey) {
  int64_t lanes = sizeOf(vectors.front());
  VectorType type = VectorType::get({lanes}, b.getBF16Type());
  SmallVector<Value> rounded;
  for (auto [i, vector] : llvm::enumerate(vectors)) {
    rounded.push_back(x86vector::CvtPackedF32ToBF16Op::create(b, type, vector));
    Value key = arith::ConstantIndexOp::create(b, i * lanes);
    if (firstKey)
      key = arith::AddIOp::create(b, firstKey, key);
    vector::StoreOp::create(b, rounded.back(), memref, ValueRange{row, key});
  }
  // Summed as the values will be: the rounded weights, in pairs.
  SmallVector<int64_t> both = llvm::to_vector(llvm::seq<int64_t>(0, 2 * lanes));
  Value none = splat(b, type, 0.0);
  for (size_t i = 0; i < rounded.size(); i += 2) {
    Value second = i + 1 < rounded.size() ? rounded[i + 1] : none;
    Value pair = vector::ShuffleOp::create(b, rounded[i], second, both);
    total = buildMultiplyAdd(b, pair, splat(b, pair.getType(), 1.0), total);
  }
  return total;
}

void einhead::buildTranspose(ImplicitLocOpBuilder &b,
                             SmallVectorImpl<Value> &vectors) {
  // Four rows at a time: by elements, then by pairs of them.
  Type element = getElementTypeOrSelf(vectors.front());
  int64_t lanes = vectors.size();
  for (int64_t i = 0; i < lanes; i += group) {
    Value r[group], s[group];
    std::copy_n(vectors.begin() + i, group, r);
    for (int64_t pair : {0, 2})
      for (bool high : {false, true})
        s[pair + high] = castElements(b, unpack(b, r[pair], r[pair + 1], high),
                                      b.getI64Type());
    for (int64_t column = 0; column < group; ++column)
      vectors[i + column] = castElements(
          b, unpack(b, s[column / 2], s[column / 2 + 2], column % 2), element);
  }
  // vectors[4g + c], group l of lanes: column 4l + c of rows 4g to 4g + 3.
  // Halves change places until group g holds those rows.
  int64_t groups = lanes / group;
  for (int64_t stride = 1; stride < groups; stride *= 2)
    for (int64_t g = 0; g < groups; ++g) {
      if (g & stride)
        continue;
      SmallVector<int64_t> low, high;
      for (int64_t lane = 0; lane < lanes; ++lane) {
        int64_t l = lane / group;
        int64_t other = lanes + lane;
        low.push_back(l & stride ? other - stride * group : lane);
        high.push_back(l & stride ? other : lane + stride * group);
      }
      for (int64_t c = 0; c < group; ++c) {
        Value &x = vectors[g * group + c];
        Value &y = vectors[(g + stride) * group + c];
        Value first = vector::ShuffleOp::create(b, x, y, low);
        y = vector::ShuffleOp::create(b, x, y, high);
        x = first;
      }
    }
}

/// What of the scale the queries take: its sign, which is exact, so that a
/// score of -inf stays the least one whatever multiplies it.
static Value signedQuery(TileBuilder &t, Value query) {
  double scale = t.op.getScale().convertToDouble();
  if (scale > 0)
    return query;
  if (scale < 0)
    return arith::NegFOp::create(t.b, query);
  return arith::MulFOp::create(t.b, query, splat(t.b, query.getType(), 0.0));
}

void einhead::packQueries(TileBuilder &t, Value q) {
  ImplicitLocOpBuilder &b = t.b;
  auto type = cast<MemRefType>(q.getType());
  Type element = type.getElementType();
  Value query = t.op.getQuery();
  bool contiguous = t.roles.queryTerm.back() == t.roles.depth.front() &&
                    cast<MemRefType>(query.getType()).isLastDimUnitStride();
  int64_t step = t.lanes, whole = contiguous ? t.depth / step * step : 0;
  t.loop(0, t.rows, 1, [&](Value row) {
    t.loop(0, whole, step, [&](Value column) {
      auto indices = t.at(t.roles.queryTerm, row, Value(), column);
      Value value = t.loadRaw(query, indices, step, step);
      if (getElementTypeOrSelf(value) != element)
        value = arith::ExtFOp::create(b, t.vectorOf(element, step), value);
      vector::StoreOp::create(b, signedQuery(t, value), q,
                              ValueRange{row, column});
    });
    t.loop(whole, t.depth, 1, [&](Value column) {
      Value value = memref::LoadOp::create(
          b, query, t.at(t.roles.queryTerm, row, Value(), column));
      if (value.getType() != element)
        value = arith::ExtFOp::create(b, element, value);
      memref::StoreOp::create(b, signedQuery(t, value), q,
                              ValueRange{row, column});
    });
    t.loop(t.depth, type.getDimSize(1), 1, [&](Value column) {
      memref::StoreOp::create(b, splat(b, element, 0.0), q,
                              ValueRange{row, column});
    });
  });
}
