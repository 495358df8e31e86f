//===- VectorMath.cpp - Arithmetic on vectors of f32 ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"
#include <array>

using namespace mlir;
using namespace einhead;

Value einhead::splat(ImplicitLocOpBuilder &b, Type type, double value) {
  Type element = getElementTypeOrSelf(type);
  TypedAttr attr =
      isa<FloatType>(element)
          ? TypedAttr(b.getFloatAttr(element, value))
          : TypedAttr(b.getIntegerAttr(element, static_cast<int64_t>(value)));
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, Attribute(attr));
  return arith::ConstantOp::create(b, attr);
}

/// x as the nearest integer, whose low bits are those of `shifted`, and what is
/// left of it, in [-1/2, 1/2].
static std::array<Value, 2> splitExponent(ImplicitLocOpBuilder &b, Value x) {
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
  Value magic = splat(b, x.getType(), 12582912.0);
  Value shifted = arith::AddFOp::create(b, x, magic);
  Value whole = arith::SubFOp::create(b, shifted, magic);
  return {shifted, arith::SubFOp::create(b, x, whole)};
}

static Value polynomial(ImplicitLocOpBuilder &b, Value x,
                        ArrayRef<double> coefficients) {
  Value p = splat(b, x.getType(), coefficients.front());
  for (double c : coefficients.drop_front())
    p = math::FmaOp::create(b, p, x, splat(b, x.getType(), c));
  return p;
}

static Type intsLike(ImplicitLocOpBuilder &b, Type type) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? Type(vector.clone(b.getI32Type())) : b.getI32Type();
}

Value einhead::buildExp2(ImplicitLocOpBuilder &b, Value x) {
  Type type = x.getType(), ints = intsLike(b, type);
  // Below -126 the result would be subnormal: such weights count as 2^-126 with
  // the select below making them 0.  A NaN compares false and stays.
  Value low = splat(b, type, -126.0);
  Value tiny = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, low);
  Value clamped = arith::SelectOp::create(b, tiny, low, x);
  auto [shifted, f] = splitExponent(b, clamped);
  // 2^f to 2e-8.
  Value p = polynomial(b, f,
                       {1.535336188319500e-4, 1.339887440266574e-3,
                        9.618437357674640e-3, 5.550332471162809e-2,
                        2.402264791363012e-1, 6.931472028550421e-1, 1.0});
  // 2^whole, by its exponent bits.
  Value bits = arith::BitcastOp::create(b, ints, shifted);
  Value exponent = arith::ShLIOp::create(b, bits, splat(b, ints, 23));
  exponent = arith::AddIOp::create(b, exponent, splat(b, ints, 0x3f800000));
  Value power = arith::BitcastOp::create(b, type, exponent);
  Value result = arith::MulFOp::create(b, p, power);
  return arith::SelectOp::create(b, tiny, splat(b, type, 0.0), result);
}

/// 2^-127 has the bits of 0; what is subnormal is 0 as bf16, for the conversion
/// flushes it.  A NaN has no low bits, which would change its exponent: it
/// comes from products of bf16.
Value einhead::buildWeight(ImplicitLocOpBuilder &b, Value x) {
  Type type = x.getType(), ints = intsLike(b, type);
  Value low = splat(b, type, -127.0);
  Value tiny = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, low);
  auto [shifted, f] =
      splitExponent(b, arith::SelectOp::create(b, tiny, low, x));
  Value p = polynomial(b, f,
                       {9.582760293534949e-03, 5.590641480967205e-02,
                        2.402410006339200e-01, 6.931241959496163e-01, 1.0});
  Value exponent = arith::ShLIOp::create(
      b, arith::BitcastOp::create(b, ints, shifted), splat(b, ints, 23));
  Value bits =
      arith::AddIOp::create(b, arith::BitcastOp::create(b, ints, p), exponent);
  return arith::BitcastOp::create(b, type, bits);
}

Value einhead::buildFinite(ImplicitLocOpBuilder &b, Value max) {
  Type type = max.getType();
  Value least = splat(b, type, -std::numeric_limits<double>::infinity());
  Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, max, least);
  return arith::SelectOp::create(b, none, splat(b, type, 0.0), max);
}

