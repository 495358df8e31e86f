//===- MaskWalk.cpp - In which parts loops walk a mask ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// A part of a mask is walked from its first to its last key, or along the list
// of its keys, for one index of the letters that choose the list at a time.
// Neither is always the best: sets that overlap become parts whose hulls
// overlap, and rows with a list each may read a key once for each row.

#include "einhead/Analysis/MaskWalk.h"
#include "einhead/Analysis/TrafficContract.h"
#include "einhead/IR/Tile.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

namespace {
/// Counts the keys that loops would visit, from the bounds of the parts.
class VisitCount {
public:
  static std::optional<VisitCount> get(AttentionLike op,
                                       const IndexEvaluator &at);

  int64_t of(const MaskWalk &walk) const;

private:
  VisitCount(AttentionLike op) : op(op), key(rolesOf(op).key.front()) {}
  int64_t ofPart(const WalkedMask &part) const;

  AttentionLike op;
  char key;
  std::string batch, rows; ///< letters of the mask
  llvm::DenseMap<char, int64_t> extents;
  SmallVector<int64_t> symbols; ///< of the mask, then the number of keys
};
} // namespace

std::optional<VisitCount> VisitCount::get(AttentionLike op,
                                          const IndexEvaluator &at) {
  VisitCount count(op);
  AttentionRoles roles = rolesOf(op);
  for (char letter : op.getMask()->getLetters()) {
    std::optional<int64_t> extent = extentOf(op, letter, at);
    if (!extent)
      return std::nullopt;
    count.extents[letter] = *extent;
    if (indexOf(roles.batch, letter) >= 0)
      count.batch.push_back(letter);
    else if (indexOf(roles.row, letter) >= 0)
      count.rows.push_back(letter);
  }
  for (Value symbol : op.getMaskSymbols()) {
    std::optional<int64_t> number = at.value(symbol);
    if (!number)
      return std::nullopt;
    count.symbols.push_back(*number);
  }
  std::optional<int64_t> keys = validKeys(op, at);
  if (!keys)
    return std::nullopt;
  count.symbols.push_back(*keys);
  return count;
}

/// The keys of a set at these values of its symbols: in its list, or between
/// the first and the last one.
static int64_t keysAt(const KeySet &keys, ArrayRef<int64_t> symbols,
                      bool isListed) {
  auto holds = [&](ArrayRef<AffineExpr> conditions) {
    return llvm::all_of(conditions, [&](AffineExpr condition) {
      return *KeyBound{true, {{condition}}}.evaluate(symbols) >= 0;
    });
  };
  if (keys.isEmpty || (!keys.where.empty() && !llvm::any_of(keys.where, holds)))
    return 0;
  const KeyBound &lower = isListed ? keys.sparse->firstBlock : keys.first,
                 &upper = isListed ? keys.sparse->lastBlock : keys.last;
  int64_t first = lower.evaluate(symbols).value_or(0),
          last = upper.evaluate(symbols).value_or(symbols.back() - 1);
  if (isListed)
    return std::max<int64_t>(0, last - first + 1) * keys.sparse->run;
  first = std::max<int64_t>(first, 0);
  last = std::min(last, symbols.back() - 1);
  return std::max<int64_t>(0, last - first + 1);
}

