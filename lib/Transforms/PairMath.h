//===- PairMath.h - Products of vectors, f32 or pairs of bf16 ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_PAIRMATH_H
#define EINHEAD_LIB_TRANSFORMS_PAIRMATH_H

#include "TileBuilder.h"
#include <array>

namespace einhead {

/// sum + a . b: by lanes for f32, of neighbours (2i, 2i + 1) into lane i for
/// bf16, which takes subnormal operands as 0.
mlir::Value buildMultiplyAdd(mlir::ImplicitLocOpBuilder &b, mlir::Value x,
                             mlir::Value y, mlir::Value sum);

/// The same bits as a vector of `element`.
mlir::Value castElements(mlir::ImplicitLocOpBuilder &b, mlir::Value vector,
                         mlir::Type element);

/// x0 y0 x1 y1 ..., in two vectors.
std::array<mlir::Value, 2> buildInterleave(mlir::ImplicitLocOpBuilder &b,
                                           mlir::Value x, mlir::Value y);
/// The low or high half of each 128 bits of `x` and `y`, interleaved: x0 y0 x1
/// y1 ...: pairs of the columns that follow from `toUnpackedOrder`.
mlir::Value buildUnpack(mlir::ImplicitLocOpBuilder &b, mlir::Value x,
                        mlir::Value y, bool high);
/// Vectors of f32 over neighbouring columns into the order in which unpacked
/// pairs leave them, two by two, and back.
void toUnpackedOrder(mlir::ImplicitLocOpBuilder &b,
                     llvm::MutableArrayRef<mlir::Value> vectors);
void fromUnpackedOrder(mlir::ImplicitLocOpBuilder &b,
                       llvm::MutableArrayRef<mlir::Value> vectors);

/// `size` bf16 that repeat the pair memref[row][column], [column + 1].
mlir::Value loadPair(mlir::ImplicitLocOpBuilder &b, mlir::Value memref,
                     mlir::Value row, mlir::Value column, int64_t size);

/// Stores vectors of weights in memref[row]; returns `total` and their sums, by
/// lanes.
mlir::Value keepFloats(mlir::ImplicitLocOpBuilder &b,
                       llvm::ArrayRef<mlir::Value> vectors, mlir::Value memref,
                       mlir::Value row, mlir::Value total);

/// Rounds vectors of f32 weights to bf16 and stores them in memref[row];
/// returns `total` and the sums of the rounded ones, by lanes.
mlir::Value keepPairs(mlir::ImplicitLocOpBuilder &b,
                      llvm::ArrayRef<mlir::Value> vectors, mlir::Value memref,
                      mlir::Value row, mlir::Value total,
                      mlir::Value firstKey = {});

/// vectors[i][j] -> vectors[j][i], as many vectors as lanes, of 32-bit
/// elements.
void buildTranspose(mlir::ImplicitLocOpBuilder &b,
                    llvm::SmallVectorImpl<mlir::Value> &vectors);

/// The queries of all rows, in the element type of `q` ([rows][columns]), with
/// 0 in the columns past the depth.
void packQueries(TileBuilder &tile, mlir::Value q);

} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_PAIRMATH_H
