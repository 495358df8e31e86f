//===- PtxOps.cpp - Instructions of numbers ---------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Ptx.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

using namespace einhead::fake::ptx;

namespace {
enum Code {
  Other,
  Move,
  Add,
  Sub,
  Mul,
  Mad,
  Div,
  Rem,
  Min,
  Max,
  Abs,
  Neg,
  And,
  Or,
  Xor,
  Not,
  ShiftLeft,
  ShiftRight,
  Select,
  Compare,
  Convert,
  Exp2,
  Log2,
  Sqrt,
  Reciprocal,
  Permute,
  Extract
};

template <typename To, typename From> To bitsAs(From from) {
  To to = {};
  std::memcpy(&to, &from, std::min(sizeof(to), sizeof(from)));
  return to;
}
} // namespace

float einhead::fake::ptx::halfToFloat(uint16_t bits, bool isBF16) {
  if (isBF16)
    return bitsAs<float>(uint32_t(bits) << 16);
  int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  float x = exponent == 0    ? std::ldexp(static_cast<float>(mantissa), -24)
            : exponent == 31 ? (mantissa ? NAN : INFINITY)
                             : std::ldexp(static_cast<float>(mantissa + 1024),
                                          exponent - 25);
  return bits & 0x8000 ? -x : x;
}

uint16_t einhead::fake::ptx::floatToHalf(float x, bool isBF16) {
  uint32_t bits = bitsAs<uint32_t>(x);
  if (std::isnan(x))
    return 0x7fff;
  if (isBF16)
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  float size = std::fabs(x);
  if (size >= 65520.0f)
    return sign | 0x7c00;
  int exponent = 0;
  std::frexp(size, &exponent);
  // The distance between numbers of f16 at this size.
  int last = std::max(exponent, -13) - 11;
  float rounded = std::nearbyint(std::ldexp(size, -last));
  float value = std::ldexp(rounded, last);
  if (value < std::ldexp(1.0f, -14))
    return static_cast<uint16_t>(sign |
                                 static_cast<int>(std::ldexp(value, 24)));
  std::frexp(value, &exponent);
  int mantissa = static_cast<int>(std::ldexp(value, 11 - exponent));
  return static_cast<uint16_t>(sign | (exponent + 14) << 10 |
                               (mantissa & 1023));
}

int einhead::fake::ptx::codeOf(const Instruction &instruction) {
  static const std::map<std::string, int> codes = {
      {"mov", Move},       {"cvta", Move},      {"add", Add},
      {"sub", Sub},        {"mul", Mul},        {"mad", Mad},
      {"fma", Mad},        {"div", Div},        {"rem", Rem},
      {"min", Min},        {"max", Max},        {"abs", Abs},
      {"neg", Neg},        {"and", And},        {"or", Or},
      {"xor", Xor},        {"not", Not},        {"shl", ShiftLeft},
      {"shr", ShiftRight}, {"selp", Select},    {"setp", Compare},
      {"cvt", Convert},    {"ex2", Exp2},       {"lg2", Log2},
      {"sqrt", Sqrt},      {"rcp", Reciprocal}, {"prmt", Permute},
      {"bfe", Extract}};
  auto it = codes.find(instruction.op);
  return it == codes.end() ? Other : it->second;
}

static uint64_t masked(uint64_t x, unsigned bits) {
  return bits >= 64 ? x : x & ((uint64_t(1) << bits) - 1);
}

static int64_t extended(uint64_t x, unsigned bits) {
  if (bits >= 64)
    return static_cast<int64_t>(x);
  uint64_t sign = uint64_t(1) << (bits - 1);
  return static_cast<int64_t>((masked(x, bits) ^ sign) - sign);
}

/// A float of any type as a double, which holds each exactly.
static double toDouble(uint64_t x, Type type) {
  if (type.bits == 64)
    return bitsAs<double>(x);
  if (type.bits == 32)
    return bitsAs<float>(static_cast<uint32_t>(x));
  return halfToFloat(static_cast<uint16_t>(x), type.kind == Type::BFloat);
}

static uint64_t fromDouble(double x, Type type) {
  if (type.bits == 64)
    return bitsAs<uint64_t>(x);
  if (type.bits == 32)
    return bitsAs<uint32_t>(static_cast<float>(x));
  return floatToHalf(static_cast<float>(x), type.kind == Type::BFloat);
}

[[noreturn]] static void unknown(const Instruction &instruction) {
  std::string text = instruction.op;
  for (const std::string &modifier : instruction.modifiers)
    text += "." + modifier;
  throw std::runtime_error("PTX, line " + std::to_string(instruction.line) +
                           ": " + text + " is not run here");
}

