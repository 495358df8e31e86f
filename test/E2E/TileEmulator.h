//===- TileEmulator.h - Matrix tiles on a CPU without ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TEST_E2E_TILEEMULATOR_H
#define EINHEAD_TEST_E2E_TILEEMULATOR_H

#include <cstdint>

namespace einhead::test {

/// While it lives, the AMX instructions that compiled attention uses (tile
/// configuration, loads, stores, zeros, products of bf16) do what the manual
/// says where the CPU knows none of them: it traps, and the handler computes.
/// One at a time.
class TileEmulator {
public:
  TileEmulator();
  ~TileEmulator();
  TileEmulator(const TileEmulator &) = delete;

  /// How many products of tiles were computed, by any emulator.
  static uint64_t products();
};

} // namespace einhead::test

#endif // EINHEAD_TEST_E2E_TILEEMULATOR_H
