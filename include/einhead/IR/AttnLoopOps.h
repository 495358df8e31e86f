//===- AttnLoopOps.h - Ops inside the loops of a tile -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_ATTNLOOPOPS_H
#define EINHEAD_IR_ATTNLOOPOPS_H

#include "einhead/IR/Attn.h"

#define GET_OP_CLASSES
#include "einhead/IR/AttnLoopOps.h.inc"

#endif // EINHEAD_IR_ATTNLOOPOPS_H
