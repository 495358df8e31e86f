//===- Tile.h - Slices of an attention's operands by letter -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_TILE_H
#define EINHEAD_IR_TILE_H

#include "einhead/IR/Attn.h"

namespace einhead::attn {

/// The part of each letter that a tile covers; letters that are not bound are
/// covered whole.
class LetterTile {
public:
  void bind(char letter, mlir::OpFoldResult offset, mlir::OpFoldResult size) {
    ranges[letter] = {offset, size};
  }
  void release(char letter) { ranges.erase(letter); }
  bool contains(char letter) const { return ranges.count(letter); }
  mlir::OpFoldResult offset(char letter) const {
    return ranges.lookup(letter).first;
  }
  mlir::OpFoldResult size(char letter) const {
    return ranges.lookup(letter).second;
  }

  /// Offsets and sizes of the slice of `value`, whose dimensions are `term`.
  void position(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                llvm::StringRef term,
                llvm::SmallVectorImpl<mlir::OpFoldResult> &offsets,
                llvm::SmallVectorImpl<mlir::OpFoldResult> &sizes) const;

  /// The slice itself, or `value` where no letter of `term` is bound.
  mlir::Value slice(mlir::OpBuilder &builder, mlir::Location loc,
                    mlir::Value value, llvm::StringRef term) const;

private:
  llvm::DenseMap<char, std::pair<mlir::OpFoldResult, mlir::OpFoldResult>>
      ranges;
};

/// The keys of a partial attention as a list: the i-th is map(i)[symbols], for
/// i below count.
struct KeyList {
  mlir::AffineMap map;
  llvm::SmallVector<mlir::Value> symbols;
  mlir::Value count;
  bool isExact = false; ///< no listed key needs a test
};

/// The operands of a tile of an attention, all but the outputs.
struct TiledOperands {
  mlir::Value query, key, value, keyScale, valueScale, bias, valid, blocks;
  std::string offsetLetters;
  llvm::SmallVector<mlir::Value> offsets;
  attn::MaskAttr mask;
  llvm::SmallVector<mlir::Value> maskSymbols;
  KeyList keys;        ///< none where the map is null and the count too
  bool sparse = false; ///< the list of the mask is yet to be made
};

/// Whether the keys of `op` are a list (docs/Spec.md, attn.partial_attention):
/// then K and V are not sliced along the key letter.
bool hasKeyList(AttentionLike op);

/// How many keys the loop over the only key letter visits: those of the list,
/// or all of K.
mlir::OpFoldResult keyLoopExtent(mlir::OpBuilder &builder, AttentionLike op);

/// The batch and row letters on whose index the list of keys depends: a tile
/// holds one index of each.  "" where there is no list.
std::string choosingLetters(AttentionLike op);

/// Slices the operands; where `dropValid`, the tile's keys are known to be
/// valid.
TiledOperands tileOperands(mlir::OpBuilder &builder, AttentionLike op,
                           const LetterTile &tile, bool dropValid);

/// Copies the region that shapes the scores.
void copyScore(AttentionLike from, AttentionLike to);

/// The op `attn.partial_attention` on `operands`, with everything else as in
/// `op`, its region included; `chunk` may be null.
PartialAttentionOp buildPartial(mlir::OpBuilder &builder, AttentionLike op,
                                const TiledOperands &operands,
                                mlir::ValueRange states,
                                mlir::IntegerAttr chunk);

/// The largest tile of `extent` rows up to `limit`: a divisor if there is one
/// that is not much smaller, so that all tiles have one static shape.
int64_t rowTileOf(int64_t extent, int64_t limit);

/// The schedule of an attention, or null.
ScheduleAttr scheduleOf(AttentionLike op);

/// The number of valid keys of a tile that covers one entry of the query's
/// first letter (or where `valid` is a scalar), as an index; null if there is
/// no `valid`, or if it differs within the tile.
mlir::Value scalarValid(mlir::OpBuilder &builder, AttentionLike op,
                        const LetterTile &tile);

} // namespace einhead::attn

#endif // EINHEAD_IR_TILE_H
