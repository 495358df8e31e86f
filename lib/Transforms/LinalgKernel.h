//===- LinalgKernel.h - One linalg op as a kernel ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_LINALGKERNEL_H
#define EINHEAD_LIB_TRANSFORMS_LINALGKERNEL_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

namespace einhead {

/// The fill before the op that says what each of its sums starts with, and
/// nothing else: it may go with the op.
mlir::linalg::FillOp fillBefore(mlir::linalg::LinalgOp op);

/// Writes one linalg op on buffers as a launch with a thread for each point of
/// its parallel loops; each thread runs the reductions, its sums in registers.
/// A long reduction is shared out: several threads of a block have each a part
/// of it, and one of them adds the parts up in their order.
class LinalgKernel {
public:
  explicit LinalgKernel(mlir::linalg::LinalgOp op);

  /// Takes the number that a fill before the op gives each element of its
  /// output, and erases the fill.
  void takeFill();
  /// Takes loops around the op as further parallel ones.
  void takeLoops();
  /// Replaces op and loops.
  void emit();

private:
  /// How a reduction is shared out.
  struct Split {
    unsigned loop;             ///< of the op
    mlir::Operation *combiner; ///< joins two sums
    mlir::TypedAttr neutral;   ///< of the combiner
    int64_t parts, points;     ///< of a block; threads are their product
    bool partsFirst;           ///< neighbouring threads have parts, not points
  };

  llvm::SmallVector<unsigned> loopsOf(bool parallel);
  bool areSumsCarried();
  std::optional<Split> findSplit();
  mlir::Value createLaunch(llvm::ArrayRef<mlir::Value> trips, int64_t points,
                           mlir::Value sharedBytes);
  llvm::SmallVector<mlir::Value> countTrips();
  void enter(mlir::Value id, llvm::ArrayRef<mlir::Value> trips);
  void runBody();
  void runSplit(llvm::ArrayRef<mlir::Value> trips, mlir::Value total);
  llvm::SmallVector<mlir::Value> reduce(llvm::ArrayRef<unsigned> loops,
                                        mlir::ValueRange sums);
  llvm::SmallVector<mlir::Value> compute(mlir::ValueRange sums);
  llvm::SmallVector<mlir::Value> indices(mlir::OpOperand &operand);
  mlir::Value load(mlir::OpOperand &operand);
  void store(mlir::OpOperand &operand, mlir::Value value);
  mlir::Value constant(int64_t value);

  mlir::linalg::LinalgOp op;
  mlir::Location loc;
  mlir::OpBuilder b;
  llvm::SmallVector<mlir::Range> ranges;
  llvm::SmallVector<mlir::scf::ForOp> loops; ///< of the host, outermost first
  mlir::gpu::LaunchOp launch;
  llvm::SmallVector<mlir::Value> variables; ///< of each loop of the op
  mlir::IRMapping mapping; ///< what the launch has of the host's values
  mlir::Value start;       ///< what the output holds, if it is known
  std::optional<Split> split;
  mlir::Value part; ///< of a split reduction, the thread's
};

} // namespace einhead

#endif // EINHEAD_LIB_TRANSFORMS_LINALGKERNEL_H
