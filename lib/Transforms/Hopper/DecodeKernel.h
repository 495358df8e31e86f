//===- DecodeKernel.h - Decode attention on Hopper tensor cores -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// One launch computes one attention.  A unit is the rows that share K and V; a
// thread block (where rows are many, a block for each block of them) takes a
// run of tiles: a part of a unit, whole units, or the end of one and the start
// of another (DecodeWork.cpp).
//
//   producer   one thread streams tiles of K and V with TMA into a ring of
//              stages in shared memory, each with a full and an empty mbarrier
//   consumers  `groups` warpgroups take the tiles in turn and compute the
//              transposed products S^T = K Q^T and O^T += V^T P^T: keys and
//              columns fill the 64 rows of a wgmma, the query rows are its N,
//              padded to a multiple of 8 and no more
//   merge      the states of the groups are joined in shared memory, those of
//              the parts of a unit in global memory, by the blocks that made
//              them, each a share of the outputs
//
// The maximum that weights refer to is raised only when a score exceeds it by
// 2^8, so that the accumulators are rescaled rarely (FlashAttention-4).

#ifndef EINHEAD_LIB_TRANSFORMS_HOPPER_DECODEKERNEL_H
#define EINHEAD_LIB_TRANSFORMS_HOPPER_DECODEKERNEL_H

#include "KernelBuilder.h"
#include "mlir/IR/IntegerSet.h"
#include "llvm/Support/MathExtras.h"

namespace einhead::hopper {

/// How warps compute by mma.sync (TensorCores/WarpDecode.h).
struct WarpShape {
  /// Warps that have the same keys, each with rows of its own; a group.
  int64_t rowWarps = 1;
  int64_t rowTiles = 1;      ///< of 16 rows, of a warp
  bool keepsQueries = false; ///< in registers, from tile to tile
};

/// What a kernel is generated for.
struct DecodeShape {
  int64_t totalRows;    ///< query rows that share K and V
  int64_t rows;         ///< those of one thread block: all, or some of them
  int64_t depth, width; ///< multiples of 8
  bool valueInKey;      ///< the value is the key's first columns
  mlir::Type element;   ///< of the products' operands: bf16 or f16
  mlir::Type query;     ///< bf16 or f16; `element`, unless keys are bytes
  /// Key and value are f8E4M3FN; consumers convert them to f16, in which each
  /// of their numbers is exact (DecodeBytes.cpp).
  bool byteKeys = false;
  /// Those bytes are i8, which f16 has exactly, too.
  bool integers = false;
  /// Keys, or values, have a scale each (DecodeScales.cpp).
  bool keyScaled = false, valueScaled = false;
  mlir::Type output;      ///< f32, f16 or bf16
  double scale;           ///< of the scores, > 0
  int64_t groups, stages; ///< stages are a multiple of the groups
  int64_t keyTile;        ///< a multiple of roundKeys()
  int64_t keyBlocks = 1;  ///< of 64 keys, that a group computes at a time
  int64_t blocksPerSM;
  /// Many rows and wide values, which stand in the key (DecodeWide.cpp).
  bool wide = false;
  /// Two groups compute weights and a third one outputs (DecodeSplit.cpp).
  bool split = false;
  /// Without wgmma: the groups are groups of warps, and split a tile's keys.
  std::optional<WarpShape> warps;

  /// Blocks of rows, each of which a thread block of its own computes, from the
  /// same tiles at the same time.
  int64_t rowBlocks() const { return llvm::divideCeil(totalRows, rows); }
  int64_t paddedRows() const {
    return warps ? warps->rowWarps * warps->rowTiles * 16
                 : llvm::alignTo(rows, wide ? 64 : 8);
  }
  /// A TMA box has rows of 128 bytes.
  int64_t boxColumns() const { return byteKeys ? 128 : 64; }
  int64_t depthBoxes() const { return llvm::divideCeil(depth, boxColumns()); }
  int64_t widthBoxes() const { return llvm::divideCeil(width, boxColumns()); }
  /// Queries have boxes of 64 columns; a wgmma computes 64 columns of outputs.
  int64_t queryBoxes() const { return llvm::divideCeil(depth, 64); }
  int64_t outputBlocks() const { return llvm::divideCeil(width, 64); }
  int64_t roundKeys() const {
    return warps ? keyTile / groups : keyBlocks * 64;
  }
  int64_t consumers() const {
    return groups * (warps ? warps->rowWarps * 32 : 128);
  }
  int64_t weightGroups() const { return split ? 2 : groups; }
  int64_t outputGroups() const { return split ? 1 : groups; }
  /// The producer is one thread.  Where there are several groups, its warp has
  /// the company of three: registers move between whole warpgroups alone.
  int64_t threads() const {
    return warps ? consumers() : consumers() + (groups > 1 ? 128 : 32);
  }

  /// Registers of a consumer's thread, where so many groups share an SM with a
  /// producer that keeps few.
  static constexpr int64_t registers(int64_t groups) {
    return groups == 1 ? 255 : groups == 2 ? 240 : 160;
  }

  /// Keys of a stage, and of a TMA box.
  int64_t stageKeys() const { return wide ? 64 : keyTile; }

