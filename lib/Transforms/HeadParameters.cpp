//===- HeadParameters.cpp - Pooled parameters in the IR ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HeadParameters.h"
#include "einhead/IR/Attn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

RankedTensorType einhead::withHeads(Type type, HeadDim at, int64_t heads) {
  auto tensor = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(tensor.getShape());
  shape[at.dim] = heads * at.inner;
  return tensor.clone(shape);
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

/// The constant whose elements `value` has, in the same order.
static ElementsAttr constantOf(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto constant = dyn_cast<arith::ConstantOp>(op))
      return dyn_cast<ElementsAttr>(constant.getValue());
    if (!isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(
            op))
      break;
    value = op->getOperand(0);
  }
  return {};
}

/// The bytes of all elements; empty where they are not at hand.
static ArrayRef<char> bytesOf(ElementsAttr elements) {
  if (auto dense = dyn_cast<DenseElementsAttr>(elements))
    return dense.getRawData();
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(elements))
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      return blob->getData();
  return {};
}

static std::optional<HeadElement> elementOf(Type type) {
  Type element = cast<RankedTensorType>(type).getElementType();
  if (element.isF64())
    return HeadElement::F64;
  if (element.isF32())
    return HeadElement::F32;
  if (element.isF16())
    return HeadElement::F16;
  if (element.isBF16())
    return HeadElement::BF16;
  return std::nullopt;
}

/// A constant in the form of `like`: in the text, or a resource beside it.
static Value createConstant(OpBuilder &builder, Location loc,
                            RankedTensorType type, ArrayRef<char> bytes,
                            ElementsAttr like) {
  TypedAttr attribute;
  if (isa_and_present<DenseResourceElementsAttr>(like)) {
    AsmResourceBlob blob =
        HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, 64);
    attribute =
        DenseResourceElementsAttr::get(type, "pooled_heads", std::move(blob));
  } else {
    attribute = DenseElementsAttr::getFromRawBuffer(type, bytes);
  }
  return arith::ConstantOp::create(builder, loc, attribute);
}

static HeadAxis axisOf(RankedTensorType type, HeadDim at, int64_t groups) {
  HeadAxis axis;
  axis.heads = at.heads;
  axis.groups = groups;
  axis.inner = at.inner;
  for (auto [dim, extent] : llvm::enumerate(type.getShape()))
    if (dim != at.dim)
      (dim < at.dim ? axis.outer : axis.inner) *= extent;
  return axis;
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

/// [.., heads * inner, ..] -> [.., groups, heads of one, inner, ..]
static Value splitGroups(OpBuilder &builder, Value value, HeadDim at,
                         int64_t groups) {
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape;
  SmallVector<ReassociationIndices> parts;
  for (auto [dim, extent] : llvm::enumerate(type.getShape())) {
    ReassociationIndices part;
    auto add = [&](int64_t extent) {
      part.push_back(shape.size());
      shape.push_back(extent);
    };
    if (dim == at.dim) {
      add(groups);
      add(at.heads / groups);
    }
    if (dim != at.dim || at.inner != 1)
      add(dim == at.dim ? at.inner : extent);
    parts.push_back(part);
  }
  return tensor::ExpandShapeOp::create(builder, value.getLoc(),
                                       type.clone(shape), value, parts);
}

/// The mean over the heads of each group, as an einsum with 1/n.
static Value meanOfSplit(OpBuilder &builder, Value split, HeadDim at,
                         RankedTensorType type, int64_t perGroup) {
  Type element = type.getElementType().isF64() ? Type(builder.getF64Type())
                                               : Type(builder.getF32Type());
  auto shareType = RankedTensorType::get({perGroup}, element);
  Value share = arith::ConstantOp::create(
      builder, split.getLoc(),
      DenseElementsAttr::get(shareType, Attribute(builder.getFloatAttr(
                                            element, 1.0 / double(perGroup)))));
  std::string all;
  for (int64_t i = 0; i < cast<RankedTensorType>(split.getType()).getRank();
       ++i)
    all.push_back(char('a' + i));
  std::string kept = all;
  kept.erase(at.dim + 1, 1);
  std::string spec = all + ", " + all[at.dim + 1] + " -> " + kept;
  return EinsumOp::create(builder, split.getLoc(), type,
                          builder.getStringAttr(spec),
                          ValueRange{split, share});
}

static Value firstOfSplit(OpBuilder &builder, Value split, HeadDim at,
                          RankedTensorType type) {
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(builder, split.getLoc(), split);
  sizes[at.dim + 1] = builder.getIndexAttr(1);
  SmallVector<OpFoldResult> offsets(sizes.size(), builder.getIndexAttr(0));
  SmallVector<OpFoldResult> strides(sizes.size(), builder.getIndexAttr(1));
  return tensor::ExtractSliceOp::create(builder, split.getLoc(), type, split,
                                        offsets, sizes, strides);
}

static Value poolArgument(OpBuilder &builder, const HeadUse &parameter,
                          const PoolOptions &options) {
  Value value = parameter.use->get();
  HeadDim at = parameter.at;
  auto type = cast<RankedTensorType>(value.getType());
  Value split = splitGroups(builder, value, at, options.groups);
  // [.., groups, inner, ..], without an inner extent of 1.
  SmallVector<int64_t> shape(type.getShape());
  shape[at.dim] = options.groups;
  if (at.inner != 1)
    shape.insert(shape.begin() + at.dim + 1, at.inner);
  RankedTensorType pooledType = type.clone(shape);
  Value pooled = options.method == HeadMethod::First
                     ? firstOfSplit(builder, split, at, pooledType)
                     : meanOfSplit(builder, split, at, pooledType,
                                   at.heads / options.groups);
  if (at.inner == 1)
    return pooled;
  SmallVector<ReassociationIndices> parts;
  int64_t next = 0;
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    ReassociationIndices part = {next++};
    if (dim == int64_t(at.dim))
      part.push_back(next++);
    parts.push_back(part);
  }
  return tensor::CollapseShapeOp::create(builder, value.getLoc(),
                                         withHeads(type, at, options.groups),
                                         pooled, parts);
}