int64_t VisitCount::ofPart(const WalkedMask &part) const {
  // Batches at both ends and in the middle stand for all of them, and so does a
  // row in the middle for those that choose.
  constexpr int64_t samples = 8;
  std::string letters = otherLetters(part.mask, key),
              choosing = part.isListed ? choosingRows(op, part.mask) : "";
  SmallVector<int64_t> sizes, starts(letters.size(), 0);
  int64_t times = 1;
  for (auto [i, letter] : llvm::enumerate(letters)) {
    bool isOne = indexOf(rows, letter) < 0 || indexOf(choosing, letter) >= 0;
    sizes.push_back(isOne ? 1 : extents.lookup(letter));
    if (indexOf(choosing, letter) >= 0) {
      starts[i] = extents.lookup(letter) / 2;
      times *= extents.lookup(letter);
    }
  }
  KeySet keys = KeySet::get(part.mask, key, sizes);
  if (part.isListed && !keys.sparse)
    return std::numeric_limits<int32_t>::max();
  int64_t batches = 1, count = 0;
  for (char letter : batch)
    batches *= extents.lookup(letter);
  int64_t step = std::max<int64_t>(1, batches / samples), seen = 0;
  for (int64_t i = 0; i < batches; i += step, ++seen) {
    int64_t rest = i;
    for (char letter : batch) {
      starts[indexOf(letters, letter)] = rest % extents.lookup(letter);
      rest /= extents.lookup(letter);
    }
    SmallVector<int64_t> values(starts);
    llvm::append_range(values, symbols);
    count += keysAt(keys, values, part.isListed);
  }
  return count * times * batches / std::max<int64_t>(1, seen);
}

int64_t VisitCount::of(const MaskWalk &walk) const {
  int64_t count = 0;
  for (const WalkedMask &part : walk)
    count += ofPart(part);
  return count;
}

//===----------------------------------------------------------------------===//
// Ways to walk
//===----------------------------------------------------------------------===//

std::string einhead::choosingRows(AttentionLike op, MaskAttr part) {
  AttentionRoles roles = rolesOf(op);
  std::string letters;
  for (char letter : choosingLetters(part, roles.key.front()))
    if (indexOf(roles.row, letter) >= 0)
      letters.push_back(letter);
  return letters;
}

static MaskWalk walkWith(ArrayRef<MaskAttr> parts,
                         llvm::function_ref<bool(MaskAttr)> isListed) {
  MaskWalk walk;
  for (MaskAttr part : parts)
    walk.push_back({part, isListed(part)});
  return walk;
}

/// The parts that are not listed as one.
static MaskWalk joined(const MaskWalk &walk) {
  MaskWalk result;
  SmallVector<IntegerSetAttr> sets;
  MaskAttr last;
  for (const WalkedMask &part : walk) {
    if (part.isListed) {
      result.push_back(part);
      continue;
    }
    last = part.mask;
    llvm::append_range(sets, last.getSets());
  }
  if (last)
    result.push_back(
        {MaskAttr::get(last.getContext(), last.getLetters(), sets), false});
  return result;
}

MaskWalk einhead::walkOf(AttentionLike op, const IndexEvaluator &at) {
  MaskAttr mask = *op.getMask();
  char key = rolesOf(op).key.front();
  SmallVector<MaskAttr> parts = disjointMasks(mask);
  bool mayList = !offsetOf(op, key);
  auto listed = [&](MaskAttr part) { return mayList && isSparse(part, key); };
  MaskWalk best = walkWith(parts, listed);
  // One part of keys that lie together can be walked in one way only.
  if (parts.size() == 1 && !best.front().isListed)
    return best;
  std::optional<VisitCount> count = VisitCount::get(op, at);
  if (!count)
    return best;
  auto never = [](MaskAttr) { return false; };
  MaskWalk apart = walkWith(parts, [&](MaskAttr part) {
    return listed(part) && choosingRows(op, part).empty();
  });
  int64_t least = count->of(best);
  for (const MaskWalk &other :
       {joined(best), apart, joined(apart), walkWith(parts, never),
        walkWith({mask}, never)}) {
    int64_t visits = count->of(other);
    if (visits >= least)
      continue;
    least = visits;
    best = other;
  }
  return best;
}

MaskWalk einhead::walkOf(AttentionOp op) {
  auto like = cast<AttentionLike>(op.getOperation());
  IndexEvaluator at;
  std::optional<MaskWalk> walk;
  if (auto function = op->getParentOfType<func::FuncOp>()) {
    at = exampleSizes(function);
    (void)at.run(function, [&](Operation *visited) {
      if (visited == op && !walk)
        walk = walkOf(like, at);
    });
  }
  return walk ? *walk : walkOf(like, IndexEvaluator());
}
