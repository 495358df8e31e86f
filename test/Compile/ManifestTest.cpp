//===- ManifestTest.cpp - What modules say of themselves --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CompileTest.h"
#include "llvm/Support/JSON.h"

using namespace einhead;
using namespace einhead::test;

/// The first function of the manifest of a module file.
static llvm::json::Object functionOf(const std::string &bytes) {
  Loaded loaded(bytes, {{"b", 1}, {"m", 8}});
  auto value = llvm::json::parse(einhead_module_manifest(loaded.module));
  if (!value) {
    ADD_FAILURE() << llvm::toString(value.takeError());
    return {};
  }
  return std::move(
      *(*value->getAsObject()->getArray("functions"))[0].getAsObject());
}

static std::string textOf(const llvm::json::Value &value) {
  std::string text;
  llvm::raw_string_ostream(text) << value;
  return text;
}

TEST(Manifest, ListsArgumentsThenOutputs) {
  Compiler compiler(R"(
func.func @step(%x: tensor<?x4xf32> {attn.name = "x", attn.shape = "b, d"},
                %n: tensor<?xi64> {attn.length, attn.name = "n", attn.shape = "b"},
                %k: tensor<?x?x4xf32> {attn.cache, attn.name = "k", attn.shape = "b, m, 4"},
                %s: f32)
    -> (tensor<?x4xf32> {attn.name = "y", attn.shape = "b, 4"},
        tensor<?x?x4xf32> {attn.cache = "k"}) {
  %k1 = attn.append "bd -> bmd"(%x into %k at %n : tensor<?xi64>)
    : tensor<?x4xf32> into tensor<?x?x4xf32>
  %y = arith.addf %x, %x : tensor<?x4xf32>
  return %y, %k1 : tensor<?x4xf32>, tensor<?x?x4xf32>
})");
  std::string bytes = compiler.compile(EmitKind::Module);
  ASSERT_FALSE(bytes.empty()) << compiler.error;
  llvm::json::Object function = functionOf(bytes);
  EXPECT_EQ(function.getString("symbol"), "einhead_entry_step");
  EXPECT_EQ(function.getInteger("advance"), 1);
  const llvm::json::Array &arguments = *function.getArray("arguments");
  ASSERT_EQ(arguments.size(), 5u);
  const char *wanted[] = {
      R"({"kind":"input","name":"x","shape":["b",4],"type":"f32"})",
      R"({"kind":"length","name":"n","shape":["b"],"type":"i64"})",
      R"({"append":1,"kind":"cache","name":"k","shape":["b","m",4],"type":"f32"})",
      R"({"kind":"input","name":"arg3","scalar":true,"shape":[],"type":"f32"})",
      R"({"kind":"output","name":"y","shape":["b",4],"type":"f32"})"};
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(textOf(arguments[i]), wanted[i]);
}

TEST(Manifest, RefusesWhatACallerCannotPass) {
  struct {
    const char *text, *wanted;
  } cases[] = {
      {"func.func @f(%x: tensor<4xi16>) { return }", "argument #0 has type"},
      {"func.func @f(%x: tensor<4xf32> {attn.name = \"x\"}, "
       "%y: tensor<4xf32> {attn.name = \"x\"}) { return }",
       "two arguments or results named \"x\""},
      {"func.func @f(%x: tensor<?xf32> {attn.parameter = \"w\", "
       "attn.shape = \"n\"}) { return }",
       "its extents must be numbers"},
      {"func.func private @f(%x: tensor<4xf32>) { return }",
       "no public function"}};
  for (const auto &[text, wanted] : cases) {
    Compiler compiler(text);
    EXPECT_EQ(compiler.compile(EmitKind::Module), "");
    EXPECT_NE(compiler.error.find(wanted), std::string::npos) << compiler.error;
    EXPECT_EQ(compiler.code, std::errc::invalid_argument);
  }
}
