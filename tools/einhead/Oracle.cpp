//===- Oracle.cpp - What a function computes, with error bounds -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Oracle.h"
#include "OracleOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>

using namespace mlir;
using llvm::Error;
using llvm::Expected;

namespace einhead::tool {
namespace oracle {

//===----------------------------------------------------------------------===//
// State
//===----------------------------------------------------------------------===//

TensorRef State::tensor(Value value) const {
  TensorRef known = tensors.lookup(value);
  if (!known)
    throw std::invalid_argument("an operand that is not a known tensor");
  return known;
}

Number State::number(Value value) const {
  auto known = numbers.find(value);
  if (known == numbers.end())
    throw std::invalid_argument("an operand that is not a known number");
  return known->second;
}

static int64_t exactInteger(double value, double bound) {
  if (bound != 0)
    throw std::invalid_argument("an index that depends on rounded numbers");
  return static_cast<int64_t>(value);
}

int64_t State::integer(Value value) const {
  Number known = number(value);
  return exactInteger(known.value, known.bound);
}

std::vector<int64_t> State::integers(Value value) const {
  if (!isa<ShapedType>(value.getType()))
    return {integer(value)};
  TensorRef known = tensor(value);
  std::vector<int64_t> result;
  for (int64_t i = 0; i < known->size(); ++i)
    result.push_back(exactInteger(known->value[i], known->bound[i]));
  return result;
}

Point State::integers(ArrayRef<OpFoldResult> values) const {
  Point result;
  for (OpFoldResult value : values) {
    if (auto attribute = dyn_cast<Attribute>(value))
      result.push_back(cast<IntegerAttr>(attribute).getInt());
    else
      result.push_back(integer(cast<Value>(value)));
  }
  return result;
}

void State::set(Value value, Tensor tensor) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  bool fits = type && type.getRank() == tensor.rank();
  for (int64_t dim = 0; fits && dim < type.getRank(); ++dim)
    fits = type.isDynamicDim(dim) || type.getDimSize(dim) == tensor.shape[dim];
  if (!fits)
    throw std::invalid_argument("a result that does not have its type's shape");
  tensors[value] = std::make_shared<Tensor>(std::move(tensor));
}

//===----------------------------------------------------------------------===//
// Dispatch
//===----------------------------------------------------------------------===//

Error failure(Operation *op, const Twine &what) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << "the oracle cannot evaluate '" << op->getName() << "' at "
         << op->getLoc() << ": " << what;
  return llvm::createStringError(text);
}

reference::Type storageOf(Type type) {
  Type element = getElementTypeOrSelf(type);
  if (element.isF32())
    return reference::Type::F32;
  if (element.isF16())
    return reference::Type::F16;
  if (element.isBF16())
    return reference::Type::BF16;
  if (isa<Float8E4M3FNType>(element))
    return reference::Type::F8E4M3;
  return reference::Type::F64;
}

template <typename Function>
static const llvm::StringMap<Function> &
table(std::initializer_list<void (*)(llvm::StringMap<Function> &)> parts) {
  static const llvm::StringMap<Function> filled = [&] {
    llvm::StringMap<Function> entries;
    for (auto add : parts)
      add(entries);
    return entries;
  }();
  return filled;
}

/// Applies a scalar function: once, or to each element.
Error State::runScalar(Operation *op) {
  ScalarFunction function = table<ScalarFunction>({addScalarOps})
                                .lookup(op->getName().getStringRef());
  SmallVector<Number> operands(op->getNumOperands());
  Value result = op->getResult(0);
  if (!isa<ShapedType>(result.getType())) {
    for (auto [number, value] : llvm::zip(operands, op->getOperands()))
      number = this->number(value);
    set(result, function(op, operands));
    return Error::success();
  }
  SmallVector<TensorRef> tensors; // null for a number (select's condition)
  Point shape;
  for (auto [number, value] : llvm::zip(operands, op->getOperands())) {
    bool isTensor = isa<ShapedType>(value.getType());
    tensors.push_back(isTensor ? tensor(value) : nullptr);
    if (isTensor)
      shape = tensors.back()->shape;
    else
      number = this->number(value);
  }
  for (const TensorRef &operand : tensors)
    if (operand && operand->shape != shape)
      return failure(op, "operands of different shapes");
  Tensor output(shape);
  for (int64_t i = 0; i < output.size(); ++i) {
    for (auto [number, operand] : llvm::zip(operands, tensors))
      if (operand)
        number = {operand->value[i], operand->bound[i]};
    Number element = function(op, operands);
    output.value[i] = element.value;
    output.bound[i] = element.bound;
  }
  set(result, std::move(output));
  return Error::success();
}

