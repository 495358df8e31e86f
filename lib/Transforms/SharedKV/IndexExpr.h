//===- IndexExpr.h - Index expressions within known extents -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_SHAREDKV_INDEXEXPR_H
#define EINHEAD_TRANSFORMS_SHAREDKV_INDEXEXPR_H

#include "mlir/IR/AffineExpr.h"
#include "mlir/Support/LLVM.h"

namespace einhead::shared_kv {

/// The expression where dimension i lies in [0, extents[i]) (unbounded where
/// dynamic): (4 * g + r) floordiv 4 is g where r is below 4.
mlir::AffineExpr simplify(mlir::AffineExpr expr,
                          llvm::ArrayRef<int64_t> extents);

/// expr = first + second, where the second is a number.
std::pair<mlir::AffineExpr, int64_t> splitConstant(mlir::AffineExpr expr);

} // namespace einhead::shared_kv

#endif // EINHEAD_TRANSFORMS_SHAREDKV_INDEXEXPR_H
