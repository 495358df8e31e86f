//===- Product.h - A contraction for tensor cores ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// C[batch, rows, columns] = start + sum A[batch, rows, sums] B[batch, columns,
// sums], of 16-bit operands with sums in f32.  Any number of loops has each of
// the four roles; the loops of a role count as one, the last one fastest.

#ifndef EINHEAD_LIB_TRANSFORMS_TENSORCORES_PRODUCT_H
#define EINHEAD_LIB_TRANSFORMS_TENSORCORES_PRODUCT_H

#include "einhead/Target/GPUInfo.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include <optional>
#include <string>

namespace einhead::tensorcores {

/// An operand or the result.
struct Matrix {
  mlir::Value memref;
  mlir::AffineMap map;
  /// The loop of the dimension whose elements are neighbours in memory.
  std::optional<unsigned> contiguous;
  /// Whether neighbours of the tile's lines (rows of A, columns of B) are
  /// neighbours in memory, and not those of the sums.
  bool isLineMajor = false;
  /// Whether 8 neighbours of the role's last loop are 16 bytes of memory,
  /// where addresses, strides and extents allow it.
  bool hasVectors = false;
};

/// What is computed, and what of the function it replaces.
struct Product {
  mlir::linalg::GenericOp op;
  Matrix a, b, c;
  llvm::SmallVector<unsigned> batch, rows, columns, sums; ///< loops
  mlir::linalg::FillOp fill; ///< where the sums start; null: what C holds
  mlir::linalg::GenericOp rounding; ///< of the sums to C's type; may be null

  /// The product that the op is; otherwise `why` says why it is none.
  static std::optional<Product> match(mlir::linalg::GenericOp op,
                                      std::string &why);
  mlir::Type element() const; ///< of A and B
  mlir::Type result() const;  ///< of C
  /// The product of the extents of these loops, where they are known.
  std::optional<int64_t> count(llvm::ArrayRef<unsigned> loops) const;

private:
  bool assignRoles(std::string &why);
  void orderLoops();
  void findRounding();
};

/// How a product is cut.
struct Tile {
  int64_t rows = 0, columns = 0; ///< of C that a block computes
  int64_t warpsDown = 1, warpsAcross = 1;
  int64_t stages = 0;     ///< of the ring in shared memory
  int64_t blocksEach = 1; ///< that a multiprocessor should have

  /// Sums of a step: 128 bytes.
  static constexpr int64_t sums = 64;

  static Tile choose(const Product &product, const GPUInfo &gpu);
  int64_t threads() const { return 32 * warpsDown * warpsAcross; }
  int64_t warpRows() const { return rows / warpsDown; }
  int64_t warpColumns() const { return columns / warpsAcross; }
  /// Of A's part of a stage, and of a stage.
  int64_t aBytes() const { return rows * sums * 2; }
  int64_t stageBytes() const { return (rows + columns) * sums * 2; }
  int64_t sharedBytes() const { return stages * stageBytes(); }

private:
  static Tile ofExtents(const Product &product);
};

/// Replaces the op, its fill and its rounding by a launch of a new kernel of
/// this name.
void lowerProduct(const Product &product, const Tile &tile,
                  mlir::gpu::GPUModuleOp kernels, llvm::StringRef name);

} // namespace einhead::tensorcores

#endif // EINHEAD_LIB_TRANSFORMS_TENSORCORES_PRODUCT_H
