//===- AttentionTest.cpp - Attention by hand and on exact inputs ----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cases.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace einhead;
using namespace einhead::reference;
using namespace einhead::test;

namespace {

TEST(Attention, ByHand) {
  // Scores log 1 and log 3: weights 1/4 and 3/4.
  Tensor q({1, 1}, {1}), k({2, 1}, {0, std::log(3.0)}), v({2, 1}, {4, 8});
  AttentionResult result = attention("hk, mk, mv -> hv", q, k, v);
  EXPECT_NEAR(result.output.value[0], 7, 1e-14);
  EXPECT_NEAR(result.logSumExp.value[0], std::log(4.0), 1e-14);
}

TEST(Attention, BoundIsTheFormula) {
  // One row, depth 64, so that the formula's constants hold as they are.
  const int64_t depth = 64, keys = 70;
  Tensor q = random({1, depth}, Distribution::Normal, 1);
  Tensor k = random({keys, depth}, Distribution::Normal, 2);
  Tensor v = random({keys, 1}, Distribution::Normal, 3);
  AttentionOptions options;
  options.scale = 0.125;
  options.splits = 2;
  const double u = std::ldexp(1.0, -24);
  std::vector<double> s(keys, 0), e(keys, 0);
  int64_t m = 0;
  for (int64_t j = 0; j < keys; ++j) {
    for (int64_t i = 0; i < depth; ++i) {
      s[j] += 0.125 * q.value[i] * k.at({j, i});
      e[j] += 67 * u * 0.125 * std::fabs(q.value[i] * k.at({j, i}));
    }
    if (s[j] > s[m])
      m = j;
  }
  double sum = 0, o = 0, first = 0, second = 0, g = (64 + 2 + 2 + 4) * u;
  for (int64_t j = 0; j < keys; ++j) {
    double p = std::exp(s[j] - s[m]);
    double eta = std::expm1(e[j] + e[m] + 2 * u * (s[m] - s[j])) + 4 * u;
    sum += p;
    o += p * v.value[j];
    first += p * std::fabs(v.value[j]) * (eta + g);
    second += p * (eta + g);
  }
  o /= sum;
  for (Type type : {Type::F32, Type::F16, Type::BF16}) {
    options.output = type;
    Tensor result = attention("hk, mk, mv -> hv", q, k, v, options).output;
    double bound = (first + std::fabs(o) * second) / sum;
    bound = (type == Type::F32 ? 0.125 : 1) * bound +
            unitRoundoff(type) * std::fabs(o) + smallestPositive(type) / 2;
    EXPECT_NEAR(result.value[0], o, 1e-14);
    EXPECT_NEAR(result.bound[0] / bound, 1, 0.01);
  }
}

TEST(Attention, EveryFormIsTheUnfusedOne) {
  struct Form {
    const char *spec, *scores, *weighted;
    std::vector<int64_t> q, k, v;
    const char *scoreLetters;
  };
  const Form forms[] = {
      {"bhk, bhmk, bhmv -> bhv",
       "bhk, bhmk -> bhm",
       "bhm, bhmv -> bhv",
       {2, 3, 4},
       {2, 3, 5, 4},
       {2, 3, 5, 6},
       "bhm"},
      {"bhk, bmk, bmv -> bhv",
       "bhk, bmk -> bhm",
       "bhm, bmv -> bhv",
       {2, 3, 4},
       {2, 5, 4},
       {2, 5, 6},
       "bhm"},
      {"bgrnk, bgmk, bgmv -> bgrnv",
       "bgrnk, bgmk -> bgrnm",
       "bgrnm, bgmv -> bgrnv",
       {2, 2, 3, 2, 4},
       {2, 2, 5, 4},
       {2, 2, 5, 6},
       "bgrnm"},
      {"bhk, mk, mv -> bhv",
       "bhk, mk -> bhm",
       "bhm, mv -> bhv",
       {2, 3, 4},
       {5, 4},
       {5, 6},
       "bhm"},
      {"bhk, mbk, vmb -> hvb",
       "bhk, mbk -> bhm",
       "bhm, vmb -> hvb",
       {2, 3, 4},
       {5, 2, 4},
       {6, 5, 2},
       "bhm"},
      {"hk, bmk, bmv -> bhv",
       "hk, bmk -> bhm",
       "bhm, bmv -> bhv",
       {3, 4},
       {2, 5, 4},
       {2, 5, 6},
       "bhm"},
      {"bhk, bmk, mv -> bhv",
       "bhk, bmk -> bhm",
       "bhm, mv -> bhv",
       {2, 3, 4},
       {2, 5, 4},
       {5, 6},
       "bhm"},
  };
  for (const Form &form : forms) {
    Tensor q = random(form.q, Distribution::Normal, 1);
    Tensor k = random(form.k, Distribution::Normal, 2);
    Tensor v = random(form.v, Distribution::Normal, 3);
    Tensor fused = attention(form.spec, q, k, v).output;
    Tensor scores = einsum(form.scores, {q, k});
    Tensor weights = softmax(scores, form.scoreLetters, 'm');
    Tensor unfused = einsum(form.weighted, {weights, v});
    ASSERT_EQ(fused.shape, unfused.shape) << form.spec;
    for (int64_t i = 0; i < fused.size(); ++i)
      EXPECT_NEAR(fused.value[i], unfused.value[i], 1e-14) << form.spec;
  }
}

TEST(Attention, SeveralKeyDepthAndValueLetters) {
  Tensor q = random({2, 2, 2}, Distribution::Normal, 1);
  Tensor k = random({3, 2, 2, 2}, Distribution::Normal, 2);
  Tensor v = random({3, 2, 2, 3}, Distribution::Normal, 3);
  Tensor result = attention("hij, mnij, mnvw -> hvw", q, k, v).output;
  auto flat = [](Tensor x, std::vector<int64_t> shape) {
    x.shape = std::move(shape);
    return x;
  };
  Tensor expected = attention("hk, mk, mv -> hv", flat(q, {2, 4}),
                              flat(k, {6, 4}), flat(v, {6, 6}))
                        .output;
  EXPECT_EQ(result.shape, (std::vector<int64_t>{2, 2, 3}));
  EXPECT_EQ(result.value, expected.value);
}

TEST(Attention, ValidSeesNoPadding) {
  Tensor q = random({2, 3, 4}, Distribution::Normal, 1);
  Tensor k = random({2, 5, 4}, Distribution::Normal, 2);
  Tensor v = random({2, 5, 4}, Distribution::Normal, 3);
  AttentionOptions options;
  options.valid = {5};
  Tensor padded = attention("bhk, bmk, bmv -> bhv", q, padWithNaN(k, {2, 9, 4}),
                            padWithNaN(v, {2, 9, 4}), options)
                      .output;
  Tensor expected = attention("bhk, bmk, bmv -> bhv", q, k, v).output;
  EXPECT_EQ(padded.value, expected.value);
  EXPECT_EQ(padded.bound, expected.bound);
}

TEST(Attention, RowsWithoutKeysAreZero) {
  Tensor q = random({2, 1, 4}, Distribution::Normal, 1);
  Tensor k = random({2, 5, 4}, Distribution::Normal, 2);
  AttentionOptions options;
  options.valid = {0, 3};
  AttentionResult result = attention("bhk, bmk, bmv -> bhv", q, k, k, options);
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(result.output.value[i], 0);
    EXPECT_EQ(result.output.bound[i], 0);
    EXPECT_NE(result.output.value[4 + i], 0);
  }
  EXPECT_EQ(result.logSumExp.value[0], -HUGE_VAL);
  EXPECT_TRUE(std::isfinite(result.logSumExp.value[1]));
}

