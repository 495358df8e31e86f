//===- Features.cpp - What the CPU of this machine can do -------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "cpu/Features.h"

#include <cstdint>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

using namespace einhead::runtime;

#if defined(__x86_64__)
namespace {
enum Register { EAX, EBX, ECX, EDX };

/// The registers that the system must save for a feature to be usable.
enum State { None, YMM, ZMM, Tile };

struct Feature {
  const char *name; // LLVM's
  uint32_t leaf, subleaf;
  Register reg;
  uint32_t bit;
  State state;
};

// Not __builtin_cpu_supports: its names differ between compilers and lack most
// of what LLVM names.
const Feature features[] = {
    {"cx8", 1, 0, EDX, 8, None},
    {"cmov", 1, 0, EDX, 15, None},
    {"mmx", 1, 0, EDX, 23, None},
    {"fxsr", 1, 0, EDX, 24, None},
    {"sse", 1, 0, EDX, 25, None},
    {"sse2", 1, 0, EDX, 26, None},
    {"x87", 1, 0, EDX, 0, None},
    {"sse3", 1, 0, ECX, 0, None},
    {"pclmul", 1, 0, ECX, 1, None},
    {"ssse3", 1, 0, ECX, 9, None},
    {"fma", 1, 0, ECX, 12, YMM},
    {"cx16", 1, 0, ECX, 13, None},
    {"sse4.1", 1, 0, ECX, 19, None},
    {"sse4.2", 1, 0, ECX, 20, None},
    {"crc32", 1, 0, ECX, 20, None},
    {"movbe", 1, 0, ECX, 22, None},
    {"popcnt", 1, 0, ECX, 23, None},
    {"aes", 1, 0, ECX, 25, None},
    {"xsave", 1, 0, ECX, 26, None},
    {"avx", 1, 0, ECX, 28, YMM},
    {"f16c", 1, 0, ECX, 29, YMM},
    {"rdrnd", 1, 0, ECX, 30, None},
    {"fsgsbase", 7, 0, EBX, 0, None},
    {"bmi", 7, 0, EBX, 3, None},
    {"avx2", 7, 0, EBX, 5, YMM},
    {"bmi2", 7, 0, EBX, 8, None},
    {"invpcid", 7, 0, EBX, 10, None},
    {"rtm", 7, 0, EBX, 11, None},
    {"avx512f", 7, 0, EBX, 16, ZMM},
    {"evex512", 7, 0, EBX, 16, ZMM},
    {"avx512dq", 7, 0, EBX, 17, ZMM},
    {"rdseed", 7, 0, EBX, 18, None},
    {"adx", 7, 0, EBX, 19, None},
    {"avx512ifma", 7, 0, EBX, 21, ZMM},
    {"clflushopt", 7, 0, EBX, 23, None},
    {"clwb", 7, 0, EBX, 24, None},
    {"avx512cd", 7, 0, EBX, 28, ZMM},
    {"sha", 7, 0, EBX, 29, None},
    {"avx512bw", 7, 0, EBX, 30, ZMM},
    {"avx512vl", 7, 0, EBX, 31, ZMM},
    {"avx512vbmi", 7, 0, ECX, 1, ZMM},
    {"pku", 7, 0, ECX, 4, None},
    {"waitpkg", 7, 0, ECX, 5, None},
    {"avx512vbmi2", 7, 0, ECX, 6, ZMM},
    {"shstk", 7, 0, ECX, 7, None},
    {"gfni", 7, 0, ECX, 8, None},
    {"vaes", 7, 0, ECX, 9, YMM},
    {"vpclmulqdq", 7, 0, ECX, 10, YMM},
    {"avx512vnni", 7, 0, ECX, 11, ZMM},
    {"avx512bitalg", 7, 0, ECX, 12, ZMM},
    {"avx512vpopcntdq", 7, 0, ECX, 14, ZMM},
    {"rdpid", 7, 0, ECX, 22, None},
    {"cldemote", 7, 0, ECX, 25, None},
    {"movdiri", 7, 0, ECX, 27, None},
    {"movdir64b", 7, 0, ECX, 28, None},
    {"enqcmd", 7, 0, ECX, 29, None},
    {"uintr", 7, 0, EDX, 5, None},
    {"avx512vp2intersect", 7, 0, EDX, 8, ZMM},
    {"serialize", 7, 0, EDX, 14, None},
    {"tsxldtrk", 7, 0, EDX, 16, None},
    {"pconfig", 7, 0, EDX, 18, None},
    {"amx-bf16", 7, 0, EDX, 22, Tile},
    {"avx512fp16", 7, 0, EDX, 23, ZMM},
    {"amx-tile", 7, 0, EDX, 24, Tile},
    {"amx-int8", 7, 0, EDX, 25, Tile},
    {"sha512", 7, 1, EAX, 0, YMM},
    {"sm3", 7, 1, EAX, 1, YMM},
    {"sm4", 7, 1, EAX, 2, YMM},
    {"avxvnni", 7, 1, EAX, 4, YMM},
    {"avx512bf16", 7, 1, EAX, 5, ZMM},
    {"cmpccxadd", 7, 1, EAX, 7, None},
    {"amx-fp16", 7, 1, EAX, 21, Tile},
    {"hreset", 7, 1, EAX, 22, None},
    {"avxifma", 7, 1, EAX, 23, YMM},
    {"avxvnniint8", 7, 1, EDX, 4, YMM},
    {"avxneconvert", 7, 1, EDX, 5, YMM},
    {"amx-complex", 7, 1, EDX, 8, Tile},
    {"avxvnniint16", 7, 1, EDX, 10, YMM},
    {"prefetchi", 7, 1, EDX, 14, None},
    {"xsaveopt", 0xd, 1, EAX, 0, None},
    {"xsavec", 0xd, 1, EAX, 1, None},
    {"xsaves", 0xd, 1, EAX, 3, None},
    {"sahf", 0x80000001, 0, ECX, 0, None},
    {"lzcnt", 0x80000001, 0, ECX, 5, None},
    {"sse4a", 0x80000001, 0, ECX, 6, None},
    {"prfchw", 0x80000001, 0, ECX, 8, None},
    {"xop", 0x80000001, 0, ECX, 11, YMM},
    {"fma4", 0x80000001, 0, ECX, 16, YMM},
    {"tbm", 0x80000001, 0, ECX, 21, None},
    {"mwaitx", 0x80000001, 0, ECX, 29, None},
    {"64bit", 0x80000001, 0, EDX, 29, None},
    {"clzero", 0x80000008, 0, EBX, 0, None},
    {"rdpru", 0x80000008, 0, EBX, 4, None},
    {"wbnoinvd", 0x80000008, 0, EBX, 9, None},
};

/// LLVM also calls tuning advice a feature; any CPU "has" it.
const char *const tuningPrefixes[] = {
    "prefer-",
    "fast-",
    "slow-",
    "tuning-",
    "false-deps-",
    "allow-",
    "no-",
    "use-",
    "branchfusion",
    "macrofusion",
    "idivl-",
    "idivq-",
    "pad-",
    "lea-",
    "sbb-",
    "ermsb",
    "fsrm",
    "nopl",
    "vzeroupper",
    "faster-",
    "harden-",
    "retpoline",
    "lvi-",
    "seses",
    "branch-hint",
    "dnot-",
    "avoid-",
    "insert-",
    "ccmp-",
    "64bit-mode",
    "sse-unaligned-mem",
};

uint64_t enabledStates() {
  uint32_t a, b, c, d;
  constexpr uint32_t osxsave = 1u << 27;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & osxsave))
    return 0;
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

