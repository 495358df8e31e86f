//===- Pieces.cpp - A tensor put together from parts ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "IndexExpr.h"
#include "View.h"

using namespace mlir;
using namespace einhead::shared_kv;

std::optional<SourceIndex> SourceIndex::get(AffineExpr expr) {
  auto [base, offset] = splitConstant(expr);
  SourceIndex index;
  index.offset = offset;
  if (offset < 0)
    return std::nullopt;
  if (auto zero = dyn_cast<AffineConstantExpr>(base))
    return index;
  auto dim = dyn_cast<AffineDimExpr>(base);
  index.kind = Same;
  if (auto binary = dyn_cast<AffineBinaryOpExpr>(base)) {
    auto by = dyn_cast<AffineConstantExpr>(binary.getRHS());
    if (!by || by.getValue() <= 0)
      return std::nullopt;
    index.factor = by.getValue();
    dim = dyn_cast<AffineDimExpr>(binary.getLHS());
    if (base.getKind() == AffineExprKind::FloorDiv)
      index.kind = Divided;
    else if (base.getKind() == AffineExprKind::Mod)
      index.kind = Remainder;
    else
      return std::nullopt;
  }
  if (!dim)
    return std::nullopt;
  index.dim = dim.getPosition();
  return index;
}

int64_t Pieces::extent(size_t part) const {
  if (reduced)
    return 1;
  return cast<RankedTensorType>(parts[part].getType()).getDimSize(dim);
}

/// Whether `size` is the extent of dimension `dim` of `tensor`, which
/// insertions do not change.
static bool isExtent(Value size, Value tensor, int64_t dim) {
  auto extent = size.getDefiningOp<tensor::DimOp>();
  for (;;) {
    if (extent && extent.getConstantIndex() == dim &&
        extent.getSource() == tensor)
      return true;
    auto insertion = tensor.getDefiningOp<tensor::InsertSliceOp>();
    if (!insertion)
      break;
    tensor = insertion.getDest();
  }
  auto empty = tensor.getDefiningOp<tensor::EmptyOp>();
  return empty && empty.getType().isDynamicDim(dim) &&
         empty.getDynamicSize(dim) == size;
}

/// The one dimension along which an insertion does not take all; -1 if there is
/// none, or more than one, or something is not static.
static int64_t insertedDim(tensor::InsertSliceOp op) {
  int64_t found = -1;
  for (int64_t dim = 0, rank = op.getDestType().getRank(); dim < rank; ++dim) {
    if (op.isDynamicOffset(dim) || op.isDynamicStride(dim) ||
        op.getStaticStride(dim) != 1)
      return -1;
    int64_t extent = op.getDestType().getDimSize(dim);
    bool isAll = op.getStaticOffset(dim) == 0;
    if (op.isDynamicSize(dim)) {
      // All of a dynamic dimension: its size is that of the destination.
      if (!isAll ||
          !isExtent(cast<Value>(op.getMixedSizes()[dim]), op.getDest(), dim))
        return -1;
      continue;
    }
    if (isAll && op.getStaticSize(dim) == extent)
      continue;
    if (found >= 0 || ShapedType::isDynamic(extent))
      return -1;
    found = dim;
  }
  return found;
}

/// Insertions along one dimension, each over what the next one left.
static std::optional<Pieces> insertedPieces(tensor::InsertSliceOp last) {
  SmallVector<std::pair<int64_t, Value>> parts;
  int64_t dim = insertedDim(last), covered = 0;
  if (dim < 0)
    return std::nullopt;
  RankedTensorType type = last.getDestType();
  bool reduced = last.getSourceType().getRank() < type.getRank();
  Value at = last.getResult();
  while (auto op = at.getDefiningOp<tensor::InsertSliceOp>()) {
    bool fits = insertedDim(op) == dim &&
                (op.getSourceType().getRank() < type.getRank()) == reduced &&
                (!reduced || op.getDroppedDims()[dim]);
    if (!fits || covered == type.getDimSize(dim))
      break;
    parts.push_back({op.getStaticOffset(dim), op.getSource()});
    covered += op.getStaticSize(dim);
    at = op.getDest();
  }
  llvm::stable_sort(parts, llvm::less_first());
  Pieces pieces{dim, {}, reduced};
  int64_t end = 0;
  for (auto [start, part] : parts) {
    if (start != end)
      return std::nullopt;
    pieces.parts.push_back(part);
    end += pieces.extent(pieces.parts.size() - 1);
  }
  if (end != type.getDimSize(dim))
    return std::nullopt;
  return pieces;
}

