//===- PartialEmitter.h - One partial attention as register tiles ---------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// One tile: R rows (static) by up to KT keys.
//
//   pack     Q rows into q[R][D'], f32, times scale * log2(e), zero-padded to
//            whole vectors; before the key loop
//   scores   s[R][KT] = q . K: register blocks of MR rows x NK keys, MR * NK
//            accumulators of L lanes, whose lane sums are one vector
//   list     where the keys are a list: their numbers, and their rows in K
//   shape    s = log2(e) * (score(s) + bias); -inf where a key does not attend
//   weights  by row: new max, s = exp2(s - max), rescale of sum and accumulator
//   values   acc[R][V] += s . V: blocks of MR rows x NZ vectors of columns
//
// Each K row and each V row is loaded once for a block of MR rows, and the tile
// stays in the first cache for the other blocks.

#ifndef EINHEAD_LIB_TRANSFORMS_PARTIALEMITTER_H
#define EINHEAD_LIB_TRANSFORMS_PARTIALEMITTER_H

#include "einhead/IR/Attn.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/Support/MathExtras.h"

namespace einhead {

class PartialEmitter {
public:
  PartialEmitter(mlir::RewriterBase &rewriter, attn::PartialAttentionOp op)
      : b(op.getLoc(), rewriter), op(op),
        like(llvm::cast<attn::AttentionLike>(op.getOperation())),
        roles(attn::rolesOf(like)) {}

  mlir::LogicalResult run();

private:
  // Geometry.
  int64_t extent(char letter) const { return attn::staticExtent(like, letter); }
  int64_t paddedDepth() const { return llvm::alignTo(depth, lanes); }
  /// Rows of a register block: the largest power of two up to `left` that
  /// leaves room for at least as many keys.
  int64_t rowBlock(int64_t left) const;

  // Building blocks.
  mlir::Value index(int64_t value) {
    return mlir::arith::ConstantIndexOp::create(b, value);
  }
  mlir::Value add(mlir::Value a, mlir::Value x) {
    return mlir::arith::AddIOp::create(b, a, x);
  }
  mlir::Value add(mlir::Value a, int64_t x) { return x ? add(a, index(x)) : a; }
  mlir::scf::ForOp
  loop(mlir::Value from, mlir::Value to, int64_t step, mlir::ValueRange carried,
       llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value,
                                                         mlir::ValueRange)>
           body);
  void loop(int64_t from, int64_t to, int64_t step,
            llvm::function_ref<void(mlir::Value)> body);
  mlir::VectorType vectorOf(mlir::Type element, int64_t count) {
    return mlir::VectorType::get({count}, element);
  }
  mlir::Value scratch(llvm::ArrayRef<int64_t> shape, mlir::Type element);
  /// Indices into a tensor over `term`: the batch letters' current indices,
  /// row `row`, and the given key and column.
  llvm::SmallVector<mlir::Value> at(llvm::StringRef term, mlir::Value row,
                                    mlir::Value key, mlir::Value column);
  /// `lanes` elements of `memref` as f32; those from `count` on are 0.
  mlir::Value loadVector(mlir::Value memref, mlir::ValueRange indices,
                         int64_t count);
  void storeVector(mlir::Value vector, mlir::Value memref,
                   mlir::ValueRange indices, int64_t count);

  // The stages.
  mlir::Operation *packAnchor();
  void pack();
  void overBatch(size_t letter, llvm::function_ref<void()> body);
  void tiles();
  void tile(mlir::Value start, mlir::Value count, bool full);
  void scores(mlir::Value start, mlir::Value count, bool full);
  void scoreBlock(mlir::Value row, int64_t rows, mlir::Value start,
                  mlir::Value count, bool full, bool fetch);
  void shapeScores(mlir::Value start, mlir::Value count);
  mlir::Value shapedScore(mlir::Value score, mlir::Value row, mlir::Value key);
  mlir::Value isLive(mlir::Value row, mlir::Value key);
  /// The index of `letter` in the whole attention, at `row` and `key`.
  mlir::Value absolute(char letter, mlir::Value row, mlir::Value key);
  /// Whether keys may be left out of the sums: then the weight of such a key is
  /// -0, and its value, which may be NaN, does not count.
  bool mayExclude() {
    return isTested() || op.getBias() || attn::scoreOf(like);
  }
  /// Whether each key is asked if it attends.  A key map without a mask lists
  /// keys that do.
  bool isTested() { return op.getMask() || op.getValid() || op.getBlocks(); }
  bool namesRow(llvm::StringRef letters);
  void testKeys(mlir::Value row, mlir::Value start, mlir::Value count);
  void excludeKeys(mlir::Value row);
  // Lists of keys.
  void list(mlir::Value start, mlir::Value count);
  mlir::Value listedKey(mlir::Value position);
  mlir::Value keyExtent();
  /// The row of K and V that key `key` of the tile is.
  mlir::Value rowOf(mlir::Value key);
  void weights(mlir::Value count, bool full);
  void rescale(mlir::Value row, mlir::Value factor);
  mlir::Value isExcluded(mlir::Value weight);
  void values(mlir::Value start, mlir::Value count);
  void valueBlock(mlir::Value row, int64_t rows, mlir::Value start,
                  mlir::Value count, mlir::Value column, int64_t vectors,
                  int64_t lastCount, bool fetch);
  /// Calls `body(row, rows, first)` for register blocks that cover all rows;
  /// the first block is the one that brings the tile in.
  void overRowBlocks(llvm::function_ref<void(mlir::Value, int64_t, bool)> body);
  void prefetch(mlir::Value memref, mlir::ValueRange indices);
  /// How many vectors of `memref` share a cache line of 64 bytes.
  int64_t vectorsInLine(mlir::Value memref) const;

  mlir::ImplicitLocOpBuilder b;
  attn::PartialAttentionOp op;
  attn::AttentionLike like;
  attn::AttentionRoles roles;
  int64_t lanes = 0, depth = 0, width = 0, keyTile = 0, rows = 1, ahead = 0;
  bool isList = false;
  mlir::Value q, s, keyBase;
  mlir::Value listed, listedRows, live; ///< by position in the tile
  llvm::DenseMap<char, mlir::Value> batchIndex;
};
} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_PARTIALEMITTER_H