TEST(Attention, CausalMaskWithOffset) {
  Tensor q = random({2, 4}, Distribution::Normal, 1);
  Tensor k = random({5, 4}, Distribution::Normal, 2);
  AttentionOptions options;
  options.mask = {"nm", [](const auto &at) { return at[1] <= at[0]; }};
  options.offsetLetters = "n";
  options.offsets = {2}; // rows are positions 2 and 3: they see 3 and 4 keys
  Tensor result = attention("nk, mk, mv -> nv", q, k, k, options).output;
  Tensor row({1, 4}), few({4, 4});
  std::copy_n(q.value.begin() + 4, 4, row.value.begin());
  std::copy_n(k.value.begin(), 16, few.value.begin());
  Tensor second = attention("nk, mk, mv -> nv", row, few, few).output;
  for (int64_t i = 0; i < 4; ++i)
    EXPECT_EQ(result.value[4 + i], second.value[i]);
}

TEST(Attention, Bias) {
  Tensor q({1, 1}, {0}), k({2, 1}), v({2, 1}, {4, 8});
  AttentionOptions options;
  options.hasBias = true;
  options.biasLetters = "m";
  options.bias = Tensor({2}, {0, std::log(3.0)});
  EXPECT_NEAR(attention("hk, mk, mv -> hv", q, k, v, options).output.value[0],
              7, 1e-14);
  options.bias = Tensor({2}, {-HUGE_VAL, -HUGE_VAL});
  Tensor none = attention("hk, mk, mv -> hv", q, k, v, options).output;
  EXPECT_EQ(none.value[0], 0);
  EXPECT_EQ(none.bound[0], 0);
}

