//===- TrafficContract.cpp - K/V bytes, stated and counted ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Analysis/TrafficContract.h"
#include "einhead/IR/Mask.h"
#include "einhead/IR/Tile.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

static constexpr int64_t exampleKeys = 1000;

/// The extent of a letter, from the operand that has it.
static std::optional<int64_t> extentOf(AttentionLike op, char letter,
                                       const IndexEvaluator &at) {
  AttentionRoles roles = rolesOf(op);
  for (auto [term, value] :
       {std::pair<std::string, Value>{roles.queryTerm, op.getQuery()},
        {roles.keyTerm, op.getKey()},
        {roles.valueTerm, op.getValue()}})
    if (int64_t i = indexOf(term, letter); i >= 0)
      return at.dim(value, i);
  return std::nullopt;
}

static std::optional<int64_t> product(AttentionLike op, llvm::StringRef letters,
                                      const IndexEvaluator &at) {
  int64_t result = 1;
  for (char letter : letters) {
    std::optional<int64_t> extent = extentOf(op, letter, at);
    if (!extent)
      return std::nullopt;
    result *= *extent;
  }
  return result;
}

IndexEvaluator einhead::exampleSizes(func::FuncOp function) {
  IndexEvaluator at;
  function.walk([&](AttentionOp op) {
    auto like = cast<AttentionLike>(op.getOperation());
    AttentionRoles roles = rolesOf(like);
    for (char key : roles.key)
      for (auto [term, value] :
           {std::pair<std::string, Value>{roles.keyTerm, op.getKey()},
            {roles.valueTerm, op.getValue()}})
        if (auto dim = argumentDim(value, indexOf(term, key)))
          at.sizes[*dim] = exampleKeys;
  });
  return at;
}

/// Bytes of one key: a row of K, and one of V unless that is part of K's, and
/// their scales.
static std::optional<int64_t> keyBytes(AttentionLike op,
                                       const IndexEvaluator &at) {
  AttentionRoles roles = rolesOf(op);
  std::optional<int64_t> depth = product(op, roles.depth, at),
                         width = product(op, roles.value, at);
  if (!depth || !width)
    return std::nullopt;
  auto bytes = [](Value value) -> int64_t {
    return getElementTypeOrSelf(value).getIntOrFloatBitWidth() / 8;
  };
  bool one = rootOf(op.getKey()) == rootOf(op.getValue());
  Value keyScale = op.getKeyScale(), valueScale = op.getValueScale();
  bool oneScale =
      keyScale && valueScale && rootOf(keyScale) == rootOf(valueScale);
  return *depth * bytes(op.getKey()) +
         (one ? 0 : *width * bytes(op.getValue())) +
         (keyScale ? bytes(keyScale) : 0) +
         (valueScale && !oneScale ? bytes(valueScale) : 0);
}

//===----------------------------------------------------------------------===//
// Stated
//===----------------------------------------------------------------------===//

namespace {
/// Counts the keys of a mask that some row attends, point by point.
class PointCount {
public:
  PointCount(AttentionOp op, const IndexEvaluator &at)
      : like(cast<AttentionLike>(op.getOperation())), at(at),
        roles(rolesOf(like)), mask(*op.getMask()) {}

  std::optional<int64_t> run(int64_t limit);

private:
  bool prepare();
  /// Whether a row attends `key`, with the batch letters' indices set.
  bool attends(size_t row);
  int64_t overBatch(size_t letter, int64_t limit);
  bool holds();

  AttentionLike like;
  const IndexEvaluator &at;
  AttentionRoles roles;
  MaskAttr mask;
  std::string batch, rows; ///< those of the mask
  llvm::DenseMap<char, int64_t> extents;
  llvm::DenseMap<char, int64_t> point;
  SmallVector<int64_t> symbols;
};
} // namespace

bool PointCount::prepare() {
  for (char letter : mask.getLetters()) {
    std::optional<int64_t> extent = extentOf(like, letter, at);
    if (!extent)
      return false;
    extents[letter] = *extent;
    if (indexOf(roles.batch, letter) >= 0)
      batch.push_back(letter);
    else if (indexOf(roles.row, letter) >= 0)
      rows.push_back(letter);
  }
  for (Value symbol : like.getMaskSymbols()) {
    std::optional<int64_t> number = at.value(symbol);
    if (!number)
      return false;
    symbols.push_back(*number);
  }
  return !like.getOffsetLetters();
}

