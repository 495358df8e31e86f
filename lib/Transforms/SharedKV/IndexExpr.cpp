//===- IndexExpr.cpp - Index expressions within known extents ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "IndexExpr.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace {
/// coefficient * atom + ... + constant.
struct Sum {
  SmallVector<std::pair<AffineExpr, int64_t>> terms;
  int64_t constant = 0;

  void add(AffineExpr expr, int64_t factor) {
    if (auto number = dyn_cast<AffineConstantExpr>(expr)) {
      constant += factor * number.getValue();
      return;
    }
    auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
    if (binary && expr.getKind() == AffineExprKind::Add) {
      add(binary.getLHS(), factor);
      return add(binary.getRHS(), factor);
    }
    if (binary && expr.getKind() == AffineExprKind::Mul)
      if (auto by = dyn_cast<AffineConstantExpr>(binary.getRHS()))
        return add(binary.getLHS(), factor * by.getValue());
    for (auto &[atom, coefficient] : terms)
      if (atom == expr) {
        coefficient += factor;
        return;
      }
    terms.push_back({expr, factor});
  }

  AffineExpr expr(MLIRContext *context) const {
    AffineExpr result = getAffineConstantExpr(0, context);
    for (auto [atom, coefficient] : terms)
      result = result + atom * coefficient;
    return result + constant;
  }
};

/// The greatest value, where the least is at least 0.
using Bound = std::optional<int64_t>;
} // namespace

static Bound greatest(AffineExpr expr, ArrayRef<int64_t> extents) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    int64_t extent = extents[dim.getPosition()];
    return ShapedType::isDynamic(extent) ? Bound() : Bound(extent - 1);
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  auto by = binary ? dyn_cast<AffineConstantExpr>(binary.getRHS())
                   : AffineConstantExpr();
  if (!by || by.getValue() <= 0)
    return std::nullopt;
  if (expr.getKind() == AffineExprKind::Mod)
    return by.getValue() - 1;
  Bound inner = greatest(binary.getLHS(), extents);
  if (expr.getKind() == AffineExprKind::FloorDiv && inner)
    return *inner / by.getValue();
  return std::nullopt;
}

static Bound greatest(const Sum &sum, ArrayRef<int64_t> extents) {
  int64_t result = sum.constant;
  if (result < 0)
    return std::nullopt;
  for (auto [atom, coefficient] : sum.terms) {
    Bound bound = greatest(atom, extents);
    if (!bound || coefficient < 0)
      return std::nullopt;
    result += *bound * coefficient;
  }
  return result;
}

/// `sum` floordiv or mod `by`.
static AffineExpr divide(const Sum &sum, int64_t by, bool isMod,
                         ArrayRef<int64_t> extents, MLIRContext *context) {
  Sum quotient, rest;
  for (auto [atom, coefficient] : sum.terms) {
    int64_t kept = coefficient % by;
    if (coefficient != kept)
      quotient.terms.push_back({atom, (coefficient - kept) / by});
    if (kept)
      rest.terms.push_back({atom, kept});
  }
  quotient.constant = llvm::divideFloorSigned(sum.constant, by);
  rest.constant = sum.constant - quotient.constant * by;
  AffineExpr left = rest.expr(context);
  Bound bound = greatest(rest, extents);
  if (bound && *bound < by)
    return isMod ? left : quotient.expr(context);
  if (isMod)
    return left % by;
  auto inner = dyn_cast<AffineBinaryOpExpr>(left);
  auto before = inner ? dyn_cast<AffineConstantExpr>(inner.getRHS())
                      : AffineConstantExpr();
  if (before && left.getKind() == AffineExprKind::FloorDiv)
    return quotient.expr(context) +
           inner.getLHS().floorDiv(before.getValue() * by);
  return quotient.expr(context) + left.floorDiv(by);
}

AffineExpr einhead::shared_kv::simplify(AffineExpr expr,
                                        ArrayRef<int64_t> extents) {
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return expr;
  AffineExpr left = simplify(binary.getLHS(), extents);
  AffineExpr right = simplify(binary.getRHS(), extents);
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return left + right;
  case AffineExprKind::Mul:
    return left * right;
  default:
    break;
  }
  auto by = dyn_cast<AffineConstantExpr>(right);
  if (!by || by.getValue() <= 0 || expr.getKind() == AffineExprKind::CeilDiv)
    return getAffineBinaryOpExpr(expr.getKind(), left, right);
  Sum sum;
  sum.add(left, 1);
  return divide(sum, by.getValue(), expr.getKind() == AffineExprKind::Mod,
                extents, expr.getContext());
}

std::pair<AffineExpr, int64_t>
einhead::shared_kv::splitConstant(AffineExpr expr) {
  Sum sum;
  sum.add(expr, 1);
  int64_t constant = sum.constant;
  sum.constant = 0;
  return {sum.expr(expr.getContext()), constant};
}
