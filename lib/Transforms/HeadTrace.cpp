//===- HeadTrace.cpp - Where keys and values get their heads ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HeadTrace.h"
#include "einhead/IR/Attn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

//===----------------------------------------------------------------------===//
// Parameters
//===----------------------------------------------------------------------===//

Value einhead::parameterRoot(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    bool isForm = isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp,
                      tensor::CastOp, arith::ExtFOp, arith::TruncFOp>(op);
    if (auto einsum = dyn_cast<EinsumOp>(op)) // a transposition
      isForm = einsum.getInputs().size() == 1 &&
               EinsumSpec::parse(einsum.getSpec())->output.size() ==
                   EinsumSpec::parse(einsum.getSpec())->inputs[0].size();
    if (!isForm)
      break;
    value = op->getOperand(0);
  }
  return value;
}

bool einhead::isUniform(Value value) {
  DenseElementsAttr dense;
  if (matchPattern(value, m_Constant(&dense)))
    return dense.isSplat();
  return isa_and_present<tensor::SplatOp, linalg::FillOp>(
      value.getDefiningOp());
}

/// Whether `value` is an argument of its function that has `attribute`.
static bool hasArgumentAttribute(Value value, llvm::StringRef attribute) {
  auto argument = dyn_cast<BlockArgument>(value);
  auto function =
      argument
          ? dyn_cast_or_null<func::FuncOp>(argument.getOwner()->getParentOp())
          : func::FuncOp();
  return function &&
         function.getArgAttr(argument.getArgNumber(), attribute) != nullptr;
}

static bool isProjectionWeight(OpOperand &use) {
  auto einsum = dyn_cast<EinsumOp>(use.getOwner());
  if (!einsum)
    return false;
  EinsumSpec spec = *EinsumSpec::parse(einsum.getSpec());
  bool isContracted = false;
  for (auto [i, term] : llvm::enumerate(spec.inputs)) {
    if (i == use.getOperandNumber())
      continue;
    for (char letter : spec.inputs[use.getOperandNumber()]) {
      if (indexOf(term, letter) < 0)
        continue;
      if (indexOf(spec.output, letter) >= 0)
        return false;
      isContracted = true;
    }
  }
  return isContracted;
}

static bool isParameter(OpOperand &use) {
  Value root = parameterRoot(use.get());
  if (root.getDefiningOp<arith::ConstantOp>() ||
      hasArgumentAttribute(root, "attn.parameter"))
    return true;
  // An argument of the function itself, given at each call.
  auto argument = dyn_cast<BlockArgument>(root);
  return argument && isa<func::FuncOp>(argument.getOwner()->getParentOp()) &&
         !hasArgumentAttribute(root, "attn.cache") && isProjectionWeight(use);
}

//===----------------------------------------------------------------------===//
// One step upwards
//===----------------------------------------------------------------------===//

namespace {
/// The operands that have the heads of a result, or why they cannot be told.
struct Sources {
  llvm::SmallVector<HeadUse> operands;
  std::string why;

  void add(Operation *op, unsigned operand, HeadDim at, int64_t dim) {
    at.dim = dim;
    operands.push_back({&op->getOpOperand(operand), at});
  }
  static Sources none(std::string why) { return {{}, std::move(why)}; }
};
} // namespace

static constexpr const char *twoFactors =
    "multiplies two values that have heads; pooled one by one they are not "
    "the pooled product";

static Sources einsumSources(EinsumOp op, HeadDim at) {
  EinsumSpec spec = *EinsumSpec::parse(op.getSpec());
  Sources sources;
  for (auto [i, term] : llvm::enumerate(spec.inputs))
    if (int64_t dim = indexOf(term, spec.output[at.dim]); dim >= 0)
      sources.add(op, i, at, dim);
  if (sources.operands.size() > 1)
    return Sources::none(twoFactors);
  return sources;
}

static Sources appendSources(AppendOp op, HeadDim at) {
  EinsumSpec spec = *EinsumSpec::parse(op.getSpec());
  int64_t dim = indexOf(spec.inputs[0], spec.output[at.dim]);
  if (dim < 0)
    return Sources::none("appends along the heads");
  Sources sources;
  sources.add(op, op.getNewRowsMutable().getOperandNumber(), at, dim);
  sources.add(op, op.getCacheMutable().getOperandNumber(), at, at.dim);
  return sources;
}

