//===- LetterLoops.cpp - linalg.generic over letters ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/LetterLoops.h"
#include "einhead/IR/EinsumSpec.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace einhead::attn;

static constexpr double kNone = -std::numeric_limits<double>::infinity();

Value einhead::attn::createFloat(OpBuilder &builder, Location loc, Type type,
                                 double value) {
  return arith::ConstantOp::create(builder, loc,
                                   builder.getFloatAttr(type, value));
}

Value einhead::attn::createFilled(OpBuilder &builder, Location loc,
                                  ArrayRef<OpFoldResult> shape, Type type,
                                  double value) {
  Value empty = tensor::EmptyOp::create(builder, loc, shape, type);
  return linalg::FillOp::create(builder, loc,
                                createFloat(builder, loc, type, value), empty)
      .getResult(0);
}

/// The projection of the loops `loops` onto the dimensions `term`.
static AffineMap mapOf(MLIRContext *context, llvm::StringRef loops,
                       llvm::StringRef term) {
  SmallVector<AffineExpr> dims;
  for (char letter : term)
    dims.push_back(getAffineDimExpr(indexOf(loops, letter), context));
  return AffineMap::get(loops.size(), 0, dims, context);
}

Value einhead::attn::createLetterLoops(OpBuilder &builder, Location loc,
                                       llvm::StringRef loops,
                                       ArrayRef<Lettered> inputs, Value init,
                                       llvm::StringRef output,
                                       ElementBody body) {
  SmallVector<AffineMap> maps;
  SmallVector<Value> operands;
  for (auto &[value, term] : inputs) {
    operands.push_back(value);
    maps.push_back(mapOf(builder.getContext(), loops, term));
  }
  maps.push_back(mapOf(builder.getContext(), loops, output));
  SmallVector<utils::IteratorType> iterators;
  for (char letter : loops)
    iterators.push_back(output.contains(letter)
                            ? utils::IteratorType::parallel
                            : utils::IteratorType::reduction);
  return linalg::GenericOp::create(
             builder, loc, TypeRange(init.getType()), operands,
             ValueRange(init), maps, iterators,
             [&](OpBuilder &b, Location l, ValueRange args) {
               linalg::YieldOp::create(b, l, body(b, l, args));
             })
      .getResult(0);
}

Value einhead::attn::convertFloat(OpBuilder &builder, Location loc, Value value,
                                  Type type) {
  unsigned from = value.getType().getIntOrFloatBitWidth(),
           to = type.getIntOrFloatBitWidth();
  if (from < to)
    return arith::ExtFOp::create(builder, loc, type, value);
  if (from > to)
    return arith::TruncFOp::create(builder, loc, type, value);
  return value;
}

/// exp(score - max), and 0 in a row whose max is -inf.
static Value weight(OpBuilder &b, Location loc, Value score, Value max) {
  Value isDead =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, max,
                            createFloat(b, loc, score.getType(), kNone));
  Value zero = createFloat(b, loc, score.getType(), 0.0);
  Value base = arith::SelectOp::create(b, loc, isDead, zero, max);
  Value shifted = arith::SubFOp::create(b, loc, score, base);
  return math::ExpOp::create(b, loc, shifted);
}

SoftmaxRows einhead::attn::createSoftmaxRows(OpBuilder &builder, Location loc,
                                             const Lettered &scores,
                                             llvm::StringRef over,
                                             const Lettered &sink) {
  auto &[values, letters] = scores;
  std::string rows = lettersWithout(letters, over);
  std::string loops = rows + over.str();
  Type type = getElementTypeOrSelf(values);
  auto shape = tensor::getMixedSizes(builder, loc, values);
  SmallVector<OpFoldResult> rowShape;
  for (char letter : rows)
    rowShape.push_back(shape[indexOf(letters, letter)]);
  auto empty = [&](ArrayRef<OpFoldResult> sizes) -> Value {
    return tensor::EmptyOp::create(builder, loc, sizes, type);
  };

  Value firstMax, firstSum;
  if (sink.first)
    firstMax =
        createLetterLoops(builder, loc, rows, {sink}, empty(rowShape), rows,
                          [&](OpBuilder &b, Location l, ValueRange args) {
                            return convertFloat(b, l, args[0], type);
                          });
  else
    firstMax = createFilled(builder, loc, rowShape, type, kNone);
  SoftmaxRows result;
  result.max = createLetterLoops(
      builder, loc, loops, {scores}, firstMax, rows,
      [&](OpBuilder &b, Location l, ValueRange args) -> Value {
        return arith::MaximumFOp::create(b, l, args[0], args[1]);
      });
  result.weights = createLetterLoops(
      builder, loc, loops, {scores, {result.max, rows}}, empty(shape), letters,
      [&](OpBuilder &b, Location l, ValueRange args) {
        return weight(b, l, args[0], args[1]);
      });
  if (sink.first)
    firstSum = createLetterLoops(
        builder, loc, rows, {sink, {result.max, rows}}, empty(rowShape), rows,
        [&](OpBuilder &b, Location l, ValueRange args) {
          return weight(b, l, convertFloat(b, l, args[0], type), args[1]);
        });
  else
    firstSum = createFilled(builder, loc, rowShape, type, 0.0);
  result.sum = createLetterLoops(
      builder, loc, loops, {{result.weights, letters}}, firstSum, rows,
      [&](OpBuilder &b, Location l, ValueRange args) -> Value {
        return arith::AddFOp::create(b, l, args[0], args[1]);
      });
  return result;
}

Value einhead::attn::createShare(OpBuilder &b, Location loc, Value weight,
                                 Value sum, Type type) {
  Value zero = createFloat(b, loc, sum.getType(), 0.0);
  Value none =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, sum, zero);
  Value share = arith::DivFOp::create(b, loc, weight, sum);
  share = arith::SelectOp::create(b, loc, none, zero, share);
  return convertFloat(b, loc, share, type);
}

Value einhead::attn::createWeighted(OpBuilder &b, Location loc, Value weight,
                                    Value value) {
  Value zero = createFloat(b, loc, weight.getType(), 0.0);
  Value none =
      arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, weight, zero);
  Value product = arith::MulFOp::create(b, loc, weight, value);
  return arith::SelectOp::create(b, loc, none, zero, product);
}
