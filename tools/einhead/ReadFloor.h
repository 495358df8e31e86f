//===- ReadFloor.h - The time to read buffers once --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_READFLOOR_H
#define EINHEAD_TOOLS_READFLOOR_H

#include "llvm/ADT/ArrayRef.h"
#include <string>
#include <utility>
#include <vector>

namespace einhead::tool {

using ByteRange = std::pair<const char *, size_t>;

/// Times reading all bytes of a set of ranges once, by several plain vectorised
/// loops on OpenMP threads.
class ReadFloor {
public:
  explicit ReadFloor(int threads);
  ~ReadFloor();

  /// Reads the ranges once with each loop; those that turn out slow are left
  /// out from then on.
  void tune(llvm::ArrayRef<std::vector<ByteRange>> sets, double seconds);
  /// Reads the ranges once with one of the loops, in turn.
  void sample(llvm::ArrayRef<ByteRange> ranges);

  /// The fastest loop's.
  double medianMicroseconds() const;
  double leastMicroseconds() const;
  std::string variant() const;

private:
  struct Candidate;
  const Candidate &best() const;

  int threads;
  size_t next = 0;
  std::vector<Candidate> candidates;
};

/// The number of threads that OpenMP takes for 0.
int availableThreads();

/// Seconds of a monotonic clock.
double now();

/// The middle one; the values are reordered.
double median(std::vector<double> &values);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_READFLOOR_H
