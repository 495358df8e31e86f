//===- AttentionCase.cpp - One attention, compiled once ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "AttentionCase.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <cstring>

using namespace einhead;
using namespace einhead::test;

static constexpr double kScale = 0.25;
static constexpr int64_t kChunk = 512;

const Form einhead::test::kForms[4] = {
    {"MHA", 2, 0, 16, 16, false, "f32"},
    {"GQA", 2, 4, 16, 16, false, "bf16"},
    {"MQA", 0, 4, 16, 16, false, "f32"},
    {"MLA", 0, 4, 40, 32, true, "f32"},
};

const std::vector<int64_t> einhead::test::kPositions = {
    0, 1, 62, 63, 64, 65, 66, 127, 128, 129, 511, 512, 513, 600};

AttentionCase::AttentionCase(const Form &form, int64_t tokens, const Text &text)
    : form(form), tokens(tokens), hasLse(text.lse),
      isBF16(llvm::StringRef(form.type) == "bf16") {
  for (auto [letter, extent] :
       {std::pair('g', form.groups), {'r', form.rows}, {'n', tokens}})
    if (extent > 0) {
      rowLetters += letter;
      rowShape.push_back(extent);
    }
  if (form.groups > 0) {
    keyLetters = "g";
    keyShape = {form.groups};
  }
  keyLetters += "m";
  keyShape.push_back(kCapacity);
  auto fill = [](std::vector<int64_t> shape, int64_t last, uint64_t seed,
                 ref::Type type) {
    shape.push_back(last);
    return ref::random(shape, ref::Distribution::Normal, seed, type);
  };
  ref::Type type = isBF16 ? ref::Type::BF16 : ref::Type::F32;
  q = fill(rowShape, form.depth, 1, ref::Type::F32);
  k = fill(keyShape, form.depth, 2, type);
  v = fill(keyShape, form.width, 3, type);
  if (form.latent)
    for (int64_t i = 0; i < v.size(); ++i)
      v.value[i] = k.value[i / form.width * form.depth + i % form.width];
  CompileOptions options;
  options.requireFused = true;
  Compiler compiler(moduleText(text));
  std::string bytes = compiler.compile(EmitKind::Module, options);
  error = bytes.empty() ? compiler.error + compiler.diagnostics : "";
  EXPECT_EQ(error, "");
  if (!bytes.empty())
    module = std::make_unique<Loaded>(bytes);
}

static std::string tensorType(llvm::ArrayRef<int64_t> shape, int64_t last,
                              llvm::StringRef type) {
  std::string text = "tensor<";
  for (int64_t extent : shape)
    text += std::to_string(extent) + "x";
  if (last > 0)
    text += std::to_string(last) + "x";
  return text + type.str() + ">";
}

std::string AttentionCase::moduleText(const Text &text) const {
  std::string qt = tensorType(rowShape, form.depth, "f32");
  std::string kt = tensorType(keyShape, form.depth, form.type);
  std::string vt = tensorType(keyShape, form.width, form.type);
  std::string yt = tensorType(rowShape, form.width, "f32");
  std::string lt = tensorType(rowShape, 0, "f32");
  std::string slice = llvm::formatv("  %v = tensor.extract_slice %k[0, 0] "
                                    "[{0}, {1}] [1, 1] : {2} to {3}\n",
                                    kCapacity, form.width, kt, vt);
  std::string results = hasLse ? yt + ", " + lt : yt;
  std::string names = hasLse ? "%y, %lse" : "%y";
  std::string lse =
      hasLse ? llvm::formatv("lse(%none : {0})", lt).str() : std::string();
  return llvm::formatv("func.func @step(%q: {0}, %k: {1}{2}, %valid: index{3}) "
                       "-> ({4}) {{\n{5}{6}"
                       "  %init = tensor.empty() : {7}\n"
                       "  %none = tensor.empty() : {8}\n",
                       qt, kt, form.latent ? "" : ", %v: " + vt, text.arguments,
                       results, form.latent ? slice : "", text.ops, yt, lt)
             .str() +
         llvm::formatv("  {0} = attn.attention \"{1}k, {2}k, {2}v -> {1}v\"\n"
                       "    query(%q : {3}) key(%k : {4}) value(%v : {5})\n"
                       "    scale {6} {11} valid(%valid : index) {7} "
                       "outs(%init : {8}) {9}\n"
                       "    -> {10}\n  return {0} : {10}\n}\n",
                       names, rowLetters, keyLetters, qt, kt, vt, kScale,
                       text.clauses, yt, lse, results, text.bias)
             .str();
}

