//===- ExpandFloat8.cpp - Conversions of f8E4M3FN ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// A number of f8E4M3FN is sign, 4 bits of exponent with bias 7, 3 bits of
// mantissa; all ones but the sign are NaN, and there is no infinity.  LLVM does
// not know it: it is an i8 there.
//
// Widening: the 7 bits below the sign, moved to where f32 has its exponent and
// mantissa, are the number times 2^-120, its subnormal ones included.  No step
// rounds.  NaN is the one number that comes out wrong (as 480).
//
// Narrowing rounds in integers where the result is normal.  Below 2^-6 all
// numbers are multiples of 2^-9, which is what one gets by adding 2^14 to a
// f32: the sum's lowest bits are the result.

#include "VectorMath.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace einhead {
#define GEN_PASS_DEF_EXPANDFLOAT8PASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;

static bool isFloat8(Type type) {
  return isa<Float8E4M3FNType>(getElementTypeOrSelf(type));
}

/// `element`, or as many of it as `like` has.
static Type ofElement(Type like, Type element) {
  if (auto vector = dyn_cast<VectorType>(like))
    return vector.clone(element);
  return element;
}

/// The number or the vector `bytes` of f8E4M3FN as f32.
static Value widen(ImplicitLocOpBuilder &b, Value number) {
  Type bytes = ofElement(number.getType(), b.getI8Type()),
       ints = ofElement(number.getType(), b.getI32Type()),
       floats = ofElement(number.getType(), b.getF32Type());
  Value byte = arith::BitcastOp::create(b, bytes, number);
  // The sign comes along; its copies in the exponent go.
  Value bits = arith::ExtSIOp::create(b, ints, byte);
  bits = arith::ShLIOp::create(b, bits, splat(b, ints, 20));
  bits = arith::AndIOp::create(b, bits, splat(b, ints, int32_t(0x87ffffff)));
  Value wide = arith::BitcastOp::create(b, floats, bits);
  wide = arith::MulFOp::create(b, wide, splat(b, floats, 0x1p120));
  // One more than NaN is 0 but for the sign.
  Value next = arith::AddIOp::create(b, byte, splat(b, bytes, 1));
  next = arith::AndIOp::create(b, next, splat(b, bytes, 0x7f));
  Value isNaN = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, next,
                                      splat(b, bytes, 0));
  Value nan = splat(b, floats, std::numeric_limits<double>::quiet_NaN());
  return arith::SelectOp::create(b, isNaN, nan, wide);
}

/// What f32 `magnitude`, at most 448, rounds to, as its bits.
static Value roundMagnitude(ImplicitLocOpBuilder &b, Value magnitude) {
  Type ints = magnitude.getType(), floats = ofElement(ints, b.getF32Type());
  auto number = [&](int32_t value) { return splat(b, ints, value); };
  constexpr int32_t dropped = 20, biases = 120 << 3;
  // Half of what is dropped, less one where the last bit that stays is even.
  Value odd = arith::ShRUIOp::create(b, magnitude, number(dropped));
  odd = arith::AndIOp::create(b, odd, number(1));
  Value normal =
      arith::AddIOp::create(b, magnitude, number((1 << (dropped - 1)) - 1));
  normal = arith::AddIOp::create(b, normal, odd);
  normal = arith::ShRUIOp::create(b, normal, number(dropped));
  normal = arith::SubIOp::create(b, normal, number(biases));
  Value small = arith::BitcastOp::create(b, floats, magnitude);
  small = arith::AddFOp::create(b, small, splat(b, floats, 0x1p14));
  small = arith::BitcastOp::create(b, ints, small);
  small =
      arith::SubIOp::create(b, small, number(llvm::bit_cast<int32_t>(0x1p14f)));
  Value isSmall =
      arith::CmpIOp::create(b, arith::CmpIPredicate::slt, magnitude,
                            number(llvm::bit_cast<int32_t>(0x1p-6f)));
  return arith::SelectOp::create(b, isSmall, small, normal);
}

