//===- Random.h - Random numbers from a seed --------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_FUZZ_RANDOM_H
#define EINHEAD_TOOLS_FUZZ_RANDOM_H

#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace einhead::fuzz {

/// SplitMix64: the same numbers from the same seed, on every machine.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed * 0x9E3779B97F4A7C15u) { next(); }

  uint64_t next() {
    uint64_t z = (state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// first ... last, both included.
  int64_t range(int64_t first, int64_t last) {
    return first + static_cast<int64_t>(next() % (last - first + 1));
  }
  bool percent(int chance) { return range(0, 99) < chance; }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  /// Near normal (0, 1): a sum of uniform numbers.
  double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i)
      sum += uniform();
    return sum;
  }
  template <typename T> T pick(std::initializer_list<T> values) {
    return values.begin()[range(0, values.size() - 1)];
  }
  char pick(llvm::StringRef letters) {
    return letters[range(0, letters.size() - 1)];
  }
  template <typename List> void shuffle(List &list) {
    for (size_t i = list.size(); i > 1; --i)
      std::swap(list[i - 1], list[range(0, i - 1)]);
  }
  /// Some letters, at most `most`, in any order.
  std::string subset(std::string letters, size_t most) {
    shuffle(letters);
    letters.resize(range(0, std::min(most, letters.size())));
    return letters;
  }

private:
  uint64_t state;
};

} // namespace einhead::fuzz

#endif // EINHEAD_TOOLS_FUZZ_RANDOM_H
