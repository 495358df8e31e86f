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

/// Pieces of a table of random numbers, cut at random places.
static void fillFrom(const HostTensor &table, uint64_t &random, char *data,
                     size_t bytes) {
  size_t tableSize = table.byteCount(), size = sizeOf(table.type);
  for (size_t at = 0; at < bytes;) {
    size_t from = nextRandom(random) % (tableSize / 2) / size * size;
    size_t length = std::min({tableSize - from, bytes - at, size_t(1) << 15});
    std::memcpy(data + at, table.data() + from, length);
    at += length;
  }
}

static HostTensor randomTable(DataType type) {
  HostTensor table(type, {int64_t(1) << 18});
  fillRandom(table, 1);
  return table;
}

void fillFromTable(DataType type, char *data, size_t bytes) {
  uint64_t random = 2;
  fillFrom(randomTable(type), random, data, bytes);
}

static size_t roundUp(size_t bytes, size_t to) {
  return (bytes + to - 1) / to * to;
}

/// Calls visit(offset in bytes, bytes, whether they are read) for the pieces of
/// a tensor, in order: a piece has one key of one sequence.
static void forEachPiece(const BenchProblem &problem, const BenchTensor &tensor,
                         llvm::function_ref<void(size_t, size_t, bool)> visit) {
  llvm::StringRef term = tensor.term;
  size_t size = sizeOf(tensor.type);
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
static void addRanges(const BenchProblem &problem, const BenchTensor &tensor,
                      const char *data, std::vector<ByteRange> &ranges) {
  forEachPiece(problem, tensor, [&](size_t offset, size_t bytes, bool isRead) {
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
  for (auto [i, tensor] : llvm::enumerate(tensors))
    addRanges(problem, tensor, data(set, i), ranges);
  return ranges;
}

/// What lies past the valid keys must not show in the result: it is NaN, or -1
/// where it is no float, with a scale of NaN.
void BenchBuffers::poison(const BenchTensor &tensor, char *data) {
  forEachPiece(problem, tensor, [&](size_t offset, size_t bytes, bool isRead) {
    if (!isRead)
      std::memset(data + offset, 0xff, bytes); // NaN in every float type
  });
}

void BenchBuffers::fill(size_t i) {
  HostTensor table = randomTable(tensors[i].type);
  // i8 rows times their scales have a deviation near 1.
  bool isScale = problem.isScaled() && tensors[i].type == DataType::F32;
  for (int64_t at = 0; isScale && at < table.elementCount(); ++at)
    table.set(at, table.at(at) / 74);
  uint64_t random = 2 + i;
  for (int set = 0; set < sets; ++set)
    fillFrom(table, random, data(set, i), offsets[i + 1] - offsets[i]);
}

BenchBuffers::BenchBuffers(const BenchProblem &problem, bool cold)
    : problem(problem), tensors(problem.tensors()) {
  for (const BenchTensor &tensor : tensors) {
    offsets.push_back(stride);
    stride += roundUp(problem.count(tensor.term) * sizeOf(tensor.type), 64);
  }
  offsets.push_back(stride);
  if (cold)
    sets = coldSets(stride);
  arena = HugeBuffer(stride * sets);
  for (size_t i = 0; i < tensors.size(); ++i)
    fill(i);
  // With a mask alone, what no row attends to is still a valid number.
  for (int set = 0; set < sets && !problem.lengths.empty(); ++set) {
    for (auto [i, tensor] : llvm::enumerate(tensors))
      poison(tensor, data(set, i));
  }
}

} // namespace einhead::tool
