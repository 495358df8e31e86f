//===- MaskWalk.h - In which parts loops walk a mask ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_ANALYSIS_MASKWALK_H
#define EINHEAD_ANALYSIS_MASKWALK_H

#include "einhead/Analysis/IndexEvaluator.h"
#include "einhead/IR/KeySet.h"

namespace einhead {

/// A part of a mask: the loops take the keys of its list, for one index at a
/// time of the letters that choose it, or those between its first and its last
/// key.
struct WalkedMask {
  attn::MaskAttr mask;
  bool isListed;
};

/// Parts of a mask, no key in two of them, walked one after the other.
using MaskWalk = llvm::SmallVector<WalkedMask>;

/// How the op's mask is walked.  Of the ways to cut the mask, and to list a
/// part's keys or not, the one whose loops read the fewest keys; which that is,
/// is counted for the numbers of `at`.
MaskWalk walkOf(attn::AttentionLike op, const IndexEvaluator &at);

/// The same for the numbers that `op` sees first in a run of its function with
/// example sizes.
MaskWalk walkOf(attn::AttentionOp op);

/// Row letters that choose the list of a part.
std::string choosingRows(attn::AttentionLike op, attn::MaskAttr part);

} // namespace einhead

#endif // EINHEAD_ANALYSIS_MASKWALK_H