TEST(Attention, AttendedNaNPoisonsItsRows) {
  Tensor q({2, 1}, {1, 1}), k({2, 1}), v({2, 1}, {1, NAN});
  AttentionOptions options;
  options.mask = {"nm", [](const auto &at) { return at[1] <= at[0]; }};
  Tensor result = attention("nk, mk, mv -> nv", q, k, v, options).output;
  EXPECT_EQ(result.value[0], 1);
  EXPECT_TRUE(std::isnan(result.value[1]));
}

TEST(Attention, RefusesLettersWithoutRole) {
  Tensor x({2, 2});
  EXPECT_THROW(attention("hk, mk, mv", x, x, x), std::invalid_argument);
  EXPECT_THROW(attention("hk, mk -> hk", x, x, x), std::invalid_argument);
  EXPECT_THROW(attention("hk, hk, hv -> hv", x, x, x), std::invalid_argument);
  EXPECT_THROW(attention("hk, mj, mv -> hv", x, x, x), std::invalid_argument);
}

//===----------------------------------------------------------------------===//
// Exact inputs: the oracle and the f32 implementations agree to the bit
//===----------------------------------------------------------------------===//

TEST(Exact, ValuesOfOneGiveOne) {
  for (int64_t keys : {1, 2, 63, 64, 65, 130, 1025}) {
    Case c(kSources[0], 4, keys, 16, keys);
    for (double &x : c.value.value)
      x = 1;
    for (float x : c.implementation().blocked())
      EXPECT_EQ(x, 1.0f);
    for (float x : c.implementation().chained())
      EXPECT_EQ(x, 1.0f);
    for (double x : c.expected().value)
      EXPECT_EQ(x, 1.0);
  }
}

TEST(Exact, ZeroQueryGivesTheMean) {
  Case c(kSources[5], 1, 100, 8, 1);
  Tensor expected = c.expected();
  for (int64_t v = 0; v < 8; ++v) {
    double mean = 0;
    for (int64_t j = 0; j < 100; ++j)
      mean += c.value.at({j, v}) / 100;
    EXPECT_NEAR(expected.value[v], mean, 1e-15);
  }
}

TEST(Exact, OneHotSelectsEachKey) {
  const int64_t keys = 130, depth = 8;
  Case c(kSources[0], 1, keys, depth, 9);
  for (double &x : c.query.value)
    x = 64;
  for (int64_t j = 0; j < keys; ++j) {
    for (int64_t at = 0; at < keys * depth; ++at)
      c.key.value[at] = at / depth == j ? 64 : 0;
    std::vector<float> blocked = c.implementation().blocked();
    std::vector<float> plain = c.implementation().plain();
    Tensor expected = c.expected();
    for (int64_t v = 0; v < depth; ++v) {
      EXPECT_EQ(expected.value[v], c.value.at({j, v}));
      EXPECT_EQ(blocked[v], c.value.at({j, v}));
      EXPECT_EQ(plain[v], c.value.at({j, v}));
    }
  }
}

TEST(Exact, PowersOfTwoOfTheValuesScaleTheResult) {
  Case c(kSources[0], 2, 70, 16, 4);
  Case scaled = c;
  for (double &x : scaled.value.value)
    x *= 8;
  std::vector<float> one = c.implementation().blocked();
  std::vector<float> eight = scaled.implementation().blocked();
  for (size_t i = 0; i < one.size(); ++i)
    EXPECT_EQ(eight[i], 8 * one[i]);
}

} // namespace
