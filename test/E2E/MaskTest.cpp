//===- MaskTest.cpp - Masks by name against their definitions ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each mask is written twice: as the name that the compiler knows, and as its
// definition, point by point.  The oracle sees the definition alone.
//
//===----------------------------------------------------------------------===//

#include "AttentionCase.h"
#include "llvm/Support/FormatVariadic.h"

using namespace einhead;
using namespace einhead::test;

namespace {
using Symbols = std::vector<int64_t>;

/// A mask by name and by definition.
struct Mask {
  const char *name; ///< of the test
  const char *text; ///< in #attn.mask; {h} is the head letter
  /// What the symbols behind p are when the first new token is at p.
  Symbols (*symbols)(int64_t p);
  /// Whether the query at q, number n of the new ones, of head h, attends m.
  bool (*attends)(int64_t q, int64_t n, int64_t h, int64_t m, const Symbols &s);
  bool takesPosition = true;
};

Symbols none(int64_t) { return {}; }

#define ATTENDS                                                                \
  [](int64_t q, int64_t n, int64_t h, int64_t m, const Symbols &s)->bool

const Mask masks[] = {{"Causal", "causal", none, ATTENDS{return m <= q;
} // namespace
}
, {"CausalUpperLeft", "causal_upper_left", none, ATTENDS{return m <= n;
}
,
    /*takesPosition=*/false
}
, {"Window", "window(70)", none, ATTENDS{return m <= q && q - m < 70;
}
}
, {"WindowAtRunTime", "window",
   [](int64_t p) -> Symbols { return {1 + p % 97}; },
   ATTENDS{return m <= q && q - m < s[0];
}
}
, {"Local", "local", none, ATTENDS{return m <= q && q - m < 32;
}
}
, {"Prefix", "prefix",
   [](int64_t p) -> Symbols { return {p % 2 ? p / 2 : p + 30}; },
   ATTENDS{return m <= q || m < s[0];
}
}
, {"Sinks", "sinks(4, 64)", none,
   ATTENDS{return m <= q && (m < 4 || q - m < 64);
}
}
, {"Strided", "strided(16)", none,
   ATTENDS{return m <= q && (q - m < 16 || (q - m) % 16 == 0);
}
}
, {"Fixed", "fixed(64, 8)", none,
   ATTENDS{return m <= q && (m / 64 == q / 64 || m % 64 >= 56);
}
}
, {"FixedPerHead", "fixed(64, 8, \"{h}\")", none,
   ATTENDS{int64_t end = 64 - 8 * h;
return m <= q && (m / 64 == q / 64 || (m % 64 >= end - 8 && m % 64 < end));
}
}
, {"Documents", "documents(100)", none, ATTENDS{return m / 100 == q / 100;
}
}
, {"DocumentsAtRunTime", "documents",
   [](int64_t p) -> Symbols { return {p / 3, p / 3 + p % 70}; },
   ATTENDS{return s[0] <= m && m < s[1];
}
}
,
}
;

struct Parameter {
  Mask mask;
  Form form;
  int64_t tokens; ///< 0: one, without a letter
};

std::vector<Parameter> parameters() {
  std::vector<Parameter> all;
  for (const Mask &mask : masks)
    for (const Form &form : kForms)
      for (int64_t tokens : {0, 5})
        all.push_back({mask, form, tokens});
  return all;
}

std::string label(const Parameter &parameter) {
  return llvm::formatv("{0}_{1}_{2}", parameter.mask.name, parameter.form.name,
                       parameter.tokens ? "Tokens" : "Token");
}

std::string nameOf(const testing::TestParamInfo<Parameter> &info) {
  return label(info.param);
}

void PrintTo(const Parameter &parameter, std::ostream *out) {
  *out << label(parameter);
}

/// The mask's letters, and the head letter in its text.
std::string maskText(const Parameter &parameter) {
  std::string text = parameter.mask.text;
  std::string head = parameter.form.rows ? "r" : "g";
  size_t at = text.find("{h}");
  std::string letters = at == text.npos ? "" : head;
  if (at != text.npos)
    text.replace(at, 3, head);
  letters += parameter.tokens ? "nm" : "m";
  return "#attn.mask<\"" + letters + "\", " + text + ">";
}

AttentionCase::Text textOf(const Parameter &parameter) {
  AttentionCase::Text text;
  size_t symbols = parameter.mask.symbols(0).size();
  std::vector<std::string> names;
  if (parameter.mask.takesPosition)
    names.push_back("%p");
  for (size_t i = 0; i < symbols; ++i)
    names.push_back("%s" + std::to_string(i));
  std::string used;
  for (const std::string &name : names) {
    text.arguments += ", " + name + ": index";
    used += (used.empty() ? "" : ", ") + name;
  }
  text.clauses = "mask " + maskText(parameter) + "(" + used + ")";
  return text;
}

class MaskByName : public testing::TestWithParam<Parameter> {};
} // namespace

TEST_P(MaskByName, IsItsDefinition) {
  const Parameter &parameter = GetParam();
  const Mask &mask = parameter.mask;
  AttentionCase attention(parameter.form, parameter.tokens, textOf(parameter));
  ASSERT_EQ(attention.error, "");
  int64_t tokens = std::max<int64_t>(parameter.tokens, 1);
  for (int64_t p : kPositions) {
    Symbols symbols = mask.symbols(p);
    // Some keys behind the last query are valid, for masks that look ahead.
    int64_t valid = p + tokens + (p % 3 ? 0 : 37);
    auto attends = [&](const Pair &at) {
      int64_t head = parameter.form.rows ? at.row : at.group;
      return mask.attends(p + at.token, at.token, head, at.key, symbols);
    };
    std::vector<std::unique_ptr<View>> views;
    std::vector<const View *> more;
    int64_t position = p;
    if (mask.takesPosition)
      views.push_back(std::make_unique<View>(&position, Symbols()));
    for (int64_t &symbol : symbols)
      views.push_back(std::make_unique<View>(&symbol, Symbols()));
    for (auto &view : views)
      more.push_back(view.get());
    attention.check(attention.run(valid, more, attends), valid, attends);
    if (HasFatalFailure()) {
      ADD_FAILURE() << "at position " << p;
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, MaskByName, testing::ValuesIn(parameters()), nameOf);

// NaN in a key that attends shows, so that its absence elsewhere says that no
// other key was used.
TEST(Mask, NaNInAnAttendedKeyShows) {
  Parameter parameter = {masks[2], kForms[1], 5};
  AttentionCase attention(parameter.form, 5, textOf(parameter));
  ASSERT_EQ(attention.error, "");
  int64_t p = 200, valid = 205;
  View position(&p, {});
  auto window = [](const Pair &at) {
    return at.key <= 200 + at.token && 200 + at.token - at.key < 70;
  };
  auto fewer = [&](const Pair &at) { return at.key != 131 && window(at); };
  EXPECT_TRUE(
      attention.judge(attention.run(valid, {&position}, window), valid, window)
          .pass);
  // Key 131 is that of the first token alone: its row is NaN, others are not.
  AttentionCase::Result result = attention.run(valid, {&position}, fewer);
  ref::Report report = attention.judge(result, valid, window);
  EXPECT_FALSE(report.pass);
  EXPECT_EQ(report.failures,
            attention.form.groups * attention.form.rows * attention.form.width);
}
