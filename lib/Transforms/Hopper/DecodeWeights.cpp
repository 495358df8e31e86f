//===- DecodeWeights.cpp - From scores to weights ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DecodeEmitter.h"

using namespace mlir;
using namespace einhead::hopper;

/// Scores relative to what the weights of their row refer to, which is raised
/// where one exceeds it by too much.
Related DecodeEmitter::relate(ArrayRef<Value> raw, const Scales &scales,
                              Carried &carried) {
  Values rowReferences = rowValues(references);
  Values scaled = relative(raw, rowReferences);
  Value unit, exceeds = orOf(carried.unseen, exceedsSlack(scaled));
  if (shape.valueScaled) {
    unit = loadShared(b.getF32Type(), unitOf(group));
    exceeds = orOf(exceeds, exceedsUnit(scales, unit));
  }
  Value grows = barrierAny(groupBarrier, 128, exceeds);
  Values state = ifElse(
      grows,
      [&] {
        auto [result, raised] = raiseMaxima(scaled, rowReferences, carried);
        if (shape.valueScaled) {
          Value lower = lowerUnit(scales, unit);
          changeUnit(raised.outputs, unit, lower);
          result.push_back(lower);
        }
        llvm::append_range(result, raised.pack());
        return result;
      },
      [&] {
        Values same = scaled;
        if (shape.valueScaled)
          same.push_back(unit);
        llvm::append_range(same, carried.pack());
        return same;
      });
  size_t count = raw.size();
  if (shape.valueScaled)
    unit = state[count++];
  carried = Carried::unpack(ValueRange(state).drop_front(count), shape);
  state.truncate(raw.size());
  return {state, unit, grows};
}

/// The weights, with the scales of their values.  The sums are of those without
/// scales, and of what is multiplied where there are none.
Values DecodeEmitter::weigh(const Related &related, const Scales &scales,
                            Carried &carried) {
  Values weights = related.scores;
  for (Value &weight : weights)
    weight = exp2(weight);
  for (size_t i = 0; i < weights.size(); i += 2) {
    std::pair both(weights[i], weights[i + 1]);
    if (!shape.valueScaled)
      both = rounded(weights[i], weights[i + 1]);
    for (auto [row, weight] : {std::pair(rowIndex(i), both.first),
                               std::pair(rowIndex(i + 1), both.second)})
      carried.sums[row] = addF(carried.sums[row], weight);
  }
  scaleWeights(weights, scales, related.unit);
  return weights;
}
