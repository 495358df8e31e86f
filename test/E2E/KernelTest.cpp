//===- KernelTest.cpp - Attention as kernels, by emulation ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The tests beside this file, compiled another way: parallel loops become
// kernels, which loops over blocks and threads then run.
//
//===----------------------------------------------------------------------===//

#include "AttentionCase.h"
#include "KernelEmulation.h"
#include "llvm/Support/FormatVariadic.h"
#include <cstdlib>

using namespace einhead;
using namespace einhead::test;

namespace {
/// Other options for one test.
class WithOptions {
public:
  explicit WithOptions(const KernelOptions &options) : before(kernelOptions) {
    kernelOptions = options;
  }
  ~WithOptions() { kernelOptions = before; }

private:
  KernelOptions before;
};

bool always(const Pair &) { return true; }
} // namespace

// Threads and shared memory change who computes what, in which steps, and
// nothing else: one thread, more threads than items, a step for each few keys,
// a few rows at a time.
TEST(Kernel, AnyThreadsAndAnyRoom) {
  for (const Form &form : kForms)
    for (auto [threads, bytes] : {std::pair<int64_t, int64_t>{1, 49152},
                                  {8, 49152},
                                  {1024, 49152},
                                  {32, 3000},
                                  {64, 6000},
                                  {128, 9000}}) {
      WithOptions options({threads, bytes, -1});
      AttentionCase attention(form, 5, {});
      ASSERT_EQ(attention.error, "") << threads << " threads, " << bytes;
      for (int64_t valid : {0, 1, 7, 63, 64, 65, 130, 577, 700})
        attention.check(attention.run(valid, {}, always), valid, always);
      ASSERT_FALSE(HasFatalFailure()) << threads << " threads, " << bytes;
    }
}

// Where there is no room for a row and a key, it is said.
TEST(Kernel, NoRoomIsAnError) {
  WithOptions options({128, 600, -1});
  Compiler compiler("func.func @step(%q: tensor<4x64xf32>, "
                    "%k: tensor<700x64xf32>, %v: tensor<700x64xf32>) "
                    "-> tensor<4x64xf32> {\n"
                    "  %i = tensor.empty() : tensor<4x64xf32>\n"
                    "  %y = attn.attention \"rk, mk, mv -> rv\" "
                    "query(%q : tensor<4x64xf32>) key(%k : tensor<700x64xf32>) "
                    "value(%v : tensor<700x64xf32>) scale 0.25 "
                    "outs(%i : tensor<4x64xf32>) -> tensor<4x64xf32>\n"
                    "  return %y : tensor<4x64xf32>\n}\n");
  EXPECT_EQ(compiler.compile(EmitKind::Module), "");
  EXPECT_NE(compiler.diagnostics.find("bytes of shared memory for one row and "
                                      "one key, above the 600"),
            std::string::npos)
      << compiler.diagnostics;
}

// The twin of all tests here: without any one of the barriers between two
// stages of a tile, numbers are wrong.
TEST(Kernel, EveryBarrierCounts) {
  constexpr int64_t between = 4; // behind rows, scores, maxima, weights
  for (int64_t lost = 0; lost < between; ++lost) {
    WithOptions options({128, 49152, lost});
    AttentionCase attention(kForms[3], 5, {});
    ASSERT_EQ(attention.error, "");
    EXPECT_FALSE(
        attention.judge(attention.run(600, {}, always), 600, always).pass)
        << "without barrier " << lost;
  }
  WithOptions options({128, 49152, -1});
  AttentionCase attention(kForms[3], 5, {});
  EXPECT_TRUE(
      attention.judge(attention.run(600, {}, always), 600, always).pass);
}

// Rows that no access of 16 bytes can read give the same bits.
TEST(Kernel, AnyAlignment) {
  constexpr int64_t rows = 3, keys = 100, columns = 32;
  std::string text = llvm::formatv(
      "func.func @step(%q: tensor<{0}x{2}xf32>, %k: tensor<{1}x{2}xf32>, "
      "%v: tensor<{1}x{2}xf32>) -> tensor<{0}x{2}xf32> {{\n"
      "  %i = tensor.empty() : tensor<{0}x{2}xf32>\n"
      "  %y = attn.attention \"rk, mk, mv -> rv\" "
      "query(%q : tensor<{0}x{2}xf32>) key(%k : tensor<{1}x{2}xf32>) "
      "value(%v : tensor<{1}x{2}xf32>) scale 0.25 "
      "outs(%i : tensor<{0}x{2}xf32>) -> tensor<{0}x{2}xf32>\n"
      "  return %y : tensor<{0}x{2}xf32>\n}\n",
      rows, keys, columns);
  Compiler compiler(text);
  std::string bytes = compiler.compile(EmitKind::Module);
  ASSERT_FALSE(bytes.empty()) << compiler.error << compiler.diagnostics;
  Loaded module(bytes);
  auto fill = [](int64_t count, uint64_t seed) {
    return ref::toFloats(ref::random({count}, ref::Distribution::Normal, seed));
  };
  std::vector<float> q = fill(rows * columns, 1);
  // A row every 33 or 36 numbers, from number `first` on.
  auto run = [&](int64_t first, int64_t stride, float change) {
    std::vector<float> k(keys * 36 + 8, NAN), v = k, y(rows * columns);
    std::vector<float> numbers = fill(2 * keys * columns, 2);
    numbers[5] += change;
    for (int64_t i = 0; i < keys * columns; ++i) {
      int64_t place = first + i / columns * stride + i % columns;
      k[place] = numbers[i];
      v[place] = numbers[keys * columns + i];
    }
    View vq(q.data(), {rows, columns}), vy(y.data(), {rows, columns});
    View vk(k.data() + first, {keys, columns}, {stride, 1});
    View vv(v.data() + first, {keys, columns}, {stride, 1});
    module.call("step", {&vq, &vk, &vv}, {&vy});
    return y;
  };
  std::vector<float> wanted = run(0, 36, 0);
  EXPECT_EQ(run(1, 36, 0), wanted);
  EXPECT_EQ(run(0, 33, 0), wanted);
  EXPECT_NE(run(0, 36, 1e-2f), wanted);
}

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  if (const char *text = std::getenv("EINHEAD_TEST_THREADS"))
    kernelOptions.threads = std::atoi(text);
  compileWith = &compileAsKernels;
  return RUN_ALL_TESTS();
}
