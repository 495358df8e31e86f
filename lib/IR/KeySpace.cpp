//===- KeySpace.cpp - The variables of a tile's keys, projected -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Floor divisions that depend on the tile alone stay as they are; the others
// are projected out.

#include "KeySpace.h"
#include "mlir/IR/IntegerSet.h"

using namespace mlir;
using namespace mlir::presburger;
using namespace einhead::attn;

TileSpace::TileSpace(MaskAttr mask, char key, ArrayRef<int64_t> sizes)
    : context(mask.getContext()), mask(mask) {
  std::string letters = otherLetters(mask, key);
  symbols = letters.size();
  for (auto [i, size] : llvm::enumerate(sizes)) {
    if (size == 1)
      continue;
    TileRow row{static_cast<unsigned>(i), 0, size};
    if (ShapedType::isDynamic(size))
      row.sizeSymbol = symbols++;
    rows.push_back(row);
  }
  dims = rows.size() + 1;
  for (char letter : mask.getLetters()) {
    int64_t at = indexOf(letters, letter);
    auto *row = llvm::find_if(rows, [&](const TileRow &r) {
      return static_cast<int64_t>(r.start) == at;
    });
    if (letter == key)
      dimOf.push_back(getAffineDimExpr(keyVar(), context));
    else if (row != rows.end())
      dimOf.push_back(getAffineDimExpr(row - rows.begin(), context));
    else
      dimOf.push_back(getAffineSymbolExpr(at, context));
  }
  unsigned own = mask.getSets().front().getValue().getNumSymbols();
  for (unsigned i = 0; i < own; ++i)
    symbolOf.push_back(getAffineSymbolExpr(symbols++, context));
  ++symbols; // the number of keys
}

std::optional<AffineSet> TileSpace::affine(IntegerSet set) const {
  return AffineSet::get(
      set.replaceDimsAndSymbols(dimOf, symbolOf, dims, symbols));
}

