//===- DeviceMathFunctions.cpp - Series and reductions ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Taylor series on ranges that are short enough for 53 bits; reductions to
// them subtract a constant that is held in two or three parts.
//
//===----------------------------------------------------------------------===//

#include "DeviceMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/TypeUtilities.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace einhead;

using arith::CmpFPredicate;

static constexpr double infinity = std::numeric_limits<double>::infinity();
static constexpr double notANumber = std::numeric_limits<double>::quiet_NaN();
static constexpr double log2OfE = 0x1.71547652b82fep+0;
static constexpr double ln2High = 0x1.62e42fefa39efp-1,
                        ln2Low = 0x1.abc9e3b39803fp-56;

static Value add(ImplicitLocOpBuilder &b, Value x, Value y) {
  return arith::AddFOp::create(b, x, y);
}
static Value sub(ImplicitLocOpBuilder &b, Value x, Value y) {
  return arith::SubFOp::create(b, x, y);
}
static Value mul(ImplicitLocOpBuilder &b, Value x, Value y) {
  return arith::MulFOp::create(b, x, y);
}
static Value div(ImplicitLocOpBuilder &b, Value x, Value y) {
  return arith::DivFOp::create(b, x, y);
}
static Value fma(ImplicitLocOpBuilder &b, Value x, Value y, Value z) {
  return math::FmaOp::create(b, x, y, z);
}
static Value compare(ImplicitLocOpBuilder &b, CmpFPredicate how, Value x,
                     Value y) {
  return arith::CmpFOp::create(b, how, x, y);
}
static Value select(ImplicitLocOpBuilder &b, Value c, Value x, Value y) {
  return arith::SelectOp::create(b, c, x, y);
}

/// A constant of a scalar or vector type.
static Value constantOf(ImplicitLocOpBuilder &b, Type type, Attribute value) {
  auto shaped = dyn_cast<ShapedType>(type);
  return arith::ConstantOp::create(
      b, shaped ? cast<TypedAttr>(DenseElementsAttr::get(shaped, value))
                : cast<TypedAttr>(value));
}

Value DeviceMath::number(Value like, double value) {
  Type type = like.getType();
  return constantOf(b, type, b.getFloatAttr(getElementTypeOrSelf(type), value));
}

static Type integersLike(ImplicitLocOpBuilder &b, Type type) {
  Type element =
      b.getIntegerType(getElementTypeOrSelf(type).getIntOrFloatBitWidth());
  auto shaped = dyn_cast<ShapedType>(type);
  return shaped ? Type(shaped.clone(element)) : element;
}

Value DeviceMath::integer(Value like, int64_t value) {
  Type type = integersLike(b, like.getType());
  return constantOf(b, type,
                    b.getIntegerAttr(getElementTypeOrSelf(type), value));
}

/// Coefficients from the constant term on.
Value DeviceMath::polynomial(Value x, ArrayRef<double> coefficients) {
  Value sum = number(x, coefficients.back());
  for (double c : llvm::reverse(coefficients.drop_back()))
    sum = fma(b, sum, x, number(x, c));
  return sum;
}

/// A number that is a whole one; NaN gives 0.
Value DeviceMath::toInteger(Value x) {
  Value isNumber = compare(b, CmpFPredicate::ORD, x, x);
  return arith::FPToSIOp::create(b, integersLike(b, x.getType()),
                                 select(b, isNumber, x, number(x, 0)));
}

/// 2^exponent, which is that of a normal number.
Value DeviceMath::powerOfTwo(Value exponent, Value like) {
  bool isDouble = getElementTypeOrSelf(like.getType()).isF64();
  Value biased =
      arith::AddIOp::create(b, exponent, integer(like, isDouble ? 1023 : 127));
  Value bits =
      arith::ShLIOp::create(b, biased, integer(like, isDouble ? 52 : 23));
  return arith::BitcastOp::create(b, like.getType(), bits);
}

