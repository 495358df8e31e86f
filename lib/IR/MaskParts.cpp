//===- MaskParts.cpp - A mask as disjoint masks -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Polyhedra.h"
#include "einhead/IR/KeySet.h"
#include "mlir/Analysis/FlatLinearValueConstraints.h"
#include "mlir/IR/IntegerSet.h"

using namespace mlir;
using namespace mlir::presburger;
using namespace einhead::attn;

/// The sets that are `parts`; nothing if one cannot be written.
static std::optional<SmallVector<IntegerSet>> setsOf(const Polyhedra &parts,
                                                     MLIRContext *context) {
  SmallVector<IntegerSet> sets;
  for (IntegerPolyhedron part : parts) {
    part.removeRedundantConstraints();
    FlatLinearConstraints flat(part.getNumDimVars(), part.getNumSymbolVars(),
                               part.getNumLocalVars());
    copyConstraints(part, flat);
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
  Polyhedra before, outsideBefore;
  for (IntegerSetAttr attr : mask.getSets()) {
    std::optional<AffineSet> part = AffineSet::get(attr.getValue());
    if (!part)
      return {mask};
    SmallVector<IntegerSet> sets = {attr.getValue()};
    Polyhedra own = {part->polyhedron()};
    if (!intersectAll(before, own).empty()) {
      auto rest = setsOf(intersectAll(own, outsideBefore), context);
      if (!rest)
        return {mask};
      sets = *rest;
    }
    for (IntegerSet one : sets)
      result.push_back(
          MaskAttr::get(context, mask.getLetters(), IntegerSetAttr::get(one)));
    outsideBefore =
        before.empty()
            ? part->outside(/*disjoint=*/true)
            : intersectAll(outsideBefore, part->outside(/*disjoint=*/true));
    before.append(own);
  }
  return result;
}