bool hasState(State state) {
  static const uint64_t enabled = enabledStates();
  // Bits of XCR0: SSE 1, AVX 2, opmask and upper ZMM 5-7, tiles 17-18.
  constexpr uint64_t needed[] = {0, 0x6, 0xe6, 0x60000};
  return (enabled & needed[state]) == needed[state];
}

bool hasFeature(const Feature &feature) {
  uint32_t values[4] = {0, 0, 0, 0};
  if (!__get_cpuid_count(feature.leaf, feature.subleaf, &values[EAX],
                         &values[EBX], &values[ECX], &values[EDX]))
    return false;
  return (values[feature.reg] >> feature.bit & 1) && hasState(feature.state);
}

bool isTuning(std::string_view name) {
  for (std::string_view prefix : tuningPrefixes)
    if (name.substr(0, prefix.size()) == prefix)
      return true;
  return false;
}

class ThisMachine final : public Machine {
public:
  std::string_view architecture() const override { return "x86_64-"; }

  Support feature(std::string_view name) const override {
    for (const Feature &feature : features)
      if (name == feature.name)
        return hasFeature(feature) ? Support::Present : Support::Absent;
    return isTuning(name) ? Support::Present : Support::Unknown;
  }

  /// Linux hands out the 8 KiB tile state only to processes that ask for it.
  bool grantTiles() const override {
    constexpr long requestPermission = 0x1023, tileData = 18;
    return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
  }
};
} // namespace
#elif defined(__aarch64__)
namespace {
struct Feature {
  const char *name; // LLVM's
  int word;         // of the auxiliary vector
  unsigned bit;
};

constexpr int word1 = AT_HWCAP, word2 = AT_HWCAP2;
// Numbers, since the headers of older systems lack some of the names.
const Feature features[] = {
    {"fp-armv8", word1, 0}, {"neon", word1, 1},     {"aes", word1, 3},
    {"crc", word1, 7},      {"lse", word1, 8},      {"fullfp16", word1, 10},
    {"rdm", word1, 12},     {"jsconv", word1, 13},  {"complxnum", word1, 14},
    {"rcpc", word1, 15},    {"sha3", word1, 17},    {"dotprod", word1, 20},
    {"sve", word1, 22},     {"fp16fml", word1, 23}, {"sve2", word2, 1},
    {"i8mm", word2, 13},    {"bf16", word2, 14},
};

class ThisMachine final : public Machine {
public:
  std::string_view architecture() const override { return "aarch64-"; }

  Support feature(std::string_view name) const override {
    for (const Feature &feature : features)
      if (name == feature.name)
        return getauxval(feature.word) >> feature.bit & 1 ? Support::Present
                                                          : Support::Absent;
    return Support::Unknown;
  }

  bool grantTiles() const override { return false; }
};
} // namespace
#else
#error "say what this architecture's features are called"
#endif

const Machine &Machine::here() {
  static const ThisMachine machine;
  return machine;
}
