//===- BoundTest.cpp - A correct f32 implementation is within the bound ---===//
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

/// Worst error / bound of each way to compute, over many cases.
struct Worst {
  double blocked = 0, chained = 0, plain = 0, unfused = 0;
};

/// The same function as einsum, softmax, einsum: bounds through the ops.
Tensor unfused(const Case &c) {
  Tensor scores = einsum("hk, mk -> hm", {c.query, c.key});
  Tensor scaled =
      map(scores, [&](Number x) { return mul(x, {c.options.scale, 0}); });
  Tensor weights = softmax(scaled, "hm", 'm');
  return einsum("hm, mv -> hv", {weights, c.value});
}

void check(double &worst, const std::vector<float> &actual,
           const Tensor &expected, const std::string &what) {
  Report report = compare(actual, expected);
  EXPECT_TRUE(report.pass) << what << ": " << report.message();
  worst = std::max(worst, report.worstRatio);
}

void tryCase(Worst &worst, const Source &source, int64_t keys, int64_t depth) {
  Case c(source, 2, keys, depth, 1000 * keys + depth);
  std::string what = std::string(source.name) + ", " + std::to_string(keys) +
                     " keys of depth " + std::to_string(depth);
  Float32Attention f32 = c.implementation();
  Tensor expected = c.expected();
  check(worst.blocked, f32.blocked(), expected, "blocked, " + what);
  check(worst.chained, f32.chained(), expected, "chained, " + what);
  std::vector<float> plain = f32.plain();
  check(worst.unfused, plain, unfused(c), "plain against ops, " + what);
  check(worst.unfused, f32.blocked(), unfused(c), "fused against ops, " + what);
  c.options.keysPerBlock = std::max<int64_t>(keys, 1); // one chain
  check(worst.plain, plain, c.expected(), "plain, " + what);
}

std::string text(double x) { return std::to_string(x); }

void report(const std::string &name, const Worst &worst) {
  testing::Test::RecordProperty(name, text(worst.blocked));
  printf("[ measured ] %-14s worst error/bound: blocked %.4f, chained %.4f, "
         "plain %.4f, against ops %.4f\n",
         name.c_str(), worst.blocked, worst.chained, worst.plain,
         worst.unfused);
  EXPECT_LT(worst.blocked, 1);
  EXPECT_LT(worst.chained, 1);
  EXPECT_LT(worst.plain, 1);
  EXPECT_LT(worst.unfused, 1);
}

class Bound : public testing::TestWithParam<Source> {};

TEST_P(Bound, ManyShapes) {
  Worst worst;
  for (int64_t depth : kDepths)
    for (int64_t keys = depth % 3; keys <= 130; keys += 3)
      tryCase(worst, GetParam(), keys, depth);
  report(GetParam().name, worst);
}

TEST_P(Bound, ManyKeys) {
  Worst worst;
  for (int64_t depth : kDepths)
    for (int64_t keys : {257, 1025, 4097})
      tryCase(worst, GetParam(), keys, depth);
  report(GetParam().name, worst);
}

INSTANTIATE_TEST_SUITE_P(Sources, Bound, testing::ValuesIn(kSources),
                         [](const auto &info) {
                           std::string name = info.param.name;
                           for (char &c : name)
                             if (c == ' ')
                               c = '_';
                           return name;
                         });

TEST(Bound, NarrowOutputs) {
  for (Type type : {Type::F16, Type::BF16}) {
    double worst = 0;
    for (const Source &source : kSources)
      for (int64_t depth : {3, 64}) {
        Case c(source, 4, 300, depth, depth);
        c.options.output = type;
        std::vector<float> rounded = c.implementation().blocked();
        for (float &x : rounded)
          x = static_cast<float>(roundTo(x, type));
        check(worst, rounded, c.expected(), source.name);
      }
    printf("[ measured ] 16-bit output: worst error/bound %.4f\n", worst);
    EXPECT_LE(worst, 1);
  }
}

// Small depths with two nearly equal large scores: the errors of few roundings
// do not cancel.
TEST(Bound, ShortSumsOfLargeScores) {
  Worst worst;
  for (int64_t depth = 1; depth <= 16; ++depth)
    for (uint64_t seed = 0; seed < 300; ++seed) {
      Case c(kSources[0], 1, 2, depth, 31 * seed + depth);
      for (double &x : c.query.value)
        x = roundTo(x * 100, Type::F32);
      for (int64_t i = 0; i < depth; ++i)
        c.key.at({1, i}) = roundTo(c.key.at({0, i}) * (1 + 1e-3), Type::F32);
      check(worst.blocked, c.implementation().blocked(), c.expected(), "short");
    }
  report("short sums", worst);
}

TEST(Bound, OperandsWithBounds) {
  // Operands that are off by their bounds move the result by less than its.
  Case c(kSources[0], 3, 70, 16, 5);
  Case moved = c;
  for (Tensor *tensor : {&c.query, &c.key, &c.value})
    for (double &bound : tensor->bound)
      bound = 1e-3;
  for (Tensor *tensor : {&moved.query, &moved.key, &moved.value})
    for (int64_t i = 0; i < tensor->size(); ++i)
      tensor->value[i] += i % 2 ? 1e-3 : -1e-3;
  double worst = 0;
  check(worst, toFloats(moved.expected()), c.expected(), "attention");
  check(worst, toFloats(moved.expected()), unfused(c), "ops");
  EXPECT_GT(worst, 1e-3);
}

// A deep chain of products in f32: the certain bound says nothing any more, the
// one for independent errors holds and is of use.
TEST(Bound, DeepChains) {
  const int64_t size = 128;
  double worst = 0, certain = 0, likely = 0;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Tensor x = random({size}, Distribution::Normal, seed), y = x;
    std::vector<float> f32 = toFloats(x);
    for (uint64_t layer = 0; layer < 12; ++layer) {
      Tensor w = random({size, size}, Distribution::Uniform, 99 * layer + seed);
      for (double &element : w.value)
        element = roundTo(element * 0.15, Type::F32);
      x = einsum("ij, j -> i", {w, x});
      EinsumOptions independent;
      independent.independentErrors = true;
      y = einsum("ij, j -> i", {w, y}, independent);
      std::vector<float> next(size, 0);
      for (int64_t i = 0; i < size; ++i)
        for (int64_t j = 0; j < size; ++j)
          next[i] += static_cast<float>(w.at({i, j})) * f32[j];
      f32 = next;
    }
    check(worst, f32, y, "deep chain");
    EXPECT_TRUE(compare(f32, x).pass);
    for (int64_t i = 0; i < size; ++i) {
      certain = std::max(certain, x.bound[i] / std::fabs(x.value[i]));
      likely += y.bound[i] / (5 * size);
    }
  }
  printf("[ measured ] 12 products: worst error/bound %.4f, bounds %.2g "
         "(certain) and %.2g\n",
         worst, certain, likely);
  EXPECT_GT(certain, 1);
  EXPECT_LT(likely, 1e-2);
}

} // namespace
