//===- KeyTile.h - The keys of an attention op, as values -------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_KEYTILE_H
#define EINHEAD_IR_KEYTILE_H

#include "einhead/IR/KeySet.h"
#include "einhead/IR/Tile.h"

namespace einhead::attn {

/// The key set of a mask on the rows of `op` that `tile` holds, and the values
/// of its symbols.
struct TileKeys {
  KeySet keys;
  llvm::SmallVector<mlir::Value> symbols;

  static TileKeys get(mlir::OpBuilder &builder, AttentionLike op, MaskAttr mask,
                      const LetterTile &tile);
};

/// Keys begin ... end - 1 of the loop over the only key letter, of `op`'s own K
/// (0 is its first).
struct KeyRange {
  mlir::Value begin, end;
};

/// The keys that some row of the tile may attend: no others exist, are valid
/// (where that is one number) or in the mask.  `end` >= `begin`.
KeyRange hullOf(mlir::OpBuilder &builder, AttentionLike op,
                const TileKeys &keys);

/// The keys of `hull` that every row attends, or nothing; perhaps `end` <
/// `begin`.
std::optional<KeyRange> fullKeysOf(mlir::OpBuilder &builder, AttentionLike op,
                                   const TileKeys &keys, const KeyRange &hull);

/// The list of keys of a sparse mask in the tile.
mlir::FailureOr<KeyList> keyListOf(mlir::OpBuilder &builder, AttentionLike op,
                                   const LetterTile &tile);

/// An upper bound of the keys in that list, whichever tile of rows: where the
/// tile is not known yet.
mlir::Value mostListedKeys(mlir::OpBuilder &builder, AttentionLike op,
                           MaskAttr mask);

} // namespace einhead::attn

#endif // EINHEAD_IR_KEYTILE_H
