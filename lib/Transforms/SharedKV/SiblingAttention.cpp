//===- SiblingAttention.cpp - One attention for several ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Attentions over one key and value read them once for each.  As one attention,
// with the rows of all, they read them once.
//
//===----------------------------------------------------------------------===//

#include "Siblings.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IntegerSet.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;
using namespace einhead::shared_kv;

/// The mask of rows that follow on each other: each sibling's own, from its
/// first row to its last.
static MaskAttr concatenatedMask(const Siblings &siblings,
                                 const JoinedQuery &joined) {
  MaskAttr mask = siblings.parts.front().mask;
  int64_t at = mask ? indexOf(mask.getLetters(), joined.letter) : -1;
  if (at < 0 || !siblings.along)
    return mask;
  MLIRContext *context = mask.getContext();
  SmallVector<IntegerSetAttr> sets;
  AffineExpr row = getAffineDimExpr(at, context);
  for (auto [p, offset] : llvm::enumerate(joined.starts)) {
    int64_t start = *getConstantIntValue(offset);
    SmallVector<AffineExpr> dims, symbols;
    IntegerSet any = mask.getSets().front().getValue();
    for (unsigned i = 0; i < any.getNumDims(); ++i)
      dims.push_back(getAffineDimExpr(i, context));
    for (unsigned i = 0; i < any.getNumSymbols(); ++i)
      symbols.push_back(getAffineSymbolExpr(i, context));
    dims[at] = row - start;
    for (IntegerSetAttr attr : mask.getSets()) {
      IntegerSet set = attr.getValue().replaceDimsAndSymbols(
          dims, symbols, any.getNumDims(), any.getNumSymbols());
      SmallVector<AffineExpr> constraints =
          llvm::to_vector(set.getConstraints());
      SmallVector<bool> equalities;
      for (unsigned i = 0; i < set.getNumConstraints(); ++i)
        equalities.push_back(set.isEq(i));
      if (start > 0)
        constraints.push_back(row - start);
      if (p + 1 < joined.starts.size())
        constraints.push_back(start + siblings.rows(p) - 1 - row);
      equalities.append(constraints.size() - equalities.size(), false);
      sets.push_back(IntegerSetAttr::get(IntegerSet::get(
          any.getNumDims(), any.getNumSymbols(), constraints, equalities)));
    }
  }
  return MaskAttr::get(context, mask.getLetters(), sets);
}

/// Where a new row letter of the query stands in the output: before the letter
/// that it stands before in the query.
static std::string withRow(const std::string &output,
                           const AttentionParts &first,
                           const JoinedQuery &joined) {
  if (indexOf(output, joined.letter) >= 0)
    return output;
  std::string result = output;
  for (char letter : llvm::drop_begin(llvm::StringRef(joined.term),
                                      indexOf(joined.term, joined.letter) + 1))
    if (int64_t at = indexOf(output, letter); at >= 0)
      return result.insert(at, 1, joined.letter);
  std::string values =
      lettersWithout(first.valueTerm, first.keyTerm + first.queryTerm);
  size_t at = output.find_first_of(values);
  return result.insert(at == std::string::npos ? output.size() : at, 1,
                       joined.letter);
}

/// An empty tensor as `like`, whose letters are `term`, with all rows.
static Value emptyFor(OpBuilder &builder, Value like, const std::string &term,
                      const std::string &newTerm, const JoinedQuery &joined) {
  Location loc = like.getLoc();
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, loc, like);
  int64_t at = indexOf(newTerm, joined.letter);
  if (term.size() < newTerm.size())
    sizes.insert(sizes.begin() + at, joined.extent);
  else
    sizes[at] = joined.extent;
  return tensor::EmptyOp::create(
      builder, loc, sizes,
      cast<RankedTensorType>(like.getType()).getElementType());
}

/// The rows of one sibling.
static Value rowsOf(OpBuilder &builder, Value all, const std::string &term,
                    const JoinedQuery &joined, size_t sibling, Value old,
                    OpFoldResult rows) {
  Location loc = all.getLoc();
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, loc, all);
  SmallVector<OpFoldResult> offsets(sizes.size(), builder.getIndexAttr(0));
  SmallVector<OpFoldResult> ones(sizes.size(), builder.getIndexAttr(1));
  int64_t at = indexOf(term, joined.letter);
  offsets[at] = joined.starts[sibling];
  sizes[at] = rows;
  auto whole = tensor::ExtractSliceOp::inferResultType(
      cast<RankedTensorType>(all.getType()), sizes);
  auto type = cast<RankedTensorType>(old.getType());
  SmallVector<int64_t> shape = llvm::to_vector(whole.getShape());
  if (type.getRank() < whole.getRank())
    shape.erase(shape.begin() + at);
  Value slice = tensor::ExtractSliceOp::create(
      builder, loc, RankedTensorType::get(shape, type.getElementType()), all,
      offsets, sizes, ones);
  if (slice.getType() == type)
    return slice;
  return tensor::CastOp::create(builder, loc, type, slice);
}

