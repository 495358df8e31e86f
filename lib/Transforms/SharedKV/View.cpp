//===- View.cpp - Where the elements of a tensor come from ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "View.h"
#include "IndexExpr.h"
#include "einhead/IR/Attn.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace einhead::attn;
using namespace einhead::shared_kv;

namespace {
/// One op upwards: result[d0, d1, ...] = source[indices].
struct Step {
  Value source;
  SmallVector<AffineExpr> indices;
};
} // namespace

static SmallVector<AffineExpr> dimsOf(MLIRContext *context, unsigned count) {
  SmallVector<AffineExpr> dims;
  for (unsigned i = 0; i < count; ++i)
    dims.push_back(getAffineDimExpr(i, context));
  return dims;
}

//===----------------------------------------------------------------------===//
// linalg: what is yielded as it was read, or gathered
//===----------------------------------------------------------------------===//

/// An index inside a linalg body as an expression of the loops.  Divisions are
/// of numbers that are not negative, where all kinds of rounding are one.
static AffineExpr loopExpr(Value value) {
  MLIRContext *context = value.getContext();
  llvm::APInt number;
  if (matchPattern(value, m_ConstantInt(&number)))
    return number.isNegative()
               ? AffineExpr()
               : getAffineConstantExpr(number.getSExtValue(), context);
  Operation *op = value.getDefiningOp();
  if (!op)
    return {};
  if (auto index = dyn_cast<linalg::IndexOp>(op))
    return getAffineDimExpr(index.getDim(), context);
  // A narrow integer could wrap.
  auto width = [](Type type) {
    return type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  };
  if (isa<arith::IndexCastOp, arith::IndexCastUIOp>(op))
    return width(op->getOperand(0).getType()) < 32 ||
                   width(value.getType()) < 32
               ? AffineExpr()
               : loopExpr(op->getOperand(0));
  SmallVector<AffineExpr> operands;
  for (Value operand : op->getOperands()) {
    operands.push_back(loopExpr(operand));
    if (!operands.back())
      return {};
  }
  if (auto apply = dyn_cast<affine::AffineApplyOp>(op)) {
    AffineMap map = apply.getAffineMap();
    ArrayRef<AffineExpr> all = operands;
    return map.getResult(0).replaceDimsAndSymbols(
        all.take_front(map.getNumDims()), all.drop_front(map.getNumDims()));
  }
  if (isa<arith::AddIOp>(op))
    return operands[0] + operands[1];
  if (isa<arith::MulIOp>(op))
    return operands[0] * operands[1];
  auto divisor = operands.size() == 2
                     ? dyn_cast<AffineConstantExpr>(operands[1])
                     : AffineConstantExpr();
  if (!divisor || divisor.getValue() <= 0)
    return {};
  if (isa<arith::DivUIOp, arith::DivSIOp, arith::FloorDivSIOp>(op))
    return operands[0].floorDiv(operands[1]);
  if (isa<arith::RemUIOp, arith::RemSIOp>(op))
    return operands[0] % operands[1];
  return {};
}

static std::optional<Step> stepLinalg(linalg::LinalgOp op) {
  if (op.getNumDpsInits() != 1 || op.getNumLoops() != op.getNumParallelLoops())
    return std::nullopt;
  AffineMap output = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (!output.isPermutation())
    return std::nullopt;
  // The loops as expressions of the result's indices.
  SmallVector<AffineExpr> loops(inversePermutation(output).getResults());
  Value yielded = op.getBlock()->getTerminator()->getOperand(0);
  Step step;
  auto add = [&](AffineExpr expr) {
    step.indices.push_back(expr.replaceDims(loops));
  };
  if (auto argument = dyn_cast<BlockArgument>(yielded)) {
    OpOperand *operand = op.getMatchingOpOperand(argument);
    if (op.isDpsInit(operand) ||
        !isa<RankedTensorType>(operand->get().getType()))
      return std::nullopt;
    step.source = operand->get();
    for (AffineExpr expr : op.getMatchingIndexingMap(operand).getResults())
      add(expr);
    return step;
  }
  auto gather = yielded.getDefiningOp<tensor::ExtractOp>();
  if (!gather)
    return std::nullopt;
  step.source = gather.getTensor();
  for (Value index : gather.getIndices()) {
    AffineExpr expr = loopExpr(index);
    if (!expr)
      return std::nullopt;
    add(expr);
  }
  return step;
}

//===----------------------------------------------------------------------===//
// Reshapes, slices, parts
//===----------------------------------------------------------------------===//

