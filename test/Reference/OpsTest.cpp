//===- OpsTest.cpp - einsum, softmax, append, scalars by hand ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reference.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace einhead::reference;

namespace {

const double u = std::ldexp(1.0, -24);

TEST(Spec, Parses) {
  Spec spec = Spec::parse("bhk, b h m k,bhmv -> bhv");
  EXPECT_EQ(spec.inputs, (std::vector<std::string>{"bhk", "bhmk", "bhmv"}));
  EXPECT_EQ(spec.output, "bhv");
  EXPECT_THROW(Spec::parse("ab"), std::invalid_argument);
  EXPECT_THROW(Spec::parse("a1 -> a"), std::invalid_argument);
}

TEST(Einsum, MatrixProduct) {
  Tensor a({2, 2}, {1, 2, 3, 4}), b({2, 2}, {5, 6, 7, 8});
  Tensor c = einsum("ij, jk -> ik", {a, b});
  EXPECT_EQ(c.value, (std::vector<double>{19, 22, 43, 50}));
  EXPECT_GT(c.bound[0], 0);
  EXPECT_LT(c.bound[0], 8 * 19 * u);
}

TEST(Einsum, TransposedThreeOperandsAndScalar) {
  Tensor a({2}, {2, 3}), b({3}, {1, 10, 100}), c({3, 2}, {1, 2, 3, 4, 5, 6});
  Tensor abc = einsum("x,y,yx->yx", {a, b, c});
  EXPECT_EQ(abc.value, (std::vector<double>{2, 6, 60, 120, 1000, 1800}));
  EXPECT_EQ(einsum("x,y,yx->", {a, b, c}).value,
            std::vector<double>{2 + 6 + 60 + 120 + 1000 + 1800});
}

TEST(Einsum, MovingIsExact) {
  Tensor a({2, 3}, {1, 2, 3, 4, 5, 6});
  Tensor t = einsum("ij -> ji", {a});
  EXPECT_EQ(t.value, (std::vector<double>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(t.bound, std::vector<double>(6, 0.0));
}

TEST(Einsum, EmptySumIsZero) {
  Tensor empty({2, 0});
  Tensor sum = einsum("ij -> i", {empty});
  EXPECT_EQ(sum.value, std::vector<double>(2, 0.0));
  EXPECT_EQ(sum.bound, std::vector<double>(2, 0.0));
}

TEST(Einsum, BoundCoversOperandsAndRounding) {
  Tensor a({1}, {3}), b({1}, {5});
  a.bound[0] = 0.5;
  Tensor product = einsum("i, i -> i", {a, b});
  EXPECT_GE(product.bound[0], 2.5);
  EXPECT_LT(product.bound[0], 2.5001);
  Tensor narrow = einsum("i, i -> i", {b, b}, {Type::BF16});
  EXPECT_GE(narrow.bound[0], 25.0 / 256);
}

TEST(Einsum, ExactZerosMayAbsorb) {
  Tensor weights({2}, {1, 0}), values({2}, {3, NAN});
  EinsumOptions options;
  EXPECT_TRUE(std::isnan(einsum("m, m ->", {weights, values}).value[0]));
  options.zerosAbsorb = true;
  EXPECT_EQ(einsum("m, m ->", {weights, values}, options).value[0], 3);
  weights.bound[1] = 1e-38; // a weight that got lost is not an exact 0
  EXPECT_TRUE(
      std::isnan(einsum("m, m ->", {weights, values}, options).value[0]));
}

TEST(Einsum, RefusesWhatDoesNotFit) {
  EXPECT_THROW(einsum("ij, jk -> ik", {Tensor({2, 3}), Tensor({2, 3})}),
               std::invalid_argument);
  EXPECT_THROW(einsum("ii -> i", {Tensor({2, 2})}), std::invalid_argument);
  EXPECT_THROW(einsum("i -> j", {Tensor({2})}), std::invalid_argument);
  EXPECT_THROW(einsum("i, i -> i", {Tensor({2})}), std::invalid_argument);
}

TEST(Einsum, F32SumsInAnyOrderAreWithinTheBound) {
  for (int64_t n : {1, 2, 3, 10, 1000, 20000})
    for (Distribution d : {Distribution::Normal, Distribution::Outliers}) {
      Tensor a = random({n}, d, n), b = random({n}, d, n + 1);
      float forward = 0, backward = 0;
      for (int64_t i = 0; i < n; ++i) {
        forward += float(a.value[i]) * float(b.value[i]);
        backward += float(a.value[n - 1 - i]) * float(b.value[n - 1 - i]);
      }
      Tensor expected = einsum("i, i ->", {a, b});
      EXPECT_TRUE(compare(std::vector<float>{forward}, expected).pass);
      EXPECT_TRUE(compare(std::vector<float>{backward}, expected).pass);
    }
}

TEST(Softmax, ByHand) {
  Tensor x({2, 2}, {0, std::log(3.0), 5, 5});
  Tensor p = softmax(x, "hm", 'm');
  EXPECT_NEAR(p.value[0], 0.25, 1e-15);
  EXPECT_NEAR(p.value[1], 0.75, 1e-15);
  EXPECT_NEAR(p.value[2], 0.5, 1e-15);
  EXPECT_LT(p.bound[0], 1e-5);
  EXPECT_NEAR(softmax(x, "mh", 'm').value[0], 1 / (1 + std::exp(5.0)), 1e-15);
}

TEST(Softmax, ValidAndMask) {
  Tensor x({2, 3});
  Tensor p = softmax(x, "hm", 'm', {1, 0});
  EXPECT_EQ(p.value, (std::vector<double>{1, 0, 0, 0, 0, 0}));
  EXPECT_EQ(p.bound[3], 0); // nothing attended: exactly 0
  EXPECT_EQ(p.bound[1], 0);
  Mask causal{"hm", [](const auto &at) { return at[1] <= at[0]; }};
  EXPECT_EQ(softmax(x, "hm", 'm', {2}, causal).value,
            (std::vector<double>{1, 0, 0, 0.5, 0.5, 0}));
}

TEST(Softmax, MovedInputsStayWithinTheBound) {
  Tensor x = random({1, 40}, Distribution::Normal, 1), moved = x;
  for (int64_t i = 0; i < 40; ++i) {
    x.bound[i] = 0.3;
    moved.value[i] += i % 3 ? -0.3 : 0.3;
  }
  Report report =
      compare(softmax(moved, "hm", 'm').value, softmax(x, "hm", 'm'));
  EXPECT_TRUE(report.pass) << report.message();
  EXPECT_GT(report.worstRatio, 0.3);
}

TEST(Softmax, NaNStaysInItsRow) {
  Tensor x({2, 2}, {NAN, 0, 0, 0});
  Tensor p = softmax(x, "hm", 'm');
  EXPECT_TRUE(std::isnan(p.value[0]) && std::isnan(p.value[1]));
  EXPECT_EQ(p.value[2], 0.5);
}

TEST(Append, OneRow) {
  Tensor cache({1, 3, 2}), row({1, 2}, {7, 8});
  EXPECT_EQ(append("bk -> bmk", row, cache, {1}).value,
            (std::vector<double>{0, 0, 7, 8, 0, 0}));
  EXPECT_THROW(append("bk -> bmk", row, cache, {3}), std::invalid_argument);
}

TEST(Append, SeveralRowsPerSequence) {
  Tensor cache({2, 3}), rows({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(append("bn -> bm", rows, cache, {0, 1}).value,
            (std::vector<double>{1, 2, 0, 0, 3, 4}));
  EXPECT_EQ(append("nb -> bm", rows, cache, {0, 1}).value,
            (std::vector<double>{1, 3, 0, 0, 2, 4}));
}

TEST(Elementwise, ExactOnes) {
  EXPECT_EQ(neg({3, 0}).bound, 0);
  EXPECT_EQ(maximum({3, 0}, {4, 0}).value, 4);
  EXPECT_EQ(maximum({3, 0}, {4, 0}).bound, 0);
  EXPECT_EQ(minimum({3, 2}, {4, 0}).value, 3);
  EXPECT_GE(minimum({3, 2}, {4, 0}).bound, 2);
  EXPECT_TRUE(std::isnan(maximum({NAN, 0}, {4, 0}).value));
}

/// f32 functions of operands anywhere within their bounds.
template <typename Wide, typename Narrow>
void tryUnary(Wide wide, Narrow narrow, double low, double high) {
  for (double at : random({500}, Distribution::Uniform, 5).value) {
    double x = low + (high - low) * (at + 1) / 2;
    for (double d : {0.0, -1e-6, 1e-6, -1e-2, 1e-2}) {
      float y = static_cast<float>(x + d);
      Number expected = wide({x, std::fabs(y - x)}, Type::F32);
      EXPECT_LE(std::fabs(narrow(y) - expected.value), expected.bound);
    }
  }
}

TEST(Elementwise, FunctionsAreWithinTheirBounds) {
  tryUnary(einhead::reference::exp, expf, -5, 5);
  tryUnary(einhead::reference::exp2, exp2f, -5, 5);
  tryUnary(einhead::reference::log, logf, 0.5, 50);
  tryUnary(einhead::reference::sqrt, sqrtf, 0.5, 50);
  tryUnary(einhead::reference::sin, sinf, -50, 50);
  tryUnary(einhead::reference::cos, cosf, -50, 50);
  tryUnary(einhead::reference::tanh, tanhf, -3, 3);
  tryUnary(
      einhead::reference::rsqrt, [](float x) { return 1 / std::sqrt(x); }, 0.5,
      50);
}

TEST(Elementwise, ArithmeticIsWithinItsBounds) {
  Tensor xs = random({400}, Distribution::Normal, 1);
  Tensor ys = random({400}, Distribution::Normal, 2);
  for (int64_t i = 0; i < 400; ++i) {
    float x = xs.value[i], y = ys.value[i];
    auto within = [](float got, Number n) {
      EXPECT_LE(std::fabs(got - n.value), n.bound);
      EXPECT_LE(n.bound, 3 * u * std::fabs(n.value) + 1e-37);
    };
    within(x + y, add({x, 0}, {y, 0}));
    within(x - y, sub({x, 0}, {y, 0}));
    within(x * y, mul({x, 0}, {y, 0}));
    within(x / y, div({x, 0}, {y, 0}));
  }
  EXPECT_GE(mul({2, 0.1}, {3, 0.1}).bound, 0.51);
  EXPECT_GE(div({1, 0}, {2, 1}).bound, 0.5);
  EXPECT_TRUE(std::isinf(div({1, 0}, {1, 1}).bound));
}

TEST(Elementwise, Overflow) {
  Number large = mul({3e38, 0}, {10, 0});
  EXPECT_TRUE(std::isinf(large.value));
  EXPECT_EQ(large.bound, 0);
  EXPECT_TRUE(std::isinf(store({3.4e38, 1e37}, Type::F32).bound));
  EXPECT_TRUE(std::isinf(store({70000, 0}, Type::F16).value));
}

} // namespace
