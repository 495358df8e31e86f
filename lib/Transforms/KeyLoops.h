//===- KeyLoops.h - Loops over the keys of one tile -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_KEYLOOPS_H
#define EINHEAD_LIB_TRANSFORMS_KEYLOOPS_H

#include "einhead/IR/Attn.h"
#include "mlir/IR/PatternMatch.h"

namespace einhead {

/// Replaces a partial attention on one chunk by loops over tiles of `key_tile`
/// keys.  Tiles that the mask holds everywhere carry no mask; tiles where it
/// holds nowhere are not visited.
mlir::LogicalResult tileKeys(mlir::RewriterBase &rewriter,
                             attn::PartialAttentionOp op);

} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_KEYLOOPS_H
