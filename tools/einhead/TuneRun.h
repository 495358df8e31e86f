//===- TuneRun.h - Measure schedules of one attention -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_TUNERUN_H
#define EINHEAD_TOOLS_TUNERUN_H

#include "BenchCall.h"
#include "BenchCheck.h"
#include "Source.h"
#include "TuneSearch.h"

namespace einhead::tool {

struct TuneOptions {
  std::string cpu;
  int threads = 0;
  int candidates = 40;
  double seconds = 0.4; ///< of each beside the model's
  bool isCold = true;
  double perturb = 0; ///< added to an element of every candidate's result
};

/// What came of one schedule.
struct TuneResult {
  ScheduleSizes schedule;
  bool isModel = false;
  /// Medians of calls that took turns with calls of the model's, and of the
  /// ratios of such pairs: what slows the machine for a while slows both.
  double microseconds = 0, modelMicroseconds = 0, ratio = 0;
  double errorOverBound = 0;
  /// Why there is no time, or "".
  std::string refused;
};

class TuneRun {
public:
  /// Compiles the problem up to its schedule, the model's, and checks that one.
  static llvm::Expected<std::unique_ptr<TuneRun>>
  create(const BenchProblem &problem, Source &graph,
         const TuneOptions &options);

  /// Measures candidates; calls `progress` after each with their number.  The
  /// best are measured again, longer, as the fastest of many is also the
  /// luckiest.
  llvm::Error
  search(llvm::function_ref<void(const TuneResult &, int)> progress);

  const ScheduleKey &key() const { return problemKey; }
  const TuneResult &best() const { return winner; }
  /// All that were tried: the best, then the others, the fastest first.
  std::vector<TuneResult> ranked() const;
  int wrongResults() const { return wrong; }

private:
  TuneRun(const BenchProblem &problem, const TuneOptions &options);

  llvm::Error readModel(Source &graph);
  llvm::Error confirm();
  llvm::Expected<std::unique_ptr<BenchCall>> compile(ScheduleSizes schedule);
  /// Whether the call computes what the reference does; says why not.
  llvm::Error check(BenchCall &call, double perturb, TuneResult &result);
  llvm::Error race(BenchCall &call, double seconds, TuneResult &result);
  llvm::Expected<TuneResult> measure(const ScheduleSizes &schedule,
                                     double seconds);

  const BenchProblem &problem;
  TuneOptions options;
  std::optional<BenchBuffers> buffers;
  HostTensor query;
  std::optional<RowCheck> reference;
  TargetInfo target;
  /// The graph at level 'shared', where a schedule is put on its attention.
  std::string shared;
  ScheduleKey problemKey;
  int64_t keys = 1, rows = 1;
  ScheduleSizes model;
  std::unique_ptr<BenchCall> modelCall;
  std::vector<TuneResult> results;
  TuneResult winner;
  int wrong = 0, nextSet = 0;
};

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_TUNERUN_H
