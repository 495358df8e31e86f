//===- SyntheticModel.cpp - A tiny Llama made up for tests ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SyntheticModel.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/APInt.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace llvm;
using namespace einhead::test;

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

TemporaryFolder::TemporaryFolder() {
  SmallString<128> unique;
  if (sys::fs::createUniqueDirectory("einhead-import", unique))
    ADD_FAILURE() << "no temporary folder";
  path = std::string(unique);
}

TemporaryFolder::~TemporaryFolder() {
  if (!path.empty())
    (void)sys::fs::remove_directories(path);
}

std::string TemporaryFolder::file(StringRef name) const {
  SmallString<128> full(path);
  sys::path::append(full, name);
  return std::string(full);
}

void TemporaryFolder::write(StringRef name, StringRef content) const {
  std::error_code code;
  raw_fd_ostream stream(file(name), code);
  ASSERT_FALSE(code) << code.message();
  stream << content;
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

static const fltSemantics &semanticsOf(StringRef dtype) {
  return dtype == "F16"    ? APFloat::IEEEhalf()
         : dtype == "BF16" ? APFloat::BFloat()
                           : APFloat::IEEEsingle();
}

static APFloat rounded(StringRef dtype, double value) {
  APFloat number(value);
  bool losesInfo = false;
  number.convert(semanticsOf(dtype), APFloat::rmNearestTiesToEven, &losesInfo);
  return number;
}

/// A fixed sequence of numbers from -1 to 1.
static double nextNumber(uint64_t &state) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return double(int64_t(state >> 33)) / double(int64_t(1) << 30) - 1.0;
}

SyntheticModel::SyntheticModel()
    : config{{"model_type", "llama"},
             {"architectures", json::Array{"LlamaForCausalLM"}},
             {"vocab_size", 11},
             {"hidden_size", 10},
             {"intermediate_size", 7},
             {"num_hidden_layers", 2},
             {"num_attention_heads", 3},
             {"num_key_value_heads", 1},
             {"head_dim", 6},
             {"hidden_act", "silu"},
             {"rms_norm_eps", 1e-3},
             {"rope_theta", 50.0},
             {"tie_word_embeddings", false}} {
  fillTensors();
}

void SyntheticModel::fillTensors() {
  tensors.clear();
  uint64_t state = 1;
  auto add = [&](const std::string &name, std::vector<int64_t> shape) {
    static constexpr const char *dtypes[] = {"F32", "F16", "BF16"};
    SyntheticTensor &tensor = tensors[name + ".weight"];
    tensor.dtype = dtypes[(tensors.size() * 7 / 3) % 3];
    tensor.shape = std::move(shape);
    int64_t size = 1;
    for (int64_t extent : tensor.shape)
      size *= extent;
    for (int64_t i = 0; i != size; ++i)
      tensor.values.push_back(
          rounded(tensor.dtype, nextNumber(state)).convertToDouble());
  };
  int64_t d = size("hidden_size"), f = size("intermediate_size");
  int64_t keys = size("num_key_value_heads") * size("head_dim");
  int64_t heads = size("num_attention_heads") * size("head_dim");
  add("model.embed_tokens", {size("vocab_size"), d});
  for (int64_t layer = 0; layer != size("num_hidden_layers"); ++layer) {
    std::string prefix = "model.layers." + std::to_string(layer) + ".";
    add(prefix + "input_layernorm", {d});
    add(prefix + "self_attn.q_proj", {heads, d});
    add(prefix + "self_attn.k_proj", {keys, d});
    add(prefix + "self_attn.v_proj", {keys, d});
    add(prefix + "self_attn.o_proj", {d, heads});
    add(prefix + "post_attention_layernorm", {d});
    add(prefix + "mlp.gate_proj", {f, d});
    add(prefix + "mlp.up_proj", {f, d});
    add(prefix + "mlp.down_proj", {d, f});
  }
  add("model.norm", {d});
  add("lm_head", {size("vocab_size"), d});
}

std::string einhead::test::safetensorsBytes(const TensorMap &tensors) {
  std::string data;
  json::Object header;
  for (const auto &[name, tensor] : tensors) {
    size_t begin = data.size();
    for (double value : tensor.values) {
      APInt bits = rounded(tensor.dtype, value).bitcastToAPInt();
      for (unsigned bit = 0; bit != bits.getBitWidth(); bit += 8)
        data.push_back(char(bits.extractBitsAsZExtValue(8, bit)));
    }
    header[name] = json::Object{
        {"dtype", tensor.dtype},
        {"shape", json::Array(tensor.shape)},
        {"data_offsets", json::Array{int64_t(begin), int64_t(data.size())}}};
  }
  header["__metadata__"] = json::Object{{"format", "pt"}};
  std::string text;
  raw_string_ostream(text) << json::Value(std::move(header));
  return safetensorsBytes(text, 0) + data;
}

std::string einhead::test::safetensorsBytes(StringRef header, size_t dataSize) {
  char size[8];
  support::endian::write64le(size, header.size());
  return std::string(size, 8) + header.str() + std::string(dataSize, '\0');
}

std::string SyntheticModel::configText() const {
  std::string text;
  raw_string_ostream(text) << json::Value(json::Object(config));
  return text;
}

void SyntheticModel::write(const TemporaryFolder &folder) const {
  folder.write("config.json", configText());
  folder.write("model.safetensors", safetensorsBytes(tensors));
}

