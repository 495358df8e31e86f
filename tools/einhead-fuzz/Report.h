//===- Report.h - What a run has found --------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_FUZZ_REPORT_H
#define EINHEAD_TOOLS_FUZZ_REPORT_H

#include "Workers.h"
#include "llvm/Support/raw_ostream.h"

namespace einhead::fuzz {

/// Counts results, and writes the modules of findings.
class Report {
public:
  /// `replay` is the command line without seed and count.
  Report(uint64_t seed, std::string folder, std::string replay, Extents extents)
      : seed(seed), folder(std::move(folder)), replay(std::move(replay)),
        extents(extents) {}

  void add(const CaseResult &result);
  void print(llvm::raw_ostream &os, double seconds, int processes) const;
  uint64_t findings() const { return findingCount; }
  uint64_t twins() const { return twinCount; }

private:
  struct Group {
    uint64_t count = 0, firstCase = 0;
  };
  std::string replayOf(const CaseResult &result) const;
  void writeModule(const CaseResult &result, const Problem &problem) const;

  uint64_t seed;
  std::string folder, replay;
  Extents extents;
  uint64_t cases = 0, agreed = 0, tiled = 0, refused = 0, mutants = 0;
  uint64_t findingCount = 0, twinCount = 0;
  double worst = 0, caseSeconds = 0, slowest = 0;
  uint64_t worstCase = 0, slowestCase = 0;
  /// By the first words of why.
  std::map<std::string, Group> refusedValid, refusedMutants, found;
};

} // namespace einhead::fuzz

#endif // EINHEAD_TOOLS_FUZZ_REPORT_H
