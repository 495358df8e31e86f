//===- Attention.cpp - Attention in three loops, and its error bound ------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// For a row with scores s_j = scale * sum_i q_i k_ji + bias_j and largest score
// s_m, an implementation that accumulates in f32 (u = 2^-24) gets
//
//   e_j   = (D + 3) u |scale| sum_i |q_i k_ji|  (+ u |s_j| with a bias)
//   eta_j = expm1(e_j + e_m + 2u |s_j - s_m|) + 4u      relative, of weight j
//   g     = (b + ceil(T / b) + splits + 4) u            of the sums
//   B     = [sum_j p_j |v_j| (eta_j + g) + |o| sum_j p_j (eta_j + g)]
//           / sum_j p_j
//   P     = uP sum_j p_j |v_j - o| / sum_j p_j
//   |result - o| <= c B + P + uo |o| + tiny / 2
//
// with c = 1 for 16-bit results.  An f32 result is allowed an eighth of it,
// since errors of long sums cancel; short ones need not, so that e_j keeps the
// least of D + 3 and kFewSteps roundings.  What the operands are off by comes
// on top.
//
// With scales of the key's rows a score is rounded once more, D + 4; with those
// of the value's a weight is, 5u, or becomes subnormal and loses up to tiny.
//
// A score function moves e_j as its arithmetic does; its own roundings are few
// and count in full.  A sink is a key of value 0 whose score is rounded twice.
//
//===----------------------------------------------------------------------===//

#include "Loops.h"

#include <algorithm>
#include <cmath>

using namespace einhead::reference;

namespace {

/// Roundings that may all go the same way.
constexpr double kFewSteps = 8;

/// The keys of the blocks that a row's list names.
class ListedKeys {
public:
  ListedKeys(const Nest &nest, const Blocks &blocks, const Extents &extents)
      : blocks(blocks), at(nest, blocks.letters, extents) {}

  /// Reads the list of the row that the nest stands at.
  void enter(const Nest &nest) {
    if (blocks.size == 0)
      return;
    int64_t length = blocks.lists.shape.back(), first = at(nest) * length;
    listed.assign(blocks.lists.value.begin() + first,
                  blocks.lists.value.begin() + first + length);
  }
  bool holds(int64_t key) const {
    return blocks.size == 0 || std::find(listed.begin(), listed.end(),
                                         key / blocks.size) != listed.end();
  }

private:
  const Blocks &blocks;
  Access at;
  std::vector<int64_t> listed;
};

/// The letters of a spec by role, and everything that the loops read.
struct Problem {
  Problem(const Spec &spec, const Tensor &query, const Tensor &key,
          const Tensor &value, const AttentionOptions &options);

  const Tensor &query, &key, &value;
  const AttentionOptions &options;
  Extents extents;
  std::string outer, keys, depth, values, rowLetters; // of the nest, in order
  Nest nest;
  Access atQuery, atKey, atValue, atKeyScale, atValueScale, atBias, atSink,
      atOutput, atRow;
  MaskAt holds;
  ListedKeys listed;
  std::vector<int64_t> starts; ///< where the score letters start
  size_t sequence = 0;         // the loop that `valid` goes by
  int64_t keyOffset = 0;       // of the first key letter
  Type accumulator;

