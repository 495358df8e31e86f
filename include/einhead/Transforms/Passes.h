//===- Passes.h - Einhead's passes ------------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_PASSES_H
#define EINHEAD_TRANSFORMS_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace einhead {

#define GEN_PASS_DECL
#include "einhead/Transforms/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "einhead/Transforms/Passes.h.inc"

} // namespace einhead

#endif // EINHEAD_TRANSFORMS_PASSES_H