static uint64_t computeFloat(const Instruction &i, const uint64_t *bits) {
  const Type type = i.type();
  double x[3] = {};
  for (size_t k = 1; k < i.operands.size() && k <= 3; ++k)
    x[k - 1] = toDouble(bits[k - 1], type);
  auto made = [&](double value) { return fromDouble(value, type); };
  switch (i.code) {
  case Add:
    return made(x[0] + x[1]);
  case Sub:
    return made(x[0] - x[1]);
  case Mul:
    return made(x[0] * x[1]);
  case Mad:
    return type.bits == 32
               ? bitsAs<uint32_t>(std::fma(static_cast<float>(x[0]),
                                           static_cast<float>(x[1]),
                                           static_cast<float>(x[2])))
               : made(std::fma(x[0], x[1], x[2]));
  case Div:
    return made(x[0] / x[1]);
  case Min:
    return made(std::fmin(x[0], x[1]));
  case Max:
    if (i.has("NaN") && (std::isnan(x[0]) || std::isnan(x[1])))
      return made(NAN);
    return made(std::fmax(x[0], x[1]));
  case Abs:
    return made(std::fabs(x[0]));
  case Neg:
    return made(-x[0]);
  case Exp2:
    return made(std::exp2(x[0]));
  case Log2:
    return made(std::log2(x[0]));
  case Sqrt:
    return made(std::sqrt(x[0]));
  case Reciprocal:
    return made(1 / x[0]);
  default:
    unknown(i);
  }
}

static uint64_t multiply(const Instruction &i, const uint64_t *x, Type type) {
  bool isSigned = type.kind == Type::Signed;
  if (i.has("hi")) {
    if (isSigned)
      return static_cast<uint64_t>(
          static_cast<unsigned __int128>(
              static_cast<__int128>(extended(x[0], type.bits)) *
              extended(x[1], type.bits)) >>
          type.bits);
    return static_cast<uint64_t>(
        static_cast<unsigned __int128>(masked(x[0], type.bits)) *
            masked(x[1], type.bits) >>
        type.bits);
  }
  if (i.has("wide") && !isSigned)
    return masked(x[0], type.bits) * masked(x[1], type.bits);
  return static_cast<uint64_t>(extended(x[0], type.bits)) *
         static_cast<uint64_t>(extended(x[1], type.bits));
}

static uint64_t shift(const Instruction &i, const uint64_t *x, Type type) {
  uint64_t by = masked(x[1], 32);
  if (i.code == ShiftLeft)
    return by >= type.bits ? 0 : x[0] << by;
  if (type.kind == Type::Signed)
    return static_cast<uint64_t>(extended(x[0], type.bits) >>
                                 std::min<uint64_t>(by, type.bits - 1));
  return by >= type.bits ? 0 : masked(x[0], type.bits) >> by;
}

static uint64_t divide(const Instruction &i, const uint64_t *x, Type type) {
  if (masked(x[1], type.bits) == 0)
    throw std::runtime_error("PTX, line " + std::to_string(i.line) +
                             ": a division by 0");
  if (type.kind == Type::Signed) {
    int64_t a = extended(x[0], type.bits), b = extended(x[1], type.bits);
    return static_cast<uint64_t>(i.code == Div ? a / b : a % b);
  }
  uint64_t a = masked(x[0], type.bits), b = masked(x[1], type.bits);
  return i.code == Div ? a / b : a % b;
}

static uint64_t permute(const uint64_t *x) {
  uint64_t bytes = masked(x[0], 32) | x[1] << 32, result = 0;
  for (int k = 0; k < 4; ++k) {
    uint64_t choice = x[2] >> (4 * k) & 15;
    uint64_t byte = bytes >> (8 * (choice & 7)) & 255;
    if (choice & 8)
      byte = byte & 128 ? 255 : 0;
    result |= byte << (8 * k);
  }
  return result;
}

/// Bits from x[1] on, x[2] of them.
static uint64_t extract(const uint64_t *x, Type type) {
  uint64_t at = x[1] & 255, count = x[2] & 255;
  uint64_t bits = at >= type.bits ? 0 : masked(x[0], type.bits) >> at;
  if (type.kind == Type::Signed && count > 0 && at + count <= type.bits)
    return static_cast<uint64_t>(extended(bits, static_cast<unsigned>(count)));
  return masked(bits, static_cast<unsigned>(count));
}

