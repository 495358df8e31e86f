//===- DecodeTest.cpp - Decode attention against the oracle -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One module for each shape, called with every number of valid keys around a
// key tile (64) and a chunk (512).  All keys and values that are not valid are
// NaN.
//
//===----------------------------------------------------------------------===//

#include "../../runtime/reference/Reference.h"
#include "CompileTest.h"
#include "TileEmulator.h"
#include "einhead/Target/Codegen.h"
#include "einhead/Target/Container.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <optional>

using namespace einhead;
using namespace einhead::test;
namespace ref = einhead::reference;

namespace {
struct Shape {
  int64_t groups, rows, depth, width, capacity;
  const char *type;          ///< of K and V
  const char *query = "f32"; ///< its type
  const char *products = ""; ///< of the schedule; "": the compiler's own
  const char *packed = "false";
  const char *cpu = "host"; ///< to compile for
};

/// For the names of the tests.
void PrintTo(const Shape &s, std::ostream *os) {
  *os << s.groups << "x" << s.rows << "x" << s.depth << "x" << s.width << "@"
      << s.capacity << " " << s.type << " " << s.query << " " << s.cpu << " "
      << s.products << (llvm::StringRef(s.packed) == "true" ? " packed" : "");
}

ref::Type typeOf(llvm::StringRef name) {
  return name == "bf16"  ? ref::Type::BF16
         : name == "f16" ? ref::Type::F16
                         : ref::Type::F32;
}

DLDataType dlTypeOf(ref::Type type) {
  if (type == ref::Type::BF16)
    return {kDLBfloat, 16, 1};
  return {kDLFloat, static_cast<uint8_t>(type == ref::Type::F16 ? 16 : 32), 1};
}

/// The module, without saying that it needs tiles: an emulator has them.
std::string withoutTileFeatures(llvm::StringRef module) {
  auto section = [&](size_t i) {
    const char *entry = module.data() + 48 + 48 * i;
    return module.substr(llvm::support::endian::read64le(entry + 8),
                         llvm::support::endian::read64le(entry + 16));
  };
  std::string manifest = section(0).str();
  for (llvm::StringRef name : {"\"amx-bf16\",", "\"amx-tile\","}) {
    size_t at = manifest.find(name);
    EXPECT_NE(at, std::string::npos) << manifest;
    if (at != std::string::npos)
      manifest.erase(at, name.size());
  }
  return writeContainer(manifest, section(1));
}

/// Whether this machine runs code for the CPU.
bool runsHere(const TargetInfo &target) {
  TargetInfo host = llvm::cantFail(TargetInfo::get("host"));
  return target.triple == host.triple &&
         llvm::all_of(codeFeatures(target), [&](const std::string &feature) {
           return host.hasFeature(feature);
         });
}

/// K, V, q and the module of one shape.
class Decode {
public:
  explicit Decode(const Shape &shape, bool share = true,
                  bool emulateTiles = false)
      : shape(shape), type(typeOf(shape.type)), queryType(typeOf(shape.query)) {
    auto fill = [&](std::vector<int64_t> extents, uint64_t seed, ref::Type t) {
      return ref::random(extents, ref::Distribution::Normal, seed, t);
    };
    q = fill({shape.groups, shape.rows, shape.depth}, 1, queryType);
    k = fill({shape.groups, shape.capacity, shape.depth}, 2, type);
    v = fill({shape.groups, shape.capacity, shape.width}, 3, type);
    CompileOptions options;
    options.cpu = shape.cpu;
    options.shareKV = share;
    options.requireFused = true;
    Compiler compiler(text());
    if (emulateTiles)
      options.cpu += "+amx-tile+amx-bf16";
    bytes = compiler.compile(EmitKind::Module, options);
    EXPECT_FALSE(bytes.empty()) << compiler.error;
    if (emulateTiles)
      bytes = withoutTileFeatures(bytes);
  }

  /// Makes the scores grow with the keys, so that maxima do again and again.
  void rise() {
    for (int64_t i = 0; i < k.size(); ++i)
      k.value[i] *=
          1 << std::min<int64_t>(4, i / shape.depth % shape.capacity / 32);
  }

