//===- TuneSearch.h - Which schedules to try --------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_TUNESEARCH_H
#define EINHEAD_TOOLS_TUNESEARCH_H

#include "einhead/Transforms/ScheduleFile.h"

namespace einhead::tool {

/// A walk through schedules: first the other kinds of products with the model's
/// sizes, then from the fastest so far to its neighbours, one size halved or
/// doubled, until none of them is faster.
class TuneSearch {
public:
  /// Less than a hundredth is noise, and no reason to leave a schedule.
  static constexpr double worth = 0.99;

  /// `keys` and `rows` are those of the problem: what exceeds them changes
  /// nothing.
  TuneSearch(ScheduleKey key, TargetInfo target, int64_t keys, int64_t rows,
             const ScheduleSizes &model);

  /// The next one to measure, or none.
  std::optional<ScheduleSizes> next();
  /// What came of it: its time over the model's, measured together.
  void report(const ScheduleSizes &schedule, double ratio);

private:
  void add(const ScheduleSizes &schedule);
  void addKinds();
  void addNeighbours();

  ScheduleKey key;
  TargetInfo target;
  int64_t keys, rows;
  ScheduleSizes fastest;
  double fastestRatio = 1;
  /// All that were ever added, and how many of them have been given out.
  std::vector<ScheduleSizes> candidates;
  size_t given = 0;
  /// The one whose neighbours were added last.
  std::optional<ScheduleSizes> center;
};

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_TUNESEARCH_H
