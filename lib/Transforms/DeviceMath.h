//===- DeviceMath.h - Math functions as arithmetic --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_DEVICEMATH_H
#define EINHEAD_LIB_TRANSFORMS_DEVICEMATH_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/ArrayRef.h"

namespace einhead {

/// Functions of f64, or of vectors of it, to a few units in the 53rd place;
/// infinities, NaN and zeros give what the C library gives.
class DeviceMath {
public:
  explicit DeviceMath(mlir::ImplicitLocOpBuilder &b) : b(b) {}

  mlir::Value exponential(mlir::Value x);
  mlir::Value exponential2(mlir::Value x);
  mlir::Value exponentialMinus1(mlir::Value x);
  mlir::Value logarithm(mlir::Value x);
  mlir::Value logarithm2(mlir::Value x);
  mlir::Value logarithm10(mlir::Value x);
  mlir::Value logarithm1Plus(mlir::Value x);
  /// |x| < 2^51; NaN beyond.
  mlir::Value sine(mlir::Value x);
  mlir::Value cosine(mlir::Value x);
  mlir::Value tangent(mlir::Value x);
  mlir::Value hyperbolicSine(mlir::Value x);
  mlir::Value hyperbolicCosine(mlir::Value x);
  mlir::Value hyperbolicTangent(mlir::Value x);
  mlir::Value errorFunction(mlir::Value x);
  /// To 1e-13; exact enough for results of f32.
  mlir::Value power(mlir::Value x, mlir::Value y);

  /// e^x of f32 to about 3 ulp, subnormal results included.
  mlir::Value exponentialF32(mlir::Value x);

private:
  mlir::Value number(mlir::Value like, double value);
  mlir::Value integer(mlir::Value like, int64_t value);
  mlir::Value polynomial(mlir::Value x, llvm::ArrayRef<double> coefficients);
  mlir::Value powerOfTwo(mlir::Value exponent, mlir::Value like);
  mlir::Value scale(mlir::Value x, mlir::Value exponent);
  mlir::Value toInteger(mlir::Value x);
  std::pair<mlir::Value, mlir::Value> sineAndCosine(mlir::Value x);
  mlir::Value smallOr(mlir::Value x, double below, mlir::Value small,
                      mlir::Value large);
  mlir::Value clamp(mlir::Value x, double low, double high);

  mlir::ImplicitLocOpBuilder &b;
};

} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_DEVICEMATH_H
