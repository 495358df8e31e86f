//===- Polyhedra.h - What the users of Presburger sets share ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_IR_POLYHEDRA_H
#define EINHEAD_LIB_IR_POLYHEDRA_H

#include "mlir/Analysis/Presburger/IntegerRelation.h"

namespace einhead::attn {

/// Adds the constraints of `from`, which has the same columns.
inline void copyConstraints(const mlir::presburger::IntegerRelation &from,
                            mlir::presburger::IntegerRelation &to) {
  for (unsigned i = 0; i < from.getNumEqualities(); ++i)
    to.addEquality(from.getEquality(i));
  for (unsigned i = 0; i < from.getNumInequalities(); ++i)
    to.addInequality(from.getInequality(i));
}

} // namespace einhead::attn

#endif // EINHEAD_LIB_IR_POLYHEDRA_H
