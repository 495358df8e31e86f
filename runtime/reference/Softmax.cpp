//===- Softmax.cpp - Softmax over one letter --------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Loops.h"

#include <algorithm>
#include <cmath>

using namespace einhead::reference;

namespace {

/// What attends in one row.
struct Entry {
  int64_t at;      ///< in the tensor, or kNowhere for the sink
  double score;    ///< the input
  double weight;   ///< exp(score - largest)
  double exponent; ///< how far the exponent may be off
};

constexpr int64_t kNowhere = -1;

/// The interval of a weight's share, with every exponent anywhere in its own:
/// the share is largest where its exponent is highest and the others' lowest.
double shareError(const Entry &entry, double share, double low, double high) {
  double up = entry.weight * std::exp(entry.exponent);
  double down = entry.weight * std::exp(-entry.exponent);
  double othersLow = std::max(low - down, 0.0);
  double othersHigh = std::max(high - up, 0.0);
  double most = up > 0 ? up / (up + othersLow) : 0;
  double least = down > 0 ? down / (down + othersHigh) : 0;
  if (std::isnan(most) || std::isnan(least))
    return 1;
  return std::min(1.0, std::max(most - share, share - least));
}

void softmaxRow(std::vector<Entry> &row, Type output, Tensor &result) {
  Type accumulator = output == Type::F64 ? Type::F64 : Type::F32;
  double u = unitRoundoff(accumulator);
  double largest = -HUGE_VAL, largestError = 0;
  for (const Entry &entry : row)
    if (entry.score > largest || std::isnan(entry.score)) {
      largest = entry.score;
      largestError = entry.exponent;
    }
  if (largest == -HUGE_VAL)
    return;

  double sum = 0, low = 0, high = 0;
  for (Entry &entry : row) {
    double distance = entry.score - largest;
    entry.weight = std::exp(distance);
    // Error of the operand, of the subtraction, of exp.
    entry.exponent +=
        4 * u + 2 * u * (std::fabs(distance) + entry.exponent + largestError);
    if (entry.weight == 0)
      entry.exponent = std::isfinite(distance) ? entry.exponent : 0;
    sum += entry.weight;
    low += entry.weight * std::exp(-entry.exponent);
    high += times(entry.weight, std::exp(entry.exponent));
  }
  for (const Entry &entry : row) {
    if (entry.at == kNowhere)
      continue;
    double share = entry.weight / sum;
    double error = shareError(entry, share, low, high);
    double steps = (row.size() + 2) * u; // the sum and the division
    error += steps * (share + error);
    if (share < 1e-30) // exp may underflow
      error += std::ldexp(1.0, accumulator == Type::F64 ? -1022 : -126);
    Number stored = store({share, error}, output);
    result.value[entry.at] = stored.value;
    result.bound[entry.at] = stored.bound;
  }
}

} // namespace

Tensor einhead::reference::softmax(const Tensor &input,
                                   const std::string &letters, char over,
                                   const Lengths &valid, const Mask &mask,
                                   Type output, const Sink &sink) {
  Extents extents;
  extents.add(letters, input);
  if (sink.scores)
    extents.add(sink.letters, *sink.scores);
  require(sink.letters.find(over) == std::string::npos,
          "a sink for each row, without the letter that is summed");
  std::string order = letters;
  size_t first = letters.find(over);
  require(first != std::string::npos, "`over` is one of the letters");
  order.erase(first, 1);
  order += over;

  Nest nest(order, extents);
  Access access(nest, letters, extents), atSink(nest, sink.letters, extents);
  MaskAt holds(nest, mask, "", {});
  size_t outer = order.size() - 1;
  size_t sequence = nest.position(letters[0]);
  require(valid.size() <= 1 ||
              static_cast<int64_t>(valid.size()) == input.shape[0],
          "a length for each sequence");

  Tensor result(input.shape);
  std::vector<Entry> row;
  forEach(nest, 0, outer, [&] {
    row.clear();
    forEach(nest, outer, order.size(), [&] {
      int64_t at = access(nest);
      bool attends = nest.point[outer] < lengthAt(valid, nest, sequence) &&
                     holds(nest) && input.value[at] != -HUGE_VAL;
      if (attends)
        row.push_back({at, input.value[at], 0, input.bound[at]});
    });
    if (sink.scores) {
      int64_t at = atSink(nest);
      if (sink.scores->value[at] != -HUGE_VAL)
        row.push_back(
            {kNowhere, sink.scores->value[at], 0, sink.scores->bound[at]});
    }
    softmaxRow(row, output, result);
  });
  return result;
}
