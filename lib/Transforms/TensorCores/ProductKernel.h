//===- ProductKernel.h - The kernel of a product ----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// A block computes one tile of C, or its sums over a part of the steps.  Its
// threads copy tiles of A and B into a ring in shared memory, without waiting
// for them (cp.async), where memory can be read 16 bytes at a time; element by
// element, where it cannot.  Warps multiply parts of the tile by m16n8k16.
// Where several blocks have parts of one tile, each stores its sums, and the
// one that comes last adds them up in their order.

#ifndef EINHEAD_LIB_TRANSFORMS_TENSORCORES_PRODUCTKERNEL_H
#define EINHEAD_LIB_TRANSFORMS_TENSORCORES_PRODUCTKERNEL_H

#include "../Hopper/KernelBuilder.h"
#include "Product.h"

namespace einhead::tensorcores {

using hopper::Values;

/// A matrix as the kernel sees it: strides by loop, null where it has none.
struct Addressed {
  mlir::Value base; ///< in global memory
  llvm::SmallVector<mlir::Value> strides;
};

/// What the launch passes; i32, strides i64.
struct KernelParameters {
  Addressed a, b, c;
  mlir::Value partials, counters;
  llvm::SmallVector<mlir::Value> extents; ///< by loop
  mlir::Value parts, stepsEach;           ///< of a tile's sums
  mlir::Value vectors; ///< bits: 0, 1: 16 bytes of A, B; 2: two of C at once
};

/// Emits the code of one thread.
class ProductEmitter : private hopper::KernelBuilder {
public:
  ProductEmitter(mlir::OpBuilder &builder, mlir::Location loc,
                 const Product &product, const Tile &tile,
                 const KernelParameters &parameters, mlir::Value sharedBase);
  void run();

private:
  /// One operand's way from memory to fragments.
  struct Source {
    Source(const Matrix &matrix, const Addressed &memory,
           llvm::ArrayRef<unsigned> loops, int64_t lines, int64_t start)
        : matrix(matrix), memory(memory), loops(loops), lines(lines),
          start(start) {}

    const Matrix &matrix;
    const Addressed &memory;
    llvm::ArrayRef<unsigned> loops; ///< of the lines
    int64_t lines;                  ///< of the tile
    int64_t start;                  ///< in a stage, bytes
    mlir::Value base, first, count; ///< of the batch; line of the tile, all
    mlir::Value isVector;
    // Of this thread's 16-byte pieces: where they go, whether their line is
    // there, its offset, and the sum at which they are.
    Values places, isThere, offsets, atSum;
  };

  // ProductTiles.cpp: memory to shared memory.
  void prepare(Source &source);
  int64_t chunksOf(const Source &source) const;
  void loadStage(mlir::Value step, mlir::Value stage);
  void copyVectors(Source &source, mlir::Value firstSum, mlir::Value stage);
  void copyElements(Source &source, mlir::Value firstSum, mlir::Value stage);
  std::pair<mlir::Value, mlir::Value> pieceAt(const Source &source,
                                              mlir::Value chunk);
  mlir::Value placeOf(const Source &source, mlir::Value line, mlir::Value sum);
  mlir::Value offsetOf(const Addressed &memory, llvm::ArrayRef<unsigned> loops,
                       mlir::Value index);
  mlir::Value countOf(llvm::ArrayRef<unsigned> loops);

  // ProductKernel.cpp: shared memory to sums.
  void findTile();
  Values multiply(mlir::Value begin, mlir::Value end);
  Values multiplyStage(mlir::Value stage, mlir::ValueRange sums);
  void prepareFragments();
  Values loadFragment(const Source &source, mlir::Value stage,
                      mlir::Value place, int64_t step);

  // ProductEpilogue.cpp: sums to C.
  void finish(mlir::ValueRange sums);
  void storePart(mlir::ValueRange sums);
  Values joinParts();
  mlir::Value isLastPart();
  void store(mlir::ValueRange sums);
  void storeTwo(mlir::Value pointer, mlir::Value isSecond,
                mlir::Value secondOffset, mlir::Value x, mlir::Value y);
  mlir::Value started(mlir::Value pointer, mlir::Value sum);
  mlir::Value partialPointer(mlir::Value part, int64_t quad);

  int64_t tilesDown() const { return tile.warpRows() / 16; }
  int64_t tilesAcross() const { return tile.warpColumns() / 8; }
  int64_t sumsEach() const { return 4 * tilesDown() * tilesAcross(); }

  const Product &product;
  const Tile &tile;
  const KernelParameters &p;
  Source left, right;
  mlir::Value thread, lane, warpRow, warpColumn;
  mlir::Value tileNumber, part, batchIndex, sumCount;
  Values aPlaces, bPlaces; ///< of fragments, in a stage
};

} // namespace einhead::tensorcores

#endif // EINHEAD_LIB_TRANSFORMS_TENSORCORES_PRODUCTKERNEL_H
