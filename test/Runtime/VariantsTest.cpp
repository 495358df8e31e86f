//===- VariantsTest.cpp - Which code of several a machine runs ------------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "RuntimeTest.h"
#include "cpu/Targets.h"

#include <set>

using namespace einhead::test;
using namespace einhead::runtime;

namespace {
/// A machine with these features that grants tiles or not.
class FakeMachine final : public Machine {
public:
  FakeMachine(std::set<std::string> present, bool grants)
      : present(std::move(present)), grants(grants) {}

  std::string_view architecture() const override { return "x86_64-"; }
  Support feature(std::string_view name) const override {
    static const std::set<std::string> known = {
        "avx2", "fma", "avx512f", "avx512bf16", "amx-tile", "amx-bf16"};
    if (!known.count(std::string(name)))
      return Support::Unknown;
    return present.count(std::string(name)) ? Support::Present
                                            : Support::Absent;
  }
  bool grantTiles() const override {
    ++asked;
    return grants;
  }

  std::set<std::string> present;
  bool grants;
  mutable int asked = 0;
};

const char *const linux86 = "x86_64-pc-linux-gnu";

/// From the least to the best, as the compiler writes it.
Manifest threeVariants() {
  Manifest manifest;
  manifest.target = {linux86, "x86-64-v3", {"avx2", "fma"}};
  manifest.variants = {
      {linux86, "znver4", {"avx2", "avx512bf16", "avx512f", "fma"}},
      {linux86, "sapphirerapids", {"amx-bf16", "amx-tile", "avx2", "avx512f"}}};
  return manifest;
}

/// The index that is picked, -1 for a refusal.
int pick(const Manifest &manifest, const Machine &machine) {
  size_t index = 99;
  if (pickTarget(manifest, machine, index))
    return -1;
  return static_cast<int>(index);
}

class VariantsTest : public RuntimeTest {};

/// A target whose features the machine has, or one that no machine has.
std::string targetText(bool fits) {
  return std::string(R"({"triple": ")") +
#if defined(__aarch64__)
         "aarch64-unknown-linux-gnu" +
#else
         "x86_64-pc-linux-gnu" +
#endif
         R"(", "cpu": "c", "features": [)" +
         (fits ? "" : R"("no-such-feature-avx9999", "zzz")") + "]}";
}

/// A file whose codes fill with -1, -2, -1, ... where the targets fit.
std::string variantFile(const std::vector<bool> &fits, size_t codes) {
  std::string list;
  for (size_t i = 1; i < fits.size(); ++i)
    list += (i > 1 ? ", " : "") + targetText(fits[i]);
  std::string manifest = R"({"einhead": "0.1.0", "target": )" +
                         targetText(fits[0]) + R"(, "variants": [)" + list +
                         R"(], "functions": [
        {"name": "grow", "symbol": "entry_grow", "arguments": [
          {"name": "x", "kind": "input", "type": "i64", "shape": ["m+1"]},
          {"name": "y", "kind": "output", "type": "i64", "shape": ["m+2"]}]}]})";
  std::vector<Section> sections = {{1, 1, manifest}, {2, 1, fixtureCode()}};
  for (size_t i = 1; i < codes; ++i)
    sections.push_back({3, 0, fixtureCode(i % 2 ? "filler" : "fixture")});
  return writeContainer(sections);
}

/// What the code of a module fills with.
int64_t fillerOf(const Module &module) {
  einhead_session_t *session = nullptr;
  EXPECT_OK(einhead_session_create(module.get(), nullptr, &session));
  Tensor x(i64, {2}), y(i64, {3});
  EXPECT_OK(einhead_session_call(session, "grow", &x.dl, 1, &y.dl, 1));
  int64_t filler = y.data<int64_t>()[2];
  einhead_session_release(session);
  return filler;
}
} // namespace

TEST_F(VariantsTest, TheLastThatFitsIsTaken) {
  Manifest three = threeVariants();
  EXPECT_EQ(pick(three, FakeMachine({"avx2", "fma"}, false)), 0);
  EXPECT_EQ(
      pick(three, FakeMachine({"avx2", "fma", "avx512f", "avx512bf16"}, false)),
      1);
  std::set<std::string> all = {"avx2",       "fma",      "avx512f",
                               "avx512bf16", "amx-tile", "amx-bf16"};
  EXPECT_EQ(pick(three, FakeMachine(all, true)), 2);
  // The order decides, not what is newer.
  std::swap(three.variants[0], three.variants[1]);
  EXPECT_EQ(pick(three, FakeMachine(all, true)), 2);
  EXPECT_EQ(three.variants[1].cpu, "znver4");
}

