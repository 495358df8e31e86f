//===- MaskPoints.cpp - A mask counted point by point -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MaskPoints.h"
#include "einhead/Analysis/TrafficContract.h"
#include "einhead/IR/Mask.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

std::optional<MaskPoints>
MaskPoints::get(AttentionLike op, const IndexEvaluator &at, int64_t limit) {
  MaskPoints points(op);
  AttentionRoles roles = rolesOf(op);
  points.key = roles.key.front();
  points.limit = limit;
  MaskAttr mask = *op.getMask();
  for (char letter : mask.getLetters()) {
    std::optional<int64_t> extent = extentOf(op, letter, at);
    if (!extent)
      return std::nullopt;
    points.extents[letter] = *extent;
    if (indexOf(roles.batch, letter) >= 0)
      points.batch.push_back(letter);
    else if (indexOf(roles.row, letter) >= 0)
      points.rows.push_back(letter);
  }
  points.otherBatches = 1;
  for (char letter : lettersWithout(roles.batch, points.batch)) {
    std::optional<int64_t> extent = extentOf(op, letter, at);
    if (!extent)
      return std::nullopt;
    points.otherBatches *= *extent;
  }
  for (Value symbol : op.getMaskSymbols()) {
    std::optional<int64_t> number = at.value(symbol);
    if (!number)
      return std::nullopt;
    points.symbols.push_back(*number);
  }
  if (op.getOffsetLetters() || roles.key.size() != 1)
    return std::nullopt;
  return points;
}

int64_t MaskPoints::overBatch(size_t letter,
                              llvm::function_ref<int64_t()> count) {
  if (letter == batch.size())
    return count();
  int64_t sum = 0;
  for (int64_t i = 0; i < extents[batch[letter]]; ++i) {
    point[batch[letter]] = i;
    sum += overBatch(letter + 1, count);
  }
  return sum;
}

/// Whether a row of `rows` attends the key at `point`, whose other letters are
/// set.
bool MaskPoints::attends(MaskAttr part, llvm::StringRef rows) {
  if (rows.empty()) {
    SmallVector<int64_t> at;
    for (char letter : part.getLetters())
      at.push_back(point[letter]);
    return contains(part, at, symbols);
  }
  for (int64_t i = 0; i < extents[rows.front()]; ++i) {
    point[rows.front()] = i;
    if (attends(part, rows.drop_front()))
      return true;
  }
  return false;
}

/// How many keys a row of `rows` attends, or those with the keys `between`.
int64_t MaskPoints::keysOf(MaskAttr part, llvm::StringRef rows, bool between) {
  int64_t first = limit, last = -1, count = 0;
  for (int64_t m = 0; m < limit; ++m) {
    point[key] = m;
    if (!attends(part, rows))
      continue;
    first = std::min(first, m);
    last = m;
    ++count;
  }
  return between && count ? last - first + 1 : count;
}

/// The keys of a part that one walk visits, for each index of `choosing`.
int64_t MaskPoints::overRows(const WalkedMask &part, llvm::StringRef choosing,
                             llvm::StringRef others) {
  int64_t sum = 0;
  if (!choosing.empty()) {
    for (int64_t i = 0; i < extents[choosing.front()]; ++i) {
      point[choosing.front()] = i;
      sum += overRows(part, choosing.drop_front(), others);
    }
    return sum;
  }
  if (!part.isListed)
    return keysOf(part.mask, others, /*between=*/true);
  SmallVector<int64_t> ones(otherLetters(part.mask, key).size(), 1);
  SparseKeys list = *KeySet::get(part.mask, key, ones).sparse;
  if (list.isExact)
    return keysOf(part.mask, others, /*between=*/false);
  // Of n keys in a row at most n / stride + 2 blocks have one.
  int64_t keys = keysOf(part.mask, others, /*between=*/true);
  return keys ? (keys / list.stride + 2) * list.run : 0;
}

int64_t MaskPoints::attended() {
  return otherBatches * overBatch(0, [&] {
           return keysOf(*op.getMask(), rows, /*between=*/false);
         });
}

int64_t MaskPoints::walked(const WalkedMask &part) {
  std::string choosing;
  if (part.isListed)
    for (char letter : choosingRows(op, part.mask))
      if (indexOf(rows, letter) >= 0)
        choosing.push_back(letter);
  std::string others = lettersWithout(rows, choosing);
  return otherBatches *
         overBatch(0, [&] { return overRows(part, choosing, others); });
}

//===----------------------------------------------------------------------===//
// Rows one by one
//===----------------------------------------------------------------------===//

int64_t MaskPoints::overRowsOf(size_t row,
                               llvm::function_ref<int64_t()> count) {
  if (row == rows.size())
    return count();
  int64_t sum = 0;
  for (int64_t i = 0; i < extents[rows[row]]; ++i) {
    point[rows[row]] = i;
    sum += overRowsOf(row + 1, count);
  }
  return sum;
}

/// The keys of the row at `point`: those between the bounds of full keys count,
/// the others of the hull are tested.
int64_t MaskPoints::keysOfOneRow(MaskAttr part, const KeySet &keys) {
  SmallVector<int64_t> values;
  for (char letter : otherLetters(part, key))
    values.push_back(point[letter]);
  llvm::append_range(values, symbols);
  values.push_back(limit);
  int64_t first = keys.first.evaluate(values).value_or(0),
          last = keys.last.evaluate(values).value_or(limit - 1);
  first = std::max<int64_t>(first, 0);
  last = std::min(last, limit - 1);
  int64_t fullFirst = last + 1, fullLast = last;
  if (keys.mayBeFull) {
    fullFirst =
        std::max(first, keys.fullFirst.evaluate(values).value_or(first));
    fullLast = std::min(last, keys.fullLast.evaluate(values).value_or(last));
  }
  int64_t count = 0;
  for (int64_t m = first; m <= last; ++m) {
    if (m == fullFirst && fullFirst <= fullLast) {
      count += fullLast - fullFirst + 1;
      m = fullLast;
      continue;
    }
    point[key] = m;
    count += attends(part, "");
  }
  return count;
}

std::optional<int64_t> MaskPoints::pairs() {
  constexpr int64_t mostRows = 4096;
  int64_t rowCount = 1;
  for (char letter : batch + rows)
    rowCount *= extents[letter];
  if (rowCount > mostRows)
    return std::nullopt;
  int64_t sum = 0;
  for (MaskAttr part : disjointMasks(*op.getMask())) {
    SmallVector<int64_t> ones(otherLetters(part, key).size(), 1);
    KeySet keys = KeySet::get(part, key, ones);
    if (keys.isEmpty)
      continue;
    // Where a condition fails (KeySet::where) the full keys are none.
    keys.mayBeFull &= keys.where.empty();
    sum += overBatch(0, [&] {
      return overRowsOf(0, [&] { return keysOfOneRow(part, keys); });
    });
  }
  return otherBatches * sum;
}