/// The products of the extents behind each dimension of a group; nothing where
/// one that counts is dynamic.  Extents of 1 count nowhere.
static std::optional<SmallVector<int64_t>> strides(ArrayRef<int64_t> extents) {
  SmallVector<int64_t> result(extents.size(), 1);
  int64_t product = 1;
  bool known = true;
  for (size_t i = extents.size(); i-- > 0;) {
    result[i] = product;
    if (extents[i] == 1)
      continue;
    if (!known)
      return std::nullopt;
    known = !ShapedType::isDynamic(extents[i]);
    product *= known ? extents[i] : 1;
  }
  return result;
}

static std::optional<Step> stepExpand(tensor::ExpandShapeOp op) {
  Step step{op.getSrc(), {}};
  for (const ReassociationIndices &group : op.getReassociationIndices()) {
    SmallVector<int64_t> extents;
    for (int64_t dim : group)
      extents.push_back(op.getResultType().getDimSize(dim));
    auto stride = strides(extents);
    if (!stride)
      return std::nullopt;
    AffineExpr index = getAffineConstantExpr(0, op.getContext());
    for (auto [dim, extent, by] : llvm::zip(group, extents, *stride))
      if (extent != 1 || group.size() == 1)
        index = index + getAffineDimExpr(dim, op.getContext()) * by;
    step.indices.push_back(index);
  }
  return step;
}

static std::optional<Step> stepCollapse(tensor::CollapseShapeOp op) {
  Step step{op.getSrc(), {}};
  for (auto [i, group] : llvm::enumerate(op.getReassociationIndices())) {
    SmallVector<int64_t> extents;
    for (int64_t dim : group)
      extents.push_back(op.getSrcType().getDimSize(dim));
    auto stride = strides(extents);
    if (!stride)
      return std::nullopt;
    AffineExpr index = getAffineDimExpr(i, op.getContext());
    bool outermost = true;
    for (auto [extent, by] : llvm::zip(extents, *stride)) {
      if (extent == 1 && group.size() > 1) {
        step.indices.push_back(getAffineConstantExpr(0, op.getContext()));
        continue;
      }
      AffineExpr part = index.floorDiv(by);
      step.indices.push_back(outermost ? part : part % extent);
      outermost = false;
    }
  }
  return step;
}

/// Whether a slice takes all of a dimension whose extent is dynamic.
static bool takesAll(tensor::ExtractSliceOp op, int64_t dim) {
  auto size = dyn_cast<Value>(op.getMixedSizes()[dim]);
  auto extent = size ? size.getDefiningOp<tensor::DimOp>() : tensor::DimOp();
  return extent && extent.getSource() == op.getSource() &&
         extent.getConstantIndex() == dim && op.getStaticOffset(dim) == 0;
}

static std::optional<Step> stepSlice(tensor::ExtractSliceOp op) {
  Step step{op.getSource(), {}};
  llvm::SmallBitVector dropped = op.getDroppedDims();
  int64_t at = 0;
  for (int64_t dim = 0, rank = op.getSourceType().getRank(); dim < rank;
       ++dim) {
    if (op.isDynamicOffset(dim) || op.isDynamicStride(dim) ||
        op.getStaticStride(dim) != 1 ||
        (op.isDynamicSize(dim) && !takesAll(op, dim)))
      return std::nullopt;
    AffineExpr index =
        getAffineConstantExpr(op.getStaticOffset(dim), op.getContext());
    if (!dropped[dim])
      index = getAffineDimExpr(at++, op.getContext()) + index;
    step.indices.push_back(index);
  }
  return step;
}

static std::optional<Step> stepPieces(Value value) {
  std::optional<Pieces> pieces = Pieces::of(value);
  if (!pieces)
    return std::nullopt;
  SmallVector<View> views;
  for (Value part : pieces->parts)
    views.push_back(deepestView(part));
  std::optional<Fit> fit = Fit::of(views, *pieces, value);
  if (!fit)
    return std::nullopt;
  return Step{fit->source, fit->indices};
}

static std::optional<Step> stepEinsum(EinsumOp op) {
  EinsumSpec spec = *EinsumSpec::parse(op.getSpec());
  if (spec.inputs.size() != 1 || spec.inputs[0].size() != spec.output.size() ||
      cast<ShapedType>(op.getInputs()[0].getType()).getElementType() !=
          op.getType().getElementType())
    return std::nullopt;
  Step step{op.getInputs()[0], {}};
  for (char letter : spec.inputs[0])
    step.indices.push_back(
        getAffineDimExpr(indexOf(spec.output, letter), op.getContext()));
  return step;
}