  size_t keyLoops() const { return outer.size(); }
  size_t depthLoops() const { return keyLoops() + keys.size(); }
  size_t valueLoops() const { return depthLoops() + depth.size(); }
  size_t endLoops() const { return valueLoops() + values.size(); }
};

bool has(const std::string &letters, char letter) {
  return letters.find(letter) != std::string::npos;
}

/// Letters of `from` for which the predicate holds.
template <typename Predicate>
std::string select(const std::string &from, Predicate predicate) {
  std::string result;
  for (char c : from)
    if (predicate(c) && !has(result, c))
      result += c;
  return result;
}

/// Value letters stand in value and output only.
std::string valueLetters(const Spec &spec) {
  return select(spec.output, [&](char c) {
    return !has(spec.inputs[0], c) && !has(spec.inputs[1], c);
  });
}
/// Batch and row letters: the others of the output.
std::string outerLetters(const Spec &spec) {
  return select(spec.output,
                [&](char c) { return !has(valueLetters(spec), c); });
}
/// Key letters stand in key and value only.
std::string keyLetters(const Spec &spec) {
  return select(spec.inputs[1] + spec.inputs[2], [&](char c) {
    return !has(spec.inputs[0], c) && !has(spec.output, c);
  });
}
/// Depth letters stand in query and key only.
std::string depthLetters(const Spec &spec) {
  return select(spec.inputs[0], [&](char c) { return !has(spec.output, c); });
}
/// The letters of a row of key or value, by which its scale goes.
std::string termWithout(const std::string &term, const std::string &columns) {
  return select(term, [&](char c) { return !has(columns, c); });
}

Extents extentsOf(const Spec &spec, const Tensor &query, const Tensor &key,
                  const Tensor &value, const AttentionOptions &options) {
  require(spec.inputs.size() == 3, "a spec of query, key, value");
  Extents extents;
  extents.add(spec.inputs[0], query);
  extents.add(spec.inputs[1], key);
  extents.add(spec.inputs[2], value);
  if (options.keyScale)
    extents.add(termWithout(spec.inputs[1], depthLetters(spec)),
                *options.keyScale);
  if (options.valueScale)
    extents.add(termWithout(spec.inputs[2], valueLetters(spec)),
                *options.valueScale);
  if (options.hasBias)
    extents.add(options.biasLetters, options.bias);
  if (options.sink.scores)
    extents.add(options.sink.letters, *options.sink.scores);
  if (options.blocks.size == 0)
    return extents;
  require(options.blocks.size > 0, "blocks of at least one key");
  extents.add(options.blocks.letters + "#", options.blocks.lists); // no letter
  return extents;
}

Problem::Problem(const Spec &spec, const Tensor &query, const Tensor &key,
                 const Tensor &value, const AttentionOptions &options)
    : query(query), key(key), value(value), options(options),
      extents(extentsOf(spec, query, key, value, options)),
      outer(outerLetters(spec)), keys(keyLetters(spec)),
      depth(depthLetters(spec)), values(valueLetters(spec)), rowLetters(outer),
      nest(outer + keys + depth + values, extents),
      atQuery(nest, spec.inputs[0], extents),
      atKey(nest, spec.inputs[1], extents),
      atValue(nest, spec.inputs[2], extents),
      atKeyScale(nest, termWithout(spec.inputs[1], depth), extents),
      atValueScale(nest, termWithout(spec.inputs[2], values), extents),
      atBias(nest, options.biasLetters, extents),
      atSink(nest, options.sink.letters, extents),
      atOutput(nest, spec.output, extents), atRow(nest, outer, extents),
      holds(nest, options.mask, options.offsetLetters, options.offsets),
      listed(nest, options.blocks, extents),
      accumulator(options.output == Type::F64 ? Type::F64 : Type::F32) {
  for (char c : keys)
    require(has(spec.inputs[1], c) && has(spec.inputs[2], c),
            std::string("key and value have the key letter '") + c + "'");
  for (char c : depth)
    require(has(spec.inputs[1], c) && !has(spec.inputs[2], c),
            std::string("query and key alone have the depth letter '") + c +
                "'");
  require(!keys.empty(), "a key letter");
  for (char c : options.sink.letters + options.blocks.letters)
    require(has(outer, c),
            std::string("sink and blocks by row, not '") + c + "'");
  for (char c : outer + keys) {
    size_t moved = options.offsetLetters.find(c);
    starts.push_back(moved == std::string::npos ? 0 : options.offsets[moved]);
  }
  keyOffset = starts[keyLoops()];
  require(keys.size() == 1 || (options.valid.empty() && !options.blocks.size),
          "one key letter where lengths or blocks are given");
  if (options.valid.size() > 1)
    sequence = nest.position(spec.inputs[0][0]);
}

/// A key that attends, or the sink.
struct Score {
  std::vector<int64_t> point; ///< of the key loops; empty for the sink
  double score;
  double error;    ///< e: from arithmetic in f32
  double incoming; ///< from the operands
  double weight = 0;
  double weightError = 0;   ///< weight * (eta + g), absolute
  double low = 0, high = 0; ///< the weight, by the incoming error
};

/// The constant c.  In f64 this file rounds as the implementation does.
double allowance(Type output) {
  switch (output) {
  case Type::F64:
    return 2;
  case Type::F32:
    return 1.0 / 8;
  default:
    return 1;
  }
}

/// The few roundings of short sums count in full, see above.
double scoreSteps(Type output, double steps) {
  double few = std::min(steps, kFewSteps);
  return std::max(steps, few / allowance(output));
}

/// Applies the score function.
void shape(const Problem &problem, Score &score) {
  const ScoreFunction &function = problem.options.score;
  if (!function)
    return;
  const std::vector<int64_t> &point = problem.nest.point;
  std::vector<int64_t> index(problem.starts.size());
  for (size_t i = 0; i < index.size(); ++i)
    index[i] = problem.starts[i] + point[i];
  Number own = function({score.score, 0}, index);
  Number moved = own, all = own;
  if (!std::isnan(score.score)) {
    moved = function({score.score, score.incoming}, index);
    all = function({score.score, score.incoming + score.error}, index);
  }
  // One more rounding where the score gets the unit of log2.
  double u = unitRoundoff(problem.accumulator), few = u * std::fabs(own.value);
  auto apart = [](double most, double least) {
    return most == least ? 0 : most - least;
  };
  score.score = own.value;
  score.error = apart(all.bound, moved.bound) +
                (own.bound + few) / allowance(problem.options.output);
  score.incoming = apart(moved.bound, own.bound);
  if (own.value == -HUGE_VAL) // certainly none, or nobody knows
    score.incoming = all.bound > 0 ? HUGE_VAL : 0;
}

/// A number of a row times the row's scale, if there is one.
Number scaled(Number x, const std::optional<Tensor> &scales, int64_t at) {
  if (!scales)
    return x;
  double scale = scales->value[at], off = scales->bound[at];
  double bound =
      times(std::fabs(x.value), off) + times(x.bound, std::fabs(scale) + off);
  return {x.value * scale, bound};
}

Score scoreAt(Problem &problem, int64_t depth) {
  Nest &nest = problem.nest;
  const std::optional<Tensor> &keyScale = problem.options.keyScale;
  int64_t atScale = problem.atKeyScale(nest);
  double scale = problem.options.scale, sum = 0, magnitude = 0, incoming = 0;
  forEach(nest, problem.depthLoops(), problem.valueLoops(), [&] {
    int64_t atQuery = problem.atQuery(nest), atKey = problem.atKey(nest);
    double q = problem.query.value[atQuery], dq = problem.query.bound[atQuery];
    auto [k, dk] = scaled({problem.key.value[atKey], problem.key.bound[atKey]},
                          keyScale, atScale);
    sum += q * k;
    magnitude += std::fabs(q * k);
    if (dq != 0 || dk != 0)
      incoming += times(std::fabs(q), dk) + times(dq, std::fabs(k) + dk);
  });
  Score result;
  result.score = scale * sum;
  double u = unitRoundoff(problem.accumulator);
  double steps = depth + (keyScale ? 4 : 3);
  result.error = scoreSteps(problem.options.output, steps) * u *
                 std::fabs(scale) * magnitude;
  result.incoming = times(std::fabs(scale), incoming);
  shape(problem, result);
  if (problem.options.hasBias) {
    int64_t at = problem.atBias(nest);
    result.score += problem.options.bias.value[at];
    result.error += u * std::fabs(result.score);
    result.incoming += problem.options.bias.bound[at];
  }
  return result;
}

bool attends(Problem &problem) {
  const Nest &nest = problem.nest;
  int64_t key = problem.keyOffset + nest.point[problem.keyLoops()];
  if (!problem.options.valid.empty() &&
      key >= lengthAt(problem.options.valid, nest, problem.sequence))
    return false;
  return problem.holds(nest) && problem.listed.holds(key);
}

void addSink(const Problem &problem, std::vector<Score> &scores) {
  if (!problem.options.sink.scores)
    return;
  const Tensor &sink = *problem.options.sink.scores;
  int64_t at = problem.atSink(problem.nest);
  double score = sink.value[at], u = unitRoundoff(problem.accumulator);
  double error = scoreSteps(problem.options.output, 2) * u * std::fabs(score);
  if (score != -HUGE_VAL)
    scores.push_back({{}, score, error, sink.bound[at]});
}

/// The scores of a row's attended keys, and the sink's.
std::vector<Score> scoresOf(Problem &problem) {
  Nest &nest = problem.nest;
  problem.listed.enter(nest);
  int64_t depth = elementCount(problem.extents.of(problem.depth));
  std::vector<Score> scores;
  size_t first = problem.keyLoops(), last = problem.depthLoops();
  forEach(nest, first, last, [&] {
    if (!attends(problem))
      return;
    Score score = scoreAt(problem, depth);
    if (score.score == -HUGE_VAL && score.incoming == 0)
      return;
    score.point.assign(nest.point.begin() + first, nest.point.begin() + last);
    scores.push_back(std::move(score));
  });
  addSink(problem, scores);
  return scores;
}

/// What a row's sums come to.
struct Row {
  double largest = -HUGE_VAL;
  double sum = 0, sumError = 0; ///< of the weights and their errors
  double low = 0, high = 0;     ///< the sum, by the incoming errors
  double incoming = 0;          ///< largest incoming error
  bool bounded = true;          ///< false if the errors say nothing
};

Row weigh(const Problem &problem, std::vector<Score> &scores) {
  Row row;
  double largestError = 0;
  for (const Score &score : scores)
    if (score.score > row.largest || std::isnan(score.score)) {
      row.largest = score.score;
      largestError = score.error;
    }
  const AttentionOptions &options = problem.options;
  double u = unitRoundoff(problem.accumulator);
  double block = options.keysPerBlock, count = scores.size();
  double few = options.valueScale ? 5 : 4;
  double g = (block + std::ceil(count / block) + options.splits + 4) * u;
  for (Score &score : scores) {
    row.incoming = std::max(row.incoming, score.incoming);
    if (score.score == -HUGE_VAL) { // and it may be anything
      score.high = HUGE_VAL;
      continue;
    }
    double distance = score.score - row.largest;
    score.weight = std::exp(distance);
    double exponent = score.error + largestError + 2 * u * std::fabs(distance);
    double grown = std::exp(distance + exponent) - score.weight;
    score.weightError = grown + score.weight * (few * u + g);
    score.low = std::exp(distance - score.incoming);
    score.high = std::exp(distance + score.incoming);
    row.sum += score.weight;
    row.sumError += score.weightError;
    row.low += score.low;
    row.high += score.high;
  }
  row.bounded = std::isfinite(row.sumError);
  return row;
}

/// uP: how far weights may be rounded before they are used and summed.
double weightUnit(const Problem &problem) {
  Type weights = problem.options.weights;
  return weights == problem.accumulator ? 0 : unitRoundoff(weights);
}

/// What roundings of a sum's terms may come to; independent ones mostly cancel.
double spread(const AttentionOptions &options, double sum, double squares) {
  constexpr double deviations = 4;
  return options.independentErrors
             ? std::min(sum, deviations * std::sqrt(squares))
             : sum;
}

/// One element of the output: the weighted sum over the keys, and how far an
/// implementation may be off.
Number weightedSum(Problem &problem, const std::vector<Score> &scores,
                   const Row &row) {
  Nest &nest = problem.nest;
  const AttentionOptions &options = problem.options;
  double unscaled = 0; // of all values
  auto valueAt = [&](const Score &score) -> Number {
    if (score.point.empty())
      return {}; // the sink's
    std::copy(score.point.begin(), score.point.end(),
              nest.point.begin() + problem.keyLoops());
    int64_t at = problem.atValue(nest);
    unscaled += std::fabs(problem.value.value[at]);
    return scaled({problem.value.value[at], problem.value.bound[at]},
                  options.valueScale, problem.atValueScale(nest));
  };
  double sum = 0;
  for (const Score &score : scores)
    sum += score.weight * valueAt(score).value;
  double result = sum / row.sum;

  double uP = weightUnit(problem);
  double local = 0, magnitude = 0, moved = 0, off = 0, farthest = 0, worst = 0;
  double rounded = 0, square = 0; // of the weights, which their sum shares
  for (const Score &score : scores) {
    auto [v, dv] = valueAt(score);
    magnitude += std::fabs(v);
    local += times(std::fabs(v), score.weightError);
    double rounding = times(std::fabs(v - result), score.weight * uP);
    rounded += rounding;
    square += rounding * rounding;
    moved += times(score.high - score.weight, std::fabs(v - result));
    off += times(score.high, dv);
    farthest = std::max(farthest, std::fabs(v - result));
    worst = std::max(worst, dv);
    if (std::isinf(score.incoming)) // perhaps no key attends
      farthest = std::max(farthest, std::fabs(result));
  }
  // A mean lies among its values, whatever the weights: that caps both terms.
  auto capped = [](double x, double cap) { return x < cap ? x : cap; };
  double bound = (local + std::fabs(result) * row.sumError) / row.sum;
  bound = row.bounded ? allowance(options.output) * bound : 2 * farthest;
  rounded = spread(options, rounded, square);
  if (uP > 0)
    bound += std::isnan(rounded) ? HUGE_VAL : rounded / row.sum;
  bound += capped(moved / row.low, farthest) + capped(off / row.low, worst);
  if (magnitude != 0) // a weight below the smallest normal number may be lost
    bound += magnitude * std::ldexp(1.0, -126) / row.sum;
  if (options.valueScale && magnitude != 0) // one becomes subnormal
    bound += unscaled * smallestPositive(problem.accumulator) / row.sum;
  return store({result, bound}, options.output);
}

Number logSumExp(const Problem &problem, const std::vector<Score> &scores,
                 const Row &row) {
  double u = unitRoundoff(problem.accumulator);
  double value = row.largest + std::log(row.sum);
  double squares = 0;
  for (const Score &score : scores)
    squares += score.weight * score.weight;
  double rounded =
      weightUnit(problem) * spread(problem.options, row.sum, squares) / row.sum;
  double bound = row.sumError / row.sum + row.incoming + rounded +
                 4 * u * (std::fabs(row.largest) + std::fabs(value) + 1);
  return store({value, std::isnan(bound) ? HUGE_VAL : bound},
               problem.accumulator);
}

} // namespace

