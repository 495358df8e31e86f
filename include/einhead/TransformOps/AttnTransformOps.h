//===- AttnTransformOps.h - Attention in transform scripts ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMOPS_ATTNTRANSFORMOPS_H
#define EINHEAD_TRANSFORMOPS_ATTNTRANSFORMOPS_H

#include "einhead/IR/Attn.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Transform/IR/TransformDialect.h"
#include "mlir/Dialect/Transform/IR/TransformTypes.h"
#include "mlir/Dialect/Transform/Interfaces/TransformInterfaces.h"

#define GET_OP_CLASSES
#include "einhead/TransformOps/AttnTransformOps.h.inc"

namespace einhead {

/// Adds the ops to the transform dialect.
void registerTransformDialectExtension(mlir::DialectRegistry &registry);

} // namespace einhead

#endif // EINHEAD_TRANSFORMOPS_ATTNTRANSFORMOPS_H
