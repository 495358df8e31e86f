//===- Polyhedra.cpp - Affine sets and what lies outside of them ----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Polyhedra.h"
#include "mlir/Analysis/FlatLinearValueConstraints.h"

using namespace mlir;
using namespace mlir::presburger;
using namespace einhead::attn;

std::optional<AffineSet> AffineSet::get(IntegerSet set) {
  for (AffineExpr constraint : set.getConstraints())
    if (!constraint.isPureAffine())
      return std::nullopt;
  AffineSet result;
  result.dims = set.getNumDims();
  result.symbols = set.getNumSymbols();
  FlatLinearConstraints flat;
  if (failed(getFlattenedAffineExprs(set, &result.constraints, &flat)))
    return std::nullopt;
  result.locals = flat.getNumLocalVars();
  for (unsigned i = 0; i < flat.getNumInequalities(); ++i)
    result.definitions.push_back(flat.getInequality64(i));
  for (unsigned i = 0; i < set.getNumConstraints(); ++i)
    result.isEqual.push_back(set.isEq(i));
  return result;
}

IntegerPolyhedron AffineSet::divisions() const {
  IntegerPolyhedron result(PresburgerSpace::getSetSpace(dims, symbols, locals));
  for (ArrayRef<int64_t> row : definitions)
    result.addInequality(row);
  return result;
}

static void addConstraint(IntegerPolyhedron &to, ArrayRef<int64_t> row,
                          bool isEqual) {
  if (isEqual)
    to.addEquality(row);
  else
    to.addInequality(row);
}

IntegerPolyhedron AffineSet::polyhedron() const {
  IntegerPolyhedron result = divisions();
  for (auto [row, equal] : llvm::zip(constraints, isEqual))
    addConstraint(result, row, equal);
  return result;
}

/// -row - 1 (what row >= 0 is not), or row - 1 (above an equality).
static SmallVector<int64_t> beyond(ArrayRef<int64_t> row, bool above) {
  SmallVector<int64_t> result;
  for (int64_t value : row)
    result.push_back(above ? value : -value);
  result.back() -= 1;
  return result;
}

Polyhedra AffineSet::outside(bool disjoint) const {
  Polyhedra result;
  IntegerPolyhedron inside = divisions();
  for (auto [row, equal] : llvm::zip(constraints, isEqual)) {
    for (bool above : {false, true}) {
      if (above && !equal)
        continue;
      IntegerPolyhedron part = inside;
      part.addInequality(beyond(row, above));
      if (!part.isIntegerEmpty())
        result.push_back(part);
    }
    if (disjoint)
      addConstraint(inside, row, equal);
  }
  return result;
}

Polyhedra einhead::attn::intersectAll(const Polyhedra &a, const Polyhedra &b) {
  Polyhedra result;
  for (const IntegerPolyhedron &x : a)
    for (const IntegerPolyhedron &y : b) {
      IntegerPolyhedron both = x.intersect(y);
      if (!both.isIntegerEmpty())
        result.push_back(both);
    }
  return result;
}
