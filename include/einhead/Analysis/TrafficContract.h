//===- TrafficContract.h - K/V bytes, stated and counted --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The traffic contract: what attention must read, counted from its letters and
// its mask's points, against what the tiled loops read, counted by running
// their index arithmetic.  The two share no code but the evaluator.
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_ANALYSIS_TRAFFICCONTRACT_H
#define EINHEAD_ANALYSIS_TRAFFICCONTRACT_H

#include "einhead/Analysis/IndexEvaluator.h"

namespace einhead {

/// Example sizes for a function: keys 1000 long, other dynamic dimensions 3.
IndexEvaluator exampleSizes(mlir::func::FuncOp function);

/// The least K/V bytes of one evaluation of `op`, at this point of a run: each
/// key that some row attends, once; nothing if they depend on what is in a
/// tensor, or on a number that the evaluator lacks.
std::optional<int64_t> leastBytes(attn::AttentionOp op,
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
