//===- DecodeWide.h - Many rows of wide values in the key -------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Where the outputs of a row are too wide for many rows to stand in the
// registers of one warpgroup (latent attention: 128 heads, 512 columns), 64
// rows are the M of a wgmma, and two warpgroups have half of the columns each:
//
//   S_g = Q K_g^T       64 rows by the 64 keys of half g of a tile, by group g
//   P_g                 to shared memory, for both groups
//   O_g += P_0 V_0g + P_1 V_1g     64 rows by half of the columns
//
// The groups take turns: while one waits for its scores and takes exponentials,
// the other multiplies.  The reference maximum goes from one to the other with
// the weights.
//
// The tile of K is the tile of V: it is read once.  Its halves lie in two
// stages, each of which is refilled in segments, as soon as no group needs one
// any more: the value's left columns, its right ones, and the columns that are
// the key's alone.  P_g stands in the last of these, where there are some.
//
// Source: FlashMLA (github.com/deepseek-ai/FlashMLA), "A Deep-Dive Into The New
// Flash MLA Kernel": two warpgroups that share the columns of the output, and
// alternate.
//
// Element `e` of column block `n` of an accumulator is at row
// 16 * warp + lane / 4 + 8 * (e / 2) and column 8 * n + lane % 4 * 2 + e % 2.

#ifndef EINHEAD_LIB_TRANSFORMS_HOPPER_DECODEWIDE_H
#define EINHEAD_LIB_TRANSFORMS_HOPPER_DECODEWIDE_H

#include "DecodeEmitter.h"

namespace einhead::hopper {

constexpr int64_t halfKeys = 64, boxBytes = halfKeys * 128;
constexpr double slack = 8; // see DecodeTile.cpp
enum Segment : int64_t { left, right, tail };

/// What a group carries from tile to tile: sums of the thread's two rows, and
/// outputs [column / 8][4].
struct State {
  Values sums, outputs;

  Values pack() const {
    Values values(sums);
    llvm::append_range(values, outputs);
    return values;
  }
  static State unpack(mlir::ValueRange values) {
    return {Values(values.take_front(2)), Values(values.drop_front(2))};
  }
};

/// The weights of a half, and by what outputs so far are to be multiplied.
struct Weights {
  Values values, factors;
  mlir::Value raised; ///< i1: whether a factor of the warp is not 1
};

class WideEmitter final : public DecodeEmitter {
public:
  using DecodeEmitter::DecodeEmitter;

private:
  void initBarriers() override;
  void produce() override;
  void consume() override;

  int64_t leftBoxes() const { return llvm::divideCeil(shape.widthBoxes(), 2); }
  int64_t columns() const { return leftBoxes() * 64; } ///< of a group
  int64_t boundary(int64_t segment) const {
    int64_t bounds[] = {0, leftBoxes(), shape.widthBoxes(), shape.depthBoxes()};
    return bounds[segment];
  }
  int64_t weightsOf(int64_t half) const;
  mlir::Value fullOf(int64_t half, int64_t segment) {
    return i32(shape.fullOffset() + (half * 3 + segment) * 8);
  }
  mlir::Value emptyOf(int64_t half, int64_t segment) {
    return i32(shape.emptyOffset() + (half * 3 + segment) * 8);
  }
  /// What goes with a half's weights: the rows' maxima, the factors of what was
  /// summed before, and, for each warp, whether there are any.
  mlir::Value maximaOf(int64_t half, mlir::Value row) {
    return noteOf(half * 64, row);
  }
  mlir::Value factorsOf(int64_t half, mlir::Value row) {
    return noteOf(128 + half * 64, row);
  }
  mlir::Value growthOf(int64_t half) {
    return noteOf(256 + half * 4, groupWarp);
  }
  mlir::Value noteOf(int64_t first, mlir::Value i) {
    return add(mul(i, 4), shape.maximaOffset() + first * 4);
  }
  mlir::Value rowAt(int64_t i) { return add(firstOfThread, i * 8); }
  mlir::Value readyBarrier(int64_t half) { return i32(2 + half); }

  void copySegment(const Item &item, mlir::Value firstKey, mlir::Value phase,
                   int64_t half, Segment segment);
  void release(int64_t half);
  mlir::Value askScores(mlir::Value phase);
  Values maskScores(const Item &item, Values scores, mlir::Value firstKey);
  Values relative(llvm::ArrayRef<mlir::Value> scores,
                  llvm::ArrayRef<mlir::Value> maxima);
  Weights weigh(llvm::ArrayRef<mlir::Value> scores, Values &sums);
  Values raise(llvm::ArrayRef<mlir::Value> scores,
               llvm::ArrayRef<mlir::Value> rowMaxima);
  void scaleOutputs(State &state, mlir::Value isScaled,
                    llvm::ArrayRef<mlir::Value> factors);
  void storeWeights(llvm::ArrayRef<mlir::Value> weights);
  mlir::Value askValues(int64_t half, State &state);
  void takeValues(int64_t half, mlir::Value sums, State &state);
  mlir::Value askOthers(State &state);
  void addTile(const Item &item, mlir::Value firstKey, mlir::Value phase,
               State &state);
  void overKeys();
  void startItem();
  void finish(const Item &item, const State &state);
  void overColumns(llvm::function_ref<void(mlir::Value, int64_t)> body);
  void writeRow(const Item &item, int64_t i, mlir::Value max, mlir::Value sum,
                const State &state);
  void storeState(const Item &item, int64_t i, mlir::Value max, mlir::Value sum,
                  const State &state);

  int64_t self = 0;          ///< the group that code is being written for
  mlir::Value firstOfThread; ///< the first of the rows that a thread has
};

} // namespace einhead::hopper

#endif // EINHEAD_LIB_TRANSFORMS_HOPPER_DECODEWIDE_H
