//===- Contraction.h - Activations times weights as vectors -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The loops of out += x . w follow the order of the weight's dimensions, so
// that it is read once, as a stream.  What happens with its last dimension
// makes two forms:
//
//   columns  it is one of out: panels of the rows of w (the last summed
//            dimension); in a panel blocks of rows of x by vectors of columns,
//            whose sums are loaded, kept in registers over the panel, and
//            stored
//   sums     it is summed: blocks of rows of x by rows of w, whose sums over
//            lanes are added to out
//
// While a panel or block of rows is multiplied, the lines of the next one are
// asked for, a few with each step and in the order of their addresses.

#ifndef EINHEAD_LIB_TRANSFORMS_CONTRACTION_H
#define EINHEAD_LIB_TRANSFORMS_CONTRACTION_H

#include "einhead/Target/TargetInfo.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace einhead {

/// Whether the op's body is out + x * w, whose elements may be widened first.
bool isSumOfProducts(mlir::linalg::GenericOp op);

/// What each dimension of a contraction does, and how it is cut.
struct ContractionPlan {
  enum Role { Batch, Row, Column, Sum };

  /// None where the op is no sum of products of two buffers, or its last
  /// dimensions cannot be read as vectors.
  static std::optional<ContractionPlan> of(mlir::linalg::GenericOp op,
                                           const TargetInfo &target);

  mlir::Value x, w, out;
  mlir::AffineMap xMap, wMap, outMap;
  llvm::SmallVector<Role> roles;      ///< by loop
  llvm::SmallVector<int64_t> extents; ///< by loop; dynamic ones too
  bool sums = false;                  ///< the form
  bool pairs = false;                 ///< dot products of bf16
  unsigned vector = 0;                ///< the loop of w's last dimension
  /// The loop whose steps are the rows of the stream: panels or blocks of it.
  unsigned stream = 0;
  /// The loops outside it, between it and the vectors, and rows of x in order;
  /// the last of the rows is blocked.
  llvm::SmallVector<unsigned> outer, inner, rows;
  int64_t lanes = 0, registers = 0; ///< f32 or f64; registers for sums

  mlir::Type element() const {
    return llvm::cast<mlir::MemRefType>(out.getType()).getElementType();
  }

private:
  bool assign(mlir::linalg::GenericOp op, unsigned weight);
  bool order();
};

/// What both forms are built from.
class ContractionBuilder {
public:
  ContractionBuilder(mlir::RewriterBase &rewriter, mlir::Location loc,
                     ContractionPlan plan, const TargetInfo &target);
  virtual ~ContractionBuilder() = default;
  void emit();

protected:
  /// One step of the outer loops.
  virtual void body() = 0;
  using Carried = llvm::SmallVector<mlir::Value>;
  using CarryingBody =
      llvm::function_ref<Carried(mlir::Value, mlir::ValueRange)>;

  mlir::Value index(int64_t value) {
    return mlir::arith::ConstantIndexOp::create(b, value);
  }
  mlir::Value add(mlir::Value i, int64_t n);
  mlir::Value sizeOf(unsigned loop);
  bool isStatic(unsigned loop) const {
    return !mlir::ShapedType::isDynamic(p.extents[loop]);
  }
  Carried loop(mlir::Value from, mlir::Value to, int64_t step,
               mlir::ValueRange carried, CarryingBody body);
  void loop(mlir::Value from, mlir::Value to, int64_t step,
            llvm::function_ref<void(mlir::Value)> body);
  void overLoops(llvm::ArrayRef<unsigned> loops,
                 llvm::function_ref<void()> body);
  /// Calls body(first, count) for blocks that cover a loop: `most` at a time,
  /// then what is left, exactly where the extent is known and else by halves.
  void overBlocks(unsigned loop, int64_t most,
                  llvm::function_ref<void(mlir::Value, int64_t)> body);
  /// The same over rows of x.
  void overRows(llvm::function_ref<void(mlir::Value, int64_t)> body);
  /// How many row blocks there are, 1 where it is not known.
  int64_t rowBlocks() const;
  int64_t rowsAtATime() const;

  /// Indices at the current loops, with one of them moved.
  llvm::SmallVector<mlir::Value> at(mlir::AffineMap map, unsigned loop,
                                    mlir::Value moved);
  mlir::VectorType vectorOf(mlir::Type element, int64_t count) {
    return mlir::VectorType::get({count}, element);
  }
  mlir::Type element(mlir::Value memref) const {
    return llvm::cast<mlir::MemRefType>(memref.getType()).getElementType();
  }
  mlir::Value widen(mlir::Value value);
  mlir::Value multiplyAdd(mlir::Value x, mlir::Value y, mlir::Value sum);
  /// `count` elements, 0 where the mask says so.
  mlir::Value load(mlir::Value memref, mlir::ValueRange indices, int64_t count,
                   mlir::Value mask);

  // The stream ahead of the products.
  void startFetch(mlir::Value row);
  Carried fetchState();
  void keepFetch(mlir::ValueRange state);
  /// Asks for `lines` lines, or some of them, and moves on.
  Carried fetch(mlir::ValueRange state, int64_t lines, int64_t every = 1);

  mlir::ImplicitLocOpBuilder b;
  ContractionPlan p;
  int64_t prefetchBytes;
  llvm::SmallVector<mlir::Value> position; ///< by loop

private:
  mlir::Value fetchPlace; ///< row and column of the stream
  mlir::Value run;        ///< elements of one row of the stream
};

/// Replaces out += x . w on buffers; false where it is no such op.
bool lowerContraction(mlir::RewriterBase &rewriter, mlir::linalg::GenericOp op,
                      const TargetInfo &target);

std::unique_ptr<ContractionBuilder>
createColumnContraction(mlir::RewriterBase &rewriter, mlir::Location loc,
                        const ContractionPlan &plan, const TargetInfo &target);
std::unique_ptr<ContractionBuilder>
createSumContraction(mlir::RewriterBase &rewriter, mlir::Location loc,
                     const ContractionPlan &plan, const TargetInfo &target);

} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_CONTRACTION_H