  /// The module's result for `valid` keys; all others are NaN.
  std::vector<float> run(Loaded &module, int64_t valid) {
    std::vector<char> query = bytesOf(q, queryType);
    std::vector<float> y(shape.groups * shape.rows * shape.width, -7);
    std::vector<char> key = stored(k, shape.depth, valid),
                      value = stored(v, shape.width, valid);
    View vq(reinterpret_cast<float *>(query.data()),
            {shape.groups, shape.rows, shape.depth});
    vq.dl.dtype = dlTypeOf(queryType);
    View vk(reinterpret_cast<float *>(key.data()),
            {shape.groups, shape.capacity, shape.depth});
    View vv(reinterpret_cast<float *>(value.data()),
            {shape.groups, shape.capacity, shape.width});
    vk.dl.dtype = vv.dl.dtype = dlTypeOf(type);
    View vn(&valid, {});
    View vy(y.data(), {shape.groups, shape.rows, shape.width});
    module.call("step", {&vq, &vk, &vv, &vn}, {&vy});
    return y;
  }

  ref::Report judge(const std::vector<float> &y, int64_t valid) {
    ref::AttentionOptions options;
    options.scale = scale;
    options.splits = (valid + 511) / 512;
    options.independentErrors = true; // the numbers are random
    if (roundsWeights())
      options.weights = ref::Type::BF16;
    return ref::compare(y, ref::attention("grk, gmk, gmv -> grv", q,
                                          cut(k, shape.depth, valid),
                                          cut(v, shape.width, valid), options)
                               .output);
  }

  /// Weights are rounded where all operands are bf16.
  bool roundsWeights() const {
    return type == ref::Type::BF16 && queryType == ref::Type::BF16;
  }

  std::string bytes;

private:
  static constexpr double scale = 0.25;

  std::string text() const {
    return llvm::formatv(
               R"(func.func @step(%q: tensor<{0}x{1}x{2}x{6}>,
    %k: tensor<{0}x{4}x{2}x{5}>, %v: tensor<{0}x{4}x{3}x{5}>, %n: index)
    -> tensor<{0}x{1}x{3}xf32> {{
  %init = tensor.empty() : tensor<{0}x{1}x{3}xf32>
  %y = attn.attention "grk, gmk, gmv -> grv" query(%q : tensor<{0}x{1}x{2}x{6}>)
    key(%k : tensor<{0}x{4}x{2}x{5}>) value(%v : tensor<{0}x{4}x{3}x{5}>)
    scale 0.25 valid(%n : index) {7} outs(%init : tensor<{0}x{1}x{3}xf32>)
    -> tensor<{0}x{1}x{3}xf32>
  return %y : tensor<{0}x{1}x{3}xf32>
})",
               shape.groups, shape.rows, shape.depth, shape.width,
               shape.capacity, shape.type, shape.query, schedule())
        .str();
  }

  std::string schedule() const {
    if (llvm::StringRef(shape.products).empty())
      return "";
    return llvm::formatv("schedule #attn.schedule<chunk = 512, key_tile = 64, "
                         "row_tile = 128, lanes = {0}, prefetch = 16, "
                         "products = {1}, packed = {2}>",
                         llvm::cantFail(TargetInfo::get(shape.cpu)).f32Lanes(),
                         shape.products, shape.packed);
  }

  /// The first `valid` keys.
  ref::Tensor cut(const ref::Tensor &all, int64_t columns,
                  int64_t valid) const {
    ref::Tensor part({shape.groups, valid, columns});
    for (int64_t g = 0; g < shape.groups; ++g)
      for (int64_t i = 0; i < valid * columns; ++i)
        part.value[g * valid * columns + i] =
            all.value[g * shape.capacity * columns + i];
    return part;
  }

  /// As the module takes it, NaN from key `valid` on.
  std::vector<char> stored(const ref::Tensor &all, int64_t columns,
                           int64_t valid) const {
    ref::Tensor part = all;
    for (int64_t i = 0; i < all.size(); ++i)
      if (i / columns % shape.capacity >= valid)
        part.value[i] = NAN;
    return bytesOf(part, type);
  }

  static std::vector<char> bytesOf(const ref::Tensor &all, ref::Type type) {
    size_t size = type == ref::Type::F32 ? 4 : 2;
    std::vector<char> data(all.size() * size);
    for (int64_t i = 0; i < all.size(); ++i) {
      float number = static_cast<float>(all.value[i]);
      uint16_t half =
          type == ref::Type::BF16 ? ref::toBF16(number) : ref::toF16(number);
      if (size == 2)
        std::memcpy(&data[i * 2], &half, 2);
      else
        std::memcpy(&data[i * 4], &number, 4);
    }
    return data;
  }

  Shape shape;
  ref::Type type, queryType;
  ref::Tensor q, k, v;
};

class DecodeShape : public testing::TestWithParam<Shape> {};
} // namespace

