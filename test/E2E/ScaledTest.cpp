//===- ScaledTest.cpp - 8-bit K and V against the oracle --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Keys and values of i8 or f8E4M3FN with a scale for each row, spelled as
// einsums and raised, and of f8E4M3FN without scales.  Each module is called
// with every number of valid keys around a key tile (64) and a chunk (512);
// past them the rows are garbage (NaN where the type has it) and the scales
// NaN.
//
//===----------------------------------------------------------------------===//

#include "../../runtime/reference/Reference.h"
#include "CompileTest.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace einhead;
using namespace einhead::test;
namespace ref = einhead::reference;

namespace {
enum class Of { I8, F8, PlainF8 };

struct Shape {
  int64_t groups, rows, depth, width, capacity;
  const char *keys = "gm";  ///< the order of the letters of K and V
  const char *clause = "";  ///< of the softmax, behind `valid`
  bool scaledValue = true;  ///< V is as K, else f32
  const char *cpu = "host"; ///< to compile for
  Of of = Of::I8;

  const char *element() const { return of == Of::I8 ? "i8" : "f8E4M3FN"; }
  bool hasScales() const { return of != Of::PlainF8; }
};

/// For the names of the tests.
void PrintTo(const Shape &s, std::ostream *os) {
  *os << s.groups << "x" << s.rows << "x" << s.depth << "x" << s.width << "@"
      << s.capacity << " " << s.keys << " " << s.clause
      << (s.scaledValue ? " " : " f32 values ") << s.cpu << " "
      << (s.hasScales() ? "" : "plain ") << s.element();
}

/// The rows of K or V: of 8 bits and scales, or f32 and none.
struct Rows {
  ref::Tensor numbers, scales;
};

class Scaled {
public:
  explicit Scaled(const Shape &shape) : shape(shape) {
    tokenMajor = llvm::StringRef(shape.keys) == "mg";
    q = ref::random({shape.groups, shape.rows, shape.depth},
                    ref::Distribution::Normal, 1);
    for (double &number : q.value) // so that all keys count
      number /= 8;
    key = make(shape.depth, 2, true);
    value = make(shape.width, 3, shape.scaledValue);
    CompileOptions options;
    options.cpu = shape.cpu;
    options.requireFused = true;
    Compiler compiler(text());
    bytes = compiler.compile(EmitKind::Module, options);
    EXPECT_FALSE(bytes.empty()) << compiler.error << compiler.diagnostics;
  }

  /// The module's result for `valid` keys.
  std::vector<float> run(Loaded &module, int64_t valid) {
    std::vector<float> query = ref::toFloats(q);
    std::vector<float> y(shape.groups * shape.rows * shape.width, -7);
    std::vector<char> k = stored(key.numbers, valid, true),
                      v = stored(value.numbers, valid, shape.scaledValue);
    std::vector<char> ks = stored(key.scales, valid, false),
                      vs = stored(value.scales, valid, false);
    View vq(query.data(), {shape.groups, shape.rows, shape.depth});
    View vk(reinterpret_cast<float *>(k.data()), outer(shape.depth));
    View vv(reinterpret_cast<float *>(v.data()), outer(shape.width));
    // kDLFloat8_e4m3fn, which older headers lack.
    auto code = static_cast<uint8_t>(shape.of == Of::I8 ? kDLInt : 10);
    vk.dl.dtype = {code, 8, 1};
    if (shape.scaledValue)
      vv.dl.dtype = {code, 8, 1};
    View vks(reinterpret_cast<float *>(ks.data()), outer(0));
    View vvs(reinterpret_cast<float *>(vs.data()), outer(0));
    View vn(&valid, {});
    View vy(y.data(), {shape.groups, shape.rows, shape.width});
    if (shape.hasScales())
      module.call("step", {&vq, &vk, &vv, &vks, &vvs, &vn}, {&vy});
    else
      module.call("step", {&vq, &vk, &vv, &vn}, {&vy});
    return y;
  }

  /// Against the oracle, which multiplies rows and scales exactly.
  ref::Report judge(const std::vector<float> &y, int64_t valid) {
    std::string clause = shape.clause;
    ref::AttentionOptions options;
    options.splits = (valid + 511) / 512;
    if (shape.hasScales())
      options.keyScale = key.scales;
    if (shape.hasScales() && shape.scaledValue)
      options.valueScale = value.scales;
    options.mask = {"rm", [=](const std::vector<int64_t> &at) {
                      return at[1] < valid && (clause.empty() ||
                                               at[1] % 3 == 0 || at[1] > at[0]);
                    }};
    std::string m = shape.keys;
    return ref::compare(y,
                        ref::attention("grk, " + m + "k, " + m + "v -> grv", q,
                                       key.numbers, value.numbers, options)
                            .output);
  }

  std::string bytes;
  Rows key, value;

private:
  std::vector<int64_t> outer(int64_t last) const {
    std::vector<int64_t> extents = {shape.groups, shape.capacity};
    if (tokenMajor)
      std::swap(extents[0], extents[1]);
    if (last)
      extents.push_back(last);
    return extents;
  }

