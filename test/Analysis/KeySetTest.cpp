//===- KeySetTest.cpp - Derived keys against the points of the mask -------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/KeySet.h"
#include "einhead/IR/Mask.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"
#include <set>

using namespace einhead::attn;
using namespace mlir;

namespace {
/// A mask over "nm" by name, with one symbol or none.
class Masks : public testing::TestWithParam<const char *> {
protected:
  MaskAttr parse(llvm::StringRef name) {
    context.loadDialect<AttnDialect>();
    return cast<MaskAttr>(
        parseAttribute("#attn.mask<\"nm\", " + name.str() + ">", &context));
  }

  /// Whether query n (with the position p) attends key m: the union of the
  /// sets.
  static bool holds(MaskAttr mask, int64_t n, int64_t m, int64_t p) {
    unsigned symbols = mask.getSets().front().getValue().getNumSymbols();
    return contains(mask, {n, m}, SmallVector<int64_t>(symbols, p));
  }

  MLIRContext context;
};
} // namespace

/// The keys that the parts of a mask make `n` queries at `p` visit, in order.
static std::vector<int64_t> visited(MaskAttr mask, int64_t n, int64_t p,
                                    int64_t keys) {
  std::vector<int64_t> result;
  for (MaskAttr part : disjointMasks(mask)) {
    bool listed = isSparse(part, 'm');
    for (int64_t query = 0; query < (listed ? n : 1); ++query) {
      KeySet set = KeySet::get(part, 'm', {listed ? 1 : n});
      SmallVector<int64_t> symbols = {query, p, keys};
      symbols.resize(set.numSymbols, keys);
      if (set.numSymbols == 2) // no position
        symbols[1] = keys;
      if (listed) {
        const SparseKeys &list = *set.sparse;
        int64_t first = *list.firstBlock.evaluate(symbols),
                last = *list.lastBlock.evaluate(symbols);
        KeyBound base{true, {{list.base}}};
        AffineMap map = list.map(mask.getContext());
        for (int64_t i = 0; i < (last - first + 1) * list.run; ++i) {
          SmallVector<Attribute> numbers, key;
          for (int64_t number : {i, first, *base.evaluate(symbols)})
            numbers.push_back(
                IntegerAttr::get(IndexType::get(mask.getContext()), number));
          EXPECT_TRUE(succeeded(map.constantFold(numbers, key)));
          result.push_back(cast<IntegerAttr>(key.front()).getInt());
        }
        continue;
      }
      int64_t first = *set.first.evaluate(symbols),
              last = *set.last.evaluate(symbols);
      for (int64_t key = std::max<int64_t>(first, 0);
           key <= std::min(last, keys - 1); ++key)
        result.push_back(key);
    }
  }
  return result;
}

// Every key that some query attends is visited, and with one query no other.
TEST_P(Masks, VisitsTheKeysThatAttend) {
  MaskAttr mask = parse(GetParam());
  for (int64_t n : {1, 5})
    for (int64_t p : {0, 1, 15, 16, 17, 63, 64, 100, 150}) {
      int64_t keys = p + n;
      std::vector<int64_t> walked = visited(mask, n, p, keys);
      std::set<int64_t> distinct;
      for (int64_t key : walked)
        if (key >= 0 && key < keys)
          distinct.insert(key);
      for (int64_t m = 0; m < keys; ++m) {
        bool attends = false;
        for (int64_t query = 0; query < n; ++query)
          attends |= holds(mask, query, m, p);
        EXPECT_TRUE(!attends || distinct.count(m)) << m << " of " << p;
        EXPECT_TRUE(n > 1 || attends || !distinct.count(m)) << m << " of " << p;
      }
      if (n == 1)
        EXPECT_EQ(walked.size(), distinct.size()) << "a key twice, at " << p;
    }
}

