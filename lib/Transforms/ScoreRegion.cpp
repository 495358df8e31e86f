//===- ScoreRegion.cpp - Tensors at the indices of one score ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScoreRegion.h"
#include "einhead/IR/Attn.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

bool einhead::isParallelLinalg(Operation *op) {
  auto linalgOp = dyn_cast_or_null<linalg::LinalgOp>(op);
  return linalgOp && op->getNumResults() == 1 &&
         linalgOp.getNumParallelLoops() == linalgOp.getNumLoops() &&
         linalgOp.getMatchingIndexingMap(linalgOp.getDpsInitOperand(0))
             .isPermutation();
}

/// Whether an op only moves elements, and so costs nothing at one score.
static bool isView(Operation *op) {
  if (isa<tensor::CastOp>(op))
    return true;
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  return linalgOp && isParallelLinalg(op) &&
         llvm::hasSingleElement(*linalgOp.getBlock());
}

ScoreRegion::ScoreRegion(Value scores, const SetVector<Value> &dependent)
    : scores(scores), dependent(dependent), block(std::make_unique<Block>()),
      builder(scores.getContext()), loc(scores.getLoc()) {
  auto type = cast<RankedTensorType>(scores.getType());
  block->addArgument(type.getElementType(), loc);
  for (int64_t i = 0; i < type.getRank(); ++i)
    block->addArgument(builder.getIndexType(), loc);
  builder.setInsertionPointToEnd(block.get());
}

std::unique_ptr<Block> ScoreRegion::finish(Value score) {
  YieldOp::create(builder, loc, score);
  return std::move(block);
}

Value ScoreRegion::fail(const Twine &reason) {
  if (why.empty())
    why = reason.str();
  return nullptr;
}

Value ScoreRegion::at(Value tensor, ValueRange indices) {
  for (auto &[where, element] : known[tensor])
    if (llvm::equal(where, indices))
      return element;
  Value element = write(tensor, indices);
  known[tensor].push_back({llvm::to_vector(indices), element});
  return element;
}

Value ScoreRegion::write(Value tensor, ValueRange indices) {
  if (tensor == scores) {
    if (llvm::equal(indices, this->indices()))
      return block->getArgument(0);
    return fail("a score depends on another one (the scores are read at other "
                "indices than their own)");
  }
  Operation *op = tensor.getDefiningOp();
  if (!op)
    return read(tensor, indices);
  if (Value number = uniform(tensor))
    return number;
  // A tensor with fewer letters than the scores is computed once and read.
  bool whole = indices.size() == this->indices().size();
  if (!whole && !isView(op) && !dependent.contains(tensor))
    return read(tensor, indices);
  inlined.insert(op);
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return at(cast.getSource(), indices);
  if (OpTrait::hasElementwiseMappableTraits(op) && op->getNumResults() == 1)
    return elementwise(op, indices);
  if (isParallelLinalg(op))
    return parallel(cast<linalg::LinalgOp>(op), indices);
  inlined.erase(op);
  if (dependent.contains(tensor))
    return fail("between the scores and the softmax stands '" +
                op->getName().getStringRef() +
                "', which does not map each score by itself");
  return read(tensor, indices);
}

/// The number that all elements are, or null.
Value ScoreRegion::uniform(Value tensor) {
  Operation *op = tensor.getDefiningOp();
  if (auto splat = dyn_cast<tensor::SplatOp>(op))
    return splat.getInput();
  if (auto fill = dyn_cast<linalg::FillOp>(op))
    return fill.getInputs()[0];
  DenseElementsAttr dense;
  if (!matchPattern(tensor, m_Constant(&dense)) || !dense.isSplat())
    return nullptr;
  return arith::ConstantOp::create(builder, loc,
                                   dense.getSplatValue<TypedAttr>());
}

Value ScoreRegion::elementwise(Operation *op, ValueRange indices) {
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    bool isTensor = isa<TensorType>(operand.getType());
    operands.push_back(isTensor ? at(operand, indices) : operand);
    if (!operands.back())
      return nullptr;
  }
  Type type = getElementTypeOrSelf(op->getResult(0).getType());
  return builder
      .create(op->getLoc(), op->getName().getIdentifier(), operands, type,
              op->getAttrs())
      ->getResult(0);
}

Value ScoreRegion::parallel(linalg::LinalgOp op, ValueRange indices) {
  // The output's map is a permutation: it says which index each loop has.
  AffineMap output = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  SmallVector<Value> loops(indices.size());
  for (auto [i, index] : llvm::enumerate(indices))
    loops[output.getDimPosition(i)] = index;
  IRMapping mapping;
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument argument = op.getMatchingBlockArgument(&operand);
    if (argument.use_empty())
      continue;
    if (!isa<TensorType>(operand.get().getType())) {
      mapping.map(argument, operand.get());
      continue;
    }
    SmallVector<Value> where;
    for (AffineExpr expr : op.getMatchingIndexingMap(&operand).getResults()) {
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        where.push_back(loops[dim.getPosition()]);
      else if (auto constant = dyn_cast<AffineConstantExpr>(expr))
        where.push_back(
            arith::ConstantIndexOp::create(builder, loc, constant.getValue()));
      else
        return fail("'" + op->getName().getStringRef() +
                    "' reads a tensor at computed indices");
    }
    Value element = at(operand.get(), where);
    if (!element)
      return nullptr;
    mapping.map(argument, element);
  }
  return body(op, mapping, loops);
}

Value ScoreRegion::body(linalg::LinalgOp op, IRMapping &mapping,
                        ValueRange loops) {
  Block *from = op.getBlock();
  for (Operation &inner : from->without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
      mapping.map(index.getResult(), loops[index.getDim()]);
      continue;
    }
    if (inner.getNumRegions() != 0 || (!isMemoryEffectFree(&inner) &&
                                       !hasEffect<MemoryEffects::Read>(&inner)))
      return fail("'" + inner.getName().getStringRef() +
                  "' cannot stand in a score region");
    builder.clone(inner, mapping);
  }
  return mapping.lookupOrDefault(from->getTerminator()->getOperand(0));
}

Value ScoreRegion::read(Value tensor, ValueRange indices) {
  return tensor::ExtractOp::create(builder, loc, tensor, indices);
}
