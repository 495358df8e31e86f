//===- Memory.cpp - Aligned pages and the workspace of a session ----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Memory.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <utility>

using namespace einhead::runtime;

namespace {
constexpr size_t cacheLine = 64;
constexpr size_t hugePage = size_t(2) << 20;
constexpr size_t smallestChunk = size_t(1) << 20;
/// More than any machine has: larger requests are mistakes, and arithmetic on
/// smaller ones cannot overflow.
constexpr size_t absurdBytes = size_t(1) << 46;

std::atomic<AllocationHook> allocationHook{nullptr};
std::atomic<void *> allocationHookUser{nullptr};

size_t roundUp(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}
} // namespace

void einhead::runtime::setAllocationHook(AllocationHook hook, void *user) {
  allocationHookUser = user;
  allocationHook = hook;
}

Pages::Pages(Pages &&other) noexcept { *this = std::move(other); }

Pages &Pages::operator=(Pages &&other) noexcept {
  std::swap(start, other.start);
  std::swap(bytes, other.bytes);
  std::swap(mapping, other.mapping);
  std::swap(mappingBytes, other.mappingBytes);
  return *this;
}

bool Pages::allocate(size_t wanted) {
  release();
  if (wanted > absurdBytes)
    return false;
  if (AllocationHook hook = allocationHook)
    if (!hook(allocationHookUser, wanted))
      return false;
  size_t rounded = std::max(roundUp(wanted, cacheLine), cacheLine);
  if (rounded < hugePage) {
    void *memory = std::aligned_alloc(cacheLine, rounded);
    if (!memory)
      return false;
    std::memset(memory, 0, rounded);
    start = static_cast<uint8_t *>(memory);
    bytes = wanted;
    return true;
  }
  size_t total = roundUp(rounded, hugePage) + hugePage;
  void *memory = mmap(nullptr, total, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return false;
  mapping = memory;
  mappingBytes = total;
  start = reinterpret_cast<uint8_t *>(
      roundUp(reinterpret_cast<uintptr_t>(memory), hugePage));
  bytes = wanted;
  // Only advice: without huge pages the same memory works, with more misses.
  (void)madvise(start, roundUp(rounded, hugePage), MADV_HUGEPAGE);
  return true;
}

void Pages::release() {
  if (mapping)
    munmap(mapping, mappingBytes);
  else
    std::free(start);
  start = nullptr;
  mapping = nullptr;
  bytes = mappingBytes = 0;
}

void *Arena::allocate(int64_t bytes, int64_t alignment) {
  if (bytes < 0 || alignment < 0 || (alignment & (alignment - 1)) != 0 ||
      static_cast<size_t>(bytes) > absurdBytes ||
      static_cast<size_t>(alignment) > hugePage)
    return nullptr;
  size_t align = std::max(static_cast<size_t>(alignment), cacheLine);
  size_t size = std::max(static_cast<size_t>(bytes), size_t(1));
  wanted += roundUp(size, cacheLine) + align;

  if (chunkCount > 0) {
    Pages &chunk = chunks[chunkCount - 1];
    uintptr_t base = reinterpret_cast<uintptr_t>(chunk.data());
    size_t begin = roundUp(base + used, align) - base;
    if (begin <= chunk.size() && size <= chunk.size() - begin) {
      used = begin + size;
      return chunk.data() + begin;
    }
  }
  if (chunkCount == maxChunks)
    return nullptr;
  // Each chunk is at least twice the one before, so few are ever needed.
  size_t last = chunkCount > 0 ? chunks[chunkCount - 1].size() : 0;
  size_t least = roundUp(size, cacheLine) + align;
  Pages &chunk = chunks[chunkCount];
  if (!chunk.allocate(std::max({smallestChunk, 2 * last, least})) &&
      !chunk.allocate(least))
    return nullptr;
  ++chunkCount;
  uintptr_t base = reinterpret_cast<uintptr_t>(chunk.data());
  size_t begin = roundUp(base, align) - base;
  used = begin + size;
  return chunk.data() + begin;
}

void Arena::reset() {
  if (chunkCount > 1) {
    for (int i = 0; i < chunkCount; ++i)
      chunks[i].release();
    // A failure here is no error: the next allocate() asks again.
    chunkCount = chunks[0].allocate(wanted) ? 1 : 0;
  }
  used = 0;
  wanted = 0;
}

size_t Arena::capacity() const {
  size_t total = 0;
  for (int i = 0; i < chunkCount; ++i)
    total += chunks[i].size();
  return total;
}
