//===- Float32Attention.cpp - Attention in f32, to judge the judge --------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Float32Attention.h"

#include <algorithm>
#include <cmath>

using namespace einhead;
using namespace einhead::test;

Float32Attention::Float32Attention(const reference::Tensor &query,
                                   const reference::Tensor &key,
                                   const reference::Tensor &value, Bug bug)
    : rows(query.shape[0]), keys(key.shape[0]), depth(key.shape[1]),
      values(value.shape[1]), query(reference::toFloats(query)),
      key(reference::toFloats(key)), value(reference::toFloats(value)),
      bug(bug) {}

float Float32Attention::scale() const {
  int64_t padded = (depth + 8) / 8 * 8;
  return 1 / std::sqrt(static_cast<float>(
                 bug == Bug::ScaleOfPaddedDepth ? padded : depth));
}

float Float32Attention::dot(int64_t row, int64_t k) const {
  if (k >= keys) // a zero lane of padding
    return 0;
  int64_t count = depth - (bug == Bug::LastDepthDropped ? 1 : 0);
  float sum = 0;
  for (int64_t i = 0; i < count; ++i)
    sum += query[row * depth + i] * key[k * depth + i];
  return sum;
}

float Float32Attention::valueAt(int64_t k, int64_t v) const {
  if (k >= keys)
    return 0;
  if (bug == Bug::StaleValueRow && k == keys - 1) // what was there before
    return 0.5f * value[v] + 0.25f;
  return value[k * values + v];
}

float Float32Attention::keep(float sum) const {
  if (bug != Bug::HalfAccumulator)
    return sum;
  return static_cast<float>(reference::roundTo(sum, reference::Type::F16));
}

int64_t Float32Attention::visitedKeys() const {
  if (bug == Bug::LastKeyDropped)
    return keys - 1;
  return keys + (bug == Bug::PaddingLaneUnmasked ? 1 : 0);
}

std::vector<float> Float32Attention::online(bool joinBlocks) {
  const float log2e = 1.44269504f;
  const int64_t block = 64, visited = visitedKeys();
  std::vector<float> result(rows * values), scores(block);
  for (int64_t row = 0; row < rows; ++row) {
    float largest = -INFINITY, sum = 0;
    std::vector<float> total(values, 0), part(values, 0);
    for (int64_t begin = 0; begin < visited; begin += block) {
      int64_t count = std::min(block, visited - begin);
      float next = largest;
      for (int64_t j = 0; j < count; ++j) {
        scores[j] = dot(row, begin + j) * (scale() * log2e);
        next = std::max(next, scores[j]);
      }
      float factor = std::exp2(largest - next);
      rescaled |= begin > 0 && factor < 0.9f;
      if (bug == Bug::MissingRescale && begin > 0)
        factor = 1;
      largest = next;
      sum *= factor;
      for (float &x : total)
        x = keep(x * factor);
      std::vector<float> &target = joinBlocks ? part : total;
      std::fill(part.begin(), part.end(), 0.0f);
      float partSum = 0;
      float &targetSum = joinBlocks ? partSum : sum;
      for (int64_t j = 0; j < count; ++j) {
        float weight = std::exp2(scores[j] - largest);
        targetSum += weight;
        for (int64_t v = 0; v < values; ++v)
          target[v] = keep(target[v] + weight * valueAt(begin + j, v));
      }
      if (!joinBlocks)
        continue;
      sum += partSum;
      for (int64_t v = 0; v < values; ++v)
        total[v] = keep(total[v] + part[v]);
    }
    for (int64_t v = 0; v < values; ++v)
      result[row * values + v] = sum == 0 ? 0 : total[v] / sum;
  }
  return result;
}

std::vector<float> Float32Attention::blocked() { return online(true); }

std::vector<float> Float32Attention::chained() { return online(false); }

std::vector<float> Float32Attention::plain() {
  const int64_t visited = visitedKeys();
  std::vector<float> result(rows * values), weights(visited);
  for (int64_t row = 0; row < rows; ++row) {
    float largest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < visited; ++j) {
      weights[j] = dot(row, j) * scale();
      largest = std::max(largest, weights[j]);
    }
    for (float &weight : weights) {
      weight = std::exp(weight - largest);
      sum += weight;
    }
    for (int64_t v = 0; v < values; ++v) {
      float total = 0;
      for (int64_t j = 0; j < visited; ++j)
        total = keep(total + weights[j] / sum * valueAt(j, v));
      result[row * values + v] = total;
    }
  }
  return result;
}