bool PointCount::holds() {
  SmallVector<int64_t> at;
  for (char letter : mask.getLetters())
    at.push_back(point[letter]);
  return contains(mask, at, symbols);
}

bool PointCount::attends(size_t row) {
  if (row == rows.size())
    return holds();
  for (int64_t i = 0; i < extents[rows[row]]; ++i) {
    point[rows[row]] = i;
    if (attends(row + 1))
      return true;
  }
  return false;
}

int64_t PointCount::overBatch(size_t letter, int64_t limit) {
  int64_t count = 0;
  if (letter < batch.size()) {
    for (int64_t i = 0; i < extents[batch[letter]]; ++i) {
      point[batch[letter]] = i;
      count += overBatch(letter + 1, limit);
    }
    return count;
  }
  for (int64_t key = 0; key < limit; ++key) {
    point[roles.key.front()] = key;
    count += attends(0);
  }
  return count;
}

std::optional<int64_t> PointCount::run(int64_t limit) {
  if (!prepare())
    return std::nullopt;
  int64_t count = overBatch(0, limit);
  std::optional<int64_t> others =
      product(like, lettersWithout(roles.batch, batch), at);
  return others ? std::optional(count * *others) : std::nullopt;
}

std::optional<int64_t> einhead::leastBytes(AttentionOp op,
                                           const IndexEvaluator &at) {
  auto like = cast<AttentionLike>(op.getOperation());
  AttentionRoles roles = rolesOf(like);
  std::optional<int64_t> keys = product(like, roles.key, at),
                         bytes = keyBytes(like, at);
  if (!keys || !bytes)
    return std::nullopt;
  if (Value valid = op.getValid()) {
    std::optional<int64_t> length =
        valid.getType().isIndex() ? at.value(valid) : at.length;
    if (!length)
      return std::nullopt;
    keys = std::clamp<int64_t>(*length, 0, *keys);
  }
  if (op.getBlocks()) // as many as are listed, and who knows which
    return std::nullopt;
  std::optional<int64_t> count;
  if (op.getMask()) {
    count = PointCount(op, at).run(*keys);
  } else if (auto batches = product(like, roles.batch, at)) {
    count = *batches * *keys;
  }
  return count ? std::optional(*count * *bytes) : std::nullopt;
}

std::optional<int64_t> einhead::rowBlocks(AttentionOp op, int64_t rowTile,
                                          const IndexEvaluator &at) {
  auto like = cast<AttentionLike>(op.getOperation());
  int64_t blocks = 1, left = rowTile;
  for (char letter : llvm::reverse(rolesOf(like).row)) {
    std::optional<int64_t> extent = extentOf(like, letter, at);
    if (!extent)
      return std::nullopt;
    // As the loops are tiled, which is before the size is known.
    int64_t tile = rowTileOf(staticExtent(like, letter), left);
    blocks *= llvm::divideCeil(*extent, tile);
    left = std::max<int64_t>(1, left / tile);
  }
  return blocks;
}

//===----------------------------------------------------------------------===//
// Counted
//===----------------------------------------------------------------------===//

LoopBytes einhead::loopBytes(func::FuncOp function, IndexEvaluator at) {
  LoopBytes result;
  llvm::DenseMap<Operation *, int64_t> visits;
  result.stuck = at.run(function, [&](Operation *op) {
    auto partial = dyn_cast<PartialAttentionOp>(op);
    if (!partial || result.stuck)
      return;
    auto like = cast<AttentionLike>(op);
    AttentionRoles roles = rolesOf(like);
    std::optional<int64_t> keys = partial.getKeyCount()
                                      ? at.value(partial.getKeyCount())
                                      : product(like, roles.key, at);
    auto batches = product(like, roles.batch, at);
    auto bytes = keyBytes(like, at);
    if (!keys || !batches || !bytes || partial.getChunk()) {
      result.stuck = op;
      return;
    }
    result.bytes += *keys * *batches * *bytes;
    // Two tiles for each loop over keys: the ops of one body share a visit.
    int64_t tile =
        partial.getScheduleAttr() ? partial.getScheduleAttr().getKeyTile() : 0;
    if (!visits[op->getParentOp()]++)
      result.padding += 2 * tile * *batches * *bytes;
  });
  return result;
}
