//===- VectorMath.h - Arithmetic on vectors of f32 --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_VECTORMATH_H
#define EINHEAD_LIB_TRANSFORMS_VECTORMATH_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/Support/MathExtras.h"

namespace einhead {

/// A constant of `type` (f32 or a vector of it).
mlir::Value splat(mlir::ImplicitLocOpBuilder &b, mlir::Type type, double value);

/// 2^x for x <= 0 (f32 or a vector of it): 0 for -inf and below -126, 1 for 0.
/// NaN for NaN.  To about 2 ulp.
mlir::Value buildExp2(mlir::ImplicitLocOpBuilder &b, mlir::Value x);

/// 2^x to 3e-6, for x below 100, where what is less than 2^-126 counts as 0: it
/// is about to be rounded to bf16.  NaN for a NaN whose low 9 bits are 0.
mlir::Value buildWeight(mlir::ImplicitLocOpBuilder &b, mlir::Value x);

/// A maximum to subtract: what no key has reached keeps -inf, and 0 stands in.
mlir::Value buildFinite(mlir::ImplicitLocOpBuilder &b, mlir::Value max);

/// The larger of both; `a` where they do not compare.
mlir::Value buildMax(mlir::ImplicitLocOpBuilder &b, mlir::Value a,
                     mlir::Value x);

/// One vector whose lane i is the sum of the lanes of vectors[i % n]; n is a
/// power of two, at most the number of lanes.
mlir::Value buildLaneSums(mlir::ImplicitLocOpBuilder &b,
                          llvm::SmallVector<mlir::Value> vectors);
/// The same of vectors that come one after the other, each added as soon as it
/// can be.  With `each` > 1 they are such sums of `each` vectors themselves.
class LaneSums {
public:
  explicit LaneSums(mlir::ImplicitLocOpBuilder &b, int64_t each = 1)
      : b(&b), first(llvm::Log2_64(each)) {}
  void push(mlir::Value vector);
  mlir::Value sum() const { return pending.front(); }

private:
  mlir::ImplicitLocOpBuilder *b;
  int64_t first;
  llvm::SmallVector<mlir::Value> pending; ///< of falling levels
  size_t count = 0;
};
/// The same of their maxima.
mlir::Value buildLaneMaxima(mlir::ImplicitLocOpBuilder &b,
                            llvm::SmallVector<mlir::Value> vectors);

} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_VECTORMATH_H
