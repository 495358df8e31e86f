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

/// Sizes of the kernel of tensor cores that computes this attention, on tensors
/// or buffers: that of warpgroups where the chip has wgmma, that of warps
/// (WarpDecode.h) on others.  Nothing, and why, if there is none.
std::optional<hopper::DecodeShape>
planTensorCores(attn::AttentionOp op, const GPUInfo &gpu, std::string &why);

} // namespace einhead::tensorcores

#endif // EINHEAD_LIB_TRANSFORMS_TENSORCORES_WARPPLAN_H
