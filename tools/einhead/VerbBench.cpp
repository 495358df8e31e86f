//===- VerbBench.cpp - einhead bench ----------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BenchCall.h"
#include "BenchCheck.h"
#include "BenchDevice.h"
#include "BenchFlags.h"
#include "BenchProjection.h"
#include "BenchTiming.h"
#include "Source.h"
#include "Tool.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <cmath>
#include <cstring>

namespace cl = llvm::cl;

namespace einhead::tool {
namespace {

class BenchVerb final : public Verb {
public:
  BenchVerb() : Verb("bench", "Check and time one attention") {}
  llvm::Error run() override;

private:
  llvm::Expected<std::string> compile(llvm::StringRef graph,
                                      Measurement &result);
  llvm::Error runProjections();
  llvm::Error runOnDevice(const BenchProblem &problem, llvm::StringRef module,
                          double compileMilliseconds) const;
  llvm::Error checkTarget() const;
  llvm::Error measure(const BenchProblem &problem, llvm::StringRef module,
                      Measurement &result);
  void print(const BenchProblem &problem, const Measurement &result) const;
  void printJSON(const BenchProblem &problem, const Measurement &result) const;

  BenchFlags flags{command};
  Option<std::string> target{command, "target", "kind", "cpu or cuda", "cpu"};
  Option<std::string> chip{command, "chip", "name",
                           "With --target=cuda: sm_80, sm_90a (default), ..."};
  ScheduleFlag schedules{command};
  Option<bool> shareKV{command, "share-kv", "",
                       "Share K and V loads among rows", true};
  Option<bool> fuse{command, "fuse", "", "Recognise attention", true};
  Option<bool> json{command, "json", "", "Print JSON"};
  Option<bool> emitGraph{command, "print-graph", "", "Print the MLIR and stop"};
};

llvm::Expected<std::string> BenchVerb::compile(llvm::StringRef graph,
                                               Measurement &result) {
  auto source = Source::parse(graph, "bench");
  if (!source)
    return source.takeError();
  if (llvm::StringRef(flags.cpu).contains(','))
    return failure(Exit::Usage, "--cpu=" + flags.cpu + " names several CPUs",
                   "a measurement is of the code for one");
  CompileOptions options;
  options.cpu = flags.cpu;
  options.target = target;
  if (!chip.empty())
    options.chip = chip;
  options.schedules = schedules;
  options.fuse = fuse;
  options.shareKV = shareKV;
  double start = now();
  auto bytes = (*source)->compile(EmitKind::Module, options);
  result.compileMilliseconds = (now() - start) * 1e3;
  return bytes;
}

llvm::Error BenchVerb::measure(const BenchProblem &problem,
                               llvm::StringRef bytes, Measurement &result) {
  BenchBuffers buffers(problem, flags.cold);
  HostTensor query = randomQuery(problem);
  auto call = BenchCall::open(problem, buffers, query, bytes, flags.threads);
  if (!call)
    return call.takeError();
  result.cpu = (*call)->cpu();
  if (llvm::Error error = (*call)->evaluate(0))
    return error;
  auto check = RowCheck::create(problem,
                                {query.data(), buffers.key(0), buffers.value(0),
                                 buffers.keyScale(0), buffers.valueScale(0)},
                                fuse);
  if (!check)
    return check.takeError();
  HostTensor &output = (*call)->output();
  if (flags.perturb != 0)
    output.set(check->first(), output.at(check->first()) + flags.perturb);
  reference::Report report = check->compare(output.data());
  result.worstRatio = report.worstRatio;
  if (!report.pass)
    return failure(Exit::Wrong, "wrong result: " + report.message());
  std::vector<char> checked(output.data(), output.data() + output.byteCount());

  auto evaluate = [&](int set) { return (*call)->evaluate(set); };
  std::vector<std::vector<ByteRange>> ranges;
  for (int i = 0; i < buffers.count(); ++i)
    ranges.push_back(buffers.ranges(i));
  if (llvm::Error error = timeCalls(ranges, evaluate, flags.threadCount(),
                                    flags.seconds, result))
    return error;
  if (llvm::Error error = evaluate(0))
    return error;
  if (std::memcmp(checked.data(), output.data(), checked.size()) != 0)
    return failure(Exit::Wrong, "two evaluations of one input differ");
  return llvm::Error::success();
}

void BenchVerb::print(const BenchProblem &problem,
                      const Measurement &result) const {
  std::string sizes = sizesText(problem);
  llvm::outs() << llvm::left_justify("spec", 28)
               << llvm::left_justify("sizes", std::max<size_t>(sizes.size(), 5))
               << "  type  compile ms  median us   floor us   ratio  KV MB"
               << "  error/bound\n"
               << llvm::left_justify(problem.spec(), 28) << sizes << "  "
               << llvm::left_justify(nameOf(problem.type), 4)
               << llvm::format("  %10.0f %10.1f %10.1f %7.2f %6.1f  %11.3f\n",
                               result.compileMilliseconds,
                               result.medianMicroseconds,
                               result.floorMicroseconds, result.ratio(),
                               problem.leastBytes() / 1e6, result.worstRatio);
}

void BenchVerb::printJSON(const BenchProblem &problem,
                          const Measurement &result) const {
  llvm::json::OStream os(llvm::outs());
  os.object([&] {
    os.attribute("spec", problem.spec());
    os.attribute("sizes", sizesText(problem));
    os.attribute("type", nameOf(problem.type));
    os.attribute("output_type", nameOf(problem.outputType));
    os.attribute("layout", flags.layout.getValue());
    os.attribute("mask", flags.mask.getValue());
    os.attribute("value_in_key", flags.valueInKey.getValue());
    os.attribute("fuse", fuse.getValue());
    os.attribute("share_kv", shareKV.getValue());
    os.attribute("cold", flags.cold.getValue());
    os.attribute("threads", flags.threadCount());
    result.writeTimes(os);
    os.attribute("kv_bytes", problem.leastBytes());
    os.attribute("operations", problem.operations());
    os.attribute("buffer_sets", result.sets);
    os.attribute("samples", result.samples);
  });
  llvm::outs() << "\n";
}

llvm::Error BenchVerb::runProjections() {
  auto problem = flags.projections();
  if (!problem)
    return problem.takeError();
  if (emitGraph) {
    llvm::outs() << problem->graph();
    return llvm::Error::success();
  }
  Measurement result;
  auto module = compile(problem->graph(), result);
  if (!module)
    return module.takeError();
  ProjectionBench bench(*problem, flags);
  if (llvm::Error error = bench.measure(*module, result))
    return error;
  json ? bench.printJSON(result, fuse) : bench.print(result);
  return llvm::Error::success();
}

llvm::Error BenchVerb::checkTarget() const {
  if (target != "cpu" && target != "cuda")
    return failure(Exit::Usage, "no target '" + target + "'",
                   "the targets are cpu and cuda");
  if (target == "cpu" && !chip.empty())
    return failure(Exit::Usage, "--chip=" + chip + " without --target=cuda",
                   "only a GPU is a chip; --cpu names the CPU");
  if (target == "cuda" && flags.isProjections())
    return failure(Exit::Unsupported, "--target=cuda measures attention",
                   "write query, key, value -> output");
  return llvm::Error::success();
}

llvm::Error BenchVerb::runOnDevice(const BenchProblem &problem,
                                   llvm::StringRef module,
                                   double compileMilliseconds) const {
  auto measured =
      measureOnDevice(problem, flags.mask, module, flags.perturb != 0);
  if (!measured)
    return measured.takeError();
  const bench::Result &result = measured->result;
  double floor = measured->floorMicroseconds();
  if (!json) {
    llvm::outs() << problem.spec() << "  " << sizesText(problem) << "  "
                 << nameOf(problem.type) << "  " << measured->gpu << "\n"
                 << llvm::format(
                        "compile %.0f ms, median %.2f us, floor %.2f us, ratio "
                        "%.3f, %.3f TB/s of %.3f, error/bound %.3f\n",
                        compileMilliseconds, result.microseconds, floor,
                        result.microseconds / floor, measured->terabytes(),
                        measured->readTerabytes, result.worstRatio);
    return llvm::Error::success();
  }
  llvm::json::OStream os(llvm::outs());
  os.object([&] {
    os.attribute("spec", problem.spec());
    os.attribute("sizes", sizesText(problem));
    os.attribute("type", nameOf(problem.type));
    os.attribute("mask", flags.mask.getValue());
    os.attribute("gpu", measured->gpu);
    os.attribute("compile_ms", compileMilliseconds);
    os.attribute("median_us", result.microseconds);
    os.attribute("least_us", result.least);
    os.attribute("floor_us", floor);
    os.attribute("ratio", result.microseconds / floor);
    os.attribute("tbs", measured->terabytes());
    os.attribute("read_tbs", measured->readTerabytes);
    os.attribute("error_over_bound", result.worstRatio);
    os.attribute("kv_bytes", result.bytes);
    os.attribute("operations", problem.operations());
    os.attribute("buffer_sets", result.sets);
  });
  llvm::outs() << "\n";
  return llvm::Error::success();
}

llvm::Error BenchVerb::run() {
  if (llvm::Error error = checkTarget())
    return error;
  if (flags.isProjections())
    return runProjections();
  auto problem = flags.problem();
  if (!problem)
    return problem.takeError();
  if (emitGraph) {
    llvm::outs() << problem->graph();
    return llvm::Error::success();
  }
  Measurement result;
  auto module = compile(problem->graph(), result);
  if (!module)
    return module.takeError();
  if (target == "cuda")
    return runOnDevice(*problem, *module, result.compileMilliseconds);
  if (llvm::Error error = measure(*problem, *module, result))
    return error;
  json ? printJSON(*problem, result) : print(*problem, result);
  return llvm::Error::success();
}

} // namespace

std::unique_ptr<Verb> createBenchVerb() {
  return std::make_unique<BenchVerb>();
}

} // namespace einhead::tool
