//===- FormsTest.cpp - Sinks, score functions, blocks and merges ----------===//
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

using Index = std::vector<int64_t>;

Tensor normal(std::vector<int64_t> shape, uint64_t seed) {
  return random(shape, Distribution::Normal, seed);
}

/// Within the bounds of `expected`.
testing::AssertionResult passes(const Tensor &actual, const Tensor &expected) {
  Report report = compare(actual.value, expected);
  return (report.pass ? testing::AssertionSuccess()
                      : testing::AssertionFailure())
         << report.message();
}

//===----------------------------------------------------------------------===//
// Scales of rows
//===----------------------------------------------------------------------===//

TEST(Scales, AreFactorsOfTheRows) {
  Tensor q = normal({2, 3, 8}, 1), k = normal({20, 2, 8}, 2),
         v = normal({20, 2, 5}, 3);
  AttentionOptions options, unscaled;
  options.keyScale = normal({20, 2}, 4);
  options.valueScale = normal({20, 2}, 5);
  AttentionResult actual = attention("ghk, mgk, mgv -> ghv", q, k, v, options);
  for (int64_t i = 0; i < k.size(); ++i)
    k.value[i] *= options.keyScale->value[i / 8];
  for (int64_t i = 0; i < v.size(); ++i)
    v.value[i] *= options.valueScale->value[i / 5];
  AttentionResult wanted = attention("ghk, mgk, mgv -> ghv", q, k, v, unscaled);
  for (int64_t i = 0; i < wanted.output.size(); ++i) {
    EXPECT_NEAR(actual.output.value[i], wanted.output.value[i], 1e-13);
    // A rounding for each, and little more.
    EXPECT_GT(actual.output.bound[i], wanted.output.bound[i]);
    EXPECT_LT(actual.output.bound[i], 1.5 * wanted.output.bound[i]);
  }
  for (int64_t i = 0; i < wanted.logSumExp.size(); ++i)
    EXPECT_NEAR(actual.logSumExp.value[i], wanted.logSumExp.value[i], 1e-13);
}

TEST(Scales, CarryBounds) {
  Tensor q = normal({3, 8}, 1), k = normal({20, 8}, 2), v = normal({20, 5}, 3);
  AttentionOptions exact, off;
  exact.keyScale = exact.valueScale = normal({20}, 4);
  off = exact;
  for (std::optional<Tensor> *scale : {&off.keyScale, &off.valueScale}) {
    off = exact;
    (*scale)->bound[7] = 0.01;
    Tensor wide = attention("hk, mk, mv -> hv", q, k, v, off).output;
    Tensor tight = attention("hk, mk, mv -> hv", q, k, v, exact).output;
    AttentionOptions moved = off;
    std::optional<Tensor> &at =
        scale == &off.keyScale ? moved.keyScale : moved.valueScale;
    at->value[7] += 0.01;
    Tensor there = attention("hk, mk, mv -> hv", q, k, v, moved).output;
    bool isOutside = false;
    for (int64_t i = 0; i < wide.size(); ++i) {
      double moves = std::fabs(there.value[i] - tight.value[i]);
      EXPECT_LE(moves, wide.bound[i]);
      isOutside |= moves > tight.bound[i];
    }
    EXPECT_TRUE(isOutside);
  }
}

// One number for each row, not for each head or column.
TEST(Scales, AreByRow) {
  Tensor q = normal({3, 8}, 1), k = normal({20, 8}, 2), v = normal({20, 5}, 3);
  AttentionOptions options;
  options.keyScale = normal({8}, 4);
  EXPECT_THROW(attention("hk, mk, mv -> hv", q, k, v, options),
               std::invalid_argument);
}

//===----------------------------------------------------------------------===//
// Sinks
//===----------------------------------------------------------------------===//

TEST(Sink, TakesItsShareByHand) {
  // Scores 0 and a sink of log 2: the keys share half.
  Tensor q({2, 1}), k({2, 1}), v({2, 1}, {4, 8});
  AttentionOptions options;
  options.sink = {"h", Tensor({2}, {std::log(2.0), -HUGE_VAL})};
  AttentionResult result = attention("hk, mk, mv -> hv", q, k, v, options);
  EXPECT_NEAR(result.output.value[0], 3, 1e-14);
  EXPECT_NEAR(result.output.value[1], 6, 1e-14);
  EXPECT_NEAR(result.logSumExp.value[0], std::log(4.0), 1e-14);
  EXPECT_NEAR(result.logSumExp.value[1], std::log(2.0), 1e-14);
}

