//===- OracleAttnTest.cpp - The attention ops are interpreted -------------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OracleTest.h"

#include <cmath>

using namespace einhead;
using namespace einhead::test;
using reference::compare;
using reference::Distribution;

namespace {

Tensor normal(Shape shape, uint64_t seed) {
  return reference::random(shape, Distribution::Normal, seed);
}

/// Attention of q 2x3x8 with k, v 10x8, with `clauses` before `outs`.
std::string attend(const std::string &arguments, const std::string &clauses,
                   const std::string &before = "") {
  return "func.func @f(%q: tensor<2x3x8xf32>, %k: tensor<10x8xf32>, "
         "%v: tensor<10x8xf32>" +
         arguments +
         R"() -> (tensor<2x3x8xf32>, tensor<2x3xf32>) {
      %c2 = arith.constant 2.0 : f32
      %low = arith.constant 0xFF800000 : f32
      %init = tensor.empty() : tensor<2x3x8xf32>
      %none = tensor.empty() : tensor<2x3xf32>)" +
         before + R"(
      %y, %lse = attn.attention "hnk, mk, mv -> hnv"
        query(%q : tensor<2x3x8xf32>) key(%k : tensor<10x8xf32>)
        value(%v : tensor<10x8xf32>) scale 0.5 )" +
         clauses + R"(
        outs(%init : tensor<2x3x8xf32>) lse(%none : tensor<2x3xf32>)
        -> tensor<2x3x8xf32>, tensor<2x3xf32>
      return %y, %lse : tensor<2x3x8xf32>, tensor<2x3xf32>
    })";
}

class OracleAttn : public Oracle {
protected:
  /// Interprets `text`, and compares both results with the reference; true
  /// where they are the same.
  bool gives(const std::string &text, std::vector<Tensor> more,
             const reference::AttentionOptions &wanted) {
    std::vector<Tensor> arguments = {q, k, v};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto results = tryEvaluate(text, arguments);
    if (!results) {
      ADD_FAILURE() << llvm::toString(results.takeError());
      return false;
    }
    auto expected = reference::attention("hnk, mk, mv -> hnv", q, k, v, wanted);
    EXPECT_EQ(results->size(), 2u);
    return near((*results)[0], expected.output) &&
           near((*results)[1], expected.logSumExp);
  }
  static bool near(const Tensor &x, const Tensor &y) {
    for (int64_t i = 0; i < x.size(); ++i)
      if (x.value[i] != y.value[i] &&
          !(std::fabs(x.value[i] - y.value[i]) < 1e-12))
        return false;
    return x.shape == y.shape;
  }
  static reference::AttentionOptions base() {
    reference::AttentionOptions options;
    options.scale = 0.5;
    return options;
  }

  Tensor q = normal({2, 3, 8}, 1), k = normal({10, 8}, 2),
         v = normal({10, 8}, 3);
};

TEST_F(OracleAttn, LogSumExpIsTheSecondResult) {
  EXPECT_TRUE(gives(attend("", ""), {}, base()));
  EXPECT_FALSE(gives(attend("", "valid(%n : index)", R"(
      %n = arith.constant 9 : index)"),
                     {}, base()));
}

TEST_F(OracleAttn, Sink) {
  Tensor sink({2}, {0.5, -1});
  std::string text =
      attend(", %s: tensor<2xf32>", "sink \"h\"(%s : tensor<2xf32>)");
  auto wanted = base();
  wanted.sink = {"h", sink};
  EXPECT_TRUE(gives(text, {sink}, wanted));
  EXPECT_FALSE(gives(text, {Tensor({2}, {0.5, 1})}, wanted));
}

TEST_F(OracleAttn, ScalesOfRows) {
  std::string text = attend(", %ks: tensor<10xf32>, %vs: tensor<10xf32>",
                            "key_scale(%ks : tensor<10xf32>) value_scale(%vs : "
                            "tensor<10xf32>)");
  for (size_t at; (at = text.find("10x8xf32")) != std::string::npos;)
    text.replace(at, 8, "10x8xi8");
  for (Tensor *rows : {&k, &v})
    for (double &number : rows->value)
      number = std::nearbyint(30 * number);
  auto wanted = base();
  wanted.keyScale = normal({10}, 4);
  wanted.valueScale = normal({10}, 5);
  EXPECT_TRUE(gives(text, {*wanted.keyScale, *wanted.valueScale}, wanted));
  EXPECT_FALSE(gives(text, {*wanted.valueScale, *wanted.keyScale}, wanted));
}

