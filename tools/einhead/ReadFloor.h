//===- ReadFloor.h - The time to read buffers once ------------ -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_READFLOOR_H
#define EINHEAD_TOOLS_READFLOOR_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <string>
#include <utility>
#include <vector>

namespace einhead::tool {

using ByteRange = std::pair<const char *, size_t>;

struct ReadFloor {
  double microseconds = 0;
  std::string variant; ///< of the fastest read
};

/// Median time to read all bytes of a set of ranges once with that many OpenMP
/// threads: the smallest one of several plain vectorised loops.  Goes through
/// `sets` sets in turn, for at least `seconds` with each loop.
ReadFloor measureReadFloor(int sets,
                           llvm::function_ref<std::vector<ByteRange>(int)> set,
                           int threads, double seconds);

/// The number of threads that OpenMP takes for 0.
int availableThreads();

/// Seconds of a monotonic clock.
double now();

/// The middle one; the values are reordered.
double median(std::vector<double> &values);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_READFLOOR_H
