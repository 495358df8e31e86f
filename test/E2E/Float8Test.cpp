//===- Float8Test.cpp - Conversions of f8E4M3FN, all of them ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Widening each of the 256 numbers, and narrowing each of bf16, each of f16 and
// what lies around the places where f32 rounds another way, against the
// reference: fp64 arithmetic on values, no bits.
//
//===----------------------------------------------------------------------===//

#include "../../runtime/reference/Reference.h"
#include "CompileTest.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace einhead;
using namespace einhead::test;
namespace ref = einhead::reference;

namespace {
constexpr DLDataType kF8 = {10 /* kDLFloat8_e4m3fn */, 8, 1};

/// y = arith.`op`(x), element by element.
class Conversion {
public:
  Conversion(const char *op, const char *from, const char *to,
             const char *cpu = "host") {
    Compiler compiler(llvm::formatv(R"(
func.func @convert(%x: tensor<?x{1}> {{attn.shape = "n"})
    -> (tensor<?x{2}> {{attn.shape = "n"}) {{
  %y = arith.{0} %x : tensor<?x{1}> to tensor<?x{2}>
  return %y : tensor<?x{2}>
})",
                                    op, from, to)
                          .str());
    CompileOptions options;
    options.cpu = cpu;
    std::string bytes = compiler.compile(EmitKind::Module, options);
    EXPECT_FALSE(bytes.empty()) << compiler.error << compiler.diagnostics;
    if (!bytes.empty())
      module = std::make_unique<Loaded>(bytes);
  }

  template <typename To, typename From>
  std::vector<To> run(std::vector<From> x, DLDataType from, DLDataType to) {
    std::vector<To> y(x.size());
    if (!module || !module->session)
      return y;
    auto count = static_cast<int64_t>(x.size());
    View vx(reinterpret_cast<float *>(x.data()), {count});
    View vy(reinterpret_cast<float *>(y.data()), {count});
    vx.dl.dtype = from;
    vy.dl.dtype = to;
    module->call("convert", {&vx}, {&vy});
    return y;
  }

private:
  std::unique_ptr<Loaded> module;
};

/// How many bytes are not the reference's; any NaN is one.
template <typename From>
int64_t differences(const std::vector<From> &x, const std::vector<uint8_t> &y,
                    double (*widen)(From)) {
  int64_t count = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    double number = widen(x[i]);
    bool same = std::isnan(number) ? (y[i] & 0x7f) == 0x7f
                                   : y[i] == ref::toE4M3(number);
    EXPECT_TRUE(same || count > 8) << number << " -> " << int(y[i]) << ", not "
                                   << int(ref::toE4M3(number));
    count += !same;
  }
  return count;
}

std::vector<uint16_t> allHalves() {
  std::vector<uint16_t> all;
  for (int bits = 0; bits <= 0xffff; ++bits)
    all.push_back(static_cast<uint16_t>(bits));
  return all;
}
} // namespace

TEST(Float8, AllNumbersWiden) {
  std::vector<uint8_t> x;
  for (int byte = 0; byte < 256 + 7; ++byte) // not whole vectors
    x.push_back(static_cast<uint8_t>(byte));
  for (const char *cpu : {"host", "x86-64"}) {
    Conversion conversion("extf", "f8E4M3FN", "f32", cpu);
    std::vector<float> y = conversion.run<float>(x, kF8, {kDLFloat, 32, 1});
    for (size_t i = 0; i < x.size(); ++i) {
      double wanted = ref::fromE4M3(x[i]);
      if (std::isnan(wanted))
        EXPECT_TRUE(std::isnan(y[i])) << int(x[i]);
      else
        EXPECT_EQ(llvm::bit_cast<uint32_t>(y[i]),
                  llvm::bit_cast<uint32_t>(static_cast<float>(wanted)))
            << int(x[i]);
    }
  }
}

TEST(Float8, AllNumbersWidenToHalves) {
  std::vector<uint8_t> x;
  for (int byte = 0; byte < 256; ++byte)
    x.push_back(static_cast<uint8_t>(byte));
  for (bool isBF16 : {true, false}) {
    Conversion conversion("extf", "f8E4M3FN", isBF16 ? "bf16" : "f16");
    DLDataType type = {uint8_t(isBF16 ? kDLBfloat : kDLFloat), 16, 1};
    std::vector<uint16_t> y = conversion.run<uint16_t>(x, kF8, type);
    for (size_t i = 0; i < x.size(); ++i) {
      double number = isBF16 ? ref::fromBF16(y[i]) : ref::fromF16(y[i]);
      double wanted = ref::fromE4M3(x[i]);
      EXPECT_TRUE(number == wanted ||
                  (std::isnan(number) && std::isnan(wanted)))
          << int(x[i]) << " -> " << number;
    }
  }
}

TEST(Float8, AllBF16Narrow) {
  std::vector<uint16_t> x = allHalves();
  Conversion conversion("truncf", "bf16", "f8E4M3FN");
  EXPECT_EQ(differences(x, conversion.run<uint8_t>(x, {kDLBfloat, 16, 1}, kF8),
                        ref::fromBF16),
            0);
}

TEST(Float8, AllF16Narrow) {
  std::vector<uint16_t> x = allHalves();
  Conversion conversion("truncf", "f16", "f8E4M3FN");
  EXPECT_EQ(differences(x, conversion.run<uint8_t>(x, {kDLFloat, 16, 1}, kF8),
                        ref::fromF16),
            0);
}

/// Each number of f8E4M3FN, the middle to its neighbour, and the next of f32 on
/// both sides of these; larger ones, subnormal ones, infinities and NaN.
static std::vector<float> edges() {
  std::vector<float> numbers = {448.5f, 463.99f, 464.f,     465.f,  480.f,
                                1e4f,   1e38f,   1e-38f,    1e-45f, 1.5e-10f,
                                9e-4f,  0.f,     HUGE_VALF, NAN};
  for (int byte = 0; byte < 0x7e; ++byte) {
    auto low = static_cast<float>(ref::fromE4M3(static_cast<uint8_t>(byte))),
         high =
             static_cast<float>(ref::fromE4M3(static_cast<uint8_t>(byte + 1)));
    for (float at : {low, (low + high) / 2, high})
      for (float number :
           {std::nextafter(at, 0.f), at, std::nextafter(at, 1e9f)})
        numbers.push_back(number);
  }
  size_t count = numbers.size();
  for (size_t i = 0; i < count; ++i)
    numbers.push_back(-numbers[i]);
  return numbers;
}

TEST(Float8, F32NarrowToTheNearestAndNoFurtherThanTheLargest) {
  std::vector<float> x = edges();
  auto widen = [](float number) -> double { return number; };
  for (const char *cpu : {"host", "x86-64"}) {
    Conversion conversion("truncf", "f32", "f8E4M3FN", cpu);
    std::vector<uint8_t> y = conversion.run<uint8_t>(x, {kDLFloat, 32, 1}, kF8);
    EXPECT_EQ(differences<float>(x, y, widen), 0);
    // The twin: of what was a little larger most round the same way, those in
    // the middle of two do not.
    std::vector<float> larger;
    for (float number : x)
      larger.push_back(std::nextafter(number, HUGE_VALF));
    std::vector<uint8_t> other =
        conversion.run<uint8_t>(larger, {kDLFloat, 32, 1}, kF8);
    int64_t changed = 0;
    for (size_t i = 0; i < x.size(); ++i)
      changed += y[i] != other[i];
    EXPECT_GE(changed, 2 * 0x7e);
  }
}

// What is not a conversion is refused, and so is rounding twice.
TEST(Float8, ArithmeticIsRefused) {
  Compiler sum("func.func @f(%x: tensor<4xf8E4M3FN>) -> tensor<4xf8E4M3FN> {\n"
               "  %y = arith.addf %x, %x : tensor<4xf8E4M3FN>\n"
               "  return %y : tensor<4xf8E4M3FN>\n}\n");
  EXPECT_EQ(sum.compile(EmitKind::Module), "");
  EXPECT_NE(sum.diagnostics.find("computes in f8E4M3FN, which is a type of "
                                 "stored numbers; widen them first"),
            std::string::npos)
      << sum.diagnostics;
  Compiler twice("func.func @f(%x: tensor<4xf64>) -> tensor<4xf8E4M3FN> {\n"
                 "  %y = arith.truncf %x : tensor<4xf64> to "
                 "tensor<4xf8E4M3FN>\n"
                 "  return %y : tensor<4xf8E4M3FN>\n}\n");
  EXPECT_EQ(twice.compile(EmitKind::Module), "");
  EXPECT_NE(twice.diagnostics.find("round to f32 first"), std::string::npos)
      << twice.diagnostics;
}