TEST_F(OracleAttn, Blocks) {
  std::string text = attend(", %b: tensor<3x2xi64>",
                            "blocks \"n\"(%b : tensor<3x2xi64>) size 4");
  auto wanted = base();
  wanted.mask = {"nm", [](const auto &at) {
                   return at[0] == 0 ? at[1] < 4 || at[1] >= 8
                                     : at[0] == 1 && at[1] / 4 == 1;
                 }};
  EXPECT_TRUE(gives(text, {Tensor({3, 2}, {2, 0, -1, 1, -1, -1})}, wanted));
  EXPECT_FALSE(gives(text, {Tensor({3, 2}, {2, 0, 0, 1, -1, -1})}, wanted));
}

TEST_F(OracleAttn, SoftCap) {
  std::string text = attend("", R"(score {
        ^bb0(%s: f32, %h: index, %n: index, %m: index):
          %a = arith.divf %s, %c2 : f32
          %b = math.tanh %a : f32
          %c = arith.mulf %b, %c2 : f32
          attn.yield %c : f32
        })");
  auto wanted = base();
  wanted.score = [](reference::Number s, const Shape &) {
    using namespace reference;
    return mul(tanh(div(s, {2, 0})), {2, 0});
  };
  EXPECT_TRUE(gives(text, {}, wanted));
  EXPECT_FALSE(gives(text, {}, base()));
}

// The indices are absolute, and in the order of the score letters.
TEST_F(OracleAttn, AlibiWithOffsets) {
  std::string text = attend(", %slope: tensor<2xf32>, %p: index",
                            R"(offsets "n"(%p) score {
        ^bb0(%s: f32, %h: index, %n: index, %m: index):
          %slope_h = tensor.extract %slope[%h] : tensor<2xf32>
          %d = arith.subi %m, %n : index
          %i = arith.index_cast %d : index to i64
          %x = arith.sitofp %i : i64 to f32
          %b = arith.mulf %slope_h, %x : f32
          %t = arith.addf %s, %b : f32
          %late = arith.cmpi sgt, %m, %n : index
          %u = arith.select %late, %low, %t : f32
          attn.yield %u : f32
        })");
  auto wanted = base();
  wanted.hasBias = true;
  wanted.biasLetters = "hnm";
  wanted.bias = Tensor({2, 3, 10});
  for (int64_t h = 0; h < 2; ++h)
    for (int64_t n = 0; n < 3; ++n)
      for (int64_t m = 0; m < 10; ++m)
        wanted.bias.at({h, n, m}) =
            m > n + 6 ? -HUGE_VAL : (h ? 0.25 : 0.5) * double(m - n - 6);
  Tensor slope({2}, {0.5, 0.25});
  EXPECT_TRUE(gives(text, {slope, scalar(6)}, wanted));
  EXPECT_FALSE(gives(text, {slope, scalar(5)}, wanted));
}

// NaN in a key that a boolean mask leaves out does not matter.
TEST_F(OracleAttn, BooleanMask) {
  std::string text = attend(", %keep: tensor<3x10xi1>", R"(score {
        ^bb0(%s: f32, %h: index, %n: index, %m: index):
          %kept = tensor.extract %keep[%n, %m] : tensor<3x10xi1>
          %t = arith.select %kept, %s, %low : f32
          attn.yield %t : f32
        })");
  Tensor keep({3, 10});
  for (int64_t m = 0; m < 10; ++m) {
    keep.at({0, m}) = m % 3 == 0;
    keep.at({1, m}) = m == 9;
  }
  for (int64_t m : {1, 2, 4, 8})
    k.at({m, 0}) = v.at({m, 1}) = NAN;
  auto wanted = base();
  wanted.mask = {"nm",
                 [&](const auto &at) { return keep.at({at[0], at[1]}) != 0; }};
  EXPECT_TRUE(gives(text, {keep}, wanted));
  Tensor other = keep;
  other.at({1, 8}) = 1;
  EXPECT_FALSE(gives(text, {other}, wanted));
}

TEST_F(OracleAttn, ErrorsInAScoreSayWhere) {
  std::string text = attend("", R"(score {
        ^bb0(%s: f32, %h: index, %n: index, %m: index):
          %t = math.erf %s : f32
          attn.yield %t : f32
        })");
  std::string error = errorOf(text, {q, k, v});
  EXPECT_NE(error.find("'math.erf' at"), std::string::npos) << error;
  EXPECT_EQ(error.find("attn.attention"), std::string::npos) << error;
}