TEST_F(VariantsTest, ARefusalOfTilesFallsBack) {
  Manifest three = threeVariants();
  FakeMachine machine(
      {"avx2", "fma", "avx512f", "avx512bf16", "amx-tile", "amx-bf16"},
      /*grants=*/false);
  EXPECT_EQ(pick(three, machine), 1);
  EXPECT_EQ(machine.asked, 1);
  // Nothing is asked of the system for code that cannot run anyway, or that
  // has no tiles.
  FakeMachine old({"avx2", "fma", "amx-tile", "amx-bf16"}, true);
  EXPECT_EQ(pick(three, old), 0);
  EXPECT_EQ(old.asked, 0);
  three.variants.pop_back();
  machine.asked = 0;
  EXPECT_EQ(pick(three, machine), 1);
  EXPECT_EQ(machine.asked, 0);
  // Alone, it is an error of its own.
  Manifest alone;
  alone.target = threeVariants().variants[1];
  size_t index = 0;
  expectError(pickTarget(alone, machine, index), EINHEAD_INCOMPATIBLE_ARTIFACT,
              "does not grant the tile registers", "features");
}

TEST_F(VariantsTest, TheErrorSaysWhatEachLacks) {
  size_t index = 0;
  expectError(
      pickTarget(threeVariants(), FakeMachine({"fma", "amx-tile"}, true),
                 index),
      EINHEAD_INCOMPATIBLE_ARTIFACT,
      "none of the module's 3 variants runs here: sapphirerapids lacks "
      "amx-bf16, avx2, avx512f; znver4 lacks avx2, avx512bf16, avx512f; "
      "x86-64-v3 lacks avx2; compile for this CPU too",
      "variants");
  Manifest other = threeVariants();
  other.target.triple = "aarch64-unknown-linux-gnu";
  other.variants[0].features = {"avx9"};
  expectError(
      pickTarget(other,
                 FakeMachine({"avx2", "avx512f", "amx-tile", "amx-bf16"},
                             /*grants=*/false),
                 index),
      EINHEAD_INCOMPATIBLE_ARTIFACT,
      "sapphirerapids needs tile registers, which the system does not grant; "
      "znver4 needs the unknown avx9; x86-64-v3 is for aarch64");
  // Many long reasons still fit the error's buffer.
  Manifest many;
  many.target = {linux86, std::string(300, 'c'), {"avx2"}};
  many.variants.assign(40, many.target);
  expectError(pickTarget(many, FakeMachine({}, false), index),
              EINHEAD_INCOMPATIBLE_ARTIFACT, "; compile for this CPU too");
}

TEST_F(VariantsTest, FilesWithSeveralCodes) {
  EXPECT_EQ(fillerOf(open(variantFile({true, true}, 2))), -2);
  EXPECT_EQ(fillerOf(open(variantFile({true, false}, 2))), -1);
  EXPECT_EQ(fillerOf(open(variantFile({false, true}, 2))), -2);
  EXPECT_EQ(fillerOf(open(variantFile({false, true, true}, 3))), -1);
  EXPECT_EQ(fillerOf(open(variantFile({true, true, false}, 3))), -2);
  expectRefused(variantFile({false, false}, 2), EINHEAD_INCOMPATIBLE_ARTIFACT,
                "none of the module's 2 variants");
}

TEST_F(VariantsTest, RefusesFilesThatContradictThemselves) {
  expectRefused(variantFile({true, true}, 1), EINHEAD_CORRUPT_ARTIFACT,
                "1 variants, and the file has code for 0", "variants");
  expectRefused(variantFile({true}, 2), EINHEAD_CORRUPT_ARTIFACT,
                "0 variants, and the file has code for 1");
  auto replaced = [](const std::string &by) {
    std::string manifest =
        manifestOf(R"({"name": "f", "symbol": "entry_grow", "arguments": []})");
    manifest.insert(1, "\"variants\": " + by + ", ");
    return writeContainer(
        {{1, 1, manifest}, {2, 1, fixtureCode()}, {3, 0, fixtureCode()}});
  };
  expectRefused(replaced("7"), EINHEAD_CORRUPT_ARTIFACT,
                "\"variants\" is not a list");
  expectRefused(replaced("[7]"), EINHEAD_CORRUPT_ARTIFACT,
                "a target is not an object", "variants[0]");
  expectRefused(replaced(R"([{"cpu": "c"}])"), EINHEAD_CORRUPT_ARTIFACT,
                "\"triple\"", "variants[0]");
}
