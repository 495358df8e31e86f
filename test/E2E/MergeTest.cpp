//===- MergeTest.cpp - Merges of merges are merges ------------------------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Attention over parts of the keys, joined by attn.merge in any tree, is
// attention over all of them.  Parts without a key, for all rows or for some,
// are among them.
//
//===----------------------------------------------------------------------===//

#include "../../runtime/reference/Reference.h"
#include "CompileTest.h"
#include <cmath>
#include <functional>
#include <optional>
#include <random>

using namespace einhead;
using namespace einhead::test;
namespace ref = einhead::reference;

namespace {

constexpr int64_t kRows = 3, kKeys = 90, kDepth = 8, kWidth = 5;

const char *const kText = R"mlir(
func.func @part(%q: tensor<3x8xf32>, %k: tensor<90x8xf32>, %v: tensor<90x5xf32>,
                %first: index, %last: index)
    -> (tensor<3x5xf32>, tensor<3xf32>) {
  %y0 = tensor.empty() : tensor<3x5xf32>
  %l0 = tensor.empty() : tensor<3xf32>
  %y, %lse = attn.attention "rk, mk, mv -> rv" query(%q : tensor<3x8xf32>)
    key(%k : tensor<90x8xf32>) value(%v : tensor<90x5xf32>) scale 0.5
    mask <"rm", "(r, m)[f, l] : (m - f >= 0, l - m - r - 1 >= 0)">(%first, %last)
    outs(%y0 : tensor<3x5xf32>) lse(%l0 : tensor<3xf32>)
    -> tensor<3x5xf32>, tensor<3xf32>
  return %y, %lse : tensor<3x5xf32>, tensor<3xf32>
}
func.func @merge(%lse: tensor<?x3xf32> {attn.shape = "s, 3"},
                 %y: tensor<?x3x5xf32> {attn.shape = "s, 3, 5"})
    -> (tensor<3x5xf32>, tensor<3xf32>) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %lse, %c0 : tensor<?x3xf32>
  %log2e = arith.constant 1.44269504 : f32
  %one = arith.constant 1.0 : f32
  %f = tensor.splat %log2e[%n] : tensor<?x3xf32>
  %sum = tensor.splat %one[%n] : tensor<?x3xf32>
  %max = arith.mulf %lse, %f : tensor<?x3xf32>
  %y0 = tensor.empty() : tensor<3x5xf32>
  %l0 = tensor.empty() : tensor<3xf32>
  %r, %l = attn.merge "r, rv -> rv"(%max, %sum, %y
      : tensor<?x3xf32>, tensor<?x3xf32>, tensor<?x3x5xf32>)
    outs(%y0 : tensor<3x5xf32>) lse(%l0 : tensor<3xf32>)
    -> tensor<3x5xf32>, tensor<3xf32>
  return %r, %l : tensor<3x5xf32>, tensor<3xf32>
}
)mlir";

/// The keys [first, last - r) of row r.
struct Part {
  int64_t first, last;

  bool holds(int64_t row, int64_t key) const {
    return key >= first && key + row < last;
  }
};

/// What the module computed, and how far off that may be.
struct State {
  std::vector<float> output, lse;
  ref::AttentionResult reference;
};

/// What a merge gets wrong on purpose.
enum class Fault { None, EqualWeights, OtherOrder, OneLess };

class Merge : public testing::Test {
protected:
  void SetUp() override {
    Compiler compiler(kText);
    std::string bytes = compiler.compile(EmitKind::Module);
    ASSERT_EQ(compiler.error + compiler.diagnostics, "");
    module.emplace(bytes);
    ASSERT_NE(module->session, nullptr);
  }

  ref::AttentionResult attention(llvm::ArrayRef<Part> parts) const {
    ref::AttentionOptions options;
    options.scale = 0.5;
    options.mask = {"rm", [=](const std::vector<int64_t> &at) {
                      return llvm::any_of(parts, [&](const Part &part) {
                        return part.holds(at[0], at[1]);
                      });
                    }};
    return ref::attention("rk, mk, mv -> rv", q, k, v, options);
  }

  State leaf(Part part) {
    State state = empty();
    state.reference = attention(part);
    std::vector<float> query = ref::toFloats(q), key = ref::toFloats(k),
                       value = ref::toFloats(v);
    View vq(query.data(), {kRows, kDepth}), vk(key.data(), {kKeys, kDepth}),
        vv(value.data(), {kKeys, kWidth}), first(&part.first, {}),
        last(&part.last, {}), y(state.output.data(), {kRows, kWidth}),
        lse(state.lse.data(), {kRows});
    module->call("part", {&vq, &vk, &vv, &first, &last}, {&y, &lse});
    return state;
  }

  State merge(std::vector<State> children, Fault fault = Fault::None) {
    State state = empty();
    state.reference = referenceMerge(children);
    if (fault == Fault::OneLess)
      children.pop_back();
    if (fault == Fault::OtherOrder)
      std::rotate(children.begin(), children.begin() + 1, children.end());
    std::vector<float> outputs, lses;
    for (const State &child : children)
      outputs.insert(outputs.end(), child.output.begin(), child.output.end());
    if (fault == Fault::OtherOrder)
      std::rotate(children.begin(), children.end() - 1, children.end());
    for (const State &child : children)
      lses.insert(lses.end(), child.lse.begin(), child.lse.end());
    if (fault == Fault::EqualWeights)
      lses.assign(lses.size(), lses[0]);
    int64_t count = children.size();
    View vl(lses.data(), {count, kRows}),
        vy(outputs.data(), {count, kRows, kWidth}),
        y(state.output.data(), {kRows, kWidth}), lse(state.lse.data(), {kRows});
    module->call("merge", {&vl, &vy}, {&y, &lse});
    return state;
  }

