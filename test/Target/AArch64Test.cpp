//===- AArch64Test.cpp - Modules for AArch64, under an emulator -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Attention is compiled for AArch64, its module called by the runtime that is
// built for it, both in qemu, and the result judged by the oracle.  Keys and
// values that do not count are NaN.
//
//===----------------------------------------------------------------------===//

#include "../../runtime/reference/Reference.h"
#include "CompileTest.h"
#include "TensorFile.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include <cmath>
#include <cstring>

using namespace einhead;
using namespace einhead::test;
namespace ref = einhead::reference;

namespace {
/// A folder that is gone when the test is over.
class Folder {
public:
  Folder() {
    EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("aarch64", root));
  }
  ~Folder() { llvm::sys::fs::remove_directories(root); }
  std::string path(const llvm::Twine &name) const {
    llvm::SmallString<128> whole(root);
    llvm::sys::path::append(whole, name);
    return whole.str().str();
  }

private:
  llvm::SmallString<128> root;
};

struct Outcome {
  int status;
  std::string text; ///< what the program printed
};

/// Runs the module's function `step` as the emulated CPU would.
Outcome callModule(const Folder &folder, llvm::StringRef cpu, size_t inputs) {
  std::vector<std::string> words = {EINHEAD_QEMU,
                                    "-cpu",
                                    cpu.str(),
                                    "-L",
                                    EINHEAD_SYSROOT,
                                    EINHEAD_CALL_MODULE,
                                    folder.path("module"),
                                    "step"};
  for (size_t i = 0; i < inputs; ++i)
    words.push_back(folder.path("in" + llvm::Twine(i)));
  words.push_back("--");
  words.push_back(folder.path("out"));
  std::vector<llvm::StringRef> arguments(words.begin(), words.end());
  std::string log = folder.path("log");
  std::optional<llvm::StringRef> redirects[] = {llvm::StringRef(), log, log};
  int status = llvm::sys::ExecuteAndWait(EINHEAD_QEMU, arguments, std::nullopt,
                                         redirects, /*SecondsToWait=*/200);
  auto text = llvm::MemoryBuffer::getFile(log);
  return {status, text ? (*text)->getBuffer().str() : ""};
}

void writeFile(const std::string &path, const std::string &bytes) {
  std::error_code error;
  llvm::raw_fd_ostream file(path, error);
  file << bytes;
}

TensorFile fileOf(const ref::Tensor &tensor, ref::Type type) {
  TensorFile file;
  bool isBF16 = type == ref::Type::BF16, isF32 = type == ref::Type::F32;
  file.type = {static_cast<uint8_t>(isBF16 ? kDLBfloat : kDLFloat),
               static_cast<uint8_t>(isF32 ? 32 : 16), 1};
  file.shape = tensor.shape;
  file.data.resize(file.bytes());
  for (int64_t i = 0; i < tensor.size(); ++i) {
    float number = static_cast<float>(tensor.value[i]);
    uint16_t half = isBF16 ? ref::toBF16(number) : ref::toF16(number);
    if (isF32)
      std::memcpy(&file.data[i * 4], &number, 4);
    else
      std::memcpy(&file.data[i * 2], &half, 2);
  }
  return file;
}

struct Case {
  const char *name;
  int64_t groups, rows, depth, width, capacity, valid;
  const char *type;  ///< of K and V
  const char *query; ///< its type
  const char *cpu;   ///< to compile for
  const char *mask = "";
  /// Whether row r attends key m; null: all.
  bool (*attends)(int64_t r, int64_t m) = nullptr;
};

/// For the names of the tests.
void PrintTo(const Case &c, std::ostream *os) { *os << c.cpu; }

ref::Type typeOf(llvm::StringRef name) {
  return name == "bf16"  ? ref::Type::BF16
         : name == "f16" ? ref::Type::F16
                         : ref::Type::F32;
}

std::string moduleText(const Case &c) {
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
             c.groups, c.rows, c.depth, c.width, c.capacity, c.type, c.query,
             c.mask)
      .str();
}

/// The tensors of a case.
struct Problem {
  explicit Problem(const Case &c) : c(c) {
    auto fill = [](std::vector<int64_t> shape, uint64_t seed, ref::Type type) {
      return ref::random(shape, ref::Distribution::Normal, seed, type);
    };
    q = fill({c.groups, c.rows, c.depth}, 1, typeOf(c.query));
    k = fill({c.groups, c.capacity, c.depth}, 2, typeOf(c.type));
    v = fill({c.groups, c.capacity, c.width}, 3, typeOf(c.type));
  }

  bool attends(int64_t row, int64_t key) const {
    return key < c.valid && (!c.attends || c.attends(row, key));
  }

  /// NaN where no row looks.
  TensorFile stored(ref::Tensor all, int64_t columns) const {
    for (int64_t i = 0; i < all.size(); ++i) {
      int64_t key = i / columns % c.capacity;
      bool counts = false;
      for (int64_t r = 0; r < c.rows; ++r)
        counts |= attends(r, key);
      if (!counts)
        all.value[i] = NAN;
    }
    return fileOf(all, typeOf(c.type));
  }

  void write(const Folder &folder) const {
    fileOf(q, typeOf(c.query)).write(folder.path("in0"));
    stored(k, c.depth).write(folder.path("in1"));
    stored(v, c.width).write(folder.path("in2"));
    TensorFile valid;
    valid.type = {kDLInt, 64, 1};
    valid.data.resize(sizeof(c.valid));
    std::memcpy(valid.data.data(), &c.valid, sizeof(c.valid));
    valid.write(folder.path("in3"));
    ref::Tensor none({c.groups, c.rows, c.width});
    for (double &value : none.value)
      value = -7;
    fileOf(none, ref::Type::F32).write(folder.path("out"));
  }

