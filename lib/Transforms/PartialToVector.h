//===- PartialToVector.h - Register tiles of a partial attention ----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_PARTIALTOVECTOR_H
#define EINHEAD_LIB_TRANSFORMS_PARTIALTOVECTOR_H

#include "einhead/IR/Attn.h"

namespace einhead {

/// Replaces a partial attention on buffers by loops over register tiles.
mlir::LogicalResult lowerPartialAttention(mlir::RewriterBase &rewriter,
                                          attn::PartialAttentionOp op);

/// Replaces a merge on buffers by loops over vectors of columns.
mlir::LogicalResult lowerMerge(mlir::RewriterBase &rewriter, attn::MergeOp op);

/// The block in which scratch of `op` may be allocated on the stack: the body
/// of the parallel loop around it, or the function.
mlir::Block *scratchBlock(mlir::Operation *op);

} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_PARTIALTOVECTOR_H
