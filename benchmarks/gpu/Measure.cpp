//===- Measure.cpp - Checks and times one attention -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Measure.h"
#include "Check.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace einhead::bench;
using namespace einhead;

double einhead::bench::median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int einhead::bench::setCount(const Gpu &gpu, int64_t bytes,
                             const MeasureOptions &options) {
  if (!options.time)
    return 1;
  constexpr int64_t least = 400000000;
  int64_t wanted = std::max<int64_t>(least, 4 * gpu.info().l2_bytes);
  return static_cast<int>(
      std::clamp<int64_t>((wanted + bytes - 1) / bytes, 1, options.sets));
}

namespace {
class Measurement {
public:
  Measurement(Gpu &gpu, const Request &request, const MeasureOptions &options)
      : gpu(gpu), options(options) {
    einhead_module_t *opened = nullptr;
    check(einhead_module_open(request.module.c_str(), nullptr, &opened));
    module.reset(opened, einhead_module_release);
    problem = Problem::create(request, einhead_module_manifest(opened));
  }

  Result run() {
    result.bytes = problem.leastBytes();
    result.operations = problem.operations();
    makeSets();
    callEach();
    if (options.check)
      checkRows();
    rerun();
    if (options.time)
      timeGraph();
    return result;
  }

private:
  void makeSets();
  void callEach();
  void checkRows();
  void rerun();
  void timeGraph();

  Gpu &gpu;
  const MeasureOptions &options;
  std::shared_ptr<einhead_module_t> module;
  Problem problem;
  std::vector<std::unique_ptr<InputSet>> sets;
  std::vector<std::vector<char>> eager;
  Result result;
};
} // namespace

void Measurement::makeSets() {
  result.sets = setCount(gpu, result.bytes, options);
  std::shared_ptr<einhead_session_t> session;
  for (int i = 0; i < result.sets; ++i) {
    if (!session || hasCaches(problem))
      session = makeSession(gpu, problem, module.get());
    sets.push_back(std::make_unique<InputSet>(gpu, problem, session,
                                              uint64_t(i + 1) << 40));
  }
}

void Measurement::callEach() {
  for (const std::unique_ptr<InputSet> &set : sets) {
    set->clearOutput();
    set->call();
    check(einhead_session_synchronize(set->session().get()));
    eager.push_back(set->output());
  }
}

void Measurement::checkRows() {
  constexpr double products = 4e8;
  RowCheck rows(gpu, problem, *sets[0], products);
  std::vector<char> output = eager[0];
  if (options.spoil) {
    // The sign and the exponent.
    char *element = output.data() +
                    rows.first() * problem.output.elementBytes() +
                    problem.output.elementBytes() - 1;
    *element = static_cast<char>(*element ^ 0x81);
  }
  reference::Report report = rows.compare(output);
  result.rows = rows.rows();
  result.worstRatio = report.worstRatio;
  if (!report.pass)
    throw WrongResult("wrong result: " + report.message());
}

void Measurement::rerun() {
  for (int i = 0; i < options.reruns; ++i) {
    sets[0]->clearOutput();
    sets[0]->call();
    if (sets[0]->output() != eager[0])
      throw WrongResult("call " + std::to_string(i + 2) +
                        " of one input gives other bits than the first");
  }
}

void Measurement::timeGraph() {
  // Where one set exceeds the L2 cache, several calls share what it costs to
  // start a graph.
  constexpr int leastCalls = 4;
  int calls = std::max(result.sets, leastCalls);
  Graph graph(gpu, [&] {
    for (int i = 0; i < calls; ++i)
      sets[i % result.sets]->call();
  });
  for (const std::unique_ptr<InputSet> &set : sets)
    set->clearOutput();
  for (int i = 0; i < 4; ++i)
    graph.launch();
  gpu.synchronize();
  std::vector<double> times;
  for (int i = 0; i < options.replays; ++i)
    times.push_back(gpu.time([&] { graph.launch(); }) / calls);
  for (size_t i = 0; i < sets.size(); ++i)
    if (sets[i]->output() != eager[i])
      throw WrongResult("the replayed graph gives other bits than the "
                        "eager call, set " +
                        std::to_string(i));
  result.microseconds = median(times);
  result.least = *std::min_element(times.begin(), times.end());
}

Result einhead::bench::measure(Gpu &gpu, const Request &request,
                               const MeasureOptions &options) {
  if (!request.steps.empty())
    return measureStep(gpu, request, options);
  return Measurement(gpu, request, options).run();
}

double einhead::bench::readRate(Gpu &gpu) {
  size_t bytes = std::min<size_t>(
      size_t(8) << 30, static_cast<size_t>(gpu.info().memory_bytes) / 4);
  Memory buffer(gpu, bytes), out(gpu, 64);
  gpu.fill(buffer.address(), bytes / 4, 1, Fill::F32);
  std::vector<double> times;
  for (int i = 0; i < 12; ++i) {
    double time =
        gpu.time([&] { gpu.read(buffer.address(), bytes, out.address()); });
    if (i >= 2)
      times.push_back(time);
  }
  return static_cast<double>(bytes) / median(times);
}
