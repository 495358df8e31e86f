//===- IterationSpace.cpp - The iterations of a parallel loop ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "IterationSpace.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"

using namespace mlir;
using namespace einhead;

IterationSpace::IterationSpace(OpBuilder &b, scf::ForallOp forall) {
  Location loc = forall.getLoc();
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  count = arith::ConstantIndexOp::create(b, loc, 1);
  for (auto [lb, ub, by] :
       llvm::zip(forall.getMixedLowerBound(), forall.getMixedUpperBound(),
                 forall.getMixedStep())) {
    Value from = getValueOrCreateConstantIndexOp(b, loc, lb);
    Value upper = getValueOrCreateConstantIndexOp(b, loc, ub);
    Value width = getValueOrCreateConstantIndexOp(b, loc, by);
    Value each = b.createOrFold<arith::SubIOp>(loc, upper, from);
    each = b.createOrFold<arith::CeilDivSIOp>(loc, each, width);
    each = b.createOrFold<arith::MaxSIOp>(loc, each, zero);
    lower.push_back(from);
    step.push_back(width);
    trips.push_back(each);
    count = b.createOrFold<arith::MulIOp>(loc, count, each);
  }
}

LogicalResult einhead::serializeNested(scf::ForallOp forall) {
  SmallVector<scf::ForallOp> nested;
  forall.getBody()->walk([&](scf::ForallOp op) { nested.push_back(op); });
  IRRewriter rewriter(forall.getContext());
  for (scf::ForallOp op : nested) {
    rewriter.setInsertionPoint(op);
    if (failed(scf::forallToForLoop(rewriter, op)))
      return op.emitOpError("cannot be made a loop");
  }
  return success();
}
