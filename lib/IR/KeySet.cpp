//===- KeySet.cpp - The keys that a tile of rows may read -------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// With S the set, B the box of the tile's rows and m the key:
//
//   first ... last          bounds of m in S and B, rows projected out
//   fullFirst ... fullLast  what the projection of (not S) and B leaves
//
// Fourier-Motzkin elimination may make a projection larger than the integers in
// it; both uses allow that: the hull then has keys that the mask test excludes,
// and fewer keys count as full.
//
// Floor divisions that depend on the tile alone stay as they are; those of the
// key are projected out, or make a list (SparseKeys).

#include "einhead/IR/KeySet.h"
#include "KeySpace.h"
#include "mlir/Analysis/Presburger/PresburgerRelation.h"
#include "mlir/IR/IntegerSet.h"

using namespace mlir;
using namespace mlir::presburger;
using namespace einhead::attn;

std::string einhead::attn::otherLetters(MaskAttr mask, char key) {
  return lettersWithout(mask.getLetters(), llvm::StringRef(&key, 1));
}

/// key < 0, and key >= the number of keys.
static Polyhedra absent(const TileSpace &space) {
  Polyhedra result;
  for (bool above : {false, true}) {
    IntegerPolyhedron part = space.box();
    SmallVector<int64_t> row(part.getNumCols());
    row[space.keyVar()] = above ? 1 : -1;
    row[space.limitVar()] = above ? -1 : 0;
    row.back() = above ? 0 : -1;
    part.addInequality(row);
    result.push_back(part);
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Lists of keys
//===----------------------------------------------------------------------===//

/// The difference of two expressions, where it is a number.
static std::optional<int64_t> difference(AffineExpr a, AffineExpr b,
                                         unsigned symbols) {
  AffineExpr result = simplifyAffineExpr(a - b, 0, symbols);
  if (auto number = dyn_cast<AffineConstantExpr>(result))
    return number.getValue();
  return std::nullopt;
}

/// Whether no key of the list is in `outside`, for all values of the symbols.
static bool listsOnly(const SparseKeys &keys, const Polyhedra &outside,
                      const TileSpace &space) {
  if (space.dims != 1) // the key is not the only dimension
    return false;
  AffineExpr key, block, at;
  bindDims(space.context, key, block, at);
  AffineExpr listed = (block * keys.stride + at) * keys.sign + keys.base;
  SmallVector<AffineExpr> constraints = {key - listed, at, keys.run - 1 - at};
  SmallVector<bool> equal = {true, false, false};
  for (AffineExpr low : keys.firstBlock.parts.front())
    constraints.push_back(block - low);
  for (AffineExpr high : keys.lastBlock.parts.front())
    constraints.push_back(high - block);
  equal.resize(constraints.size(), false);
  IntegerPolyhedron list =
      AffineSet::get(IntegerSet::get(3, space.symbols, constraints, equal))
          ->polyhedron();
  for (IntegerPolyhedron part : outside) {
    part.insertVar(VarKind::SetDim, 1, 2); // any block, any place in it
    if (!list.intersect(part).isIntegerEmpty())
      return false;
  }
  return true;
}

/// The list that local variable `local` of `set` makes, where it is the
/// quotient of (+-key + ...) and the remainders are few.
static std::optional<SparseKeys> listOf(const IntegerRelation &set,
                                        const Polyhedra &outside,
                                        unsigned local,
                                        const TileSpace &space) {
  DivisionRepr divisions = set.getLocalReprs();
  if (!divisions.hasRepr(local))
    return std::nullopt;
  SparseKeys keys;
  keys.stride = static_cast<int64_t>(divisions.getDenom(local));
  SmallVector<AffineExpr> locals = symbolicLocals(set, space.context);
  SmallVector<int64_t> remainder = getInt64Vec(divisions.getDividend(local));
  keys.sign = remainder[space.keyVar()];
  if (std::abs(keys.sign) != 1)
    return std::nullopt;
  unsigned outer = space.dims + space.symbols;
  AffineExpr rest = getAffineConstantExpr(remainder.back(), space.context);
  for (unsigned v = 0; v + 1 < remainder.size(); ++v) {
    if (!remainder[v] || v == space.keyVar())
      continue;
    AffineExpr term;
    if (v >= outer)
      term = locals[v - outer];
    else if (v >= space.dims)
      term = getAffineSymbolExpr(v - space.dims, space.context);
    if (!term) // it differs within the tile
      return std::nullopt;
    rest = rest + term * remainder[v];
  }
  remainder[outer + local] -= keys.stride;
  Bounds in = boundsOf(set, remainder, space.context);
  keys.run = keys.stride;
  AffineExpr least;
  for (AffineExpr low : in.lower)
    for (AffineExpr high : in.upper)
      if (auto width = difference(high, low, space.symbols))
        if (*width + 1 < keys.run) {
          keys.run = std::max<int64_t>(1, *width + 1);
          least = low;
        }
  if (!least || 2 * keys.run > keys.stride)
    return std::nullopt;
  keys.base = (least - rest) * keys.sign;
  IntegerRelation inside = set.intersect(existing(space));
  Bounds blocks = boundsOfVar(inside, outer + local, space.context);
  if (blocks.lower.empty() || blocks.upper.empty())
    return std::nullopt;
  keys.firstBlock = {true, {blocks.lower}};
  keys.lastBlock = {false, {blocks.upper}};
  keys.isExact = listsOnly(keys, outside, space);
  return keys;
}

//===----------------------------------------------------------------------===//
// The keys of a tile
//===----------------------------------------------------------------------===//

/// Whether the mask has no key in the tile where none of `conditions` is
/// negative.
static bool excludes(ArrayRef<AffineExpr> conditions, const TileSpace &space,
                     const KeySet &keys) {
  if (keys.where.size() != 1)
    return false;
  SmallVector<AffineExpr, 8> both;
  llvm::append_range(both, keys.where.front());
  llvm::append_range(both, conditions);
  return areContrary(both, space);
}

/// What lies outside of `set` for some row of the tile cuts the full keys down:
/// from below where it has no lower bound, from above otherwise.
static void cutFull(const Polyhedra &outside, const TileSpace &space,
                    KeySet &keys) {
  keys.mayBeFull = true;
  IntegerPolyhedron box = space.box();
  SmallVector<AffineExpr, 2> firsts, lasts;
  for (const IntegerPolyhedron &part : outside) {
    IntegerPolyhedron in = part.intersect(box);
    if (in.isEmpty())
      continue;
    Bounds bounds = boundsOfVar(in, space.keyVar(), space.context);
    // Of several bounds one is enough: it excludes more.
    if (bounds.lower.empty() && !bounds.upper.empty())
      firsts.push_back(bounds.upper.front() + 1);
    else if (!bounds.lower.empty())
      lasts.push_back(bounds.lower.front() - 1);
    else if (!excludes(bounds.conditions, space, keys))
      keys.mayBeFull = false;
  }
  if (!firsts.empty())
    keys.fullFirst.parts = {firsts};
  if (!lasts.empty())
    keys.fullLast.parts = {lasts};
}

/// Bounds of several rows from those of one, which are exact, where the rows
/// order them; elsewhere the projections stay.
static void boundByRows(MaskAttr mask, char key, ArrayRef<int64_t> sizes,
                        const TileSpace &space, KeySet &keys) {
  KeySet one = KeySet::get(mask, key, SmallVector<int64_t>(sizes.size(), 1));
  // The sizes that are symbols stand between the starts and the rest.
  SmallVector<AffineExpr> moved;
  unsigned added = space.symbols - one.numSymbols;
  for (unsigned i = 0; i < one.numSymbols; ++i)
    moved.push_back(
        getAffineSymbolExpr(i < sizes.size() ? i : i + added, space.context));
  auto take = [&](const KeyBound &from, KeyBound &to, bool least) {
    KeyBound bound = from;
    for (auto &part : bound.parts)
      for (AffineExpr &expr : part)
        expr = expr.replaceSymbols(moved);
    std::optional<KeyBound> over = overRows(bound, space.rows, least);
    if (over)
      to = *over;
    return over.has_value();
  };
  take(one.first, keys.first, /*least=*/true);
  take(one.last, keys.last, /*least=*/false);
  KeyBound fullFirst = keys.fullFirst, fullLast = keys.fullLast;
  // Under a condition the full keys of one row say nothing of the next one.
  if (one.where.empty() && one.mayBeFull &&
      take(one.fullFirst, fullFirst, /*least=*/false) &&
      take(one.fullLast, fullLast, /*least=*/true)) {
    keys.mayBeFull = true;
    keys.fullFirst = fullFirst;
    keys.fullLast = fullLast;
  }
}

KeySet KeySet::get(MaskAttr mask, char key, ArrayRef<int64_t> sizes) {
  TileSpace space(mask, key, sizes);
  KeySet keys;
  keys.numSymbols = space.symbols;
  if (!mask.getLetters().contains(key))
    return keys;
  Polyhedra outside;
  std::optional<IntegerPolyhedron> only;
  KeySet none = keys;
  for (IntegerSetAttr set : mask.getSets()) {
    std::optional<AffineSet> part = space.affine(set.getValue());
    if (!part)
      return none;
    Polyhedra here = part->outside(/*disjoint=*/false);
    // Each pair may take a search that is exponential in the divisions.
    constexpr size_t mostPairs = 12;
    if (only && part->polyhedron().getNumLocalVars() > 0 &&
        outside.size() * here.size() > mostPairs)
      return none;
    outside = only ? intersectAll(outside, here) : here;
    only = part->polyhedron();
    IntegerPolyhedron inside = only->intersect(existing(space));
    if (inside.isIntegerEmpty())
      continue;
    Bounds bounds = boundsOfVar(inside, space.keyVar(), space.context);
    // Where an equality gives the key, that it exists is said of symbols alone.
    AffineExpr limit =
        getAffineSymbolExpr(space.symbols - 1, space.context) - 1;
    if (!llvm::is_contained(bounds.upper, limit))
      bounds.upper.push_back(limit);
    keys.first.parts.push_back(bounds.lower);
    keys.last.parts.push_back(bounds.upper);
    llvm::erase_if(bounds.conditions, [&](AffineExpr condition) {
      return areContrary(-condition - 1, space); // it holds always
    });
    keys.where.push_back(bounds.conditions);
  }
  if (llvm::any_of(keys.where, [](auto &list) { return list.empty(); }))
    keys.where.clear();
  keys.isEmpty = !keys.first.exists();
  if (keys.isEmpty)
    return keys;
  cutFull(outside, space, keys);
  if (!space.rows.empty())
    boundByRows(mask, key, sizes, space, keys);
  if (mask.getSets().size() != 1)
    return keys;
  outside.append(absent(space));
  for (unsigned i = 0; i < only->getNumLocalVars() && !keys.sparse; ++i)
    keys.sparse = listOf(*only, outside, i, space);
  return keys;
}

bool einhead::attn::isSparse(MaskAttr mask, char key) {
  SmallVector<int64_t> ones(otherLetters(mask, key).size(), 1);
  return KeySet::get(mask, key, ones).sparse.has_value();
}

std::string einhead::attn::choosingLetters(MaskAttr mask, char key) {
  std::string letters = otherLetters(mask, key), result;
  SmallVector<int64_t> ones(letters.size(), 1);
  KeySet keys = KeySet::get(mask, key, ones);
  if (keys.sparse)
    for (auto [i, letter] : llvm::enumerate(letters))
      if (keys.sparse->base.isFunctionOfSymbol(i))
        result.push_back(letter);
  return result;
}