TEST(Sink, IsAKeyWithoutAValue) {
  Tensor q = normal({3, 8}, 1), k = normal({20, 8}, 2), v = normal({20, 5}, 3);
  AttentionOptions options;
  options.sink = {"", Tensor({}, {1.25})};
  AttentionResult actual = attention("hk, mk, mv -> hv", q, k, v, options);
  // The same, as a 21st key with that bias and the value 0.
  AttentionOptions longer;
  longer.hasBias = true;
  longer.biasLetters = "m";
  longer.bias = Tensor({21});
  longer.bias.value[20] = 1.25;
  Tensor k1({21, 8}), v1({21, 5});
  std::copy(k.value.begin(), k.value.end(), k1.value.begin());
  std::copy(v.value.begin(), v.value.end(), v1.value.begin());
  AttentionResult expected = attention("hk, mk, mv -> hv", q, k1, v1, longer);
  for (int64_t i = 0; i < expected.output.size(); ++i)
    EXPECT_NEAR(actual.output.value[i], expected.output.value[i], 1e-14);
  for (int64_t i = 0; i < 3; ++i)
    EXPECT_NEAR(actual.logSumExp.value[i], expected.logSumExp.value[i], 1e-14);
  // The twins: another sink, and none.
  options.sink.scores->value[0] = 1.26;
  EXPECT_FALSE(passes(attention("hk, mk, mv -> hv", q, k, v, options).output,
                      expected.output));
  EXPECT_FALSE(
      passes(attention("hk, mk, mv -> hv", q, k, v).output, expected.output));
}

TEST(Sink, ARowWithoutKeysIsZero) {
  Tensor q = normal({1, 4}, 1), k = normal({5, 4}, 2);
  AttentionOptions options;
  options.valid = {0};
  options.sink = {"h", Tensor({1}, {0.5})};
  AttentionResult result = attention("hk, mk, mv -> hv", q, k, k, options);
  for (double x : result.output.value)
    EXPECT_EQ(x, 0);
  EXPECT_EQ(result.logSumExp.value[0], 0.5); // a state that merges
  options.sink.scores->value[0] = -HUGE_VAL;
  EXPECT_EQ(attention("hk, mk, mv -> hv", q, k, k, options).logSumExp.value[0],
            -HUGE_VAL);
}

TEST(Sink, OfASoftmax) {
  Tensor x({2, 2}, {0, std::log(2.0), 5, 5});
  Sink sink = {"h", Tensor({2}, {0, -HUGE_VAL})};
  Tensor y = softmax(x, "hm", 'm', {}, {}, Type::F32, sink);
  const double wanted[] = {0.25, 0.5, 0.5, 0.5};
  for (int i = 0; i < 4; ++i)
    EXPECT_NEAR(y.value[i], wanted[i], 1e-15);
  Tensor none = softmax(x, "hm", 'm', {0}, {}, Type::F32, sink);
  EXPECT_EQ(none.value, std::vector<double>(4, 0));
  EXPECT_THROW(softmax(x, "hm", 'm', {}, {}, Type::F32, Sink{"m", Tensor({2})}),
               std::invalid_argument);
}

TEST(Sink, IsByRow) {
  Tensor x({2, 2});
  AttentionOptions options;
  options.sink = {"m", Tensor({2})};
  EXPECT_THROW(attention("hk, mk, mv -> hv", x, x, x, options),
               std::invalid_argument);
}

//===----------------------------------------------------------------------===//
// Score functions
//===----------------------------------------------------------------------===//

TEST(Score, SeesTheScaledScoreAndAbsoluteIndices) {
  Tensor q = normal({2, 3, 4}, 1), k = normal({5, 4}, 2);
  AttentionOptions options;
  options.scale = 0.5;
  options.offsetLetters = "mn";
  options.offsets = {100, 10};
  std::vector<Index> seen;
  options.score = [&](Number score, const Index &at) {
    double wanted = 0;
    for (int64_t i = 0; i < 4; ++i)
      wanted += 0.5 * q.at({at[0], at[1] - 10, i}) * k.at({at[2] - 100, i});
    EXPECT_NEAR(score.value, wanted, 1e-14);
    seen.push_back(at);
    return score;
  };
  Tensor same = attention("hnk, mk, mv -> hnv", q, k, k, options).output;
  EXPECT_EQ(seen.front(), (Index{0, 10, 100}));
  EXPECT_EQ(seen.back(), (Index{1, 12, 104}));
  options.score = nullptr;
  EXPECT_EQ(same.value,
            attention("hnk, mk, mv -> hnv", q, k, k, options).output.value);
}

