//===- Workers.h - Cases in processes of their own --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_FUZZ_WORKERS_H
#define EINHEAD_TOOLS_FUZZ_WORKERS_H

#include "Execute.h"
#include <functional>

namespace einhead::fuzz {

struct CaseResult {
  uint64_t number = 0;
  Outcome outcome;
  double seconds = 0;
  /// For a crash that the case alone does not show: the first case of the
  /// process.
  uint64_t since = 0;
};

/// What a worker does with a case; made in the worker.
using Work = std::function<Outcome(uint64_t)>;

struct WorkerOptions {
  uint64_t first = 0, count = 0;
  int processes = 1; ///< 0: in this one, for a debugger
  unsigned secondsPerCase = 120;
  /// Cases of one process; a new one starts without what they left.
  uint64_t batch = 200;
};

/// Runs the cases in forked processes and reports each result, in any order.  A
/// process that ends early, or takes too long, is a finding of its case, and
/// the cases after it go on in a new one.
void runCases(const WorkerOptions &options,
              const std::function<Work()> &startWorker,
              const std::function<void(const CaseResult &)> &onResult);

} // namespace einhead::fuzz

#endif // EINHEAD_TOOLS_FUZZ_WORKERS_H
