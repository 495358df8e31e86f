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

/// Whether one of the mask's sets holds at a point (by the mask's letters).
bool contains(MaskAttr mask, llvm::ArrayRef<int64_t> point,
              llvm::ArrayRef<int64_t> symbols);

} // namespace einhead::attn

#endif // EINHEAD_IR_MASK_H