TEST(Score, IsBeforeTheBias) {
  Tensor q = normal({2, 4}, 1), k = normal({7, 4}, 2), v = normal({7, 3}, 3);
  AttentionOptions options;
  options.hasBias = true;
  options.biasLetters = "m";
  options.bias = normal({7}, 4);
  options.score = [](Number score, const Index &) {
    return mul(score, {2, 0});
  };
  Tensor actual = attention("hk, mk, mv -> hv", q, k, v, options).output;
  options.score = nullptr;
  options.scale = 2;
  EXPECT_TRUE(
      passes(attention("hk, mk, mv -> hv", q, k, v, options).output, actual));
  for (double &x : options.bias.value)
    x *= 2;
  EXPECT_FALSE(
      passes(attention("hk, mk, mv -> hv", q, k, v, options).output, actual));
}

TEST(Score, InfinityDoesNotAttend) {
  Tensor q = normal({2, 4}, 1), k = normal({6, 4}, 2), v = normal({6, 3}, 3);
  AttentionOptions mask, score;
  mask.mask = {"hm", [](const Index &at) { return at[0] == 1 && at[1] % 2; }};
  score.score = [](Number score, const Index &at) {
    return at[0] == 1 && at[1] % 2 ? score : Number{-HUGE_VAL, 0};
  };
  AttentionResult wanted = attention("hk, mk, mv -> hv", q, k, v, mask);
  for (int64_t m = 0; m < 6; m += 2)
    k.at({m, 1}) = v.at({m, 2}) = NAN; // of no row
  AttentionResult got = attention("hk, mk, mv -> hv", q, k, v, score);
  EXPECT_EQ(got.output.value, wanted.output.value);
  EXPECT_EQ(got.logSumExp.value, wanted.logSumExp.value);
  EXPECT_EQ(got.output.value[0], 0);
  EXPECT_EQ(got.output.bound[0], 0);
  v.at({1, 0}) = NAN;
  EXPECT_TRUE(std::isnan(
      attention("hk, mk, mv -> hv", q, k, v, score).output.value[3]));
}

TEST(Score, ThatMayBeInfiniteSaysNothing) {
  Tensor q = normal({1, 4}, 1), k = normal({6, 4}, 2);
  AttentionOptions options;
  options.score = [](Number score, const Index &at) {
    return at[1] == 3 ? Number{-HUGE_VAL, HUGE_VAL} : score;
  };
  Tensor y = attention("hk, mk, mv -> hv", q, k, k, options).output;
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(std::isfinite(y.value[i]));
    EXPECT_GE(y.bound[i], std::fabs(k.at({3, i}) - y.value[i]));
  }
}

/// One row in f32: what compiled code might do, soft-capped and with a sink.
float row(const Tensor &q, const Tensor &k, const Tensor &v, float scale,
          float cap, float sink) {
  float max = sink * 1.44269504f, sum = 1, result = 0;
  for (int64_t j = 0; j < k.shape[0]; ++j) {
    float dot = 0;
    for (int64_t i = 0; i < k.shape[1]; ++i)
      dot += float(q.value[i]) * float(k.at({j, i}));
    float score = std::tanh(dot * scale / cap) * cap * 1.44269504f;
    float next = std::max(max, score);
    float shrink = std::exp2(max - next), weight = std::exp2(score - next);
    sum = sum * shrink + weight;
    result = result * shrink + weight * float(v.value[j]);
    max = next;
  }
  return result / sum;
}

TEST(Score, AnImplementationInF32IsWithinTheBound) {
  double worst = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    int64_t depth = 1 + seed % 40, keys = 1 + seed * 7 % 150;
    Tensor q = normal({1, depth}, seed), k = normal({keys, depth}, seed + 100),
           v = normal({keys, 1}, seed + 200);
    AttentionOptions options;
    options.scale = 0.5;
    float cap = seed % 2 ? 2 : 30;
    options.score = [&](Number score, const Index &) {
      return mul(tanh(div(score, {cap, 0})), {cap, 0});
    };
    options.sink = {"h", Tensor({1}, {seed % 3 - 1.0})};
    Tensor expected = attention("hk, mk, mv -> hv", q, k, v, options).output;
    auto judge = [&](float cap, float sink) {
      return compare(std::vector<float>{row(q, k, v, 0.5f, cap, sink)},
                     expected);
    };
    float sink = seed % 3 - 1.0f;
    Report report = judge(cap, sink);
    EXPECT_TRUE(report.pass) << seed << ": " << report.message();
    worst = std::max(worst, report.worstRatio);
    // The twins, where what they change has weight.
    EXPECT_FALSE(cap == 2 && keys > 20 && judge(cap * 1.01f, sink).pass)
        << seed;
    EXPECT_FALSE(cap == 2 && keys < 60 && judge(cap, sink + 0.1f).pass) << seed;
  }
  EXPECT_GT(worst, 1e-3); // the bound is not out of all proportion
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