Error State::run(Operation *op) {
  StringRef name = op->getName().getStringRef();
  // The reference reports what does not fit by exceptions.
  try {
    if (table<ScalarFunction>({addScalarOps}).contains(name))
      return runScalar(op);
    const auto &ops =
        table<OpFunction>({addTensorOps, addLinalgOps, addAttnOps});
    if (OpFunction function = ops.lookup(name))
      return function(*this, op);
  } catch (const std::exception &exception) {
    return failure(op, exception.what());
  }
  return failure(op, "unknown to it");
}

Error State::run(Block &block) {
  for (Operation &op : block.without_terminator())
    if (Error error = run(&op))
      return error;
  return Error::success();
}

} // namespace oracle

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

using namespace oracle;

static Error bindArguments(State &state, func::FuncOp function,
                           ArrayRef<Tensor> arguments) {
  if (arguments.size() != function.getNumArguments())
    return llvm::createStringError(
        llvm::formatv("'{0}' takes {1} arguments, got {2}", function.getName(),
                      function.getNumArguments(), arguments.size()));
  for (auto [index, argument] : llvm::enumerate(function.getArguments())) {
    const Tensor &value = arguments[index];
    try {
      if (!isa<ShapedType>(argument.getType()) && value.size() == 1)
        state.set(argument, Number{value.value[0], value.bound[0]});
      else
        state.set(argument, value);
    } catch (const std::exception &) {
      return llvm::createStringError(llvm::formatv(
          "argument {0} of '{1}' does not have the shape of its type", index,
          function.getName()));
    }
  }
  return Error::success();
}

static Expected<std::vector<Tensor>>
evaluateOnce(func::FuncOp function, ArrayRef<Tensor> arguments,
             const OracleOptions &options) {
  State state(options);
  if (Error error = bindArguments(state, function, arguments))
    return error;
  Block &body = function.getBody().front();
  if (Error error = state.run(body))
    return error;
  std::vector<Tensor> results;
  for (Value value : body.getTerminator()->getOperands()) {
    if (isa<ShapedType>(value.getType())) {
      results.push_back(*state.tensor(value));
      continue;
    }
    Number number = state.number(value);
    Tensor scalar;
    scalar.value[0] = number.value;
    scalar.bound[0] = number.bound;
    results.push_back(scalar);
  }
  return results;
}

/// Whether no result has a bound larger than its largest element.
static bool saysSomething(const std::vector<Tensor> &results) {
  for (const Tensor &result : results) {
    double largest = 0, bound = 0;
    for (int64_t i = 0; i < result.size(); ++i) {
      if (std::isfinite(result.value[i]))
        largest = std::max(largest, std::fabs(result.value[i]));
      bound = std::max(bound, result.bound[i]);
    }
    if (bound > largest)
      return false;
  }
  return true;
}

Expected<std::vector<Tensor>> evaluate(func::FuncOp function,
                                       ArrayRef<Tensor> arguments,
                                       const OracleOptions &options) {
  if (function.isExternal() || !function.getBody().hasOneBlock())
    return failure(function, "a function of one block is needed");
  OracleOptions attempt = options;
  auto results = evaluateOnce(function, arguments, attempt);
  if (!results || options.errors != OracleOptions::Errors::Automatic ||
      saysSomething(*results))
    return results;
  attempt.errors = OracleOptions::Errors::Independent;
  return evaluateOnce(function, arguments, attempt);
}

} // namespace einhead::tool
