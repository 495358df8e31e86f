//===- KeyBound.cpp - Bounds of keys as ops, numbers and text ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/KeySet.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace einhead::attn;

AffineMap SparseKeys::map(MLIRContext *context) const {
  AffineExpr i, first, from;
  bindDims(context, i);
  bindSymbols(context, first, from);
  AffineExpr key = run == 1 ? (first + i) * stride
                            : (first + i.floorDiv(run)) * stride + i % run;
  return AffineMap::get(1, 2, key * sign + from);
}

Value KeyBound::build(OpBuilder &builder, Location loc,
                      ValueRange symbols) const {
  Value all;
  for (ArrayRef<AffineExpr> part : parts) {
    AffineMap map =
        AffineMap::get(0, symbols.size(), part, builder.getContext());
    SmallVector<OpFoldResult> operands(symbols.begin(), symbols.end());
    OpFoldResult bound =
        part.size() == 1
            ? affine::makeComposedFoldedAffineApply(builder, loc, map, operands)
        : isLower
            ? affine::makeComposedFoldedAffineMax(builder, loc, map, operands)
            : affine::makeComposedFoldedAffineMin(builder, loc, map, operands);
    Value value = getValueOrCreateConstantIndexOp(builder, loc, bound);
    if (!all)
      all = value;
    else if (isLower)
      all = arith::MinSIOp::create(builder, loc, all, value);
    else
      all = arith::MaxSIOp::create(builder, loc, all, value);
  }
  return all;
}

std::optional<int64_t> KeyBound::evaluate(ArrayRef<int64_t> symbols) const {
  std::optional<int64_t> all;
  for (ArrayRef<AffineExpr> part : parts) {
    std::optional<int64_t> bound;
    for (AffineExpr expr : part) {
      SmallVector<AffineExpr> numbers;
      for (int64_t symbol : symbols)
        numbers.push_back(getAffineConstantExpr(symbol, expr.getContext()));
      int64_t value =
          cast<AffineConstantExpr>(expr.replaceSymbols(numbers)).getValue();
      bound = !bound    ? value
              : isLower ? std::max(*bound, value)
                        : std::min(*bound, value);
    }
    all = !all      ? bound
          : isLower ? std::min(*all, *bound)
                    : std::max(*all, *bound);
  }
  return all;
}

std::string KeyBound::str(ArrayRef<std::string> names) const {
  std::string text;
  llvm::raw_string_ostream stream(text);
  auto list = [&](auto &&range, bool greatest, auto &&print) {
    bool single = std::size(range) == 1;
    if (!single)
      stream << (greatest ? "max(" : "min(");
    llvm::interleaveComma(range, stream, print);
    if (!single)
      stream << ")";
  };
  list(parts, !isLower, [&](ArrayRef<AffineExpr> part) {
    list(part, isLower, [&](AffineExpr expr) {
      // Symbols print as s0, s1, ...: the names go in their places.
      std::string raw;
      llvm::raw_string_ostream(raw) << expr;
      for (size_t i = 0; i < raw.size(); ++i) {
        size_t end = i + 1;
        while (end < raw.size() && llvm::isDigit(raw[end]))
          ++end;
        unsigned number;
        if (raw[i] == 's' && end > i + 1 &&
            !llvm::StringRef(raw).slice(i + 1, end).getAsInteger(10, number)) {
          stream << names[number];
          i = end - 1;
          continue;
        }
        stream << raw[i];
      }
    });
  });
  return text;
}

//===----------------------------------------------------------------------===//
// Several rows
//===----------------------------------------------------------------------===//

/// How an expression changes with a symbol: 1 or -1 if it never falls or never
/// rises, 0 if it does not depend on it; nothing if it may do both.
static std::optional<int> direction(AffineExpr expr, unsigned symbol) {
  if (auto name = dyn_cast<AffineSymbolExpr>(expr))
    return name.getPosition() == symbol ? 1 : 0;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return 0;
  std::optional<int> left = direction(binary.getLHS(), symbol),
                     right = direction(binary.getRHS(), symbol);
  if (!left || !right)
    return std::nullopt;
  auto number = dyn_cast<AffineConstantExpr>(binary.getRHS());
  switch (binary.getKind()) {
  case AffineExprKind::Add:
    if (*left && *right && *left != *right)
      return std::nullopt;
    return *left ? left : right;
  case AffineExprKind::Mul:
  case AffineExprKind::FloorDiv:
  case AffineExprKind::CeilDiv:
    if (!number)
      return *left || *right ? std::nullopt : std::optional(0);
    return number.getValue() < 0 ? -*left : *left;
  default: // mod
    return *left || *right ? std::nullopt : std::optional(0);
  }
}

std::optional<KeyBound> einhead::attn::overRows(const KeyBound &bound,
                                                ArrayRef<TileRow> rows,
                                                bool least) {
  KeyBound result = bound;
  for (auto &part : result.parts)
    for (AffineExpr &expr : part)
      for (const TileRow &row : rows) {
        std::optional<int> grows = direction(expr, row.start);
        if (!grows)
          return std::nullopt;
        if (*grows == 0 || (*grows > 0) == least)
          continue; // the first row is the one
        MLIRContext *context = expr.getContext();
        AffineExpr start = getAffineSymbolExpr(row.start, context);
        AffineExpr size = ShapedType::isDynamic(row.size)
                              ? getAffineSymbolExpr(row.sizeSymbol, context)
                              : getAffineConstantExpr(row.size, context);
        expr = expr.replace(start, start + size - 1);
      }
  return result;
}