static uint64_t computeInteger(const Instruction &i, const uint64_t *x) {
  const Type type = i.type();
  bool isSigned = type.kind == Type::Signed;
  auto less = [&] {
    return isSigned ? extended(x[0], type.bits) < extended(x[1], type.bits)
                    : masked(x[0], type.bits) < masked(x[1], type.bits);
  };
  switch (i.code) {
  case Add:
    return x[0] + x[1];
  case Sub:
    return x[0] - x[1];
  case Mul:
    return multiply(i, x, type);
  case Mad:
    return multiply(i, x, type) + x[2];
  case Div:
  case Rem:
    return divide(i, x, type);
  case Min:
    return less() ? x[0] : x[1];
  case Max:
    return less() ? x[1] : x[0];
  case Abs:
    return static_cast<uint64_t>(std::abs(extended(x[0], type.bits)));
  case Neg:
    return ~x[0] + 1;
  case And:
    return x[0] & x[1];
  case Or:
    return x[0] | x[1];
  case Xor:
    return x[0] ^ x[1];
  case Not:
    return ~x[0];
  case ShiftLeft:
  case ShiftRight:
    return shift(i, x, type);
  case Permute:
    return permute(x);
  case Extract:
    return extract(x, type);
  default:
    unknown(i);
  }
}

static bool compare(const Instruction &i, const uint64_t *x) {
  const Type type = i.type();
  std::string how = i.modifiers.at(0);
  auto holds = [&](auto a, auto b) {
    return how == "eq"                  ? a == b
           : how == "ne"                ? a != b
           : how == "lt" || how == "lo" ? a < b
           : how == "le" || how == "ls" ? a <= b
           : how == "gt" || how == "hi" ? a > b
           : how == "ge" || how == "hs" ? a >= b
                                        : (unknown(i), false);
  };
  if (type.kind == Type::Float || type.kind == Type::BFloat) {
    double a = toDouble(x[0], type), b = toDouble(x[1], type);
    bool isNaN = std::isnan(a) || std::isnan(b);
    if (how == "nan" || how == "num")
      return isNaN == (how == "nan");
    bool isUnordered = how.size() == 3 && how[2] == 'u';
    if (isUnordered)
      how.pop_back();
    // An ordered "ne" is false where one is NaN.
    return isNaN ? isUnordered : holds(a, b);
  }
  if (type.kind == Type::Signed)
    return holds(extended(x[0], type.bits), extended(x[1], type.bits));
  return holds(masked(x[0], type.bits), masked(x[1], type.bits));
}

static bool isFloat(Type type) {
  return type.kind == Type::Float || type.kind == Type::BFloat;
}

static uint64_t convert(const Instruction &i, const uint64_t *x) {
  const Type to = i.types.at(0), from = i.types.at(1);
  if (to.lanes == 2) { // the first operand is the upper half
    Type half = {to.kind, 16, 1};
    return fromDouble(toDouble(x[0], from), half) << 16 |
           fromDouble(toDouble(x[1], from), half);
  }
  if (isFloat(from) && isFloat(to)) {
    double value = toDouble(x[0], from);
    return fromDouble(i.has("rni")   ? std::nearbyint(value)
                      : i.has("rmi") ? std::floor(value)
                      : i.has("rpi") ? std::ceil(value)
                      : i.has("rzi") ? std::trunc(value)
                                     : value,
                      to);
  }
  if (isFloat(from)) {
    double value = toDouble(x[0], from);
    value = i.has("rni")   ? std::nearbyint(value)
            : i.has("rmi") ? std::floor(value)
                           : std::trunc(value);
    return static_cast<uint64_t>(static_cast<int64_t>(value));
  }
  if (isFloat(to))
    return fromDouble(from.kind == Type::Signed
                          ? static_cast<double>(extended(x[0], from.bits))
                          : static_cast<double>(masked(x[0], from.bits)),
                      to);
  return from.kind == Type::Signed
             ? static_cast<uint64_t>(extended(x[0], from.bits))
             : masked(x[0], from.bits);
}

uint64_t einhead::fake::ptx::compute(const Instruction &i, const uint64_t *x) {
  const Type type = i.type();
  switch (i.code) {
  case Other:
    unknown(i);
  case Move:
    return x[0];
  case Select:
    return x[2] & 1 ? x[0] : x[1];
  case Compare:
    return compare(i, x);
  case Convert:
    return convert(i, x);
  default:
    break;
  }
  if (!isFloat(type))
    return computeInteger(i, x);
  if (type.lanes == 1)
    return computeFloat(i, x);
  unknown(i);
}
