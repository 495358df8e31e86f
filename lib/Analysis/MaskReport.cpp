//===- MaskReport.cpp - What a mask means for keys and caches ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Analysis/MaskReport.h"
#include "einhead/Analysis/MaskWalk.h"
#include "mlir/IR/IntegerSet.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// Names of a mask's own symbols.
static std::string symbolName(unsigned i) {
  return i < 3 ? std::string(1, "pqr"[i]) : "s" + std::to_string(i);
}

/// Names of all symbols of a key set of single rows.
static SmallVector<std::string> symbolNames(MaskAttr mask, char key) {
  SmallVector<std::string> names;
  for (char letter : otherLetters(mask, key))
    names.push_back(std::string(1, letter));
  unsigned own = mask.getSets().front().getValue().getNumSymbols();
  for (unsigned i = 0; i < own; ++i)
    names.push_back(symbolName(i));
  names.push_back(std::string("|") + key + "|");
  return names;
}

/// ", where h - 4 >= 0"; "" if the part has keys everywhere.
static std::string whereText(const KeySet &keys, ArrayRef<std::string> names) {
  std::string text;
  if (keys.where.size() == 1)
    for (AffineExpr condition : keys.where.front())
      text += (text.empty() ? ", where " : " and ") +
              KeyBound{true, {{condition}}}.str(names) + " >= 0";
  return text;
}

SmallVector<std::string> einhead::describeKeys(AttentionOp attention) {
  SmallVector<std::string> lines;
  auto op = cast<AttentionLike>(attention.getOperation());
  AttentionRoles roles = rolesOf(op);
  if (!op.getMask() || roles.key.size() != 1)
    return lines;
  char key = roles.key.front();
  for (auto [part, isListed] : walkOf(attention)) {
    SmallVector<int64_t> ones(otherLetters(part, key).size(), 1);
    KeySet keys = KeySet::get(part, key, ones);
    SmallVector<std::string> names = symbolNames(part, key);
    if (isListed) {
      const SparseKeys &sparse = *keys.sparse;
      lines.push_back(std::to_string(sparse.run) + " of every " +
                      std::to_string(sparse.stride) + " keys, blocks " +
                      sparse.firstBlock.str(names) + " to " +
                      sparse.lastBlock.str(names) + whereText(keys, names) +
                      (sparse.isExact ? "" : ", tested one by one"));
      continue;
    }
    if (!keys.first.exists()) {
      lines.push_back("every key, tested one by one");
      continue;
    }
    lines.push_back("keys " + keys.first.str(names) + " to " +
                    keys.last.str(names) + whereText(keys, names) +
                    (keys.mayBeFull ? "" : ", tested one by one"));
  }
  return lines;
}

//===----------------------------------------------------------------------===//
// What a cache may forget
//===----------------------------------------------------------------------===//

/// The symbol of the mask that is the position: the value at which new keys are
/// appended, or the only one.
static std::optional<unsigned> positionSymbol(AttentionLike op) {
  for (Value cache = op.getKey(); cache;) {
    if (auto append = cache.getDefiningOp<AppendOp>()) {
      for (auto [i, symbol] : llvm::enumerate(op.getMaskSymbols()))
        if (symbol == append.getPosition())
          return i;
      break;
    }
    Value root = rootOf(cache);
    if (root == cache)
      break;
    cache = root;
  }
  if (op.getMaskSymbols().size() == 1)
    return 0;
  return std::nullopt;
}

/// The mask with its position as one more letter, '@': all positions from some
/// one on are then a tile.
static MaskAttr withPosition(MaskAttr mask, unsigned position) {
  MLIRContext *context = mask.getContext();
  unsigned letters = mask.getLetters().size();
  SmallVector<IntegerSetAttr> sets;
  for (IntegerSetAttr attr : mask.getSets()) {
    IntegerSet set = attr.getValue();
    SmallVector<AffineExpr> dims, symbols;
    for (unsigned i = 0; i < letters; ++i)
      dims.push_back(getAffineDimExpr(i, context));
    for (unsigned i = 0; i < set.getNumSymbols(); ++i)
      symbols.push_back(i == position ? getAffineDimExpr(letters, context)
                                      : getAffineSymbolExpr(i, context));
    sets.push_back(IntegerSetAttr::get(set.replaceDimsAndSymbols(
        dims, symbols, letters + 1, set.getNumSymbols())));
  }
  return MaskAttr::get(context, mask.getLetters().str() + "@", sets);
}

