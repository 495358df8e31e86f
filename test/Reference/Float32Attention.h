//===- Float32Attention.h - Attention in f32, to judge the judge ----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TEST_FLOAT32ATTENTION_H
#define EINHEAD_TEST_FLOAT32ATTENTION_H

#include "Reference.h"

#include <vector>

namespace einhead::test {

/// A mistake that kernels make.
enum class Bug {
  None,
  LastKeyDropped,
  LastDepthDropped,
  ScaleOfPaddedDepth,
  StaleValueRow,
  PaddingLaneUnmasked,
  MissingRescale,
  HalfAccumulator,
};

/// "hk, mk, mv -> hv" with scale 1/sqrt(depth), in single precision.
struct Float32Attention {
  int64_t rows, keys, depth, values;
  std::vector<float> query, key, value;
  Bug bug = Bug::None;
  /// Whether the running maximum rose enough for a missing rescale to show.
  bool rescaled = false;

  Float32Attention(const reference::Tensor &query, const reference::Tensor &key,
                   const reference::Tensor &value, Bug bug = Bug::None);

  static constexpr const char *spec = "hk, mk, mv -> hv";
  float scale() const;
  /// Online softmax over blocks of 64 keys, in powers of two; a block is summed
  /// by itself and then joined.
  std::vector<float> blocked();
  /// Same, but each key is added to the running sums (one chain of them).
  std::vector<float> chained();
  /// Scores, softmax and weighted sum, each stored as f32, each sum one chain.
  std::vector<float> plain();

private:
  float dot(int64_t row, int64_t key) const;
  float valueAt(int64_t key, int64_t v) const;
  float keep(float sum) const; // as the accumulator holds it
  int64_t visitedKeys() const;
  std::vector<float> online(bool joinBlocks);
};

} // namespace einhead::test

#endif // EINHEAD_TEST_FLOAT32ATTENTION_H
