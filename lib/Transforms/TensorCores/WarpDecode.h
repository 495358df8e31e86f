//===- WarpDecode.h - Decode attention by mma.sync --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The kernel for chips without wgmma and TMA.  Sharing of work, merging of
// parts and masks are those of Hopper/DecodeKernel.h; here is what a block does
// with a tile of keys:
//
//   groups   of warps have equal parts of a tile, and a ring of stages in
//   shared
//            memory each, which they fill by cp.async: no group waits for
//            another until its keys are done.  Where rows are few, a group is a
//            warp, and a barrier is one of 32 threads
//   warps    of a group have the same keys, and rows of their own: `rowTiles`
//            times 16, which are the M of m16n8k16
//   S = Q K^T     the accumulators are where operand A of the next product is
//   O += P V      in registers, as is the reference maximum of each row
//
// A stage is a half of keys and a half of values, each refilled as soon as it
// has been read.  Rows are an odd number of 16 bytes apart: ldmatrix reads 8 of
// them at once, from different banks.
//
// The maximum that weights refer to is raised only where a score exceeds it by
// 2^8, as on Hopper.

#ifndef EINHEAD_LIB_TRANSFORMS_TENSORCORES_WARPDECODE_H
#define EINHEAD_LIB_TRANSFORMS_TENSORCORES_WARPDECODE_H

#include "../Hopper/DecodeEmitter.h"

namespace einhead::tensorcores {

using hopper::Item, hopper::Values, hopper::Addressed;

/// What a warp carries from tile to tile.
struct WarpState {
  mlir::Value unseen; ///< i1: a row has had no key yet
  Values maxima;      ///< of the thread's rows, [rowTiles][2]
  Values sums;        ///< [rowTiles][4], as accumulators
  Values outputs;     ///< [rowTiles][width / 8][4]

  Values pack() const;
  static WarpState unpack(mlir::ValueRange values, int64_t rowTiles);
};

class WarpEmitter final : public hopper::DecodeEmitter {
public:
  using DecodeEmitter::DecodeEmitter;
  void runWarps();

private:
  /// How K or V comes into shared memory.
  struct Stream {
    int64_t pitch = 0;  ///< bytes from row to row of a stage
    int64_t start = 0;  ///< of the half in a stage
    int64_t pieces = 0; ///< of 16 bytes, of a row
    int64_t lanes = 0;  ///< threads that copy a row at a time
    const Addressed *memory = nullptr;
    mlir::Value stride;      ///< i64: bytes from key to key
    mlir::Value base;        ///< of the item
    mlir::Value row, column; ///< of the thread's first piece; bytes
    mlir::Value takesPart;   ///< i1; null: all threads do
    mlir::Value isAligned;   ///< i1: to 16 bytes, all rows
  };

  // WarpDecode.cpp: the whole.
  void setUpWarps();
  void overKeys();
  void loadQueries(const Item &item);
  Values queryRows(int64_t rowTile, int64_t step);
  Values keptQueries();
  void spillState(const WarpState &state);
  void finish(const Item &item, const WarpState &state);
  void syncKeys();

  // WarpDecodeRing.cpp: memory to shared memory.
  Stream streamOf(bool ofValue);
  void startStream(Stream &stream, const Item &item);
  void copy(const Stream &stream, const Item &item, mlir::Value tile,
            mlir::Value slot);
  mlir::Value loadPiece(mlir::Value from, mlir::Value isAligned);
  void loadRows(const Stream &stream, const Item &item, mlir::Value firstKey,
                mlir::Value to);
  void copyRows(const Stream &stream, const Item &item, mlir::Value firstKey,
                mlir::Value to, bool isPartial);
  void fill(const Item &item);
  void refill(const Stream &stream, const Item &item, mlir::Value tile,
              mlir::Value slot);
  mlir::Value after(mlir::Value slot);
  mlir::Value before(mlir::Value slot);

  // WarpDecodeTile.cpp: a tile.
  WarpState tile(const Item &item, mlir::Value number, mlir::Value slot,
                 mlir::ValueRange queries, WarpState state);
  Values scores(mlir::Value keys, mlir::ValueRange queries);
  Values loadKeys(mlir::Value keys, int64_t step, int64_t sixteen);
  Values maskScores(const Item &item, Values scores, mlir::Value firstKey);
  Values relative(llvm::ArrayRef<mlir::Value> scores,
                  llvm::ArrayRef<mlir::Value> maxima);
  std::pair<Values, WarpState> raise(llvm::ArrayRef<mlir::Value> scores,
                                     WarpState state);
  void addValues(mlir::Value values, llvm::ArrayRef<mlir::Value> weights,
                 WarpState &state);
  double room() const;

  int64_t rowTiles() const { return shape.warps->rowTiles; }
  int64_t groupThreads() const { return shape.warps->rowWarps * 32; }
  int64_t groupKeys() const { return shape.roundKeys(); }
  int64_t depthSteps() const { return (shape.depth + 15) / 16; }
  int64_t keyBlocks() const { return groupKeys() / 8; }
  int64_t stageBytes() const { return shape.stageBytes() / shape.groups; }
  int64_t ringBytes() const { return shape.stages * stageBytes(); }
  /// Halves that are under way while one is read and one is free.
  int64_t ahead() const {
    return shape.stages * (shape.valueInKey ? 1 : 2) - 2;
  }
  /// The score of element `e` of block `n` of 8 keys.
  int64_t scoreAt(int64_t rowTile, int64_t n, int64_t e) const {
    return (rowTile * keyBlocks() + n) * 4 + e;
  }
  /// Which of the thread's rows element `i` of scores is of.
  int64_t rowOfScore(int64_t i) const {
    return i / (4 * keyBlocks()) * 2 + i % 4 / 2;
  }
  /// The row (of the block) that is the thread's i-th.
  mlir::Value rowAt(int64_t i) {
    return add(firstOfThread, i / 2 * 16 + i % 2 * 8);
  }

  Stream keyStream, valueStream;
  mlir::Value groupThread, groupRing; ///< ring: offset of the group's
  mlir::Value firstOfWarp;            ///< row
  mlir::Value firstOfThread;
  // Where the lane's row of matrices is, from the start of 16 rows: 8 of them
  // twice, then the next 16 bytes; or 8 of them, the next 16 bytes, 8 more.
  mlir::Value alongKeys, alongValues, alongQueries;
};

} // namespace einhead::tensorcores

#endif // EINHEAD_LIB_TRANSFORMS_TENSORCORES_WARPDECODE_H
