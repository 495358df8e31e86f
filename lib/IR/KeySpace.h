//===- KeySpace.h - The variables of a tile's keys, projected ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_IR_KEYSPACE_H
#define EINHEAD_LIB_IR_KEYSPACE_H

#include "Polyhedra.h"
#include "einhead/IR/KeySet.h"

namespace einhead::attn {

/// The variables of a tile: dimensions are the letters of which it holds
/// several indices, then the key; symbols as KeySet says.
class TileSpace {
public:
  TileSpace(MaskAttr mask, char key, llvm::ArrayRef<int64_t> sizes);

  /// The set in these variables; nothing if it is not affine.
  std::optional<AffineSet> affine(mlir::IntegerSet set) const;
  /// The indices that the tile holds.
  mlir::presburger::IntegerPolyhedron box() const;

  mlir::MLIRContext *context;
  unsigned dims = 0, symbols = 0;
  llvm::SmallVector<TileRow> rows;
  unsigned keyVar() const { return dims - 1; }
  unsigned limitVar() const { return dims + symbols - 1; }

private:
  MaskAttr mask;
  llvm::SmallVector<mlir::AffineExpr> dimOf, symbolOf;
};

/// Bounds of an expression: lower ones and (inclusive) upper ones.  They hold
/// where none of `conditions`, of symbols alone, is negative; elsewhere there
/// is no point.
struct Bounds {
  llvm::SmallVector<mlir::AffineExpr, 2> lower, upper, conditions;
};

/// Local variables that depend on symbols alone, as expressions; null for the
/// others.
llvm::SmallVector<mlir::AffineExpr>
symbolicLocals(const mlir::presburger::IntegerRelation &relation,
               mlir::MLIRContext *context);

/// The bounds of sum(coefficients * variables) in `relation`, in its symbols.
Bounds boundsOf(mlir::presburger::IntegerRelation relation,
                llvm::ArrayRef<int64_t> coefficients,
                mlir::MLIRContext *context);

/// The bounds of a variable.
Bounds boundsOfVar(const mlir::presburger::IntegerRelation &relation,
                   unsigned var, mlir::MLIRContext *context);

/// 0 <= key < the number of keys, in a tile.
mlir::presburger::IntegerPolyhedron existing(const TileSpace &space);

/// Whether one of `exprs` is negative, whatever the symbols are.
bool areContrary(llvm::ArrayRef<mlir::AffineExpr> exprs,
                 const TileSpace &space);

} // namespace einhead::attn

#endif // EINHEAD_LIB_IR_KEYSPACE_H