/// How far below the first position keys may still be read: the greatest number
/// that "position - a lower bound" can be; nothing if no bound moves with the
/// position.  The letters before the position start at 0.
static std::optional<int64_t> reachBack(const KeyBound &first, unsigned start,
                                        unsigned symbols) {
  std::optional<int64_t> reach;
  for (ArrayRef<AffineExpr> part : first.parts) {
    std::optional<int64_t> here;
    for (AffineExpr expr : part) {
      MLIRContext *context = expr.getContext();
      AffineExpr position = getAffineSymbolExpr(start, context);
      SmallVector<AffineExpr> starts(start, getAffineConstantExpr(0, context));
      AffineExpr all = expr.replaceSymbols(starts);
      if (auto back = greatestValue(position - all, symbols))
        here = std::min(here.value_or(*back), *back);
    }
    if (!here)
      return std::nullopt;
    reach = std::max(reach.value_or(0), *here);
  }
  return reach;
}

/// A number that no key exceeds, at any position.
static std::optional<int64_t> greatestKey(const KeyBound &last,
                                          unsigned symbols) {
  std::optional<int64_t> greatest;
  for (ArrayRef<AffineExpr> part : last.parts) {
    std::optional<int64_t> here;
    for (AffineExpr expr : part)
      if (auto number = greatestValue(expr, symbols))
        here = std::min(here.value_or(*number), *number);
    if (!here)
      return std::nullopt;
    greatest = std::max(greatest.value_or(*here), *here);
  }
  return greatest;
}

CachePolicy CachePolicy::of(AttentionLike op) {
  CachePolicy policy;
  AttentionRoles roles = rolesOf(op);
  if (!op.getMask() || roles.key.size() != 1)
    return {Kind::All};
  std::optional<unsigned> position = positionSymbol(op);
  if (!position)
    return policy;
  char key = roles.key.front();
  policy.kind = Kind::Ring;
  for (MaskAttr part : disjointMasks(*op.getMask())) {
    MaskAttr moving = withPosition(part, *position);
    std::string letters = otherLetters(moving, key);
    SmallVector<int64_t> sizes;
    for (char letter : letters)
      sizes.push_back(letter == '@' ? ShapedType::kDynamic
                                    : staticExtent(op, letter));
    KeySet keys = KeySet::get(moving, key, sizes);
    if (auto reach =
            reachBack(keys.first, letters.size() - 1, keys.numSymbols)) {
      policy.keys = std::max(policy.keys, *reach);
      continue;
    }
    if (auto last = greatestKey(keys.last, keys.numSymbols)) {
      policy.head = std::max(policy.head, *last + 1);
      continue;
    }
    // A list that does not move with the position: its keys stay.
    SmallVector<int64_t> ones(sizes.size(), 1);
    ones.back() = ShapedType::kDynamic;
    keys = KeySet::get(moving, key, ones);
    if (!keys.sparse)
      return {Kind::All};
    policy.kind = Kind::Summary;
    policy.run = std::max(policy.run, keys.sparse->run);
    policy.stride = keys.sparse->stride;
  }
  return policy;
}

std::string CachePolicy::str() const {
  auto keysText = [](int64_t n) {
    return n == 1 ? std::string("key") : std::to_string(n) + " keys";
  };
  std::string last = keysText(keys), start;
  if (head)
    start = ", but for the first " + keysText(head);
  switch (kind) {
  case Kind::Unknown:
    return "no symbol of the mask is known to be the position of the new "
           "tokens: what the cache may forget is not known";
  case Kind::All:
    return "no saving in the cache: any key may be read again";
  case Kind::Ring:
    return "no later step reads further back than " + last +
           " before its first token" + start +
           (head ? ": those, a ring and the new ones are all that the cache "
                   "must hold"
                 : ": a ring of them and the new ones is all that the cache "
                   "must hold");
  case Kind::Summary:
    return "further back than " + last +
           " before its first token a later step reads " + std::to_string(run) +
           " of every " + std::to_string(stride) + " keys for a head" + start +
           ": the others may be forgotten";
  }
  llvm_unreachable("all kinds are listed");
}
