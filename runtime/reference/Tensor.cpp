//===- Tensor.cpp - Types, tensors and loop nests ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Loops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

using namespace einhead::reference;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

namespace {
/// Bits of the significand, and exponents of the smallest and the first too
/// large number.
struct Format {
  int precision, smallest, overflow;
};
Format formatOf(Type type) {
  switch (type) {
  case Type::F64:
    return {53, -1074, 1024};
  case Type::F32:
    return {24, -149, 128};
  case Type::F16:
    return {11, -24, 16};
  case Type::BF16:
    return {8, -133, 128};
  case Type::F8E4M3:
    return {4, -9, 9};
  }
  throw std::invalid_argument("unknown type");
}
} // namespace

double einhead::reference::unitRoundoff(Type type) {
  return std::ldexp(1.0, -formatOf(type).precision);
}

double einhead::reference::smallestPositive(Type type) {
  return std::ldexp(1.0, formatOf(type).smallest);
}

double einhead::reference::largestFinite(Type type) {
  if (type == Type::F64)
    return std::numeric_limits<double>::max();
  if (type == Type::F8E4M3) // the one above is NaN
    return 448;
  return (1 - unitRoundoff(type)) * std::ldexp(1.0, formatOf(type).overflow);
}

double einhead::reference::roundTo(double x, Type type) {
  if (type == Type::F8E4M3 && std::fabs(x) > largestFinite(type))
    return std::copysign(largestFinite(type), x);
  if (type == Type::F64 || !std::isfinite(x) || x == 0)
    return x;
  Format format = formatOf(type);
  int exponent;
  std::frexp(x, &exponent);
  int lastBit = std::max(exponent - format.precision, format.smallest);
  double rounded = std::ldexp(std::nearbyint(std::ldexp(x, -lastBit)), lastBit);
  if (std::fabs(rounded) > largestFinite(type))
    return std::copysign(std::numeric_limits<double>::infinity(), x);
  return rounded;
}

Number einhead::reference::store(Number x, Type type) {
  // So coarse that what is known exactly has to be rounded exactly.
  if (type == Type::F8E4M3 && (x.bound == 0 || !std::isfinite(x.value)))
    return {roundTo(x.value, type), 0};
  if (type == Type::F8E4M3) {
    double limit = largestFinite(type);
    x.value = std::clamp(x.value, -limit, limit);
    double size = std::min(std::fabs(x.value) + x.bound, limit);
    return {x.value,
            x.bound + unitRoundoff(type) * size + smallestPositive(type) / 2};
  }
  if (!std::isfinite(x.value))
    return {x.value, 0};
  double size = std::fabs(x.value) + x.bound;
  double bound = x.bound;
  if (x.value != 0 || x.bound != 0)
    bound += unitRoundoff(type) * size + smallestPositive(type) / 2;
  double limit = largestFinite(type) * (1 + unitRoundoff(type) / 2);
  if (std::fabs(x.value) - x.bound > limit)
    return {std::copysign(HUGE_VAL, x.value), 0};
  if (!(size <= limit))
    bound = HUGE_VAL;
  return {x.value, bound};
}

Tensor einhead::reference::store(Tensor x, Type type) {
  return map(x, [&](Number element) { return store(element, type); });
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

void einhead::reference::require(bool condition, const std::string &what) {
  if (!condition)
    throw std::invalid_argument(what);
}

int64_t einhead::reference::elementCount(const std::vector<int64_t> &shape) {
  int64_t count = 1;
  for (int64_t extent : shape) {
    require(extent >= 0, "negative extent");
    count *= extent;
  }
  return count;
}

Tensor::Tensor(std::vector<int64_t> shape)
    : shape(std::move(shape)), value(elementCount(this->shape), 0.0),
      bound(value.size(), 0.0) {}

Tensor::Tensor(std::vector<int64_t> shape, std::vector<double> value)
    : shape(std::move(shape)), value(std::move(value)),
      bound(this->value.size(), 0.0) {
  require(elementCount(this->shape) == size(),
          "as many values as the shape has elements");
}

int64_t Tensor::offset(const std::vector<int64_t> &index) const {
  require(index.size() == shape.size(), "an index for each dimension");
  int64_t offset = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    require(index[i] >= 0 && index[i] < shape[i], "index out of range");
    offset = offset * shape[i] + index[i];
  }
  return offset;
}

