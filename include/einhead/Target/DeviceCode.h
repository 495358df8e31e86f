//===- DeviceCode.h - Kernels to PTX and machine code -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TARGET_DEVICECODE_H
#define EINHEAD_TARGET_DEVICECODE_H

#include "einhead/Target/GPUInfo.h"
#include <optional>
#include <vector>

namespace llvm {
class Module;
} // namespace llvm

namespace einhead {

/// A kernel with this attribute keeps its instructions where they stand: its
/// registers are counted, and what LLVM moves out of loops would need more.
inline constexpr llvm::StringLiteral asWrittenAttribute = "einhead-as-written";

/// One form of all kernels.
struct DeviceImage {
  std::string format; ///< "cubin" or "ptx"
  std::string chip, bytes;
};

/// What a module file holds for a device: images, the best first.
struct DeviceCode {
  std::string kind, chip;
  std::vector<DeviceImage> images;
  std::vector<std::string> kernels;
};

/// Optimizes kernels and writes them as PTX.  An error where one of them calls
/// a function that is not there: a GPU has no library.
llvm::Expected<std::string> emitPTX(llvm::Module &kernels, const GPUInfo &gpu,
                                    unsigned optLevel = 3);

/// The assembler of NVIDIA's toolkit.
struct Ptxas {
  std::string path;
  /// The newest PTX that it takes, 90 being 9.0.
  int ptxVersion = 0;

  /// On PATH, in the folder of CUDA_HOME or CUDA_PATH, or where the toolkit is
  /// installed by default; nothing where there is none that runs.
  static std::optional<Ptxas> find();
  /// Machine code for the chip.  The error has what ptxas says.
  llvm::Expected<std::string> assemble(llvm::StringRef ptx,
                                       const GPUInfo &gpu) const;
};

} // namespace einhead

#endif // EINHEAD_TARGET_DEVICECODE_H
