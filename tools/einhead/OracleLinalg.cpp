//===- OracleLinalg.cpp - linalg ops, point by point ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OracleOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include <cmath>

using namespace mlir;
using llvm::Error;

namespace einhead::tool::oracle {

namespace {

/// A linalg op while its loops run.
class Loops {
public:
  Loops(State &state, linalg::LinalgOp op);
  Error run();

private:
  /// Where an operand's element lies at the loops' point.
  int64_t offsetOf(unsigned operand) const;
  Point extents();
  Error runPoint();
  Error bindArguments();
  Error storeYields();
  void findSums();
  void finishSums();

  State &state;
  linalg::LinalgOp op;
  SmallVector<AffineMap> maps;
  SmallVector<TensorRef> operands; // null for a number
  std::vector<Tensor> outputs;     // of the operands' inits
  /// For an output that is a plain sum: the term of a point.  A sum may be
  /// taken in any order, so that its bound is that of all orders.
  SmallVector<Value> terms;
  std::vector<std::vector<double>> magnitudes;
};

} // namespace

Loops::Loops(State &state, linalg::LinalgOp op)
    : state(state), op(op), maps(op.getIndexingMapsArray()) {
  for (Value operand : op->getOperands())
    operands.push_back(
        isa<ShapedType>(operand.getType()) ? state.tensor(operand) : nullptr);
  for (Value init : op.getDpsInits())
    outputs.push_back(*state.tensor(init));
  findSums();
}

/// Finds the outputs that are `out + term` and nothing else.
void Loops::findSums() {
  terms.assign(outputs.size(), nullptr);
  magnitudes.resize(outputs.size());
  if (op.getNumReductionLoops() == 0)
    return;
  Operation *yield = op.getBlock()->getTerminator();
  for (size_t i = 0; i < outputs.size(); ++i) {
    BlockArgument out = op.getMatchingBlockArgument(op.getDpsInitOperand(i));
    auto sum = yield->getOperand(i).getDefiningOp<arith::AddFOp>();
    if (!sum || !out.hasOneUse() || !sum->hasOneUse())
      continue;
    if (sum.getLhs() == out)
      terms[i] = sum.getRhs();
    else if (sum.getRhs() == out)
      terms[i] = sum.getLhs();
    for (double x : outputs[i].value)
      magnitudes[i].push_back(std::fabs(x));
  }
}

Point Loops::extents() {
  Point result(op.getNumLoops(), -1);
  for (auto [map, operand] : llvm::zip(maps, operands))
    for (auto [dim, expr] : llvm::enumerate(map.getResults()))
      if (auto loop = dyn_cast<AffineDimExpr>(expr))
        result[loop.getPosition()] = operand->shape[dim];
  if (llvm::is_contained(result, -1))
    throw std::invalid_argument("a loop that no operand bounds");
  return result;
}

static int64_t valueOf(AffineExpr expr, const Point &dims,
                       ArrayRef<int64_t> symbols) {
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return dims[dim.getPosition()];
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return symbols[symbol.getPosition()];
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue();
  auto binary = cast<AffineBinaryOpExpr>(expr);
  int64_t x = valueOf(binary.getLHS(), dims, symbols);
  int64_t y = valueOf(binary.getRHS(), dims, symbols);
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return x + y;
  case AffineExprKind::Mul:
    return x * y;
  default:
    break;
  }
  if (y <= 0)
    throw std::invalid_argument("an affine division by what is not positive");
  int64_t floor = x / y - (x % y < 0);
  if (expr.getKind() == AffineExprKind::FloorDiv)
    return floor;
  return expr.getKind() == AffineExprKind::Mod ? x - floor * y
                                               : floor + (x - floor * y > 0);
}

bool holds(IntegerSet set, const Point &dims, ArrayRef<int64_t> symbols) {
  for (unsigned i = 0; i < set.getNumConstraints(); ++i) {
    int64_t value = valueOf(set.getConstraint(i), dims, symbols);
    if (set.isEq(i) ? value != 0 : value < 0)
      return false;
  }
  return true;
}

