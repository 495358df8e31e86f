//===- JoinedQuery.cpp - The queries of siblings as one tensor --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Siblings.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"

using namespace mlir;
using namespace einhead::attn;
using namespace einhead::shared_kv;

namespace {
/// The queries as slices of one tensor, in order, nothing between them.
struct Slices {
  View view; ///< the first one's
  SmallVector<SourceIndex> forms;
  int64_t axis = -1; ///< the dimension of the source that they follow on
  bool reduced = false;
  SmallVector<int64_t> starts; ///< by sibling, from the first slice on
  int64_t extent = 0;
};
} // namespace

static bool isSlice(ArrayRef<SourceIndex> forms) {
  return llvm::all_of(forms, [](const SourceIndex &form) {
    return form.kind == SourceIndex::Constant || form.kind == SourceIndex::Same;
  });
}

/// The one dimension in which slices differ; nothing if they differ otherwise.
static std::optional<int64_t>
differingAxis(ArrayRef<SmallVector<SourceIndex>> all) {
  std::optional<int64_t> axis;
  for (const SmallVector<SourceIndex> &forms : llvm::drop_begin(all))
    for (auto [i, pair] : llvm::enumerate(llvm::zip(all[0], forms))) {
      const auto &[one, other] = pair;
      if (one.kind != other.kind || one.dim != other.dim)
        return std::nullopt;
      if (one.offset == other.offset)
        continue;
      if (axis && *axis != static_cast<int64_t>(i))
        return std::nullopt;
      axis = i;
    }
  return axis;
}

/// Slices of `source` that follow on each other.
static std::optional<Slices> slicesOf(const Siblings &siblings, Value source) {
  Slices slices;
  SmallVector<SmallVector<SourceIndex>> all;
  for (const AttentionParts &part : siblings.parts) {
    for (const View &view : viewsOf(part.query)) {
      std::optional<SmallVector<SourceIndex>> forms = view.forms();
      if (view.source != source || !forms || !isSlice(*forms))
        continue;
      all.push_back(*forms);
      if (all.size() == 1)
        slices.view = view;
      break;
    }
    if (all.size() <= static_cast<size_t>(&part - siblings.parts.data()))
      return std::nullopt;
  }
  std::optional<int64_t> axis = differingAxis(all);
  if (!axis)
    return std::nullopt;
  slices.axis = *axis;
  slices.reduced = all[0][*axis].kind == SourceIndex::Constant;
  auto order = llvm::to_vector(llvm::seq<size_t>(0, all.size()));
  llvm::sort(order, [&](size_t a, size_t b) {
    return all[a][*axis].offset < all[b][*axis].offset;
  });
  int64_t first = all[order[0]][*axis].offset;
  slices.forms = all[0];
  slices.forms[*axis].offset = first;
  slices.starts.resize(all.size());
  for (size_t at : order) {
    const SourceIndex &form = all[at][*axis];
    auto type = cast<RankedTensorType>(siblings.parts[at].query.getType());
    int64_t size = slices.reduced ? 1 : type.getDimSize(form.dim);
    if (ShapedType::isDynamic(size) || form.offset != first + slices.extent)
      return std::nullopt;
    slices.starts[at] = slices.extent;
    slices.extent += size;
  }
  return slices;
}

/// From the tensor furthest up.
static std::optional<Slices> findSlices(const Siblings &siblings) {
  for (const View &view : llvm::reverse(viewsOf(siblings.parts[0].query)))
    if (std::optional<Slices> slices = slicesOf(siblings, view.source))
      return slices;
  return std::nullopt;
}

