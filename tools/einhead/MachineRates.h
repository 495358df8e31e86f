//===- MachineRates.h - How fast this machine reads and multiplies -*- C++ -*-//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_MACHINERATES_H
#define EINHEAD_TOOLS_MACHINERATES_H

#include "einhead/Target/TargetInfo.h"
#include <optional>

namespace einhead::tool {

/// Something that was measured on one thread and on all.
struct MachineRate {
  std::string name;
  /// GB/s or GFLOP/s; 0 where the machine has none of it or `missing` says
  /// what stood in the way.  `all` alone is 0 where the threads' parts of a
  /// cache would fit the one below.
  double one = 0, all = 0;
  std::string missing;
  /// Of products, in operations a cycle of one core: measured (0 where the
  /// clock is not known), and what TargetInfo says.
  double perCycle = 0, assumed = 0;
};

struct MachineRates {
  std::string cpu;
  int threads = 1;
  double gigahertz = 0;
  std::vector<MachineRate> reads;
  /// fma, dot, tiles, in this order.
  std::vector<MachineRate> products;
  /// Of a parallel loop whose tasks do next to nothing, on all threads.
  double forkMicroseconds = 0;
};

/// Measures the machine in a few seconds.  `assumed` are the numbers that it is
/// held against.
llvm::Expected<MachineRates> measureMachine(const TargetInfo &target,
                                            const TargetInfo &assumed);

/// Pairs of products whose order differs from the assumed one, in words.
/// Less than a twentieth apart is no order.
std::vector<std::string> orderDifferences(const MachineRates &rates);

/// "dot > fma"
std::string productOrder(const MachineRates &rates, bool assumed);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_MACHINERATES_H