Value einhead::buildMax(ImplicitLocOpBuilder &b, Value a, Value x) {
  Value larger = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, a);
  return arith::SelectOp::create(b, larger, x, a);
}

using Combine = llvm::function_ref<Value(Value, Value)>;

/// Elements of 128 bits, within which the cheap shuffles move 32 and 64 bits.
static constexpr int64_t group = 4;

/// `a` and `b` interleaved by runs of `run` lanes, of the low or high half of
/// each group.
static Value interleave(ImplicitLocOpBuilder &b, Value x, Value y,
                        int64_t lanes, int64_t run, bool high) {
  SmallVector<int64_t> mask;
  for (int64_t base = 0; base < lanes; base += group)
    for (int64_t i = 0; i < group; ++i) {
      int64_t from = base + (high ? group / 2 : 0);
      int64_t at = i / (2 * run) * run + i % run;
      mask.push_back((i / run % 2 ? lanes : 0) + from + at);
    }
  return vector::ShuffleOp::create(b, x, y, mask);
}

/// The even or odd groups of `x`, then those of `y`.
static Value everySecondGroup(ImplicitLocOpBuilder &b, Value x, Value y,
                              int64_t lanes, bool odd) {
  SmallVector<int64_t> mask;
  for (int64_t from : {int64_t(0), lanes})
    for (int64_t base = odd ? group : 0; base < lanes; base += 2 * group)
      for (int64_t i = 0; i < group; ++i)
        mask.push_back(from + base + i);
  return vector::ShuffleOp::create(b, x, y, mask);
}

/// Two vectors to one of `level`, which counts from 0: two levels within groups
/// of 128 bits, by the shuffles that do not compete with products, then groups.
static Value combineTwo(ImplicitLocOpBuilder &b, Value x, Value y,
                        int64_t level, Combine combine) {
  int64_t lanes = cast<VectorType>(x.getType()).getNumElements();
  auto half = [&](bool second) {
    return level < 2 ? interleave(b, x, y, lanes, level + 1, second)
                     : everySecondGroup(b, x, y, lanes, second);
  };
  Value first = half(false);
  return combine(first, half(true));
}

/// Lane i of the result: the lanes of vectors[i % n], combined.
static Value combineLanes(ImplicitLocOpBuilder &b, SmallVector<Value> vectors,
                          Combine combine) {
  int64_t lanes = cast<VectorType>(vectors.front().getType()).getNumElements();
  for (int64_t i = vectors.size(), n = i; i < lanes; ++i)
    vectors.push_back(vectors[i % n]);
  for (int64_t level = 0; vectors.size() > 1; ++level) {
    // Repeated vectors are combined once.
    llvm::DenseMap<std::pair<Value, Value>, Value> known;
    SmallVector<Value> next;
    for (size_t i = 0; i < vectors.size(); i += 2) {
      Value &both = known[{vectors[i], vectors[i + 1]}];
      if (!both)
        both = combineTwo(b, vectors[i], vectors[i + 1], level, combine);
      next.push_back(both);
    }
    vectors = std::move(next);
  }
  return vectors.front();
}

static Value addFloats(ImplicitLocOpBuilder &b, Value x, Value y) {
  return arith::AddFOp::create(b, x, y);
}

void LaneSums::push(Value vector) {
  int64_t level = first;
  for (size_t bit = count++; bit & 1; bit >>= 1, ++level)
    vector = combineTwo(*b, pending.pop_back_val(), vector, level,
                        [&](Value x, Value y) { return addFloats(*b, x, y); });
  pending.push_back(vector);
}

Value einhead::buildLaneSums(ImplicitLocOpBuilder &b,
                             SmallVector<Value> vectors) {
  return combineLanes(b, std::move(vectors),
                      [&](Value x, Value y) { return addFloats(b, x, y); });
}

Value einhead::buildLaneMaxima(ImplicitLocOpBuilder &b,
                               SmallVector<Value> vectors) {
  return combineLanes(b, std::move(vectors),
                      [&](Value x, Value y) { return buildMax(b, x, y); });
}