TEST(Blocks, AreAMaskOfTheirKeys) {
  Tensor q = normal({2, 2, 4}, 1), k = normal({11, 4}, 2);
  AttentionOptions listed, masked;
  listed.valid = masked.valid = {10};
  listed.blocks = {"b", Tensor({2, 3}, {3, 0, -1, -1, -1, -1}), 3};
  masked.mask = {"bm", [](const Index &at) {
                   return at[0] == 0 && (at[1] < 3 || at[1] >= 9);
                 }};
  Tensor wanted = attention("bhk, mk, mv -> bhv", q, k, k, masked).output;
  for (int64_t m : {3, 4, 8, 10}) // in no list, and not valid
    k.at({m, 0}) = NAN;
  Tensor got = attention("bhk, mk, mv -> bhv", q, k, k, listed).output;
  EXPECT_EQ(got.value, wanted.value);
  for (int64_t i = 8; i < 16; ++i)
    EXPECT_EQ(got.value[i], 0);
  listed.blocks.lists.value[1] = 1; // the twin: a poisoned block
  EXPECT_FALSE(
      passes(attention("bhk, mk, mv -> bhv", q, k, k, listed).output, wanted));
}

TEST(Blocks, CountFromTheKeyOffset) {
  Tensor q = normal({1, 4}, 1), k = normal({4, 4}, 2);
  AttentionOptions listed;
  listed.blocks = {"", Tensor({1}, {5}), 2};
  listed.offsetLetters = "m";
  listed.offsets = {9};
  AttentionOptions masked;
  masked.mask = {"m", [](const Index &at) { return at[0] == 1 || at[0] == 2; }};
  EXPECT_EQ(attention("hk, mk, mv -> hv", q, k, k, listed).output.value,
            attention("hk, mk, mv -> hv", q, k, k, masked).output.value);
}

TEST(Blocks, AreByRowAndOfOneKeyLetter) {
  Tensor x({2, 2}), y({2, 2, 2});
  AttentionOptions options;
  options.blocks = {"m", Tensor({2, 1}), 1};
  EXPECT_THROW(attention("hk, mk, mv -> hv", x, x, x, options),
               std::invalid_argument);
  options.blocks = {"h", Tensor({2, 1}), 1};
  EXPECT_THROW(attention("hk, mnk, mnv -> hv", x, y, y, options),
               std::invalid_argument);
  options.blocks.size = -1;
  EXPECT_THROW(attention("hk, mk, mv -> hv", x, x, x, options),
               std::invalid_argument);
}

//===----------------------------------------------------------------------===//
// Merges
//===----------------------------------------------------------------------===//

/// The states of results: max = lse * log2(e), sum = 1.
struct States {
  Tensor max, sum, accumulator;

  explicit States(const std::vector<AttentionResult> &parts) {
    int64_t splits = parts.size();
    auto stack = [&](auto part) {
      std::vector<int64_t> shape = {splits};
      const Tensor &first = part(parts[0]);
      shape.insert(shape.end(), first.shape.begin(), first.shape.end());
      Tensor all(shape);
      for (int64_t s = 0; s < splits; ++s)
        for (int64_t i = 0; i < first.size(); ++i) {
          all.value[s * first.size() + i] = part(parts[s]).value[i];
          all.bound[s * first.size() + i] = part(parts[s]).bound[i];
        }
      return all;
    };
    max = stack([](const AttentionResult &r) { return r.logSumExp; });
    accumulator = stack([](const AttentionResult &r) { return r.output; });
    sum = Tensor(max.shape, std::vector<double>(max.size(), 1));
    max = map(max, [](Number x) { return mul(x, {1 / std::log(2.0), 0}); });
  }
};

/// Attention over all keys, and merged from parts.
struct Split {
  Tensor q = normal({2, 3, 8}, 1), k = normal({2, 90, 8}, 2),
         v = normal({2, 90, 5}, 3);
  const char *spec = "brk, bmk, bmv -> brv";
  AttentionOptions options;

  AttentionResult part(int64_t first, int64_t last) {
    AttentionOptions part = options;
    part.mask = {
        "m", [=](const Index &at) { return at[0] >= first && at[0] < last; }};
    return attention(spec, q, k, v, part);
  }
};

