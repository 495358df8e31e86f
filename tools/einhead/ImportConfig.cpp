//===- ImportConfig.cpp - The configuration of a Llama model ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ImportConfig.h"
#include "ImportJSON.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cmath>
#include <optional>

using namespace llvm;
using namespace einhead::importer;

namespace {

/// The object of a JSON file, with errors that name the file and the key.
class Fields {
public:
  Fields(StringRef file, const json::Object &object, StringRef prefix = "")
      : file(file), prefix(prefix), object(object) {}

  Error error(StringRef key, const Twine &text) const {
    return createStringError("'" + file + "': '" + prefix + key + "' " + text);
  }

  /// Present and not null.
  const json::Value *find(StringRef key) const {
    const json::Value *value = object.get(key);
    return value && value->kind() != json::Value::Null ? value : nullptr;
  }

  Expected<int64_t> size(StringRef key,
                         std::optional<int64_t> otherwise = {}) const {
    const json::Value *value = find(key);
    if (!value && otherwise)
      return *otherwise;
    if (!value)
      return error(key, "is missing; is this the config.json of the model?");
    std::optional<int64_t> number = value->getAsInteger();
    constexpr int64_t limit = int64_t(1) << 24;
    if (!number || *number < 1 || *number > limit)
      return error(key, "must be a whole number from 1 to " + Twine(limit));
    return *number;
  }

  Expected<double> positive(StringRef key,
                            std::optional<double> otherwise = {}) const {
    const json::Value *value = find(key);
    if (!value && otherwise)
      return *otherwise;
    std::optional<double> number =
        value ? value->getAsNumber() : std::optional<double>();
    if (!number || !(*number > 0) || std::isinf(*number))
      return error(key, "must be a number above 0");
    return *number;
  }

  Expected<bool> flag(StringRef key, bool otherwise) const {
    const json::Value *value = find(key);
    if (!value)
      return otherwise;
    std::optional<bool> boolean = value->getAsBoolean();
    if (!boolean)
      return error(key, "must be true or false");
    return *boolean;
  }

  Expected<StringRef> text(StringRef key, StringRef otherwise) const {
    const json::Value *value = find(key);
    if (!value)
      return otherwise;
    std::optional<StringRef> string = value->getAsString();
    if (!string)
      return error(key, "must be a string");
    return *string;
  }

  /// The object under `key`, or an empty one.
  Expected<Fields> section(StringRef key) const {
    static const json::Object empty;
    const json::Value *value = find(key);
    if (!value)
      return Fields(file, empty, key);
    if (!value->getAsObject())
      return error(key, "must be an object");
    return Fields(file, *value->getAsObject(), (key + ".").str());
  }

  bool isEmpty() const { return object.empty(); }

private:
  StringRef file;
  std::string prefix;
  const json::Object &object;
};

} // namespace

/// Reads into `target`; for chains of `if (Error e = read(...)) return e;`.
template <typename T> static Error read(T &target, Expected<T> value) {
  if (!value)
    return value.takeError();
  target = *value;
  return Error::success();
}

/// Refuses what would make another function than the one written.
static Error checkFamily(const Fields &fields, LlamaConfig &config) {
  Expected<StringRef> modelType = fields.text("model_type", "");
  if (!modelType)
    return modelType.takeError();
  if (*modelType != "llama" && *modelType != "mistral")
    return fields.error("model_type",
                        "is '" + *modelType +
                            "'; import reads 'llama' and 'mistral'. Write "
                            "other models as einsums by hand (docs/Spec.md)");
  config.modelType = modelType->str();
  Expected<StringRef> activation = fields.text("hidden_act", "silu");
  if (!activation)
    return activation.takeError();
  if (*activation != "silu" && *activation != "swish")
    return fields.error("hidden_act",
                        "is '" + *activation + "'; only 'silu' is imported");
  for (StringRef key : {"attention_bias", "mlp_bias"}) {
    Expected<bool> bias = fields.flag(key, false);
    if (!bias)
      return bias.takeError();
    if (*bias)
      return fields.error(key, "is true; models with biases are not imported");
  }
  if (fields.find("sliding_window"))
    return fields.error("sliding_window",
                        "is set; windows are not imported. Set it to null if "
                        "no sequence becomes longer than the window");
  return Error::success();
}

static Error readHeads(const Fields &fields, HeadSizes &sizes) {
  if (Error e = read(sizes.hidden, fields.size("hidden_size")))
    return e;
  if (Error e = read(sizes.layers, fields.size("num_hidden_layers")))
    return e;
  if (Error e = read(sizes.heads, fields.size("num_attention_heads")))
    return e;
  if (Error e =
          read(sizes.groups, fields.size("num_key_value_heads", sizes.heads)))
    return e;
  if (sizes.heads % sizes.groups != 0)
    return fields.error("num_attention_heads", "is " + Twine(sizes.heads) +
                                                   ", not a multiple of the " +
                                                   Twine(sizes.groups) +
                                                   " of num_key_value_heads");
  if (!fields.find("head_dim") && sizes.hidden % sizes.heads != 0)
    return fields.error("head_dim", "is missing, and hidden_size " +
                                        Twine(sizes.hidden) +
                                        " is not a multiple of "
                                        "num_attention_heads " +
                                        Twine(sizes.heads));
  return read(sizes.headSize,
              fields.size("head_dim",
                          std::max<int64_t>(sizes.hidden / sizes.heads, 1)));
}

