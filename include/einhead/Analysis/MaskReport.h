//===- MaskReport.h - What a mask means for keys and caches -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_ANALYSIS_MASKREPORT_H
#define EINHEAD_ANALYSIS_MASKREPORT_H

#include "einhead/IR/KeySet.h"

namespace einhead {

/// What the rows of an attention read under its mask, one sentence for each of
/// the parts that it is walked in (MaskWalk):
///   "keys max(0, p - 127) to min(p, m - 1)"
///   "8 keys in every 128, blocks 0 to ..."
/// Rows are at the first index of their letters; names are the symbols of the
/// mask (p, q, r in their order) and the letters.
llvm::SmallVector<std::string> describeKeys(attn::AttentionOp op);

/// What the mask lets a KV cache forget: the keys that no query from the
/// position on can read.
struct CachePolicy {
  enum class Kind {
    Unknown, ///< no symbol of the mask is known to be the position
    All,     ///< every key may be read again: no saving
    Ring,    ///< the last `keys` keys are enough
    Summary, ///< the last `keys`, and `run` of every `stride` before them
  } kind = Kind::Unknown;
  int64_t keys = 0, run = 0, stride = 0;
  int64_t head = 0; ///< the first keys of the cache, which stay

  static CachePolicy of(attn::AttentionLike op);
  /// One sentence.
  std::string str() const;
};

} // namespace einhead

#endif // EINHEAD_ANALYSIS_MASKREPORT_H
