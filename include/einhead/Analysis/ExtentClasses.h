//===- ExtentClasses.h - Which extents are one ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_ANALYSIS_EXTENTCLASSES_H
#define EINHEAD_ANALYSIS_EXTENTCLASSES_H

#include "einhead/IR/Attn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <optional>
#include <vector>

namespace einhead {

/// The dimensions of a function's tensors, joined where an op says by its
/// letters or its nature that they have one extent.  Dimensions of ops that are
/// not known here are pinned: nobody may change a number there.
class ExtentClasses {
public:
  explicit ExtentClasses(mlir::func::FuncOp function);

  /// One dimension of a tensor; `root` names its class.
  struct Point {
    mlir::Value value;
    int64_t dimension;
    unsigned root;

    /// As the type has it; may be dynamic.
    int64_t extent() const;
  };
  /// All of them: arguments first, then results in order of appearance.
  std::vector<Point> points();
  bool isPinned(unsigned root) const { return nodes[root].pinned; }

  /// The class of a dimension, or none where the tensor is not known.
  std::optional<unsigned> rootOf(mlir::Value value, int64_t dimension);

private:
  struct Node {
    mlir::Value value;
    int64_t dimension;
    unsigned parent;
    bool pinned;
  };

  void add(mlir::Value value);
  unsigned find(unsigned id);
  void join(mlir::Value a, int64_t i, mlir::Value b, int64_t j);
  void pin(mlir::Value value);
  void pinAll(mlir::Operation *op);
  void joinAll(mlir::ValueRange values);
  void joinTerms(llvm::ArrayRef<std::pair<llvm::StringRef, mlir::Value>> terms);
  void joinNames();
  void relate(mlir::Operation *op);
  void relateAttention(mlir::Operation *op);
  void relateMerge(attn::MergeOp op);
  void relateLinalg(mlir::Operation *op);
  void relateSizes(mlir::Operation *op);
  void relateReturn(mlir::Operation *op);

  mlir::func::FuncOp function;
  std::vector<Node> nodes;
  llvm::DenseMap<std::pair<mlir::Value, int64_t>, unsigned> ids;
};

} // namespace einhead

#endif // EINHEAD_ANALYSIS_EXTENTCLASSES_H
