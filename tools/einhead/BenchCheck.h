//===- BenchCheck.h - Is the measured result right --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_BENCHCHECK_H
#define EINHEAD_TOOLS_BENCHCHECK_H

#include "BenchProblem.h"
#include "Reference.h"

namespace einhead::tool {

/// Where the operands of one evaluation are, row-major; those of the value may
/// be columns of the key.  The scales are those of i8 keys and values.
struct BenchInputs {
  const char *query, *key, *value, *keyScale, *valueScale;
};

/// The coordinates of each batch and row letter that are checked: all, or for
/// a large problem some of them; all keys always.
using Sample = std::map<char, std::vector<int64_t>>;

/// What the sampled rows of the output must be.
class RowCheck {
public:
  static llvm::Expected<RowCheck> create(const BenchProblem &problem,
                                         const BenchInputs &inputs, bool fused);
  /// Offset in the output, in elements, of the first sampled element.
  int64_t first() const;
  reference::Report compare(const char *output) const;

private:
  const BenchProblem *problem = nullptr;
  Sample sample;
  reference::Tensor expected;
};

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_BENCHCHECK_H
