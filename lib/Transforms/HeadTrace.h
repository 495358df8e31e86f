//===- HeadTrace.h - Where keys and values get their heads ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_HEADTRACE_H
#define EINHEAD_TRANSFORMS_HEADTRACE_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

namespace einhead {

/// A dimension of `heads` times `inner` entries, one head after the other.
struct HeadDim {
  unsigned dim = 0;
  int64_t heads = 1, inner = 1;

  bool operator==(const HeadDim &other) const {
    return dim == other.dim && heads == other.heads && inner == other.inner;
  }
};

struct HeadUse {
  mlir::OpOperand *use;
  HeadDim at;
};

/// All values of one function that have the heads of keys or values, from the
/// attention upwards to parameters and caches.
class HeadTrace {
public:
  /// Follows the heads of an operand; an error says where they get lost.
  mlir::LogicalResult follow(mlir::OpOperand &use, HeadDim at);

  /// Whether the heads were followed through this very operand.
  bool isFollowed(mlir::OpOperand &use) const {
    return followed.contains(&use);
  }

  /// Values whose types change with the heads, caches among them.
  llvm::MapVector<mlir::Value, HeadDim> values;
  /// Uses of parameters, which the pooled ones replace.
  llvm::SmallVector<HeadUse> parameters;
  /// Uses of tensors that are but a shape, or a shape and one number.
  llvm::SmallVector<HeadUse> shapes;

private:
  llvm::DenseSet<mlir::OpOperand *> followed;
};

/// Whether the dimension `dim` of the key `value` comes from the weight of its
/// projection: an einsum whose weight shares with its other operands only
/// letters that are summed over, and has some of the key's `depth` as well.  An
/// activation that is projected lacks the depth.
bool leadsToProjection(mlir::Value value, unsigned dim, int64_t heads,
                       llvm::ArrayRef<int64_t> depth);

/// What `value` is a reshaped or converted form of.
mlir::Value parameterRoot(mlir::Value value);

/// Whether all elements of `value` are one number.
bool isUniform(mlir::Value value);

} // namespace einhead

#endif // EINHEAD_TRANSFORMS_HEADTRACE_H
