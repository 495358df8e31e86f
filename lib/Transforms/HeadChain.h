//===- HeadChain.h - One attention and its heads ----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_HEADCHAIN_H
#define EINHEAD_TRANSFORMS_HEADCHAIN_H

#include "HeadTrace.h"
#include "einhead/IR/Attn.h"
#include "einhead/IR/EinsumSpec.h"

namespace einhead {

/// One attention of the graph.
struct HeadChain {
  attn::EinsumOp scores, values;
  attn::SoftmaxOp softmax;
  unsigned key = 0;     ///< operand of `scores`
  unsigned weights = 0; ///< operand of `values`
  /// From the scores to the weights, the softmax among them.
  llvm::SmallVector<mlir::Operation *> between;
  unsigned headDim = 0; ///< of scores and weights
  int64_t heads = 0;

  attn::EinsumSpec scoresSpec() {
    return *attn::EinsumSpec::parse(scores.getSpec());
  }
  attn::EinsumSpec valuesSpec() {
    return *attn::EinsumSpec::parse(values.getSpec());
  }
  char scoresHead() { return scoresSpec().output[headDim]; }
  char valuesHead() { return valuesSpec().inputs[weights][headDim]; }
  HeadUse keyUse() {
    unsigned dim = attn::indexOf(scoresSpec().inputs[key], scoresHead());
    return {&scores->getOpOperand(key), HeadDim{dim, heads, 1}};
  }
  HeadUse valueUse() {
    unsigned dim =
        attn::indexOf(valuesSpec().inputs[1 - weights], valuesHead());
    return {&values->getOpOperand(1 - weights), HeadDim{dim, heads, 1}};
  }
};

/// The chain around a softmax; an error says why it cannot be converted.
mlir::FailureOr<HeadChain> matchHeadChain(attn::SoftmaxOp softmax);

/// One result, computed element by element from tensors of its shape.
bool isElementwise(mlir::Operation *op);

} // namespace einhead

#endif // EINHEAD_TRANSFORMS_HEADCHAIN_H
