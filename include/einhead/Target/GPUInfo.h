//===- GPUInfo.h - The numbers of a GPU -------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TARGET_GPUINFO_H
#define EINHEAD_TARGET_GPUINFO_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>

namespace einhead {

/// What is known of a kind of GPU without one; how many multiprocessors one
/// has, code asks when it runs.
struct GPUInfo {
  /// The name that LLVM and ptxas know ("sm_90a").
  std::string chip;
  /// 90 of "sm_90a".
  int architecture = 0;
  /// The version of PTX to write, 81 being 8.1, and the first that has the
  /// chip.
  int ptxVersion = 0, leastPTXVersion = 0;

  /// Bytes of shared memory that one block may have, and all blocks of a
  /// multiprocessor together.
  int64_t sharedBytesPerBlock = 0, sharedBytes = 0;
  /// Of a multiprocessor, 32 bits each; of a thread at most.
  int64_t registers = 65536, registersPerThread = 255;
  int64_t threadsPerBlock = 1024, threads = 2048, warpThreads = 32;

  /// Whether the chip has the instructions of one generation alone ("a") or of
  /// one family ("f"): code for it then runs on no other.
  bool isSpecific() const;

  /// The GPU of `chip`, from sm_80 on.  The error lists the known names.
  static llvm::Expected<GPUInfo> get(llvm::StringRef chip);
};

} // namespace einhead

#endif // EINHEAD_TARGET_GPUINFO_H
