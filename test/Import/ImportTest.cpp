//===- ImportTest.cpp - The graph of an imported model ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Import.h"
#include "SyntheticModel.h"
#include "einhead/IR/Attn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include <gtest/gtest.h>

using namespace llvm;
using namespace einhead;
using namespace einhead::test;

namespace {

std::string imported(const TemporaryFolder &folder,
                     ImportOptions options = {}) {
  if (options.outputPath.empty())
    options.outputPath = folder.file("step.mlir");
  Expected<std::string> text = importLlama(folder.path, options);
  if (text)
    return *text;
  ADD_FAILURE() << toString(text.takeError());
  return "";
}

/// Each of `parts` stands in the text, in this order.
void expectInOrder(const std::string &text,
                   const std::vector<std::string> &parts) {
  size_t position = 0;
  for (const std::string &part : parts) {
    size_t found = text.find(part, position);
    ASSERT_NE(found, std::string::npos) << "no '" << part << "' in\n"
                                        << text.substr(position);
    position = found + part.size();
  }
}

/// Parses and verifies.
void expectValid(const std::string &text) {
  mlir::DialectRegistry registry;
  registry.insert<attn::AttnDialect, mlir::arith::ArithDialect,
                  mlir::func::FuncDialect, mlir::linalg::LinalgDialect,
                  mlir::math::MathDialect, mlir::tensor::TensorDialect>();
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  ASSERT_TRUE(module) << text;
  EXPECT_TRUE(mlir::succeeded(mlir::verify(*module)));
}

TEST(Import, ShardsHeadsOfThreeToOneAllDtypes) {
  TemporaryFolder folder;
  SyntheticModel().writeShards(folder);
  std::string text = imported(folder);
  expectInOrder(
      text,
      {"module attributes {attn.parameters = "
       "[\"model-00001-of-00002.safetensors\", "
       "\"model-00002-of-00002.safetensors\"]}",
       "func.func @step(",
       "%token: tensor<?xi64> {attn.name = \"token\", attn.shape = \"b\"}",
       "%length: tensor<?xi64> {attn.name = \"length\", attn.shape = \"b\", "
       "attn.length}",
       "%k0: tensor<?x1x?x6xf32> {attn.name = \"k0\", attn.cache, "
       "attn.shape = \"b, 1, m, 6\"}",
       "%v1: tensor<?x1x?x6xf32>",
       "{attn.parameter = \"model.embed_tokens.weight\"}",
       "%q_proj0: tensor<18x10x", "{attn.parameter = \"lm_head.weight\"}",
       "tensor<?x11xf32> {attn.name = \"logits\", attn.shape = \"b, 11\"}",
       "tensor<?x1x?x6xf32> {attn.cache = \"k0\"}",
       "tensor<?x1x?x6xf32> {attn.cache = \"v1\"}",
       "%weights0 = attn.softmax \"bgrm\" over \"m\"(%scores0) "
       "valid(%valid : tensor<?xi64>) : tensor<?x1x3x?xf32>",
       "---- Layer 1 ----", "%keys1 = attn.append \"bgk -> bgmk\"",
       "attn.einsum \"bd, cd -> bc\"(%final, %lm_head)",
       "return %logits, %keys0, %values0, %keys1, %values1"});
  for (const char *type : {"xf32> {attn.parameter", "xf16> {attn.parameter",
                           "xbf16> {attn.parameter"})
    EXPECT_NE(text.find(type), std::string::npos) << type;
  expectValid(text);
}

TEST(Import, HeadSizeFromHiddenSizeTiedEmbeddings) {
  TemporaryFolder folder;
  SyntheticModel model;
  model.config["hidden_size"] = 8;
  model.config["num_attention_heads"] = 4;
  model.config["num_key_value_heads"] = 2;
  model.config["head_dim"] = 2;
  model.config["tie_word_embeddings"] = true;
  model.fillTensors();
  model.tensors.erase("lm_head.weight");
  model.config["head_dim"] = nullptr;
  model.write(folder);
  std::string text = imported(folder);
  expectInOrder(text,
                {"attn.parameters = [\"model.safetensors\"]",
                 "%k0: tensor<?x2x?x2xf32>", "\"b, 2, m, 2\"",
                 "dense<[1.0]> : tensor<1xf64>", "output_shape [2, 2, 2, 8]",
                 "\"bd, cd -> bc\"(%final, %embed)"});
  EXPECT_EQ(text.find("lm_head"), std::string::npos);
  expectValid(text);
}

TEST(Import, EveryDtypeAsEmbedding) {
  for (const char *dtype : {"F32", "F16", "BF16"}) {
    TemporaryFolder folder;
    SyntheticModel model;
    SyntheticTensor &table = model.tensors["model.embed_tokens.weight"];
    table.dtype = dtype;
    model.write(folder);
    expectValid(imported(folder));
  }
}

TEST(Import, ParameterPathIsRelativeToTheOutput) {
  TemporaryFolder folder;
  SyntheticModel().write(folder);
  std::string name = StringRef(folder.path).rsplit('/').second.str();
  ASSERT_FALSE(sys::fs::create_directories(folder.file("out/deep")));
  ImportOptions options;
  options.functionName = "decode";
  options.outputPath = folder.file("out/deep/step.mlir");
  expectInOrder(imported(folder, options),
                {"[\"../../model.safetensors\"]", "@decode("});
  options.outputPath = folder.path + ".mlir";
  expectInOrder(imported(folder, options),
                {"[\"" + name + "/model.safetensors\"]"});
}

/// The list of the frequencies.
std::string frequencies(const SyntheticModel &model) {
  TemporaryFolder folder;
  model.write(folder);
  auto [before, after] = StringRef(imported(folder)).split("%frequency = ");
  return after.split('\n').first.str();
}

TEST(Import, RotaryParameters) {
  SyntheticModel model;
  // 16 ^ (-2w/6) would not be as round: heads of 4 and theta 16.
  model.config["head_dim"] = 4;
  model.config["rope_theta"] = 16;
  model.fillTensors();
  const std::string plain = "arith.constant dense<[1.0, 0.25]> : tensor<2xf64>";
  EXPECT_EQ(frequencies(model), plain);
  model.config["rope_scaling"] = nullptr;
  model.config["rope_parameters"] =
      json::Object{{"rope_theta", 256}, {"rope_type", "default"}};
  EXPECT_EQ(frequencies(model),
            "arith.constant dense<[1.0, 0.0625]> : tensor<2xf64>");
  model.config["rope_parameters"] = nullptr;
  model.config["rope_scaling"] =
      json::Object{{"type", "linear"}, {"factor", 2.0}};
  EXPECT_EQ(frequencies(model),
            "arith.constant dense<[0.5, 0.125]> : tensor<2xf64>");
  // 1.0 turns 15.9 times in a context of 100 and stays, 0.25 turns 4.0 times
  // and is divided by 8.
  model.config["rope_scaling"] =
      json::Object{{"rope_type", "llama3"},
                   {"factor", 8.0},
                   {"low_freq_factor", 4.0},
                   {"high_freq_factor", 15.0},
                   {"original_max_position_embeddings", 100}};
  EXPECT_EQ(frequencies(model),
            "arith.constant dense<[1.0, 0.03125]> : tensor<2xf64>");
}

TEST(Import, MistralWithoutWindow) {
  TemporaryFolder folder;
  SyntheticModel model;
  model.config["model_type"] = "mistral";
  model.config["sliding_window"] = nullptr;
  model.write(folder);
  expectInOrder(imported(folder), {"of a Mistral model"});
}

} // namespace
