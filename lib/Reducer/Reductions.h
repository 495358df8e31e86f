//===- Reductions.h - Single steps of reduction -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_REDUCER_REDUCTIONS_H
#define EINHEAD_LIB_REDUCER_REDUCTIONS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace einhead::reducer {

/// One way to make a function smaller: takes its n-th chance in `function`, a
/// copy that is thrown away where the result does not verify or is of no
/// interest.  False when there is no n-th chance.  Each takes something away
/// that none puts back: an op, a part of an op, an argument, some of an extent.
using Reduction = bool (*)(mlir::func::FuncOp function, unsigned n);

/// Replaces an op's result by an operand of the same type.
bool bypassOp(mlir::func::FuncOp function, unsigned n);
/// Replaces an op's result by a new argument: what came before it can go.
bool cutBeforeOp(mlir::func::FuncOp function, unsigned n);
/// Drops a bias, a mask, a number of valid keys, offsets, lists of keys, a
/// sink, a log-sum-exp without use, a score region or a step of it, a schedule,
/// `shared_kv`.
bool dropPart(mlir::func::FuncOp function, unsigned n);
/// Returns what a returned op is made of, in its stead.
bool returnOperand(mlir::func::FuncOp function, unsigned n);
/// Drops a result, but the last one.
bool dropResult(mlir::func::FuncOp function, unsigned n);
/// Drops an argument that has no use.
bool dropArgument(mlir::func::FuncOp function, unsigned n);
/// Drops an attribute of an argument or of a result.
bool dropAttribute(mlir::func::FuncOp function, unsigned n);
/// Makes an extent smaller, wherever it stands: to a half, to three quarters,
/// by one.  Lengths that are numbers stay within it.
bool shrinkExtent(mlir::func::FuncOp function, unsigned n);
/// Halves a number of valid keys or a position.
bool shrinkLength(mlir::func::FuncOp function, unsigned n);

/// Erases ops without uses and effects.
void eraseDeadOps(mlir::func::FuncOp function);

} // namespace einhead::reducer

#endif // EINHEAD_LIB_REDUCER_REDUCTIONS_H