Pair AttentionCase::pairOf(const std::vector<int64_t> &indices) const {
  Pair pair = {0, 0, 0, indices.back()};
  size_t at = 0;
  for (char letter : rowLetters)
    (letter == 'g'   ? pair.group
     : letter == 'r' ? pair.row
                     : pair.token) = indices[at++];
  return pair;
}

bool AttentionCase::someRowAttends(int64_t group, int64_t key,
                                   const Attends &attends) const {
  for (int64_t r = 0; r < std::max<int64_t>(form.rows, 1); ++r)
    for (int64_t n = 0; n < std::max<int64_t>(tokens, 1); ++n)
      if (attends({group, r, n, key}))
        return true;
  return false;
}

std::vector<char> AttentionCase::stored(const ref::Tensor &all, int64_t valid,
                                        const Attends &attends) const {
  int64_t columns = all.shape.back(), size = isBF16 ? 2 : 4;
  std::vector<char> data(all.size() * size);
  for (int64_t row = 0; row < all.size() / columns; ++row) {
    int64_t key = row % kCapacity;
    bool live = key < valid && someRowAttends(row / kCapacity, key, attends);
    for (int64_t i = row * columns; i < (row + 1) * columns; ++i) {
      float number = live ? static_cast<float>(all.value[i]) : NAN;
      uint16_t half = ref::toBF16(number);
      std::memcpy(&data[i * size], isBF16 ? (void *)&half : &number, size);
    }
  }
  return data;
}

AttentionCase::Result AttentionCase::run(int64_t valid,
                                         llvm::ArrayRef<const View *> more,
                                         const Attends &attends) {
  auto shape = [](std::vector<int64_t> outer, int64_t last) {
    outer.push_back(last);
    return outer;
  };
  std::vector<float> query = ref::toFloats(q);
  std::vector<char> key = stored(k, valid, attends),
                    value = stored(v, valid, attends);
  Result result;
  int64_t rows = ref::elementCount(rowShape);
  result.output.assign(rows * form.width, -7);
  result.lse.assign(rows, -7);
  View vq(query.data(), shape(rowShape, form.depth));
  View vk(reinterpret_cast<float *>(key.data()), shape(keyShape, form.depth));
  View vv(reinterpret_cast<float *>(value.data()), shape(keyShape, form.width));
  if (isBF16)
    vk.dl.dtype = vv.dl.dtype = {kDLBfloat, 16, 1};
  View vn(&valid, {});
  View vy(result.output.data(), shape(rowShape, form.width));
  View vl(result.lse.data(), rowShape);
  llvm::SmallVector<const View *> inputs = {&vq, &vk};
  if (!form.latent)
    inputs.push_back(&vv);
  inputs.push_back(&vn);
  inputs.append(more.begin(), more.end());
  llvm::SmallVector<const View *> outputs = {&vy};
  if (hasLse)
    outputs.push_back(&vl);
  if (module && module->session)
    module->call("step", inputs, outputs);
  return result;
}

ref::Report AttentionCase::judge(const Result &result, int64_t valid,
                                 const Attends &attends,
                                 ref::AttentionOptions options) const {
  options.scale = kScale;
  options.splits = (valid + kChunk - 1) / kChunk;
  options.mask = {scoreLetters(), [&](const std::vector<int64_t> &at) {
                    return at.back() < valid && attends(pairOf(at));
                  }};
  ref::AttentionResult wanted =
      ref::attention(rowLetters + "k, " + keyLetters + "k, " + keyLetters +
                         "v -> " + rowLetters + "v",
                     q, k, v, options);
  ref::Report report = ref::compare(result.output, wanted.output);
  if (!hasLse || !report.pass)
    return report;
  return ref::compare(result.lse, wanted.logSumExp);
}

void AttentionCase::check(const Result &result, int64_t valid,
                          const Attends &attends,
                          const ref::AttentionOptions &options) const {
  ref::Report report = judge(result, valid, attends, options);
  ASSERT_TRUE(report.pass) << valid << " keys: " << report.message();
  Pair last = {std::max<int64_t>(form.groups - 1, 0),
               std::max<int64_t>(form.rows - 1, 0),
               std::max<int64_t>(tokens - 1, 0), valid - 1};
  while (last.key >= 0 && !attends(last))
    --last.key;
  bool attended = last.key >= 0;
  last.key = std::max<int64_t>(last.key, 0);
  if (valid == 0)
    return; // nothing could count
  auto twin = [&](const Pair &pair) {
    return pair.key == last.key ? !attended : attends(pair);
  };
  ASSERT_FALSE(judge(result, valid, twin, options).pass)
      << valid << " keys, without key " << last.key;
}
