//===- OracleTensors.cpp - Constants and the tensor dialect -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OracleOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include <cmath>

using namespace mlir;
using llvm::Error;

namespace einhead::tool::oracle {

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

/// i1 is 0 or 1, other integers are signed.
static double toDouble(const APInt &value) {
  return static_cast<double>(value.getBitWidth() == 1 ? value.getZExtValue()
                                                      : value.getSExtValue());
}

static Error evaluateConstant(State &state, Operation *op) {
  Attribute value = cast<arith::ConstantOp>(op).getValue();
  Value result = op->getResult(0);
  if (auto number = dyn_cast<FloatAttr>(value)) {
    state.set(result, Number{number.getValueAsDouble(), 0});
    return Error::success();
  }
  if (auto number = dyn_cast<IntegerAttr>(value)) {
    state.set(result, Number{toDouble(number.getValue()), 0});
    return Error::success();
  }
  auto elements = dyn_cast<DenseElementsAttr>(value);
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    bool isSplat = false; // One element's bytes are too few here.
    if (blob &&
        DenseElementsAttr::isValidRawBuffer(resource.getType(), blob->getData(),
                                            isSplat) &&
        (!isSplat || resource.getType().getNumElements() == 1))
      elements = DenseElementsAttr::getFromRawBuffer(resource.getType(),
                                                     blob->getData());
  }
  if (!elements)
    return failure(op, "only dense constants are known whose elements are in "
                       "the file");
  Tensor tensor(elements.getType().getShape());
  if (isa<FloatType>(elements.getElementType())) {
    for (auto [to, from] :
         llvm::zip(tensor.value, elements.getValues<APFloat>()))
      to = from.convertToDouble();
  } else {
    for (auto [to, from] : llvm::zip(tensor.value, elements.getValues<APInt>()))
      to = toDouble(from);
  }
  state.set(result, std::move(tensor));
  return Error::success();
}