AttentionResult einhead::reference::attention(const std::string &text,
                                              const Tensor &query,
                                              const Tensor &key,
                                              const Tensor &value,
                                              const AttentionOptions &options) {
  Spec spec = Spec::parse(text);
  Problem problem(spec, query, key, value, options);
  AttentionResult result{Tensor(problem.extents.of(spec.output)),
                         Tensor(problem.extents.of(problem.rowLetters))};
  Nest &nest = problem.nest;
  forEach(nest, 0, problem.keyLoops(), [&] {
    std::vector<Score> scores = scoresOf(problem);
    int64_t atRow = problem.atRow(nest);
    if (scores.empty()) {
      result.logSumExp.value[atRow] = -HUGE_VAL;
      return;
    }
    Row row = weigh(problem, scores);
    Number lse = logSumExp(problem, scores, row);
    if (row.largest == -HUGE_VAL) // perhaps some key attends
      lse = {0, HUGE_VAL};
    result.logSumExp.value[atRow] = lse.value;
    result.logSumExp.bound[atRow] = lse.bound;
    forEach(nest, problem.valueLoops(), problem.endLoops(), [&] {
      Number element = row.largest == -HUGE_VAL
                           ? Number{0, HUGE_VAL}
                           : weightedSum(problem, scores, row);
      int64_t at = problem.atOutput(nest);
      result.output.value[at] = element.value;
      result.output.bound[at] = element.bound;
    });
  });
  return result;
}