// All queries attend the keys between the full bounds.
TEST_P(Masks, FullKeysAttendForAllQueries) {
  MaskAttr mask = parse(GetParam());
  bool some = false;
  for (MaskAttr part : disjointMasks(mask))
    for (int64_t n : {1, 5})
      for (int64_t p : {0, 17, 64, 150}) {
        KeySet set = KeySet::get(part, 'm', {n});
        if (!set.mayBeFull)
          continue;
        SmallVector<int64_t> symbols = {0, p, p + n};
        symbols.resize(set.numSymbols, p + n);
        // As the loops do: the full keys are those of the hull.
        int64_t first = std::max(*set.first.evaluate(symbols),
                                 set.fullFirst.evaluate(symbols).value_or(0)),
                last = std::min(
                    *set.last.evaluate(symbols),
                    set.fullLast.evaluate(symbols).value_or(p + n - 1));
        for (int64_t m = std::max<int64_t>(first, 0);
             m <= std::min(last, p + n - 1); ++m) {
          some = true;
          for (int64_t query = 0; query < n; ++query)
            EXPECT_TRUE(holds(part, query, m, p)) << m << " of " << p;
        }
      }
  // A mask that is never full would test nothing.
  EXPECT_TRUE(some);
}

INSTANTIATE_TEST_SUITE_P(, Masks,
                         testing::Values("causal", "window(16)", "local",
                                         "sinks(4, 20)", "strided(16)",
                                         "fixed(32, 4)", "documents(32)",
                                         "causal_upper_left"));

// Child 2019: with a stride of sqrt(n) a query reads O(sqrt(n)) keys.
TEST_F(Masks, StridedAndFixedReadTheRootOfTheKeys) {
  constexpr int64_t keys = 16384;
  EXPECT_EQ(visited(parse("strided(128)"), 1, keys - 1, keys).size(),
            128u + 127u);
  EXPECT_EQ(visited(parse("fixed(128, 1)"), 1, keys - 1, keys).size(),
            128u + 127u);
  EXPECT_EQ(visited(parse("fixed(128, 8)"), 1, keys - 1, keys).size(),
            128u + 127u * 8u);
  EXPECT_EQ(visited(parse("causal"), 1, keys - 1, keys).size(), size_t(keys));
}

// A condition on other letters and symbols says where there are keys at all,
// and does not make full tiles partial.
TEST_F(Masks, ConditionsSayWhereThereAreKeys) {
  context.loadDialect<AttnDialect>();
  auto parsed = [&](llvm::StringRef set) {
    return cast<MaskAttr>(parseAttribute(
        "#attn.mask<\"hm\", \"(h, m)[p] : (" + set.str() + ")\">", &context));
  };
  auto where = [](const KeySet &keys, int64_t h) {
    return llvm::all_of(keys.where.front(), [&](AffineExpr condition) {
      return *KeyBound{true, {{condition}}}.evaluate({h, 70, 100}) >= 0;
    });
  };
  KeySet one = KeySet::get(parsed("h - 4 >= 0, p - m >= 0"), 'm', {1});
  ASSERT_EQ(one.where.size(), 1u);
  for (int64_t h = 0; h < 8; ++h)
    EXPECT_EQ(where(one, h), h >= 4) << h;
  EXPECT_TRUE(one.mayBeFull);
  // Of three heads one may have keys, and not every head has them.
  KeySet three = KeySet::get(parsed("h - 4 >= 0, p - m >= 0"), 'm', {3});
  ASSERT_EQ(three.where.size(), 1u);
  for (int64_t h = 0; h < 8; ++h)
    EXPECT_EQ(where(three, h), h + 2 >= 4) << h;
  EXPECT_FALSE(three.mayBeFull);
  EXPECT_TRUE(KeySet::get(parsed("p - m >= 0"), 'm', {1}).where.empty());
  EXPECT_TRUE(
      KeySet::get(parsed("p - m >= 0, h mod 3 >= 0"), 'm', {1}).where.empty());
}

// Overlapping sets are walked once.
TEST_F(Masks, OverlappingSetsBecomeDisjoint) {
  context.loadDialect<AttnDialect>();
  auto mask = cast<MaskAttr>(parseAttribute(
      R"mask(#attn.mask<"nm", "(n, m)[p] : (p + n - m >= 0, 20 - m >= 0)",
         "(n, m)[p] : (p + n - m >= 0, m - p - n + 30 >= 0)">)mask",
      &context));
  for (int64_t p : {5, 25, 40, 100}) {
    std::vector<int64_t> keys = visited(mask, 1, p, p + 1);
    std::set<int64_t> distinct(keys.begin(), keys.end());
    EXPECT_EQ(keys.size(), distinct.size()) << p;
    EXPECT_EQ(distinct.size(), std::min<size_t>(p + 1, p < 52 ? p + 1 : 52));
  }
}
