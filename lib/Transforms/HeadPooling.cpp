//===- HeadPooling.cpp - Fewer key/value heads, in numbers ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Transforms/HeadPooling.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/xxhash.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

using namespace einhead;

std::optional<HeadMethod> einhead::parseHeadMethod(llvm::StringRef name) {
  return llvm::StringSwitch<std::optional<HeadMethod>>(name)
      .Case("mean", HeadMethod::Mean)
      .Case("first", HeadMethod::First)
      .Case("random", HeadMethod::Random)
      .Default(std::nullopt);
}

llvm::StringRef einhead::headMethodNames() { return "mean, first, random"; }

size_t einhead::sizeOf(HeadElement type) {
  static const size_t sizes[] = {8, 4, 2, 2};
  return sizes[static_cast<int>(type)];
}

std::string einhead::possibleGroups(int64_t heads) {
  std::string text;
  for (int64_t groups = 1; groups <= heads; ++groups)
    if (heads % groups == 0)
      text += (text.empty() ? "" : ", ") + std::to_string(groups);
  return text;
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

namespace {
/// A 16-bit format: stored bits of the fraction, exponent of the smallest
/// normal number.
struct Format16 {
  int fraction, lowest;
};
constexpr Format16 half = {10, -14}, brain = {7, -126};
} // namespace

static double widen(const Format16 &format, uint16_t code) {
  int fields = (code & 0x7FFF) >> format.fraction;
  int fraction = code & ((1 << format.fraction) - 1);
  int special = (1 << (15 - format.fraction)) - 1;
  double magnitude;
  if (fields == special)
    magnitude = fraction ? std::nan("") : HUGE_VAL;
  else if (fields == 0)
    magnitude = std::scalbn(fraction, format.lowest - format.fraction);
  else
    magnitude = std::scalbn(fraction + (1 << format.fraction),
                            format.lowest - format.fraction + fields - 1);
  return code & 0x8000 ? -magnitude : magnitude;
}

static uint16_t narrow(const Format16 &format, double value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  uint64_t infinity = 0x7FFF >> format.fraction << format.fraction;
  if (std::isnan(value))
    return sign | infinity | (1 << (format.fraction - 1));
  if (std::isinf(value))
    return sign | infinity;
  if (value == 0)
    return sign;
  int exponent = std::max(std::ilogb(value), format.lowest);
  // Steps of the format from 0 to the value, to nearest even.  Their count past
  // the first binade carries into the exponent's field by itself.
  uint64_t steps =
      std::nearbyint(std::scalbn(std::fabs(value), format.fraction - exponent));
  uint64_t binades = std::min(exponent - format.lowest, 1 << 10);
  return sign | std::min(steps + (binades << format.fraction), infinity);
}

template <typename T> static T get(const char *data) {
  T value;
  std::memcpy(&value, data, sizeof value);
  return value;
}

template <typename T> static void put(char *data, T value) {
  std::memcpy(data, &value, sizeof value);
}

static double load(HeadElement type, const char *data) {
  switch (type) {
  case HeadElement::F64:
    return get<double>(data);
  case HeadElement::F32:
    return get<float>(data);
  case HeadElement::F16:
    return widen(half, get<uint16_t>(data));
  case HeadElement::BF16:
    return llvm::bit_cast<float>(uint32_t(get<uint16_t>(data)) << 16);
  }
  llvm_unreachable("all types are listed");
}

static void store(HeadElement type, double value, char *data) {
  switch (type) {
  case HeadElement::F64:
    return put(data, value);
  case HeadElement::F32:
    return put(data, static_cast<float>(value));
  case HeadElement::F16:
    return put(data, narrow(half, value));
  case HeadElement::BF16:
    return put(data, narrow(brain, value));
  }
}

//===----------------------------------------------------------------------===//
// Heads
//===----------------------------------------------------------------------===//

namespace {
/// A sum in double, and what it lost.
struct Sum {
  double value = 0, lost = 0;

  void add(double term) {
    double next = value + term;
    double part = next - value;
    lost += (value - (next - part)) + (term - part);
    value = next;
  }

  /// A double that rounds to a shorter format as the exact mean does: where it
  /// is not exact itself, its last bit is 1 ("round to odd").
  double mean(double count) const {
    double mean = value / count;
    if (!std::isfinite(mean))
      return mean;
    double rest = std::fma(-mean, count, value) + lost;
    if (rest == 0 || llvm::bit_cast<uint64_t>(mean) % 2 == 1)
      return mean;
    return std::nextafter(mean, rest > 0 ? HUGE_VAL : -HUGE_VAL);
  }
};
} // namespace

/// The mean of `axis.perGroup()` heads that stand one after the other.
static void meanOfGroup(HeadElement type, const HeadAxis &axis,
                        const char *from, char *to) {
  // A block's sums stay in the nearest cache while the heads pass.
  constexpr int64_t block = 1024;
  size_t size = sizeOf(type);
  double count = double(axis.perGroup());
  std::vector<Sum> sums(std::min(block, axis.inner));
  for (int64_t begin = 0; begin < axis.inner; begin += block) {
    int64_t length = std::min(block, axis.inner - begin);
    for (int64_t head = 0; head < axis.perGroup(); ++head) {
      const char *row = from + (head * axis.inner + begin) * size;
      // The first head starts the sum: -0 stays -0.
      for (int64_t i = 0; i < length; ++i)
        if (head == 0)
          sums[i] = {load(type, row + i * size), 0};
        else
          sums[i].add(load(type, row + i * size));
    }
    for (int64_t i = 0; i < length; ++i) {
      double mean = type == HeadElement::F64 ? sums[i].value / count
                                             : sums[i].mean(count);
      store(type, mean, to + (begin + i) * size);
    }
  }
}

void einhead::poolHeads(HeadMethod method, HeadElement type,
                        const HeadAxis &axis, const char *from, char *to) {
  assert(method != HeadMethod::Random && "random numbers pool nothing");
  assert(axis.heads % axis.groups == 0 && "groups are equally large");
  size_t bytes = axis.inner * sizeOf(type);
  for (int64_t group = 0; group < axis.outer * axis.groups; ++group) {
    if (method == HeadMethod::First || axis.perGroup() == 1)
      std::memcpy(to, from, bytes);
    else
      meanOfGroup(type, axis, from, to);
    from += axis.perGroup() * bytes;
    to += bytes;
  }
}

namespace {
/// splitmix64: every seed gives a full-period sequence.
struct Generator {
  uint64_t state;

  uint64_t next() {
    uint64_t z = (state += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  /// Above 0, at most 1.
  double uniform() { return std::scalbn(double((next() >> 11) + 1), -53); }
};
} // namespace

void einhead::drawNormal(HeadElement type, int64_t count, double deviation,
                         uint64_t seed, llvm::StringRef name, char *to) {
  Generator generator{llvm::xxh3_64bits(name)};
  generator.state = generator.next() ^ seed;
  for (int64_t i = 0; i < count; ++i) {
    // Box and Muller; the second number of each pair is not used.
    double radius = std::sqrt(-2.0 * std::log(generator.uniform()));
    double angle = 2.0 * llvm::numbers::pi * generator.uniform();
    store(type, deviation * radius * std::cos(angle), to + i * sizeOf(type));
  }
}
