//===- Features.h - What the CPU of this machine can do ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CPU_FEATURES_H
#define EINHEAD_RUNTIME_CPU_FEATURES_H

#include "core/Manifest.h"

namespace einhead::runtime {

/// Checks that code for `target` can run here: architecture, system, and each
/// of LLVM's feature names.  Asks the kernel for the tile registers where the
/// code uses them.
einhead_status_t checkTarget(const Target &target);

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CPU_FEATURES_H