static Error evaluateApply(State &state, Operation *op) {
  auto apply = cast<affine::AffineApplyOp>(op);
  SmallVector<Attribute> operands, results;
  Builder builder(op->getContext());
  for (Value operand : apply.getMapOperands())
    operands.push_back(builder.getIndexAttr(state.integer(operand)));
  if (failed(apply.getAffineMap().constantFold(operands, results)))
    return failure(op, "not a constant of its operands");
  state.set(op->getResult(0),
            Number{double(cast<IntegerAttr>(results[0]).getInt()), 0});
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

/// Sets the result to the operand's elements in another shape.
static Error reshape(State &state, Operation *op, Point shape) {
  Tensor tensor = *state.tensor(op->getOperand(0));
  if (reference::elementCount(shape) != tensor.size())
    return failure(op, "the shapes have different numbers of elements");
  tensor.shape = std::move(shape);
  state.set(op->getResult(0), std::move(tensor));
  return Error::success();
}

static Error evaluateEmpty(State &state, Operation *op) {
  Tensor tensor(state.integers(cast<tensor::EmptyOp>(op).getMixedSizes()));
  // Whoever reads what nothing wrote sees it.
  tensor.value.assign(tensor.value.size(), NAN);
  state.set(op->getResult(0), std::move(tensor));
  return Error::success();
}

static Error evaluateDim(State &state, Operation *op) {
  auto dim = cast<tensor::DimOp>(op);
  const Point &shape = state.tensor(dim.getSource())->shape;
  double extent = shape.at(state.integer(dim.getIndex()));
  state.set(op->getResult(0), Number{extent, 0});
  return Error::success();
}

static Error evaluateExpandShape(State &state, Operation *op) {
  auto expand = cast<tensor::ExpandShapeOp>(op);
  return reshape(state, op, state.integers(expand.getMixedOutputShape()));
}

static Error evaluateCollapseShape(State &state, Operation *op) {
  auto collapse = cast<tensor::CollapseShapeOp>(op);
  TensorRef source = state.tensor(collapse.getSrc());
  Point shape;
  for (const ReassociationIndices &group : collapse.getReassociationIndices()) {
    shape.push_back(1);
    for (int64_t dim : group)
      shape.back() *= source->shape[dim];
  }
  return reshape(state, op, std::move(shape));
}

static Error evaluateCast(State &state, Operation *op) {
  state.set(op->getResult(0), *state.tensor(op->getOperand(0)));
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Slices
//===----------------------------------------------------------------------===//

/// The box of a slice op, checked against the tensor it lies in.
struct Box {
  Point offsets, sizes, strides;

  Box(const State &state, OffsetSizeAndStrideOpInterface op,
      const Tensor &whole)
      : offsets(state.integers(op.getMixedOffsets())),
        sizes(state.integers(op.getMixedSizes())),
        strides(state.integers(op.getMixedStrides())) {
    for (int64_t dim = 0; dim < whole.rank(); ++dim) {
      int64_t last = offsets[dim] + (sizes[dim] - 1) * strides[dim];
      if (sizes[dim] > 0 && (offsets[dim] < 0 || last >= whole.shape[dim]))
        throw std::invalid_argument("a slice that leaves its tensor");
    }
  }
  Point at(const Point &point) const {
    Point result(point.size());
    for (size_t dim = 0; dim < point.size(); ++dim)
      result[dim] = offsets[dim] + point[dim] * strides[dim];
    return result;
  }
};

static void copyElement(Tensor &to, int64_t target, const Tensor &from,
                        int64_t source) {
  to.value[target] = from.value[source];
  to.bound[target] = from.bound[source];
}

static Error evaluateExtractSlice(State &state, Operation *op) {
  auto extract = cast<tensor::ExtractSliceOp>(op);
  TensorRef source = state.tensor(extract.getSource());
  Box box(state, extract, *source);
  llvm::SmallBitVector dropped = extract.getDroppedDims();
  Point shape;
  for (size_t dim = 0; dim < box.sizes.size(); ++dim)
    if (!dropped.test(dim))
      shape.push_back(box.sizes[dim]);
  Tensor result(shape);
  int64_t next = 0;
  forEachPoint(box.sizes, [&](const Point &point) {
    copyElement(result, next++, *source, source->offset(box.at(point)));
  });
  state.set(op->getResult(0), std::move(result));
  return Error::success();
}

static Error evaluateInsertSlice(State &state, Operation *op) {
  auto insert = cast<tensor::InsertSliceOp>(op);
  TensorRef source = state.tensor(insert.getSource());
  Tensor result = *state.tensor(insert.getDest());
  Box box(state, insert, result);
  if (reference::elementCount(box.sizes) != source->size())
    return failure(op, "the source does not fill the slice");
  int64_t next = 0;
  forEachPoint(box.sizes, [&](const Point &point) {
    copyElement(result, result.offset(box.at(point)), *source, next++);
  });
  state.set(op->getResult(0), std::move(result));
  return Error::success();
}

static Error evaluateConcat(State &state, Operation *op) {
  auto concat = cast<tensor::ConcatOp>(op);
  int64_t dim = concat.getDim();
  Point shape = state.tensor(concat.getInputs().front())->shape;
  shape[dim] = 0;
  for (Value input : concat.getInputs())
    shape[dim] += state.tensor(input)->shape[dim];
  Tensor result(shape);
  int64_t start = 0;
  for (Value input : concat.getInputs()) {
    TensorRef source = state.tensor(input);
    int64_t next = 0;
    forEachPoint(source->shape, [&](Point point) {
      point[dim] += start;
      copyElement(result, result.offset(point), *source, next++);
    });
    start += source->shape[dim];
  }
  state.set(op->getResult(0), std::move(result));
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

static Error evaluateExtract(State &state, Operation *op) {
  auto extract = cast<tensor::ExtractOp>(op);
  TensorRef source = state.tensor(extract.getTensor());
  Point index;
  for (Value value : extract.getIndices())
    index.push_back(state.integer(value));
  int64_t at = source->offset(index);
  state.set(op->getResult(0), Number{source->value[at], source->bound[at]});
  return Error::success();
}

static Error evaluateInsert(State &state, Operation *op) {
  auto insert = cast<tensor::InsertOp>(op);
  Tensor result = *state.tensor(insert.getDest());
  Point index;
  for (Value value : insert.getIndices())
    index.push_back(state.integer(value));
  Number number = state.number(insert.getScalar());
  int64_t at = result.offset(index);
  result.value[at] = number.value;
  result.bound[at] = number.bound;
  state.set(op->getResult(0), std::move(result));
  return Error::success();
}

static Error evaluateSplat(State &state, Operation *op) {
  auto splat = cast<tensor::SplatOp>(op);
  Number number = state.number(splat.getInput());
  Point shape(splat.getType().getShape());
  auto size = splat.getDynamicSizes().begin();
  for (int64_t &extent : shape)
    if (ShapedType::isDynamic(extent))
      extent = state.integer(*size++);
  Tensor result(shape);
  result.value.assign(result.value.size(), number.value);
  result.bound.assign(result.bound.size(), number.bound);
  state.set(op->getResult(0), std::move(result));
  return Error::success();
}

static Error evaluateFromElements(State &state, Operation *op) {
  auto from = cast<tensor::FromElementsOp>(op);
  Tensor result(from.getType().getShape());
  for (auto [at, value] : llvm::enumerate(from.getElements())) {
    Number number = state.number(value);
    result.value[at] = number.value;
    result.bound[at] = number.bound;
  }
  state.set(op->getResult(0), std::move(result));
  return Error::success();
}

void addTensorOps(llvm::StringMap<OpFunction> &table) {
  table["arith.constant"] = evaluateConstant;
  table["affine.apply"] = evaluateApply;
  table["tensor.empty"] = evaluateEmpty;
  table["tensor.dim"] = evaluateDim;
  table["tensor.expand_shape"] = evaluateExpandShape;
  table["tensor.collapse_shape"] = evaluateCollapseShape;
  table["tensor.cast"] = evaluateCast;
  table["tensor.extract_slice"] = evaluateExtractSlice;
  table["tensor.insert_slice"] = evaluateInsertSlice;
  table["tensor.concat"] = evaluateConcat;
  table["tensor.extract"] = evaluateExtract;
  table["tensor.insert"] = evaluateInsert;
  table["tensor.splat"] = evaluateSplat;
  table["tensor.from_elements"] = evaluateFromElements;
}

} // namespace einhead::tool::oracle
