//===- BenchTiming.h - Calls beside plain reads -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_BENCHTIMING_H
#define EINHEAD_TOOLS_BENCHTIMING_H

#include "ReadFloor.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

namespace einhead::tool {

/// What one run of `einhead bench` finds out.
struct Measurement {
  double compileMilliseconds = 0, medianMicroseconds = 0, leastMicroseconds = 0;
  double floorMicroseconds = 0, leastFloorMicroseconds = 0;
  std::string floorVariant;
  double worstRatio = 0; ///< largest error / bound
  int sets = 0;
  int64_t samples = 0;
  std::string cpu;

  /// All but the buffers and samples, as attributes of an object.
  void writeTimes(llvm::json::OStream &os) const;
  double ratio() const { return medianMicroseconds / floorMicroseconds; }
};

/// Evaluates one set of buffers after the other, and reads the next one's
/// `ranges` plainly in between, so that both meet the same machine.
llvm::Error timeCalls(llvm::ArrayRef<std::vector<ByteRange>> ranges,
                      llvm::function_ref<llvm::Error(int)> evaluate,
                      int threads, double seconds, Measurement &result);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_BENCHTIMING_H
