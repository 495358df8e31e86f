//===- ScoreRegion.h - Tensors at the indices of one score ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_SCOREREGION_H
#define EINHEAD_TRANSFORMS_SCOREREGION_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include <memory>

namespace einhead {

/// Writes the element of a tensor at the indices of one score as scalar ops.
/// Elementwise ops and parallel linalg ops are written out, other tensors read.
class ScoreRegion {
public:
  /// `scores` is the tensor that the region maps, `dependent` what follows from
  /// it.
  ScoreRegion(mlir::Value scores,
              const llvm::SetVector<mlir::Value> &dependent);

  /// The element of `tensor` at the score's indices; null with a reason.
  mlir::Value at(mlir::Value tensor) { return at(tensor, indices()); }

  /// Ends the block in attn.yield of `score`.
  std::unique_ptr<mlir::Block> finish(mlir::Value score);

  const std::string &reason() const { return why; }
  /// The ops that were written out.
  bool wroteOut(mlir::Operation *op) const { return inlined.contains(op); }

private:
  using Indices = llvm::SmallVector<mlir::Value>;

  mlir::ValueRange indices() { return block->getArguments().drop_front(); }
  mlir::Value at(mlir::Value tensor, mlir::ValueRange indices);
  mlir::Value write(mlir::Value tensor, mlir::ValueRange indices);
  mlir::Value uniform(mlir::Value tensor);
  mlir::Value elementwise(mlir::Operation *op, mlir::ValueRange indices);
  mlir::Value parallel(mlir::linalg::LinalgOp op, mlir::ValueRange indices);
  mlir::Value body(mlir::linalg::LinalgOp op, mlir::IRMapping &mapping,
                   mlir::ValueRange loops);
  mlir::Value read(mlir::Value tensor, mlir::ValueRange indices);
  mlir::Value fail(const llvm::Twine &reason);

  mlir::Value scores;
  const llvm::SetVector<mlir::Value> &dependent;
  std::unique_ptr<mlir::Block> block;
  mlir::OpBuilder builder;
  mlir::Location loc;
  llvm::DenseMap<mlir::Value,
                 llvm::SmallVector<std::pair<Indices, mlir::Value>>>
      known;
  llvm::SmallPtrSet<mlir::Operation *, 8> inlined;
  std::string why;
};

/// A linalg op whose loops are all parallel and that has one result with an
/// element for each point.
bool isParallelLinalg(mlir::Operation *op);

} // namespace einhead

#endif // EINHEAD_TRANSFORMS_SCOREREGION_H
