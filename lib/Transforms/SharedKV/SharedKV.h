//===- SharedKV.h - The ways in which rows share K and V --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_SHAREDKV_SHAREDKV_H
#define EINHEAD_TRANSFORMS_SHAREDKV_SHAREDKV_H

#include "einhead/Analysis/Remark.h"
#include "einhead/Analysis/Traffic.h"
#include "mlir/IR/PatternMatch.h"

namespace einhead::shared_kv {

/// The first reason why a form is not rewritten; "" where there is none, or
/// nothing to rewrite.
using Reason = std::string;

inline constexpr llvm::StringLiteral passFlag = "attn-fuse-shared-kv";

/// K and V that repeat the entries of smaller tensors are read from those.
void populateRepeatedKVPatterns(mlir::RewritePatternSet &patterns);
/// Reads `op` so, if it repeats something; the attention that stands now.
attn::AttentionOp readRepeatedKV(mlir::PatternRewriter &rewriter,
                                 attn::AttentionOp op);
Reason whyNotRepeatedKV(attn::AttentionOp op);

/// Attentions over one K and V become one.
void populateSiblingAttentionPatterns(mlir::RewritePatternSet &patterns);
Reason whyNotSiblingAttention(attn::AttentionOp op);

/// K and V of parts, one of which is repeated, become an attention for each
/// part; the results are merged.
void populatePrefixSuffixPatterns(mlir::RewritePatternSet &patterns);
Reason whyNotPrefixSuffix(attn::AttentionOp op);

/// "4096*m"
inline std::string bytesOf(attn::AttentionOp op) {
  return toString(
      AttentionTraffic::of(mlir::cast<attn::AttentionLike>(op.getOperation()))
          .kvBytes);
}

} // namespace einhead::shared_kv

#endif // EINHEAD_TRANSFORMS_SHAREDKV_SHAREDKV_H