  Rows make(int64_t columns, uint64_t seed, bool isScaled) const {
    Rows rows = {ref::random(outer(columns), ref::Distribution::Uniform, seed),
                 ref::random(outer(0), ref::Distribution::Normal, seed + 10)};
    for (double &number : rows.numbers.value)
      if (isScaled)
        number = shape.of == Of::I8
                     ? std::nearbyint(number * 127.5 - 0.5)
                     : ref::roundTo(number * 4, ref::Type::F8E4M3);
    for (double &scale : rows.scales.value)
      scale =
          ref::roundTo(scale / (shape.of == Of::I8 ? 64 : 2), ref::Type::F32);
    return rows;
  }

  /// As the module takes it: from key `valid` on garbage.
  std::vector<char> stored(const ref::Tensor &all, int64_t valid,
                           bool isNarrow) const {
    int64_t rows = shape.groups * shape.capacity, columns = all.size() / rows;
    std::vector<char> data(all.size() * (isNarrow ? 1 : 4));
    for (int64_t i = 0; i < all.size(); ++i) {
      int64_t row = i / columns;
      int64_t at = tokenMajor ? row / shape.groups : row % shape.capacity;
      float number = at < valid ? static_cast<float>(all.value[i]) : NAN;
      uint8_t narrow = shape.of != Of::I8 ? ref::toE4M3(number)
                       : at < valid       ? static_cast<int8_t>(all.value[i])
                                          : 119;
      std::memcpy(&data[i * (isNarrow ? 1 : 4)],
                  isNarrow ? (void *)&narrow : (void *)&number,
                  isNarrow ? 1 : 4);
    }
    return data;
  }

  std::string type(std::vector<int64_t> extents, const char *element) const {
    std::string text = "tensor<";
    for (int64_t extent : extents)
      text += std::to_string(extent) + "x";
    return text + element + ">";
  }

  /// The product of rows and scales; an einsum takes f8E4M3FN as it is, too.
  std::string product(const char *name, int64_t columns, char letter) const {
    std::string rows = type(outer(columns), shape.element()),
                wide = type(outer(columns), "f32"), widened = rows;
    std::string text, operand = std::string("%") + name;
    if (shape.of == Of::I8 || letter == 'v') {
      text = llvm::formatv("\n  %{0}w = arith.{1} %{0} : {2} to {3}", name,
                           shape.of == Of::I8 ? "sitofp" : "extf", rows, wide);
      widened = wide;
      operand += "w";
    }
    return text + llvm::formatv(R"(
  %{0}f = attn.einsum "{1}{2}, {1} -> {1}{2}"({3}, %{0}s) : ({4}, {5}) -> {6})",
                                name, shape.keys, letter, operand, widened,
                                type(outer(0), "f32"), wide)
                      .str();
  }

  std::string text() const {
    std::string y = type({shape.groups, shape.rows, shape.width}, "f32");
    std::string qt = type({shape.groups, shape.rows, shape.depth}, "f32");
    std::string s = type({shape.groups, shape.rows, shape.capacity}, "f32");
    std::string k = type(outer(shape.depth), shape.element()),
                v = type(outer(shape.width),
                         shape.scaledValue ? shape.element() : "f32");
    std::string head =
        llvm::formatv("func.func @step(%q: {0}, %k: {1}, %v: {2}, ", qt, k, v);
    if (shape.hasScales())
      head += llvm::formatv("%ks: {0}, %vs: {0}, ", type(outer(0), "f32"));
    head += llvm::formatv("%n: index) -> {0} {{", y);
    std::string key = "%k", value = "%v";
    if (shape.hasScales()) {
      head += product("k", shape.depth, 'k');
      k = type(outer(shape.depth), "f32");
      key = "%kf";
    }
    if (shape.hasScales() && shape.scaledValue) {
      head += product("v", shape.width, 'v');
      v = type(outer(shape.width), "f32");
      value = "%vf";
    }
    return head + llvm::formatv(R"(
  %s = attn.einsum "grk, {0}k -> grm"(%q, {1}) : ({2}, {3}) -> {4}
  %w = attn.softmax "grm" over "m"(%s) valid(%n : index) {5} : {4}
  %y = attn.einsum "grm, {0}v -> grv"(%w, {6}) : ({4}, {7}) -> {8}
  return %y : {8}
})",
                                shape.keys, key, qt, k, s, shape.clause, value,
                                v, y)
                      .str();
  }

  Shape shape;
  bool tokenMajor;
  ref::Tensor q;
};

class ScaledShape : public testing::TestWithParam<Shape> {};
} // namespace

TEST_P(ScaledShape, EveryLengthIsWithinTheBound) {
  Scaled scaled(GetParam());
  Loaded module(scaled.bytes);
  ASSERT_TRUE(module.session);
  for (int64_t valid = 0; valid <= GetParam().capacity; ++valid) {
    if (valid > 130 && valid % 97 && valid < GetParam().capacity - 1)
      continue;
    std::vector<float> y = scaled.run(module, valid);
    ref::Report report = scaled.judge(y, valid);
    ASSERT_TRUE(report.pass) << valid << " keys: " << report.message();
    if (valid == 0)
      continue;
    // The twin: a result that is a little off must be refused.
    y.back() += 1e-3f;
    ASSERT_FALSE(scaled.judge(y, valid).pass) << valid << " keys";
  }
}

