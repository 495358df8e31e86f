//===- View.h - Where the elements of a tensor come from --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A key that is repeated, sliced, reshaped or put together again holds the
// elements of another tensor.  However that is spelled, it is one affine map
// from its indices to those of the other tensor; what follows from the map
// follows for every spelling.
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_SHAREDKV_VIEW_H
#define EINHEAD_TRANSFORMS_SHAREDKV_VIEW_H

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AffineExpr.h"

namespace einhead::shared_kv {

/// One index of the source: with d the `dim`-th index of the tensor looked at,
///   Constant     offset
///   Same         d + offset
///   Divided      d floordiv factor + offset     (each entry `factor` times)
///   Remainder    d mod factor + offset          (all entries again and again)
struct SourceIndex {
  enum Kind { Constant, Same, Divided, Remainder } kind = Constant;
  int64_t dim = -1;
  int64_t factor = 1;
  int64_t offset = 0;

  /// The index that an expression is, if it has one of these forms.
  static std::optional<SourceIndex> get(mlir::AffineExpr expr);
};

/// value[d0, d1, ...] = source[indices of d0, d1, ...].
struct View {
  mlir::Value value, source;
  llvm::SmallVector<mlir::AffineExpr> indices;
  /// Dimensions of the value that are dynamic and a multiple of a number.
  llvm::SmallVector<std::pair<int64_t, int64_t>> multiples;
  /// What lies between, from the value upwards: "linalg.broadcast".
  llvm::SmallVector<llvm::StringRef, 4> spelling;

  /// The value itself.
  static View identity(mlir::Value value);
  /// Goes up by one op; false where the walk ends.
  bool stepUp();
  /// The source with indices in the forms of SourceIndex, each dimension of the
  /// value in at most one; nothing otherwise.
  std::optional<llvm::SmallVector<SourceIndex>> forms() const;
  /// Whether both are the same elements.
  bool sameElements(const View &other) const;
};

/// From the value itself to as far up as the walk goes.
llvm::SmallVector<View> viewsOf(mlir::Value value);
/// The last of viewsOf().
View deepestView(mlir::Value value);

/// The part of the source that the forms reach, its constant dimensions
/// dropped: `source` itself where that is all of it.  Of the source's dimension
/// `wide` (if any) `wideSize` indices from the form's offset on are taken.
mlir::Value materialise(mlir::OpBuilder &builder, mlir::Location loc,
                        const View &view, llvm::ArrayRef<SourceIndex> forms,
                        int64_t wide = -1, int64_t wideSize = 0);

/// Parts that lie one after the other along `dim` and make up a whole tensor: a
/// concatenation, or insertions that leave nothing over.
struct Pieces {
  int64_t dim = 0;
  llvm::SmallVector<mlir::Value> parts;
  /// Parts lack the dimension (each is one index of it).
  bool reduced = false;

  static std::optional<Pieces> of(mlir::Value value);
  /// The extent of a part along `dim`; 1 where they lack it.
  int64_t extent(size_t part) const;
};

/// Views of parts as one view of the whole: where all have one source, and
/// differ in constants that are affine in the number of the part.
struct Fit {
  mlir::Value source;
  llvm::SmallVector<mlir::AffineExpr> indices;

  static std::optional<Fit> of(llvm::ArrayRef<View> parts, const Pieces &pieces,
                               mlir::Value whole);
};

} // namespace einhead::shared_kv

#endif // EINHEAD_TRANSFORMS_SHAREDKV_VIEW_H