/// The product of static extents, or nothing.
static std::optional<int64_t> product(RankedTensorType type,
                                      ArrayRef<int64_t> dims) {
  int64_t count = 1;
  for (int64_t dim : dims) {
    if (type.isDynamicDim(dim))
      return std::nullopt;
    count *= type.getDimSize(dim);
  }
  return count;
}

static constexpr const char *mixed =
    "mixes heads with other dimensions; heads must come first in what is "
    "reshaped";

static Sources expandSources(tensor::ExpandShapeOp op, HeadDim at) {
  RankedTensorType type = op.getResultType();
  for (auto [dim, group] : llvm::enumerate(op.getReassociationIndices())) {
    auto *place = llvm::find(group, int64_t(at.dim));
    if (place == group.end())
      continue;
    size_t before = place - group.begin();
    ArrayRef<int64_t> dims(group);
    auto outer = product(type, dims.take_front(before));
    auto inner = product(type, dims.drop_front(before + 1));
    if (outer != 1 || !inner)
      return Sources::none(mixed);
    at.inner *= *inner;
    Sources sources;
    sources.add(op, 0, at, dim);
    return sources;
  }
  return Sources::none(mixed);
}

static Sources collapseSources(tensor::CollapseShapeOp op, HeadDim at) {
  RankedTensorType type = op.getSrcType();
  auto group = op.getReassociationIndices()[at.dim];
  ArrayRef<int64_t> dims(group);
  while (dims.size() > 1 && type.getDimSize(dims.front()) == 1)
    dims = dims.drop_front();
  auto inner = product(type, dims.drop_front());
  if (!inner || *inner == 0 || at.inner % *inner != 0 ||
      type.getDimSize(dims.front()) != at.heads * (at.inner / *inner))
    return Sources::none(mixed);
  at.inner /= *inner;
  Sources sources;
  sources.add(op, 0, at, dims.front());
  return sources;
}

static Sources elementwiseSources(Operation *op, HeadDim at) {
  Sources sources;
  int factors = 0;
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<RankedTensorType>(operand.get().getType()))
      continue;
    factors += !isUniform(operand.get());
    sources.add(op, operand.getOperandNumber(), at, at.dim);
  }
  if (isa<arith::MulFOp, arith::DivFOp>(op) && factors > 1)
    return Sources::none(twoFactors);
  return sources;
}

static Sources linalgSources(linalg::LinalgOp op, OpResult result, HeadDim at) {
  AffineMap map = op.getIndexingMapMatchingResult(result);
  auto loop = dyn_cast<AffineDimExpr>(map.getResult(at.dim));
  if (!loop || op.getIteratorTypesArray()[loop.getPosition()] !=
                   utils::IteratorType::parallel)
    return Sources::none("has no parallel loop over the heads");
  auto isHeadIndex = [&](linalg::IndexOp index) {
    return index.getDim() == loop.getPosition();
  };
  if (llvm::any_of(op.getBlock()->getOps<linalg::IndexOp>(), isHeadIndex))
    return Sources::none("computes with the number of the head");
  Sources sources;
  for (OpOperand &operand : op->getOpOperands())
    for (auto [dim, expr] :
         llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults())) {
      if (expr == loop)
        sources.add(op, operand.getOperandNumber(), at, dim);
      else if (expr.isFunctionOfDim(loop.getPosition()))
        return Sources::none("reads heads by more than their number");
    }
  return sources;
}

static Sources sourcesOf(OpResult result, HeadDim at) {
  Operation *op = result.getOwner();
  if (auto einsum = dyn_cast<EinsumOp>(op))
    return einsumSources(einsum, at);
  if (auto append = dyn_cast<AppendOp>(op))
    return appendSources(append, at);
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return expandSources(expand, at);
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return collapseSources(collapse, at);
  if (isa<tensor::CastOp>(op) || op->hasTrait<OpTrait::Elementwise>())
    return elementwiseSources(op, at);
  if (auto linalg = dyn_cast<linalg::LinalgOp>(op))
    return linalgSources(linalg, result, at);
  return Sources::none("is no op through which heads can be followed");
}

//===----------------------------------------------------------------------===//
// All steps
//===----------------------------------------------------------------------===//

