//===- DeviceMath.cpp - Math functions without a library --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DeviceMath.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"

namespace einhead {
#define GEN_PASS_DEF_DEVICEMATHPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;

/// What NVPTX has as instructions, of f32 and (but for exp2) f64.
static bool isInstruction(StringRef name, bool isDouble) {
  static const llvm::StringSet<> names = {
      "sqrt",  "fma",      "floor", "ceil",     "trunc",   "roundeven",
      "round", "absf",     "absi",  "copysign", "ctlz",    "cttz",
      "ctpop", "isfinite", "isinf", "isnan",    "isnormal"};
  return names.contains(name) || (name == "exp2" && !isDouble);
}

static bool isOfIntegers(Operation *op) {
  return !isa<FloatType>(getElementTypeOrSelf(op->getOperand(0).getType()));
}

/// One function on f64; null where there is none.
static Value buildDouble(ImplicitLocOpBuilder &b, StringRef name,
                         ValueRange x) {
  DeviceMath math(b);
  if (name == "powf" || name == "fpowi")
    return math.power(x[0], x[1]);
  using Function = Value (DeviceMath::*)(Value);
  Function function = llvm::StringSwitch<Function>(name)
                          .Case("exp", &DeviceMath::exponential)
                          .Case("exp2", &DeviceMath::exponential2)
                          .Case("expm1", &DeviceMath::exponentialMinus1)
                          .Case("log", &DeviceMath::logarithm)
                          .Case("log2", &DeviceMath::logarithm2)
                          .Case("log10", &DeviceMath::logarithm10)
                          .Case("log1p", &DeviceMath::logarithm1Plus)
                          .Case("sin", &DeviceMath::sine)
                          .Case("cos", &DeviceMath::cosine)
                          .Case("tan", &DeviceMath::tangent)
                          .Case("sinh", &DeviceMath::hyperbolicSine)
                          .Case("cosh", &DeviceMath::hyperbolicCosine)
                          .Case("tanh", &DeviceMath::hyperbolicTangent)
                          .Case("erf", &DeviceMath::errorFunction)
                          .Default(nullptr);
  return function ? (math.*function)(x[0]) : Value();
}

namespace {
struct DeviceMathPass final
    : einhead::impl::DeviceMathPassBase<DeviceMathPass> {
  void runOnOperation() override;

private:
  LogicalResult expandUpstream();
  LogicalResult lower(Operation *op);
};
} // namespace

static Type withElement(Type type, Type element) {
  auto shaped = dyn_cast<ShapedType>(type);
  return shaped ? Type(shaped.clone(element)) : element;
}

/// `value` in the type: an integer becomes a number, a number is widened.
static Value widen(ImplicitLocOpBuilder &b, Value value, Type element) {
  Type from = getElementTypeOrSelf(value.getType());
  Type type = withElement(value.getType(), element);
  if (from == element)
    return value;
  if (from.isInteger())
    return arith::SIToFPOp::create(b, type, value);
  return arith::ExtFOp::create(b, type, value);
}

/// Functions that are used rarely, or are arithmetic anyway.
LogicalResult DeviceMathPass::expandUpstream() {
  RewritePatternSet patterns(&getContext());
  math::populateExpansionPatterns(
      patterns, {"asinh", "acosh", "atanh", "clampf", "rsqrt"});
  auto isRare = [](StringRef name) {
    return llvm::is_contained({"math.atan", "math.atan2", "math.asin",
                               "math.acos", "math.cbrt", "math.erfc"},
                              name);
  };
  populateMathF32ExpansionPatterns(patterns, isRare);
  populateMathPolynomialApproximationPatterns(patterns, isRare);
  return applyPatternsGreedily(getOperation(), std::move(patterns));
}

LogicalResult DeviceMathPass::lower(Operation *op) {
  StringRef name = op->getName().stripDialect();
  ImplicitLocOpBuilder b(op->getLoc(), op);
  if (isOfIntegers(op))
    return isInstruction(name, false)
               ? success()
               : op->emitOpError("of integers has no form on a GPU");
  Type element = getElementTypeOrSelf(op->getOperand(0).getType());
  bool isDouble = element.isF64();
  bool isExp = name == "exp" && !isDouble;
  if (isInstruction(name, isDouble)) {
    if (isDouble || element.isF32() || name.starts_with("is"))
      return success();
    // In f32, whatever the instructions of narrower types.
    IRMapping mapping;
    for (Value operand : op->getOperands())
      mapping.map(operand, widen(b, operand, b.getF32Type()));
    Operation *wide = b.clone(*op, mapping);
    Type type = wide->getResult(0).getType();
    wide->getResult(0).setType(withElement(type, b.getF32Type()));
    op->getResult(0).replaceAllUsesWith(
        arith::TruncFOp::create(b, type, wide->getResult(0)));
    op->erase();
    return success();
  }
  Type computed = isExp ? Type(b.getF32Type()) : Type(b.getF64Type());
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    operands.push_back(widen(b, operand, computed));
  Value result = isExp ? DeviceMath(b).exponentialF32(operands[0])
                       : buildDouble(b, name, operands);
  if (!result)
    return op->emitOpError("has no form on a GPU; compile with --target=cpu, "
                           "or write it with functions that have one");
  Type type = op->getResult(0).getType();
  if (result.getType() != type)
    result = arith::TruncFOp::create(b, type, result);
  op->getResult(0).replaceAllUsesWith(result);
  op->erase();
  return success();
}

void DeviceMathPass::runOnOperation() {
  if (failed(expandUpstream()))
    return signalPassFailure();
  SmallVector<Operation *> ops;
  getOperation()->walk([&](Operation *op) {
    if (isa_and_nonnull<math::MathDialect>(op->getDialect()))
      ops.push_back(op);
  });
  for (Operation *op : ops)
    if (failed(lower(op)))
      return signalPassFailure();
}