/// The f32 `number` or vector as f8E4M3FN, rounded and kept within 448.
static Value narrow(ImplicitLocOpBuilder &b, Value number) {
  Type ints = ofElement(number.getType(), b.getI32Type()),
       bytes = ofElement(number.getType(), b.getI8Type());
  auto constant = [&](int32_t value) { return splat(b, ints, value); };
  Value bits = arith::BitcastOp::create(b, ints, number);
  Value magnitude = arith::AndIOp::create(b, bits, constant(0x7fffffff));
  Value isNaN = arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, magnitude,
                                      constant(0x7f800000));
  magnitude = arith::MinSIOp::create(b, magnitude,
                                     constant(llvm::bit_cast<int32_t>(448.0f)));
  Value result = roundMagnitude(b, magnitude);
  result = arith::SelectOp::create(b, isNaN, constant(0x7f), result);
  Value sign = arith::ShRUIOp::create(b, bits, constant(24));
  sign = arith::AndIOp::create(b, sign, constant(0x80));
  result = arith::OrIOp::create(b, result, sign);
  Value byte = arith::TruncIOp::create(b, bytes, result);
  return arith::BitcastOp::create(
      b, ofElement(number.getType(), Float8E4M3FNType::get(b.getContext())),
      byte);
}

namespace {
struct ExpandExtF final : OpRewritePattern<arith::ExtFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::ExtFOp op,
                                PatternRewriter &rewriter) const override {
    if (!isFloat8(op.getIn().getType()) || isa<TensorType>(op.getType()))
      return failure();
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value wide = widen(b, op.getIn());
    unsigned bits = getElementTypeOrSelf(op.getType()).getIntOrFloatBitWidth();
    if (bits > 32)
      wide = arith::ExtFOp::create(b, op.getType(), wide);
    if (bits < 32) // exact: both have more bits of everything
      wide = arith::TruncFOp::create(b, op.getType(), wide);
    rewriter.replaceOp(op, wide);
    return success();
  }
};

struct ExpandTruncF final : OpRewritePattern<arith::TruncFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::TruncFOp op,
                                PatternRewriter &rewriter) const override {
    Type from = getElementTypeOrSelf(op.getIn().getType());
    if (!isFloat8(op.getType()) || isa<TensorType>(op.getType()) ||
        from.getIntOrFloatBitWidth() > 32)
      return failure();
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value number = op.getIn();
    if (!from.isF32())
      number = arith::ExtFOp::create(
          b, ofElement(number.getType(), b.getF32Type()), number);
    rewriter.replaceOp(op, narrow(b, number));
    return success();
  }
};

struct ExpandFloat8Pass final
    : einhead::impl::ExpandFloat8PassBase<ExpandFloat8Pass> {
  void runOnOperation() override {
    if (getOperation()->walk(check).wasInterrupted())
      return signalPassFailure();
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandExtF, ExpandTruncF>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }

private:
  static WalkResult check(Operation *op);
};
} // namespace

/// Only conversions and what moves bits know f8E4M3FN.
WalkResult ExpandFloat8Pass::check(Operation *op) {
  StringRef dialect = op->getName().getDialectNamespace();
  if ((dialect != "arith" && dialect != "math") ||
      isa<arith::ConstantOp, arith::BitcastOp, arith::SelectOp>(op))
    return WalkResult::advance();
  if (llvm::none_of(op->getOperandTypes(), isFloat8) &&
      llvm::none_of(op->getResultTypes(), isFloat8))
    return WalkResult::advance();
  if (auto narrowing = dyn_cast<arith::TruncFOp>(op)) {
    arith::RoundingMode mode = narrowing.getRoundingmode().value_or(
        arith::RoundingMode::to_nearest_even);
    if (mode != arith::RoundingMode::to_nearest_even) {
      op->emitError("rounds to f8E4M3FN in another way than to the nearest, "
                    "ties to even, which is the only one");
      return WalkResult::interrupt();
    }
    if (!getElementTypeOrSelf(narrowing.getIn()).isF64())
      return WalkResult::advance();
    op->emitError("rounds f64 to f8E4M3FN by way of f32, which is twice; "
                  "round to f32 first, with an arith.truncf of its own");
    return WalkResult::interrupt();
  }
  if (isa<arith::ExtFOp>(op))
    return WalkResult::advance();
  op->emitError("computes in f8E4M3FN, which is a type of stored numbers; "
                "widen them first, with arith.extf");
  return WalkResult::interrupt();
}