/// The dimensions of an operand that become the dimensions `dims` of the
/// result of one of the ops of sourcesOf().
static SmallVector<int64_t> dimsAbove(OpOperand &use, OpResult result,
                                      ArrayRef<int64_t> dims) {
  Operation *op = use.getOwner();
  unsigned operand = use.getOperandNumber();
  SmallVector<int64_t> above;
  auto addLetters = [&](const EinsumSpec &spec, llvm::StringRef term) {
    for (int64_t dim : dims)
      if (int64_t at = indexOf(term, spec.output[dim]); at >= 0)
        above.push_back(at);
  };
  if (auto einsum = dyn_cast<EinsumOp>(op)) {
    EinsumSpec spec = *EinsumSpec::parse(einsum.getSpec());
    addLetters(spec, spec.inputs[operand]);
  } else if (auto append = dyn_cast<AppendOp>(op)) {
    EinsumSpec spec = *EinsumSpec::parse(append.getSpec());
    bool isCache = &use == &append.getCacheMutable();
    addLetters(spec, isCache ? spec.output : spec.inputs[0]);
  } else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    for (auto [i, part] : llvm::enumerate(expand.getReassociationIndices()))
      if (llvm::any_of(part, [&](int64_t d) { return is_contained(dims, d); }))
        above.push_back(i);
  } else if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
    for (int64_t dim : dims)
      llvm::append_range(above, collapse.getReassociationIndices()[dim]);
  } else if (auto linalg = dyn_cast<linalg::LinalgOp>(op)) {
    AffineMap to = linalg.getIndexingMapMatchingResult(result);
    AffineMap from = linalg.getMatchingIndexingMap(&use);
    for (auto [i, expr] : llvm::enumerate(from.getResults()))
      if (llvm::any_of(dims, [&, expr = expr](int64_t dim) {
            return to.getResult(dim) == expr;
          }))
        above.push_back(i);
  } else {
    llvm::append_range(above, dims);
  }
  return above;
}

bool einhead::leadsToProjection(Value value, unsigned dim, int64_t heads,
                                ArrayRef<int64_t> depth) {
  struct Place {
    Value value;
    HeadDim at;
    SmallVector<int64_t> depth;
  };
  // A value may be reached with other dimensions of the depth, but these only
  // tell weights from activations: the first will do.
  llvm::DenseSet<std::pair<Value, unsigned>> seen;
  SmallVector<Place, 4> open = {
      {value, HeadDim{dim, heads, 1}, SmallVector<int64_t>(depth)}};
  while (!open.empty()) {
    Place place = open.pop_back_val();
    auto result = dyn_cast<OpResult>(place.value);
    if (!result || !seen.insert({result, place.at.dim}).second)
      continue;
    for (const HeadUse &source : sourcesOf(result, place.at).operands) {
      auto above = dimsAbove(*source.use, result, place.depth);
      if (isProjectionWeight(*source.use) && isParameter(*source.use) &&
          !above.empty())
        return true;
      open.push_back({source.use->get(), source.at, above});
    }
  }
  return false;
}

LogicalResult HeadTrace::follow(OpOperand &use, HeadDim at) {
  Value value = use.get();
  Operation *user = use.getOwner();
  followed.insert(&use);
  auto known = values.find(value);
  if (known != values.end()) {
    if (known->second == at)
      return success();
    return user->emitError()
           << "uses operand #" << use.getOperandNumber()
           << " with other heads than another op; key/value heads cannot be "
              "pooled";
  }
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getDimSize(at.dim) != at.heads * at.inner)
    return user->emitError()
           << "dimension " << at.dim << " of operand #"
           << use.getOperandNumber() << ", " << type << ", must hold "
           << at.heads << " heads of " << at.inner
           << "; --attn-specialize makes named extents static";
  // A scale is no parameter.
  bool isScale = isUniform(value) && isa<arith::MulFOp, arith::DivFOp>(user);
  Operation *maker = value.getDefiningOp();
  if (isa_and_present<tensor::EmptyOp, tensor::SplatOp>(maker) ||
      (isScale && isa<arith::ConstantOp>(maker))) {
    shapes.push_back({&use, at});
    return success();
  }
  if (isParameter(use)) {
    parameters.push_back({&use, at});
    return success();
  }
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (!hasArgumentAttribute(value, "attn.cache"))
      return user->emitError()
             << "the key/value heads of operand #" << use.getOperandNumber()
             << " come from argument #" << argument.getArgNumber()
             << ", which is neither a parameter nor a cache; pool them where "
                "they are made";
    values[value] = at;
    return success();
  }
  Sources sources = sourcesOf(cast<OpResult>(value), at);
  if (!sources.why.empty())
    return value.getDefiningOp()->emitError()
           << "key/value heads cannot be pooled: this op " << sources.why;
  values[value] = at;
  for (const HeadUse &source : sources.operands)
    if (failed(follow(*source.use, source.at)))
      return failure();
  return success();
}