IntegerPolyhedron TileSpace::box() const {
  IntegerPolyhedron result(PresburgerSpace::getSetSpace(dims, symbols));
  unsigned columns = result.getNumCols();
  for (auto [i, row] : llvm::enumerate(rows)) {
    SmallVector<int64_t> low(columns), high(columns);
    low[i] = 1;
    low[dims + row.start] = -1;
    result.addInequality(low);
    high[i] = -1;
    high[dims + row.start] = 1;
    high.back() = -1;
    if (ShapedType::isDynamic(row.size))
      high[dims + row.sizeSymbol] = 1;
    else
      high.back() += row.size;
    result.addInequality(high);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Projection
//===----------------------------------------------------------------------===//

/// The dividend of local variable `local`, if two inequalities say that it is
/// the floor of (symbols and symbolic locals) / `divisor`.  Presburger's own
/// search may find another pair, of a quotient of the key.
static AffineExpr symbolicDividend(const IntegerRelation &relation,
                                   unsigned local, ArrayRef<AffineExpr> locals,
                                   MLIRContext *context, int64_t &divisor) {
  unsigned dims = relation.getNumDimVars(),
           outer = relation.getNumDimAndSymbolVars();
  for (unsigned i = 0; i < relation.getNumInequalities(); ++i) {
    SmallVector<int64_t, 8> low = relation.getInequality64(i);
    divisor = -low[outer + local];
    if (divisor < 2)
      continue;
    AffineExpr dividend = getAffineConstantExpr(low.back(), context);
    for (unsigned v = 0; v + 1 < low.size() && dividend; ++v) {
      if (!low[v] || v == outer + local)
        continue;
      AffineExpr term = v >= outer  ? locals[v - outer]
                        : v >= dims ? getAffineSymbolExpr(v - dims, context)
                                    : AffineExpr();
      dividend = term ? dividend + term * low[v] : AffineExpr();
    }
    if (!dividend)
      continue;
    for (unsigned j = 0; j < relation.getNumInequalities(); ++j) {
      SmallVector<int64_t, 8> high = relation.getInequality64(j);
      for (auto [x, y] : llvm::zip(high, low))
        x += y;
      int64_t rest = high.pop_back_val();
      if (rest >= 0 && rest < divisor && llvm::all_equal(high) && !high[0])
        return dividend;
    }
  }
  return {};
}

SmallVector<AffineExpr>
einhead::attn::symbolicLocals(const IntegerRelation &relation,
                              MLIRContext *context) {
  SmallVector<AffineExpr> exprs(relation.getNumLocalVars());
  // A division may use others: as many rounds as it takes.
  for (bool changed = true; changed;) {
    changed = false;
    for (unsigned i = 0; i < exprs.size(); ++i) {
      int64_t divisor;
      if (exprs[i])
        continue;
      if (AffineExpr dividend =
              symbolicDividend(relation, i, exprs, context, divisor)) {
        exprs[i] = dividend.floorDiv(divisor);
        changed = true;
      }
    }
  }
  return exprs;
}

Bounds einhead::attn::boundsOf(IntegerRelation relation,
                               ArrayRef<int64_t> coefficients,
                               MLIRContext *context) {
  SmallVector<AffineExpr> locals = symbolicLocals(relation, context);
  unsigned x = relation.insertVar(VarKind::SetDim, 0);
  SmallVector<int64_t> equality = {-1};
  equality.append(coefficients.begin(), coefficients.end());
  relation.addEquality(equality);
  // Everything but x, the symbols and the locals that depend on them alone.
  unsigned dims = relation.getNumDimVars(),
           symbols = relation.getNumSymbolVars();
  for (unsigned i = locals.size(); i-- > 0;) {
    if (locals[i])
      continue;
    relation.projectOut(dims + symbols + i);
    locals.erase(locals.begin() + i);
  }
  relation.projectOut(x + 1, dims - 1);
  relation.removeRedundantConstraints();

  // sign * (what a constraint says beside x).
  auto rest = [&](ArrayRef<DynamicAPInt> row, int64_t sign) {
    AffineExpr sum =
        getAffineConstantExpr(sign * static_cast<int64_t>(row.back()), context);
    for (unsigned v = 1; v + 1 < row.size(); ++v)
      if (int64_t c = static_cast<int64_t>(row[v]))
        sum = sum + (v <= symbols ? getAffineSymbolExpr(v - 1, context)
                                  : locals[v - 1 - symbols]) *
                        (sign * c);
    return sum;
  };
  Bounds bounds;
  auto add = [&](ArrayRef<DynamicAPInt> row) {
    int64_t c = static_cast<int64_t>(row[0]);
    if (c > 0)
      bounds.lower.push_back(rest(row, -1).ceilDiv(c));
    else if (c < 0)
      bounds.upper.push_back(rest(row, 1).floorDiv(-c));
    else
      bounds.conditions.push_back(rest(row, 1));
  };
  for (unsigned i = 0; i < relation.getNumInequalities(); ++i)
    add(relation.getInequality(i));
  for (unsigned i = 0; i < relation.getNumEqualities(); ++i) {
    SmallVector<DynamicAPInt> row(relation.getEquality(i)), negated;
    for (const DynamicAPInt &value : row)
      negated.push_back(-value);
    // The bound from below goes first.
    bool isLower = row[0] >= 0;
    add(isLower ? row : negated);
    add(isLower ? negated : row);
  }
  return bounds;
}

Bounds einhead::attn::boundsOfVar(const IntegerRelation &relation, unsigned var,
                                  MLIRContext *context) {
  SmallVector<int64_t> coefficients(relation.getNumCols());
  coefficients[var] = 1;
  return boundsOf(relation, coefficients, context);
}

IntegerPolyhedron einhead::attn::existing(const TileSpace &space) {
  IntegerPolyhedron result = space.box();
  SmallVector<int64_t> low(result.getNumCols()), high(result.getNumCols());
  low[space.keyVar()] = 1;
  result.addInequality(low);
  high[space.keyVar()] = -1;
  high[space.limitVar()] = 1;
  high.back() = -1;
  result.addInequality(high);
  return result;
}

bool einhead::attn::areContrary(ArrayRef<AffineExpr> exprs,
                                const TileSpace &space) {
  SmallVector<AffineExpr> constraints(exprs);
  // A tile has a row.
  for (const TileRow &row : space.rows)
    if (ShapedType::isDynamic(row.size))
      constraints.push_back(getAffineSymbolExpr(row.sizeSymbol, space.context) -
                            1);
  SmallVector<bool> isEqual(constraints.size(), false);
  auto set =
      AffineSet::get(IntegerSet::get(0, space.symbols, constraints, isEqual));
  return set && set->polyhedron().isIntegerEmpty();
}

std::optional<int64_t> einhead::attn::greatestValue(AffineExpr expr,
                                                    unsigned symbols) {
  AffineExpr x = getAffineDimExpr(0, expr.getContext());
  auto set = AffineSet::get(IntegerSet::get(1, symbols, {x - expr}, {true}));
  if (!set)
    return std::nullopt;
  return set->polyhedron().getConstantBound64(BoundType::UB, 0);
}
