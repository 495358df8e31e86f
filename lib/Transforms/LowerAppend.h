//===- LowerAppend.h - attn.append as insertions ----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_LOWERAPPEND_H
#define EINHEAD_TRANSFORMS_LOWERAPPEND_H

#include "mlir/IR/PatternMatch.h"

namespace einhead {

/// attn.append becomes tensor.insert_slice.
void populateAppendLowering(mlir::RewritePatternSet &patterns);

} // namespace einhead

#endif // EINHEAD_TRANSFORMS_LOWERAPPEND_H
