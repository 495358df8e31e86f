//===- KeySet.h - The keys that a tile of rows may read ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A mask is a union of integer sets; which keys some rows can need, and which
// they all need, are projections of it.  They are taken here, with MLIR's
// Presburger library, for any set: no mask is known by name.
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_KEYSET_H
#define EINHEAD_IR_KEYSET_H

#include "einhead/IR/Attn.h"

namespace einhead::attn {

/// A bound of the keys, affine in the symbols of a KeySet: for a lower bound
/// the least, over its parts, of the greatest expression of a part; for an
/// upper bound (inclusive) the other way round.  No part: no bound.
struct KeyBound {
  bool isLower = true;
  llvm::SmallVector<llvm::SmallVector<mlir::AffineExpr, 2>, 2> parts;

  bool exists() const { return !parts.empty(); }
  /// The bound as ops; null where there is none.
  mlir::Value build(mlir::OpBuilder &builder, mlir::Location loc,
                    mlir::ValueRange symbols) const;
  /// The bound as a number.
  std::optional<int64_t> evaluate(llvm::ArrayRef<int64_t> symbols) const;
  /// "max(0, p + n - 127)", with the names of the symbols.
  std::string str(llvm::ArrayRef<std::string> names) const;
};

/// A number that an expression of symbols never exceeds, if one is found.
std::optional<int64_t> greatestValue(mlir::AffineExpr expr, unsigned symbols);

/// A letter of which a tile holds several indices: they start at one symbol,
/// and are `size` many, or as many as another symbol says.
struct TileRow {
  unsigned start, sizeSymbol;
  int64_t size;
};

/// The least (or greatest) value of a bound of one row over all rows of a tile,
/// where each of its expressions grows or falls with a row's index; nothing
/// where one does neither.
std::optional<KeyBound> overRows(const KeyBound &bound,
                                 llvm::ArrayRef<TileRow> rows, bool least);

/// Keys that lie apart: `run` keys in every `stride`.  Key i of the list is
///   sign * (stride * (firstBlock + i floordiv run) + i mod run) + base.
struct SparseKeys {
  int64_t sign = 1, stride = 1, run = 1;
  mlir::AffineExpr base;
  KeyBound firstBlock, lastBlock;
  /// Every key of the list exists and is in the mask.
  bool isExact = false;

  /// The map (i)[firstBlock, base] -> key.
  mlir::AffineMap map(mlir::MLIRContext *context) const;
};

/// The keys of one mask in one tile: a tile holds, of each letter of the mask
/// but the key letter, the indices [start, start + size).
///
/// The symbols of all expressions are, in this order: the start of each such
/// letter (in the mask's order), the size of each whose size is dynamic, the
/// mask's own symbols, and the number of keys.
class KeySet {
public:
  /// `sizes`: by letter, in the mask's order without the key letter.
  static KeySet get(MaskAttr mask, char key, llvm::ArrayRef<int64_t> sizes);

  /// Some row may attend the keys first ... last, and no other.
  KeyBound first{true, {}}, last{false, {}};
  /// No row attends any key where an expression of each list is negative; no
  /// list: nothing is known.
  llvm::SmallVector<llvm::SmallVector<mlir::AffineExpr, 2>, 1> where;
  /// Every row attends the keys fullFirst ... fullLast, if `mayBeFull`.
  KeyBound fullFirst{true, {}}, fullLast{false, {}};
  bool mayBeFull = false;
  /// No row attends any key, whatever the symbols are; there are no bounds
  /// then.
  bool isEmpty = false;
  /// The keys as a list, where at most every second of first ... last is one.
  std::optional<SparseKeys> sparse;

  unsigned numSymbols = 0;
};

/// Letters of a mask without the key letter.
std::string otherLetters(MaskAttr mask, char key);

/// The mask as masks that no key is in twice, each with one set where that can
/// be written; the given mask alone where it cannot.
llvm::SmallVector<MaskAttr> disjointMasks(MaskAttr mask);

/// Letters other than the key letter on whose index the list of keys of a
/// sparse mask depends; "" if the mask is not sparse.
std::string choosingLetters(MaskAttr mask, char key);

/// Whether the mask has a list of keys.
bool isSparse(MaskAttr mask, char key);

} // namespace einhead::attn

#endif // EINHEAD_IR_KEYSET_H
