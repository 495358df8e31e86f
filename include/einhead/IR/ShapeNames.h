//===- ShapeNames.h - Named dimensions of function arguments ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_SHAPENAMES_H
#define EINHEAD_IR_SHAPENAMES_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SmallVector.h"
#include <string>

namespace einhead::attn {

/// One entry of `attn.shape`: a name plus a number; the name may be empty.
struct ShapeName {
  std::string name;
  int64_t offset = 0;

  std::string str() const {
    if (name.empty())
      return std::to_string(offset);
    return offset ? name + "+" + std::to_string(offset) : name;
  }
};

/// Parses "b, 8, m+1, k".
mlir::FailureOr<llvm::SmallVector<ShapeName>>
parseShapeNames(llvm::StringRef text);

} // namespace einhead::attn

#endif // EINHEAD_IR_SHAPENAMES_H