/// What all of them read, one after the other.
static std::string bytesOfAll(const Siblings &siblings) {
  AttentionOp first = siblings.ops.front();
  auto products =
      AttentionTraffic::of(cast<AttentionLike>(first.getOperation())).kvBytes;
  for (LetterProduct &product : products)
    product.coefficient *= siblings.ops.size();
  return toString(products);
}

static void report(const Siblings &siblings, const JoinedQuery &joined,
                   AttentionOp attention, const std::string &before) {
  std::string letter = "'" + std::string(1, joined.letter) + "'";
  std::string how =
      !joined.copies   ? "rows " + letter + " of one tensor, read in place"
      : siblings.along ? "concatenated along " + letter
                       : "stacked along the new row letter " + letter;
  remarkPassed(attention.getLoc(), passFlag, "SiblingAttention",
               llvm::Twine(siblings.ops.size()) +
                   " attentions over one K and V are one: their queries are " +
                   how + ", \"" + attention.getSpec() + "\"; K/V bytes: " +
                   before + " before, " + bytesOf(attention) + " after");
}

namespace {
struct JoinSiblings final : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    if (op->getNumResults() == 0)
      return rewriter.notifyMatchFailure(op, "it works on buffers");
    Siblings siblings = Siblings::of(op);
    if (siblings.ops.size() < 2)
      return rewriter.notifyMatchFailure(
          op, "no attention behind it is over the same K and V, or can be one "
              "with it");
    SmallVector<Value> queries;
    for (const AttentionParts &part : siblings.parts)
      queries.push_back(part.query);
    if (failed(moveValueDefinitions(rewriter, queries, op)))
      return rewriter.notifyMatchFailure(
          op, "the queries of the others cannot be computed before it");
    rewrite(siblings, rewriter);
    return success();
  }

private:
  static void rewrite(Siblings &siblings, PatternRewriter &rewriter) {
    std::string before = bytesOfAll(siblings);
    JoinedQuery joined = JoinedQuery::build(rewriter, siblings);
    if (!siblings.along &&
        indexOf(siblings.parts[0].queryTerm, joined.letter) >= 0)
      siblings.along = joined.letter;
    AttentionParts parts = siblings.parts.front();
    std::string state = parts.state();
    std::string newState = withRow(state, parts, joined);
    std::string newOutput = withRow(parts.outputTerm, parts, joined);
    Value lse = parts.lse;
    if (lse)
      lse = emptyFor(rewriter, lse, state, newState, joined);
    Value output =
        emptyFor(rewriter, parts.output, parts.outputTerm, newOutput, joined);
    parts.lse = lse;
    parts.output = output;
    parts.outputTerm = newOutput;
    parts.query = joined.query;
    parts.queryTerm = joined.term;
    parts.mask = concatenatedMask(siblings, joined);
    if (!siblings.along)
      parts.addLetterToScore(joined.letter);
    AttentionOp attention = parts.create(rewriter);
    report(siblings, joined, attention, before);
    for (auto [p, op] : llvm::enumerate(siblings.ops)) {
      OpFoldResult rows = rewriter.getIndexAttr(1);
      if (siblings.along)
        rows = tensor::getMixedSize(
            rewriter, op.getLoc(), siblings.parts[p].query,
            indexOf(siblings.parts[p].queryTerm, siblings.along));
      SmallVector<Value> results;
      for (auto [i, all] : llvm::enumerate(attention.getResults()))
        results.push_back(rowsOf(rewriter, all, i ? newState : newOutput,
                                 joined, p, op->getResult(i), rows));
      rewriter.replaceOp(op, results);
    }
  }
};

/// Parts that make up a whole tensor again are that tensor.
template <typename OpTy> struct ReadWhole final : OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    for (const View &view : llvm::drop_begin(viewsOf(op.getResult()))) {
      bool isSame = view.source.getType() == op.getType();
      for (auto [i, index] : llvm::enumerate(view.indices))
        isSame &= index == rewriter.getAffineDimExpr(i);
      if (!isSame)
        continue;
      rewriter.replaceOp(op, view.source);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "its parts are no whole tensor");
  }
};
} // namespace

void einhead::shared_kv::populateSiblingAttentionPatterns(
    RewritePatternSet &patterns) {
  patterns.add<JoinSiblings, ReadWhole<tensor::ConcatOp>,
               ReadWhole<tensor::InsertSliceOp>>(patterns.getContext());
}

Reason einhead::shared_kv::whyNotSiblingAttention(AttentionOp op) {
  if (op->getNumResults() == 0)
    return "";
  SmallVector<AttentionOp> before = overSameKeys(op, /*behind=*/false);
  if (before.empty())
    return "";
  Siblings siblings;
  siblings.ops.push_back(before.front());
  siblings.parts.push_back(AttentionParts(before.front()));
  Reason why = siblings.add(op);
  if (why.empty())
    why = "its query cannot be computed before the other";
  return "it reads the K and V of another attention, but " + why;
}
