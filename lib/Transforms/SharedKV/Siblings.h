//===- Siblings.h - Attentions over one key and value -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_SHAREDKV_SIBLINGS_H
#define EINHEAD_TRANSFORMS_SHAREDKV_SIBLINGS_H

#include "Parts.h"
#include "SharedKV.h"
#include "View.h"
#include <vector>

namespace einhead::shared_kv {

/// Attentions over one key and value, in the letters of the first.
struct Siblings {
  llvm::SmallVector<attn::AttentionOp> ops;
  std::vector<AttentionParts> parts;
  /// The row letter whose extents differ, or 0: then each is one index of a new
  /// row letter.
  char along = 0;

  /// Those that can be one attention with `first`, which precedes them.
  static Siblings of(attn::AttentionOp first);
  /// Why `op` is not one of them; "" if it joins them.
  Reason add(attn::AttentionOp op);
  /// How many rows the part has along `along`; kDynamic if that is not known.
  int64_t rows(size_t part) const;
  /// Takes a row letter whose extents agree; a reason if something depends on
  /// its index.
  Reason takeLetter(char letter) const;
};

/// The attentions before or behind `op` in its block that read the same key
/// and value, in order.
llvm::SmallVector<attn::AttentionOp> overSameKeys(attn::AttentionOp op,
                                                  bool behind);

/// The queries of siblings as one tensor.
struct JoinedQuery {
  mlir::Value query;
  std::string term;
  /// Where the rows of each sibling start in the letter, which is `along` of
  /// the siblings or new.
  char letter = 0;
  llvm::SmallVector<mlir::OpFoldResult> starts;
  mlir::OpFoldResult extent;
  bool copies = true;

  /// Reads the tensor whose slices the queries are; stacks or concatenates
  /// them where there is none.
  static JoinedQuery build(mlir::OpBuilder &builder, const Siblings &siblings);
};

} // namespace einhead::shared_kv

#endif // EINHEAD_TRANSFORMS_SHAREDKV_SIBLINGS_H