std::optional<Pieces> Pieces::of(Value value) {
  if (auto op = value.getDefiningOp<tensor::ConcatOp>())
    return Pieces{static_cast<int64_t>(op.getDim()),
                  llvm::to_vector(op.getInputs()), false};
  if (auto op = value.getDefiningOp<tensor::InsertSliceOp>())
    return insertedPieces(op);
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Fit
//===----------------------------------------------------------------------===//

/// The numbers of the parts as a function of their place: step * (p floordiv
/// run) or step * (p mod run).
static AffineExpr sequence(ArrayRef<int64_t> numbers, AffineExpr place) {
  size_t run = 1;
  while (run < numbers.size() && numbers[run] == numbers[0])
    ++run;
  if (run == numbers.size())
    return place * 0;
  int64_t step = numbers[run] - numbers[0];
  auto holds = [&](auto at) {
    for (size_t p = 0; p < numbers.size(); ++p)
      if (numbers[p] - numbers[0] != step * static_cast<int64_t>(at(p)))
        return false;
    return true;
  };
  if (holds([&](size_t p) { return p / run; }))
    return place.floorDiv(run) * step;
  size_t period = 1;
  while (period < numbers.size() && numbers[period] != numbers[0])
    ++period;
  if (holds([&](size_t p) { return p % period; }))
    return (place % period) * step;
  return {};
}

/// The index of one source dimension, from its index in each part.
static AffineExpr fitIndex(ArrayRef<AffineExpr> exprs, const Pieces &pieces,
                           AffineExpr whole) {
  SmallVector<int64_t> numbers;
  AffineExpr base;
  bool follows = true; // the constant grows as the parts do: one long slice
  int64_t start = 0, extent = pieces.extent(0);
  bool isUniform = true;
  for (auto [p, expr] : llvm::enumerate(exprs)) {
    auto [rest, number] = splitConstant(expr);
    if (base && rest != base)
      return {};
    base = rest;
    numbers.push_back(number);
    follows &= number - numbers[0] == start;
    int64_t size = pieces.extent(p);
    isUniform &= size == extent && !ShapedType::isDynamic(size);
    start += size;
    follows &= !ShapedType::isDynamic(size);
  }
  bool isPartDim = pieces.reduced || base == whole ||
                   (extent == 1 && isUniform && isa<AffineConstantExpr>(base));
  if (follows && isPartDim &&
      (base == whole || isa<AffineConstantExpr>(base)) && exprs.size() > 1)
    return whole + numbers[0];
  if (!isUniform)
    return base.isFunctionOfDim(cast<AffineDimExpr>(whole).getPosition()) ||
                   llvm::any_of(numbers,
                                [&](int64_t n) { return n != numbers[0]; })
               ? AffineExpr()
               : base + numbers[0];
  AffineExpr moved = sequence(numbers, whole.floorDiv(extent));
  return moved ? base.replace(whole, whole % extent) + moved + numbers[0]
               : AffineExpr();
}

std::optional<Fit> Fit::of(ArrayRef<View> parts, const Pieces &pieces,
                           Value whole) {
  int64_t rank = cast<RankedTensorType>(whole.getType()).getRank();
  MLIRContext *context = whole.getContext();
  // A part's dimensions as the whole's.
  SmallVector<AffineExpr> dims;
  for (int64_t dim = 0; dim < rank; ++dim)
    if (!pieces.reduced || dim != pieces.dim)
      dims.push_back(getAffineDimExpr(dim, context));
  Fit fit;
  fit.source = parts[0].source;
  for (const View &part : parts)
    if (part.source != fit.source)
      return std::nullopt;
  for (size_t i = 0; i < parts[0].indices.size(); ++i) {
    SmallVector<AffineExpr> exprs;
    for (const View &part : parts)
      exprs.push_back(part.indices[i].replaceDims(dims));
    AffineExpr index =
        fitIndex(exprs, pieces, getAffineDimExpr(pieces.dim, context));
    if (!index)
      return std::nullopt;
    fit.indices.push_back(index);
  }
  return fit;
}
