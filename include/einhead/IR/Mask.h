//===- Mask.h - Masks as tests of indices -----------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_MASK_H
#define EINHEAD_IR_MASK_H

#include "einhead/IR/Attn.h"
#include "mlir/IR/IntegerSet.h"

namespace einhead::attn {

/// i1: whether the point `dims` (by the mask's letters) lies in one of the
/// sets.
mlir::Value buildMaskTest(mlir::OpBuilder &builder, mlir::Location loc,
                          MaskAttr mask, mlir::ValueRange dims,
                          mlir::ValueRange symbols);

/// Whether the set holds at a point, all of its symbols being `symbol`.
bool contains(mlir::IntegerSet set, llvm::ArrayRef<int64_t> point,
              int64_t symbol);

} // namespace einhead::attn

#endif // EINHEAD_IR_MASK_H
