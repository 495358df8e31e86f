//===- Listing.h - A listing, compiled and called ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TEST_LISTINGS_LISTING_H
#define EINHEAD_TEST_LISTINGS_LISTING_H

#include "einhead/runtime.h"
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace einhead::test {

/// Extents by letter.
using Sizes = std::map<std::string, int64_t>;

/// A dense f32 tensor.
struct Array {
  std::vector<int64_t> shape;
  std::vector<float> data;

  explicit Array(std::vector<int64_t> shape);
  /// The extents of the letters.
  Array(const std::string &letters, const Sizes &sizes);

  /// Deterministic numbers between -scale and scale.
  Array &&random(unsigned seed, float scale) &&;
  DLTensor view();
};

/// One function of examples/listings behind the runtime, with one session.
class Listing {
public:
  /// Compiles it with the extents of `fixed`, and makes a session whose caches
  /// have those of `dimensions`.  Throws std::runtime_error.
  Listing(const std::string &name, const Sizes &fixed, const Sizes &dimensions);

  void call(const std::vector<Array *> &inputs, Array &output);
  /// An element of a cache.
  float &cacheElement(const std::string &cache,
                      const std::vector<int64_t> &index);
  int64_t length(int64_t sequence);

private:
  std::string name;
  std::unique_ptr<einhead_module_t, void (*)(einhead_module_t *)> module;
  std::unique_ptr<einhead_session_t, void (*)(einhead_session_t *)> session;
};

} // namespace einhead::test

#endif // EINHEAD_TEST_LISTINGS_LISTING_H