static Error readSizes(const Fields &fields, LlamaConfig &config) {
  if (Error e = read(config.vocabulary, fields.size("vocab_size")))
    return e;
  if (Error e = read(config.feedForward, fields.size("intermediate_size")))
    return e;
  HeadSizes sizes;
  if (Error e = readHeads(fields, sizes))
    return e;
  config.hidden = sizes.hidden;
  config.layers = sizes.layers;
  config.groups = sizes.groups;
  config.headsPerGroup = sizes.heads / sizes.groups;
  config.headSize = sizes.headSize;
  if (config.headSize % 2 != 0)
    return fields.error("head_dim", "is " + Twine(config.headSize) +
                                        "; rotary embeddings turn pairs and "
                                        "need an even number");
  return Error::success();
}

/// Llama 3.1: low frequencies are divided by `factor`, high ones are kept, with
/// a linear blend between them.
static Error scaleLlama3(const Fields &rope, std::vector<double> &frequencies) {
  double factor = 0, low = 0, high = 0, context = 0;
  if (Error e = read(factor, rope.positive("factor")))
    return e;
  if (Error e = read(low, rope.positive("low_freq_factor")))
    return e;
  if (Error e = read(high, rope.positive("high_freq_factor")))
    return e;
  if (Error e =
          read(context, rope.positive("original_max_position_embeddings")))
    return e;
  if (!(low < high))
    return rope.error("high_freq_factor", "must be above low_freq_factor");
  for (double &frequency : frequencies) {
    // Turns within the original context.
    double turns = context * frequency / (2 * numbers::pi);
    double keep = (turns - low) / (high - low);
    keep = std::min(1.0, std::max(0.0, keep));
    frequency = keep * frequency + (1 - keep) * frequency / factor;
  }
  return Error::success();
}

/// Newer files have everything in `rope_parameters`, older ones `rope_theta`
/// beside `rope_scaling`.
static Error readRotary(const Fields &fields, LlamaConfig &config) {
  Expected<Fields> parameters = fields.section("rope_parameters");
  if (!parameters)
    return parameters.takeError();
  Expected<Fields> scaling = fields.section("rope_scaling");
  if (!scaling)
    return scaling.takeError();
  const Fields &rope = parameters->isEmpty() ? *scaling : *parameters;

  double theta = 0, part = 0, factor = 0;
  const Fields &owner = rope.find("rope_theta") ? rope : fields;
  if (Error e = read(theta, owner.positive("rope_theta", 10000.0)))
    return e;
  const Fields &partOwner = rope.find("partial_rotary_factor") ? rope : fields;
  if (Error e = read(part, partOwner.positive("partial_rotary_factor", 1.0)))
    return e;
  if (part != 1.0)
    return partOwner.error("partial_rotary_factor",
                           "is not 1; partly rotated heads are not imported");
  for (int64_t w = 0; w != config.headSize / 2; ++w)
    config.frequencies.push_back(
        std::pow(theta, -2.0 * double(w) / double(config.headSize)));

  StringRef key = rope.find("rope_type") ? "rope_type" : "type";
  Expected<StringRef> type = rope.text(key, "default");
  if (!type)
    return type.takeError();
  if (*type == "default")
    return Error::success();
  if (*type == "llama3")
    return scaleLlama3(rope, config.frequencies);
  if (*type != "linear")
    return rope.error(key, "is '" + *type +
                               "'; 'default', 'linear' and 'llama3' are "
                               "imported");
  if (Error e = read(factor, rope.positive("factor")))
    return e;
  for (double &frequency : config.frequencies)
    frequency /= factor;
  return Error::success();
}

/// The JSON object in the file.
static Expected<json::Value> readObject(const std::string &path) {
  ErrorOr<std::unique_ptr<MemoryBuffer>> buffer = MemoryBuffer::getFile(path);
  if (!buffer)
    return createStringError("'" + path + "': " + buffer.getError().message() +
                             "; a Hugging Face model directory holds a "
                             "config.json beside its safetensors files");
  Expected<json::Value> value = parseJSON((*buffer)->getBuffer());
  if (!value)
    return createStringError(
        "'" + path + "' is not valid JSON: " + toString(value.takeError()) +
        "; download it again");
  if (!value->getAsObject())
    return createStringError("'" + path + "' must hold a JSON object");
  return value;
}

Expected<HeadSizes> einhead::importer::readHeadSizes(const std::string &path) {
  Expected<json::Value> value = readObject(path);
  if (!value)
    return value.takeError();
  Fields fields(path, *value->getAsObject());
  HeadSizes sizes;
  if (Error e = readHeads(fields, sizes))
    return e;
  if (Error e = read(sizes.initializerRange,
                     fields.positive("initializer_range", 0.02)))
    return e;
  return sizes;
}

Expected<LlamaConfig>
einhead::importer::readLlamaConfig(const std::string &path) {
  Expected<json::Value> value = readObject(path);
  if (!value)
    return value.takeError();
  Fields fields(path, *value->getAsObject());
  LlamaConfig config;
  if (Error e = checkFamily(fields, config))
    return e;
  if (Error e = readSizes(fields, config))
    return e;
  if (Error e = readRotary(fields, config))
    return e;
  if (Error e = read(config.normEpsilon, fields.positive("rms_norm_eps", 1e-6)))
    return e;
  if (Error e = read(config.tiedEmbeddings,
                     fields.flag("tie_word_embeddings", false)))
    return e;
  return config;
}
