//===- TargetInfo.h - The numbers of a machine ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TARGET_TARGETINFO_H
#define EINHEAD_TARGET_TARGETINFO_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>
#include <vector>

namespace einhead {

/// The one place where machine numbers live.
struct TargetInfo {
  std::string triple;
  /// The name that LLVM knows ("znver4").
  std::string cpu;
  /// The features that code for it may use ("avx512f"), without '+'.
  std::vector<std::string> features;

  /// Bits of a vector register, and how many registers there are.
  int64_t vectorBits = 128;
  int64_t vectorRegisters = 16;
  /// Bytes of the first data cache of a core.
  int64_t l1Bytes = 32 << 10;
  /// How many bytes ahead of its use a stream of memory should be asked for.
  int64_t prefetchBytes = 16 << 10;
  /// Where memory is read in the order of its addresses, one request for so
  /// many bytes; the hardware's prefetchers bring the rest.
  int64_t followedBytes = 64;

  /// What a core multiplies in a cycle, in operations (an addition is one),
  /// measured: f32 FMAs, dot products of bf16 pairs, bf16 matrix tiles; 0 where
  /// it has none.  A feature flag does not say which is fastest: a dot product
  /// runs at twice the rate of the FMA on one CPU, at half of it on another.
  double fmaRate = 8, dotRate = 0, tileRate = 0;

  int64_t f32Lanes() const { return vectorBits / 32; }
  bool hasFeature(llvm::StringRef name) const;

  /// The target of `cpu`: "host", or a CPU name of x86-64 or AArch64, which
  /// need not be this machine's, and "+feature" for more than the name says.
  /// The error lists the known names.
  static llvm::Expected<TargetInfo> get(llvm::StringRef cpu);
  /// The targets of "x86-64-v3,znver4": one or several, no CPU twice.
  static llvm::Expected<std::vector<TargetInfo>> list(llvm::StringRef cpus);
};

} // namespace einhead

#endif // EINHEAD_TARGET_TARGETINFO_H