  /// A tree over the parts, in any order, each node of two or three.
  State tree(std::vector<Part> parts, std::mt19937 &random) {
    if (parts.size() == 1)
      return leaf(parts[0]);
    size_t count = std::min<size_t>(parts.size(), 2 + random() % 2);
    std::vector<std::vector<Part>> groups(count);
    for (size_t i = 0; i < parts.size(); ++i)
      groups[i < count ? i : random() % count].push_back(parts[i]);
    std::vector<State> children;
    for (std::vector<Part> &group : groups)
      children.push_back(tree(group, random));
    return merge(children);
  }

  /// Whether both results are attention over all parts, within what the merges
  /// may round.
  bool isAttention(const State &state, llvm::ArrayRef<Part> parts) const {
    ref::AttentionResult whole = attention(parts), wanted = state.reference;
    wanted.output.value = whole.output.value;
    wanted.logSumExp.value = whole.logSumExp.value;
    return ref::compare(state.output, wanted.output).pass &&
           ref::compare(state.lse, wanted.logSumExp).pass;
  }

  ref::Tensor q = ref::random({kRows, kDepth}, ref::Distribution::Normal, 1);
  ref::Tensor k = ref::random({kKeys, kDepth}, ref::Distribution::Normal, 2);
  ref::Tensor v = ref::random({kKeys, kWidth}, ref::Distribution::Normal, 3);
  std::optional<Loaded> module;

private:
  static State empty() {
    return {std::vector<float>(kRows * kWidth, -7),
            std::vector<float>(kRows, -7),
            {}};
  }

  static ref::AttentionResult
  referenceMerge(const std::vector<State> &children) {
    int64_t count = children.size();
    ref::Tensor max({count, kRows}), accumulator({count, kRows, kWidth});
    ref::Tensor sum({count, kRows}, std::vector<double>(count * kRows, 1));
    auto copy = [](const ref::Tensor &from, ref::Tensor &to, int64_t child) {
      std::copy(from.value.begin(), from.value.end(),
                to.value.begin() + child * from.size());
      std::copy(from.bound.begin(), from.bound.end(),
                to.bound.begin() + child * from.size());
    };
    for (int64_t i = 0; i < count; ++i) {
      copy(children[i].reference.logSumExp, max, i);
      copy(children[i].reference.output, accumulator, i);
    }
    double log2e = 1.44269504f;
    max = ref::map(max, [&](ref::Number x) {
      return ref::mul(x, {log2e, std::fabs(log2e - 1 / std::log(2.0))});
    });
    return ref::merge("r, rv -> rv", max, sum, accumulator);
  }
};

/// Three parts with keys, then one without any, one that only row 0 has, and
/// one more.
const std::vector<Part> kParts = {{0, 40},  {40, 47}, {47, 70},
                                  {70, 70}, {70, 71}, {73, 90}};

} // namespace

TEST_F(Merge, IsAssociative) {
  State a = leaf(kParts[0]), b = leaf(kParts[1]), c = leaf(kParts[2]);
  llvm::ArrayRef<Part> parts = llvm::ArrayRef(kParts).take_front(3);
  EXPECT_TRUE(isAttention(merge({merge({a, b}), c}), parts));
  EXPECT_TRUE(isAttention(merge({a, merge({b, c})}), parts));
  EXPECT_TRUE(isAttention(merge({merge({a, c}), b}), parts));
  EXPECT_TRUE(isAttention(merge({a, b, c}), parts));
  // What is not a merge of all is none of these.
  for (Fault fault : {Fault::EqualWeights, Fault::OtherOrder, Fault::OneLess}) {
    EXPECT_FALSE(isAttention(merge({merge({a, b}), c}, fault), parts));
    EXPECT_FALSE(isAttention(merge({merge({a, b}, fault), c}), parts));
    EXPECT_FALSE(isAttention(merge({a, b, c}, fault), parts));
  }
}

TEST_F(Merge, OfAnyTreeIsTheWhole) {
  for (unsigned seed = 0; seed < 100; ++seed) {
    std::mt19937 random(seed);
    std::vector<Part> parts = kParts;
    std::shuffle(parts.begin(), parts.end(), random);
    State root = tree(parts, random);
    EXPECT_TRUE(isAttention(root, parts)) << seed;
    // A key less in one part, and one more, are seen.
    std::vector<Part> others = kParts;
    ++others[2].first;
    EXPECT_FALSE(isAttention(root, others)) << seed;
    others = kParts;
    ++others[4].last;
    EXPECT_FALSE(isAttention(root, others)) << seed;
  }
}

// The empty state is neutral, on either side and by itself.
TEST_F(Merge, OfNothingIsNothing) {
  State none = leaf({20, 20}), some = leaf({20, 60});
  EXPECT_TRUE(isAttention(merge({none, some}), Part{20, 60}));
  EXPECT_TRUE(isAttention(merge({some, none}), Part{20, 60}));
  EXPECT_TRUE(isAttention(merge({merge({none, none}), some}), Part{20, 60}));
  State nothing = merge({none, merge({none, none})});
  EXPECT_TRUE(isAttention(nothing, Part{20, 20}));
  EXPECT_EQ(nothing.output, std::vector<float>(kRows * kWidth, 0));
  EXPECT_EQ(nothing.lse, std::vector<float>(kRows, -HUGE_VALF));
  EXPECT_FALSE(isAttention(nothing, Part{20, 21}));
}
