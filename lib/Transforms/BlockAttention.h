//===- BlockAttention.h - One partial attention by a block ----------------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The stages of TileBuilder.h, each shared by the threads of a block, with a
// barrier (|) behind it.  Scores, queries and the rows of K and V stand in
// shared memory, the state in the op's outputs.
//
//   queries  an item is an element, as f32, padded with zeros
//   list     an item is a key                                              |
//   scores   rows of K as they are; | an item is a key and a few rows      |
//   weights  a few threads to a row: the largest of their scores;          |
//            then weights and their sum                                    |
//   values   rows of V as they are; | an item is a few columns and rows    |
//
// Where the rows of a tile of K do not fit, they come in steps, and so do the
// rows of queries.

#ifndef EINHEAD_LIB_TRANSFORMS_BLOCKATTENTION_H
#define EINHEAD_LIB_TRANSFORMS_BLOCKATTENTION_H

#include "ForallToGPU.h"
#include "ScoreBuilder.h"

namespace einhead {

class BlockAttention : public ScoreBuilder {
public:
  BlockAttention(mlir::RewriterBase &rewriter, attn::PartialAttentionOp op,
                 ThreadBlock &block)
      : ScoreBuilder(rewriter, op), block(block) {}
  mlir::LogicalResult run();

private:
  /// Rows of K or V in shared memory.
  struct Stage {
    mlir::Value source;    ///< K or V
    llvm::StringRef term;  ///< its letters
    int64_t columns = 0;   ///< in memory
    int64_t lanes = 0;     ///< elements of one access
    int64_t padded = 0;    ///< columns that products take
    int64_t stride = 0;    ///< elements from row to row, in shared memory
    mlir::Value rows;      ///< [keysAtOnce][stride]
    mlir::Value isAligned; ///< whether whole accesses can be made; or null
    mlir::Type element() const {
      return llvm::cast<mlir::MemRefType>(source.getType()).getElementType();
    }
  };

  // The whole.
  mlir::LogicalResult checkTypes();
  void measureStages();
  mlir::LogicalResult plan();
  int64_t bytesAt(int64_t rowCount, int64_t keyCount, bool bothStages);
  int64_t partsAt(int64_t rowCount) const;
  void allocate();
  void rowBlock(mlir::Value first, int64_t count);
  void tile(mlir::Value start, mlir::Value count, bool full);
  void overKeys(mlir::Value count, bool full,
                llvm::function_ref<void(mlir::Value, mlir::Value)> body);
  // What is brought to shared memory (BlockStages.cpp).
  mlir::Value alignmentOf(const Stage &stage);
  void bringQueries();
  void bring(llvm::ArrayRef<const Stage *> stages, mlir::Value from,
             mlir::Value count);
  void bringVectors(llvm::ArrayRef<const Stage *> stages, mlir::Value from,
                    mlir::Value count);
  /// A piece of a row on its way to shared memory.
  struct Piece {
    const Stage *stage;
    mlir::Value item, key, column, numbers;
  };
  Piece loadPiece(const Stage &stage, mlir::Value item, mlir::Value from,
                  mlir::Value count);
  void storePiece(const Piece &piece, bool isSure);
  void bringNumbers(const Stage &stage, mlir::Value from, mlir::Value count);
  // Scores and weights (BlockScores.cpp).
  void score(mlir::Value from, mlir::Value start, mlir::Value count, bool full);
  void scoresOf(mlir::Value row, int64_t few, mlir::Value from,
                mlir::Value start, mlir::Value key);
  mlir::Value finish(mlir::Value product, mlir::Value row, mlir::Value key);
  void findMaxima(mlir::Value count);
  void weigh(mlir::Value start, mlir::Value count);
  mlir::Value weight(mlir::Value score, mlir::Value max);
  void keepState();
  // Values (BlockValues.cpp).
  void addValues(mlir::Value from, mlir::Value count);
  void valuesOf(mlir::Value row, int64_t few, mlir::Value column,
                int64_t columnCount, mlir::Value from, mlir::Value count);

  /// `body` at each block of rows: `few` at a time, then half as many, ...
  void overRows(
      int64_t few,
      llvm::function_ref<void(int64_t first, int64_t end, int64_t few)> body);
  mlir::Value load(mlir::Value memref, mlir::ValueRange indices);
  void store(mlir::Value value, mlir::Value memref, mlir::ValueRange indices);
  /// Row `row` of the block among all rows.
  mlir::Value global(mlir::Value row) {
    return b.createOrFold<mlir::arith::AddIOp>(rowBase, row);
  }

  ThreadBlock &block;
  Stage keys, vals;
  int64_t rowsAtOnce = 0, keysAtOnce = 0, parts = 1;
  bool bothAtOnce = false;     ///< rows of K and V stand beside each other
  int64_t blockRows = 0;       ///< rows of the block that is being written
  mlir::Value rowBase;         ///< its first row
  mlir::Value queries;         ///< [rowsAtOnce][keys.padded] f32
  mlir::Value maxima, sums;    ///< [rowsAtOnce][parts], of a thread's keys
  mlir::Value newMax, factors; ///< [rowsAtOnce]
};
} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_BLOCKATTENTION_H
