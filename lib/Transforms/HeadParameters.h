//===- HeadParameters.h - Pooled parameters in the IR -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_HEADPARAMETERS_H
#define EINHEAD_TRANSFORMS_HEADPARAMETERS_H

#include "HeadTrace.h"
#include "einhead/Transforms/HeadPooling.h"
#include "mlir/IR/Builders.h"

namespace einhead {

struct PoolOptions {
  int64_t groups = 1;
  HeadMethod method = HeadMethod::Mean;
  uint64_t seed = 0;
  double deviation = 0.02;
};

/// `type` with another number of heads.
mlir::RankedTensorType withHeads(mlir::Type type, HeadDim at, int64_t heads);

/// Makes pooled forms of parameters, each once: constants are folded, for
/// arguments the ops are written that pool them in each call.
class HeadParameters {
public:
  explicit HeadParameters(const PoolOptions &options) : options(options) {}

  /// Why the parameter cannot be pooled; "" where it can.
  std::string refusal(const HeadUse &parameter) const;
  /// Puts the pooled form in the place of the parameter.
  void replace(const HeadUse &parameter);

private:
  mlir::Value pooled(const HeadUse &parameter);

  PoolOptions options;
  llvm::DenseMap<std::pair<mlir::Value, unsigned>, mlir::Value> made;
};

} // namespace einhead

#endif // EINHEAD_TRANSFORMS_HEADPARAMETERS_H
