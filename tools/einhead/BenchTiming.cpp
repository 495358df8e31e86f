//===- BenchTiming.cpp - Calls beside plain reads ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BenchTiming.h"
#include <algorithm>

namespace einhead::tool {

llvm::Error timeCalls(llvm::ArrayRef<std::vector<ByteRange>> ranges,
                      llvm::function_ref<llvm::Error(int)> evaluate,
                      int threads, double seconds, Measurement &result) {
  constexpr size_t fewest = 24, most = 100000;
  size_t set = 0;
  ReadFloor floor(threads);
  floor.tune(ranges, seconds / 4);

  std::vector<double> samples;
  double start = now();
  while (samples.size() < fewest ||
         (now() - start < seconds && samples.size() < most)) {
    double begin = now();
    llvm::Error error = evaluate(static_cast<int>(set));
    samples.push_back(now() - begin);
    if (error)
      return error;
    set = (set + 1) % ranges.size();
    floor.sample(ranges[set]);
    set = (set + 1) % ranges.size();
  }
  result.sets = static_cast<int>(ranges.size());
  result.samples = static_cast<int64_t>(samples.size());
  result.medianMicroseconds = median(samples) * 1e6;
  result.leastMicroseconds =
      *std::min_element(samples.begin(), samples.end()) * 1e6;
  result.floorMicroseconds = floor.medianMicroseconds();
  result.leastFloorMicroseconds = floor.leastMicroseconds();
  result.floorVariant = floor.variant();
  return llvm::Error::success();
}

void Measurement::writeTimes(llvm::json::OStream &os) const {
  os.attribute("cpu", cpu);
  os.attribute("compile_ms", compileMilliseconds);
  os.attribute("median_us", medianMicroseconds);
  os.attribute("min_us", leastMicroseconds);
  os.attribute("floor_us", floorMicroseconds);
  os.attribute("floor_min_us", leastFloorMicroseconds);
  os.attribute("floor_variant", floorVariant);
  os.attribute("ratio", ratio());
  os.attribute("error_over_bound", worstRatio);
}

} // namespace einhead::tool
