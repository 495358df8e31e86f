//===- WarpPlan.h - Which attention mma.sync computes -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_TENSORCORES_WARPPLAN_H
#define EINHEAD_LIB_TRANSFORMS_TENSORCORES_WARPPLAN_H

#include "../Hopper/DecodePlan.h"
#include "einhead/Target/GPUInfo.h"

namespace einhead::tensorcores {

/// Why the kernel of warps (WarpDecode.h) does not take this attention, on
/// tensors or buffers; "" if it does.
std::string whyNotWarpKernel(attn::AttentionOp op, const GPUInfo &gpu);

/// Sizes for an attention that it takes.
hopper::DecodeShape planWarpKernel(attn::AttentionOp op, const GPUInfo &gpu);

} // namespace einhead::tensorcores

#endif // EINHEAD_LIB_TRANSFORMS_TENSORCORES_WARPPLAN_H
