//===- VerbBench.cpp - einhead bench ----------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BenchBuffers.h"
#include "BenchCheck.h"
#include "ReadFloor.h"
#include "Session.h"
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

/// What one run of the verb finds out.
struct Measurement {
  double compileMilliseconds = 0, medianMicroseconds = 0, leastMicroseconds = 0;
  double floorMicroseconds = 0, leastFloorMicroseconds = 0;
  std::string floorVariant;
  reference::Report check;
  int sets = 0;
  int64_t samples = 0;
  std::string cpu;
};

class BenchVerb final : public Verb {
public:
  BenchVerb() : Verb("bench", "Check and time one attention") {}
  llvm::Error run() override;

private:
  llvm::Expected<TemporaryFile> compile(const BenchProblem &problem,
                                        Measurement &result);
  llvm::Error measure(const BenchProblem &problem, const std::string &module,
                      Measurement &result);
  llvm::Error time(const BenchBuffers &buffers,
                   llvm::function_ref<llvm::Error(int)> evaluate,
                   Measurement &result);
  void print(const BenchProblem &problem, const Measurement &result) const;
  void printJSON(const BenchProblem &problem, const Measurement &result) const;

  Option<std::string> spec{command, "spec", "einsum",
                           "query, key, value -> output",
                           "bgrk, bgmk, bgmv -> bgrv"};
  ListOption<std::string> sizes{command, "size", "b=1,g=8,...",
                                "Extents of the letters", cl::CommaSeparated};
  ListOption<int64_t> lengths{command, "lengths", "17,300,...",
                              "Valid keys of each sequence",
                              cl::CommaSeparated};
  Option<std::string> type{command, "type", "type",
                           "Of query, key and value: f32, f16, bf16", "f32"};
  Option<std::string> layout{command, "layout", "layout",
                             "head-major (as in --spec) or token-major",
                             "head-major"};
  Option<bool> valueInKey{command, "value-in-key", "",
                          "The value is the first columns of the key"};
  Option<std::string> mask{command, "mask", "mask",
                           "none, causal, 'window(W)', ...", "none"};
  Option<double> scale{command, "scale", "X", "Of the scores (1/sqrt(depth))"};
  Option<int> threads{command, "threads", "N", "OpenMP threads, 0 = all cores"};
  Option<std::string> cpu{command, "cpu", "name", "Target CPU", "host"};
  Option<bool> shareKV{command, "share-kv", "",
                       "Share K and V loads among rows", true};
  Option<bool> fuse{command, "fuse", "", "Recognise attention", true};
  Option<bool> cold{command, "cold", "",
                    "Go through buffers that no cache holds", true};
  Option<double> seconds{command, "seconds", "X", "Time to measure (2)", 2};
  Option<bool> json{command, "json", "", "Print JSON"};
  Option<bool> emitGraph{command, "print-graph", "", "Print the MLIR and stop"};
  Option<double> perturb{command, "perturb", "X",
                         "Add X to an element: the check must fail"};
};

llvm::Expected<TemporaryFile> BenchVerb::compile(const BenchProblem &problem,
                                                 Measurement &result) {
  auto source = Source::parse(problem.graph(), "bench");
  if (!source)
    return source.takeError();
  CompileOptions options;
  options.cpu = cpu;
  options.fuse = fuse;
  options.shareKV = shareKV;
  double start = now();
  auto bytes = (*source)->compile(EmitKind::Module, options);
  if (!bytes)
    return bytes.takeError();
  result.compileMilliseconds = (now() - start) * 1e3;
  return TemporaryFile::create(*bytes);
}

DLTensor viewOf(void *data, DataType type, std::vector<int64_t> &shape) {
  DLTensor view = {};
  view.data = data;
  view.device = {kDLCPU, 0};
  view.dtype = toDLPack(type);
  view.ndim = static_cast<int32_t>(shape.size());
  view.shape = shape.data();
  return view;
}

llvm::Error BenchVerb::measure(const BenchProblem &problem,
                               const std::string &path, Measurement &result) {
  auto module = Module::open(path);
  if (!module)
    return module.takeError();
  auto session = Session::create(*module, {}, threads);
  if (!session)
    return session.takeError();
  result.cpu = module->manifest().cpu;

  const attn::AttentionRoles &roles = problem.roles;
  BenchBuffers buffers(problem, cold);
  HostTensor query(problem.type, problem.shape(roles.queryTerm));
  fillRandom(query, 3);
  HostTensor output(problem.type == DataType::F64 ? DataType::F64
                                                  : DataType::F32,
                    problem.shape(roles.outputTerm));
  std::vector<int64_t> keyShape = problem.shape(roles.keyTerm);
  std::vector<int64_t> valueShape = problem.shape(roles.valueTerm);
  HostTensor valid(DataType::I64,
                   {static_cast<int64_t>(problem.lengths.size())});
  for (size_t i = 0; i < problem.lengths.size(); ++i)
    valid.set(i, static_cast<double>(problem.lengths[i]));
  auto evaluate = [&](int set) {
    llvm::SmallVector<DLTensor, 4> inputs = {
        query.view(), viewOf(buffers.key(set), problem.type, keyShape)};
    if (!problem.valueInKey)
      inputs.push_back(viewOf(buffers.value(set), problem.type, valueShape));
    if (!problem.lengths.empty())
      inputs.push_back(valid.view());
    return session->call("attention", inputs, output.view());
  };

  if (llvm::Error error = evaluate(0))
    return error;
  Sample sample = sampleRows(problem);
  int64_t first = firstSampled(problem, sample);
  if (perturb != 0)
    output.set(first, output.at(first) + perturb);
  auto check = checkRows(
      problem, sample,
      {query.data(), buffers.key(0), buffers.value(0), output.data()}, fuse);
  if (!check)
    return check.takeError();
  result.check = *check;
  if (!check->pass)
    return failure(Exit::Wrong, "wrong result: " + check->message());
  std::vector<char> checked(output.data(), output.data() + output.byteCount());

  if (llvm::Error error = time(buffers, evaluate, result))
    return error;
  if (llvm::Error error = evaluate(0))
    return error;
  if (std::memcmp(checked.data(), output.data(), checked.size()) != 0)
    return failure(Exit::Wrong, "two evaluations of one input differ");
  return llvm::Error::success();
}

