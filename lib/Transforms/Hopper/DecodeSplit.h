//===- DecodeSplit.h - Groups of weights, a group of outputs ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Where rows are many, a warpgroup that computes scores, then weights, then
// outputs waits for each of them, and has too many registers for a third one to
// fill the gaps.  Here two groups compute weights, of a tile each in turn, and
// a third one outputs:
//
//   S^T = K Q^T, P^T      tile i by group i % 2; P goes to shared memory
//   O^T += V^T P^T        all tiles by group 2, which has all outputs
//
//   weightsFull[g]    the weights of group g, and what they refer to, are there
//   weightsEmpty[g]   group 2 has read them
//   decided[g]        what group g's weights refer to is known
//
// What weights refer to is raised rarely.  It goes from tile to tile: a group
// begins with what the other one left.  A number counts how often it was raised
// in an item; who finds another number than its own scales its sums (or
// outputs), as it may take a group's references with it, which stay as they
// are until group 2 has read the weights.

#ifndef EINHEAD_LIB_TRANSFORMS_HOPPER_DECODESPLIT_H
#define EINHEAD_LIB_TRANSFORMS_HOPPER_DECODESPLIT_H

#include "DecodeEmitter.h"

namespace einhead::hopper {

class SplitEmitter final : public DecodeEmitter {
public:
  using DecodeEmitter::DecodeEmitter;

private:
  void initBarriers() override;
  void consume() override;

  enum Role : int64_t { weightsFull, weightsEmpty, decided };
  mlir::Value roleBarrier(Role role, mlir::Value ofGroup) {
    return add(mul(ofGroup, 8), shape.rolesOffset() + role * 16);
  }
  /// Of a group: twice how often references were raised, and whether a row has
  /// had no key yet.
  mlir::Value raisesOf(mlir::Value ofGroup) {
    return add(mul(ofGroup, 4), shape.rolesOffset() + 48);
  }

  void startItem(const Item &item);
  void adoptReferences(mlir::Value ofGroup);
  void follow(mlir::Value isBehind, mlir::Value ofGroup, Carried &carried);
  Values tileScores(const Item &item, mlir::Value firstKey, mlir::Value stage,
                    mlir::Value phase, Scales &scales);
  Values decide(llvm::ArrayRef<mlir::Value> raw, const Scales &scales,
                mlir::Value number, mlir::Value &raises, Carried &carried);
  void addWeights(const Item &item, mlir::Value tile, mlir::Value stage,
                  mlir::Value phase, mlir::Value number, mlir::Value &raises,
                  Carried &carried);
  Values computeWeights(const Item &item, mlir::ValueRange ring);
  mlir::Value valuesOf(mlir::Value stage) {
    return add(mul(stage, shape.stageBytes()),
               shape.valueInKey ? 0 : shape.keyBytes());
  }
  Values prepareValues(const Item &item, mlir::Value tile, mlir::Value stage,
                       mlir::Value phase);
  Values addOutputs(const Item &item, mlir::Value tile, mlir::Value stage,
                    mlir::Value phase, mlir::Value number,
                    llvm::ArrayRef<mlir::Value> ahead, mlir::Value &raises,
                    Carried &carried);
  Values computeOutputs(const Item &item, mlir::ValueRange ring);
};

} // namespace einhead::hopper

#endif // EINHEAD_LIB_TRANSFORMS_HOPPER_DECODESPLIT_H
