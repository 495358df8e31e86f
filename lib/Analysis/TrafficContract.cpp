//===- TrafficContract.cpp - K/V bytes, stated and counted ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Analysis/TrafficContract.h"
#include "MaskPoints.h"
#include "einhead/IR/Tile.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

static constexpr int64_t exampleKeys = 1000;

std::optional<int64_t> einhead::extentOf(AttentionLike op, char letter,
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

std::optional<int64_t> einhead::validKeys(AttentionLike op,
                                          const IndexEvaluator &at) {
  Value valid = op.getValid();
  std::optional<int64_t> keys = product(op, rolesOf(op).key, at);
  if (!keys || !valid)
    return keys;
  std::optional<int64_t> length =
      valid.getType().isIndex() ? at.value(valid) : at.length;
  if (!length)
    return std::nullopt;
  return std::clamp<int64_t>(*length, 0, *keys);
}

std::optional<StatedBytes> einhead::statedBytes(AttentionOp op,
                                                const IndexEvaluator &at) {
  auto like = cast<AttentionLike>(op.getOperation());
  std::optional<int64_t> keys = validKeys(like, at), bytes = keyBytes(like, at),
                         batches = product(like, rolesOf(like).batch, at);
  // Of blocks there are as many as are listed, and who knows which.
  if (!keys || !bytes || !batches || op.getBlocks())
    return std::nullopt;
  if (!op.getMask())
    return StatedBytes{*batches * *keys * *bytes, *batches * *keys * *bytes};
  auto points = MaskPoints::get(like, at, *keys);
  if (!points)
    return std::nullopt;
  int64_t walked = 0;
  for (const WalkedMask &part : walkOf(like, at))
    walked += points->walked(part);
  int64_t least = points->attended();
  return StatedBytes{least * *bytes, std::max(least, walked) * *bytes};
}

std::optional<MaskedWork> einhead::maskedWork(AttentionOp op,
                                              const IndexEvaluator &at) {
  auto like = cast<AttentionLike>(op.getOperation());
  AttentionRoles roles = rolesOf(like);
  std::optional<int64_t> keys = validKeys(like, at);
  if (!op.getMask() || op.getBlocks() || !keys)
    return std::nullopt;
  auto points = MaskPoints::get(like, at, *keys);
  std::optional<int64_t> kept = points ? points->pairs() : std::nullopt;
  auto all = product(like, roles.batch + roles.row, at),
       others = product(
           like, lettersWithout(roles.row, op.getMask()->getLetters()), at),
       depth = product(like, roles.depth, at),
       width = product(like, roles.value, at);
  if (!kept || !all || !others || !depth || !width)
    return std::nullopt;
  int64_t scores = *kept * *others;
  return MaskedWork{scores, *all * *keys, 2 * scores * (*depth + *width)};
}

std::string einhead::exampleText(func::FuncOp function) {
  bool isDynamic = false, takesNumbers = false;
  for (Type type : function.getArgumentTypes()) {
    auto shaped = dyn_cast<ShapedType>(type);
    isDynamic |= shaped && shaped.hasRank() && !shaped.hasStaticShape();
    takesNumbers |= getElementTypeOrSelf(type).isIntOrIndex() &&
                    !getElementTypeOrSelf(type).isInteger(8);
  }
  if (!isDynamic && !takesNumbers)
    return "";
  std::string text = " where ";
  if (isDynamic)
    text += "dynamic keys are " + std::to_string(exampleKeys);
  if (takesNumbers)
    text += (isDynamic ? " and lengths and positions "
                       : "lengths and positions are ") +
            std::to_string(IndexEvaluator().length);
  return text;
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