/// x * 2^exponent in two steps, so that results may be subnormal or infinite.
Value DeviceMath::scale(Value x, Value exponent) {
  Value half = arith::ShRSIOp::create(b, exponent, integer(x, 1));
  Value rest = arith::SubIOp::create(b, exponent, half);
  return mul(b, mul(b, x, powerOfTwo(half, x)), powerOfTwo(rest, x));
}

/// NaN stays.
Value DeviceMath::clamp(Value x, double low, double high) {
  Value bottom = number(x, low), top = number(x, high);
  x = select(b, compare(b, CmpFPredicate::OLT, x, bottom), bottom, x);
  return select(b, compare(b, CmpFPredicate::OGT, x, top), top, x);
}

/// `small` where |x| < below.
Value DeviceMath::smallOr(Value x, double below, Value small, Value large) {
  Value size = math::AbsFOp::create(b, x);
  return select(b, compare(b, CmpFPredicate::OLT, size, number(x, below)),
                small, large);
}

//===----------------------------------------------------------------------===//
// Exponentials
//===----------------------------------------------------------------------===//

Value DeviceMath::exponential(Value x) {
  x = clamp(x, -746, 710);
  Value n = math::RoundEvenOp::create(b, mul(b, x, number(x, log2OfE)));
  Value r = fma(b, n, number(x, -ln2High), x);
  r = fma(b, n, number(x, -ln2Low), r);
  SmallVector<double> series{1};
  for (int i = 1; i <= 14; ++i)
    series.push_back(series.back() / i);
  return scale(polynomial(r, series), toInteger(n));
}

/// The instruction for 2^x, of a number that is at most a half.
Value DeviceMath::exponentialF32(Value x) {
  x = clamp(x, -105, 89);
  Value n = math::RoundEvenOp::create(
      b, mul(b, x, number(x, static_cast<float>(log2OfE))));
  // The high part has 15 bits, so that its products with n are exact.
  Value r = fma(b, n, number(x, -0x1.62e4p-1), x);
  r = fma(b, n, number(x, -0x1.7f7d1cp-20), r);
  Value power = math::Exp2Op::create(
      b, mul(b, r, number(x, static_cast<float>(log2OfE))));
  return scale(power, toInteger(n));
}

Value DeviceMath::exponential2(Value x) {
  x = clamp(x, -1080, 1025);
  Value n = math::RoundEvenOp::create(b, x);
  Value r = mul(b, sub(b, x, n), number(x, ln2High));
  return scale(exponential(r), toInteger(n));
}

Value DeviceMath::exponentialMinus1(Value x) {
  Value small = mul(b, x,
                    polynomial(x, {1, 1. / 2, 1. / 6, 1. / 24, 1. / 120,
                                   1. / 720, 1. / 5040}));
  return smallOr(x, 1e-2, small, sub(b, exponential(x), number(x, 1)));
}

//===----------------------------------------------------------------------===//
// Logarithms and powers
//===----------------------------------------------------------------------===//

Value DeviceMath::logarithm(Value x) {
  // Subnormal numbers are made normal first.
  Value isTiny = compare(b, CmpFPredicate::OLT, x, number(x, 0x1p-1022));
  Value normal = select(b, isTiny, mul(b, x, number(x, 0x1p54)), x);
  Value bits =
      arith::BitcastOp::create(b, integersLike(b, x.getType()), normal);
  // The exponent of m in [sqrt(1/2), sqrt(2)).
  Value shifted =
      arith::SubIOp::create(b, bits, integer(x, 0x3fe6a09e667f3bcd));
  Value exponent = arith::ShRSIOp::create(b, shifted, integer(x, 52));
  Value mantissa = arith::SubIOp::create(
      b, bits, arith::ShLIOp::create(b, exponent, integer(x, 52)));
  Value m = arith::BitcastOp::create(b, x.getType(), mantissa);
  Value n = arith::SIToFPOp::create(b, x.getType(), exponent);
  n = select(b, isTiny, sub(b, n, number(x, 54)), n);

  Value one = number(x, 1);
  Value s = div(b, sub(b, m, one), add(b, m, one));
  Value square = mul(b, s, s);
  SmallVector<double> series;
  for (int i = 3; i <= 23; i += 2)
    series.push_back(2. / i);
  // 2s + s^3 (2/3 + ...)
  Value tail = mul(b, mul(b, s, square), polynomial(square, series));
  Value low = fma(b, n, number(x, ln2Low), tail);
  Value result =
      fma(b, n, number(x, ln2High), add(b, mul(b, s, number(x, 2)), low));

  Value zero = number(x, 0), infinite = number(x, infinity);
  result = select(b, compare(b, CmpFPredicate::OEQ, x, infinite), x, result);
  result = select(b, compare(b, CmpFPredicate::OEQ, x, zero),
                  number(x, -infinity), result);
  return select(b, compare(b, CmpFPredicate::OGE, x, zero), result,
                number(x, notANumber));
}

