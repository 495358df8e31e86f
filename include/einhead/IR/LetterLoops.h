//===- LetterLoops.h - linalg.generic over letters --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_IR_LETTERLOOPS_H
#define EINHEAD_IR_LETTERLOOPS_H

#include "mlir/IR/Builders.h"

namespace einhead::attn {

/// A tensor and the letters of its dimensions.
using Lettered = std::pair<mlir::Value, std::string>;

/// The element that a loop computes from the elements of the inputs and of the
/// result so far.
using ElementBody = llvm::function_ref<mlir::Value(
    mlir::OpBuilder &, mlir::Location, mlir::ValueRange)>;

mlir::Value createFloat(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::Type type, double value);

/// A new tensor of `shape` filled with `value`.
mlir::Value createFilled(mlir::OpBuilder &builder, mlir::Location loc,
                         llvm::ArrayRef<mlir::OpFoldResult> shape,
                         mlir::Type type, double value);

/// A linalg.generic over the letters `loops` that starts with `init`; the loops
/// that `output` lacks are reductions.
mlir::Value createLetterLoops(mlir::OpBuilder &builder, mlir::Location loc,
                              llvm::StringRef loops,
                              llvm::ArrayRef<Lettered> inputs, mlir::Value init,
                              llvm::StringRef output, ElementBody body);

/// `value` as an element of `type`, a float of any width.
mlir::Value convertFloat(mlir::OpBuilder &builder, mlir::Location loc,
                         mlir::Value value, mlir::Type type);

/// What a softmax knows of each row: the largest score, exp(score - largest) of
/// each key, and their sum.  A row without keys has -inf, 0 and 0.
struct SoftmaxRows {
  mlir::Value max, weights, sum;
};

/// The rows of a softmax of `scores` over the letters `over`; `sink` is one
/// more score of each row, or null.
SoftmaxRows createSoftmaxRows(mlir::OpBuilder &builder, mlir::Location loc,
                              const Lettered &scores, llvm::StringRef over,
                              const Lettered &sink);

/// weight / sum, and 0 where no key attends, as an element of `type`.
mlir::Value createShare(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::Value weight, mlir::Value sum, mlir::Type type);

/// weight * value, and 0 where the weight is 0: a key that does not attend may
/// have any value, NaN too.
mlir::Value createWeighted(mlir::OpBuilder &builder, mlir::Location loc,
                           mlir::Value weight, mlir::Value value);

} // namespace einhead::attn

#endif // EINHEAD_IR_LETTERLOOPS_H
