//===- IndexEvaluator.cpp - Run a function's index arithmetic ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Analysis/IndexEvaluator.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace einhead;

//===----------------------------------------------------------------------===//
// Where a dimension comes from
//===----------------------------------------------------------------------===//

namespace {
/// A dimension: of another tensor, or a number that some op holds.
struct DimSource {
  Value tensor;
  unsigned dim = 0;
  OpFoldResult size;
};
} // namespace

/// The operand of a loop that its argument or result starts from.
static Value initOf(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    Operation *parent = argument.getOwner()->getParentOp();
    if (auto loop = dyn_cast_or_null<scf::ForOp>(parent)) {
      OpOperand *init = loop.getTiedLoopInit(argument);
      return init ? init->get() : Value();
    }
    if (auto forall = dyn_cast_or_null<scf::ForallOp>(parent)) {
      unsigned ivs = forall.getRank();
      if (argument.getArgNumber() < ivs)
        return nullptr;
      return forall.getOutputs()[argument.getArgNumber() - ivs];
    }
    return nullptr;
  }
  auto result = cast<OpResult>(value);
  Operation *op = result.getOwner();
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return loop.getInitArgs()[result.getResultNumber()];
  if (auto forall = dyn_cast<scf::ForallOp>(op))
    return forall.getOutputs()[result.getResultNumber()];
  if (auto destination = dyn_cast<DestinationStyleOpInterface>(op))
    return destination.getTiedOpOperand(result)->get();
  if (auto append = dyn_cast<attn::AppendOp>(op))
    return append.getCache();
  return nullptr;
}

/// The dimension of a slice's source that its dimension `i` is part of, or of
/// a letter of an einsum.
static DimSource sourceOf(Operation *op, unsigned i) {
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    llvm::SmallBitVector dropped = slice.getDroppedDims();
    SmallVector<OpFoldResult> sizes = slice.getMixedSizes();
    for (unsigned d = 0, kept = 0; d < sizes.size(); ++d)
      if (!dropped[d] && kept++ == i)
        return {nullptr, 0, sizes[d]};
  }
  if (auto empty = dyn_cast<tensor::EmptyOp>(op))
    return {nullptr, 0, empty.getMixedSizes()[i]};
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return {cast.getSource(), i, {}};
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return {nullptr, 0, expand.getMixedOutputShape()[i]};
  if (auto einsum = dyn_cast<attn::EinsumOp>(op)) {
    attn::EinsumSpec spec = *attn::EinsumSpec::parse(einsum.getSpec());
    for (auto [term, input] : llvm::zip(spec.inputs, einsum.getInputs()))
      if (int64_t at = attn::indexOf(term, spec.output[i]); at >= 0)
        return {input, static_cast<unsigned>(at), {}};
  }
  return {};
}

static DimSource sourceOf(Value tensor, unsigned i) {
  if (Value init = initOf(tensor))
    return {init, i, {}};
  if (Operation *op = tensor.getDefiningOp())
    return sourceOf(op, i);
  return {};
}

std::optional<ArgumentDim> einhead::argumentDim(Value tensor, unsigned i) {
  while (true) {
    DimSource source = sourceOf(tensor, i);
    if (source.tensor) {
      tensor = source.tensor;
      i = source.dim;
      continue;
    }
    auto argument = dyn_cast<BlockArgument>(tensor);
    if (argument && isa<func::FuncOp>(argument.getOwner()->getParentOp()))
      return ArgumentDim(argument, i);
    return std::nullopt;
  }
}

Value einhead::rootOf(Value tensor) {
  while (true) {
    if (auto slice = tensor.getDefiningOp<tensor::ExtractSliceOp>())
      tensor = slice.getSource();
    else if (auto cast = tensor.getDefiningOp<tensor::CastOp>())
      tensor = cast.getSource();
    else if (Value init = initOf(tensor))
      tensor = init;
    else
      return tensor;
  }
}

