//===- Polyhedra.h - Affine sets and what lies outside of them --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_IR_POLYHEDRA_H
#define EINHEAD_LIB_IR_POLYHEDRA_H

#include "mlir/Analysis/Presburger/IntegerRelation.h"
#include "mlir/IR/IntegerSet.h"

namespace einhead::attn {

/// Adds the constraints of `from`, which has the same columns.
inline void copyConstraints(const mlir::presburger::IntegerRelation &from,
                            mlir::presburger::IntegerRelation &to) {
  for (unsigned i = 0; i < from.getNumEqualities(); ++i)
    to.addEquality(from.getEquality(i));
  for (unsigned i = 0; i < from.getNumInequalities(); ++i)
    to.addInequality(from.getInequality(i));
}

using Polyhedra = llvm::SmallVector<mlir::presburger::IntegerPolyhedron, 4>;

/// An affine set with the definitions of its floor divisions apart from its
/// constraints.  Presburger's own complement looks for them among all
/// constraints, and takes 28 <= m - 32 q <= 31 for the definition of q.
class AffineSet {
public:
  /// Nothing if a constraint is not affine.
  static std::optional<AffineSet> get(mlir::IntegerSet set);

  mlir::presburger::IntegerPolyhedron polyhedron() const;
  /// Polyhedra that together are all that the set is not: for each constraint
  /// where it does not hold; disjoint, those before it hold as well.
  Polyhedra outside(bool disjoint) const;

private:
  mlir::presburger::IntegerPolyhedron divisions() const;

  unsigned dims = 0, symbols = 0, locals = 0;
  std::vector<llvm::SmallVector<int64_t, 8>> definitions; ///< >= 0
  std::vector<llvm::SmallVector<int64_t, 8>> constraints;
  llvm::SmallVector<bool> isEqual;
};

/// The intersections of one of `a` and one of `b` that are not empty.
Polyhedra intersectAll(const Polyhedra &a, const Polyhedra &b);

} // namespace einhead::attn

#endif // EINHEAD_LIB_IR_POLYHEDRA_H
