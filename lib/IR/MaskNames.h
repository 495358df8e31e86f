//===- MaskNames.h - Masks that have a name ---------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_IR_MASKNAMES_H
#define EINHEAD_LIB_IR_MASKNAMES_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/OpImplementation.h"

namespace einhead::attn {

/// Parses the arguments of the mask `name` over `letters` and appends the sets
/// that it stands for (the table of #attn.mask).
mlir::ParseResult
parseNamedMask(mlir::AsmParser &parser, llvm::StringRef name,
               llvm::StringRef letters,
               llvm::SmallVectorImpl<mlir::IntegerSetAttr> &sets);

} // namespace einhead::attn

#endif // EINHEAD_LIB_IR_MASKNAMES_H