TEST_P(DecodeShape, EveryLengthIsWithinTheBound) {
  TargetInfo target = llvm::cantFail(TargetInfo::get(GetParam().cpu));
  if (!runsHere(target))
    GTEST_SKIP() << "this machine does not run code for " << target.cpu;
  llvm::StringRef products = GetParam().products;
  // Tiles are emulated; what packs them are the instructions of pairs.
  if ((products == "dot" || products == "tiles") && target.dotRate == 0)
    GTEST_SKIP() << "this CPU has no products of " << products.str();
  if (products == "tiles" && compilesAnotherWay())
    GTEST_SKIP() << "matrix tiles belong to CPUs";
  bool emulateTiles = products == "tiles" && target.tileRate == 0;
  std::optional<TileEmulator> emulator;
  if (emulateTiles)
    emulator.emplace();
  uint64_t before = TileEmulator::products();
  Decode decode(GetParam(), /*share=*/true, emulateTiles);
  Loaded module(decode.bytes);
  ASSERT_TRUE(module.session);
  for (int64_t valid = 0; valid <= GetParam().capacity; ++valid) {
    if (valid > 130 && valid % 97 && valid < GetParam().capacity - 1)
      continue;
    std::vector<float> y = decode.run(module, valid);
    ref::Report report = decode.judge(y, valid);
    ASSERT_TRUE(report.pass) << valid << " keys: " << report.message();
    if (valid == 0)
      continue;
    // The twin: one more key's worth of a difference must be refused.
    y.back() += decode.roundsWeights() ? 5e-2f : 1e-3f;
    ASSERT_FALSE(decode.judge(y, valid).pass) << valid << " keys";
  }
  EXPECT_EQ(TileEmulator::products() != before, emulateTiles);
}

INSTANTIATE_TEST_SUITE_P(
    , DecodeShape,
    testing::Values(
        Shape{1, 1, 16, 16, 129, "f32"}, Shape{2, 3, 7, 5, 129, "f32"},
        Shape{1, 5, 33, 40, 129, "f32"}, Shape{2, 7, 64, 64, 129, "f32"},
        Shape{1, 71, 64, 64, 129, "f32"}, Shape{1, 2, 128, 17, 600, "f32"},
        Shape{1, 8, 15, 256, 1100, "f32"}, Shape{2, 4, 128, 128, 129, "bf16"},
        Shape{1, 3, 31, 1, 129, "bf16"},
        Shape{2, 4, 128, 128, 600, "bf16", "bf16"}));

// Each way of multiplying, at row numbers around its register blocks, depths
// and widths that fill no vector.
constexpr const char *kBF16 = "bf16";
INSTANTIATE_TEST_SUITE_P(
    Products, DecodeShape,
    testing::Values(Shape{1, 1, 40, 24, 129, kBF16, kBF16, "dot"},
                    Shape{2, 3, 33, 17, 129, kBF16, kBF16, "dot"},
                    Shape{1, 5, 8, 100, 129, kBF16, kBF16, "dot"},
                    Shape{1, 7, 96, 33, 129, kBF16, kBF16, "dot"},
                    Shape{1, 20, 80, 80, 600, kBF16, kBF16, "dot"},
                    Shape{1, 1, 40, 24, 129, kBF16, kBF16, "dot", "true"},
                    Shape{2, 5, 33, 17, 129, kBF16, kBF16, "dot", "true"},
                    Shape{1, 7, 7, 100, 129, kBF16, kBF16, "dot", "true"},
                    Shape{1, 71, 64, 64, 600, kBF16, kBF16, "dot", "true"},
                    Shape{1, 1, 40, 24, 129, kBF16, kBF16, "tiles", "true"},
                    Shape{2, 5, 33, 17, 129, kBF16, kBF16, "tiles", "true"},
                    Shape{1, 16, 96, 64, 129, kBF16, kBF16, "tiles", "true"},
                    Shape{1, 71, 64, 64, 600, kBF16, kBF16, "tiles", "true"},
                    Shape{1, 32, 128, 96, 129, kBF16, kBF16, "tiles", "true"},
                    Shape{1, 16, 576, 512, 70, kBF16, kBF16, "tiles", "true"},
                    Shape{2, 8, 40, 72, 129, kBF16, kBF16, "tiles", "true"},
                    Shape{1, 40, 352, 136, 70, kBF16, kBF16, "tiles", "true"},
                    Shape{1, 1, 7, 5, 129, "f32", "f32", "fma", "true"},
                    Shape{2, 5, 33, 17, 129, "f32", "f32", "fma", "true"},
                    Shape{1, 23, 40, 100, 129, kBF16, "f32", "fma", "true"},
                    Shape{1, 71, 64, 64, 600, kBF16, kBF16, "fma", "true"}));

