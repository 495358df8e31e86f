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
#include "Measure.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

using namespace einhead::bench;
using namespace einhead;
using nlohmann::json;

namespace {
struct Options : MeasureOptions {
  std::string list, only, json;
  int device = 0;
};

const char *const usage =
    "einhead-gpu-bench --list=FILE [--only=TEXT] [--json=FILE] [--device=N]\n"
    "  [--replays=N] [--reruns=N] [--sets=N] [--no-check] [--no-time] "
    "[--spoil]\n"
    "  --only     entries with this in their name\n"
    "  --replays  of the graph; the median is of them (25)\n"
    "  --reruns   of one call, whose result must stay the same (20)\n"
    "  --sets     of inputs at most (128): fewer may stay in a cache\n"
    "  --no-time  checks alone, as a sanitizer wants it\n"
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
    else if (name == "--sets")
      options.sets = std::max(1, std::stoi(value));
    else if (name == "--spoil")
      options.spoil = true;
    else if (name == "--no-check")
      options.check = false;
    else if (name == "--no-time")
      options.time = false;
    else
      throw std::runtime_error("what is '" + argument + "'?\n" + usage);
  }
  if (options.list.empty())
    throw std::runtime_error(usage);
  return options;
}
} // namespace

static json report(const Request &request, const Result &result, double rate) {
  if (rate == 0) {
    std::printf("%-36s right  error/bound %.3f of %zu rows\n",
                request.name.c_str(), result.worstRatio, result.rows);
    std::fflush(stdout);
    return {{"name", request.name},
            {"error_over_bound", result.worstRatio},
            {"rows", result.rows}};
  }
  double floor = static_cast<double>(result.bytes) / rate;
  std::printf(
      "%-36s %9.2f us (least %9.2f)  floor %9.2f  %6.3f TB/s  %5.1f %% "
      "of the read stream  %6.1f TFLOP/s  error/bound %.3f of %zu rows  "
      "%d sets\n",
      request.name.c_str(), result.microseconds, result.least, floor,
      static_cast<double>(result.bytes) / result.microseconds / 1e6,
      100 * floor / result.microseconds,
      static_cast<double>(result.operations) / result.microseconds / 1e6,
      result.worstRatio, result.rows, result.sets);
  std::fflush(stdout);
  json row = {
      {"name", request.name},
      {"us", result.microseconds},
      {"least_us", result.least},
      {"floor_us", floor},
      {"bytes", result.bytes},
      {"tbs", static_cast<double>(result.bytes) / result.microseconds / 1e6},
      {"error_over_bound", result.worstRatio},
      {"rows", result.rows},
      {"sets", result.sets}};
  if (result.operations)
    row["operations"] = result.operations;
  if (result.tokens) {
    row["tokens"] = result.tokens;
    row["us_per_token"] =
        result.microseconds / static_cast<double>(result.tokens);
    if (request.published)
      row["published_us_per_token"] = request.published;
  }
  return row;
}

/// Steps that others have timed, beside each other: the first, and how much
/// faster the rest are.
static void comparePublished(const json &rows) {
  const json *first = nullptr;
  for (const json &row : rows) {
    if (!row.contains("published_us_per_token"))
      continue;
    const double step = row["us"], token = row["us_per_token"],
                 published = row["published_us_per_token"];
    std::printf("%-36s %9.2f us a step, %7.4f us a token; published %g us",
                row["name"].get<std::string>().c_str(), step, token, published);
    if (first)
      std::printf("; the first takes %.2f times as long, published %.2f",
                  (*first)["us"].get<double>() / step,
                  (*first)["published_us_per_token"].get<double>() / published);
    else
      first = &row;
    std::printf("\n");
  }
}

static int run(const Options &options) {
  Gpu gpu(options.device);
  double rate = options.time ? readRate(gpu) : 0;
  if (options.time)
    std::printf(
        "%s, sm_%d%d, driver %d, %d multiprocessors: a stream that only "
        "reads has %.3f TB/s\n",
        gpu.info().name, gpu.info().compute_major, gpu.info().compute_minor,
        gpu.info().driver_version, gpu.info().multiprocessors, rate / 1e6);
  json rows = json::array();
  int failures = 0;
  for (const Request &request : readList(options.list)) {
    if (request.name.find(options.only) == std::string::npos)
      continue;
    try {
      rows.push_back(report(request, measure(gpu, request, options), rate));
    } catch (const std::exception &error) {
      ++failures;
      std::printf("%-36s failed: %s\n", request.name.c_str(), error.what());
      std::fflush(stdout);
      rows.push_back({{"name", request.name}, {"error", error.what()}});
    }
  }
  comparePublished(rows);
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
