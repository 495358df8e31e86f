//===- TileBuilder.h - What the stages of a tile are built from -----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// One tile: R rows (static) by up to KT keys.
//
//   pack     the queries into scratch, zero-padded to whole vectors; before the
//            key loop
//   list     where the keys are a list: their numbers, and their rows in K
//   scores   s[R][KT] = q . K, unscaled              (TileProducts), times the
//            scales of i8 keys
//   shape    s = log2(e) * (score(scale * s) + bias); -inf where a key does not
//            attend
//   weights  new max, weights = exp2(s - max), rescale of sum and accumulator
//   values   acc[R][V] += weights . V                (TileProducts); of i8
//            values the weights times their scales

#ifndef EINHEAD_LIB_TRANSFORMS_TILEBUILDER_H
#define EINHEAD_LIB_TRANSFORMS_TILEBUILDER_H

#include "einhead/IR/Attn.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/Support/MathExtras.h"

namespace einhead {

/// Whether the rows of K, and those of V, lie one behind the other, as in
/// head-major caches.
bool rowsAdjoin(const attn::AttentionRoles &roles);

/// The geometry of one partial attention and the pieces its code is made of.
class TileBuilder {
public:
  TileBuilder(mlir::RewriterBase &rewriter, attn::PartialAttentionOp op)
      : b(op.getLoc(), rewriter), op(op),
        like(llvm::cast<attn::AttentionLike>(op.getOperation())),
        roles(attn::rolesOf(like)) {}

  int64_t extent(char letter) const { return attn::staticExtent(like, letter); }

  mlir::Value index(int64_t value) {
    return mlir::arith::ConstantIndexOp::create(b, value);
  }
  mlir::Value add(mlir::Value a, mlir::Value x) {
    return mlir::arith::AddIOp::create(b, a, x);
  }
  mlir::Value add(mlir::Value a, int64_t x) { return x ? add(a, index(x)) : a; }
  using CarryingBody = llvm::function_ref<llvm::SmallVector<mlir::Value>(
      mlir::Value, mlir::ValueRange)>;
  mlir::scf::ForOp loop(mlir::Value from, mlir::Value to, int64_t step,
                        mlir::ValueRange carried, CarryingBody body);
  /// A loop of at most one iteration is its body.
  void loop(int64_t from, int64_t to, int64_t step,
            llvm::function_ref<void(mlir::Value)> body);
  void ifThen(mlir::Value condition, llvm::function_ref<void()> body);
  mlir::VectorType vectorOf(mlir::Type element, int64_t count) {
    return mlir::VectorType::get({count}, element);
  }
  mlir::VectorType floats() { return vectorOf(b.getF32Type(), lanes); }
  /// Memory of the tile, on the stack of the parallel loop's body.
  mlir::Value scratch(llvm::ArrayRef<int64_t> shape, mlir::Type element);
  /// Indices into a tensor over `term`: the batch letters' current indices,
  /// row `row`, and the given key and column.
  llvm::SmallVector<mlir::Value> at(llvm::StringRef term, mlir::Value row,
                                    mlir::Value key, mlir::Value column);
  /// `size` elements of `memref` as they are; those from `count` on are 0.
  mlir::Value loadRaw(mlir::Value memref, mlir::ValueRange indices,
                      int64_t size, int64_t count);
  /// `lanes` elements of `memref` (floats or i8) as f32; those from `count` on
  /// are 0.
  mlir::Value loadVector(mlir::Value memref, mlir::ValueRange indices,
                         int64_t count);
  void storeVector(mlir::Value vector, mlir::Value memref,
                   mlir::ValueRange indices, int64_t count);
  /// Columns of vector z, where `columns` are left.
  int64_t countAt(int64_t z, int64_t columns) const {
    return std::min(lanes, columns - z * lanes);
  }
  /// The accumulator's block of `block` rows x `vectors` vectors of columns,
  /// row by row; those past `columns` are 0, and are not stored.
  llvm::SmallVector<mlir::Value> loadSums(mlir::Value row, int64_t block,
                                          mlir::Value column, int64_t vectors,
                                          int64_t columns);
  void storeSums(mlir::Value row, int64_t block, mlir::Value column,
                 int64_t columns, mlir::ValueRange sums);
  /// Says that the rows of the tile `ahead` keys after `start` come soon.
  void readAhead(mlir::Value memref, llvm::StringRef term, mlir::Value start,
                 int64_t columns, bool inOrder);

  /// Whether keys may be left out of the sums: then the weight of such a key is
  /// -0, and its value, which may be NaN, does not count.
  bool mayExclude() {
    return isTested() || op.getBias() || attn::scoreOf(like);
  }
  /// Whether each key is asked if it attends.  A key map without a mask lists
  /// keys that do.
  bool isTested() { return op.getMask() || op.getValid() || op.getBlocks(); }
  /// What multiplies a score of the products; the queries have the scale's
  /// sign.
  double scoreFactor() {
    double scale = std::abs(op.getScale().convertToDouble());
    return scale > 0 ? scale : 1;
  }
  /// Whether the scores are already those of exp2.
  bool isShaped() { return op.getBias() || attn::scoreOf(like); }
  mlir::Value keyExtent();
  /// The row of K and V that key `key` of the tile is.
  mlir::Value rowOf(mlir::Value key);

  mlir::ImplicitLocOpBuilder b;
  attn::PartialAttentionOp op;
  attn::AttentionLike like;
  attn::AttentionRoles roles;
  int64_t lanes = 0, depth = 0, width = 0, keyTile = 0, rows = 1, ahead = 0;
  bool isList = false;
  mlir::Value scores; ///< [rows][keyTile] f32
  mlir::Value keyBase;
  mlir::Value listed, listedRows; ///< by position in the tile
  llvm::DenseMap<char, mlir::Value> batchIndex;
};
} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_TILEBUILDER_H
