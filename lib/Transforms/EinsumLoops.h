//===- EinsumLoops.h - An einsum as one linalg op ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_EINSUMLOOPS_H
#define EINHEAD_TRANSFORMS_EINSUMLOOPS_H

#include "einhead/IR/EinsumSpec.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace einhead {

/// What sums and products of an einsum with that element type are taken in.
mlir::Type sumType(mlir::OpBuilder &builder, mlir::Type result);

/// init + the sum of products of one or two inputs, a linalg.generic with the
/// loops `loops`, of which those that the output lacks are sums.
mlir::linalg::GenericOp
createSumOfProducts(mlir::OpBuilder &builder, mlir::Location loc,
                    const attn::EinsumSpec &spec, llvm::StringRef loops,
                    mlir::ValueRange inputs, mlir::Value init);

} // namespace einhead

#endif // EINHEAD_TRANSFORMS_EINSUMLOOPS_H
