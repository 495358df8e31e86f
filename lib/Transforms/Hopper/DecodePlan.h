//===- DecodePlan.h - Which attention one Hopper kernel computes *- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_HOPPER_DECODEPLAN_H
#define EINHEAD_LIB_TRANSFORMS_HOPPER_DECODEPLAN_H

#include "DecodeKernel.h"
#include "einhead/IR/Attn.h"

namespace einhead::hopper {

/// Why the kernel does not take this attention, on tensors or buffers; "" if it
/// does.
std::string whyNotDecodeKernel(attn::AttentionOp op);

/// What it computes, without sizes.
DecodeShape shapeOf(attn::AttentionOp op, const attn::AttentionRoles &roles);

/// Sizes for an attention that it takes.
DecodeShape planDecodeKernel(attn::AttentionOp op);

} // namespace einhead::hopper

#endif // EINHEAD_LIB_TRANSFORMS_HOPPER_DECODEPLAN_H