void SyntheticModel::writeShards(const TemporaryFolder &folder) const {
  TensorMap shards[2];
  const char *names[2] = {"model-00001-of-00002.safetensors",
                          "model-00002-of-00002.safetensors"};
  json::Object map;
  for (const auto &[name, tensor] : tensors) {
    int shard = map.size() % 2;
    shards[shard][name] = tensor;
    map[name] = names[shard];
  }
  folder.write("config.json", configText());
  for (int shard : {0, 1})
    folder.write(names[shard], safetensorsBytes(shards[shard]));
  std::string index;
  raw_string_ostream(index)
      << json::Value(json::Object{{"weight_map", std::move(map)}});
  folder.write("model.safetensors.index.json", index);
}

//===----------------------------------------------------------------------===//
// The model in double
//===----------------------------------------------------------------------===//

using Vector = std::vector<double>;

/// matrix [out, in] times x.
static Vector project(const SyntheticTensor &matrix, const Vector &x) {
  EXPECT_EQ(matrix.shape[1], int64_t(x.size()));
  Vector y(matrix.shape[0], 0.0);
  for (size_t row = 0; row != y.size(); ++row)
    for (size_t column = 0; column != x.size(); ++column)
      y[row] += matrix.values[row * x.size() + column] * x[column];
  return y;
}

static Vector normalized(const SyntheticTensor &weight, const Vector &x,
                         double epsilon) {
  double squares = 0;
  for (double value : x)
    squares += value * value;
  Vector y(x.size());
  for (size_t i = 0; i != x.size(); ++i)
    y[i] = weight.values[i] * x[i] / std::sqrt(squares / x.size() + epsilon);
  return y;
}

/// Turns each head of x to `position`: y = x cos + rotate_half(x) sin.
static void rotateHeads(Vector &x, int64_t headSize, double position,
                        double theta) {
  int64_t half = headSize / 2;
  for (size_t head = 0; head != x.size(); head += headSize)
    for (int64_t w = 0; w != half; ++w) {
      double angle = position / std::pow(theta, 2.0 * w / headSize);
      double first = x[head + w], second = x[head + w + half];
      x[head + w] = first * std::cos(angle) - second * std::sin(angle);
      x[head + w + half] = second * std::cos(angle) + first * std::sin(angle);
    }
}

/// The heads of one query over the keys and values of one layer.
static Vector attend(const SyntheticModel &model, const Vector &query,
                     const std::vector<Vector> &keys,
                     const std::vector<Vector> &values) {
  int64_t headSize = model.size("head_dim");
  int64_t heads = model.size("num_attention_heads");
  int64_t perGroup = heads / model.size("num_key_value_heads");
  Vector result(query.size(), 0.0);
  for (int64_t head = 0; head != heads; ++head) {
    int64_t group = head / perGroup;
    Vector weights;
    double sum = 0;
    for (const Vector &key : keys) {
      double score = 0;
      for (int64_t k = 0; k != headSize; ++k)
        score += query[head * headSize + k] * key[group * headSize + k];
      weights.push_back(std::exp(score / std::sqrt(double(headSize))));
      sum += weights.back();
    }
    for (size_t m = 0; m != values.size(); ++m)
      for (int64_t v = 0; v != headSize; ++v)
        result[head * headSize + v] +=
            weights[m] / sum * values[m][group * headSize + v];
  }
  return result;
}

static void addInPlace(Vector &x, const Vector &y) {
  for (size_t i = 0; i != x.size(); ++i)
    x[i] += y[i];
}

std::vector<double> einhead::test::forward(const SyntheticModel &model,
                                           ArrayRef<int64_t> tokens) {
  auto weight = [&](const std::string &name) -> const SyntheticTensor & {
    return model.tensors.at(name + ".weight");
  };
  double epsilon = *model.config.getNumber("rms_norm_eps");
  double theta = *model.config.getNumber("rope_theta");
  int64_t layers = model.size("num_hidden_layers");
  int64_t headSize = model.size("head_dim"), d = model.size("hidden_size");
  std::vector<std::vector<Vector>> keys(layers), values(layers);
  Vector x;
  for (auto [position, token] : enumerate(tokens)) {
    auto row = weight("model.embed_tokens").values.begin() + token * d;
    x.assign(row, row + d);
    for (int64_t layer = 0; layer != layers; ++layer) {
      std::string prefix = "model.layers." + std::to_string(layer) + ".";
      Vector in = normalized(weight(prefix + "input_layernorm"), x, epsilon);
      Vector query = project(weight(prefix + "self_attn.q_proj"), in);
      Vector key = project(weight(prefix + "self_attn.k_proj"), in);
      rotateHeads(query, headSize, double(position), theta);
      rotateHeads(key, headSize, double(position), theta);
      keys[layer].push_back(key);
      values[layer].push_back(project(weight(prefix + "self_attn.v_proj"), in));
      addInPlace(x, project(weight(prefix + "self_attn.o_proj"),
                            attend(model, query, keys[layer], values[layer])));
      in = normalized(weight(prefix + "post_attention_layernorm"), x, epsilon);
      Vector gate = project(weight(prefix + "mlp.gate_proj"), in);
      Vector up = project(weight(prefix + "mlp.up_proj"), in);
      for (size_t i = 0; i != gate.size(); ++i)
        gate[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
      addInPlace(x, project(weight(prefix + "mlp.down_proj"), gate));
    }
  }
  bool tied = model.config.getBoolean("tie_word_embeddings").value_or(false);
  return project(weight(tied ? "model.embed_tokens" : "lm_head"),
                 normalized(weight("model.norm"), x, epsilon));
}
