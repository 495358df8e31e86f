//===- main.cpp - Checks and times attention on a GPU -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Needs the runtime and a GPU, no compiler: modules were compiled elsewhere
/// (README.md).  For each entry of a list: random inputs, NaN in what is past
/// the lengths, sampled rows against fp64; then CUDA graphs of calls over input
/// sets that no cache holds, whose results must be the eager ones bit for bit;
/// then the median time of replays.
///
//===----------------------------------------------------------------------===//
#include "Check.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

using namespace einhead::bench;
using namespace einhead;
using nlohmann::json;

namespace {
struct Options {
  std::string list, only, json;
  int device = 0, replays = 25, reruns = 20;
  bool check = true, spoil = false;
};

struct Result {
  double microseconds = 0, least = 0, worstRatio = 0;
  int64_t bytes = 0;
  size_t rows = 0;
  int sets = 0;
};

const char *const usage =
    "einhead-gpu-bench --list=FILE [--only=TEXT] [--json=FILE] [--device=N]\n"
    "  [--replays=N] [--reruns=N] [--no-check] [--spoil]\n"
    "  --only     entries with this in their name\n"
    "  --replays  of the graph; the median is of them (25)\n"
    "  --reruns   of one call, whose result must stay the same (20)\n"
    "  --spoil    changes an element: the check must fail\n";

Options parse(int count, char **arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals),
                      value = equals == std::string::npos
                                  ? ""
                                  : argument.substr(equals + 1);
    if (name == "--list")
      options.list = value;
    else if (name == "--only")
      options.only = value;
    else if (name == "--json")
      options.json = value;
    else if (name == "--device")
      options.device = std::stoi(value);
    else if (name == "--replays")
      options.replays = std::max(1, std::stoi(value));
    else if (name == "--reruns")
      options.reruns = std::stoi(value);
    else if (name == "--spoil")
      options.spoil = true;
    else if (name == "--no-check")
      options.check = false;
    else
      throw std::runtime_error("what is '" + argument + "'?\n" + usage);
  }
  if (options.list.empty())
    throw std::runtime_error(usage);
  return options;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Bytes a microsecond of a stream that only reads, over far more than the L2.
double readRate(Gpu &gpu) {
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

/// How many input sets no cache holds.
int setCount(const Gpu &gpu, int64_t bytes) {
  constexpr int64_t least = 400000000, most = 128;
  int64_t wanted = std::max<int64_t>(least, 4 * gpu.info().l2_bytes);
  return static_cast<int>(
      std::clamp<int64_t>((wanted + bytes - 1) / bytes, 1, most));
}

class Measurement {
public:
  Measurement(Gpu &gpu, const Request &request, const Options &options)
      : gpu(gpu), options(options) {
    einhead_module_t *opened = nullptr;
    check(einhead_module_open(request.module.c_str(), nullptr, &opened));
    module.reset(opened, einhead_module_release);
    if (einhead_status_t status =
            runtime::parseManifest(einhead_module_manifest(opened), manifest))
      check(status);
    problem = Problem::create(request, manifest);
  }

  Result run() {
    result.bytes = problem.leastBytes();
    makeSets();
    callEach();
    if (options.check)
      checkRows();
    rerun();
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
  const Options &options;
  std::shared_ptr<einhead_module_t> module;
  runtime::Manifest manifest;
  Problem problem;
  std::vector<std::unique_ptr<InputSet>> sets;
  std::vector<std::vector<char>> eager;
  Result result;
};
} // namespace

void Measurement::makeSets() {
  result.sets = setCount(gpu, result.bytes);
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
    throw std::runtime_error("wrong result: " + report.message());
}

void Measurement::rerun() {
  for (int i = 0; i < options.reruns; ++i) {
    sets[0]->clearOutput();
    sets[0]->call();
    if (sets[0]->output() != eager[0])
      throw std::runtime_error("call " + std::to_string(i + 2) +
                               " of one input gives other bits than the first");
  }
}

void Measurement::timeGraph() {
  Graph graph(gpu, [&] {
    for (const std::unique_ptr<InputSet> &set : sets)
      set->call();
  });
  for (const std::unique_ptr<InputSet> &set : sets)
    set->clearOutput();
  for (int i = 0; i < 4; ++i)
    graph.launch();
  gpu.synchronize();
  std::vector<double> times;
  for (int i = 0; i < options.replays; ++i)
    times.push_back(gpu.time([&] { graph.launch(); }) / result.sets);
  for (size_t i = 0; i < sets.size(); ++i)
    if (sets[i]->output() != eager[i])
      throw std::runtime_error("the replayed graph gives other bits than the "
                               "eager call, set " +
                               std::to_string(i));
  result.microseconds = median(times);
  result.least = *std::min_element(times.begin(), times.end());
}

static json report(const Request &request, const Result &result, double rate) {
  double floor = static_cast<double>(result.bytes) / rate;
  std::printf("%-36s %9.2f us (least %9.2f)  floor %9.2f  %6.3f TB/s  %5.1f %% "
              "of the read stream  error/bound %.3f of %zu rows  %d sets\n",
              request.name.c_str(), result.microseconds, result.least, floor,
              static_cast<double>(result.bytes) / result.microseconds / 1e6,
              100 * floor / result.microseconds, result.worstRatio, result.rows,
              result.sets);
  std::fflush(stdout);
  return {
      {"name", request.name},
      {"us", result.microseconds},
      {"least_us", result.least},
      {"floor_us", floor},
      {"bytes", result.bytes},
      {"tbs", static_cast<double>(result.bytes) / result.microseconds / 1e6},
      {"error_over_bound", result.worstRatio},
      {"rows", result.rows},
      {"sets", result.sets}};
}

static int run(const Options &options) {
  Gpu gpu(options.device);
  double rate = readRate(gpu);
  std::printf("%s, sm_%d%d, driver %d, %d multiprocessors: a stream that only "
              "reads has %.3f TB/s\n",
              gpu.info().name, gpu.info().compute_major,
              gpu.info().compute_minor, gpu.info().driver_version,
              gpu.info().multiprocessors, rate / 1e6);
  json rows = json::array();
  int failures = 0;
  for (const Request &request : readList(options.list)) {
    if (request.name.find(options.only) == std::string::npos)
      continue;
    try {
      rows.push_back(
          report(request, Measurement(gpu, request, options).run(), rate));
    } catch (const std::exception &error) {
      ++failures;
      std::printf("%-36s failed: %s\n", request.name.c_str(), error.what());
      std::fflush(stdout);
      rows.push_back({{"name", request.name}, {"error", error.what()}});
    }
  }
  if (!options.json.empty()) {
    std::ofstream stream(options.json);
    stream << json({{"gpu", gpu.info().name},
                    {"driver", gpu.info().driver_version},
                    {"read_tbs", rate / 1e6},
                    {"rows", rows}})
                  .dump(1)
           << "\n";
    if (!stream)
      throw std::runtime_error("cannot write " + options.json);
  }
  return failures ? 1 : 0;
}

int main(int count, char **arguments) {
  try {
    return run(parse(count, arguments));
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
