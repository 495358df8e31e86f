//===- Gpu.h - Memory, graphs and time of a GPU -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_BENCHMARKS_GPU_GPU_H
#define EINHEAD_BENCHMARKS_GPU_GPU_H

#include "cuda/Driver.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace einhead::bench {

namespace cuda = runtime::cuda;

/// Throws what the runtime's last error says.
void check(einhead_status_t status);

/// What elements the fill kernel makes.
enum class Fill : uint32_t { BF16, F16, F32, E4M3, I8, Scale };

/// What an evaluation reads as if it were not there: everything at or past its
/// sequence's length.
struct Padding {
  cuda::Address lengths = 0; // i64 for each sequence
  uint64_t sequenceStride = 1, sequences = 1, keyStride = 1, keys = 1;
};

class Gpu;

/// Device memory.
class Memory {
public:
  Memory() = default;
  Memory(Gpu &gpu, size_t bytes);
  Memory(Memory &&other) noexcept { *this = std::move(other); }
  Memory &operator=(Memory &&other) noexcept;
  Memory(const Memory &) = delete;
  ~Memory();
  cuda::Address address() const { return start; }
  void *data() const { return reinterpret_cast<void *>(start); }
  size_t size() const { return bytes; }

private:
  Gpu *gpu = nullptr;
  cuda::Address start = 0;
  size_t bytes = 0;
};

/// A captured graph.
class Graph {
public:
  Graph(Gpu &gpu, const std::function<void()> &enqueue);
  Graph(const Graph &) = delete;
  ~Graph();
  void launch();

private:
  Gpu &gpu;
  cuda::Handle graph = nullptr, executable = nullptr;
};

/// The GPU with a stream of its own; its primary context is that of the thread
/// that made this, which alone may use it.  Beside the C ABI of the runtime
/// this needs nothing of it.
class Gpu {
public:
  explicit Gpu(int ordinal);
  Gpu(const Gpu &) = delete;
  ~Gpu();

  cuda::Handle stream() const { return queue; }
  int ordinal() const { return number; }
  const einhead_device_info_t &info() const { return known; }

  void synchronize();
  /// Both wait.
  void copyToHost(void *to, cuda::Address from, size_t bytes);
  void copyToDevice(cuda::Address to, const void *from, size_t bytes);
  /// Enqueue.
  void zero(cuda::Address to, size_t bytes);
  /// Floats of 16 and 32 bits are multiplied by 2^-shift.
  void fill(cuda::Address to, uint64_t count, uint64_t seed, Fill kind,
            unsigned shift = 0);
  void poison(cuda::Address to, uint64_t count, unsigned elementBytes,
              uint32_t pattern, const Padding &padding);
  void read(cuda::Address from, uint64_t bytes, cuda::Address out);

  /// Microseconds of what is enqueued, on the GPU's clock.
  double time(const std::function<void()> &enqueue);

private:
  friend class Memory;
  friend class Graph;
  struct Functions;

  void check(cuda::Result result, const char *what) const;
  void launch(cuda::Handle kernel, unsigned blocks, unsigned threads,
              void **arguments);

  int number;
  std::unique_ptr<Functions> driver;
  cuda::DeviceNumber device = 0;
  cuda::Handle context = nullptr;
  einhead_device_info_t known = {};
  cuda::Handle queue = nullptr, before = nullptr, after = nullptr;
  cuda::Handle module = nullptr, fillKernel = nullptr, poisonKernel = nullptr,
               readKernel = nullptr;
};

} // namespace einhead::bench

#endif // EINHEAD_BENCHMARKS_GPU_GPU_H
