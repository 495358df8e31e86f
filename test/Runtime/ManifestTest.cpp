//===- ManifestTest.cpp - Manifests that make no sense ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Manifest.h"
#include "RuntimeTest.h"

using namespace einhead::test;
using namespace einhead::runtime;

namespace {
einhead_status_t parse(const std::string &text) {
  Manifest manifest;
  return parseManifest(text, manifest);
}

/// One function with these arguments.
std::string withArguments(const std::string &arguments) {
  return manifestOf(R"({"name": "f", "symbol": "s", "arguments": [)" +
                    arguments + "]}");
}

std::string argument(const std::string &fields) {
  return withArguments(R"({"name": "x", )" + fields + "}");
}
} // namespace

TEST(Manifest, ReadsTheExampleOfTheDocumentation) {
  Manifest manifest;
  ASSERT_OK(parseManifest(
      R"({"einhead": "0.1.0",
 "target": {"triple": "x86_64-pc-linux-gnu", "cpu": "znver4", "features": ["avx2", "avx512f"]},
 "parameters": ["model.safetensors"],
 "functions": [
  {"name": "step", "symbol": "einhead_entry_step", "advance": 1, "explain": {"any": ["thing"]},
   "arguments": [
    {"name": "token",  "kind": "input",  "type": "i64", "shape": ["b"]},
    {"name": "length", "kind": "length", "type": "i64", "shape": ["b"]},
    {"name": "k0",     "kind": "cache",  "type": "f32", "shape": ["b", 2, "m", 32], "append": 2},
    {"name": "model.norm.weight", "kind": "parameter", "type": "bf16", "shape": [256]},
    {"name": "logits", "kind": "output", "type": "f32", "shape": ["b", "m+256"]}]}]})",
      manifest));
  ASSERT_EQ(manifest.functions.size(), 1u);
  const Function &step = manifest.functions[0];
  EXPECT_EQ(step.inputCount, 1u);
  EXPECT_EQ(step.outputCount, 1u);
  EXPECT_EQ(step.advance.offset, 1);
  ASSERT_EQ(step.arguments.size(), 5u);
  EXPECT_EQ(step.arguments[2].append, 2);
  EXPECT_EQ(manifest.describe(step.arguments[4].shape[1]), "m+256");
  EXPECT_EQ(manifest.dimensionNames, (std::vector<std::string>{"b", "m"}));
  EXPECT_EQ(manifest.caches.size(), 1u);
  EXPECT_EQ(manifest.parameters.size(), 1u);
}

TEST(Manifest, RefusesWhatIsNotJSON) {
  for (const char *text :
       {"", "{", "nonsense", "{\"a\": \"\xff\"}", "{} {}", "{\"a\": 1,}"})
    expectError(parse(text), EINHEAD_CORRUPT_ARTIFACT, "not JSON", "manifest");
  expectError(parse("[]"), EINHEAD_CORRUPT_ARTIFACT, "not a JSON object");
  expectError(parse("{\"einhead\": \"1\", \"einhead\": \"2\"}"),
              EINHEAD_CORRUPT_ARTIFACT, "stands twice");
  expectError(parse(std::string(1000000, '[')), EINHEAD_CORRUPT_ARTIFACT,
              "nested deeper");
  EXPECT_OK(parse(withArguments("")));
}

TEST(Manifest, RefusesAFrameThatLacksParts) {
  expectError(parse("{}"), EINHEAD_CORRUPT_ARTIFACT, "\"einhead\"");
  expectError(parse(R"({"einhead": 1})"), EINHEAD_CORRUPT_ARTIFACT,
              "\"einhead\"");
  expectError(parse(R"({"einhead": "0"})"), EINHEAD_CORRUPT_ARTIFACT,
              "\"target\"");
  expectError(parse(R"({"einhead": "0", "target": {}})"),
              EINHEAD_CORRUPT_ARTIFACT, "\"triple\"", "target");
  const std::string start =
      R"({"einhead": "0", "target": {"triple": "x86_64-linux"})";
  expectError(parse(start + "}"), EINHEAD_CORRUPT_ARTIFACT, "\"functions\"");
  expectError(parse(start + R"(, "functions": []})"), EINHEAD_CORRUPT_ARTIFACT,
              "\"functions\"");
  expectError(parse(start + R"(, "parameters": "p", "functions": []})"),
              EINHEAD_CORRUPT_ARTIFACT, "\"parameters\"");
  expectError(parse(start + R"(, "parameters": [1], "functions": []})"),
              EINHEAD_CORRUPT_ARTIFACT, "\"parameters\"");
  expectError(parse(manifestOf("1")), EINHEAD_CORRUPT_ARTIFACT,
              "a function is not an object", "functions[0]");
  expectError(parse(manifestOf(R"({"symbol": "s"})")), EINHEAD_CORRUPT_ARTIFACT,
              "\"name\"");
  expectError(parse(manifestOf(R"({"name": "f"})")), EINHEAD_CORRUPT_ARTIFACT,
              "\"symbol\"");
  expectError(parse(manifestOf(R"({"name": "f", "symbol": "a\u0000b"})")),
              EINHEAD_CORRUPT_ARTIFACT, "\"symbol\"");
  expectError(parse(manifestOf(R"({"name": "f", "symbol": "s"})")),
              EINHEAD_CORRUPT_ARTIFACT, "\"arguments\"");
  const std::string f = R"({"name": "f", "symbol": "s", "arguments": []})";
  EXPECT_OK(parse(manifestOf(f)));
  expectError(parse(manifestOf(f + "," + f)), EINHEAD_CORRUPT_ARTIFACT,
              "two functions of one name", "functions[1]");
  for (const char *advance : {"-1", "1.5", "\"\"", "true", "\"+1\""})
    expectError(
        parse(manifestOf(R"({"name": "f", "symbol": "s", "advance": )" +
                         std::string(advance) + R"(, "arguments": []})")),
        EINHEAD_CORRUPT_ARTIFACT, "an extent is");
}

