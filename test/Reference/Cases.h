//===- Cases.h - Inputs that the bound is tried on --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TEST_CASES_H
#define EINHEAD_TEST_CASES_H

#include "Float32Attention.h"

namespace einhead::test {

/// Where query, key and value come from.
struct Source {
  const char *name;
  reference::Distribution query, key, value;
};

using D = reference::Distribution;
inline const Source kSources[] = {
    {"normal", D::Normal, D::Normal, D::Normal},
    {"uniform", D::Uniform, D::Uniform, D::Uniform},
    {"outliers", D::Outliers, D::Outliers, D::Outliers},
    {"integers", D::SmallIntegers, D::SmallIntegers, D::SmallIntegers},
    {"cancellation", D::Normal, D::Normal, D::Signs},
    {"zero query", D::Zero, D::Normal, D::Normal},
    {"large scores", D::Large, D::Large, D::Normal},
};

inline const int64_t kDepths[] = {1,  2,  3,  7,  8,  15, 16,
                                  17, 31, 33, 40, 64, 128};

/// Inputs of "hk, mk, mv -> hv" and what is expected of them.
struct Case {
  reference::Tensor query, key, value;
  reference::AttentionOptions options;

  Case(const Source &source, int64_t rows, int64_t keys, int64_t depth,
       uint64_t seed)
      : query(reference::random({rows, depth}, source.query, seed)),
        key(reference::random({keys, depth}, source.key, seed + 1)),
        value(reference::random({keys, depth}, source.value, seed + 2)) {
    options.scale = Float32Attention(query, key, value).scale();
  }
  reference::Tensor expected() const {
    return reference::attention(Float32Attention::spec, query, key, value,
                                options)
        .output;
  }
  Float32Attention implementation(Bug bug = Bug::None) const {
    return Float32Attention(query, key, value, bug);
  }
};

} // namespace einhead::test

#endif // EINHEAD_TEST_CASES_H
