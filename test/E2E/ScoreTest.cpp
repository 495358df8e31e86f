//===- ScoreTest.cpp - Score regions, blocks, sinks, log-sum-exp ----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttentionCase.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <random>

using namespace einhead;
using namespace einhead::test;

namespace {

const int64_t kTokens[] = {0, 5};

/// Every form, for one token and for several.
struct Parameter {
  Form form;
  int64_t tokens;
};

class ScoreForm : public testing::TestWithParam<Parameter> {
protected:
  const Form &form = GetParam().form;
  int64_t tokens = GetParam().tokens;
  int64_t newTokens = std::max<int64_t>(GetParam().tokens, 1);

  std::string rows() const {
    return std::string(form.groups ? "g" : "") + (form.rows ? "r" : "") +
           (tokens ? "n" : "");
  }
  int64_t heads() const {
    return std::max<int64_t>(form.groups, 1) * std::max<int64_t>(form.rows, 1);
  }
  /// "^bb0(%s: f32, %g: index, .., %m: index):"
  std::string header() const {
    std::string text = "^bb0(%s: f32";
    for (char letter : rows() + "m")
      text += std::string(", %i") + letter + ": index";
    return text + "):";
  }
  /// %n in the region: the token's number.
  std::string token() const {
    return tokens ? "%n = arith.addi %in, %c0 : index"
                  : "%n = arith.addi %c0, %c0 : index";
  }
  /// %h in the region: the query head over all groups.
  std::string head() const {
    return llvm::formatv("%gs = arith.muli {0}, %rows : index\n"
                         "%h = arith.addi %gs, {1} : index\n",
                         form.groups ? "%ig" : "%c0",
                         form.rows ? "%ir" : "%c0");
  }
  std::string constants() const {
    return llvm::formatv("  %c0 = arith.constant 0 : index\n"
                         "  %rows = arith.constant {0} : index\n"
                         "  %low = arith.constant 0xFF800000 : f32\n"
                         "  %cap = arith.constant 0.75 : f32\n",
                         std::max<int64_t>(form.rows, 1));
  }
  int64_t headOf(const Pair &pair) const {
    return pair.group * std::max<int64_t>(form.rows, 1) + pair.row;
  }
};

std::vector<Parameter> parameters() {
  std::vector<Parameter> all;
  for (const Form &form : kForms)
    for (int64_t tokens : kTokens)
      all.push_back({form, tokens});
  return all;
}

std::string label(const Parameter &parameter) {
  return llvm::formatv("{0}_{1}", parameter.form.name,
                       parameter.tokens ? "Tokens" : "Token");
}

std::string nameOf(const testing::TestParamInfo<Parameter> &info) {
  return label(info.param);
}

void PrintTo(const Parameter &parameter, std::ostream *out) {
  *out << label(parameter);
}

bool all(const Pair &) { return true; }

} // namespace

TEST_P(ScoreForm, SoftCap) {
  AttentionCase::Text text;
  text.ops = constants();
  text.clauses = "score {\n" + header() + R"(
    %a = arith.divf %s, %cap : f32
    %b = math.tanh %a : f32
    %c = arith.mulf %b, %cap : f32
    attn.yield %c : f32
  })";
  AttentionCase attention(form, tokens, text);
  ASSERT_EQ(attention.error, "");
  auto capped = [](double cap) {
    ref::AttentionOptions options;
    options.score = [cap](ref::Number s, const std::vector<int64_t> &) {
      return ref::mul(ref::tanh(ref::div(s, {cap, 0})), {cap, 0});
    };
    return options;
  };
  for (int64_t valid : kPositions) {
    AttentionCase::Result result = attention.run(valid, {}, all);
    attention.check(result, valid, all, capped(0.75));
    // Another cap, and none, are seen.
    EXPECT_FALSE(valid > 1 &&
                 attention.judge(result, valid, all, capped(0.76)).pass);
    EXPECT_FALSE(valid > 1 && attention.judge(result, valid, all).pass);
  }
}