// Narrower registers than the host's: the same attention for older CPUs.
constexpr const char *kV3 = "x86-64-v3", *kV4 = "x86-64-v4";
INSTANTIATE_TEST_SUITE_P(
    Targets, DecodeShape,
    testing::Values(Shape{2, 7, 64, 64, 129, "f32", "f32", "", "", kV3},
                    Shape{1, 1, 128, 128, 600, "f16", "f32", "", "", kV3},
                    Shape{2, 5, 33, 17, 129, "f16", "f32", "", "", kV3},
                    Shape{1, 23, 40, 100, 129, kBF16, "f32", "", "", kV3},
                    Shape{1, 71, 64, 64, 129, kBF16, kBF16, "", "", kV3},
                    Shape{2, 5, 33, 17, 129, "f32", "f32", "fma", "true", kV3},
                    Shape{2, 3, 33, 17, 129, "f16", "f16", "", "", kV4},
                    Shape{1, 23, 40, 100, 129, kBF16, kBF16, "", "", kV4},
                    Shape{1, 8, 96, 33, 129, kBF16, "f32", "", "", "x86-64"},
                    Shape{2, 7, 64, 64, 129, "f32", "f32", "", "", "x86-64"},
                    Shape{1, 20, 80, 80, 129, kBF16, kBF16, "", "", "znver4"},
                    // V page by page, with a rest of keys.
                    Shape{1, 3, 128, 128, 129, kBF16, kBF16, "", "", "znver4"},
                    Shape{2, 4, 256, 256, 70, kBF16, kBF16, "", "", "znver4"},
                    Shape{1, 4, 128, 96, 129, "f32", "f32", "", "", "znver4"},
                    Shape{1, 71, 64, 64, 600, kBF16, kBF16, "", "", "znver4"},
                    Shape{1, 8, 64, 64, 600, kBF16, kBF16, "", "", "znver4"},
                    Shape{1, 20, 80, 80, 129, kBF16, kBF16, "", "",
                          "sapphirerapids"}));

// Maxima are raised where scores are far above them, a row at a time.
TEST(Decode, MaximaThatGrow) {
  if (compilesAnotherWay())
    GTEST_SKIP() << "matrix tiles belong to CPUs";
  for (auto [rows, products] : {std::pair<int64_t, const char *>{4, "tiles"},
                                {7, "tiles"},
                                {16, "tiles"},
                                {50, "tiles"},
                                {7, "dot"},
                                {50, "dot"}}) {
    bool isTiles = products == llvm::StringRef("tiles");
    Shape shape{2, rows, 64, 40, 400, kBF16, kBF16, products, "true"};
    TargetInfo target = llvm::cantFail(TargetInfo::get(shape.cpu));
    if (!runsHere(target) || target.dotRate == 0)
      GTEST_SKIP() << "this CPU has no products of pairs";
    std::optional<TileEmulator> emulator;
    if (isTiles && target.tileRate == 0)
      emulator.emplace();
    Decode decode(shape, /*share=*/true, emulator.has_value());
    decode.rise();
    Loaded module(decode.bytes);
    for (int64_t valid : {1, 33, 64, 65, 128, 129, 257, 400}) {
      std::vector<float> y = decode.run(module, valid);
      ref::Report report = decode.judge(y, valid);
      EXPECT_TRUE(report.pass) << rows << " rows of " << products << ", "
                               << valid << " keys: " << report.message();
      y.front() += 5e-2f;
      EXPECT_FALSE(decode.judge(y, valid).pass) << valid << " keys";
    }
  }
}

// A result that misses the last key is refused.
TEST(Decode, ADroppedKeyIsSeen) {
  Decode decode({2, 4, 64, 64, 129, "f32"});
  Loaded module(decode.bytes);
  for (int64_t valid : {2, 64, 65, 129})
    EXPECT_FALSE(decode.judge(decode.run(module, valid - 1), valid).pass);
}

// Rows that walk K and V alone give what rows that share them give.
TEST(Decode, WithoutSharing) {
  Decode decode({2, 3, 24, 40, 129, "f32"}, /*share=*/false);
  Loaded module(decode.bytes);
  for (int64_t valid : {0, 1, 63, 64, 65, 129})
    EXPECT_TRUE(decode.judge(decode.run(module, valid), valid).pass) << valid;
}
