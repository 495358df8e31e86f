//===- LoaderTest.cpp - Targets and code that must not be loaded ----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "RuntimeTest.h"
#include "core/Elf.h"
#include "cpu/Targets.h"

#include <cstring>
#include <elf.h>
#include <memory>

using namespace einhead::test;
using namespace einhead::runtime;

namespace {
class LoaderTest : public RuntimeTest {
protected:
  const std::string grow =
      R"({"name": "grow", "symbol": "entry_grow", "arguments": [
          {"name": "x", "kind": "input", "type": "i64", "shape": ["m+1"]},
          {"name": "y", "kind": "output", "type": "i64", "shape": ["m+2"]}]})";
};

einhead_status_t check(std::string code) {
  ElfSymbols symbols;
  return checkElf(reinterpret_cast<const uint8_t *>(code.data()), code.size(),
                  symbols);
}
} // namespace

TEST_F(LoaderTest, RefusesCodeThatAsksForMore) {
  EXPECT_TRUE(open(moduleFile(grow)));
  expectRefused(moduleFile(grow, "", fixtureCode("import")),
                EINHEAD_INCOMPATIBLE_ARTIFACT, "calls 'getenv'", "code");
  expectRefused(moduleFile(grow, "", fixtureCode("needed")),
                EINHEAD_INCOMPATIBLE_ARTIFACT,
                "needs the library 'libgcc_s.so.1'", "code");
  expectRefused(moduleFile(grow, "", fixtureCode("stack")),
                EINHEAD_CORRUPT_ARTIFACT, "executable stack", "code");
}

TEST_F(LoaderTest, RefusesCodeThatLacksItsVariables) {
  expectRefused(moduleFile(grow, "", fixtureCode("abi")),
                EINHEAD_INCOMPATIBLE_ARTIFACT, "speaks ABI 7, this runtime 1",
                "code");
  expectRefused(moduleFile(grow, "", fixtureCode("nohost")),
                EINHEAD_FAILED_PRECONDITION, "no symbol 'einhead_module_host'");
  expectRefused(moduleFile(grow, "", fixtureCode("consthost")),
                EINHEAD_CORRUPT_ARTIFACT, "not a writable variable");
  expectRefused(moduleFile(grow, "", fixtureCode("relrohost")),
                EINHEAD_CORRUPT_ARTIFACT, "not a writable variable");
  expectRefused(
      moduleFile(
          R"({"name": "f", "symbol": "entry_missing", "arguments": []})"),
      EINHEAD_FAILED_PRECONDITION,
      "no symbol 'entry_missing' for function 'f'");
  // Symbols of the C library are not the module's.
  expectRefused(
      moduleFile(R"({"name": "f", "symbol": "abort", "arguments": []})"),
      EINHEAD_FAILED_PRECONDITION, "no symbol 'abort'");
}

TEST_F(LoaderTest, CodeMayUseTheMathLibraryAndStartFiles) {
  EXPECT_TRUE(open(moduleFile(grow, "", fixtureCode("startfiles"))));
  Module module = open(moduleFile(
      R"({"name": "math", "symbol": "entry_math", "arguments": [
          {"name": "y", "kind": "output", "type": "f32", "shape": []}]})",
      "", fixtureCode("math")));
  ASSERT_TRUE(module);
  einhead_session_t *session = nullptr;
  ASSERT_OK(einhead_session_create(module.get(), nullptr, &session));
  Tensor y(f32, {});
  y.data<float>()[0] = 1.0f;
  EXPECT_OK(einhead_session_call(session, "math", nullptr, 0, &y.dl, 1));
  EXPECT_FLOAT_EQ(y.data<float>()[0], 2.7182818f);
  einhead_session_release(session);
}

TEST_F(LoaderTest, RefusesDamagedCode) {
  const std::string good = fixtureCode();
  ASSERT_EQ(check(good), EINHEAD_OK);
  expectError(check("x"), EINHEAD_CORRUPT_ARTIFACT, "shorter than an ELF");
  expectError(check(std::string(128, 'x')), EINHEAD_CORRUPT_ARTIFACT,
              "not an ELF");
  auto change = [&](auto apply) {
    std::string code = good;
    Elf64_Ehdr header;
    std::memcpy(&header, code.data(), sizeof(header));
    apply(header);
    std::memcpy(&code[0], &header, sizeof(header));
    return check(code);
  };
  expectError(change([](Elf64_Ehdr &h) { h.e_type = ET_EXEC; }),
              EINHEAD_CORRUPT_ARTIFACT, "not a 64-bit");
  expectError(change([](Elf64_Ehdr &h) { h.e_ident[EI_CLASS] = ELFCLASS32; }),
              EINHEAD_CORRUPT_ARTIFACT, "not a 64-bit");
  expectError(change([](Elf64_Ehdr &h) { h.e_machine = EM_RISCV; }),
              EINHEAD_INCOMPATIBLE_ARTIFACT, "ELF machine 243");
  expectError(change([](Elf64_Ehdr &h) { h.e_phoff = ~uint64_t(0) - 8; }),
              EINHEAD_CORRUPT_ARTIFACT, "program headers");
  expectError(change([](Elf64_Ehdr &h) { h.e_shoff = uint64_t(1) << 40; }),
              EINHEAD_CORRUPT_ARTIFACT, "section headers");
  expectError(change([](Elf64_Ehdr &h) { h.e_shnum = 0; }),
              EINHEAD_CORRUPT_ARTIFACT, "section headers");
  expectError(change([](Elf64_Ehdr &h) { h.e_shnum = 1; }),
              EINHEAD_CORRUPT_ARTIFACT, "no dynamic");
  // Whatever the bytes are, checking them touches nothing else (sanitizers).
  for (size_t size = 0; size < good.size(); size += 7)
    check(good.substr(0, size));
  std::string code = good;
  for (size_t i = 0; i < code.size(); ++i)
    for (char value : {'\xff', '\x7f', '\x00'}) {
      char old = code[i];
      code[i] = value;
      check(code);
      code[i] = old;
    }
}

