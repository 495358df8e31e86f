//===- OracleOps.h - The interpreter's state and its tables of ops --------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_ORACLEOPS_H
#define EINHEAD_TOOLS_ORACLEOPS_H

#include "Oracle.h"
#include "mlir/IR/IntegerSet.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"
#include <memory>

namespace einhead::tool::oracle {

using reference::Number;
using reference::Tensor;
using TensorRef = std::shared_ptr<const Tensor>;
using Point = std::vector<int64_t>;

/// What is known while a function is interpreted: a tensor or a number for each
/// value so far.
class State {
public:
  explicit State(const OracleOptions &options) : options(options) {}

  const OracleOptions &options;
  /// Where the loops of the innermost linalg op stand.
  Point loops;

  TensorRef tensor(mlir::Value value) const;
  Number number(mlir::Value value) const;
  /// A number that must be exact: an index, a length, a position.
  int64_t integer(mlir::Value value) const;
  /// The integers of a scalar or of a tensor of any rank.
  std::vector<int64_t> integers(mlir::Value value) const;
  /// Attributes and values, mixed.
  Point integers(llvm::ArrayRef<mlir::OpFoldResult> values) const;

  void set(mlir::Value value, Tensor tensor);
  void set(mlir::Value value, TensorRef tensor) { tensors[value] = tensor; }
  void set(mlir::Value value, Number number) { numbers[value] = number; }

  llvm::Error run(mlir::Operation *op);
  /// All ops of a block but its terminator.
  llvm::Error run(mlir::Block &block);

private:
  llvm::Error runScalar(mlir::Operation *op);

  llvm::DenseMap<mlir::Value, TensorRef> tensors;
  llvm::DenseMap<mlir::Value, Number> numbers;
};

/// One element of an op that works element by element.
using ScalarFunction = Number (*)(mlir::Operation *op,
                                  llvm::ArrayRef<Number> operands);
/// Any other op: reads its operands from the state and sets its results.
using OpFunction = llvm::Error (*)(State &state, mlir::Operation *op);

void addScalarOps(llvm::StringMap<ScalarFunction> &table);
void addTensorOps(llvm::StringMap<OpFunction> &table);
void addLinalgOps(llvm::StringMap<OpFunction> &table);
void addAttnOps(llvm::StringMap<OpFunction> &table);

/// The type that `type` (or its elements) is stored in; f64 for integers.
reference::Type storageOf(mlir::Type type);

/// Whether a point lies in an integer set.
bool holds(mlir::IntegerSet set, const Point &dims,
           llvm::ArrayRef<int64_t> symbols);

/// Calls `body` with each point of a box, the last dimension fastest.
template <typename Body> void forEachPoint(const Point &extents, Body body) {
  if (reference::elementCount(extents) == 0)
    return;
  Point point(extents.size(), 0);
  while (true) {
    body(point);
    size_t dim = point.size();
    while (dim > 0 && ++point[dim - 1] == extents[dim - 1])
      point[--dim] = 0;
    if (dim == 0)
      return;
  }
}

/// "'op' at file:1:2: what"
llvm::Error failure(mlir::Operation *op, const llvm::Twine &what);

} // namespace einhead::tool::oracle

#endif // EINHEAD_TOOLS_ORACLEOPS_H