Value DeviceMath::logarithm2(Value x) {
  return mul(b, logarithm(x), number(x, log2OfE));
}

Value DeviceMath::logarithm10(Value x) {
  return mul(b, logarithm(x), number(x, 0x1.bcb7b1526e50ep-2));
}

Value DeviceMath::logarithm1Plus(Value x) {
  SmallVector<double> series;
  for (int i = 1; i <= 8; ++i)
    series.push_back((i % 2 ? 1. : -1.) / i);
  return smallOr(x, 1e-2, mul(b, x, polynomial(x, series)),
                 logarithm(add(b, x, number(x, 1))));
}

Value DeviceMath::power(Value x, Value y) {
  Value zero = number(x, 0), one = number(x, 1);
  Value size = math::AbsFOp::create(b, x);
  Value result = exponential(mul(b, y, logarithm(size)));
  // |x| = 1 to an infinite power
  result = select(b, compare(b, CmpFPredicate::OEQ, size, one), one, result);
  // A negative x has powers of whole numbers only; odd ones are negative, and
  // keep the sign of a zero.
  Value isWhole =
      compare(b, CmpFPredicate::OEQ, math::TruncOp::create(b, y), y);
  Value half = mul(b, y, number(x, 0.5));
  Value isNegative = compare(b, CmpFPredicate::OLT, x, zero);
  Value isFinite = compare(b, CmpFPredicate::OLT, size, number(x, infinity));
  Value sign = math::CopySignOp::create(b, one, x);
  Value isOdd = arith::AndIOp::create(
      b, isWhole,
      compare(b, CmpFPredicate::UNE, math::TruncOp::create(b, half), half));
  result = select(b, isOdd, mul(b, result, sign), result);
  Value isWrong = arith::AndIOp::create(
      b, arith::AndIOp::create(b, isNegative, isFinite),
      compare(b, CmpFPredicate::UNE, math::TruncOp::create(b, y), y));
  result = select(b, isWrong, number(x, notANumber), result);
  Value isNan = compare(b, CmpFPredicate::UNO, x, y);
  result = select(b, isNan, add(b, x, y), result);
  result = select(b, compare(b, CmpFPredicate::OEQ, x, one), one, result);
  return select(b, compare(b, CmpFPredicate::OEQ, y, zero), one, result);
}

//===----------------------------------------------------------------------===//
// Trigonometric functions
//===----------------------------------------------------------------------===//

