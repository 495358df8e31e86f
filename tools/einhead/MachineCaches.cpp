//===- MachineCaches.cpp - The caches of a core -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MachineCaches.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/MemoryBuffer.h"
#include <algorithm>
#include <string>

namespace einhead::tool {

/// A file of the first core's cache `index`, without its newline, or "".
static std::string read(int index, llvm::StringRef name) {
  auto file = llvm::MemoryBuffer::getFileAsStream(
      "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/" +
      name.str());
  return file ? (*file)->getBuffer().trim().str() : "";
}

/// "0-3,8-11" is 8.
static size_t countOf(llvm::StringRef list) {
  llvm::SmallVector<llvm::StringRef> ranges;
  list.split(ranges, ',');
  size_t count = 0;
  for (llvm::StringRef range : ranges) {
    auto [first, last] = range.split('-');
    size_t from = 0, to = 0;
    if (first.getAsInteger(10, from))
      continue;
    if (last.getAsInteger(10, to))
      to = from;
    count += to < from ? 0 : to - from + 1;
  }
  return std::max<size_t>(count, 1);
}

CacheLevel cacheLevel(int level) {
  constexpr int most = 8;
  for (int index = 0; index < most; ++index) {
    if (read(index, "level") != std::to_string(level) ||
        read(index, "type") == "Instruction")
      continue;
    std::string text = read(index, "size");
    llvm::StringRef digits = text;
    size_t unit = digits.consume_back("K")   ? size_t(1) << 10
                  : digits.consume_back("M") ? size_t(1) << 20
                                             : 1;
    CacheLevel cache;
    if (!digits.getAsInteger(10, cache.bytes))
      cache.bytes *= unit;
    cache.sharers = countOf(read(index, "shared_cpu_list"));
    return cache;
  }
  return {};
}

} // namespace einhead::tool