TEST_F(OracleAttn, SoftmaxSink) {
  const char *text = R"(
    func.func @f(%s: tensor<2x2xf32>, %sink: tensor<2xf32>)
        -> tensor<2x2xf32> {
      %y = attn.softmax "hm" over "m"(%s) sink "h"(%sink : tensor<2xf32>)
        : tensor<2x2xf32>
      return %y : tensor<2x2xf32>
    })";
  Tensor sink({2}, {std::log(2.0), -HUGE_VAL});
  Tensor y = evaluate(text, {Tensor({2, 2}), sink});
  EXPECT_NEAR(y.value[0], 0.25, 1e-15);
  EXPECT_NEAR(y.value[3], 0.5, 1e-15);
}

// Parts that are merged, and merged with more, are the whole.
TEST_F(OracleAttn, MergeOfParts) {
  std::string part = R"mlir(
      %y@, %l@ = attn.attention "hnk, mk, mv -> hnv"
        query(%q : tensor<2x3x8xf32>) key(%k : tensor<10x8xf32>)
        value(%v : tensor<10x8xf32>) scale 0.5
        mask #attn.mask<"m", "(m) : (m - ^ >= 0, $ - m >= 0)">()
        outs(%init : tensor<2x3x8xf32>) lse(%none : tensor<2x3xf32>)
        -> tensor<2x3x8xf32>, tensor<2x3xf32>
      %t@ = arith.mulf %l@, %log2e : tensor<2x3xf32>
      %m@ = tensor.expand_shape %t@ [[0, 1], [2]] output_shape [1, 2, 3]
        : tensor<2x3xf32> into tensor<1x2x3xf32>
      %a@ = tensor.expand_shape %y@ [[0, 1], [2], [3]]
        output_shape [1, 2, 3, 8]
        : tensor<2x3x8xf32> into tensor<1x2x3x8xf32>)mlir";
  auto of = [&](char number, char first, char last) {
    std::string text;
    for (char c : part)
      text += c == '@' ? number : c == '^' ? first : c == '$' ? last : c;
    return text;
  };
  std::string text = R"(
    func.func @f(%q: tensor<2x3x8xf32>, %k: tensor<10x8xf32>,
        %v: tensor<10x8xf32>) -> (tensor<2x3x8xf32>, tensor<2x3xf32>) {
      %init = tensor.empty() : tensor<2x3x8xf32>
      %none = tensor.empty() : tensor<2x3xf32>
      %log2e = arith.constant dense<1.44269504> : tensor<2x3xf32>
      %one = arith.constant dense<1.0> : tensor<2x2x3xf32>)" +
                     of('0', '0', '6') + of('1', '7', '9') + R"(
      %m = tensor.concat dim(0) %m0, %m1
        : (tensor<1x2x3xf32>, tensor<1x2x3xf32>) -> tensor<2x2x3xf32>
      %a = tensor.concat dim(0) %a0, %a1
        : (tensor<1x2x3x8xf32>, tensor<1x2x3x8xf32>) -> tensor<2x2x3x8xf32>
      %y, %lse = attn.merge "hn, hnv -> hnv"(%m, %one, %a
          : tensor<2x2x3xf32>, tensor<2x2x3xf32>, tensor<2x2x3x8xf32>)
        outs(%init : tensor<2x3x8xf32>) lse(%none : tensor<2x3xf32>)
        -> tensor<2x3x8xf32>, tensor<2x3xf32>
      return %y, %lse : tensor<2x3x8xf32>, tensor<2x3xf32>
    })";
  auto results = tryEvaluate(text, {q, k, v});
  ASSERT_TRUE(static_cast<bool>(results))
      << llvm::toString(results.takeError());
  auto judge = [&](reference::AttentionOptions options) {
    auto whole = reference::attention("hnk, mk, mv -> hnv", q, k, v, options);
    return compare(whole.output.value, (*results)[0]).pass &&
           compare(whole.logSumExp.value, (*results)[1]).pass;
  };
  EXPECT_TRUE(judge(base()));
  EXPECT_LT((*results)[0].bound[0], 1e-5);
  auto fewer = base();
  fewer.valid = {9};
  EXPECT_FALSE(judge(fewer));
}

} // namespace