TEST_F(LoaderTest, EachOpenHasItsOwnCode) {
  // The dynamic linker must not take one module's code for another's, although
  // descriptors, and with them paths, come again.
  std::vector<std::pair<Module, int64_t>> modules;
  auto add = [&](int64_t filler) {
    modules.emplace_back(
        open(moduleFile(grow, "",
                        fixtureCode(filler == -1 ? "fixture" : "filler"))),
        filler);
  };
  for (int i = 0; i < 20; ++i)
    add(-1 - i % 2);
  modules.erase(modules.begin() + 3, modules.begin() + 9);
  for (int i = 0; i < 6; ++i)
    add(-2 + i % 2);
  for (auto &[module, filler] : modules) {
    einhead_session_t *session = nullptr;
    ASSERT_OK(einhead_session_create(module.get(), nullptr, &session));
    Tensor x(i64, {2}), y(i64, {3});
    x.data<int64_t>()[1] = 8;
    EXPECT_OK(einhead_session_call(session, "grow", &x.dl, 1, &y.dl, 1));
    EXPECT_EQ(y.data<int64_t>()[1], 8);
    EXPECT_EQ(y.data<int64_t>()[2], filler);
    einhead_session_release(session);
  }
}

/// Whether code for this alone can run here.
static einhead_status_t checkTarget(Target target) {
  Manifest manifest;
  manifest.target = std::move(target);
  size_t index = 0;
  return pickTarget(manifest, Machine::here(), index);
}

TEST_F(LoaderTest, ChecksTheTarget) {
  auto target = [](const char *triple, std::vector<std::string> features) {
    return checkTarget({triple, "", std::move(features)});
  };
  const char *here = "x86_64-pc-linux-gnu";
  EXPECT_OK(target(here, {}));
  EXPECT_OK(target("x86_64-unknown-linux-gnu", {"sse2", "+sse", "-xop"}));
  expectError(target("aarch64-unknown-linux-gnu", {}),
              EINHEAD_INCOMPATIBLE_ARTIFACT, "the code is for 'aarch64");
  expectError(target("x86_64-pc-windows-msvc", {}),
              EINHEAD_INCOMPATIBLE_ARTIFACT, "windows", "triple");
  expectError(target("", {}), EINHEAD_INCOMPATIBLE_ARTIFACT, "the code is for");
  expectError(target(here, {"sse2", "avx1024"}), EINHEAD_INCOMPATIBLE_ARTIFACT,
              "does not know the CPU feature 'avx1024'", "features");
  // No CPU has both of these.
  einhead_status_t amd = target(here, {"xop"});
  einhead_status_t intel = target(here, {"amx-complex"});
  EXPECT_TRUE(amd != EINHEAD_OK || intel != EINHEAD_OK);
  EXPECT_OK(target(here, {"prefer-256-bit", "fast-gather"}));
  // Through a file.
  std::string manifest = manifestOf(grow);
  manifest.replace(manifest.find("sse2"), 4, "avx9");
  expectRefused(writeContainer({{1, 1, manifest}, {2, 1, fixtureCode()}}),
                EINHEAD_INCOMPATIBLE_ARTIFACT, "'avx9'");
}

#define EXPECT_FEATURE(name)                                                   \
  EXPECT_EQ(checkTarget({"x86_64-pc-linux-gnu", "", {name}}) == EINHEAD_OK,    \
            __builtin_cpu_supports(name) != 0)                                 \
      << name

TEST_F(LoaderTest, AgreesWithTheCompilerOnFeatures) {
  EXPECT_FEATURE("sse4.2");
  EXPECT_FEATURE("popcnt");
  EXPECT_FEATURE("avx");
  EXPECT_FEATURE("avx2");
  EXPECT_FEATURE("fma");
  EXPECT_FEATURE("fma4");
  EXPECT_FEATURE("bmi");
  EXPECT_FEATURE("bmi2");
  EXPECT_FEATURE("aes");
  EXPECT_FEATURE("gfni");
  EXPECT_FEATURE("vpclmulqdq");
  EXPECT_FEATURE("avx512f");
  EXPECT_FEATURE("avx512bw");
  EXPECT_FEATURE("avx512cd");
  EXPECT_FEATURE("avx512dq");
  EXPECT_FEATURE("avx512vl");
  EXPECT_FEATURE("avx512ifma");
  EXPECT_FEATURE("avx512vbmi");
  EXPECT_FEATURE("avx512vbmi2");
  EXPECT_FEATURE("avx512vnni");
  EXPECT_FEATURE("avx512bitalg");
  EXPECT_FEATURE("avx512vpopcntdq");
}
