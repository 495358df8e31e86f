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

/// Distinct sets of key, value and their scales, filled with random numbers;
/// together they exceed twice the last-level cache and 1 GB where there is that
/// much memory, so that going through them in turn is cold.  Keys past the
/// lengths are NaN.
class BenchBuffers {
public:
  BenchBuffers(const BenchProblem &problem, bool cold);

  int count() const { return sets; }
  /// Of the problem's tensors, the i-th.
  char *data(int set, size_t i) const {
    return arena.data() + set * stride + offsets[i];
  }
  char *key(int set) const { return data(set, 0); }
  /// The key's, where the value is columns of it.
  char *value(int set) const {
    return problem.valueInKey ? key(set) : data(set, 1);
  }
  /// Null where there are none.
  char *keyScale(int set) const {
    return problem.isScaled() ? data(set, problem.valueInKey ? 1 : 2) : nullptr;
  }
  char *valueScale(int set) const {
    return problem.isScaled() && !problem.valueInKey ? data(set, 3)
                                                     : keyScale(set);
  }
  /// The bytes that an evaluation must read.
  std::vector<ByteRange> ranges(int set) const;

private:
  void fill(size_t i);
  void poison(const BenchTensor &tensor, char *data);

  const BenchProblem &problem;
  std::vector<BenchTensor> tensors;
  std::vector<size_t> offsets; ///< in a set, of each tensor; and of the end
  size_t stride = 0;
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
