//===- BenchFlags.h - The options that say which attention ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_BENCHFLAGS_H
#define EINHEAD_TOOLS_BENCHFLAGS_H

#include "BenchProblem.h"
#include "BenchProjection.h"
#include "Tool.h"

namespace einhead::tool {

/// The options of every verb that measures one attention.
class BenchFlags {
public:
  explicit BenchFlags(llvm::cl::SubCommand &command, double seconds = 2,
                      llvm::StringRef secondsText = "Time to measure (2)");
  llvm::Expected<BenchProblem> problem() const;
  /// Whether the spec is of einsums of two operands, and those.
  bool isProjections() const;
  llvm::Expected<ProjectionProblem> projections() const;
  /// Threads, where 0 is all cores.
  int threadCount() const;

  Option<std::string> spec;
  ListOption<std::string> sizes;
  ListOption<int64_t> lengths;
  Option<std::string> type, outputType, layout;
  Option<bool> valueInKey;
  Option<std::string> mask;
  Option<double> scale;
  Option<int> threads;
  Option<std::string> cpu;
  Option<bool> cold;
  Option<double> seconds;
  Option<double> perturb;
};

/// "b=1,g=8"
std::string sizesText(const BenchProblem &problem);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_BENCHFLAGS_H