int64_t Loops::offsetOf(unsigned operand) const {
  Point index;
  for (AffineExpr expr : maps[operand].getResults())
    index.push_back(valueOf(expr, state.loops, {}));
  return operands[operand]->offset(index);
}

Error Loops::bindArguments() {
  for (OpOperand *operand : op.getOpOperandsMatchingBBargs()) {
    unsigned number = operand->getOperandNumber();
    BlockArgument argument = op.getMatchingBlockArgument(operand);
    if (!operands[number]) {
      state.set(argument, state.number(operand->get()));
      continue;
    }
    int64_t at = offsetOf(number);
    const Tensor &from = op.isDpsInit(operand)
                             ? outputs[number - op.getNumDpsInputs()]
                             : *operands[number];
    state.set(argument, Number{from.value[at], from.bound[at]});
  }
  return Error::success();
}

Error Loops::storeYields() {
  Operation *yield = op.getBlock()->getTerminator();
  for (size_t i = 0; i < outputs.size(); ++i) {
    Tensor &output = outputs[i];
    int64_t at = offsetOf(op.getNumDpsInputs() + i);
    if (!terms[i]) {
      Number number = state.number(yield->getOperand(i));
      output.value[at] = number.value;
      output.bound[at] = number.bound;
      continue;
    }
    Number term = state.number(terms[i]);
    output.value[at] += term.value;
    output.bound[at] += term.bound;
    magnitudes[i][at] += std::fabs(term.value);
  }
  return Error::success();
}

/// Adds the rounding of sums in any order: one for each term.
void Loops::finishSums() {
  Point all = extents();
  for (size_t i = 0; i < outputs.size(); ++i) {
    Tensor &output = outputs[i];
    if (!terms[i] || output.size() == 0)
      continue;
    double count = double(reference::elementCount(all)) / output.size();
    reference::Type type = storageOf(op->getResult(i).getType());
    double growth = count * reference::unitRoundoff(type);
    for (int64_t at = 0; at < output.size(); ++at)
      if (std::isfinite(output.value[at]) && count > 0)
        output.bound[at] += growth / (1 - std::min(growth, 0.5)) *
                            (magnitudes[i][at] + output.bound[at]);
  }
}

Error Loops::runPoint() {
  if (Error error = bindArguments())
    return error;
  if (Error error = state.run(*op.getBlock()))
    return error;
  return storeYields();
}

Error Loops::run() {
  Point outer = state.loops;
  std::string failed;
  forEachPoint(extents(), [&](const Point &point) {
    if (!failed.empty())
      return;
    state.loops = point;
    if (Error error = runPoint())
      failed = llvm::toString(std::move(error));
  });
  state.loops = outer;
  if (!failed.empty())
    return llvm::createStringError(failed);
  finishSums();
  for (auto [result, output] : llvm::zip(op->getResults(), outputs))
    state.set(result, std::move(output));
  return Error::success();
}

static Error evaluateLinalg(State &state, Operation *op) {
  auto linalgOp = cast<linalg::LinalgOp>(op);
  if (!linalgOp.hasPureTensorSemantics())
    return failure(op, "it works on buffers");
  return Loops(state, linalgOp).run();
}

static Error evaluateIndex(State &state, Operation *op) {
  int64_t dim = cast<linalg::IndexOp>(op).getDim();
  state.set(op->getResult(0), Number{double(state.loops.at(dim)), 0});
  return Error::success();
}

void addLinalgOps(llvm::StringMap<OpFunction> &table) {
  for (const char *name :
       {"linalg.generic", "linalg.fill", "linalg.transpose", "linalg.broadcast",
        "linalg.map", "linalg.reduce", "linalg.copy", "linalg.matmul",
        "linalg.batch_matmul", "linalg.add", "linalg.sub", "linalg.mul",
        "linalg.div"})
    table[name] = evaluateLinalg;
  table["linalg.index"] = evaluateIndex;
}

} // namespace einhead::tool::oracle
