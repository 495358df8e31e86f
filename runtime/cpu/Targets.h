//===- Targets.h - Which code a machine runs --------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CPU_TARGETS_H
#define EINHEAD_RUNTIME_CPU_TARGETS_H

#include "core/Manifest.h"
#include "cpu/Features.h"

namespace einhead::runtime {

/// The last of the manifest's targets that the machine can run: architecture,
/// system and each of LLVM's feature names.  0 is `target`, i + 1 is
/// variants[i].  The system is asked for tile registers only where nothing else
/// is missing; a refusal passes on to the next target.
einhead_status_t pickTarget(const Manifest &manifest, const Machine &machine,
                            size_t &outIndex);

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CPU_TARGETS_H
