//===- VerbTune.cpp - einhead tune ------------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BenchFlags.h"
#include "Source.h"
#include "Tool.h"
#include "TuneRun.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"

namespace cl = llvm::cl;

namespace einhead::tool {
namespace {

class TuneVerb final : public Verb {
public:
  TuneVerb() : Verb("tune", "Search for the fastest schedule and store it") {}
  llvm::Error run() override;

private:
  llvm::Expected<ScheduleFile> readFile(mlir::MLIRContext &context) const;
  llvm::Error write(ScheduleFile &file, const TuneRun &run) const;
  void print(const TuneRun &run) const;
  void printJSON(const TuneRun &run) const;

  BenchFlags flags{command, 0.4,
                   "Time to measure each beside the model's (0.4)"};
  cl::opt<std::string> output{
      "o", cl::desc("Schedule file that takes the result (none: only print)"),
      cl::value_desc("file"), cl::sub(command), cl::cat(optionCategory())};
  cl::opt<int> candidates{
      "candidates",        cl::desc("Schedules to try at most (40)"),
      cl::value_desc("N"), cl::init(40),
      cl::sub(command),    cl::cat(optionCategory())};
  cl::opt<bool> json{"json", cl::desc("Print JSON"), cl::sub(command),
                     cl::cat(optionCategory())};
};

/// What the output file holds already, which stays: one that is wrong is an
/// error before anything is measured.
llvm::Expected<ScheduleFile>
TuneVerb::readFile(mlir::MLIRContext &context) const {
  if (output.empty() || output == "-" || !llvm::sys::fs::exists(output))
    return ScheduleFile();
  auto file = ScheduleFile::load(output, &context);
  if (mlir::failed(file))
    return failure(Exit::Invalid, "",
                   "the result would go into that file: correct it, or name "
                   "another one");
  return std::move(*file);
}

llvm::Error TuneVerb::write(ScheduleFile &file, const TuneRun &run) const {
  StoredSchedule entry;
  entry.key = run.key();
  entry.schedule = run.best().schedule;
  entry.medianMicroseconds = run.best().microseconds;
  entry.modelMicroseconds = run.best().modelMicroseconds;
  entry.threads = flags.threadCount();
  file.store(std::move(entry));
  return writeFile(output, file.json());
}

void TuneVerb::print(const TuneRun &run) const {
  llvm::raw_ostream &os = output == "-" ? llvm::errs() : llvm::outs();
  os << run.key().str() << ", " << flags.threadCount()
     << (flags.threadCount() == 1 ? " thread\n" : " threads\n")
     << llvm::left_justify("schedule", 64)
     << "        us  ratio to the model's\n";
  // The fastest, the model's and what is wrong; JSON has the others.
  constexpr int most = 10;
  int rank = 0, left = 0;
  for (const TuneResult &result : run.ranked()) {
    bool isTime = result.refused.empty();
    if (isTime && ++rank > most && !result.isModel) {
      ++left;
      continue;
    }
    os << llvm::left_justify(result.schedule.str(), 64);
    if (isTime)
      os << llvm::format("%10.1f  %.3f", result.microseconds, result.ratio);
    else
      os << "  " << result.refused;
    os << (result.isModel ? "  (the model's)" : "") << "\n";
  }
  if (left)
    os << "and " << left << " slower ones\n";
  const TuneResult &best = run.best();
  os << "best: " << best.schedule.str();
  if (best.isModel)
    os << ", the model's\n";
  else
    os << llvm::format(", %.1f us, the model's %.1f us (%.3f)\n",
                       best.microseconds, best.modelMicroseconds, best.ratio);
}

void TuneVerb::printJSON(const TuneRun &run) const {
  llvm::json::OStream os(output == "-" ? llvm::errs() : llvm::outs(), 1);
  auto write = [&](const TuneResult &result) {
    os.attribute("schedule", result.schedule.str());
    os.attribute("model", result.isModel);
    if (!result.refused.empty())
      return os.attribute("refused", result.refused);
    os.attribute("median_us", result.microseconds);
    os.attribute("model_us", result.modelMicroseconds);
    os.attribute("ratio", result.ratio);
    os.attribute("error_over_bound", result.errorOverBound);
  };
  os.object([&] {
    os.attribute("problem", run.key().str());
    os.attribute("threads", flags.threadCount());
    os.attributeArray("candidates", [&] {
      for (const TuneResult &result : run.ranked())
        os.object([&] { write(result); });
    });
    os.attributeObject("best", [&] { write(run.best()); });
  });
  (output == "-" ? llvm::errs() : llvm::outs()) << "\n";
}

llvm::Error TuneVerb::run() {
  auto problem = flags.problem();
  if (!problem)
    return problem.takeError();
  if (candidates < 1 || !(flags.seconds > 0))
    return failure(Exit::Usage, "--candidates and --seconds are positive",
                   "leave them out for 40 and 0.4");
  TuneOptions options;
  options.cpu = flags.cpu;
  options.threads = flags.threads;
  options.candidates = candidates;
  options.seconds = flags.seconds;
  options.isCold = flags.cold;
  options.perturb = flags.perturb;
  auto source = Source::parse(problem->graph(), "tune");
  if (!source)
    return source.takeError();
  auto file = readFile((*source)->context());
  if (!file)
    return file.takeError();
  auto run = TuneRun::create(*problem, **source, options);
  if (!run)
    return run.takeError();
  bool isTerminal = llvm::sys::Process::StandardErrIsDisplayed();
  if (llvm::Error error = (*run)->search([&](const TuneResult &result, int n) {
        llvm::errs() << (isTerminal ? "\r\033[K" : "") << "einhead: " << n
                     << " of at most " << candidates << ": "
                     << result.schedule.str()
                     << (result.refused.empty()
                             ? llvm::formatv(", {0:F3} of the model's",
                                             result.ratio)
                                   .str()
                             : ", " + result.refused)
                     << (isTerminal ? "" : "\n");
      }))
    return error;
  if (isTerminal)
    llvm::errs() << "\r\033[K";
  json ? printJSON(**run) : print(**run);
  if (!output.empty())
    if (llvm::Error error = write(*file, **run))
      return error;
  if (int wrong = (*run)->wrongResults())
    return failure(Exit::Wrong,
                   llvm::Twine(wrong) +
                       " of the schedules compute a wrong result",
                   "none of them is stored; please report them");
  return llvm::Error::success();
}

} // namespace

std::unique_ptr<Verb> createTuneVerb() { return std::make_unique<TuneVerb>(); }

} // namespace einhead::tool
