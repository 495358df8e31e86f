//===- CompareTest.cpp - The checker and its inputs -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reference.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

using namespace einhead::reference;

namespace {

const float kNaN = NAN;
const float kInfinity = INFINITY;

Tensor expectOf(std::vector<double> values, double bound) {
  int64_t count = static_cast<int64_t>(values.size());
  Tensor tensor({count}, std::move(values));
  for (double &b : tensor.bound)
    b = bound;
  return tensor;
}

TEST(Compare, WithinAndOutside) {
  Tensor expected = expectOf({1, 2}, 0.25);
  Report near = compare(std::vector<float>{1.125f, 2}, expected);
  EXPECT_TRUE(near.pass);
  EXPECT_EQ(near.worstRatio, 0.5);
  Report far = compare(std::vector<float>{1, 2.5f}, expected);
  EXPECT_FALSE(far.pass);
  EXPECT_EQ(far.failures, 1);
  EXPECT_EQ(far.index, std::vector<int64_t>{1});
  EXPECT_EQ(far.got, 2.5);
  EXPECT_EQ(far.expected, 2);
}

TEST(Compare, NaNOnOneSideFails) {
  EXPECT_FALSE(compare(std::vector<float>{kNaN}, expectOf({1}, 1)).pass);
  EXPECT_FALSE(compare(std::vector<float>{1}, expectOf({kNaN}, 0)).pass);
  EXPECT_TRUE(compare(std::vector<float>{kNaN}, expectOf({kNaN}, 0)).pass);
}

TEST(Compare, InfinityMustMatch) {
  Tensor expected = expectOf({HUGE_VAL}, 0);
  EXPECT_TRUE(compare(std::vector<float>{kInfinity}, expected).pass);
  EXPECT_FALSE(compare(std::vector<float>{-kInfinity}, expected).pass);
  EXPECT_FALSE(compare(std::vector<float>{3e38f}, expected).pass);
  EXPECT_FALSE(compare(std::vector<float>{kInfinity}, expectOf({1}, 1)).pass);
}

TEST(Compare, NoBoundMeansExact) {
  Tensor zero = expectOf({0}, 0);
  EXPECT_TRUE(compare(std::vector<float>{0}, zero).pass);
  EXPECT_TRUE(compare(std::vector<float>{-0.0f}, zero).pass);
  Report report = compare(std::vector<float>{1e-45f}, zero);
  EXPECT_FALSE(report.pass);
  EXPECT_TRUE(std::isinf(report.worstRatio));
}

TEST(Compare, UnboundedIsCounted) {
  Report report = compare(std::vector<float>{5}, expectOf({0}, HUGE_VAL));
  EXPECT_TRUE(report.pass);
  EXPECT_EQ(report.unbounded, 1);
}

TEST(Compare, MultiIndex) {
  Tensor expected({2, 3});
  std::vector<double> actual(6, 0.0);
  actual[5] = 1;
  EXPECT_EQ(compare(actual, expected).index, (std::vector<int64_t>{1, 2}));
}

TEST(Compare, NothingPasses) {
  EXPECT_TRUE(compare(std::vector<float>{}, Tensor({0, 4})).pass);
  EXPECT_THROW(compare(std::vector<float>{}, Tensor({1})),
               std::invalid_argument);
}

TEST(Rounding, ToFloatIsTheMachines) {
  for (double x : random({2000}, Distribution::Outliers, 3, Type::F64).value)
    for (double y : {x, x * 1e-39, x * 1e-44, x * 1e37})
      EXPECT_EQ(roundTo(y, Type::F32),
                static_cast<double>(static_cast<float>(y)));
}

TEST(Rounding, ToBF16TiesToEven) {
  EXPECT_EQ(toBF16(1.0), 0x3f80);
  EXPECT_EQ(toBF16(1 + 1.0 / 256), 0x3f80); // tie, down to even
  EXPECT_EQ(toBF16(1 + 3.0 / 256), 0x3f82); // tie, up to even
  EXPECT_EQ(toBF16(-2.0), 0xc000);
  EXPECT_EQ(toBF16(1e39), 0x7f80);
  EXPECT_TRUE(std::isnan(fromBF16(toBF16(kNaN))));
}

TEST(Rounding, ToF16) {
  EXPECT_EQ(toF16(1.0), 0x3c00);
  EXPECT_EQ(toF16(65504.0), 0x7bff);
  EXPECT_EQ(toF16(65519.0), 0x7bff);
  EXPECT_EQ(toF16(65520.0), 0x7c00);
  EXPECT_EQ(toF16(std::ldexp(1.0, -24)), 1);
  EXPECT_EQ(toF16(std::ldexp(1.0, -25)), 0);
  EXPECT_EQ(toF16(-0.0), 0x8000);
}

TEST(Rounding, ToE4M3HasNoInfinity) {
  EXPECT_EQ(toE4M3(1.0), 0x38);
  EXPECT_EQ(toE4M3(1 + 1.0 / 16), 0x38); // tie, down to even
  EXPECT_EQ(toE4M3(1 + 3.0 / 16), 0x3a); // tie, up to even
  EXPECT_EQ(toE4M3(-2.0), 0xc0);
  EXPECT_EQ(toE4M3(-0.0), 0x80);
  EXPECT_EQ(toE4M3(std::ldexp(1.0, -9)), 1);
  EXPECT_EQ(toE4M3(std::ldexp(1.0, -10)), 0); // tie, down to even
  EXPECT_EQ(toE4M3(std::ldexp(1.0, -10) * 1.01), 1);
  EXPECT_EQ(toE4M3(std::ldexp(7.5, -9)), 0x08); // the smallest normal one
  for (double x : {448.0, 463.0, 480.0, 1e30, HUGE_VAL}) {
    EXPECT_EQ(toE4M3(x), 0x7e);
    EXPECT_EQ(toE4M3(-x), 0xfe);
    EXPECT_EQ(roundTo(x, Type::F8E4M3), 448);
  }
  EXPECT_TRUE(std::isnan(fromE4M3(toE4M3(kNaN))));
  EXPECT_EQ(fromE4M3(0x7e), 448);
  EXPECT_EQ(fromE4M3(0x83), -3 / 512.0);
  for (int bits = 0; bits < 256; ++bits) {
    double x = fromE4M3(static_cast<uint8_t>(bits));
    EXPECT_TRUE(std::isnan(x) ? (bits & 0x7f) == 0x7f : toE4M3(x) == bits);
  }
}

// What is known exactly is rounded; what is not has the error of a rounding.
TEST(Rounding, StoredAsE4M3) {
  Number exact = store({1.04, 0}, Type::F8E4M3);
  EXPECT_EQ(exact.value, 1.0);
  EXPECT_EQ(exact.bound, 0);
  Number near = store({1.04, 1e-3}, Type::F8E4M3);
  EXPECT_GE(near.bound, 0.041);
  EXPECT_LE(near.bound, 0.075);
  Number large = store({500, 60}, Type::F8E4M3);
  EXPECT_EQ(large.value, 448);
  EXPECT_GE(large.bound, 60);
  EXPECT_EQ(store({HUGE_VAL, 0}, Type::F8E4M3).value, 448);
}

TEST(Rounding, All16BitNumbersRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    double f16 = fromF16(bits), bf16 = fromBF16(bits);
    if (!std::isnan(f16)) {
      EXPECT_EQ(toF16(f16), bits);
    }
    if (!std::isnan(bf16)) {
      EXPECT_EQ(toBF16(bf16), bits);
    }
    uint32_t wide = bits << 16;
    float machine;
    std::memcpy(&machine, &wide, sizeof machine);
    EXPECT_TRUE(std::isnan(bf16) ? std::isnan(machine) : bf16 == machine);
  }
}