std::pair<Value, Value> DeviceMath::sineAndCosine(Value x) {
  // x = n * pi/2 + r
  Value n =
      math::RoundEvenOp::create(b, mul(b, x, number(x, 0x1.45f306dc9c883p-1)));
  Value r = fma(b, n, number(x, -0x1.921fb54442d18p+0), x);
  r = fma(b, n, number(x, -0x1.1a62633145c07p-54), r);
  r = fma(b, n, number(x, 0x1.f1976b7ed8fbcp-110), r);
  Value square = mul(b, r, r);
  SmallVector<double> sines, cosines;
  double factorial = 1;
  for (int i = 0; i <= 18; ++i) {
    factorial *= i ? i : 1;
    double term = (i / 2 % 2 ? -1. : 1.) / factorial;
    (i % 2 ? sines : cosines).push_back(term);
  }
  Value sine = mul(b, r, polynomial(square, sines));
  Value cosine = polynomial(square, cosines);

  Value quadrant = arith::AndIOp::create(b, toInteger(n), integer(x, 3));
  auto isQuadrant = [&](int64_t bit) {
    return arith::CmpIOp::create(
        b, arith::CmpIPredicate::ne,
        arith::AndIOp::create(b, quadrant, integer(x, bit)), integer(x, 0));
  };
  auto negateIf = [&](Value condition, Value value) {
    return select(b, condition, arith::NegFOp::create(b, value), value);
  };
  Value isTurned = isQuadrant(1), isOpposite = isQuadrant(2);
  Value isCosineNegative = arith::XOrIOp::create(b, isTurned, isOpposite);
  Value s = negateIf(isOpposite, select(b, isTurned, cosine, sine));
  Value c = negateIf(isCosineNegative, select(b, isTurned, sine, cosine));
  // Zero keeps its sign; infinities have no sine.
  Value isSmall = compare(b, CmpFPredicate::OLT, math::AbsFOp::create(b, x),
                          number(x, 0x1p51));
  Value nothing = number(x, notANumber);
  return {select(b, isSmall, s, nothing), select(b, isSmall, c, nothing)};
}

Value DeviceMath::sine(Value x) { return sineAndCosine(x).first; }
Value DeviceMath::cosine(Value x) { return sineAndCosine(x).second; }

Value DeviceMath::tangent(Value x) {
  auto [s, c] = sineAndCosine(x);
  return div(b, s, c);
}

//===----------------------------------------------------------------------===//
// Hyperbolic functions, the error function
//===----------------------------------------------------------------------===//

Value DeviceMath::hyperbolicSine(Value x) {
  Value square = mul(b, x, x);
  Value small = mul(b, x, polynomial(square, {1, 1. / 6, 1. / 120, 1. / 5040}));
  // Half of each before the difference, which then overflows where it must.
  Value half = number(x, 0.5);
  Value large = sub(b, mul(b, half, exponential(x)),
                    mul(b, half, exponential(arith::NegFOp::create(b, x))));
  return smallOr(x, 1e-1, small, large);
}

Value DeviceMath::hyperbolicCosine(Value x) {
  Value half = number(x, 0.5);
  return add(b, mul(b, half, exponential(x)),
             mul(b, half, exponential(arith::NegFOp::create(b, x))));
}

Value DeviceMath::hyperbolicTangent(Value x) {
  Value square = mul(b, x, x);
  Value small = mul(
      b, x, polynomial(square, {1, -1. / 3, 2. / 15, -17. / 315, 62. / 2835}));
  Value one = number(x, 1), two = number(x, 2);
  Value power = exponential(mul(b, two, clamp(x, -30, 30)));
  Value large = sub(b, one, div(b, two, add(b, power, one)));
  return smallOr(x, 1e-2, small, large);
}

/// 2/sqrt(pi) exp(-x^2) x sum (2 x^2)^n / (2n+1)!!, whose terms are positive.
Value DeviceMath::errorFunction(Value x) {
  Value bounded = clamp(x, -6, 6);
  Value square = mul(b, bounded, bounded);
  Value twice = mul(b, square, number(x, 2));
  Value sum = number(x, 1);
  constexpr int terms = 130;
  for (int i = terms; i > 0; --i)
    sum = fma(b, mul(b, twice, number(x, 1. / (2 * i + 1))), sum, number(x, 1));
  Value decay = exponential(arith::NegFOp::create(b, square));
  Value factor = mul(b, bounded, number(x, 0x1.20dd750429b6dp+0));
  Value result = mul(b, mul(b, factor, decay), sum);
  // Rounding may step over one.
  return clamp(result, -1, 1);
}
