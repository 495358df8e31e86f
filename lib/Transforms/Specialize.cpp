//===- Specialize.cpp - Give named dimensions their extents -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/Attn.h"
#include "einhead/IR/ShapeNames.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/StringMap.h"

namespace einhead {
#define GEN_PASS_DEF_SPECIALIZEPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

using Extents = llvm::StringMap<int64_t>;

/// `type` with the dynamic extents that have a given name.
static FailureOr<Type> specialized(func::FuncOp function, unsigned index,
                                   Type type, const Extents &extents) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto names = function.getArgAttrOfType<StringAttr>(index, "attn.shape");
  if (!tensor || !names)
    return type;
  SmallVector<int64_t> shape(tensor.getShape());
  for (auto [i, name] : llvm::enumerate(*parseShapeNames(names.getValue()))) {
    auto given = extents.find(name.name);
    if (name.name.empty() || given == extents.end())
      continue;
    int64_t extent = given->second + name.offset;
    if (!ShapedType::isDynamic(shape[i]) && shape[i] != extent) {
      function.emitError() << "argument #" << index << ": dimension '"
                           << name.str() << "' is " << shape[i] << ", not "
                           << extent;
      return failure();
    }
    shape[i] = extent;
  }
  return Type(tensor.clone(shape));
}

/// `type` with dynamic extents replaced by those of `from` where known.
static Type refined(RankedTensorType type, ArrayRef<int64_t> from) {
  SmallVector<int64_t> shape(type.getShape());
  for (auto [extent, known] : llvm::zip(shape, from))
    if (ShapedType::isDynamic(extent))
      extent = known;
  return type.clone(shape);
}

/// The shape that an einsum's operands give its result.
static SmallVector<int64_t> einsumShape(EinsumOp op) {
  EinsumSpec spec = *EinsumSpec::parse(op.getSpec());
  SmallVector<int64_t> shape;
  for (char letter : spec.output) {
    int64_t extent = ShapedType::kDynamic;
    for (auto [term, input] : llvm::zip(spec.inputs, op.getInputs()))
      if (int64_t at = indexOf(term, letter); at >= 0)
        if (int64_t known = cast<ShapedType>(input.getType()).getDimSize(at);
            !ShapedType::isDynamic(known))
          extent = known;
    shape.push_back(extent);
  }
  return shape;
}

/// Whether the types of `op` follow those of its operands, or do not care.
static bool followsOperands(Operation *op) {
  // Their verifiers compare extents, and a dynamic one is no static one.
  if (isa<linalg::BroadcastOp, linalg::TransposeOp>(op))
    return false;
  return isa<EinsumOp, SoftmaxOp, AppendOp, AttentionOp, tensor::DimOp,
             tensor::CastOp, tensor::ExtractOp, linalg::LinalgOp>(op) ||
         op->hasTrait<OpTrait::Elementwise>() ||
         op->hasTrait<OpTrait::IsTerminator>();
}

/// Gives the results of `op` the static extents that its operands imply.
static void infer(Operation *op) {
  auto set = [&](ArrayRef<int64_t> shape) {
    Value result = op->getResult(0);
    result.setType(refined(cast<RankedTensorType>(result.getType()), shape));
  };
  if (auto einsum = dyn_cast<EinsumOp>(op))
    return set(einsumShape(einsum));
  if (auto append = dyn_cast<AppendOp>(op))
    return set(append.getCache().getType().getShape());
  bool elementwise = op->hasTrait<OpTrait::Elementwise>();
  if (op->getNumResults() != 1 || !(elementwise || isa<SoftmaxOp>(op)))
    return;
  if (!isa<RankedTensorType>(op->getResult(0).getType()))
    return;
  for (Value operand : op->getOperands())
    if (auto type = dyn_cast<RankedTensorType>(operand.getType()))
      set(type.getShape());
}

/// Elementwise operands agree in type: a dynamic one is cast to the static one.
static void castOperands(Operation *op) {
  if (!op->hasTrait<OpTrait::SameOperandsAndResultType>() ||
      op->getNumResults() != 1)
    return;
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  if (!type)
    return;
  OpBuilder builder(op);
  for (OpOperand &operand : op->getOpOperands())
    if (operand.get().getType() != type)
      operand.set(
          tensor::CastOp::create(builder, op->getLoc(), type, operand.get()));
}

/// An op whose types do not follow gets its operands as they were.
static void castBack(Operation *op, const DenseMap<Value, Type> &before) {
  if (followsOperands(op))
    return;
  OpBuilder builder(op);
  for (OpOperand &operand : op->getOpOperands()) {
    auto old = before.find(operand.get());
    if (old != before.end() && old->second != operand.get().getType())
      operand.set(tensor::CastOp::create(builder, op->getLoc(), old->second,
                                         operand.get()));
  }
}

static LogicalResult specialize(func::FuncOp function, const Extents &extents) {
  if (function.isExternal())
    return success();
  DenseMap<Value, Type> before;
  for (BlockArgument argument : function.getArguments())
    before[argument] = argument.getType();
  function.walk([&](Operation *op) {
    for (Value result : op->getResults())
      before[result] = result.getType();
  });
  SmallVector<Type> inputs;
  for (BlockArgument argument : function.getArguments()) {
    FailureOr<Type> type = specialized(function, argument.getArgNumber(),
                                       argument.getType(), extents);
    if (failed(type))
      return failure();
    argument.setType(*type);
    inputs.push_back(*type);
  }
  function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    infer(op);
    castOperands(op);
    castBack(op, before);
  });
  SmallVector<Type> results(function.getResultTypes());
  function.walk([&](func::ReturnOp op) {
    for (auto [i, value] : llvm::enumerate(op.getOperands()))
      results[i] = value.getType();
  });
  function.setType(FunctionType::get(function.getContext(), inputs, results));
  return success();
}

namespace {
struct SpecializePass final
    : einhead::impl::SpecializePassBase<SpecializePass> {
  using SpecializePassBase::SpecializePassBase;

  void runOnOperation() override {
    Extents extents;
    for (llvm::StringRef pair : sizes) {
      auto [name, text] = pair.split('=');
      int64_t extent;
      if (text.getAsInteger(10, extent) || extent < 0) {
        getOperation().emitError()
            << "expected name=extent in sizes, got \"" << pair << "\"";
        return signalPassFailure();
      }
      extents[name] = extent;
    }
    if (extents.empty())
      return;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (failed(specialize(function, extents)))
        return signalPassFailure();
  }
};
} // namespace