TEST(Merge, OfPartsIsTheWhole) {
  Split split;
  AttentionResult whole = split.part(0, 90);
  States states({split.part(0, 40), split.part(40, 41), split.part(90, 90),
                 split.part(41, 90)});
  AttentionResult merged =
      merge("br, brv -> brv", states.max, states.sum, states.accumulator);
  for (int64_t i = 0; i < whole.output.size(); ++i)
    EXPECT_NEAR(merged.output.value[i], whole.output.value[i], 1e-14);
  for (int64_t i = 0; i < whole.logSumExp.size(); ++i)
    EXPECT_NEAR(merged.logSumExp.value[i], whole.logSumExp.value[i], 1e-14);
  EXPECT_TRUE(passes(whole.output, merged.output));
  EXPECT_TRUE(passes(whole.logSumExp, merged.logSumExp));
  for (double bound : merged.output.bound)
    EXPECT_LT(bound, 1e-4);
  // Merged results are states again.
  States again({merged, split.part(0, 1)});
  merge("br, brv -> brv", again.max, again.sum, again.accumulator);
  States pairs({AttentionResult(split.part(0, 40)),
                AttentionResult(split.part(40, 90))});
  AttentionResult two =
      merge("br, brv -> brv", pairs.max, pairs.sum, pairs.accumulator);
  EXPECT_TRUE(passes(two.output, merged.output));
  // The twin: a key short.
  States fewer({split.part(0, 40), split.part(41, 90)});
  AttentionResult less =
      merge("br, brv -> brv", fewer.max, fewer.sum, fewer.accumulator);
  EXPECT_FALSE(passes(less.output, merged.output));
  EXPECT_FALSE(passes(less.logSumExp, merged.logSumExp));
}

TEST(Merge, OfNothingIsZero) {
  Tensor max({2, 1}, {-HUGE_VAL, -HUGE_VAL}), sum({2, 1});
  Tensor accumulator({2, 1, 3}, std::vector<double>(6, NAN));
  AttentionResult none = merge("r, rv -> rv", max, sum, accumulator);
  EXPECT_EQ(none.output.value, std::vector<double>(3, 0));
  EXPECT_EQ(none.logSumExp.value[0], -HUGE_VAL);
  // One part without keys does not matter, whatever it holds.
  max.value[1] = 3;
  sum.value[1] = 2;
  for (int i = 3; i < 6; ++i)
    accumulator.value[i] = i;
  AttentionResult one = merge("r, rv -> rv", max, sum, accumulator);
  EXPECT_EQ(one.output.value, (std::vector<double>{1.5, 2, 2.5}));
  EXPECT_NEAR(one.logSumExp.value[0], 4 * std::log(2.0), 1e-14);
}

TEST(Merge, AnImplementationInF32IsWithinTheBound) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    int64_t splits = 1 + seed % 9;
    Tensor max = random({splits, 1}, Distribution::Large, seed);
    Tensor sum = random({splits, 1}, Distribution::Uniform, seed + 1000);
    for (double &x : sum.value)
      x = static_cast<float>(1.5 + x);
    Tensor accumulator = normal({splits, 1, 1}, seed + 2000);
    AttentionResult wanted = merge("r, rv -> rv", max, sum, accumulator);
    float largest = -HUGE_VALF, top = 0, bottom = 0;
    for (double m : max.value)
      largest = std::max(largest, float(m));
    for (int64_t s = 0; s < splits; ++s) {
      float weight = std::exp2(float(max.value[s]) - largest);
      top += weight * float(accumulator.value[s]);
      bottom += weight * float(sum.value[s]);
    }
    float lse = (largest + std::log2(bottom)) * 0.693147180f;
    EXPECT_TRUE(compare(std::vector<float>{top / bottom}, wanted.output).pass);
    EXPECT_TRUE(compare(std::vector<float>{lse}, wanted.logSumExp).pass);
    EXPECT_FALSE(
        compare(std::vector<float>{top / bottom * 1.0001f}, wanted.output)
            .pass);
    EXPECT_FALSE(
        compare(std::vector<float>{lse + 1e-3f}, wanted.logSumExp).pass);
  }
}

// An exponent that is off shows in the bound.
TEST(Merge, CarriesBounds) {
  Tensor max({2, 1}, {0, 0}), sum({2, 1}, {1, 1});
  Tensor accumulator({2, 1, 1}, {1, 3});
  max.bound = {0, 0.01};
  Tensor y = merge("r, rv -> rv", max, sum, accumulator).output;
  max.value[1] = 0.01;
  max.bound[1] = 0;
  Tensor moved = merge("r, rv -> rv", max, sum, accumulator).output;
  EXPECT_TRUE(passes(moved, y));
  EXPECT_LT(y.bound[0], 4 * std::fabs(moved.value[0] - y.value[0]));
}

} // namespace
