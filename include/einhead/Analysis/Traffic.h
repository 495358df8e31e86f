//===- Traffic.h - Bytes and operations of an attention ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_ANALYSIS_TRAFFIC_H
#define EINHEAD_ANALYSIS_TRAFFIC_H

#include "einhead/IR/Attn.h"

namespace einhead {

/// A product: a number times the extents of letters that are dynamic.  The key
/// letter of an attention with a `valid` length counts as dynamic.
struct LetterProduct {
  int64_t coefficient = 1;
  std::string letters;

  std::string str() const;
  /// Its value where each letter has the given extent.
  int64_t evaluate(llvm::function_ref<int64_t(char)> extent) const;
};

/// What one evaluation of an attention must move and compute.
struct AttentionTraffic {
  /// The least K/V bytes: every element of K and V once (K alone where V is a
  /// slice of K).
  llvm::SmallVector<LetterProduct, 2> kvBytes;
  /// The K/V bytes that are read when each row walks K and V by itself.
  llvm::SmallVector<LetterProduct, 2> kvBytesUnshared;
  /// Multiplications and additions of both products.
  llvm::SmallVector<LetterProduct, 2> operations;

  static AttentionTraffic of(attn::AttentionLike op);
};

/// "4096 * m + 128 * bm", or "0".
std::string toString(llvm::ArrayRef<LetterProduct> products);

} // namespace einhead

#endif // EINHEAD_ANALYSIS_TRAFFIC_H