  /// Judges the output file; without `dropped`, where a key is given.
  ref::Report judge(const Folder &folder, int64_t dropped = -1) const {
    TensorFile file;
    EXPECT_TRUE(file.read(folder.path("out")));
    std::vector<float> y(file.data.size() / sizeof(float));
    std::memcpy(y.data(), file.data.data(), file.data.size());
    ref::AttentionOptions options;
    options.scale = 0.25;
    options.splits = (c.valid + 511) / 512;
    options.independentErrors = true; // the numbers are random
    options.mask = {"grm", [&](const std::vector<int64_t> &at) {
                      return at[2] != dropped && attends(at[1], at[2]);
                    }};
    return ref::compare(
        y, ref::attention("grk, gmk, gmv -> grv", q, k, v, options).output);
  }

  const Case &c;
  ref::Tensor q, k, v;
};

bool afterRow(int64_t r, int64_t m) { return m >= 9 * r && m < 90; }

const Case cases[] = {
    {"F32", 2, 4, 64, 64, 129, 129, "f32", "f32", "cortex-a53"},
    {"F32SevenRows", 1, 7, 33, 40, 600, 555, "f32", "f32", "cortex-a53"},
    {"F16", 2, 3, 48, 20, 129, 70, "f16", "f32", "cortex-a53"},
    {"F16Query", 2, 7, 64, 64, 129, 129, "f16", "f16", "neoverse-n1"},
    {"BF16", 1, 4, 128, 128, 600, 513, "bf16", "f32", "cortex-a53"},
    {"BF16Query", 2, 7, 40, 33, 129, 64, "bf16", "bf16", "neoverse-v1"},
    {"ManyRows", 1, 71, 64, 64, 129, 129, "bf16", "bf16", "neoverse-n1"},
    {"OneRow", 3, 1, 16, 16, 70, 1, "f32", "f32", "cortex-a53"},
    {"Masked", 2, 7, 40, 24, 129, 129, "f32", "f32", "cortex-a53",
     "mask #attn.mask<\"rm\", \"(r, m) : (m - 9 * r >= 0, 89 - m >= 0)\">()",
     afterRow},
    {"MaskedBF16", 1, 7, 40, 24, 129, 129, "bf16", "bf16", "neoverse-n1",
     "mask #attn.mask<\"rm\", \"(r, m) : (m - 9 * r >= 0, 89 - m >= 0)\">()",
     afterRow},
};

class AArch64 : public testing::TestWithParam<Case> {};
} // namespace

TEST_P(AArch64, IsWithinTheBound) {
  const Case &c = GetParam();
  CompileOptions options;
  options.cpu = c.cpu;
  options.requireFused = true;
  Compiler compiler(moduleText(c));
  std::string bytes = compiler.compile(EmitKind::Module, options);
  ASSERT_FALSE(bytes.empty()) << compiler.error << compiler.diagnostics;
  Folder folder;
  writeFile(folder.path("module"), bytes);
  Problem problem(c);
  problem.write(folder);
  Outcome outcome = callModule(folder, "max", 4);
  ASSERT_EQ(outcome.status, 0) << outcome.text;
  ref::Report report = problem.judge(folder);
  EXPECT_TRUE(report.pass) << report.message();
  // The twin: a result that misses a key of the last row's is refused.
  int64_t last = c.capacity - 1;
  while (!problem.attends(c.rows - 1, last))
    --last;
  EXPECT_FALSE(problem.judge(folder, last).pass);
}

INSTANTIATE_TEST_SUITE_P(, AArch64, testing::ValuesIn(cases),
                         [](const auto &info) {
                           return std::string(info.param.name);
                         });

// The emulated CPU says what it lacks, and of two variants takes the one that
// it can run.
TEST(AArch64Features, AreAskedOfTheSystem) {
  const Case &c = cases[0];
  CompileOptions options;
  options.cpu = "neoverse-n1";
  Folder folder;
  Problem problem(c);
  problem.write(folder);
  writeFile(folder.path("module"),
            Compiler(moduleText(c)).compile(EmitKind::Module, options));
  Outcome outcome = callModule(folder, "cortex-a53", 4);
  EXPECT_EQ(outcome.status, 3);
  EXPECT_NE(outcome.text.find("needs of the CPU: dotprod, fullfp16, rdm"),
            std::string::npos)
      << outcome.text;
  for (const char *cpus : {"x86-64-v3,cortex-a53,neoverse-n1",
                           "neoverse-n1,cortex-a53", "cortex-a53,x86-64-v3"}) {
    options.cpu = cpus;
    problem.write(folder);
    writeFile(folder.path("module"),
              Compiler(moduleText(c)).compile(EmitKind::Module, options));
    outcome = callModule(folder, "cortex-a53", 4);
    EXPECT_EQ(outcome.status, 0) << cpus << ": " << outcome.text;
    EXPECT_TRUE(problem.judge(folder).pass) << cpus;
  }
}

// Code for this machine is none for that one.
TEST(AArch64Features, CodeOfX86IsRefused) {
  const Case &c = cases[0];
  CompileOptions options;
  options.cpu = "x86-64-v3";
  Folder folder;
  Problem(c).write(folder);
  writeFile(folder.path("module"),
            Compiler(moduleText(c)).compile(EmitKind::Module, options));
  Outcome outcome = callModule(folder, "max", 4);
  EXPECT_EQ(outcome.status, 3);
  EXPECT_NE(outcome.text.find("the code is for 'x86_64-"), std::string::npos)
      << outcome.text;
}