constexpr const char *kMask = "mask <\"rm\", \"(r, m) : (m mod 3 == 0)\", "
                              "\"(r, m) : (m - r - 1 >= 0)\">()";

INSTANTIATE_TEST_SUITE_P(
    , ScaledShape,
    testing::Values(Shape{1, 1, 16, 16, 129}, Shape{2, 3, 7, 5, 129},
                    Shape{1, 71, 33, 40, 129}, Shape{2, 4, 128, 128, 600},
                    Shape{1, 8, 15, 256, 1100}, Shape{3, 1, 64, 64, 129, "mg"},
                    Shape{2, 3, 33, 17, 129, "mg"},
                    Shape{2, 3, 24, 40, 200, "gm", kMask},
                    Shape{2, 5, 33, 17, 129, "gm", "", false},
                    Shape{2, 7, 64, 64, 129, "gm", "", true, "x86-64-v3"},
                    Shape{1, 71, 24, 33, 129, "gm", "", true, "x86-64-v3"},
                    Shape{1, 5, 33, 40, 129, "mg", "", true, "x86-64"}));

INSTANTIATE_TEST_SUITE_P(
    F8, ScaledShape,
    testing::Values(
        Shape{2, 3, 7, 5, 129, "gm", "", true, "host", Of::F8},
        Shape{1, 71, 33, 40, 129, "gm", "", true, "host", Of::F8},
        Shape{2, 4, 128, 128, 600, "gm", "", true, "host", Of::F8},
        Shape{2, 3, 24, 40, 200, "gm", kMask, true, "host", Of::F8},
        Shape{2, 5, 33, 17, 129, "gm", "", false, "host", Of::F8},
        Shape{1, 5, 33, 40, 129, "mg", "", true, "x86-64", Of::F8},
        Shape{1, 1, 16, 16, 129, "gm", "", true, "host", Of::PlainF8},
        Shape{2, 3, 7, 5, 129, "gm", "", true, "host", Of::PlainF8},
        Shape{1, 71, 33, 40, 129, "gm", "", true, "host", Of::PlainF8},
        Shape{2, 4, 128, 128, 600, "gm", "", true, "host", Of::PlainF8},
        Shape{1, 8, 15, 256, 1100, "gm", "", true, "host", Of::PlainF8},
        Shape{2, 3, 33, 17, 129, "mg", "", true, "host", Of::PlainF8},
        Shape{2, 3, 24, 40, 200, "gm", kMask, true, "host", Of::PlainF8},
        Shape{2, 5, 33, 17, 129, "gm", "", false, "host", Of::PlainF8},
        Shape{1, 71, 24, 33, 129, "gm", "", true, "x86-64-v3", Of::PlainF8},
        Shape{1, 5, 33, 40, 129, "mg", "", true, "x86-64", Of::PlainF8}));

// What does not count the last key is refused.
TEST(Scaled, ADroppedKeyIsSeen) {
  Scaled scaled({2, 4, 64, 64, 129});
  Loaded module(scaled.bytes);
  for (int64_t valid : {2, 64, 65, 129})
    EXPECT_FALSE(scaled.judge(scaled.run(module, valid - 1), valid).pass);
}

// A scale of NaN is NaN to the rows that attend to its key: here to the first
// one only, since the mask keeps key 1 from the others.
TEST(Scaled, NaNIsOfTheRowsThatAttend) {
  for (bool isKey : {true, false}) {
    Scaled scaled({1, 3, 24, 40, 129, "gm", kMask});
    (isKey ? scaled.key : scaled.value).scales.value[1] = NAN;
    Loaded module(scaled.bytes);
    std::vector<float> y = scaled.run(module, 129);
    ref::Report report = scaled.judge(y, 129);
    EXPECT_TRUE(report.pass) << report.message();
    for (int64_t i = 0; i < 3 * 40; ++i)
      EXPECT_EQ(std::isnan(y[i]), i < 40) << i;
  }
}

// NaN in one element of f8E4M3FN: in a key to the rows that attend to it, in a
// value to its column of those.
TEST(Scaled, NaNOfF8IsOfTheRowsThatAttend) {
  for (bool isKey : {true, false}) {
    Scaled scaled({1, 3, 24, 40, 129, "gm", kMask, true, "host", Of::PlainF8});
    int64_t columns = isKey ? 24 : 40;
    (isKey ? scaled.key : scaled.value).numbers.value[columns + 7] = NAN;
    Loaded module(scaled.bytes);
    std::vector<float> y = scaled.run(module, 129);
    for (int64_t i = 0; i < 3 * 40; ++i)
      EXPECT_EQ(std::isnan(y[i]), i < 40 && (isKey || i == 7)) << i;
  }
}
