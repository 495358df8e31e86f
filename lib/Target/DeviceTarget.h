//===- DeviceTarget.h - LLVM's target for GPUs ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TARGET_DEVICETARGET_H
#define EINHEAD_LIB_TARGET_DEVICETARGET_H

#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/Error.h"
#include "llvm/TargetParser/Triple.h"

namespace einhead {

inline llvm::Triple deviceTriple() {
  return llvm::Triple("nvptx64-nvidia-cuda");
}

/// NVPTX; an error where LLVM was built without it.
llvm::Expected<const llvm::Target *> findDeviceTarget();

} // namespace einhead

#endif // EINHEAD_LIB_TARGET_DEVICETARGET_H