TEST(Manifest, RefusesArgumentsThatMakeNoSense) {
  const char *place = "functions[0].arguments[0]";
  EXPECT_OK(parse(argument(R"("kind": "input", "type": "f32", "shape": [1])")));
  expectError(parse(withArguments("3")), EINHEAD_CORRUPT_ARTIFACT,
              "not an object", place);
  expectError(parse(argument(R"("kind": "guess", "type": "f32", "shape": [])")),
              EINHEAD_INCOMPATIBLE_ARTIFACT, "unknown kind 'guess'", place);
  expectError(parse(argument(R"("kind": "input", "type": "f8", "shape": [])")),
              EINHEAD_INCOMPATIBLE_ARTIFACT, "unknown type 'f8'", place);
  struct Case {
    const char *fields, *text;
  };
  const Case cases[] = {
      {R"("type": "f32", "shape": [])", "\"kind\""},
      {R"("kind": "input", "shape": [])", "\"type\""},
      {R"("kind": "input", "type": "f32")", "\"shape\""},
      {R"("kind": "input", "type": "f32", "shape": "b")", "\"shape\""},
      {R"("kind": "input", "type": "f32",
          "shape": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1])",
       "\"shape\""},
      {R"("kind": "input", "type": "f32", "shape": [-1])", "an extent"},
      {R"("kind": "input", "type": "f32", "shape": [1.0])", "an extent"},
      {R"("kind": "input", "type": "f32", "shape": [null])", "an extent"},
      {R"("kind": "input", "type": "f32", "shape": [281474976710657])",
       "an extent"},
      {R"("kind": "input", "type": "f32", "shape": [18446744073709551615])",
       "an extent"},
      {R"("kind": "input", "type": "f32", "shape": [""])", "an extent"},
      {R"("kind": "input", "type": "f32", "shape": ["3m"])", "an extent"},
      {R"("kind": "input", "type": "f32", "shape": ["m+"])", "an extent"},
      {R"("kind": "input", "type": "f32", "shape": ["m+n"])", "an extent"},
      {R"("kind": "input", "type": "f32", "shape": ["m-1"])", "an extent"},
      {R"("kind": "input", "type": "f32", "shape": ["m+999999999999999"])",
       "an extent"},
      {R"("kind": "input", "type": "f32", "shape": [281474976710656, 281474976710656])",
       "overflows"},
      {R"("kind": "input", "type": "f32", "shape": [1], "append": 0)",
       "not a cache"},
      {R"("kind": "cache", "type": "f32", "shape": [1], "append": 1)",
       "\"append\""},
      {R"("kind": "cache", "type": "f32", "shape": [], "append": 0)",
       "\"append\""},
      {R"("kind": "cache", "type": "f32", "shape": [1], "append": "m")",
       "\"append\""},
      {R"("kind": "input", "type": "f32", "shape": [1], "scalar": true)",
       "a scalar has a shape"},
      {R"("kind": "input", "type": "f32", "scalar": 1)", "\"scalar\""},
      {R"("kind": "output", "type": "f32", "scalar": true)",
       "cannot be a scalar"},
      {R"("kind": "cache", "type": "f32", "scalar": true)",
       "cannot be a scalar"},
      {R"("kind": "length", "type": "f32", "shape": ["b"])", "a length is"},
      {R"("kind": "length", "type": "i64", "shape": ["b", 1])", "a length is"},
      {R"("kind": "parameter", "type": "f32", "shape": ["d"])",
       "must be numbers"},
  };
  for (const Case &c : cases)
    expectError(parse(argument(c.fields)), EINHEAD_CORRUPT_ARTIFACT, c.text,
                place);
}

TEST(Manifest, FunctionsMustAgreeOnWhatTheyShare) {
  const std::string x = R"({"name": "x", "kind": "input", "type": "f32",
                            "shape": [1]})";
  expectError(parse(withArguments(x + "," + x)), EINHEAD_CORRUPT_ARTIFACT,
              "two arguments of one name", "arguments[1]");
  auto cache = [](const char *name, const char *fields) {
    return R"({"name": ")" + std::string(name) +
           R"(", "symbol": "s", "arguments": [{"name": "k", "kind": "cache", )" +
           fields + "}]}";
  };
  const std::string first =
      cache("f", R"("type": "f32", "shape": ["b", "m"], "append": 1)");
  Manifest manifest;
  EXPECT_OK(parseManifest(
      manifestOf(first + "," +
                 cache("g", R"("type": "f32", "shape": ["b", "m"])")),
      manifest));
  ASSERT_EQ(manifest.caches.size(), 1u);
  EXPECT_EQ(manifest.caches[0].append, 1);
  for (const char *other :
       {R"("type": "f16", "shape": ["b", "m"])",
        R"("type": "f32", "shape": ["b", "n"])",
        R"("type": "f32", "shape": ["b", "m+1"])",
        R"("type": "f32", "shape": ["b"])",
        R"("type": "f32", "shape": ["b", "m"], "append": 0)"})
    expectError(parse(manifestOf(first + "," + cache("g", other))),
                EINHEAD_CORRUPT_ARTIFACT, "elsewhere", "functions[1]");
}

TEST(Manifest, EveryTruncationIsRefused) {
  const std::string text = manifestOf(fixtureFunctions);
  EXPECT_OK(parse(text));
  for (size_t size = 0; size < text.size(); ++size)
    ASSERT_EQ(parse(text.substr(0, size)), EINHEAD_CORRUPT_ARTIFACT) << size;
}