std::optional<int64_t> IndexEvaluator::dim(Value tensor, unsigned i) const {
  while (true) {
    int64_t extent = cast<ShapedType>(tensor.getType()).getDimSize(i);
    if (!ShapedType::isDynamic(extent))
      return extent;
    DimSource source = sourceOf(tensor, i);
    if (source.size)
      return value(source.size);
    if (!source.tensor)
      break;
    tensor = source.tensor;
    i = source.dim;
  }
  auto argument = dyn_cast<BlockArgument>(tensor);
  if (!argument || !isa<func::FuncOp>(argument.getOwner()->getParentOp()))
    return std::nullopt;
  auto size = sizes.find(ArgumentDim(argument, i));
  return size == sizes.end() ? otherSize : size->second;
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

std::optional<int64_t> IndexEvaluator::value(Value value) const {
  auto at = known.find(value);
  if (at != known.end())
    return at->second;
  if (isa<BlockArgument>(value) && value.getType().isIntOrIndex())
    return length;
  return std::nullopt;
}

std::optional<int64_t> IndexEvaluator::value(OpFoldResult result) const {
  if (auto number = dyn_cast<Attribute>(result))
    return cast<IntegerAttr>(number).getInt();
  return value(cast<Value>(result));
}

static std::optional<int64_t> binary(Operation *op, int64_t a, int64_t b) {
  using namespace arith;
  bool divides = isa<DivUIOp, DivSIOp, CeilDivSIOp, CeilDivUIOp, FloorDivSIOp,
                     RemUIOp, RemSIOp>(op);
  if (divides && b == 0)
    return std::nullopt;
  return llvm::TypeSwitch<Operation *, std::optional<int64_t>>(op)
      .Case<AddIOp>([&](Operation *) { return a + b; })
      .Case<SubIOp>([&](Operation *) { return a - b; })
      .Case<MulIOp>([&](Operation *) { return a * b; })
      .Case<DivUIOp, DivSIOp>([&](Operation *) { return a / b; })
      .Case<RemUIOp, RemSIOp>([&](Operation *) { return a % b; })
      .Case<CeilDivSIOp, CeilDivUIOp>(
          [&](Operation *) { return llvm::divideCeilSigned(a, b); })
      .Case<FloorDivSIOp>(
          [&](Operation *) { return llvm::divideFloorSigned(a, b); })
      .Case<MaxSIOp, MaxUIOp>([&](Operation *) { return std::max(a, b); })
      .Case<MinSIOp, MinUIOp>([&](Operation *) { return std::min(a, b); })
      .Case<AndIOp>([&](Operation *) { return a & b; })
      .Case<OrIOp>([&](Operation *) { return a | b; })
      .Default([](Operation *) { return std::nullopt; });
}

std::optional<int64_t> IndexEvaluator::evaluate(Operation *op) const {
  if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    auto number = dyn_cast<IntegerAttr>(constant.getValue());
    return number ? std::optional(number.getInt()) : std::nullopt;
  }
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    auto i = value(dim.getIndex());
    return i ? this->dim(dim.getSource(), *i) : std::nullopt;
  }
  if (isa<tensor::ExtractOp>(op))
    return length;
  SmallVector<Attribute> numbers;
  for (Value operand : op->getOperands()) {
    std::optional<int64_t> number = value(operand);
    if (!number)
      return std::nullopt;
    numbers.push_back(
        IntegerAttr::get(IndexType::get(op->getContext()), *number));
  }
  auto at = [&](unsigned i) { return cast<IntegerAttr>(numbers[i]).getInt(); };
  if (isa<affine::AffineApplyOp, affine::AffineMinOp, affine::AffineMaxOp>(
          op)) {
    AffineMap map = cast<AffineMapAttr>(op->getAttr("map")).getValue();
    SmallVector<Attribute> results;
    if (failed(map.constantFold(numbers, results)))
      return std::nullopt;
    int64_t best = cast<IntegerAttr>(results.front()).getInt();
    for (Attribute result : results) {
      int64_t number = cast<IntegerAttr>(result).getInt();
      best = isa<affine::AffineMaxOp>(op) ? std::max(best, number)
                                          : std::min(best, number);
    }
    return best;
  }
  if (auto compare = dyn_cast<arith::CmpIOp>(op))
    return arith::applyCmpPredicate(compare.getPredicate(),
                                    llvm::APInt(64, at(0), true),
                                    llvm::APInt(64, at(1), true));
  if (isa<arith::SelectOp>(op))
    return at(0) ? at(1) : at(2);
  if (isa<arith::IndexCastOp, arith::ExtUIOp, arith::ExtSIOp>(op))
    return at(0);
  return numbers.size() == 2 ? binary(op, at(0), at(1)) : std::nullopt;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

bool IndexEvaluator::runLoops(scf::ForallOp op, unsigned level) {
  if (level == op.getRank())
    return runBlock(*op.getBody());
  auto low = value(op.getMixedLowerBound()[level]);
  auto high = value(op.getMixedUpperBound()[level]);
  auto step = value(op.getMixedStep()[level]);
  if (!low || !high || !step)
    return false;
  for (int64_t i = *low; i < *high; i += *step) {
    known[op.getInductionVars()[level]] = i;
    if (!runLoops(op, level + 1))
      return false;
  }
  return true;
}

bool IndexEvaluator::runOp(Operation *op) {
  if (auto forall = dyn_cast<scf::ForallOp>(op))
    return runLoops(forall, 0);
  if (auto loop = dyn_cast<scf::ForOp>(op)) {
    auto low = value(loop.getLowerBound()), high = value(loop.getUpperBound()),
         step = value(loop.getStep());
    if (!low || !high || !step || *step < 1)
      return false;
    for (int64_t i = *low; i < *high; i += *step) {
      known[loop.getInductionVar()] = i;
      if (!runBlock(*loop.getBody()))
        return false;
    }
    return true;
  }
  if (op->getNumResults() == 1 && op->getResult(0).getType().isIntOrIndex())
    if (std::optional<int64_t> number = evaluate(op))
      known[op->getResult(0)] = *number;
  visit(op);
  // Regions of other ops hold no loops that concern attention; if they do, what
  // they read is not counted, and an op that is not reached is an error below.
  return true;
}

bool IndexEvaluator::runBlock(Block &block) {
  for (Operation &op : block) {
    if (runOp(&op))
      continue;
    if (!stuck)
      stuck = &op;
    return false;
  }
  return true;
}

Operation *IndexEvaluator::run(func::FuncOp function,
                               llvm::function_ref<void(Operation *)> onOp) {
  known.clear();
  stuck = nullptr;
  visit = onOp;
  if (!function.getBody().hasOneBlock())
    return function.getOperation();
  (void)runBlock(function.getBody().front());
  return stuck;
}
