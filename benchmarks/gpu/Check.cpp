//===- Check.cpp - Sampled rows against arithmetic in fp64 ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Check.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace einhead::bench;
using namespace einhead;

namespace {
/// An index for each batch and row letter.
using Point = std::map<char, int64_t>;

/// Parts of a tensor on the host: all of it, or what belongs to some indices
/// of its first letter.
class HostCopy {
public:
  HostCopy(Gpu &gpu, const Operand &operand, cuda::Address from,
           const std::vector<Point> &points)
      : operand(operand) {
    char letter = operand.term.empty() ? 0 : operand.term[0];
    isWhole = points.empty() || !points[0].count(letter);
    size_t bytes = operand.bytes();
    if (isWhole) {
      copy(gpu, 0, from, bytes);
      return;
    }
    bytes /= operand.extents[0];
    for (const Point &point : points)
      if (int64_t at = point.at(letter); !parts.count(at))
        copy(gpu, at, from + at * bytes, bytes);
  }

  /// The elements at this point, over the other letters in their order.
  reference::Tensor at(const Point &point) const {
    std::vector<int64_t> shape;
    int64_t offset = 0, part = 0;
    for (size_t i = 0; i < operand.term.size(); ++i) {
      auto fixed = point.find(operand.term[i]);
      bool isFixed = fixed != point.end();
      shape.push_back(isFixed ? 1 : operand.extents[i]);
      if (i == 0 && isFixed && !isWhole)
        part = fixed->second;
      else if (isFixed)
        offset += fixed->second * operand.stride(operand.term[i]);
    }
    reference::Tensor result(shape);
    std::vector<int64_t> index(shape.size(), 0);
    const char *data = parts.at(part).data();
    for (int64_t e = 0; e < result.size(); ++e) {
      int64_t rest = e, here = offset;
      for (size_t i = shape.size(); i-- > 0; rest /= shape[i])
        here += rest % shape[i] * operand.stride(operand.term[i]);
      result.value[e] =
          loadElement(operand.type, data + here * operand.elementBytes());
    }
    return result;
  }

private:
  void copy(Gpu &gpu, int64_t at, cuda::Address from, size_t bytes) {
    std::vector<char> &part = parts[at];
    part.resize(bytes);
    gpu.copyToHost(part.data(), from, bytes);
  }

  const Operand &operand;
  bool isWhole = true;
  std::map<int64_t, std::vector<char>> parts;
};

/// The tensors of the check.
struct Host {
  HostCopy query, keys;
  std::optional<HostCopy> values, keyScale, valueScale;

  Host(Gpu &gpu, const Problem &problem, const InputSet &set,
       const std::vector<Point> &points)
      : query(gpu, problem.query, set.address(problem.query), points),
        keys(gpu, problem.keys, set.address(problem.keys), points) {
    auto take = [&](const std::optional<Operand> &operand,
                    std::optional<HostCopy> &out) {
      if (operand)
        out.emplace(gpu, *operand, set.address(*operand), points);
    };
    take(problem.values, values);
    take(problem.keyScale, keyScale);
    take(problem.valueScale, valueScale);
  }
};
} // namespace

/// Points all over the output; the leading letter takes few values, whose parts
/// are copied.
static std::vector<Point> samplePoints(const Problem &problem,
                                       double products) {
  constexpr size_t maxRows = 96;
  constexpr int64_t leading = 4;
  double cost =
      static_cast<double>(problem.extent.at(problem.key)) *
      (problem.count(problem.depth) + problem.count(problem.valueLetters));
  size_t rows =
      std::clamp(static_cast<size_t>(products / cost), size_t(4), maxRows);
  std::mt19937_64 random(7);
  std::vector<Point> points;
  for (size_t i = 0; i < rows; ++i) {
    Point point;
    for (char letter : problem.batch + problem.row) {
      int64_t extent = problem.extent.at(letter);
      int64_t at = static_cast<int64_t>(random() % extent);
      if (letter == problem.sequence && extent > leading)
        at = static_cast<int64_t>(random() % leading) * (extent - 1) /
             (leading - 1);
      // The first and the last row of all.
      point[letter] = i == 0 ? 0 : i == 1 ? extent - 1 : at;
    }
    points.push_back(std::move(point));
  }
  return points;
}

static reference::Type referenceType(Element type) {
  return type == Element::BF16  ? reference::Type::BF16
         : type == Element::F16 ? reference::Type::F16
                                : reference::Type::F32;
}

