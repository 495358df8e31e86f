//===- BufferRoots.h - Which memory a buffer is -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_BUFFERROOTS_H
#define EINHEAD_LIB_TRANSFORMS_BUFFERROOTS_H

#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace einhead {

/// The argument or allocation whose memory `buffer` is a view of; null where
/// that cannot be followed.  Different roots never overlap: a call's tensors do
/// not (runtime.h), and an allocation is new.
mlir::Value bufferRoot(mlir::Value buffer);

/// Whether `load` reads the same a while later, right before `later`, which
/// `load` dominates: nothing in the function writes its memory in between.
bool isMovable(mlir::memref::LoadOp load, mlir::Operation *later);

} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_BUFFERROOTS_H
