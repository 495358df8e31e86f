//===- Merge.cpp - Joins states, and its error bound ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// With weights w_s = exp2(max_s - M) the result is R = N / L for the sums N of
// w_s a_s and L of w_s l_s.  An exponent that is off by d_s, an accumulator by
// da_s and a sum by dl_s move it to R' with
//
//   |R' - R| L' <= sum of |w_s' - w_s| |a_s - R l_s| + w_s' (da_s + |R| dl_s)
//
// What moves all of M cancels.  Rounding: of the exponent, of exp2, and of
// sums over the splits.
//
//===----------------------------------------------------------------------===//

#include "Loops.h"

#include <algorithm>
#include <cmath>

using namespace einhead::reference;

namespace {

const double kLn2 = std::log(2.0);
constexpr double kFunctionRoundings = 4;

/// A state whose row has keys.
struct State {
  int64_t split;
  double weight, low, high; ///< exp2(max - M), and its ends
  Number sum;
};

struct Row {
  std::vector<State> states;
  double largest = -HUGE_VAL;                 ///< M
  double sum = 0, low = 0, high = 0, off = 0; ///< L; off: largest exponent's
};

Row rowOf(const Tensor &max, const Tensor &sum, int64_t at, int64_t stride,
          double u) {
  Row row;
  int64_t splits = max.shape[0];
  for (int64_t s = 0; s < splits; ++s)
    if (double m = max.value[s * stride + at]; m > row.largest || std::isnan(m))
      row.largest = m;
  for (int64_t s = 0; s < splits; ++s) {
    double m = max.value[s * stride + at], bound = max.bound[s * stride + at];
    if (m == -HUGE_VAL)
      continue;
    double distance = (m - row.largest) * kLn2;
    double moved =
        bound * kLn2 + 2 * u * std::fabs(distance) + kFunctionRoundings * u;
    State state = {s,
                   std::exp(distance),
                   std::exp(distance - moved),
                   std::exp(distance + moved),
                   {sum.value[s * stride + at], sum.bound[s * stride + at]}};
    row.sum += state.weight * state.sum.value;
    row.low += state.low * (state.sum.value - state.sum.bound);
    row.high += state.high * (state.sum.value + state.sum.bound);
    row.off = std::max(row.off, bound * kLn2);
    row.states.push_back(state);
  }
  return row;
}

/// The log-sum-exp: that of the largest state, and what the others add.
Number logSumExp(const Row &row, double u) {
  double value = row.largest * kLn2 + std::log(row.sum);
  double bound = std::max(std::log(row.high / row.sum),
                          std::log(row.sum / std::max(row.low, 0.0)));
  bound += row.off + (row.states.size() + 4) * u *
                         (std::fabs(row.largest) + std::fabs(value) + 1);
  return store({value, std::isnan(bound) ? HUGE_VAL : bound}, Type::F32);
}

Number element(const Row &row, const Tensor &accumulator, int64_t at,
               int64_t stride, double u, Type output) {
  double sum = 0;
  for (const State &state : row.states)
    sum += state.weight * accumulator.value[state.split * stride + at];
  double result = sum / row.sum;
  double bound = 0, steps = (row.states.size() + 3) * u;
  for (const State &state : row.states) {
    double a = accumulator.value[state.split * stride + at];
    double da = accumulator.bound[state.split * stride + at];
    double moved = state.high - state.weight;
    bound += times(moved, std::fabs(a - result * state.sum.value));
    bound += times(state.high, da + std::fabs(result) * state.sum.bound);
    bound += steps * state.weight *
             (std::fabs(a) + std::fabs(result) * state.sum.value);
  }
  bound = row.low > 0 ? bound / row.low : bound == 0 ? 0 : HUGE_VAL;
  return store({result, bound}, output);
}

} // namespace

AttentionResult einhead::reference::merge(const std::string &text,
                                          const Tensor &max, const Tensor &sum,
                                          const Tensor &accumulator,
                                          Type output) {
  Spec spec = Spec::parse(text);
  require(spec.inputs.size() == 2 && spec.inputs[1] == spec.output,
          "the letters of a max and of an accumulator, which are the result's");
  const std::string &rows = spec.inputs[0];
  std::string values;
  for (char c : spec.output)
    if (rows.find(c) == std::string::npos)
      values += c;
  Extents extents;
  extents.add("#" + rows, max); // no letter: the splits
  extents.add("#" + rows, sum);
  extents.add("#" + spec.output, accumulator);
  AttentionResult result{Tensor(extents.of(spec.output)),
                         Tensor(extents.of(rows))};
  Nest nest(rows + values, extents);
  Access atRow(nest, rows, extents), atOutput(nest, spec.output, extents);
  double u = unitRoundoff(output == Type::F64 ? Type::F64 : Type::F32);
  forEach(nest, 0, rows.size(), [&] {
    int64_t at = atRow(nest);
    Row row = rowOf(max, sum, at, result.logSumExp.size(), u);
    if (row.sum == 0) {
      result.logSumExp.value[at] = -HUGE_VAL;
      return;
    }
    Number lse = logSumExp(row, u);
    result.logSumExp.value[at] = lse.value;
    result.logSumExp.bound[at] = lse.bound;
    forEach(nest, rows.size(), nest.letters.size(), [&] {
      int64_t to = atOutput(nest);
      Number number =
          element(row, accumulator, to, result.output.size(), u, output);
      result.output.value[to] = number.value;
      result.output.bound[to] = number.bound;
    });
  });
  return result;
}
