//===- Check.h - Sampled rows against arithmetic in fp64 --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_BENCHMARKS_GPU_CHECK_H
#define EINHEAD_BENCHMARKS_GPU_CHECK_H

#include "Data.h"
#include "Reference.h"

#include <cstdint>
#include <vector>

namespace einhead::bench {

/// What the sampled rows of an output are, with their bounds
/// (docs/Numerics.md).
class RowCheck {
public:
  RowCheck(Gpu &gpu, const Problem &problem, const InputSet &set,
           double products);

  /// The worst row of an output.
  reference::Report compare(const std::vector<char> &output) const;
  size_t rows() const { return expected.size(); }
  /// An element of the output that is compared.
  int64_t first() const { return offsets.front().front(); }

private:
  std::vector<reference::Tensor> expected;
  std::vector<std::vector<int64_t>> offsets; // of each row's elements
  const Problem &problem;
};

} // namespace einhead::bench

#endif // EINHEAD_BENCHMARKS_GPU_CHECK_H
