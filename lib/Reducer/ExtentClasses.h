//===- ExtentClasses.h - Which extents are one ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_REDUCER_EXTENTCLASSES_H
#define EINHEAD_LIB_REDUCER_EXTENTCLASSES_H

#include "einhead/IR/Attn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace einhead::reducer {

/// The dimensions of a function's tensors, joined where an op says by its
/// letters or its nature that they have one extent.  Dimensions of ops that are
/// not known here are pinned: they cannot be changed.
class ExtentClasses {
public:
  explicit ExtentClasses(mlir::func::FuncOp function);

  /// The static extents above 1 that can be changed, in order of appearance.
  struct Class {
    unsigned root;
    int64_t extent;
  };
  std::vector<Class> shrinkable();

  bool has(unsigned root, mlir::Value value, int64_t dimension);
  /// Gives a class another extent: types, splats, numbers in `attn.shape`.
  void resize(unsigned root, int64_t extent);

private:
  struct Point {
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

  mlir::func::FuncOp function;
  std::vector<Point> points;
  llvm::DenseMap<std::pair<mlir::Value, int64_t>, unsigned> ids;
};

} // namespace einhead::reducer

#endif // EINHEAD_LIB_REDUCER_EXTENTCLASSES_H
