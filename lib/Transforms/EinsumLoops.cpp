//===- EinsumLoops.cpp - An einsum as one linalg op -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EinsumLoops.h"
#include "einhead/IR/Attn.h"
#include "einhead/IR/LetterLoops.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

Type einhead::sumType(OpBuilder &builder, Type result) {
  return result.isF64() ? result : Type(builder.getF32Type());
}

/// Whether a tensor holds the weights of a softmax, converted or reshaped: a
/// weight of 0 is a key that does not attend, whose value may be NaN.
static bool isWeights(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return false;
  if (isa<attn::SoftmaxOp>(op))
    return true;
  return isa<arith::TruncFOp, arith::ExtFOp, tensor::CastOp,
             tensor::ExpandShapeOp, tensor::CollapseShapeOp,
             tensor::ExtractSliceOp>(op) &&
         isWeights(op->getOperand(0));
}

linalg::GenericOp einhead::createSumOfProducts(OpBuilder &builder, Location loc,
                                               const EinsumSpec &spec,
                                               llvm::StringRef loops,
                                               ValueRange inputs, Value init) {
  MLIRContext *context = builder.getContext();
  SmallVector<AffineMap> maps;
  auto addMap = [&](llvm::StringRef term) {
    SmallVector<AffineExpr> dims;
    for (char letter : term)
      dims.push_back(getAffineDimExpr(indexOf(loops, letter), context));
    maps.push_back(AffineMap::get(loops.size(), 0, dims, context));
  };
  llvm::for_each(spec.inputs, addMap);
  addMap(spec.output);
  SmallVector<utils::IteratorType> iterators;
  for (char letter : loops)
    iterators.push_back(indexOf(spec.output, letter) >= 0
                            ? utils::IteratorType::parallel
                            : utils::IteratorType::reduction);
  Type sum = getElementTypeOrSelf(init);
  return linalg::GenericOp::create(
      builder, loc, TypeRange(init.getType()), inputs, ValueRange(init), maps,
      iterators, [&](OpBuilder &b, Location l, ValueRange args) {
        Value product = convertFloat(b, l, args[0], sum);
        if (args.size() == 3) {
          Value second = convertFloat(b, l, args[1], sum);
          if (isWeights(inputs[0]))
            product = createWeighted(b, l, product, second);
          else if (isWeights(inputs[1]))
            product = createWeighted(b, l, second, product);
          else
            product = arith::MulFOp::create(b, l, product, second);
        }
        Value next = arith::AddFOp::create(b, l, args.back(), product);
        linalg::YieldOp::create(b, l, next);
      });
}
