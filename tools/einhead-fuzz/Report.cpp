//===- Report.cpp - What a run has found ------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"

using llvm::format;
using llvm::StringRef;

namespace einhead::fuzz {

/// Why in general: numbers, names and quotes left out, a few words.
static std::string firstWords(StringRef why) {
  std::string words;
  bool quoted = false;
  int count = 0;
  why = why.take_front(std::min<size_t>(why.find("FAIL"), 300));
  for (char c : why) {
    if (c == '\n')
      break;
    if (c == '"' || c == '`') {
      quoted = !quoted;
      words += quoted ? "\"..\"" : "";
      continue;
    }
    if (quoted)
      continue;
    if (c == ' ' && ++count == 14)
      break;
    if (llvm::isDigit(c)) {
      if (words.empty() || words.back() != '#')
        words += '#';
      continue;
    }
    words += c;
  }
  return words;
}

/// The command that shows a result again.
std::string Report::replayOf(const CaseResult &result) const {
  return replay + " --seed=" + std::to_string(seed + result.since) +
         " --count=" + std::to_string(result.number - result.since + 1) +
         (result.since < result.number ? " --threads=1" : "");
}

void Report::writeModule(const CaseResult &result,
                         const Problem &problem) const {
  if (folder.empty())
    return;
  if (std::error_code error = llvm::sys::fs::create_directories(folder)) {
    llvm::errs() << "einhead-fuzz: error: " << folder << ": " << error.message()
                 << "\n";
    return;
  }
  llvm::SmallString<128> path(folder);
  llvm::sys::path::append(path,
                          "case-" + std::to_string(problem.seed) + ".mlir");
  std::error_code error;
  llvm::raw_fd_ostream file(path, error);
  if (error) {
    llvm::errs() << "einhead-fuzz: error: " << path << ": " << error.message()
                 << "\n";
    return;
  }
  std::string why = result.outcome.why;
  for (char &c : why)
    c = c == '\n' ? ' ' : c;
  file << "// " << why << "\n// " << problem.traits() << "\n// "
       << problem.settings() << "\n// " << replayOf(result) << "\n"
       << moduleText(problem);
}

void Report::add(const CaseResult &result) {
  const Outcome &outcome = result.outcome;
  Problem problem = makeProblem(seed + result.number, extents);
  bool isMutant = !problem.mutation.empty();
  ++cases;
  mutants += isMutant;
  tiled += outcome.tiled;
  twinCount += outcome.twin;
  caseSeconds += result.seconds;
  if (result.seconds > slowest) {
    slowest = result.seconds;
    slowestCase = result.number;
  }
  if (outcome.kind == Outcome::Agreed) {
    ++agreed;
    if (outcome.ratio > worst) {
      worst = outcome.ratio;
      worstCase = result.number;
    }
    return;
  }
  bool isFinding = outcome.kind == Outcome::Finding;
  refused += !isFinding;
  findingCount += isFinding;
  std::map<std::string, Group> &groups = isFinding  ? found
                                         : isMutant ? refusedMutants
                                                    : refusedValid;
  Group &group = groups[firstWords(outcome.why)];
  if (group.count++ == 0 || result.number < group.firstCase)
    group.firstCase = result.number;
  if (!isFinding)
    return;
  writeModule(result, problem);
  if (group.count <= 3)
    llvm::outs() << "finding: " << outcome.why << "\n  (" << problem.traits()
                 << ") replay: " << replayOf(result) << "\n";
}

void Report::print(llvm::raw_ostream &os, double seconds, int processes) const {
  os << cases << " cases (" << mutants << " made invalid): " << agreed
     << " compiled and agreed (" << tiled << " tiled), " << refused
     << " refused, " << findingCount << " findings\n";
  os << format("worst ratio to the bound %.3f (case %llu), ", worst,
               static_cast<unsigned long long>(seed + worstCase));
  os << twinCount << " planted errors refused\n";
  os << format("%.1f s, %.1f ms a case on %d processes; slowest %.2f s (case "
               "%llu)\n",
               seconds, cases ? seconds * 1e3 / cases : 0.0, processes, slowest,
               static_cast<unsigned long long>(seed + slowestCase));
  auto table = [&](StringRef title,
                   const std::map<std::string, Group> &groups) {
    if (!groups.empty())
      os << title << "\n";
    std::vector<std::pair<std::string, Group>> sorted(groups.begin(),
                                                      groups.end());
    std::stable_sort(sorted.begin(), sorted.end(), [](auto &a, auto &b) {
      return a.second.count > b.second.count;
    });
    for (const auto &[why, group] : sorted)
      os << format("%7llu  ", static_cast<unsigned long long>(group.count))
         << why << "  [" << seed + group.firstCase << "]\n";
  };
  table("refused though valid:", refusedValid);
  table("refused, made invalid:", refusedMutants);
  table("findings:", found);
}

} // namespace einhead::fuzz
