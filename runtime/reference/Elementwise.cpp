//===- Elementwise.cpp - Scalar arithmetic with error propagation ---------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Loops.h"

#include <algorithm>
#include <cmath>

using namespace einhead::reference;

namespace {

/// Error of a library's transcendental function, in units of roundoff.
constexpr double kFunctionError = 8;

/// A result of one rounded operation; `error` came in with the operands.
Number rounded(double value, double error, Type type) {
  if (std::isnan(error))
    error = HUGE_VAL;
  return store({value, error}, type);
}

/// A rising or falling function of one operand: the ends of the operand's
/// interval are the ends of the result's.  An end outside the domain (NaN)
/// leaves nothing known.
Number monotonic(double (*function)(double), Number x, Type type) {
  double value = function(x.value);
  if (std::isnan(value))
    return {value, x.bound > 0 ? HUGE_VAL : 0};
  double error = 0;
  if (x.bound != 0) {
    double low = function(x.value - x.bound);
    double high = function(x.value + x.bound);
    error = std::isnan(low) || std::isnan(high)
                ? HUGE_VAL
                : std::max(std::fabs(value - low), std::fabs(high - value));
  }
  double local = (kFunctionError - 1) * unitRoundoff(type);
  return rounded(value, error + times(local, std::fabs(value) + error), type);
}

double reciprocalRoot(double x) { return 1 / std::sqrt(x); }

/// sin and cos: no steeper than 1, and their error is absolute.
Number wave(double value, Number x, Type type) {
  double error = std::min(x.bound, 2.0);
  return rounded(value, error + kFunctionError * unitRoundoff(type), type);
}

} // namespace

Number einhead::reference::add(Number x, Number y, Type type) {
  return rounded(x.value + y.value, x.bound + y.bound, type);
}

Number einhead::reference::sub(Number x, Number y, Type type) {
  return rounded(x.value - y.value, x.bound + y.bound, type);
}

Number einhead::reference::mul(Number x, Number y, Type type) {
  double error = times(std::fabs(x.value), y.bound) +
                 times(x.bound, std::fabs(y.value)) + times(x.bound, y.bound);
  return rounded(x.value * y.value, error, type);
}

Number einhead::reference::div(Number x, Number y, Type type) {
  double value = x.value / y.value;
  double error = 0;
  if (y.bound != 0 && std::fabs(y.value) <= y.bound)
    error = HUGE_VAL;
  else if (x.bound != 0 || y.bound != 0)
    error = (x.bound + times(std::fabs(value), y.bound)) /
            (std::fabs(y.value) - y.bound);
  if (!std::isfinite(value) && error != 0)
    return {value, HUGE_VAL};
  return rounded(value, error, type);
}

Number einhead::reference::neg(Number x) { return {-x.value, x.bound}; }

Number einhead::reference::abs(Number x) {
  return {std::fabs(x.value), x.bound};
}

Number einhead::reference::maximum(Number x, Number y) {
  if (std::isnan(x.value) || std::isnan(y.value))
    return {NAN, 0};
  double value = std::max(x.value, y.value);
  double low = std::max(x.value - x.bound, y.value - y.bound);
  double high = std::max(x.value + x.bound, y.value + y.bound);
  if (!std::isfinite(value))
    return {value, 0};
  return {value, std::max(value - low, high - value)};
}

Number einhead::reference::minimum(Number x, Number y) {
  return neg(maximum(neg(x), neg(y)));
}

Number einhead::reference::exp(Number x, Type type) {
  return monotonic(std::exp, x, type);
}

Number einhead::reference::exp2(Number x, Type type) {
  return monotonic(std::exp2, x, type);
}

Number einhead::reference::log(Number x, Type type) {
  return monotonic(std::log, x, type);
}

Number einhead::reference::sqrt(Number x, Type type) {
  return monotonic(std::sqrt, x, type);
}

Number einhead::reference::rsqrt(Number x, Type type) {
  return monotonic(reciprocalRoot, x, type);
}

Number einhead::reference::tanh(Number x, Type type) {
  return monotonic(std::tanh, x, type);
}

Number einhead::reference::sin(Number x, Type type) {
  return wave(std::sin(x.value), x, type);
}

Number einhead::reference::cos(Number x, Type type) {
  return wave(std::cos(x.value), x, type);
}

Number einhead::reference::pow(Number x, Number y, Type type) {
  double value = std::pow(x.value, y.value);
  double error = 0;
  if (x.bound != 0 || y.bound != 0) {
    // On a positive base the power is largest and smallest at corners.
    if (x.value - x.bound <= 0)
      return {value, HUGE_VAL};
    for (double base : {x.value - x.bound, x.value + x.bound})
      for (double exponent : {y.value - y.bound, y.value + y.bound})
        error = std::max(error, std::fabs(std::pow(base, exponent) - value));
  }
  double size = std::fabs(value) + error;
  double steps =
      kFunctionError +
      std::fabs(y.value * std::log(std::fabs(x.value == 0 ? 1 : x.value)));
  return rounded(value, error + times(steps * unitRoundoff(type), size), type);
}
