//===- Memory.h - Aligned pages and the workspace of a session --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CORE_MEMORY_H
#define EINHEAD_RUNTIME_CORE_MEMORY_H

#include <cstddef>
#include <cstdint>

namespace einhead::runtime {

/// For tests: while set, every large allocation asks it first; false makes the
/// allocation fail.
using AllocationHook = bool (*)(void *user, size_t bytes);
void setAllocationHook(AllocationHook hook, void *user);

/// Zero-filled memory at a multiple of 64 bytes (of 2 MiB, on huge pages where
/// the system has them, from 2 MiB on).  Caches and workspace live in these.
class Pages {
public:
  Pages() = default;
  Pages(Pages &&other) noexcept;
  Pages &operator=(Pages &&other) noexcept;
  Pages(const Pages &) = delete;
  Pages &operator=(const Pages &) = delete;
  ~Pages() { release(); }

  /// False where memory runs out; the object is then empty.
  bool allocate(size_t bytes);
  void release();

  uint8_t *data() const { return start; }
  size_t size() const { return bytes; }

private:
  uint8_t *start = nullptr;
  size_t bytes = 0;
  void *mapping = nullptr; // null: `start` is from aligned_alloc
  size_t mappingBytes = 0;
};

/// The memory that compiled code asks for during one call.  Pointers only move
/// forward; reset() makes all of it free again.  Nothing here throws, because
/// allocate() runs below frames of generated code.
class Arena {
public:
  /// Null where memory runs out or the request is absurd.
  void *allocate(int64_t bytes, int64_t alignment);

  /// Frees everything handed out.  Where the last call needed several chunks,
  /// they become one, so that a steady stream of calls never allocates.
  void reset();

  size_t capacity() const;

private:
  static constexpr int maxChunks = 48;
  Pages chunks[maxChunks];
  int chunkCount = 0;
  size_t used = 0; // bytes of the last chunk
  size_t wanted = 0;
};

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CORE_MEMORY_H
