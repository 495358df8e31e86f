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

/// Where the elements of one evaluation are, row-major; those of the value may
/// be columns of the key.
struct BenchData {
  const char *query, *key, *value, *output;
};

/// The coordinates of each batch and row letter that are checked: all, or for
/// a large problem some of them; all keys always.
using Sample = std::map<char, std::vector<int64_t>>;
Sample sampleRows(const BenchProblem &problem);

/// Offset in the output, in elements, of the first sampled element.
int64_t firstSampled(const BenchProblem &problem, const Sample &sample);

/// Compares the sampled rows of the output with the reference.
llvm::Expected<reference::Report> checkRows(const BenchProblem &problem,
                                            const Sample &sample,
                                            const BenchData &data, bool fused);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_BENCHCHECK_H
