//===- ValueInKey.h - Values that are columns of the keys -------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_ANALYSIS_VALUEINKEY_H
#define EINHEAD_ANALYSIS_VALUEINKEY_H

#include "einhead/IR/Attn.h"

namespace einhead {

/// Whether the value's elements are elements of the key, at the same rows: then
/// a row of K that has been read brings its row of V along.
struct ValueInKey {
  bool holds = false;
  /// Whether key or value is a slice: only then is a "no" worth a word.
  bool sliced = false;
  /// How it holds, or the first reason why it does not.
  std::string text;

  static ValueInKey of(attn::AttentionLike op);
};

/// Says it, as a remark of `pass`.
void remarkValueInKey(attn::AttentionLike op, llvm::StringRef pass);

/// What a tensor is of the tensor that it is sliced from: dimension i of the
/// slice is dimension `dims[i]` of `base`, from `offsets[dims[i]]` on.
struct SliceWindow {
  mlir::Value base;
  llvm::SmallVector<mlir::OpFoldResult> offsets;
  llvm::SmallVector<int64_t> dims;

  /// Looks through casts and slices of unit stride, as far as offsets add up.
  static SliceWindow of(mlir::Value value);
};

} // namespace einhead

#endif // EINHEAD_ANALYSIS_VALUEINKEY_H
