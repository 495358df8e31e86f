//===- Inputs.cpp - Random tensors, padding, 16-bit numbers -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Loops.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

using namespace einhead::reference;

namespace {

/// SplitMix64: the same numbers with every compiler and library.
class Generator {
public:
  explicit Generator(uint64_t seed) : state(seed) {}

  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// In [0, 1).
  double uniform() {
    return std::ldexp(static_cast<double>(next() >> 11), -53);
  }
  double normal() {
    double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }

private:
  uint64_t state;
};

double draw(Generator &generator, Distribution distribution) {
  switch (distribution) {
  case Distribution::Normal:
    return generator.normal();
  case Distribution::Uniform:
    return 2 * generator.uniform() - 1;
  case Distribution::Outliers:
    return (generator.next() % 1000 == 0 ? 100 : 1) * generator.normal();
  case Distribution::SmallIntegers:
    return static_cast<double>(generator.next() % 7) - 3;
  case Distribution::Signs:
    return generator.next() % 2 ? 1 : -1;
  case Distribution::Large:
    return 30 * generator.normal();
  case Distribution::Zero:
    return 0;
  }
  throw std::invalid_argument("unknown distribution");
}

/// Bits of a number that `type` holds exactly, or of an infinity or NaN.
uint16_t bits16(double x, Type type, int mantissaBits, int smallestExponent) {
  x = roundTo(x, type);
  uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  uint16_t infinity = 0x7fff >> mantissaBits << mantissaBits;
  if (std::isnan(x))
    return sign | infinity | (1 << (mantissaBits - 1));
  if (std::isinf(x))
    return sign | infinity;
  // In units of the smallest positive number, subnormals are their own bits.
  int exponent;
  std::frexp(x, &exponent);
  int lastBit = exponent - 1 - mantissaBits;
  if (x == 0 || lastBit < smallestExponent)
    lastBit = smallestExponent;
  auto mantissa = static_cast<uint16_t>(std::ldexp(std::fabs(x), -lastBit));
  auto raised =
      static_cast<uint16_t>((lastBit - smallestExponent) << mantissaBits);
  return sign | static_cast<uint16_t>(raised + mantissa);
}

double number16(uint16_t bits, int mantissaBits, int smallestExponent) {
  int exponent = (bits & 0x7fff) >> mantissaBits;
  int mantissa = bits & ((1 << mantissaBits) - 1);
  double x;
  if (exponent == 0x7fff >> mantissaBits)
    x = mantissa ? std::numeric_limits<double>::quiet_NaN() : HUGE_VAL;
  else if (exponent == 0)
    x = std::ldexp(mantissa, smallestExponent);
  else
    x = std::ldexp(mantissa + (1 << mantissaBits),
                   exponent - 1 + smallestExponent);
  return bits & 0x8000 ? -x : x;
}

} // namespace

uint16_t einhead::reference::toBF16(double x) {
  return bits16(x, Type::BF16, 7, -133);
}
double einhead::reference::fromBF16(uint16_t bits) {
  return number16(bits, 7, -133);
}
uint16_t einhead::reference::toF16(double x) {
  return bits16(x, Type::F16, 10, -24);
}
double einhead::reference::fromF16(uint16_t bits) {
  return number16(bits, 10, -24);
}

uint8_t einhead::reference::toE4M3(double x) {
  uint8_t sign = std::signbit(x) ? 0x80 : 0;
  if (std::isnan(x))
    return sign | 0x7f;
  // A number has 4 bits, the first of which counts at least 2^-6.
  double magnitude = std::fabs(roundTo(x, Type::F8E4M3));
  int exponent = -6;
  if (magnitude >= std::ldexp(1, exponent))
    exponent = std::ilogb(magnitude);
  auto mantissa = static_cast<int>(std::ldexp(magnitude, 3 - exponent));
  return sign | static_cast<uint8_t>((exponent + 6) * 8 + mantissa);
}
double einhead::reference::fromE4M3(uint8_t bits) {
  int exponent = bits >> 3 & 15, mantissa = bits & 7;
  double x = exponent ? std::ldexp(mantissa + 8, exponent - 10)
                      : std::ldexp(mantissa, -9);
  if ((bits & 0x7f) == 0x7f)
    x = std::numeric_limits<double>::quiet_NaN();
  return bits & 0x80 ? -x : x;
}

Tensor einhead::reference::random(const std::vector<int64_t> &shape,
                                  Distribution distribution, uint64_t seed,
                                  Type type) {
  Generator generator(seed);
  Tensor result(shape);
  for (double &x : result.value)
    x = roundTo(draw(generator, distribution), type);
  return result;
}

Tensor einhead::reference::padWithNaN(const Tensor &x,
                                      const std::vector<int64_t> &shape) {
  require(shape.size() == x.shape.size(), "padding keeps the rank");
  Tensor result(shape);
  result.value.assign(result.value.size(),
                      std::numeric_limits<double>::quiet_NaN());
  std::vector<int64_t> index(shape.size());
  for (int64_t at = 0; at < x.size(); ++at) {
    int64_t rest = at;
    for (size_t i = shape.size(); i-- > 0; rest /= x.shape[i])
      index[i] = rest % x.shape[i];
    int64_t target = result.offset(index);
    result.value[target] = x.value[at];
    result.bound[target] = x.bound[at];
  }
  return result;
}

std::vector<float> einhead::reference::toFloats(const Tensor &x) {
  return {x.value.begin(), x.value.end()};
}
