//===- ImportGraph.cpp - A Llama decode step as level-0 text ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The text is written from templates: `$name` stands for a number, a type or
// the number of the layer.
//
//===----------------------------------------------------------------------===//

#include "ImportGraph.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <cassert>
#include <cmath>
#include <cstdlib>

using namespace llvm;
using namespace einhead::importer;

static constexpr const char *prologueText = R"(
// One decode step of a $family model, written by `einhead import`: for each of
// b sequences the new token goes in, the logits of the next one come out, and
// each layer's key and value are appended to its caches.
//
//   b  sequences            d  model, $d          c  vocabulary, $c
//   m  rows of the caches   f  feed-forward, $f
//   g  key/value heads, $g   r  query heads that share one of them, $r
//   k  key dim, $k          v  value dim, $k
//   i, j  the two halves of a head, w  the pairs that they form, $w
//
// The parameters stay in their files, in the layout [out, in] that they have
// there; `length` is the number of rows that the caches hold before the step.

#b = affine_map<(b) -> (b)>
#bd = affine_map<(b, d) -> (b, d)>
#bd_b = affine_map<(b, d) -> (b)>

)";

static constexpr const char *cacheText = R"(,
    %k$n: $cacheType {attn.name = "k$n", attn.cache, attn.shape = "b, $g, m, $k"},
    %v$n: $cacheType {attn.name = "v$n", attn.cache, attn.shape = "b, $g, m, $k"})";

