//===- BenchBuffers.h - Buffers that no cache holds -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_BENCHBUFFERS_H
#define EINHEAD_TOOLS_BENCHBUFFERS_H

#include "BenchProblem.h"
#include "ReadFloor.h"

namespace einhead::tool {

/// Distinct pairs of key and value, filled with random numbers; together they
/// exceed twice the last-level cache and 1 GB where there is that much memory,
/// so that going through them in turn is cold.  Keys past the lengths are NaN.
class BenchBuffers {
public:
  BenchBuffers(const BenchProblem &problem, bool cold);

  int count() const { return sets; }
  char *key(int set) const { return arena.data() + set * stride; }
  /// The key's, where the value is columns of it.
  char *value(int set) const {
    return problem.valueInKey ? key(set) : key(set) + keyStride;
  }
  /// The bytes that an evaluation must read.
  std::vector<ByteRange> ranges(int set) const;

private:
  void poison(llvm::StringRef term, char *data);

  const BenchProblem &problem;
  size_t keyStride, stride;
  int sets = 1;
  HugeBuffer arena;
};

/// How many buffers of `stride` bytes no cache holds together.
int coldSets(size_t stride);
/// Fills memory from a table of random numbers at random places.
void fillFromTable(DataType type, char *data, size_t bytes);

/// Bytes of the last-level cache that the system reports, or 32 MB.
size_t lastLevelCache();
/// Bytes of memory that are free to use.
size_t availableMemory();

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_BENCHBUFFERS_H
