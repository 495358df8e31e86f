//===- Loops.h - Loop nests over named letters ------------------*- C++ -*-===//
//-*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_REFERENCE_LOOPS_H
#define EINHEAD_REFERENCE_LOOPS_H

#include "Reference.h"

#include <map>
#include <stdexcept>

namespace einhead::reference {

/// Extents by letter; throws where a letter has two.
class Extents {
public:
  void add(const std::string &term, const Tensor &tensor);
  int64_t of(char letter) const;
  std::vector<int64_t> of(const std::string &letters) const;

private:
  std::map<char, int64_t> extents;
};

/// A loop for each of `letters`, outermost first, and where it stands.
struct Nest {
  std::string letters;
  std::vector<int64_t> extents;
  std::vector<int64_t> point;

  Nest(const std::string &letters, const Extents &extents);
  /// Which loop a letter is; throws if none.
  size_t position(char letter) const;
};

/// Calls `body` for each value of the loops [first, last), the last fastest.
template <typename Body>
void forEach(Nest &nest, size_t first, size_t last, Body body) {
  if (first == last)
    return body();
  for (nest.point[first] = 0; nest.point[first] < nest.extents[first];
       ++nest.point[first])
    forEach(nest, first + 1, last, body);
  nest.point[first] = 0;
}

/// Where a term's element lies, given the point of a nest.
class Access {
public:
  Access(const Nest &nest, const std::string &term, const Extents &extents);
  int64_t operator()(const Nest &nest) const {
    int64_t offset = 0;
    for (const auto &[loop, stride] : strides)
      offset += nest.point[loop] * stride;
    return offset;
  }

private:
  std::vector<std::pair<size_t, int64_t>> strides;
};

/// Evaluates a mask at the point of a nest, moved by offsets.
class MaskAt {
public:
  MaskAt(const Nest &nest, const Mask &mask, const std::string &offsetLetters,
         const std::vector<int64_t> &offsets);
  bool operator()(const Nest &nest);

private:
  const Mask &mask;
  std::vector<size_t> loops;
  std::vector<int64_t> starts;
  std::vector<int64_t> coordinates;
};

/// The length that holds for the sequence of a nest's first loop.
int64_t lengthAt(const Lengths &lengths, const Nest &nest, size_t loop);

/// A product of bounds: 0 times infinity is 0.
inline double times(double x, double y) { return x == 0 || y == 0 ? 0 : x * y; }

void require(bool condition, const std::string &what);

} // namespace einhead::reference

#endif // EINHEAD_REFERENCE_LOOPS_H
