//===- BenchDevice.h - One attention, measured on a GPU ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_BENCHDEVICE_H
#define EINHEAD_TOOLS_BENCHDEVICE_H

#include "BenchProblem.h"
#include "Measure.h"

namespace einhead::tool {

/// What a GPU took, beside a stream there that only reads.
struct DeviceMeasurement {
  bench::Result result;
  std::string gpu;
  double readTerabytes = 0; ///< a second, of that stream

  double floorMicroseconds() const {
    return static_cast<double>(result.bytes) / readTerabytes / 1e6;
  }
  double terabytes() const {
    return static_cast<double>(result.bytes) / result.microseconds / 1e6;
  }
};

/// Checks a module for CUDA that computes this attention, then times it
/// (benchmarks/gpu).
llvm::Expected<DeviceMeasurement> measureOnDevice(const BenchProblem &problem,
                                                  llvm::StringRef mask,
                                                  llvm::StringRef moduleBytes,
                                                  bool spoil);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_BENCHDEVICE_H
