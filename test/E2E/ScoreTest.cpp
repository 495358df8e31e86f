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

struct Parameter {
  Form form;
  int64_t tokens; ///< 0: one, without a letter
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
  void checkBlocks(const std::string &letters, int64_t size, int64_t length);
  int64_t headOf(const Pair &pair) const {
    return pair.group * std::max<int64_t>(form.rows, 1) + pair.row;
  }
};

/// Each form, for one token and for several.
std::vector<Parameter> parameters() {
  std::vector<Parameter> all;
  for (const Form &form : kForms)
    for (int64_t tokens : {0, 5})
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

TEST_P(ScoreForm, Sink) {
  std::string letters = form.groups && form.rows ? "gr"
                        : form.groups            ? "g"
                                                 : "r";
  std::vector<int64_t> shape;
  for (char letter : letters)
    shape.push_back(letter == 'g' ? form.groups : form.rows);
  std::string type = "tensor<";
  for (int64_t extent : shape)
    type += std::to_string(extent) + "x";
  type += "f32>";
  AttentionCase::Text text;
  text.arguments = ", %sink: " + type;
  text.clauses = "sink \"" + letters + "\"(%sink : " + type + ")";
  text.lse = true;
  AttentionCase attention(form, tokens, text);
  ASSERT_EQ(attention.error, "");
  ref::Tensor scores =
      ref::random(shape, ref::Distribution::Normal, 5, ref::Type::F32);
  scores.value[0] = 4;
  scores.value.back() = -HUGE_VAL; // as if there were none
  std::vector<float> data = ref::toFloats(scores);
  View sink(data.data(), shape);
  for (int64_t valid : kPositions) {
    ref::AttentionOptions options;
    options.sink = {letters, scores};
    AttentionCase::Result result = attention.run(valid, {&sink}, all);
    attention.check(result, valid, all, options);
    EXPECT_FALSE(attention.judge(result, valid, all).pass) << valid;
    options.sink.scores->value[0] = 4.1;
    EXPECT_FALSE(attention.judge(result, valid, all, options).pass) << valid;
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

/// Lists of blocks for each index of `letters`, in any order and not full.
void ScoreForm::checkBlocks(const std::string &letters, int64_t size,
                            int64_t length) {
  std::vector<int64_t> shape;
  for (char letter : letters)
    shape.push_back(letter == 'g'   ? form.groups
                    : letter == 'r' ? form.rows
                                    : tokens);
  int64_t lists = ref::elementCount(shape);
  shape.push_back(length);
  std::string type = "tensor<";
  for (int64_t extent : shape)
    type += std::to_string(extent) + "x";
  type += "i64>";
  AttentionCase::Text text;
  text.arguments = ", %blocks: " + type;
  text.clauses = llvm::formatv("blocks \"{0}\"(%blocks : {1}) size {2}",
                               letters, type, size);
  AttentionCase attention(form, tokens, text);
  ASSERT_EQ(attention.error, "");
  std::vector<int64_t> blocks(lists * length);
  View view(blocks.data(), shape);
  std::mt19937 random(3);
  for (int64_t valid : kPositions) {
    for (int64_t list = 0; list < lists; ++list) {
      std::vector<int64_t> order;
      for (int64_t block = 0; block < (valid + size - 1) / size; ++block)
        order.push_back(block);
      order.resize(std::max<int64_t>(order.size(), length), -1);
      std::shuffle(order.begin(), order.end(), random);
      std::copy_n(order.begin(), length, &blocks[list * length]);
    }
    auto listed = [&](const Pair &at) {
      int64_t list = 0;
      for (size_t i = 0; i < letters.size(); ++i)
        list = list * shape[i] + (letters[i] == 'g'   ? at.group
                                  : letters[i] == 'r' ? at.row
                                                      : at.token);
      auto first = blocks.begin() + list * length;
      return std::find(first, first + length, at.key / size) != first + length;
    };
    attention.check(attention.run(valid, {&view}, listed), valid, listed);
    if (HasFatalFailure())
      return;
  }
}

TEST_P(ScoreForm, BlockLists) { checkBlocks(form.groups ? "g" : "", 16, 6); }

// More listed keys than a chunk has.
TEST_P(ScoreForm, LongBlockLists) {
  checkBlocks(form.groups ? "g" : "", 40, 15);
}

TEST_P(ScoreForm, BlockListsByRow) { checkBlocks(rows(), 16, 6); }

// A bias, a window, a soft-cap, a sink and the log-sum-exp at once.
TEST_P(ScoreForm, Together) {
  std::string head = form.rows ? "r" : "g";
  int64_t headCount = form.rows ? form.rows : form.groups;
  AttentionCase::Text text;
  text.arguments = llvm::formatv(", %p: index, %bias: tensor<{0}xf32>, "
                                 "%sink: tensor<{1}xf32>",
                                 kCapacity, headCount);
  text.ops = constants();
  text.bias = llvm::formatv("bias \"m\"(%bias : tensor<{0}xf32>)", kCapacity);
  text.clauses = llvm::formatv("mask #attn.mask<\"{0}\", window(70)>(%p) sink "
                               "\"{1}\"(%sink : tensor<{2}xf32>) score {{\n",
                               tokens ? "nm" : "m", head, headCount)
                     .str() +
                 header() + R"(
    %a = arith.divf %s, %cap : f32
    %b = math.tanh %a : f32
    %c = arith.mulf %b, %cap : f32
    attn.yield %c : f32
  })";
  text.lse = true;
  AttentionCase attention(form, tokens, text);
  ASSERT_EQ(attention.error, "");
  ref::AttentionOptions options;
  options.hasBias = true;
  options.biasLetters = "m";
  options.bias = ref::random({kCapacity}, ref::Distribution::Normal, 8);
  options.sink = {head, ref::random({headCount}, ref::Distribution::Normal, 9)};
  options.score = [](ref::Number s, const std::vector<int64_t> &) {
    return ref::mul(ref::tanh(ref::div(s, {0.75, 0})), {0.75, 0});
  };
  std::vector<float> bias = ref::toFloats(options.bias),
                     sinks = ref::toFloats(*options.sink.scores);
  View viewBias(bias.data(), {kCapacity}), viewSink(sinks.data(), {headCount});
  for (int64_t p : kPositions) {
    int64_t at = p, valid = p + newTokens;
    View position(&at, {});
    auto window = [&](const Pair &at) {
      int64_t q = p + at.token;
      return at.key <= q && q - at.key < 70;
    };
    AttentionCase::Result result =
        attention.run(valid, {&position, &viewBias, &viewSink}, window);
    attention.check(result, valid, window, options);
    ref::AttentionOptions other = options;
    for (double &x : other.bias.value)
      x = -x;
    EXPECT_FALSE(attention.judge(result, valid, window, other).pass) << p;
    other = options;
    other.score = nullptr;
    EXPECT_FALSE(attention.judge(result, valid, window, other).pass) << p;
  }
}

INSTANTIATE_TEST_SUITE_P(, ScoreForm, testing::ValuesIn(parameters()), nameOf);