Tensor einhead::reference::map(const Tensor &x,
                               const std::function<Number(Number)> &function) {
  Tensor result(x.shape);
  for (int64_t i = 0; i < x.size(); ++i) {
    Number y = function({x.value[i], x.bound[i]});
    result.value[i] = y.value;
    result.bound[i] = y.bound;
  }
  return result;
}

Tensor
einhead::reference::map(const Tensor &x, const Tensor &y,
                        const std::function<Number(Number, Number)> &function) {
  require(x.shape == y.shape, "operands of equal shapes");
  Tensor result(x.shape);
  for (int64_t i = 0; i < x.size(); ++i) {
    Number z = function({x.value[i], x.bound[i]}, {y.value[i], y.bound[i]});
    result.value[i] = z.value;
    result.bound[i] = z.bound;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

void Extents::add(const std::string &term, const Tensor &tensor) {
  require(term.size() == tensor.shape.size(),
          "\"" + term + "\" has as many letters as its tensor has dimensions");
  for (size_t i = 0; i < term.size(); ++i) {
    require(term.find(term[i], i + 1) == std::string::npos,
            "\"" + term + "\" names a letter once");
    auto known = extents.insert({term[i], tensor.shape[i]}).first;
    require(known->second == tensor.shape[i],
            std::string("one extent for '") + term[i] + "'");
  }
}

int64_t Extents::of(char letter) const {
  auto known = extents.find(letter);
  require(known != extents.end(),
          std::string("an operand has '") + letter + "'");
  return known->second;
}

std::vector<int64_t> Extents::of(const std::string &letters) const {
  std::vector<int64_t> result;
  for (char letter : letters)
    result.push_back(of(letter));
  return result;
}

Nest::Nest(const std::string &letters, const Extents &extents)
    : letters(letters), extents(extents.of(letters)), point(letters.size(), 0) {
}

size_t Nest::position(char letter) const {
  size_t loop = letters.find(letter);
  require(loop != std::string::npos,
          std::string("'") + letter + "' is one of \"" + letters + "\"");
  return loop;
}

Access::Access(const Nest &nest, const std::string &term,
               const Extents &extents) {
  int64_t stride = 1;
  for (size_t i = term.size(); i-- > 0;) {
    strides.push_back({nest.position(term[i]), stride});
    stride *= extents.of(term[i]);
  }
}

MaskAt::MaskAt(const Nest &nest, const Mask &mask,
               const std::string &offsetLetters,
               const std::vector<int64_t> &offsets)
    : mask(mask), coordinates(mask.letters.size()) {
  require(offsets.size() == offsetLetters.size(), "an offset for each letter");
  for (char letter : mask.letters) {
    loops.push_back(nest.position(letter));
    size_t moved = offsetLetters.find(letter);
    starts.push_back(moved == std::string::npos ? 0 : offsets[moved]);
  }
}

bool MaskAt::operator()(const Nest &nest) {
  if (!mask.holds)
    return true;
  for (size_t i = 0; i < loops.size(); ++i)
    coordinates[i] = starts[i] + nest.point[loops[i]];
  return mask.holds(coordinates);
}

int64_t einhead::reference::lengthAt(const Lengths &lengths, const Nest &nest,
                                     size_t loop) {
  if (lengths.empty())
    return std::numeric_limits<int64_t>::max();
  if (lengths.size() == 1)
    return lengths[0];
  return lengths[nest.point[loop]];
}
