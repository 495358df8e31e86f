//===- FakeBench.cpp - What benchmarks need of a fake driver ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Streams, graphs, events and copies, the kernels of benchmarks/gpu, and
/// kernels of decode attention, as a library that stands for the driver of a
/// program of its own.  FAKE_ATTENTION=stale makes those forget the last
/// key, =padding read one key too many, =drift give other bits in each call.
///
//===----------------------------------------------------------------------===//
#include "FakeCuda.h"
#include "cuda/Driver.h"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

using namespace einhead;
using namespace einhead::runtime::cuda;

namespace {
struct Executable {
  int graph;
};

double now() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

float widen(uint16_t bits) { // bf16
  uint32_t wide = uint32_t(bits) << 16;
  float x;
  std::memcpy(&x, &wide, sizeof(x));
  return x;
}

float widen(
    uint8_t bits) { // f8E4M3FN: the same exponent and mantissa, elsewhere
  uint32_t wide = uint32_t(bits & 0x80) << 24 | uint32_t(bits & 0x7f) << 20;
  float x;
  std::memcpy(&x, &wide, sizeof(x));
  return (bits & 0x7f) == 0x7f ? NAN : x * 0x1p120f;
}

uint32_t hash(uint64_t x) {
  x *= 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return static_cast<uint32_t>(x >> 32);
}

/// Only bf16, f32 and f8E4M3FN, which the tests use.
void fillKernel(const fake::Launch &launch) {
  auto *to = launch.get<char *>(0);
  for (uint64_t i = 0; i < launch.get<uint64_t>(1); ++i) {
    uint32_t h = hash(i + launch.get<uint64_t>(2));
    int sum = (h & 63) + (h >> 6 & 63) + (h >> 12 & 63) + (h >> 18 & 63);
    const uint32_t kind = launch.get<uint32_t>(3);
    float x = std::ldexp(static_cast<float>(sum - 126) / 32,
                         -static_cast<int>(kind >> 8));
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof(bits));
    if ((kind & 255) == 0)
      reinterpret_cast<uint16_t *>(to)[i] = static_cast<uint16_t>(bits >> 16);
    else if (launch.get<uint32_t>(3) == 3)
      to[i] = static_cast<char>((h & 0x87) | ((h >> 8 & 3) + 4) << 3);
    else
      reinterpret_cast<float *>(to)[i] = x;
  }
}

void poisonKernel(const fake::Launch &launch) {
  const auto *lengths = launch.get<const int64_t *>(4);
  for (uint64_t i = 0; i < launch.get<uint64_t>(1); ++i) {
    uint64_t sequence = i / launch.get<uint64_t>(5) % launch.get<uint64_t>(6);
    uint64_t key = i / launch.get<uint64_t>(7) % launch.get<uint64_t>(8);
    if (static_cast<int64_t>(key) < lengths[sequence])
      continue;
    if (launch.get<uint32_t>(2) == 1)
      launch.get<uint8_t *>(0)[i] = launch.get<uint8_t>(3);
    else
      launch.get<uint16_t *>(0)[i] = launch.get<uint16_t>(3);
  }
}

/// query [b, g, r, k] in bf16, key [b, g, m, k], value [b, g, m, k], lengths
/// [b] -> output f32 [b, g, r, k]; a block for each row.
template <typename Stored> void attentionKernel(const fake::Launch &launch) {
  const auto *q = launch.get<const uint16_t *>(0);
  const auto *k = launch.get<const Stored *>(1),
             *v = launch.get<const Stored *>(2);
  const auto *lengths = launch.get<const int64_t *>(3);
  auto *out = launch.get<float *>(4);
  const int64_t groups = launch.get<int64_t>(5), rows = launch.get<int64_t>(6),
                keys = launch.get<int64_t>(7), depth = launch.get<int64_t>(8);
  const char *fault = std::getenv("FAKE_ATTENTION");
  const std::string wrong = fault ? fault : "";
  static float drift = 0;
  drift += 2e-7f;
  const float scale = 1 / std::sqrt(static_cast<float>(depth));
  for (int64_t row = 0; row < launch.grid[0]; ++row) {
    int64_t unit = row / rows;
    int64_t length = lengths[unit / groups] - (wrong == "stale") +
                     (wrong == "padding" && lengths[unit / groups] < keys);
    std::vector<float> sum(depth, 0.0f);
    float total = 0;
    for (int64_t m = 0; m < length; ++m) {
      float score = 0;
      for (int64_t i = 0; i < depth; ++i)
        score +=
            widen(q[row * depth + i]) * widen(k[(unit * keys + m) * depth + i]);
      float weight = std::exp(score * scale - 8);
      total += weight;
      for (int64_t i = 0; i < depth; ++i)
        sum[i] += weight * widen(v[(unit * keys + m) * depth + i]);
    }
    for (int64_t i = 0; i < depth; ++i)
      out[row * depth + i] =
          sum[i] / total * (wrong == "drift" ? 1 + drift : 1.0f);
  }
}

/// The library starts as a driver does, without a test around it.
struct Start {
  Start() {
    fake::reset();
    fake::define("bench_fill", {8, 8, 8, 4}, fillKernel);
    fake::define("bench_poison", {8, 8, 4, 4, 8, 8, 8, 8, 8}, poisonKernel);
    fake::define("bench_read", {8, 8, 8}, [](const fake::Launch &) {});
    fake::define("attention", {8, 8, 8, 8, 8, 8, 8, 8, 8},
                 attentionKernel<uint16_t>);
    fake::define("attention_f8", {8, 8, 8, 8, 8, 8, 8, 8, 8},
                 attentionKernel<uint8_t>);
  }
} start;
} // namespace

extern "C" {
Result cuStreamCreate(Handle *stream, unsigned) {
  static uintptr_t count = 100;
  *stream = reinterpret_cast<Handle>(++count * 64);
  return Success;
}
Result cuStreamDestroy_v2(Handle) { return Success; }
Result cuStreamBeginCapture_v2(Handle stream, int) {
  fake::beginCapture(stream);
  return Success;
}
Result cuStreamEndCapture(Handle stream, Handle *graph) {
  int number = fake::endCapture(stream);
  *graph = number < 0 ? nullptr : new Executable{number};
  return number < 0 ? 901 : Success;
}
Result cuGraphInstantiateWithFlags(Handle *executable, Handle graph,
                                   unsigned long long) {
  *executable = new Executable(*static_cast<Executable *>(graph));
  return Success;
}
Result cuGraphLaunch(Handle executable, Handle) {
  fake::replay(static_cast<Executable *>(executable)->graph);
  return Success;
}
Result cuGraphExecDestroy(Handle executable) {
  delete static_cast<Executable *>(executable);
  return Success;
}
Result cuGraphDestroy(Handle graph) {
  delete static_cast<Executable *>(graph);
  return Success;
}
Result cuEventCreate(Handle *event, unsigned) {
  *event = new double(0);
  return Success;
}
Result cuEventDestroy_v2(Handle event) {
  delete static_cast<double *>(event);
  return Success;
}
Result cuEventRecord(Handle event, Handle) {
  *static_cast<double *>(event) = now();
  return Success;
}
Result cuEventSynchronize(Handle) { return Success; }
Result cuEventElapsedTime(float *milliseconds, Handle from, Handle to) {
  *milliseconds = static_cast<float>(
      1e3 * (*static_cast<double *>(to) - *static_cast<double *>(from)));
  return Success;
}
Result cuMemcpyDtoH_v2(void *to, Address from, size_t bytes) {
  std::memcpy(to, reinterpret_cast<void *>(from), bytes);
  return Success;
}
} // extern "C"
