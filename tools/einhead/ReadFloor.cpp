//===- ReadFloor.cpp - The time to read buffers once ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReadFloor.h"
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <omp.h>

namespace einhead::tool {

int availableThreads() { return omp_get_num_procs(); }

double now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double median(std::vector<double> &values) {
  if (values.empty())
    return 0;
  auto middle = values.begin() + values.size() / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

namespace {

using ReadFunction = uint64_t (*)(const char *, size_t);

/// Defines a function that folds all bytes together: `unroll` vectors of
/// `width` bytes at a time, with a software prefetch `ahead` bytes away.
#define DEFINE_READ(name, attributes, width, unroll, ahead)                    \
  attributes uint64_t name(const char *data, size_t size) {                    \
    typedef uint64_t Vector                                                    \
        __attribute__((vector_size(width), aligned(8), may_alias));            \
    constexpr size_t step = size_t(width) * (unroll);                          \
    Vector sum[unroll] = {};                                                   \
    size_t i = 0;                                                              \
    for (; i + step <= size; i += step) {                                      \
      if (ahead)                                                               \
        for (size_t line = 0; line < step; line += 64)                         \
          __builtin_prefetch(data + i + line + (ahead));                       \
      for (int j = 0; j < (unroll); ++j)                                       \
        sum[j] ^= *reinterpret_cast<const Vector *>(data + i + (width) * j);   \
    }                                                                          \
    uint64_t result = 0;                                                       \
    for (int j = 0; j < (unroll); ++j)                                         \
      for (size_t lane = 0; lane < (width) / 8; ++lane)                        \
        result ^= sum[j][lane];                                                \
    for (; i < size; ++i)                                                      \
      result ^= static_cast<unsigned char>(data[i]);                           \
    return result;                                                             \
  }

#if defined(__x86_64__)
#define AVX512 __attribute__((target("avx512f"), optimize("unroll-loops")))
#define AVX2 __attribute__((target("avx2"), optimize("unroll-loops")))
#ifdef __clang__
#undef AVX512
#undef AVX2
#define AVX512 __attribute__((target("avx512f")))
#define AVX2 __attribute__((target("avx2")))
#endif
DEFINE_READ(read512x8, AVX512, 64, 8, 0)
DEFINE_READ(read512x8near, AVX512, 64, 8, 1024)
DEFINE_READ(read512x8far, AVX512, 64, 8, 4096)
DEFINE_READ(read512x16, AVX512, 64, 16, 0)
DEFINE_READ(read512x4, AVX512, 64, 4, 0)
DEFINE_READ(read512x4near, AVX512, 64, 4, 2048)
DEFINE_READ(read256x8, AVX2, 32, 8, 0)
DEFINE_READ(read256x8near, AVX2, 32, 8, 1024)
#endif
DEFINE_READ(read128x8, , 16, 8, 0)
DEFINE_READ(read128x8near, , 16, 8, 1024)

struct Variant {
  const char *name;
  ReadFunction read;
};

std::vector<Variant> supportedVariants() {
  std::vector<Variant> variants = {{"16-byte", read128x8},
                                   {"16-byte, prefetch 1K", read128x8near}};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) {
    variants.push_back({"avx2", read256x8});
    variants.push_back({"avx2, prefetch 1K", read256x8near});
  }
  if (__builtin_cpu_supports("avx512f")) {
    variants.push_back({"avx512 x8", read512x8});
    variants.push_back({"avx512 x8, prefetch 1K", read512x8near});
    variants.push_back({"avx512 x8, prefetch 4K", read512x8far});
    variants.push_back({"avx512 x16", read512x16});
    variants.push_back({"avx512 x4", read512x4});
    variants.push_back({"avx512 x4, prefetch 2K", read512x4near});
  }
#endif
  return variants;
}

/// Each thread reads its own part of all bytes.
uint64_t readAll(ReadFunction read, llvm::ArrayRef<ByteRange> ranges,
                 int threads) {
  size_t total = 0;
  for (auto [data, size] : ranges)
    total += size;
  uint64_t result = 0;
#pragma omp parallel num_threads(threads) reduction(^ : result)
  {
    size_t thread = omp_get_thread_num(), count = omp_get_num_threads();
    size_t begin = total * thread / count / 64 * 64;
    size_t end =
        thread + 1 == count ? total : total * (thread + 1) / count / 64 * 64;
    size_t start = 0; // of the range, in all bytes
    for (auto [data, size] : ranges) {
      size_t from = std::max(begin, start), to = std::min(end, start + size);
      if (from < to)
        result ^= read(data + (from - start), to - from);
      start += size;
    }
  }
  return result;
}

volatile uint64_t sink;

} // namespace

struct ReadFloor::Candidate {
  const char *name;
  ReadFunction read;
  std::vector<double> seconds;

  double median() const {
    std::vector<double> copy = seconds;
    return tool::median(copy);
  }
};

ReadFloor::ReadFloor(int threads) : threads(threads) {
  for (const Variant &variant : supportedVariants())
    candidates.push_back({variant.name, variant.read, {}});
}

ReadFloor::~ReadFloor() = default;

void ReadFloor::tune(llvm::ArrayRef<std::vector<ByteRange>> sets,
                     double seconds) {
  constexpr size_t kept = 3;
  size_t round = 0,
         set = 0; // goes on through the sets: each read is a cold one
  for (double start = now(); round < 3 || now() - start < seconds; ++round)
    for (size_t i = 0; i < candidates.size(); ++i)
      sample(sets[set++ % sets.size()]);
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate &x, const Candidate &y) {
                     return x.median() < y.median();
                   });
  candidates.resize(std::min(kept, candidates.size()));
  for (Candidate &candidate : candidates)
    candidate.seconds.clear();
  next = 0;
}

void ReadFloor::sample(llvm::ArrayRef<ByteRange> ranges) {
  Candidate &candidate = candidates[next];
  next = (next + 1) % candidates.size();
  double begin = now();
  sink = readAll(candidate.read, ranges, threads);
  candidate.seconds.push_back(now() - begin);
}

const ReadFloor::Candidate &ReadFloor::best() const {
  return *std::min_element(candidates.begin(), candidates.end(),
                           [](const Candidate &x, const Candidate &y) {
                             return x.median() < y.median();
                           });
}

double ReadFloor::medianMicroseconds() const { return best().median() * 1e6; }

double ReadFloor::leastMicroseconds() const {
  const std::vector<double> &seconds = best().seconds;
  return *std::min_element(seconds.begin(), seconds.end()) * 1e6;
}

std::string ReadFloor::variant() const { return best().name; }

} // namespace einhead::tool
