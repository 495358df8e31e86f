//===- BenchBuffers.cpp - Buffers that no cache holds -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BenchBuffers.h"
#include "llvm/Support/MemoryBuffer.h"
#include <algorithm>
#include <cstring>
#include <unistd.h>

namespace einhead::tool {

static std::string firstLine(const std::string &path) {
  auto file = llvm::MemoryBuffer::getFileAsStream(path);
  return file ? (*file)->getBuffer().split('\n').first.trim().str() : "";
}

size_t lastLevelCache() {
  size_t largest = 0;
  for (int index = 0; index < 8; ++index) {
    llvm::StringRef text = "";
    std::string line = firstLine("/sys/devices/system/cpu/cpu0/cache/index" +
                                 std::to_string(index) + "/size");
    text = line;
    size_t unit = 1;
    if (text.consume_back("K"))
      unit = 1 << 10;
    else if (text.consume_back("M"))
      unit = 1 << 20;
    size_t size = 0;
    if (!text.getAsInteger(10, size))
      largest = std::max(largest, size * unit);
  }
  long reported = sysconf(_SC_LEVEL3_CACHE_SIZE);
  largest = std::max(largest, static_cast<size_t>(std::max(reported, 0L)));
  return largest ? largest : size_t(32) << 20;
}

size_t availableMemory() {
  auto file = llvm::MemoryBuffer::getFileAsStream("/proc/meminfo");
  size_t kilobytes = 0;
  if (file) {
    llvm::StringRef rest =
        (*file)->getBuffer().split("MemAvailable:").second.ltrim();
    if (!rest.split(' ').first.getAsInteger(10, kilobytes))
      return kilobytes << 10;
  }
  return static_cast<size_t>(sysconf(_SC_AVPHYS_PAGES)) * sysconf(_SC_PAGESIZE);
}

static size_t roundUp(size_t bytes, size_t to) {
  return (bytes + to - 1) / to * to;
}

/// The part of a tensor from the first key that any row attends to.
static void addRanges(const BenchProblem &problem, llvm::StringRef term,
                      const char *data, size_t bytes,
                      std::vector<ByteRange> &ranges) {
  int64_t first = problem.firstKey();
  if (first == 0) {
    ranges.emplace_back(data, bytes);
    return;
  }
  size_t at = term.find(problem.roles.key);
  int64_t outer = problem.count(term.substr(0, at));
  int64_t keys = problem.count(problem.roles.key);
  size_t row = problem.count(term.substr(at + 1)) * sizeOf(problem.type);
  for (int64_t i = 0; i < outer; ++i)
    ranges.emplace_back(data + (i * keys + first) * row, (keys - first) * row);
}

std::vector<ByteRange> BenchBuffers::ranges(int set) const {
  std::vector<ByteRange> ranges;
  addRanges(problem, problem.roles.keyTerm, key(set), keyBytes, ranges);
  addRanges(problem, problem.roles.valueTerm, value(set), valueBytes, ranges);
  return ranges;
}

BenchBuffers::BenchBuffers(const BenchProblem &problem, bool cold)
    : problem(problem) {
  const attn::AttentionRoles &roles = problem.roles;
  size_t size = sizeOf(problem.type);
  keyBytes = problem.count(roles.keyTerm) * size;
  valueBytes = problem.count(roles.valueTerm) * size;
  keyStride = roundUp(keyBytes, 64);
  stride = keyStride + roundUp(valueBytes, 64);
  if (cold) {
    size_t wanted = std::max(2 * lastLevelCache(), size_t(1) << 30);
    size_t allowed = availableMemory() / 2;
    sets = static_cast<int>(
        std::max<size_t>(std::min(wanted / stride + 1, allowed / stride), 2));
  }
  arena = HugeBuffer(stride * sets);

  // Cut from a table of random numbers at random places.
  HostTensor table(problem.type, {int64_t(1) << 18});
  fillRandom(table, 1);
  uint64_t random = 2;
  size_t tableSize = table.byteCount(), total = stride * sets;
  for (size_t at = 0; at < total;) {
    size_t from = nextRandom(random) % (tableSize / 2) / size * size;
    size_t length = std::min({tableSize - from, total - at, size_t(1) << 15});
    std::memcpy(arena.data() + at, table.data() + from, length);
    at += length;
  }
}

} // namespace einhead::tool