static std::optional<Step> stepOf(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !isa<RankedTensorType>(value.getType()))
    return std::nullopt;
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return stepExpand(expand);
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return stepCollapse(collapse);
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
    return stepSlice(slice);
  if (auto einsum = dyn_cast<EinsumOp>(op))
    return stepEinsum(einsum);
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    return stepLinalg(linalgOp);
  if (isa<tensor::ConcatOp, tensor::InsertSliceOp>(op))
    return stepPieces(value);
  auto cast = dyn_cast<tensor::CastOp>(op);
  auto type = cast ? dyn_cast<RankedTensorType>(cast.getSource().getType())
                   : RankedTensorType();
  if (!type)
    return std::nullopt;
  return Step{cast.getSource(), dimsOf(op->getContext(), type.getRank())};
}

//===----------------------------------------------------------------------===//
// View
//===----------------------------------------------------------------------===//

static ArrayRef<int64_t> extentsOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

View View::identity(Value value) {
  View view;
  view.value = view.source = value;
  view.indices = dimsOf(value.getContext(), extentsOf(value).size());
  return view;
}

/// A collapse of a dynamic group says what the collapsed extent divides by.
static void noteMultiples(View &view) {
  auto op = view.source.getDefiningOp<tensor::CollapseShapeOp>();
  if (!op)
    return;
  for (auto [i, group] : llvm::enumerate(op.getReassociationIndices())) {
    auto dim = dyn_cast<AffineDimExpr>(view.indices[i]);
    int64_t factor = 1;
    for (int64_t inner : llvm::drop_begin(group)) {
      int64_t extent = op.getSrcType().getDimSize(inner);
      factor *= ShapedType::isDynamic(extent) ? 1 : extent;
    }
    if (dim && factor > 1)
      view.multiples.push_back({dim.getPosition(), factor});
  }
}

bool View::stepUp() {
  std::optional<Step> step = stepOf(source);
  if (!step)
    return false;
  noteMultiples(*this);
  spelling.push_back(source.getDefiningOp()->getName().getStringRef());
  SmallVector<AffineExpr> composed;
  for (AffineExpr index : step->indices)
    composed.push_back(simplify(index.replaceDims(indices), extentsOf(value)));
  indices = std::move(composed);
  source = step->source;
  return true;
}

std::optional<SmallVector<SourceIndex>> View::forms() const {
  SmallVector<SourceIndex> result;
  llvm::SmallBitVector used(extentsOf(value).size());
  for (AffineExpr expr : indices) {
    std::optional<SourceIndex> form = SourceIndex::get(expr);
    if (!form)
      return std::nullopt;
    if (form->kind != SourceIndex::Constant) {
      bool isDynamic = ShapedType::isDynamic(extentsOf(value)[form->dim]);
      if (used[form->dim] || (isDynamic && form->offset))
        return std::nullopt;
      used.set(form->dim);
    }
    result.push_back(*form);
  }
  return result;
}

bool View::sameElements(const View &other) const {
  return source == other.source && indices == other.indices &&
         value.getType() == other.value.getType();
}

SmallVector<View> einhead::shared_kv::viewsOf(Value value) {
  SmallVector<View> views = {View::identity(value)};
  for (View view = views.back(); view.stepUp();)
    views.push_back(view);
  return views;
}

View einhead::shared_kv::deepestView(Value value) {
  View view = View::identity(value);
  while (view.stepUp())
    ;
  return view;
}

Value einhead::shared_kv::materialise(OpBuilder &builder, Location loc,
                                      const View &view,
                                      ArrayRef<SourceIndex> forms, int64_t wide,
                                      int64_t wideSize) {
  SmallVector<OpFoldResult> offsets, sizes;
  SmallVector<int64_t> kept;
  bool isWhole = true;
  for (auto [i, form] : llvm::enumerate(forms)) {
    bool isWide = static_cast<int64_t>(i) == wide;
    bool isKept = isWide || form.kind != SourceIndex::Constant;
    int64_t whole = extentsOf(view.source)[i], size = 1;
    if (isWide)
      size = wideSize;
    else if (form.kind == SourceIndex::Remainder)
      size = form.factor;
    else if (isKept) {
      size = extentsOf(view.value)[form.dim];
      size = ShapedType::isDynamic(size) ? size : size / form.factor;
    }
    // What is dynamic is whole (forms()).
    bool isAll = ShapedType::isDynamic(size) || (size == whole && !form.offset);
    isWhole &= isAll && isKept;
    offsets.push_back(builder.getIndexAttr(form.offset));
    sizes.push_back(isAll ? tensor::getMixedSize(builder, loc, view.source, i)
                          : OpFoldResult(builder.getIndexAttr(size)));
    if (isKept)
      kept.push_back(isAll ? whole : size);
  }
  if (isWhole)
    return view.source;
  auto type = RankedTensorType::get(
      kept, cast<RankedTensorType>(view.source.getType()).getElementType());
  SmallVector<OpFoldResult> ones(offsets.size(), builder.getIndexAttr(1));
  return tensor::ExtractSliceOp::create(builder, loc, type, view.source,
                                        offsets, sizes, ones);
}
