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

namespace {
/// The command line.  Made after LLVM's own options are gone, one of which is
/// called --threads too.
struct Flags {
  cl::OptionCategory category{"einhead-fuzz options"};
  cl::opt<uint64_t> seed{"seed", cl::desc("Of the first case (1)"),
                         cl::value_desc("N"), cl::init(1), cl::cat(category)};
  cl::opt<uint64_t> count{"count", cl::desc("Cases to run (500)"),
                          cl::value_desc("M"), cl::init(500),
                          cl::cat(category)};
  cl::opt<uint64_t> first{"first",
                          cl::desc("Skip that many cases of the seed (0)"),
                          cl::value_desc("K"), cl::init(0), cl::cat(category)};
  cl::opt<int> threads{"threads",
                       cl::desc("Processes at a time (2); 0: in this one"),
                       cl::value_desc("T"), cl::init(2), cl::cat(category)};
  cl::opt<std::string> out{"out",
                           cl::desc("Folder for the modules of findings"),
                           cl::value_desc("DIR"), cl::cat(category)};
  cl::opt<unsigned> optLevel{
      "opt-level", cl::desc("How hard LLVM optimizes (1)"),
      cl::value_desc("0..3"), cl::init(1), cl::cat(category)};
  cl::opt<unsigned> timeLimit{
      "time-limit", cl::desc("Seconds for one case (120)"), cl::value_desc("S"),
      cl::init(120), cl::cat(category)};
  cl::opt<unsigned> twins{
      "twins", cl::desc("Each T-th case, an error must be refused (8)"),
      cl::value_desc("T"), cl::init(8), cl::cat(category)};
  cl::opt<bool> print{"print", cl::desc("Print the modules, run nothing"),
                      cl::cat(category)};
  cl::opt<Extents> extents{
      cl::desc("Extents that the types leave open:"),
      cl::values(
          clEnumValN(Extents::Static, "static", "none"),
          clEnumValN(Extents::Mixed, "mixed", "some of every third case"),
          clEnumValN(Extents::Dynamic, "dynamic", "most")),
      cl::init(Extents::Mixed), cl::cat(category)};
  cl::opt<Plant> plant{
      "plant", cl::desc("Make results wrong, which must be found"),
      cl::values(clEnumValN(Plant::None, "none", "nothing (default)"),
                 clEnumValN(Plant::Scale, "scale", "compile another scale"),
                 clEnumValN(Plant::Mask, "mask", "compile no mask"),
                 clEnumValN(Plant::Result, "result", "change an element"),
                 clEnumValN(Plant::Crash, "crash", "end the process")),
      cl::init(Plant::None), cl::cat(category)};
};
} // namespace

static double now() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

static void printModules(const Flags &flags) {
  for (uint64_t i = 0; i < flags.count; ++i) {
    Problem problem = makeProblem(flags.seed + flags.first + i, flags.extents);
    llvm::outs() << "// case " << problem.seed << ": " << problem.traits()
                 << "\n// " << problem.settings() << "\n"
                 << moduleText(problem) << "\n";
  }
}

static Work startWorker(const Flags &flags) {
  auto bench = std::make_shared<Bench>();
  return [bench, &flags](uint64_t number) {
    ExecuteOptions options;
    options.optLevel = flags.optLevel;
    options.plant = flags.plant;
    options.twin = flags.twins && number % flags.twins == 0 &&
                   options.plant == Plant::None;
    return bench->execute(makeProblem(flags.seed + number, flags.extents),
                          options);
  };
}

static Exit fuzz(const Flags &flags) {
  WorkerOptions options;
  options.first = flags.first;
  options.count = flags.count;
  options.processes = flags.threads;
  options.secondsPerCase = flags.timeLimit;
  std::string replay = "einhead-fuzz";
  if (flags.optLevel.getNumOccurrences())
    replay += " --opt-level=" + std::to_string(flags.optLevel);
  if (flags.extents == Extents::Static)
    replay += " --static";
  if (flags.extents == Extents::Dynamic)
    replay += " --dynamic";
  Report report(flags.seed, flags.out, replay, flags.extents);
  double begin = now();
  runCases(
      options, [&] { return startWorker(flags); },
      [&](const CaseResult &result) { report.add(result); });
  report.print(llvm::outs(), now() - begin, flags.threads);
  return report.findings() ? Exit::Wrong : Exit::Ok;
}

int main(int argc, char **argv) {
  llvm::InitLLVM initialize(argc, argv);
  cl::ResetCommandLineParser();
  Flags flags;
  cl::ParseCommandLineOptions(
      argc, argv,
      "Random modules, valid and nearly valid: compiled, run, checked\n");
  if (flags.threads < 0 || flags.threads > 256 || flags.count < 1 ||
      flags.optLevel > 3) {
    llvm::errs() << "einhead-fuzz: error: --count is at least 1, --threads at "
                    "least 0, --opt-level at most 3\n";
    return static_cast<int>(Exit::Usage);
  }
  if (!flags.print)
    return static_cast<int>(fuzz(flags));
  printModules(flags);
  return 0;
}
