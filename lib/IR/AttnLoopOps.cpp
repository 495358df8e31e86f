//===- AttnLoopOps.cpp - Ops inside the loops of a tile ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/AttnLoopOps.h"

using namespace mlir;
using namespace einhead::attn;

#define GET_OP_CLASSES
#include "einhead/IR/AttnLoopOps.cpp.inc"

LogicalResult ReadAheadOp::verify() {
  auto type = cast<MemRefType>(getSource().getType());
  if (static_cast<int64_t>(getIndices().size()) != type.getRank())
    return emitOpError("(C19) has ") << getIndices().size() << " indices for "
                                     << type.getRank() << " dimensions";
  if (!type.isLastDimUnitStride())
    return emitOpError("(C19) takes contiguous rows, got ") << type;
  if (static_cast<int64_t>(getDimension()) >= type.getRank() - 1)
    return emitOpError("(C19) counts rows in dimension ")
           << getDimension() << "; of " << type.getRank()
           << " dimensions the last is that of the columns";
  return success();
}
