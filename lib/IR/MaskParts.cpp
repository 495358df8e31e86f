//===- MaskParts.cpp - A mask as disjoint masks -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Polyhedra.h"
#include "einhead/IR/KeySet.h"
#include "mlir/Analysis/FlatLinearValueConstraints.h"
#include "mlir/Analysis/Presburger/PresburgerRelation.h"
#include "mlir/IR/IntegerSet.h"

using namespace mlir;
using namespace mlir::presburger;
using namespace einhead::attn;

/// The sets of `part`, in the variables of the mask; nothing if one cannot be
/// written.
static std::optional<SmallVector<IntegerSet>> setsOf(const PresburgerSet &part,
                                                     MLIRContext *context) {
  SmallVector<IntegerSet> sets;
  for (const IntegerRelation &disjunct : part.getAllDisjuncts()) {
    if (disjunct.isIntegerEmpty())
      continue;
    IntegerRelation simple = disjunct;
    simple.removeRedundantConstraints();
    FlatLinearConstraints flat(simple.getNumDimVars(),
                               simple.getNumSymbolVars(),
                               simple.getNumLocalVars());
    copyConstraints(simple, flat);
    IntegerSet set = flat.getAsIntegerSet(context);
    if (!set)
      return std::nullopt;
    sets.push_back(set);
  }
  return sets;
}

SmallVector<MaskAttr> einhead::attn::disjointMasks(MaskAttr mask) {
  MLIRContext *context = mask.getContext();
  SmallVector<MaskAttr> result;
  std::optional<PresburgerSet> before;
  for (IntegerSetAttr attr : mask.getSets()) {
    IntegerSet set = attr.getValue();
    for (AffineExpr constraint : set.getConstraints())
      if (!constraint.isPureAffine())
        return {mask};
    FlatLinearValueConstraints flat(set);
    IntegerPolyhedron polyhedron(PresburgerSpace::getSetSpace(
        set.getNumDims(), set.getNumSymbols(), flat.getNumLocalVars()));
    copyConstraints(flat, polyhedron);
    PresburgerSet part(polyhedron);
    SmallVector<IntegerSet> sets = {set};
    if (before && !before->intersect(part).isIntegerEmpty()) {
      auto rest = setsOf(part.subtract(*before), context);
      if (!rest)
        return {mask};
      sets = *rest;
    }
    for (IntegerSet one : sets)
      result.push_back(
          MaskAttr::get(context, mask.getLetters(), IntegerSetAttr::get(one)));
    before = before ? before->unionSet(part) : part;
  }
  return result;
}