//===----------------------------------------------------------------------===//
// Both
//===----------------------------------------------------------------------===//

/// Whether the value is a bias, as far as elementwise ops tell.
static bool isAdded(OpOperand &use) {
  if (auto generic = dyn_cast<linalg::GenericOp>(use.getOwner())) {
    Value element = generic.getMatchingBlockArgument(&use);
    return element.hasOneUse() &&
           isa<arith::AddFOp>(*element.getUsers().begin());
  }
  return isa<arith::AddFOp>(use.getOwner());
}

/// The name that a parameter's random numbers depend on.
static std::string nameOf(Value value, size_t number) {
  auto argument = dyn_cast<BlockArgument>(parameterRoot(value));
  if (!argument)
    return "constant " + std::to_string(number);
  auto function = cast<func::FuncOp>(argument.getOwner()->getParentOp());
  return function
      .getArgAttrOfType<StringAttr>(argument.getArgNumber(), "attn.parameter")
      .str();
}

std::string HeadParameters::refusal(const HeadUse &parameter) const {
  Value value = parameter.use->get();
  auto type = cast<RankedTensorType>(value.getType());
  if (!elementOf(type))
    return "has elements that are not f64, f32, f16 or bf16";
  ElementsAttr constant = constantOf(value);
  auto dense = dyn_cast_if_present<DenseElementsAttr>(constant);
  if (constant && !(dense && dense.isSplat()) &&
      bytesOf(constant).size() !=
          type.getNumElements() * sizeOf(*elementOf(type)))
    return "is a constant whose elements are not in this file";
  auto argument = dyn_cast<BlockArgument>(parameterRoot(value));
  if (options.method != HeadMethod::Random)
    return type.getRank() + 2 > 26 ? "has too many dimensions" : "";
  if (!isa<EinsumOp>(parameter.use->getOwner()) && !isAdded(*parameter.use))
    return "is neither multiplied in an einsum nor added; what random numbers "
           "to put there is not known";
  if (!type.hasStaticShape())
    return "has a dynamic extent; random numbers need static ones";
  if (argument && !cast<func::FuncOp>(argument.getOwner()->getParentOp())
                       .getArgAttr(argument.getArgNumber(), "attn.parameter"))
    return "is given at each call; random numbers can only take the place of "
           "constants and of arguments with attn.parameter";
  return "";
}

Value HeadParameters::pooled(const HeadUse &parameter) {
  Value value = parameter.use->get();
  auto type = cast<RankedTensorType>(value.getType());
  OpBuilder builder(value.getContext());
  builder.setInsertionPointAfterValue(value);
  RankedTensorType newType = withHeads(type, parameter.at, options.groups);
  ElementsAttr constant = constantOf(value);
  if (options.method != HeadMethod::Random && !constant)
    return poolArgument(builder, parameter, options);

  HeadElement element = *elementOf(type);
  HeadAxis axis = axisOf(type, parameter.at, options.groups);
  std::vector<char> bytes(axis.resultCount() * sizeOf(element));
  if (options.method == HeadMethod::Random) {
    // What is added is a bias, which starts at 0.
    if (isa<EinsumOp>(parameter.use->getOwner()))
      drawNormal(element, axis.resultCount(), options.deviation, options.seed,
                 nameOf(value, made.size()), bytes.data());
  } else if (auto dense = dyn_cast<DenseElementsAttr>(constant);
             dense && dense.isSplat()) {
    bytes.assign(dense.getRawData().begin(), dense.getRawData().end());
  } else {
    poolHeads(options.method, element, axis, bytesOf(constant).data(),
              bytes.data());
  }
  return createConstant(builder, value.getLoc(), newType, bytes, constant);
}

void HeadParameters::replace(const HeadUse &parameter) {
  Value value = parameter.use->get();
  auto key = std::make_pair(value, parameter.at.dim);
  auto known = made.find(key);
  if (known == made.end())
    known = made.insert({key, pooled(parameter)}).first;
  parameter.use->set(known->second);
}
