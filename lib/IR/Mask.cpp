//===- Mask.cpp - Masks as tests of indices ---------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/Mask.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/IR/IntegerSet.h"

using namespace mlir;
using namespace einhead::attn;

/// i1: whether all constraints of `set` hold.
static Value buildSetTest(OpBuilder &builder, Location loc, IntegerSet set,
                          ValueRange dims, ValueRange symbols) {
  Value all;
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  for (unsigned i = 0; i < set.getNumConstraints(); ++i) {
    Value value = affine::expandAffineExpr(builder, loc, set.getConstraint(i),
                                           dims, symbols);
    auto predicate =
        set.isEq(i) ? arith::CmpIPredicate::eq : arith::CmpIPredicate::sge;
    Value holds = arith::CmpIOp::create(builder, loc, predicate, value, zero);
    all = all ? Value(arith::AndIOp::create(builder, loc, all, holds)) : holds;
  }
  if (!all)
    all = arith::ConstantIntOp::create(builder, loc, 1, 1);
  return all;
}

Value einhead::attn::buildMaskTest(OpBuilder &builder, Location loc,
                                   MaskAttr mask, ValueRange dims,
                                   ValueRange symbols) {
  Value any;
  for (IntegerSetAttr set : mask.getSets()) {
    Value inside = buildSetTest(builder, loc, set.getValue(), dims, symbols);
    any = any ? Value(arith::OrIOp::create(builder, loc, any, inside)) : inside;
  }
  return any;
}

/// The numbers as expressions.
static SmallVector<AffineExpr> constants(ArrayRef<int64_t> numbers,
                                         MLIRContext *context) {
  SmallVector<AffineExpr> exprs;
  for (int64_t number : numbers)
    exprs.push_back(getAffineConstantExpr(number, context));
  return exprs;
}

bool einhead::attn::contains(MaskAttr mask, ArrayRef<int64_t> point,
                             ArrayRef<int64_t> symbols) {
  SmallVector<AffineExpr> at = constants(point, mask.getContext()),
                          with = constants(symbols, mask.getContext());
  return llvm::any_of(mask.getSets(), [&](IntegerSetAttr attr) {
    IntegerSet set = attr.getValue();
    for (unsigned i = 0; i < set.getNumConstraints(); ++i) {
      auto number = dyn_cast<AffineConstantExpr>(
          set.getConstraint(i).replaceDimsAndSymbols(at, with));
      int64_t value = number ? number.getValue() : -1;
      if (set.isEq(i) ? value != 0 : value < 0)
        return false;
    }
    return true;
  });
}