TEST(Inputs, SameSeedSameNumbers) {
  EXPECT_EQ(random({9}, Distribution::Normal, 1).value,
            random({9}, Distribution::Normal, 1).value);
  EXPECT_NE(random({9}, Distribution::Normal, 1).value,
            random({9}, Distribution::Normal, 2).value);
}

TEST(Inputs, Distributions) {
  auto meanSquare = [](Distribution distribution) {
    double sum = 0;
    for (double x : random({20000}, distribution, 11).value)
      sum += x * x;
    return sum / 20000;
  };
  EXPECT_NEAR(meanSquare(Distribution::Normal), 1, 0.05);
  EXPECT_NEAR(meanSquare(Distribution::Uniform), 1.0 / 3, 0.02);
  EXPECT_NEAR(meanSquare(Distribution::Outliers), 11, 8);
  EXPECT_NEAR(meanSquare(Distribution::SmallIntegers), 4, 0.2);
  EXPECT_EQ(meanSquare(Distribution::Signs), 1);
  EXPECT_EQ(meanSquare(Distribution::Zero), 0);
}

TEST(Inputs, PaddingIsNaN) {
  Tensor padded = padWithNaN(Tensor({2, 1}, {5, 6}), {2, 3});
  EXPECT_EQ(padded.at({0, 0}), 5);
  EXPECT_EQ(padded.at({1, 0}), 6);
  EXPECT_TRUE(std::isnan(padded.at({0, 1})));
  EXPECT_TRUE(std::isnan(padded.at({1, 2})));
}

} // namespace
