//===- Container.h - Module files -------------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TARGET_CONTAINER_H
#define EINHEAD_TARGET_CONTAINER_H

#include "einhead/Target/DeviceCode.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace einhead {

/// A module file of a manifest, code for the CPU and, for each further entry of
/// the manifest's "variants", code; and the images of its "device"
/// (docs/Module.md).
std::string writeContainer(llvm::StringRef manifest, llvm::StringRef code,
                           llvm::ArrayRef<std::string> variants = {},
                           llvm::ArrayRef<DeviceImage> images = {});

} // namespace einhead

#endif // EINHEAD_TARGET_CONTAINER_H
