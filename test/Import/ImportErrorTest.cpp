//===- ImportErrorTest.cpp - What a bad model directory is told -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Each bad directory gets an error that names the file, the cause and a way
// out.  The tables hold the words.
//
//===----------------------------------------------------------------------===//

#include "Import.h"
#include "SyntheticModel.h"
#include "llvm/Support/FileSystem.h"
#include <functional>
#include <gtest/gtest.h>

using namespace llvm;
using namespace einhead;
using namespace einhead::test;

namespace {

/// The message of the import of `folder`, or "" where it succeeds.
std::string messageOf(const std::string &folder) {
  Expected<std::string> text = importLlama(folder, {});
  return text ? "" : toString(text.takeError());
}

void expectWords(const std::string &message,
                 const std::vector<std::string> &words) {
  for (const std::string &word : words)
    EXPECT_NE(message.find(word), std::string::npos)
        << "the message lacks '" << word << "':\n  " << message;
}

struct ConfigCase {
  const char *key;
  json::Value value;
  std::vector<std::string> words;
};

TEST(ImportError, ConfigValues) {
  json::Value null = nullptr;
  const ConfigCase cases[] = {
      {"model_type", "gpt2", {"'model_type' is 'gpt2'", "'llama'"}},
      {"model_type", null, {"'model_type' is ''"}},
      {"model_type", 3, {"'model_type' must be a string"}},
      {"hidden_act", "gelu", {"'hidden_act' is 'gelu'", "'silu'"}},
      {"attention_bias", true, {"'attention_bias' is true", "biases"}},
      {"mlp_bias", true, {"'mlp_bias' is true"}},
      {"mlp_bias", "no", {"'mlp_bias' must be true or false"}},
      {"sliding_window", 4096, {"'sliding_window' is set", "null"}},
      {"hidden_size", null, {"'hidden_size' is missing"}},
      {"hidden_size", 0, {"'hidden_size' must be a whole number from 1"}},
      {"hidden_size", 1.5, {"'hidden_size' must be a whole number"}},
      {"hidden_size", int64_t(1) << 40, {"'hidden_size'", "16777216"}},
      {"num_hidden_layers", -1, {"'num_hidden_layers' must be"}},
      {"num_key_value_heads", 2, {"'num_attention_heads' is 3", "2 of"}},
      {"head_dim", null, {"'head_dim' is missing", "10", "3"}},
      {"head_dim", 5, {"'head_dim' is 5", "even"}},
      {"rms_norm_eps", 0, {"'rms_norm_eps' must be a number above 0"}},
      {"rope_theta", "big", {"'rope_theta' must be a number above 0"}},
      {"partial_rotary_factor", 0.5, {"'partial_rotary_factor' is not 1"}},
      {"tie_word_embeddings", 1, {"'tie_word_embeddings' must be true or"}},
      {"rope_parameters", 7, {"'rope_parameters' must be an object"}},
      {"rope_parameters",
       json::Object{{"rope_type", "yarn"}},
       {"'rope_parameters.rope_type' is 'yarn'", "'llama3'"}},
      {"rope_scaling",
       json::Object{{"type", "dynamic"}, {"factor", 2.0}},
       {"'rope_scaling.type' is 'dynamic'"}},
      {"rope_scaling",
       json::Object{{"rope_type", "llama3"}, {"factor", 8.0}},
       {"'rope_scaling.low_freq_factor' must be a number above 0"}},
  };
  for (const ConfigCase &c : cases) {
    SCOPED_TRACE(c.key);
    TemporaryFolder folder;
    SyntheticModel model;
    model.config[c.key] = c.value;
    model.write(folder);
    std::string message = messageOf(folder.path);
    expectWords(message, {folder.file("config.json")});
    expectWords(message, c.words);
  }
}

struct TensorCase {
  const char *name;
  std::function<void(TensorMap &)> damage;
  std::vector<std::string> words;
};

TEST(ImportError, Tensors) {
  static const char *norm = "model.layers.1.input_layernorm.weight";
  const TensorCase cases[] = {
      {"missing",
       [](TensorMap &tensors) { tensors.erase(norm); },
       {"tensor 'model.layers.1.input_layernorm.weight' is missing"}},
      {"missing head",
       [](TensorMap &tensors) { tensors.erase("lm_head.weight"); },
       {"tensor 'lm_head.weight' is missing"}},
      {"shape",
       [](TensorMap &tensors) { tensors[norm].shape = {5, 2}; },
       {"has shape [5, 2]", "implies [10]"}},
      {"dtype",
       [](TensorMap &tensors) {
         tensors[norm].dtype = "I32"; // As wide as what is written, F32.
         for (double &value : tensors[norm].values)
           value = 0;
       },
       {"has dtype I32", "BF16"}},
      {"unknown dtype",
       [](TensorMap &tensors) { tensors[norm].dtype = "F33"; },
       {"unknown dtype 'F33'", "F32, F16 or BF16"}},
      {"size",
       [](TensorMap &tensors) { tensors[norm].values.push_back(0); },
       {"of F16 [10] 22 bytes", "damaged"}},
  };
  for (const TensorCase &c : cases) {
    SCOPED_TRACE(c.name);
    TemporaryFolder folder;
    SyntheticModel model;
    model.tensors[norm].dtype = "F16";
    c.damage(model.tensors);
    model.write(folder);
    std::string message = messageOf(folder.path);
    expectWords(message, {folder.file("model.safetensors")});
    expectWords(message, c.words);
  }
}

TEST(ImportError, SafetensorsFiles) {
  const std::string good = safetensorsBytes(SyntheticModel().tensors);
  struct Case {
    std::string bytes;
    std::vector<std::string> words;
  };
  const Case cases[] = {
      {"", {"has 0 bytes"}},
      {good.substr(0, 7), {"has 7 bytes"}},
      {good.substr(0, 100), {"is truncated", "the file 100"}},
      {good.substr(0, good.size() - 1), {"is truncated", "ends at byte"}},
      {good + "x", {"bytes of data", "end at byte"}},
      {"PK\3\4 an archive of another kind", {"is it a safetensors file"}},
      {safetensorsBytes("", 0), {"empty header"}},
      {safetensorsBytes("{\"a\": ", 0), {"not valid JSON"}},
      {safetensorsBytes("[]", 0), {"not a JSON object"}},
      {safetensorsBytes("{\"a\": 1}", 0), {"'a'", "than an object"}},
      {safetensorsBytes("{\"a\": {\"dtype\": \"F32\"}}", 0), {"no shape"}},
      {safetensorsBytes(R"({"a": {"dtype": "F32", "shape": [-1],
                            "data_offsets": [0, 4]}})",
                        4),
       {"'a'", "whole numbers"}},
      {safetensorsBytes(R"({"a": {"dtype": "F32", "shape": [1],
                            "data_offsets": [4, 0]}})",
                        4),
       {"'a'", "data_offsets"}},
      {safetensorsBytes(R"({"a": {"dtype": "F32",
                                  "shape": [4611686018427387904, 4],
                            "data_offsets": [0, 0]}})",
                        0),
       {"'a'", "0 bytes"}},
      {safetensorsBytes(
           R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
               "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})",
           4),
       {"at byte 0", "ends at byte 4"}},
      {safetensorsBytes(
           R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
               "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})",
           4),
       {"'a' twice"}},
  };
  TemporaryFolder folder;
  SyntheticModel().write(folder);
  for (const Case &c : cases) {
    folder.write("model.safetensors", c.bytes);
    std::string message = messageOf(folder.path);
    expectWords(message, {folder.file("model.safetensors")});
    expectWords(message, c.words);
  }
}

