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

int coldSets(size_t stride) {
  size_t wanted = std::max(2 * lastLevelCache(), size_t(1) << 30);
  size_t allowed = availableMemory() / 2;
  return static_cast<int>(
      std::max<size_t>(std::min(wanted / stride + 1, allowed / stride), 2));
}

void fillFromTable(DataType type, char *data, size_t bytes) {
  HostTensor table(type, {int64_t(1) << 18});
  fillRandom(table, 1);
  uint64_t random = 2;
  size_t tableSize = table.byteCount(), size = sizeOf(type);
  for (size_t at = 0; at < bytes;) {
    size_t from = nextRandom(random) % (tableSize / 2) / size * size;
    size_t length = std::min({tableSize - from, bytes - at, size_t(1) << 15});
    std::memcpy(data + at, table.data() + from, length);
    at += length;
  }
}

static size_t roundUp(size_t bytes, size_t to) {
  return (bytes + to - 1) / to * to;
}

/// Calls visit(offset in bytes, bytes, whether they are read) for the pieces of
/// a tensor, in order: a piece has one key of one sequence.
static void forEachPiece(const BenchProblem &problem, llvm::StringRef term,
                         llvm::function_ref<void(size_t, size_t, bool)> visit) {
  size_t size = sizeOf(problem.type);
  if (!problem.isMasked() && problem.lengths.empty())
    return visit(0, problem.count(term) * size, true);
  // Both need a single key letter.
  size_t key = term.find(problem.roles.key);
  size_t sequence = problem.sequenceLetter()
                        ? term.find(problem.sequenceLetter())
                        : llvm::StringRef::npos;
  size_t outer =
      (sequence == llvm::StringRef::npos ? key : std::max(key, sequence)) + 1;
  size_t bytes = problem.count(term.substr(outer)) * size;
  int64_t pieces = problem.count(term.take_front(outer));
  auto innerTo = [&](size_t dimension) {
    return problem.count(term.slice(dimension + 1, outer));
  };
  int64_t perKey = innerTo(key), keys = problem.extent.at(term[key]);
  int64_t perSequence = 1, sequences = 0;
  if (sequence != llvm::StringRef::npos) {
    perSequence = innerTo(sequence);
    sequences = problem.extent.at(term[sequence]);
  }
  for (int64_t piece = 0; piece < pieces; ++piece)
    visit(piece * bytes, bytes,
          problem.isRead(sequences ? piece / perSequence % sequences : -1,
                         piece / perKey % keys));
}

/// The parts of a tensor that are read.
static void addRanges(const BenchProblem &problem, llvm::StringRef term,
                      const char *data, std::vector<ByteRange> &ranges) {
  forEachPiece(problem, term, [&](size_t offset, size_t bytes, bool isRead) {
    if (!isRead)
      return;
    const char *begin = data + offset;
    if (!ranges.empty() && ranges.back().first + ranges.back().second == begin)
      ranges.back().second += bytes;
    else
      ranges.emplace_back(begin, bytes);
  });
}

std::vector<ByteRange> BenchBuffers::ranges(int set) const {
  std::vector<ByteRange> ranges;
  addRanges(problem, problem.roles.keyTerm, key(set), ranges);
  if (!problem.valueInKey)
    addRanges(problem, problem.roles.valueTerm, value(set), ranges);
  return ranges;
}

/// What lies past the valid keys must not show in the result: it is NaN.
void BenchBuffers::poison(llvm::StringRef term, char *data) {
  forEachPiece(problem, term, [&](size_t offset, size_t bytes, bool isRead) {
    if (!isRead)
      std::memset(data + offset, 0xff, bytes); // NaN in every float type
  });
}

BenchBuffers::BenchBuffers(const BenchProblem &problem, bool cold)
    : problem(problem) {
  const attn::AttentionRoles &roles = problem.roles;
  size_t size = sizeOf(problem.type);
  size_t keyBytes = problem.count(roles.keyTerm) * size;
  size_t valueBytes =
      problem.valueInKey ? 0 : problem.count(roles.valueTerm) * size;
  keyStride = roundUp(keyBytes, 64);
  stride = keyStride + roundUp(valueBytes, 64);
  if (cold)
    sets = coldSets(stride);
  arena = HugeBuffer(stride * sets);
  fillFromTable(problem.type, arena.data(), stride * sets);
  // With a mask alone, what no row attends to is still a valid number.
  for (int set = 0; set < sets && !problem.lengths.empty(); ++set) {
    poison(roles.keyTerm, key(set));
    if (!problem.valueInKey)
      poison(roles.valueTerm, value(set));
  }
}

} // namespace einhead::tool