static constexpr const char *setupText = R"(  %zero = arith.constant 0 : index
  %two = arith.constant 2 : index
  %one_key = arith.constant 1 : i64
  %one = arith.constant 1.0 : f32
  %epsilon = arith.constant $epsilon : f32
  %per_d = arith.constant $perD : f32
  %b = tensor.dim %token, %zero : tensor<?xi64>
  %m = tensor.dim %k0, %two : $cacheType

  // The new row counts: valid = length + 1.
  %lengths = tensor.empty(%b) : tensor<?xi64>
  %valid = linalg.generic {indexing_maps = [#b, #b], iterator_types = ["parallel"]}
      ins(%length : tensor<?xi64>) outs(%lengths : tensor<?xi64>) {
  ^bb0(%n: i64, %out: i64):
    %next = arith.addi %n, %one_key : i64
    linalg.yield %next : i64
  } -> tensor<?xi64>

  // The scale of the scores, 1 / sqrt(k).
  %scale = arith.constant $scale : f32
  %scales = tensor.splat %scale[%b, %m] : $scoreType

  // Rotary embedding: the new token stands at position `length`; pair w turns by
  // angle = position * frequency[w].
  //   rotation[j, i] = cos(angle) * identity[j, i] + sin(angle) * quarter[j, i]
  %frequency = arith.constant dense<[$frequencies]> : tensor<$wxf64>
  %identity = arith.constant dense<[[1.0, 0.0], [0.0, 1.0]]> : tensor<2x2xf32>
  %quarter = arith.constant dense<[[0.0, -1.0], [1.0, 0.0]]> : tensor<2x2xf32>
  %positions = tensor.empty(%b) : tensor<?xf64>
  %position = linalg.generic {indexing_maps = [#b, #b], iterator_types = ["parallel"]}
      ins(%length : tensor<?xi64>) outs(%positions : tensor<?xf64>) {
  ^bb0(%n: i64, %out: f64):
    %p = arith.sitofp %n : i64 to f64
    linalg.yield %p : f64
  } -> tensor<?xf64>
  %angle = attn.einsum "b, w -> bw"(%position, %frequency) : (tensor<?xf64>, tensor<$wxf64>) -> tensor<?x$wxf64>
  %cosines = tensor.empty(%b) : tensor<?x$wxf32>
  %cos = linalg.generic {indexing_maps = [#bd, #bd], iterator_types = ["parallel", "parallel"]}
      ins(%angle : tensor<?x$wxf64>) outs(%cosines : tensor<?x$wxf32>) {
  ^bb0(%a: f64, %out: f32):
    %wide = math.cos %a : f64
    %narrow = arith.truncf %wide : f64 to f32
    linalg.yield %narrow : f32
  } -> tensor<?x$wxf32>
  %sines = tensor.empty(%b) : tensor<?x$wxf32>
  %sin = linalg.generic {indexing_maps = [#bd, #bd], iterator_types = ["parallel", "parallel"]}
      ins(%angle : tensor<?x$wxf64>) outs(%sines : tensor<?x$wxf32>) {
  ^bb0(%a: f64, %out: f32):
    %wide = math.sin %a : f64
    %narrow = arith.truncf %wide : f64 to f32
    linalg.yield %narrow : f32
  } -> tensor<?x$wxf32>
  %straight = attn.einsum "bw, ji -> bjiw"(%cos, %identity) : (tensor<?x$wxf32>, tensor<2x2xf32>) -> tensor<?x2x2x$wxf32>
  %turned = attn.einsum "bw, ji -> bjiw"(%sin, %quarter) : (tensor<?x$wxf32>, tensor<2x2xf32>) -> tensor<?x2x2x$wxf32>
  %rotation = arith.addf %straight, %turned : tensor<?x2x2x$wxf32>

  // The embedding of the token.  One that is not in the vocabulary reads nothing
  // and makes its sequence's logits NaN.
  %vocabulary = arith.constant $c : i64
  %any_token = arith.constant 0 : i64
  %nan = arith.constant 0x7FC00000 : f32
  %model = tensor.empty(%b) : $modelType
  %x0 = linalg.generic {indexing_maps = [#bd_b, #bd], iterator_types = ["parallel", "parallel"]}
      ins(%token : tensor<?xi64>) outs(%model : $modelType) {
  ^bb0(%id: i64, %out: f32):
    %is_known = arith.cmpi ult, %id, %vocabulary : i64
    %safe = arith.select %is_known, %id, %any_token : i64
    %row = arith.index_cast %safe : i64 to index
    %column = linalg.index 1 : index
$lookup
    linalg.yield %result : f32
  } -> $modelType
)";

static constexpr const char *normText = R"(
  // RMSNorm: $out = $in / sqrt(mean of squares + epsilon) * $weight
  $out.squares = attn.einsum "bd, bd -> b"($in, $in) : ($modelType, $modelType) -> tensor<?xf32>
  $out.rows = tensor.empty(%b) : tensor<?xf32>
  $out.inverse = linalg.generic {indexing_maps = [#b, #b], iterator_types = ["parallel"]}
      ins($out.squares : tensor<?xf32>) outs($out.rows : tensor<?xf32>) {
  ^bb0(%sum: f32, %out: f32):
    %mean = arith.mulf %sum, %per_d : f32
    %shifted = arith.addf %mean, %epsilon : f32
    %inverse = math.rsqrt %shifted : f32
    linalg.yield %inverse : f32
  } -> tensor<?xf32>
  $out = attn.einsum "bd, b, d -> bd"($in, $out.inverse, $weight) : ($modelType, tensor<?xf32>, $weightType) -> $modelType
)";

static constexpr const char *projectText = R"(
  // Query, key and value of the new token, and the rotation of the first two.
  %wq$n = tensor.expand_shape %q_proj$n [[0, 1, 2], [3]] output_shape [$g, $r, $k, $d] : $qProjType into tensor<$gx$rx$kx$dx$qProj>
  %wk$n = tensor.expand_shape %k_proj$n [[0, 1], [2]] output_shape [$g, $k, $d] : $kProjType into tensor<$gx$kx$dx$kProj>
  %wv$n = tensor.expand_shape %v_proj$n [[0, 1], [2]] output_shape [$g, $k, $d] : $vProjType into tensor<$gx$kx$dx$vProj>
  %q$n = attn.einsum "bd, grkd -> bgrk"(%attention_in$n, %wq$n) : ($modelType, tensor<$gx$rx$kx$dx$qProj>) -> $queryType
  %k$n.new = attn.einsum "bd, gkd -> bgk"(%attention_in$n, %wk$n) : ($modelType, tensor<$gx$kx$dx$kProj>) -> $keyType
  %v$n.new = attn.einsum "bd, gvd -> bgv"(%attention_in$n, %wv$n) : ($modelType, tensor<$gx$kx$dx$vProj>) -> $keyType
  %q$n.halves = tensor.expand_shape %q$n [[0], [1], [2], [3, 4]] output_shape [%b, $g, $r, 2, $w] : $queryType into tensor<?x$gx$rx2x$wxf32>
  %k$n.halves = tensor.expand_shape %k$n.new [[0], [1], [2, 3]] output_shape [%b, $g, 2, $w] : $keyType into tensor<?x$gx2x$wxf32>
  %q$n.turned = attn.einsum "bgriw, bjiw -> bgrjw"(%q$n.halves, %rotation) : (tensor<?x$gx$rx2x$wxf32>, tensor<?x2x2x$wxf32>) -> tensor<?x$gx$rx2x$wxf32>
  %k$n.turned = attn.einsum "bgiw, bjiw -> bgjw"(%k$n.halves, %rotation) : (tensor<?x$gx2x$wxf32>, tensor<?x2x2x$wxf32>) -> tensor<?x$gx2x$wxf32>
  %query$n = tensor.collapse_shape %q$n.turned [[0], [1], [2], [3, 4]] : tensor<?x$gx$rx2x$wxf32> into $queryType
  %key$n = tensor.collapse_shape %k$n.turned [[0], [1], [2, 3]] : tensor<?x$gx2x$wxf32> into $keyType
)";

static constexpr const char *attentionText = R"(
  // Attention over the caches with the new row in them.
  %keys$n = attn.append "bgk -> bgmk"(%key$n into %k$n at %length : tensor<?xi64>) : $keyType into $cacheType
  %values$n = attn.append "bgv -> bgmv"(%v$n.new into %v$n at %length : tensor<?xi64>) : $keyType into $cacheType
  %dots$n = attn.einsum "bgrk, bgmk -> bgrm"(%query$n, %keys$n) : ($queryType, $cacheType) -> $scoreType
  %scores$n = arith.mulf %dots$n, %scales : $scoreType
  %weights$n = attn.softmax "bgrm" over "m"(%scores$n) valid(%valid : tensor<?xi64>) : $scoreType
  %heads$n = attn.einsum "bgrm, bgmv -> bgrv"(%weights$n, %values$n) : ($scoreType, $cacheType) -> $queryType
  %wo$n = tensor.expand_shape %o_proj$n [[0], [1, 2, 3]] output_shape [$d, $g, $r, $k] : $oProjType into tensor<$dx$gx$rx$kx$oProj>
  %mixed$n = attn.einsum "bgrv, dgrv -> bd"(%heads$n, %wo$n) : ($queryType, tensor<$dx$gx$rx$kx$oProj>) -> $modelType
  %y$n = arith.addf %x$n, %mixed$n : $modelType
)";

static constexpr const char *feedForwardText = R"(
  // SwiGLU: down(silu(gate) * up).
  %gate$n = attn.einsum "bd, fd -> bf"(%feed_in$n, %gate_proj$n) : ($modelType, $gateProjType) -> $feedType
  %up$n = attn.einsum "bd, fd -> bf"(%feed_in$n, %up_proj$n) : ($modelType, $upProjType) -> $feedType
  %feed$n = tensor.empty(%b) : $feedType
  %gated$n = linalg.generic {indexing_maps = [#bd, #bd, #bd], iterator_types = ["parallel", "parallel"]}
      ins(%gate$n, %up$n : $feedType, $feedType) outs(%feed$n : $feedType) {
  ^bb0(%gate: f32, %up: f32, %out: f32):
    %minus = arith.negf %gate : f32
    %exp = math.exp %minus : f32
    %divisor = arith.addf %exp, %one : f32
    %silu = arith.divf %gate, %divisor : f32
    %product = arith.mulf %silu, %up : f32
    linalg.yield %product : f32
  } -> $feedType
  %down$n = attn.einsum "bf, df -> bd"(%gated$n, %down_proj$n) : ($feedType, $downProjType) -> $modelType
  %x$next = arith.addf %y$n, %down$n : $modelType
)";

static constexpr const char *logitsText = R"(
  // The logits of the next token.
  %logits = attn.einsum "bd, cd -> bc"(%final, $head) : ($modelType, $headType) -> $logitsType
)";

/// The shortest decimal that MLIR reads back as `value`.
static std::string floatText(double value) {
  for (int digits = 1;; ++digits) {
    std::string text;
    raw_string_ostream(text) << format("%.*g", digits, value);
    if (digits < 17 && std::strtod(text.c_str(), nullptr) != value)
      continue;
    size_t exponent = text.find('e');
    if (text.find('.') == std::string::npos)
      text.insert(std::min(exponent, text.size()), ".0");
    return text;
  }
}

namespace {

class StepWriter {
public:
  StepWriter(const LlamaConfig &config, const Checkpoint &checkpoint)
      : config(config), checkpoint(checkpoint) {}

  Expected<std::string> write(StringRef functionName,
                              ArrayRef<std::string> files);

private:
  /// `pattern` with the values in the place of their names.
  std::string fill(StringRef pattern) const;
  void set(StringRef name, const Twine &value) { values[name] = value.str(); }
  void setNumbersAndTypes();
  /// Adds the parameter `%value` to the signature; `$key` becomes its element
  /// type and `$keyType` its type.
  Error addParameter(StringRef key, const Twine &value, const Twine &tensor,
                     ArrayRef<int64_t> shape);
  Error addLayer(int64_t layer);
  /// Normalises `in` to `out`, where the weight is the parameter `key`.
  void addNorm(const Twine &in, const Twine &out, StringRef key,
               const Twine &weight);
  void addLookup();
  Error addBody();

  const LlamaConfig &config;
  const Checkpoint &checkpoint;
  StringMap<std::string> values;
  std::string caches;     ///< arguments
  std::string parameters; ///< arguments
  std::string body;
};

} // namespace

std::string StepWriter::fill(StringRef pattern) const {
  std::string text;
  while (true) {
    auto [before, after] = pattern.split('$');
    text += before;
    if (before.size() == pattern.size())
      return text;
    // The longest known name: `$wxf32` is $w before "xf32".
    size_t length = after.take_while([](char c) { return isAlpha(c); }).size();
    while (length && !values.contains(after.take_front(length)))
      --length;
    assert(length && "a name that has no value");
    text += values.lookup(after.take_front(length));
    pattern = after.drop_front(length);
  }
}

void StepWriter::setNumbersAndTypes() {
  set("family", config.modelType == "llama" ? "Llama" : "Mistral");
  set("c", Twine(config.vocabulary));
  set("d", Twine(config.hidden));
  set("f", Twine(config.feedForward));
  set("g", Twine(config.groups));
  set("r", Twine(config.headsPerGroup));
  set("k", Twine(config.headSize));
  set("w", Twine(config.headSize / 2));
  set("epsilon", floatText(config.normEpsilon));
  set("perD", floatText(1.0 / double(config.hidden)));
  set("scale", floatText(1.0 / std::sqrt(double(config.headSize))));
  set("frequencies", join(map_range(config.frequencies, floatText), ", "));
  for (auto [name, type] : {std::pair("modelType", "tensor<?x$dxf32>"),
                            std::pair("feedType", "tensor<?x$fxf32>"),
                            std::pair("logitsType", "tensor<?x$cxf32>"),
                            std::pair("queryType", "tensor<?x$gx$rx$kxf32>"),
                            std::pair("scoreType", "tensor<?x$gx$rx?xf32>"),
                            std::pair("keyType", "tensor<?x$gx$kxf32>"),
                            std::pair("cacheType", "tensor<?x$gx?x$kxf32>")})
    set(name, fill(type));
}

Error StepWriter::addParameter(StringRef key, const Twine &value,
                               const Twine &tensor, ArrayRef<int64_t> shape) {
  Expected<const TensorInfo *> info = checkpoint.find(tensor.str(), shape);
  if (!info)
    return info.takeError();
  StringRef element = elementType((*info)->dtype);
  std::string type = "tensor<";
  for (int64_t extent : shape)
    type += std::to_string(extent) + "x";
  type += element.str() + ">";
  set(key, element);
  set((key + "Type").str(), type);
  parameters += (",\n    " + value + ": " + type + " {attn.parameter = \"" +
                 tensor + "\"}")
                    .str();
  return Error::success();
}

void StepWriter::addNorm(const Twine &in, const Twine &out, StringRef key,
                         const Twine &weight) {
  set("in", in);
  set("out", out);
  set("weight", weight);
  set("weightType", values.lookup((key + "Type").str()));
  body += fill(normText);
}

Error StepWriter::addLayer(int64_t layer) {
  std::string n = std::to_string(layer);
  set("n", n);
  set("next", Twine(layer + 1));
  caches += fill(cacheText);

  struct Parameter {
    const char *key, *value, *tensor;
    SmallVector<int64_t, 2> shape;
  };
  int64_t d = config.hidden, f = config.feedForward;
  int64_t keys = config.groups * config.headSize;
  int64_t heads = keys * config.headsPerGroup;
  for (const Parameter &p : std::initializer_list<Parameter>{
           {"inputNorm", "input_norm", "input_layernorm", {d}},
           {"qProj", "q_proj", "self_attn.q_proj", {heads, d}},
           {"kProj", "k_proj", "self_attn.k_proj", {keys, d}},
           {"vProj", "v_proj", "self_attn.v_proj", {keys, d}},
           {"oProj", "o_proj", "self_attn.o_proj", {d, heads}},
           {"postNorm", "post_norm", "post_attention_layernorm", {d}},
           {"gateProj", "gate_proj", "mlp.gate_proj", {f, d}},
           {"upProj", "up_proj", "mlp.up_proj", {f, d}},
           {"downProj", "down_proj", "mlp.down_proj", {d, f}}})
    if (Error e = addParameter(p.key, Twine("%") + p.value + n,
                               "model.layers." + n + "." + p.tensor + ".weight",
                               p.shape))
      return e;

  body += "\n  // ---- Layer " + n + " ----\n";
  addNorm("%x" + n, "%attention_in" + n, "inputNorm", "%input_norm" + n);
  body += fill(projectText);
  body += fill(attentionText);
  addNorm("%y" + n, "%feed_in" + n, "postNorm", "%post_norm" + n);
  body += fill(feedForwardText);
  return Error::success();
}

void StepWriter::addLookup() {
  bool isWide = values.lookup("embed") == "f32";
  set("lookup",
      fill(
          isWide
              ? R"(    %value = tensor.extract %embed[%row, %column] : $embedType
    %result = arith.select %is_known, %value, %nan : f32)"
              : R"(    %value = tensor.extract %embed[%row, %column] : $embedType
    %wide = arith.extf %value : $embed to f32
    %result = arith.select %is_known, %wide, %nan : f32)"));
}

Error StepWriter::addBody() {
  SmallVector<int64_t, 2> tableShape = {config.vocabulary, config.hidden};
  if (Error e = addParameter("embed", "%embed", "model.embed_tokens.weight",
                             tableShape))
    return e;
  addLookup();
  body += fill(setupText);
  for (int64_t layer = 0; layer != config.layers; ++layer)
    if (Error e = addLayer(layer))
      return e;
  if (Error e = addParameter("finalNorm", "%norm", "model.norm.weight",
                             {config.hidden}))
    return e;
  body += "\n  // ---- After the layers ----\n";
  addNorm("%x" + Twine(config.layers), "%final", "finalNorm", "%norm");
  set("headType", values.lookup("embedType"));
  if (!config.tiedEmbeddings)
    if (Error e =
            addParameter("head", "%lm_head", "lm_head.weight", tableShape))
      return e;
  set("head", config.tiedEmbeddings ? "%embed" : "%lm_head");
  body += fill(logitsText);
  return Error::success();
}

Expected<std::string> StepWriter::write(StringRef functionName,
                                        ArrayRef<std::string> files) {
  setNumbersAndTypes();
  if (Error e = addBody())
    return e;

  std::string text;
  raw_string_ostream stream(text);
  stream << StringRef(fill(prologueText)).ltrim('\n')
         << "module attributes {attn.parameters = [";
  interleave(
      files, stream,
      [&](const std::string &file) {
        stream << '"';
        printEscapedString(file, stream);
        stream << '"';
      },
      ", ");
  stream << "]} {\nfunc.func @" << functionName << "(\n    "
         << "%token: tensor<?xi64> {attn.name = \"token\", attn.shape = "
            "\"b\"},\n    %length: tensor<?xi64> {attn.name = \"length\", "
            "attn.shape = \"b\", attn.length}"
         << caches << parameters << fill(R"()
    -> ($logitsType {attn.name = "logits", attn.shape = "b, $c"})");
  std::string values = "%logits", types = fill("$logitsType");
  for (int64_t layer = 0; layer != config.layers; ++layer)
    for (StringRef kind : {"k", "v"}) {
      stream << fill(",\n        $cacheType") << " {attn.cache = \"" << kind
             << layer << "\"}";
      values += (kind == "k" ? ", %keys" : ", %values") + std::to_string(layer);
      types += fill(", $cacheType");
    }
  stream << ") {\n"
         << body << "\n  return " << values << "\n      : " << types
         << "\n}\n}\n";
  return text;
}

Expected<std::string> einhead::importer::writeLlamaStep(
    const LlamaConfig &config, const Checkpoint &checkpoint,
    StringRef functionName, ArrayRef<std::string> parameterFiles) {
  return StepWriter(config, checkpoint).write(functionName, parameterFiles);
}