  // Shared memory, in bytes from its start.
  int64_t keyBytes() const {
    return stageKeys() * (warps ? pitch(depth) : depthBoxes() * 128);
  }
  int64_t valueBytes() const {
    int64_t row = warps ? pitch(width) : widthBoxes() * 128;
    return valueInKey ? 0 : stageKeys() * row;
  }
  /// From row to row, where warps read 8 rows of 16 bytes at once: an odd
  /// number of 16 bytes, so that these are in different banks.
  static int64_t pitch(int64_t columns) { return (columns / 8 | 1) * 16; }
  int64_t stageBytes() const { return keyBytes() + valueBytes(); }
  int64_t queryOffset() const { return stages * stageBytes(); }
  int64_t weightOffset() const {
    return queryOffset() + queryBoxes() * paddedRows() * 128;
  }
  /// Whether the weights of wide values stand where columns of the key do that
  /// are no value's.
  bool weightsInRing() const { return wide && depthBoxes() > widthBoxes(); }
  /// Where outputs are joined, over the queries and weights.
  int64_t outputOffset() const { return warps ? 0 : queryOffset(); }
  /// Behind the outputs, the groups' maxima and sums.
  int64_t statesOffset() const {
    return outputOffset() + outputGroups() * rows * width * 4;
  }
  int64_t fullOffset() const;
  /// The ring and the queries of warps, or the states that they join there.
  int64_t warpBytes() const;
  int64_t barriersPerStage() const { return wide ? 3 : valueInKey ? 1 : 2; }
  int64_t emptyOffset() const {
    return fullOffset() + stages * barriersPerStage() * 8;
  }
  int64_t maximaOffset() const {
    return emptyOffset() + stages * barriersPerStage() * 8;
  }
  int64_t reductionOffset() const {
    if (warps)
      return warpBytes();
    int64_t notes = wide ? 4 * paddedRows() + 8 : groups * paddedRows();
    return maximaOffset() + notes * 4;
  }
  int64_t referenceOffset() const {
    return reductionOffset() + groups * 4 * paddedRows() * 4;
  }
  int64_t factorOffset() const {
    return referenceOffset() + groups * paddedRows() * 4;
  }
  /// Barriers between groups that compute weights and the one of outputs.
  int64_t rolesOffset() const {
    return factorOffset() + (byteKeys ? paddedRows() * 4 : 0);
  }
  static constexpr int64_t rolesBytes = 64;
  /// Scales of each stage: of keys, then of values.
  bool isScaled() const { return keyScaled || valueScaled; }
  int64_t scalesOffset() const {
    return rolesOffset() + (split ? rolesBytes : 0);
  }
  int64_t valueScalePlace() const { return keyScaled ? keyTile * 4 : 0; }
  int64_t scaleBytes() const {
    return valueScalePlace() + (valueScaled ? keyTile * 4 : 0);
  }
  /// Units of scales: each group's, then a number of each of its warps.
  int64_t unitsOffset() const { return scalesOffset() + stages * scaleBytes(); }
  int64_t sharedBytes() const {
    if (warps)
      return warpBytes() + 32; // what is found about runs
    return unitsOffset() + (valueScaled ? groups * 20 : 0);
  }
  /// A block leaves the states of at most two units that it does not compute
  /// whole: that of its first one, and that of its last one.
  static constexpr int64_t statesPerBlock = 2;
  /// A part's state in global memory, in floats: maxima, sums, outputs.
  int64_t stateFloats() const { return rows * (width + 4); }
  /// Whether a cluster's blocks can leave their states in their rings.
  bool stateFitsRing() const { return stateFloats() * 4 <= queryOffset(); }
};

/// A tensor that the kernel reads or writes element by element: a pointer, and
/// strides (i64, in elements) of the batch and row letters.
struct Addressed {
  mlir::Value base;
  Values batchStrides, rowStrides;
};

/// Which keys a row attends, of those between the first and the last one.
struct KeyMask {
  /// A key attends where one of these holds.
  llvm::SmallVector<mlir::IntegerSet> sets;
  /// What the dimensions of the sets are: a row letter's place, or -1: the key.
  llvm::SmallVector<int64_t> dims;
  Values symbols;
  mlir::Value begin;              ///< no row attends a key before
  mlir::Value fullBegin, fullEnd; ///< all rows attend those between
};

/// The parameters of a kernel, as values of its body.
struct DecodeParameters {
  mlir::Value keyMap, valueMap; ///< tensor maps: column, key, batch letters
  /// Of each dimension of a tensor map from the third on, the batch letter.
  llvm::SmallVector<int64_t> keyLetters, valueLetters;
  /// Without tensor maps: K and V by rows; strides i64, in elements.
  Addressed key, value;
  mlir::Value keyStride, valueStride; ///< from key to key
  /// Bits: whether all rows of K, V and the query begin at multiples of 16
  /// bytes.
  mlir::Value aligned;
  Addressed query, output, lse;
  Addressed keyScale, valueScale; ///< the one row stride is the keys'
  mlir::Value partials, counters; ///< pointers to f32 and i32
  mlir::Value lengths;            ///< of the first batch letter, i64, or null
  mlir::Value keys;               ///< how many there are at most
  std::optional<KeyMask> mask;
  mlir::Value units;
  mlir::Value unitsEach; ///< of one index of the first batch letter
  /// How tiles are shared out: parts of each unit (> 0), whole units (0), or
  /// runs of tiles of equal length (-1).
  mlir::Value parts;
  Values batchExtents;
  llvm::SmallVector<int64_t> rowExtents;
};

/// Writes the body of the kernel at the builder's place.  `sharedBase` is the
/// start of its shared memory, aligned to 1024 bytes.
void buildDecodeKernel(mlir::OpBuilder &builder, mlir::Location loc,
                       const DecodeShape &shape,
                       const DecodeParameters &parameters,
                       mlir::Value sharedBase);

} // namespace einhead::hopper

#endif // EINHEAD_LIB_TRANSFORMS_HOPPER_DECODEKERNEL_H
