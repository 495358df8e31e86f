//===- Measure.h - Checks and times one attention ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_BENCHMARKS_GPU_MEASURE_H
#define EINHEAD_BENCHMARKS_GPU_MEASURE_H

#include "Gpu.h"
#include "Problem.h"

#include <cstdint>
#include <stdexcept>
#include <vector>

namespace einhead::bench {

struct MeasureOptions {
  int replays = 25, reruns = 20, sets = 128;
  bool check = true;
  bool time = true;   // otherwise one set, and no replays
  bool spoil = false; // an element, before the check
};

struct Result {
  double microseconds = 0, least = 0; // median and least of the replays
  double worstRatio = 0;              // error by bound
  int64_t bytes = 0;                  // Problem::leastBytes()
  size_t rows = 0;                    // that were compared
  int sets = 0;                       // of inputs
  int64_t tokens = 0;                 // of a step: sequences of the batch
  int64_t operations = 0;             // of both products; of a step's einsums
};

/// A result that is not what it must be.
struct WrongResult : std::runtime_error {
  using std::runtime_error::runtime_error;
};

double median(std::vector<double> values);

/// How many input sets of this size no cache holds, up to the options' number.
int setCount(const Gpu &gpu, int64_t bytes, const MeasureOptions &options);

/// Throws WrongResult, or another exception where nothing can be measured.
Result measure(Gpu &gpu, const Request &request, const MeasureOptions &options);

/// The same for a step: several ops, which append to caches.
Result measureStep(Gpu &gpu, const Request &request,
                   const MeasureOptions &options);

/// Bytes a microsecond of a stream that only reads, over far more than the L2.
double readRate(Gpu &gpu);

} // namespace einhead::bench

#endif // EINHEAD_BENCHMARKS_GPU_MEASURE_H
