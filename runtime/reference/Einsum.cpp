//===- Einsum.cpp - einsum and append over named letters --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Loops.h"

#include <algorithm>
#include <cctype>
#include <cmath>

using namespace einhead::reference;

Spec Spec::parse(const std::string &text) {
  std::string compact;
  for (char c : text)
    if (!std::isspace(static_cast<unsigned char>(c)))
      compact += c;
  size_t arrow = compact.find("->");
  require(arrow != std::string::npos, "a spec has an arrow");
  Spec spec{{""}, compact.substr(arrow + 2)};
  for (char c : compact.substr(0, arrow)) {
    if (c == ',')
      spec.inputs.push_back("");
    else
      spec.inputs.back() += c;
  }
  for (const std::string &term : spec.inputs)
    for (char c : term)
      require(std::isalpha(static_cast<unsigned char>(c)), "letters a-z A-Z");
  for (char c : spec.output)
    require(std::isalpha(static_cast<unsigned char>(c)), "letters a-z A-Z");
  return spec;
}

namespace {

/// One element of an einsum while its terms come in.
struct Sum {
  double value = 0;     ///< of the products
  double magnitude = 0; ///< of their absolute values
  double error = 0;     ///< that the operands bring
  double errorSquares = 0;
};

void addProduct(Sum &sum, const std::vector<Tensor> &operands,
                const std::vector<Access> &accesses, const Nest &nest,
                bool zerosAbsorb) {
  double product = 1, size = 1, reach = 1;
  for (size_t i = 0; i < operands.size(); ++i) {
    int64_t at = accesses[i](nest);
    double x = operands[i].value[at];
    if (zerosAbsorb && x == 0 && operands[i].bound[at] == 0)
      return;
    product *= x;
    size *= std::fabs(x);
    reach = times(reach, std::fabs(x) + operands[i].bound[at]);
  }
  sum.value += product;
  sum.magnitude += size;
  if (reach != size) {
    sum.error += reach - size;
    sum.errorSquares += (reach - size) * (reach - size);
  }
}

/// Adds the rounding of `steps` operations on a sum's way, and of its store.
Number finish(Sum sum, double steps, int64_t terms,
              const EinsumOptions &options) {
  Type output = options.output;
  if (options.independentErrors) {
    sum.error = std::min(sum.error, std::sqrt(sum.errorSquares));
    // Six deviations where all products have one sign, more elsewhere.
    steps = std::min(steps, 2 * std::sqrt(steps));
  }
  Type accumulator = output == Type::F64 ? Type::F64 : Type::F32;
  double growth = steps * unitRoundoff(accumulator);
  if (accumulator == Type::F64) // this file rounds as well
    growth *= 2;
  growth /= 1 - std::min(growth, 0.5);
  double reach = sum.magnitude + sum.error;
  double error = sum.error + times(growth, reach);
  if (steps > 0 && reach > 0) // products may underflow
    error += terms * smallestPositive(accumulator);
  if (std::isnan(error))
    error = HUGE_VAL;
  if (output == accumulator) // its rounding is among the steps
    return std::isfinite(sum.value)
               ? Number{sum.value,
                        reach > largestFinite(output) ? HUGE_VAL : error}
               : Number{sum.value, 0};
  return store({sum.value, error}, output);
}

/// Letters of the operands that the output lacks.
std::string summedLetters(const Spec &spec) {
  std::string letters;
  for (const std::string &term : spec.inputs)
    for (char c : term)
      if (spec.output.find(c) == std::string::npos &&
          letters.find(c) == std::string::npos)
        letters += c;
  return letters;
}

} // namespace

Tensor einhead::reference::einsum(const std::string &text,
                                  const std::vector<Tensor> &operands,
                                  const EinsumOptions &options) {
  Spec spec = Spec::parse(text);
  require(spec.inputs.size() == operands.size(), "a term for each operand");
  Extents extents;
  for (size_t i = 0; i < operands.size(); ++i)
    extents.add(spec.inputs[i], operands[i]);

  Nest nest(spec.output + summedLetters(spec), extents);
  std::vector<Access> accesses;
  for (const std::string &term : spec.inputs)
    accesses.emplace_back(nest, term, extents);

  size_t outer = spec.output.size();
  int64_t terms = elementCount(extents.of(nest.letters.substr(outer)));
  int64_t chain = terms, block = options.sumBlock;
  if (block > 0)
    chain = std::min(terms, block + (terms + block - 1) / block);
  bool moves = terms == 1 && operands.size() == 1; // no arithmetic
  double steps = moves ? 0 : chain + operands.size() + 2;

  Tensor result(extents.of(spec.output));
  int64_t at = 0;
  forEach(nest, 0, outer, [&] {
    Sum sum;
    forEach(nest, outer, nest.letters.size(), [&] {
      addProduct(sum, operands, accesses, nest, options.zerosAbsorb);
    });
    Number element = finish(sum, steps, terms, options);
    result.value[at] = element.value;
    result.bound[at++] = element.bound;
  });
  return result;
}

Tensor einhead::reference::append(const std::string &text, const Tensor &rows,
                                  const Tensor &cache,
                                  const std::vector<int64_t> &position) {
  Spec spec = Spec::parse(text);
  require(spec.inputs.size() == 1, "one term on each side");
  const std::string &from = spec.inputs[0], &to = spec.output;
  Extents newExtents, cacheExtents;
  newExtents.add(from, rows);
  cacheExtents.add(to, cache);
  auto only = [](const std::string &in, const std::string &notIn) {
    std::string letters;
    for (char c : in)
      if (notIn.find(c) == std::string::npos)
        letters += c;
    return letters;
  };
  std::string grown = only(to, from), counted = only(from, to);
  require(grown.size() == 1, "the cache has one letter more");
  require(counted.size() <= 1, "the new rows have at most one letter more");

  // The nest runs over the new rows; `grown` is read from the position.
  Nest nest(from, newExtents);
  Access source(nest, from, newExtents);
  Tensor result = cache;
  std::vector<int64_t> index(to.size());
  forEach(nest, 0, from.size(), [&] {
    for (size_t i = 0; i < to.size(); ++i)
      if (to[i] != grown[0])
        index[i] = nest.point[nest.position(to[i])];
    int64_t start = position.size() == 1 ? position[0] : position.at(index[0]);
    index[to.find(grown[0])] =
        start + (counted.empty() ? 0 : nest.point[nest.position(counted[0])]);
    int64_t target = result.offset(index);
    result.value[target] = rows.value[source(nest)];
    result.bound[target] = rows.bound[source(nest)];
  });
  return result;
}