/// The queries need not be copied, if the letter in which they follow on each
/// other can be that of all their rows.
static std::optional<JoinedQuery> readSlices(OpBuilder &builder,
                                             const Siblings &siblings) {
  std::optional<Slices> slices = findSlices(siblings);
  if (!slices)
    return std::nullopt;
  const AttentionParts &first = siblings.parts.front();
  JoinedQuery joined;
  joined.copies = false;
  if (slices->reduced && siblings.along)
    return std::nullopt;
  if (slices->reduced) {
    joined.letter = first.freshLetter('h');
  } else {
    char letter = first.queryTerm[slices->forms[slices->axis].dim];
    bool isRow = indexOf(first.keyTerm + first.valueTerm, letter) < 0;
    bool isMasked = first.mask && indexOf(first.mask.getLetters(), letter) >= 0;
    if (!isRow || (siblings.along && siblings.along != letter) ||
        (!siblings.along && (isMasked || !siblings.takeLetter(letter).empty())))
      return std::nullopt;
    joined.letter = letter;
  }
  for (auto [i, form] : llvm::enumerate(slices->forms)) {
    if (static_cast<int64_t>(i) == slices->axis)
      joined.term.push_back(joined.letter);
    else if (form.kind != SourceIndex::Constant)
      joined.term.push_back(first.queryTerm[form.dim]);
  }
  // Lengths are by the query's first letter.
  if (first.valid && !first.valid.getType().isIndex() &&
      joined.term.front() != first.queryTerm.front())
    return std::nullopt;
  for (int64_t start : slices->starts)
    joined.starts.push_back(builder.getIndexAttr(start));
  joined.extent = builder.getIndexAttr(slices->extent);
  joined.query = materialise(builder, first.query.getLoc(), slices->view,
                             slices->forms, slices->axis, slices->extent);
  return joined;
}

/// `tensor` with one more dimension, of one index, before `dim`.
static Value withUnitDim(OpBuilder &builder, Value tensor, int64_t dim) {
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<int64_t> shape = llvm::to_vector(type.getShape());
  shape.insert(shape.begin() + dim, 1);
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(builder, tensor.getLoc(), tensor);
  sizes.insert(sizes.begin() + dim, builder.getIndexAttr(1));
  // The new dimension goes with the one behind it.
  SmallVector<ReassociationIndices> groups;
  for (int64_t i = 0, next = 0; i < type.getRank(); ++i) {
    groups.push_back({});
    if (i == dim)
      groups.back().push_back(next++);
    groups.back().push_back(next++);
  }
  return tensor::ExpandShapeOp::create(
      builder, tensor.getLoc(),
      RankedTensorType::get(shape, type.getElementType()), tensor, groups,
      sizes);
}

JoinedQuery JoinedQuery::build(OpBuilder &builder, const Siblings &siblings) {
  if (std::optional<JoinedQuery> joined = readSlices(builder, siblings))
    return *joined;
  const AttentionParts &first = siblings.parts.front();
  Location loc = first.query.getLoc();
  JoinedQuery joined;
  joined.term = first.queryTerm;
  joined.letter = siblings.along;
  int64_t dim = indexOf(joined.term, joined.letter);
  if (!joined.letter) {
    // Behind the leading batch letters: the rows of one sequence lie together.
    joined.letter = first.freshLetter('s');
    dim = 0;
    while (dim + 1 < static_cast<int64_t>(joined.term.size()) &&
           indexOf(first.keyTerm + first.valueTerm, joined.term[dim]) >= 0 &&
           indexOf(first.outputTerm, joined.term[dim]) >= 0)
      ++dim;
    joined.term.insert(dim, 1, joined.letter);
  }
  AffineExpr a = builder.getAffineSymbolExpr(0),
             b = builder.getAffineSymbolExpr(1);
  OpFoldResult end = builder.getIndexAttr(0);
  SmallVector<Value> queries;
  for (const AttentionParts &part : siblings.parts) {
    queries.push_back(siblings.along ? part.query
                                     : withUnitDim(builder, part.query, dim));
    joined.starts.push_back(end);
    end = affine::makeComposedFoldedAffineApply(
        builder, loc, a + b,
        {end, tensor::getMixedSize(builder, loc, queries.back(), dim)});
  }
  joined.extent = end;
  joined.query = tensor::ConcatOp::create(builder, loc, dim, queries);
  return joined;
}