// The position enters the region from outside: indices count from the first
// new token.
TEST_P(ScoreForm, AlibiWithCausalMask) {
  AttentionCase::Text text;
  text.arguments =
      llvm::formatv(", %p: index, %slope: tensor<{0}xf32>", heads());
  text.ops = constants();
  text.clauses = std::string("mask #attn.mask<\"") + (tokens ? "nm" : "m") +
                 "\", causal>(%p) score {\n" + header() + head() + token() +
                 llvm::formatv(R"(
    %slope_h = tensor.extract %slope[%h] : tensor<{0}xf32>
    %at = arith.addi %p, %n : index
    %d = arith.subi %im, %at : index
    %i = arith.index_cast %d : index to i64
    %x = arith.sitofp %i : i64 to f32
    %b = arith.mulf %slope_h, %x : f32
    %t = arith.addf %s, %b : f32
    attn.yield %t : f32
  })",
                               heads())
                     .str();
  AttentionCase attention(form, tokens, text);
  ASSERT_EQ(attention.error, "");
  std::vector<float> slopes;
  for (int64_t h = 0; h < heads(); ++h)
    slopes.push_back(std::exp2f(-8.0f * float(h + 1) / float(heads())));
  View slope(slopes.data(), {heads()});
  for (int64_t p : kPositions) {
    int64_t at = p, valid = p + newTokens;
    View position(&at, {});
    auto causal = [&](const Pair &at) { return at.key <= p + at.token; };
    auto biased = [&](double factor) {
      ref::AttentionOptions options;
      options.score = [&, factor](ref::Number s,
                                  const std::vector<int64_t> &indices) {
        Pair at = attention.pairOf(indices);
        double slope = slopes[headOf(at)] * factor;
        double distance = double(at.key - p - at.token);
        return ref::add(s, ref::mul({slope, 0}, {distance, 0}));
      };
      return options;
    };
    AttentionCase::Result result =
        attention.run(valid, {&position, &slope}, causal);
    attention.check(result, valid, causal, biased(1));
    EXPECT_FALSE(p > 1 &&
                 attention.judge(result, valid, causal, biased(1.01)).pass);
  }
}

// What a boolean mask leaves out may be NaN.
TEST_P(ScoreForm, BooleanMask) {
  AttentionCase::Text text;
  text.arguments =
      llvm::formatv(", %keep: tensor<{0}x{1}xi1>", newTokens, kCapacity);
  text.ops = constants();
  text.clauses = "score {\n" + header() + token() +
                 llvm::formatv(R"(
    %kept = tensor.extract %keep[%n, %im] : tensor<{0}x{1}xi1>
    %t = arith.select %kept, %s, %low : f32
    attn.yield %t : f32
  })",
                               newTokens, kCapacity)
                     .str();
  AttentionCase attention(form, tokens, text);
  ASSERT_EQ(attention.error, "");
  auto keep = std::make_unique<bool[]>(newTokens * kCapacity);
  std::mt19937 random(7);
  View mask(keep.get(), {newTokens, kCapacity});
  for (int64_t valid : kPositions) {
    // Every density, from none at all.
    for (int64_t i = 0; i < newTokens * kCapacity; ++i)
      keep[i] = int64_t(random() % 100) < (valid * 37) % 101;
    auto kept = [&](const Pair &at) {
      return keep[at.token * kCapacity + at.key];
    };
    attention.check(attention.run(valid, {&mask}, kept), valid, kept);
  }
}

TEST_P(ScoreForm, LogSumExp) {
  AttentionCase::Text text;
  text.arguments = ", %p: index";
  text.clauses = std::string("mask #attn.mask<\"") + (tokens ? "nm" : "m") +
                 "\", causal>(%p)";
  text.lse = true;
  AttentionCase attention(form, tokens, text);
  ASSERT_EQ(attention.error, "");
  // At a negative position the first rows attend no key: 0 and -inf.
  for (int64_t p : {-5, -3, 0, 1, 63, 64, 65, 511, 512, 513, 600}) {
    int64_t at = p, valid = p + newTokens;
    if (valid < 0)
      continue;
    View position(&at, {});
    auto causal = [&](const Pair &at) { return at.key <= p + at.token; };
    AttentionCase::Result result = attention.run(valid, {&position}, causal);
    attention.check(result, valid, causal);
    result.lse.back() += 1e-3f;
    EXPECT_FALSE(valid > 0 && attention.judge(result, valid, causal).pass);
    result.lse.back() = 0;
    EXPECT_FALSE(attention.judge(result, valid, causal).pass);
  }
}

INSTANTIATE_TEST_SUITE_P(, ScoreForm, testing::ValuesIn(parameters()), nameOf);
