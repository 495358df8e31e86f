//===- Parts.h - An attention taken apart -----------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_SHAREDKV_PARTS_H
#define EINHEAD_TRANSFORMS_SHAREDKV_PARTS_H

#include "einhead/IR/Attn.h"
#include "mlir/IR/PatternMatch.h"

namespace einhead::shared_kv {

/// What an attn.attention is made of, to be changed and put together again.
struct AttentionParts {
  explicit AttentionParts(attn::AttentionOp op);

  std::string queryTerm, keyTerm, valueTerm, outputTerm;
  mlir::Value query, key, value, keyScale, valueScale;
  mlir::Value bias, valid, blocks, sink, output, lse;
  attn::MaskAttr mask;
  llvm::SmallVector<mlir::Value> maskSymbols, offsets;
  std::string biasLetters, offsetLetters, blockLetters, sinkLetters;

  std::string spec() const;
  /// The letters of a row's state, as the op had them.
  std::string state() const;
  /// A letter that is not used: the wanted one, if it is free.
  char freshLetter(char wanted) const;
  /// Takes the letters of an attention of the same form; false where it has
  /// another form.
  bool renameTo(const AttentionParts &other);
  /// The letter is used from now on.
  void reserve(char letter) { reserved.push_back(letter); }

  /// h = outer * factor + inner, in everything but key and value: the letter
  /// `outer` keeps h's place, `inner` comes behind it.  `outerExtent` is h's
  /// extent / factor.
  void splitLetter(mlir::OpBuilder &builder, char h, char outer, char inner,
                   mlir::OpFoldResult outerExtent, int64_t factor);
  /// A letter that the scores' region gets the index of, and does not read.
  void addLetterToScore(char letter) { added.push_back(letter); }
  /// A new extent of a letter that starts elsewhere: `by` more than before.
  void addOffset(mlir::OpBuilder &builder, char letter, mlir::Value by);

  /// The op, with the region of the one that was taken apart.
  attn::AttentionOp create(mlir::OpBuilder &builder);

private:
  struct Split {
    char h, outer, inner;
    int64_t factor;
  };
  void adaptScore(mlir::OpBuilder &builder, attn::AttentionOp to) const;

  attn::AttentionOp from;
  llvm::SmallVector<Split> splits;
  std::string added, reserved;
};

/// `tensor` with dimension `dim` as two of the extents (outer, inner).
mlir::Value splitDim(mlir::OpBuilder &builder, mlir::Location loc,
                     mlir::Value tensor, int64_t dim, mlir::OpFoldResult outer,
                     int64_t inner);
/// `tensor` with the dimensions `dim` and `dim` + 1 as one, in the given type.
mlir::Value joinDims(mlir::OpBuilder &builder, mlir::Location loc,
                     mlir::Value tensor, int64_t dim,
                     mlir::RankedTensorType type);

/// Whether the region reads the index of a letter.
bool scoreReads(attn::AttentionOp op, char letter);

} // namespace einhead::shared_kv

#endif // EINHEAD_TRANSFORMS_SHAREDKV_PARTS_H
