//===- TrafficContract.h - K/V bytes, stated and counted --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The traffic contract: what attention must read, counted from its letters and
// its mask's points, against what the tiled loops read, counted by running
// their index arithmetic.  The two share the evaluator, and in which parts the
// mask is walked (MaskWalk.h).
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_ANALYSIS_TRAFFICCONTRACT_H
#define EINHEAD_ANALYSIS_TRAFFICCONTRACT_H

#include "einhead/Analysis/IndexEvaluator.h"

namespace einhead {

/// Example sizes for a function: keys 1000 long, other dynamic dimensions 3.
IndexEvaluator exampleSizes(mlir::func::FuncOp function);

/// The extent of a letter, from the operand that has it.
std::optional<int64_t> extentOf(attn::AttentionLike op, char letter,
                                const IndexEvaluator &at);

/// Keys of a batch that exist and are valid.
std::optional<int64_t> validKeys(attn::AttentionLike op,
                                 const IndexEvaluator &at);

/// K/V bytes of one evaluation of an attention, for each block of rows.
struct StatedBytes {
  int64_t least;  ///< each key that some row attends, once
  int64_t walked; ///< with the keys between, where those are in no list
};

/// What a mask leaves of an attention.
struct MaskedWork {
  int64_t scores, allScores; ///< kept, and without the mask
  int64_t operations;        ///< for the kept ones: 2 for each product and sum
};

/// That of `op` at this point of a run; nothing without a mask, or where it is
/// not known or takes long to count.
std::optional<MaskedWork> maskedWork(attn::AttentionOp op,
                                     const IndexEvaluator &at);

/// " where dynamic keys are 1000 and lengths and positions 700": the example
/// numbers of a function (exampleSizes) that a call would give; "" if none.
std::string exampleText(mlir::func::FuncOp function);

/// Those of `op` at this point of a run; nothing if they depend on what is in a
/// tensor, or on a number that the evaluator lacks.
std::optional<StatedBytes> statedBytes(attn::AttentionOp op,
                                       const IndexEvaluator &at);

/// What the loops of a function read.
struct LoopBytes {
  int64_t bytes = 0; ///< of K and V, by all partial attentions
  int64_t padding =
      0; ///< what the first and last key tile of each loop may add
  mlir::Operation *stuck = nullptr; ///< an op that could not be run
};
LoopBytes loopBytes(mlir::func::FuncOp function, IndexEvaluator at);

/// How many blocks of up to `rowTile` rows the rows of `op` make: each walks
/// its keys once.
std::optional<int64_t> rowBlocks(attn::AttentionOp op, int64_t rowTile,
                                 const IndexEvaluator &at);

} // namespace einhead

#endif // EINHEAD_ANALYSIS_TRAFFICCONTRACT_H
