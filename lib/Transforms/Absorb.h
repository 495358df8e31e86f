//===- Absorb.h - Attention to a latent, and what it costs ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_ABSORB_H
#define EINHEAD_TRANSFORMS_ABSORB_H

#include "einhead/Analysis/Traffic.h"
#include "einhead/IR/Attn.h"

namespace einhead {

/// Keys or values as an einsum of a latent and a weight, in the chain's
/// letters.
struct LatentProjection {
  attn::EinsumOp op;
  mlir::Value latent, weight;
  std::string latentTerm, weightTerm, term;
  /// The letter that is summed.
  char column = 0;
};

/// The einsum of the rotary parts of query and key, added to the scores; or
/// those parts alone, where the key is joined of both.
struct RotaryScores {
  attn::EinsumOp op;
  mlir::Operation *sum = nullptr;
  mlir::Value query, key;
  std::string queryTerm, keyTerm;
  char column = 0;
  /// Whether latent and rotary key lie side by side in one tensor, and whether
  /// the latent comes first there.
  bool adjacent = false, latentFirst = true;
};

/// A key that is its projected part and its rotary part side by side.
struct JoinedKey {
  mlir::Value projected, rotary;
  bool projectedFirst = true;
  /// The letter along which they lie; in the chain that of the projected part.
  char depth = 0;
  /// The ops that put it together, the last one first.
  llvm::SmallVector<mlir::Operation *, 2> ops;

  /// The parts of `key`, operand `at` of the scores einsum.
  static std::optional<JoinedKey> of(const attn::EinsumSpec &scores,
                                     unsigned at, mlir::Value key, char over);
  bool isUsedElsewhere() const;
};

/// scores = query . keys, output = weights . values, both projected; all terms
/// in one set of letters, those of the scores einsum.
struct LatentChain {
  attn::SoftmaxOp softmax;
  attn::EinsumOp scores, output;
  mlir::Value query;
  std::string queryTerm, scoreTerm, outputTerm;
  char over = 0;
  LatentProjection keys, values;
  std::optional<JoinedKey> joined;
  std::optional<RotaryScores> rotary;
  std::string letters;
  llvm::SmallDenseMap<char, int64_t> extents;

  /// The query times the weight of the keys, the weights' sum of the latent.
  std::string latentQueryTerm() const;
  std::string latentOutputTerm() const;

  /// What `softmax` belongs to: whether its keys are projected at all, and if
  /// so the first reason why they must stay so, or "".
  static bool match(attn::SoftmaxOp softmax, LatentChain &chain,
                    std::string &why);
};

/// Whether `value` (of letters `term`) is an einsum of something with the key
/// letter and something without it.
bool isProjected(mlir::Value value, llvm::StringRef term, char over);
/// The rotary part of a joined key as scores of its own, whose column goes by
/// `column`; its key is what the part repeats over the latent's letters.
RotaryScores rotaryOfJoined(const LatentChain &chain, char column);
/// Makes the queries of a joined key's parts.
void cutQuery(mlir::OpBuilder &builder, LatentChain &chain);

/// What an evaluation computes, and reads and writes.
struct FormCost {
  llvm::SmallVector<LetterProduct, 4> operations, bytes;

  static FormCost projected(const LatentChain &chain);
  static FormCost latent(const LatentChain &chain);

  /// One number to compare: dynamic keys are many, other dynamic letters 1.
  double weigh(char over) const;
  std::string str() const;
};

/// Rewrites the chain to attention to the latent.
void absorb(LatentChain &chain);

} // namespace einhead

#endif // EINHEAD_TRANSFORMS_ABSORB_H
