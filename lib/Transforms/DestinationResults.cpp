//===- DestinationResults.cpp - Results become arguments --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/SymbolTable.h"

namespace einhead {
#define GEN_PASS_DEF_DESTINATIONRESULTSPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using bufferization::BufferizationDialect;

/// Callers may pass tensors with padded rows: every stride but the last is
/// known at run time only.  The session's own tensors are dense.
static Attribute layoutOf(RankedTensorType type, bool dense) {
  MLIRContext *context = type.getContext();
  if (dense || type.getRank() < 2)
    return AffineMapAttr::get(
        AffineMap::getMultiDimIdentityMap(type.getRank(), context));
  SmallVector<int64_t> strides(type.getRank(), ShapedType::kDynamic);
  strides.back() = 1;
  return StridedLayoutAttr::get(context, /*offset=*/0, strides);
}

/// Tells bufferization which arguments the function may write.
static void markArguments(func::FuncOp function) {
  Builder builder(function.getContext());
  for (unsigned i = 0, e = function.getNumArguments(); i < e; ++i) {
    auto type = dyn_cast<RankedTensorType>(function.getArgument(i).getType());
    if (!type)
      continue;
    auto has = [&](StringRef name) {
      return function.getArgAttr(i, name) != nullptr;
    };
    bool cache = has("attn.cache");
    bool dense = cache || has("attn.parameter") || has("attn.length");
    function.setArgAttr(i, BufferizationDialect::kWritableAttrName,
                        builder.getBoolAttr(cache));
    function.setArgAttr(i, BufferizationDialect::kBufferLayoutAttrName,
                        layoutOf(type, dense));
  }
}

/// The layouts of a private function's arguments: rows of any distance, at any
/// place, but contiguous.  Otherwise bufferization takes every stride for
/// unknown, and rows cannot be loaded as vectors.
static void markPrivate(func::FuncOp function) {
  for (unsigned i = 0, e = function.getNumArguments(); i < e; ++i) {
    auto type = dyn_cast<RankedTensorType>(function.getArgument(i).getType());
    if (!type || type.getRank() == 0)
      continue;
    SmallVector<int64_t> strides(type.getRank(), ShapedType::kDynamic);
    strides.back() = 1;
    function.setArgAttr(i, BufferizationDialect::kBufferLayoutAttrName,
                        StridedLayoutAttr::get(function.getContext(),
                                               ShapedType::kDynamic, strides));
  }
}

/// Checks that a result with `attn.cache` belongs to a cache argument.
static LogicalResult checkCache(func::FuncOp function, unsigned result,
                                Attribute attribute) {
  auto name = dyn_cast<StringAttr>(attribute);
  if (!name)
    return function.emitOpError()
           << "result #" << result
           << " needs the name of its cache: attn.cache = \"...\"";
  for (unsigned i = 0, e = function.getNumArguments(); i < e; ++i) {
    if (!function.getArgAttr(i, "attn.cache") ||
        function.getArgAttrOfType<StringAttr>(i, "attn.name") != name)
      continue;
    if (function.getArgument(i).getType() == function.getResultTypes()[result])
      return success();
    return function.emitOpError()
           << "result #" << result << " has type "
           << function.getResultTypes()[result] << ", its cache " << name
           << " has type " << function.getArgument(i).getType();
  }
  return function.emitOpError()
         << "result #" << result << " is the new state of " << name
         << ", but no cache argument has that name";
}

/// The attributes of the argument that takes result `index`.
static DictionaryAttr argumentAttributes(func::FuncOp function, unsigned index,
                                         RankedTensorType type) {
  Builder builder(function.getContext());
  NamedAttrList attributes;
  Attribute name = function.getResultAttr(index, "attn.name");
  attributes.set("attn.name",
                 name ? name : builder.getStringAttr("result" + Twine(index)));
  if (Attribute shape = function.getResultAttr(index, "attn.shape"))
    attributes.set("attn.shape", shape);
  attributes.set(BufferizationDialect::kWritableAttrName,
                 builder.getBoolAttr(true));
  attributes.set(BufferizationDialect::kBufferLayoutAttrName,
                 layoutOf(type, /*dense=*/false));
  return attributes.getDictionary(function.getContext());
}

/// Appends an argument for result `index` and writes the value into it.  The
/// value is still returned: only bufferization can tell that it is the
/// argument, and dropping it is a pass of its own.
static LogicalResult addDestination(func::FuncOp function,
                                    func::ReturnOp returnOp, unsigned index) {
  Value value = returnOp.getOperand(index);
  OpBuilder builder(returnOp);
  Location loc = value.getLoc();
  if (value.getType().isIntOrIndexOrFloat())
    value = tensor::FromElementsOp::create(
        builder, loc, RankedTensorType::get({}, value.getType()), value);
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return function.emitOpError()
           << "result #" << index << " of type " << value.getType()
           << " is neither a ranked tensor nor a number";
  if (failed(function.insertArgument(function.getNumArguments(), type,
                                     argumentAttributes(function, index, type),
                                     loc)))
    return failure();
  Value argument = function.getArguments().back();
  auto written = bufferization::MaterializeInDestinationOp::create(
      builder, loc, type, value, argument);
  returnOp.setOperand(index, written.getResult());
  return success();
}

static LogicalResult rewriteFunction(func::FuncOp function) {
  if (!llvm::hasSingleElement(function.getBody()))
    return function.emitOpError(
        "has branches between blocks; write control flow with scf");
  if (!SymbolTable::symbolKnownUseEmpty(function, function->getParentOp()))
    return function.emitOpError(
        "is public and called in its module; call a private function instead");
  markArguments(function);
  auto returnOp = cast<func::ReturnOp>(function.front().getTerminator());
  for (unsigned i = 0, e = returnOp.getNumOperands(); i < e; ++i) {
    Attribute cache = function.getResultAttr(i, "attn.cache");
    if (failed(cache ? checkCache(function, i, cache)
                     : addDestination(function, returnOp, i)))
      return failure();
  }
  function.setType(FunctionType::get(function.getContext(),
                                     function.getArgumentTypes(),
                                     returnOp.getOperandTypes()));
  return success();
}

namespace {
struct DestinationResultsPass final
    : einhead::impl::DestinationResultsPassBase<DestinationResultsPass> {
  void runOnOperation() override {
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal())
        continue;
      if (function.isPrivate())
        markPrivate(function);
      else if (failed(rewriteFunction(function)))
        return signalPassFailure();
    }
  }
};
} // namespace
