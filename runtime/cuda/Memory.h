//===- Memory.h - Device memory and the workspace of a session --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CUDA_MEMORY_H
#define EINHEAD_RUNTIME_CUDA_MEMORY_H

#include "cuda/Context.h"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace einhead::runtime::cuda {

/// One allocation of the driver's.
class Buffer {
public:
  Buffer() = default;
  Buffer(Buffer &&other) noexcept { *this = std::move(other); }
  Buffer &operator=(Buffer &&other) noexcept;
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  ~Buffer();

  /// The context must be this thread's.
  einhead_status_t allocate(const std::shared_ptr<Context> &context,
                            size_t bytes, const Where &where);

  Address address() const { return start; }
  size_t size() const { return bytes; }
  void *data() const { return reinterpret_cast<void *>(start); }

private:
  std::shared_ptr<Context> context;
  Address start = 0;
  size_t bytes = 0;
};

/// What all arenas of a session hold together, and may hold.
struct Budget {
  int64_t limit = 0, held = 0;
};

/// Device memory that the code of one call asks for.  Chunks are never moved or
/// given back: captured graphs have their addresses.  The same requests in the
/// same order get the same memory.
class Arena {
public:
  /// Memory is filled with zeros when it is made, where `isZeroed`.
  Arena(std::shared_ptr<Context> context, Budget &budget, bool isZeroed)
      : context(std::move(context)), budget(budget), isZeroed(isZeroed) {}

  /// Makes all of it free again.
  void reset() { current = used = 0; }
  /// Takes from what there is, or where `mayGrow`, from a new chunk.
  einhead_status_t allocate(int64_t bytes, int64_t alignment, bool mayGrow,
                            Handle stream, void *&out);

private:
  einhead_status_t grow(size_t least, Handle stream);
  bool take(size_t bytes, size_t alignment, void *&out);

  std::shared_ptr<Context> context;
  Budget &budget;
  bool isZeroed;
  std::vector<Buffer> chunks;
  size_t current = 0, used = 0; // the chunk, and its bytes
};

} // namespace einhead::runtime::cuda

#endif // EINHEAD_RUNTIME_CUDA_MEMORY_H
