//===- einhead-fuzz.cpp - Random modules, compiled and checked --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Random attentions, valid and nearly valid: each is compiled, run and compared
// with the oracle, or must be refused with words and a place.  The cases of a
// seed are always the same.
//
//===----------------------------------------------------------------------===//

#include "Report.h"
#include "Tool.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include <chrono>

namespace cl = llvm::cl;
using namespace einhead::fuzz;
using einhead::tool::Exit;

static cl::OptionCategory category("einhead-fuzz options");
static cl::opt<uint64_t> seed("seed", cl::desc("Of the first case (1)"),
                              cl::value_desc("N"), cl::init(1),
                              cl::cat(category));
static cl::opt<uint64_t> count("count", cl::desc("Cases to run (500)"),
                               cl::value_desc("M"), cl::init(500),
                               cl::cat(category));
static cl::opt<uint64_t> first("first",
                               cl::desc("Skip that many cases of the seed (0)"),
                               cl::value_desc("K"), cl::init(0),
                               cl::cat(category));
static cl::opt<int> threads("threads", cl::desc("Processes at a time (2)"),
                            cl::value_desc("T"), cl::init(2),
                            cl::cat(category));
static cl::opt<std::string> out("out",
                                cl::desc("Folder for the modules of findings"),
                                cl::value_desc("DIR"), cl::cat(category));
static cl::opt<unsigned> optLevel("opt-level",
                                  cl::desc("How hard LLVM optimizes (1)"),
                                  cl::value_desc("0..3"), cl::init(1),
                                  cl::cat(category));
static cl::opt<unsigned> timeLimit("time-limit",
                                   cl::desc("Seconds for one case (120)"),
                                   cl::value_desc("S"), cl::init(120),
                                   cl::cat(category));
static cl::opt<bool> printOnly("print",
                               cl::desc("Print the modules, run nothing"),
                               cl::cat(category));
static cl::opt<Plant> plant(
    "plant", cl::desc("Make results wrong, which must be found"),
    cl::values(clEnumValN(Plant::None, "none", "nothing (default)"),
               clEnumValN(Plant::Scale, "scale", "compile another scale"),
               clEnumValN(Plant::Mask, "mask", "compile no mask"),
               clEnumValN(Plant::Result, "result", "change an element")),
    cl::init(Plant::None), cl::cat(category));

/// Every so many cases a planted error must be refused.
static constexpr uint64_t twinEvery = 8;

static double now() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

static void printModules() {
  for (uint64_t number = first; number < first + count; ++number) {
    Problem problem = makeProblem(seed + number);
    llvm::outs() << "// case " << problem.seed << ": " << problem.traits()
                 << "\n// " << problem.settings() << "\n"
                 << moduleText(problem) << "\n";
  }
}

static Work startWorker() {
  auto bench = std::make_shared<Bench>();
  return [bench](uint64_t number) {
    ExecuteOptions options;
    options.optLevel = optLevel;
    options.plant = plant;
    options.twin = number % twinEvery == 0 && plant == Plant::None;
    return bench->execute(makeProblem(seed + number), options);
  };
}

int main(int argc, char **argv) {
  llvm::InitLLVM initialize(argc, argv);
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(
      argc, argv,
      "Random modules, valid and nearly valid: compiled, run, checked\n");
  if (threads < 1 || threads > 256 || count < 1 || optLevel > 3) {
    llvm::errs() << "einhead-fuzz: error: --threads and --count are at least "
                    "1, --opt-level is at most 3\n";
    return static_cast<int>(Exit::Usage);
  }
  if (printOnly) {
    printModules();
    return 0;
  }
  WorkerOptions options;
  options.first = first;
  options.count = count;
  options.processes = threads;
  options.secondsPerCase = timeLimit;
  std::string replay = "einhead-fuzz";
  if (optLevel.getNumOccurrences())
    replay += " --opt-level=" + std::to_string(optLevel);
  Report report(seed, out, replay);
  double begin = now();
  runCases(options, startWorker,
           [&](const CaseResult &result) { report.add(result); });
  report.print(llvm::outs(), now() - begin, threads);
  return static_cast<int>(report.findings() ? Exit::Wrong : Exit::Ok);
}