/// Calls and plain reads take turns, so that both meet the same machine.
llvm::Error BenchVerb::time(const BenchBuffers &buffers,
                            llvm::function_ref<llvm::Error(int)> evaluate,
                            Measurement &result) {
  constexpr size_t fewest = 24, most = 100000;
  int count = buffers.count(), set = 0;
  std::vector<std::vector<ByteRange>> ranges;
  for (int i = 0; i < count; ++i)
    ranges.push_back(buffers.ranges(i));
  ReadFloor floor(threads > 0 ? threads : availableThreads());
  floor.tune(ranges, seconds / 4);

  std::vector<double> samples;
  double start = now();
  while (samples.size() < fewest ||
         (now() - start < seconds && samples.size() < most)) {
    double begin = now();
    llvm::Error error = evaluate(set);
    samples.push_back(now() - begin);
    if (error)
      return error;
    set = (set + 1) % count;
    floor.sample(ranges[set]);
    set = (set + 1) % count;
  }
  result.sets = count;
  result.samples = static_cast<int64_t>(samples.size());
  result.medianMicroseconds = median(samples) * 1e6;
  result.leastMicroseconds =
      *std::min_element(samples.begin(), samples.end()) * 1e6;
  result.floorMicroseconds = floor.medianMicroseconds();
  result.leastFloorMicroseconds = floor.leastMicroseconds();
  result.floorVariant = floor.variant();
  return llvm::Error::success();
}

std::string sizesText(const BenchProblem &problem) {
  std::string text;
  for (const auto &[letter, extent] : problem.extent)
    text += (text.empty() ? "" : ",") + std::string(1, letter) + "=" +
            std::to_string(extent);
  for (size_t i = 0; i < problem.lengths.size(); ++i)
    text += (i ? "," : " lengths=") + std::to_string(problem.lengths[i]);
  return text;
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
               << llvm::format(
                      "  %10.0f %10.1f %10.1f %7.2f %6.1f  %11.3f\n",
                      result.compileMilliseconds, result.medianMicroseconds,
                      result.floorMicroseconds,
                      result.medianMicroseconds / result.floorMicroseconds,
                      problem.leastBytes() / 1e6, result.check.worstRatio);
}

void BenchVerb::printJSON(const BenchProblem &problem,
                          const Measurement &result) const {
  llvm::json::OStream os(llvm::outs());
  double ratio = result.medianMicroseconds / result.floorMicroseconds;
  os.object([&] {
    os.attribute("spec", problem.spec());
    os.attribute("sizes", sizesText(problem));
    os.attribute("type", nameOf(problem.type));
    os.attribute("layout", layout.getValue());
    os.attribute("mask", mask.getValue());
    os.attribute("value_in_key", valueInKey.getValue());
    os.attribute("fuse", fuse.getValue());
    os.attribute("share_kv", shareKV.getValue());
    os.attribute("cold", cold.getValue());
    os.attribute("threads", threads > 0 ? threads : availableThreads());
    os.attribute("cpu", result.cpu);
    os.attribute("compile_ms", result.compileMilliseconds);
    os.attribute("median_us", result.medianMicroseconds);
    os.attribute("min_us", result.leastMicroseconds);
    os.attribute("floor_us", result.floorMicroseconds);
    os.attribute("floor_min_us", result.leastFloorMicroseconds);
    os.attribute("floor_variant", result.floorVariant);
    os.attribute("ratio", ratio);
    os.attribute("error_over_bound", result.check.worstRatio);
    os.attribute("kv_bytes", problem.leastBytes());
    os.attribute("operations", problem.operations());
    os.attribute("buffer_sets", result.sets);
    os.attribute("samples", result.samples);
  });
  llvm::outs() << "\n";
}

llvm::Error BenchVerb::run() {
  auto problem = BenchProblem::create(
      {spec, type, layout, mask, sizes, lengths, valueInKey, scale});
  if (!problem)
    return problem.takeError();
  if (threads < 0)
    return failure(Exit::Usage, "--threads is negative", "0 means all cores");
  if (!(seconds > 0))
    return failure(Exit::Usage, "--seconds is not positive",
                   "the default is 2");
  if (emitGraph) {
    llvm::outs() << problem->graph();
    return llvm::Error::success();
  }
  Measurement result;
  auto module = compile(*problem, result);
  if (!module)
    return module.takeError();
  if (llvm::Error error = measure(*problem, module->name(), result))
    return error;
  json ? printJSON(*problem, result) : print(*problem, result);
  return llvm::Error::success();
}

} // namespace

std::unique_ptr<Verb> createBenchVerb() {
  return std::make_unique<BenchVerb>();
}

} // namespace einhead::tool
