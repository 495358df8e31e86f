//===- FakeCuda.h - A CUDA driver without a GPU -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A shared library with the driver's functions that the runtime calls.  Device
/// memory is host memory (new memory is full of 0xCD), kernels are C functions
/// that were registered by name, or PTX, which is run (Ptx.h), and streams can
/// be captured and replayed.  It
/// is as strict as the driver: calls need a current context, a capture refuses
/// allocation and waiting, and errors of kernels stay.
///
/// The environment says what machine it is, and what fails:
///   FAKE_CUDA_GPUS=2             how many GPUs (1)
///   FAKE_CUDA_RESIDENT=132       blocks that run at once
///   FAKE_CUDA_MULTIPROCESSORS=3  of each (132)
///   FAKE_CUDA_COMPUTE=9.0        their compute capability
///   FAKE_CUDA_TOTAL=8589934592   the memory that it claims to have
///   FAKE_CUDA_MEMORY=4096        bytes that can be allocated
///   FAKE_CUDA_FAIL=cuMemAlloc_v2:3=700   the third call of it fails so
///   FAKE_CUDA_LOST=bar.sync:1    PTX that is run lacks its second barrier
///
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_TEST_RUNTIME_FAKECUDA_FAKECUDA_H
#define EINHEAD_TEST_RUNTIME_FAKECUDA_FAKECUDA_H

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace einhead::fake {

struct Launch {
  std::string kernel;
  unsigned grid[3], block[3];
  unsigned cluster; // along x, 0 without the attribute
  bool isCooperative;
  unsigned sharedBytes;
  void *stream;
  /// Copies of the arguments, of the sizes that were registered.
  std::vector<std::vector<char>> arguments;

  template <typename T> T get(size_t i) const {
    return *reinterpret_cast<const T *>(arguments.at(i).data());
  }
};

struct TensorMap {
  int type, swizzle, promotion;
  void *base;
  std::vector<uint64_t> sizes, byteStrides;
  std::vector<uint32_t> box;
};

using Body = void (*)(const Launch &launch);

/// What the driver saw since the last reset().
struct Record {
  std::vector<Launch> launches; // run, by calls or by replays
  std::vector<TensorMap> maps;
  std::vector<std::string> images; // what was loaded
  std::map<std::string, int> calls;
  /// Of functions, by kernel: the attribute and its value.
  std::map<std::string, std::map<int, int>> attributes;
  int buffers = 0, modules = 0, contexts = 0; // alive
  int64_t bytes = 0;
};

/// Forgets everything but registered kernels.
void reset();
Record &record();
/// How many contexts this thread has current.
int depth();

/// A kernel and the sizes of its parameters.
void define(const char *name, std::vector<size_t> sizes, Body body);

/// Everything on this stream becomes a graph instead of being done.
void beginCapture(void *stream);
/// The graph's number, -1 where the capture failed.
int endCapture(void *stream);
void replay(int graph);

} // namespace einhead::fake

#endif // EINHEAD_TEST_RUNTIME_FAKECUDA_FAKECUDA_H