TEST(ImportError, EveryTruncationIsRefused) {
  const std::string good = safetensorsBytes(SyntheticModel().tensors);
  TemporaryFolder folder;
  SyntheticModel().write(folder);
  for (size_t size = 0; size < good.size(); size += 97) {
    folder.write("model.safetensors", good.substr(0, size));
    EXPECT_NE(messageOf(folder.path), "") << size;
  }
}

/// What is read must not matter: a message or a graph, never a crash.
TEST(ImportError, DamagedBytes) {
  const SyntheticModel model;
  const std::string files[][2] = {
      {"config.json", model.configText()},
      {"model.safetensors", safetensorsBytes(model.tensors)}};
  TemporaryFolder folder;
  uint64_t state = 7;
  auto next = [&](size_t count) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return size_t(state >> 33) % count;
  };
  for (const auto &[name, content] : files) {
    model.write(folder);
    for (int round = 0; round != 500; ++round) {
      std::string damaged = content;
      size_t header = std::min<size_t>(content.size(), 2400);
      for (size_t times = 1 + next(3); times; --times)
        damaged[next(header)] = "\"\\{}[],:0-9e\xff\0"[next(15)];
      folder.write(name, damaged);
      messageOf(folder.path);
    }
    folder.write(name, std::string(1000000, '['));
    EXPECT_NE(messageOf(folder.path), "");
  }
  folder.write("model.safetensors",
               safetensorsBytes(std::string(1000000, '['), 0));
  expectWords(messageOf(folder.path), {"nested more than 64 deep"});
}

TEST(ImportError, MissingFiles) {
  TemporaryFolder folder;
  expectWords(messageOf(folder.file("nowhere")),
              {"nowhere' is not a directory", "config.json"});
  expectWords(messageOf(folder.path),
              {folder.file("config.json"), "No such file", "safetensors"});
  folder.write("config.json", SyntheticModel().configText());
  expectWords(messageOf(folder.path),
              {folder.path, "holds neither model.safetensors nor"});
  folder.write("config.json", "{\"model_type\": ");
  expectWords(messageOf(folder.path), {"config.json' is not valid JSON"});
  folder.write("config.json", "[1]");
  expectWords(messageOf(folder.path), {"config.json' must hold a JSON object"});
}

TEST(ImportError, FunctionName) {
  TemporaryFolder folder;
  SyntheticModel().write(folder);
  for (const char *name : {"", "1step", "my step", "a\"b", "@step"}) {
    ImportOptions options;
    options.functionName = name;
    Expected<std::string> text = importLlama(folder.path, options);
    ASSERT_FALSE(bool(text)) << name;
    expectWords(toString(text.takeError()),
                {std::string("'") + name + "' is no name of a function"});
  }
}

TEST(ImportError, Shards) {
  static const char *first = "model-00001-of-00002.safetensors";
  static const char *index = "model.safetensors.index.json";
  struct Case {
    const char *file;
    std::string content;
    std::vector<std::string> words;
  };
  TensorMap all = SyntheticModel().tensors;
  const Case cases[] = {
      {index, "{", {index, "not valid JSON"}},
      {index, "{}", {index, "has no 'weight_map'"}},
      {index,
       R"({"weight_map": {"a": "../b.safetensors"}})",
       {index, "'a'", "than a file beside it"}},
      {index,
       R"({"weight_map": {"a": "none.safetensors"}})",
       {"none.safetensors", "cannot be read"}},
      {first, safetensorsBytes(all), {"holds tensor", "and so does", first}},
      {first, safetensorsBytes({}), {index, "says that tensor", "lacks it"}},
  };
  for (const Case &c : cases) {
    TemporaryFolder folder;
    SyntheticModel().writeShards(folder);
    folder.write(c.file, c.content);
    expectWords(messageOf(folder.path), c.words);
  }
}

} // namespace