static reference::AttentionOptions
optionsAt(const Problem &problem, const Host &host, const Point &point) {
  int64_t keys = problem.extent.at(problem.key);
  reference::AttentionOptions options;
  options.scale = problem.scale;
  options.output = referenceType(problem.output.type);
  // Weights meet the values in the type that these are multiplied in.
  Element stored = problem.keys.type;
  options.weights = stored == Element::F8E4M3 || stored == Element::I8
                        ? referenceType(problem.query.type)
                        : referenceType(stored);
  options.independentErrors = true; // the data are random
  options.keysPerBlock = 64;
  options.splits = (keys + 255) / 256;
  options.valid = {problem.length(point.at(problem.sequence))};
  int64_t token = point.count('n') ? point.at('n') : 0;
  options.mask.letters = std::string(1, problem.key);
  options.mask.holds = [&problem, token](const std::vector<int64_t> &at) {
    return problem.attends(token, at[0]);
  };
  if (host.keyScale)
    options.keyScale = host.keyScale->at(point);
  if (host.valueScale)
    options.valueScale = host.valueScale->at(point);
  return options;
}

/// The first columns of the keys, where there is no tensor of values.
static reference::Tensor valuesOf(const Problem &problem, const Host &host,
                                  const Point &point,
                                  const reference::Tensor &keys) {
  if (host.values)
    return host.values->at(point);
  int64_t depth = keys.shape.back(),
          width = problem.count(problem.valueLetters);
  std::vector<int64_t> shape = keys.shape;
  shape.back() = width;
  reference::Tensor values(shape);
  for (int64_t e = 0; e < values.size(); ++e)
    values.value[e] = keys.value[e / width * depth + e % width];
  return values;
}

static reference::Tensor expectedAt(const Problem &problem, const Host &host,
                                    const Point &point) {
  reference::Tensor keys = host.keys.at(point);
  reference::Tensor values = valuesOf(problem, host, point, keys);
  return reference::attention(problem.spec, host.query.at(point), keys, values,
                              optionsAt(problem, host, point))
      .output;
}

/// Where the elements of a point are in the output, in the order of the
/// reference's.
static std::vector<int64_t> offsetsAt(const Operand &output,
                                      const Point &point) {
  int64_t offset = 0, count = 1;
  std::vector<std::pair<int64_t, int64_t>> free; // extent, stride
  for (size_t i = 0; i < output.term.size(); ++i) {
    int64_t stride = output.stride(output.term[i]);
    auto fixed = point.find(output.term[i]);
    if (fixed != point.end()) {
      offset += fixed->second * stride;
      continue;
    }
    free.push_back({output.extents[i], stride});
    count *= output.extents[i];
  }
  std::vector<int64_t> offsets;
  for (int64_t e = 0; e < count; ++e) {
    int64_t rest = e, here = offset;
    for (size_t i = free.size(); i-- > 0; rest /= free[i].first)
      here += rest % free[i].first * free[i].second;
    offsets.push_back(here);
  }
  return offsets;
}

RowCheck::RowCheck(Gpu &gpu, const Problem &problem, const InputSet &set,
                   double products)
    : problem(problem) {
  std::vector<Point> points = samplePoints(problem, products);
  Host host(gpu, problem, set, points);
  expected.resize(points.size());
  for (const Point &point : points)
    offsets.push_back(offsetsAt(problem.output, point));
  std::atomic<size_t> next{0};
  std::exception_ptr error;
  std::mutex mutex;
  auto work = [&] {
    try {
      for (size_t i = next++; i < points.size(); i = next++)
        expected[i] = expectedAt(problem, host, points[i]);
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex);
      error = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::thread::hardware_concurrency(); ++i)
    threads.emplace_back(work);
  for (std::thread &thread : threads)
    thread.join();
  if (error)
    std::rethrow_exception(error);
}

reference::Report RowCheck::compare(const std::vector<char> &output) const {
  const Operand &operand = problem.output;
  reference::Report worst;
  for (size_t i = 0; i < expected.size(); ++i) {
    std::vector<double> actual;
    for (int64_t offset : offsets[i])
      actual.push_back(loadElement(
          operand.type, output.data() + offset * operand.elementBytes()));
    reference::Report report = reference::compare(actual, expected[i]);
    if (i == 0 || (worst.pass && !report.pass) ||
        (worst.pass == report.pass && report.worstRatio > worst.worstRatio))
      worst = report;
  }
  return worst;
}
