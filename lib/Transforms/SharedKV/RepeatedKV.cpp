//===- RepeatedKV.cpp - Read what K and V repeat ----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where K and V are the same for every index of a batch letter, the letter is
// dropped from their terms and becomes a row.  Where they are the same for
// groups of its indices, h = g * R + r (or r * G + g), the letter is split: g
// stays, r becomes a row.
//
//===----------------------------------------------------------------------===//

#include "Repetition.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;
using namespace einhead::shared_kv;

namespace {
/// A letter h as outer and inner letters; K and V have one of them.
struct SplitLetter {
  char h, outer, inner;
  char kept; ///< the one that K and V have
  OpFoldResult outerExtent;
  int64_t factor; ///< the extent of `inner`

  SmallVector<char, 2> both() const { return {outer, inner}; }
};
} // namespace

/// The extent of `letter` divided by `factor`.
static OpFoldResult quotient(OpBuilder &builder, AttentionOp op, char letter,
                             int64_t factor) {
  auto like = cast<AttentionLike>(op.getOperation());
  AffineExpr n = builder.getAffineSymbolExpr(0);
  return affine::makeComposedFoldedAffineApply(
      builder, op.getLoc(), n.floorDiv(factor),
      {letterExtent(builder, like, letter)});
}

/// Splits each letter that K and V have in part.
static SmallVector<SplitLetter> splitLetters(OpBuilder &builder, AttentionOp op,
                                             const Repetition &repetition,
                                             AttentionParts &parts) {
  SmallVector<SplitLetter> result;
  auto all = llvm::to_vector(repetition.key.split);
  llvm::append_range(all, repetition.value.split);
  for (const auto &[letter, form] : all) {
    char h = letter;
    if (llvm::any_of(result, [&](const SplitLetter &s) { return s.h == h; }))
      continue;
    SplitLetter split;
    split.h = h;
    bool divided = form.kind == SourceIndex::Divided;
    // Where h is used up, its own name would be free, but would mislead.
    char kept = parts.freshLetter('g');
    parts.reserve(kept);
    char row = parts.freshLetter('r');
    parts.reserve(row);
    split.kept = kept;
    split.outer = divided ? kept : row;
    split.inner = divided ? row : kept;
    split.factor = form.factor;
    split.outerExtent = quotient(builder, op, h, form.factor);
    parts.splitLetter(builder, h, split.outer, split.inner, split.outerExtent,
                      split.factor);
    result.push_back(split);
  }
  return result;
}

/// The letters of the source's dimensions.
static std::string termOf(const Unrepeated &operand, llvm::StringRef term,
                          ArrayRef<SplitLetter> splits) {
  std::string result;
  for (const SourceIndex &form : operand.forms) {
    if (form.kind == SourceIndex::Constant)
      continue;
    char letter = term[form.dim];
    for (const SplitLetter &split : splits)
      if (split.h == letter)
        letter = split.kept;
    result.push_back(letter);
  }
  return result;
}

/// A result with split letters in its old shape.
static Value joined(OpBuilder &builder, Value result, std::string term,
                    ArrayRef<SplitLetter> splits, Type original) {
  Location loc = result.getLoc();
  for (const SplitLetter &split : llvm::reverse(splits)) {
    int64_t at = indexOf(term, split.outer);
    auto type = cast<RankedTensorType>(result.getType());
    SmallVector<int64_t> shape = llvm::to_vector(type.getShape());
    shape[at] = ShapedType::isDynamic(shape[at]) ? ShapedType::kDynamic
                                                 : shape[at] * split.factor;
    shape.erase(shape.begin() + at + 1);
    term.replace(at, 2, 1, split.h);
    result = joinDims(builder, loc, result, at,
                      RankedTensorType::get(shape, type.getElementType()));
  }
  if (result.getType() == original)
    return result;
  return tensor::CastOp::create(builder, loc, original, result);
}

/// "linalg.broadcast, tensor.collapse_shape"
static std::string spellingOf(const Repetition &repetition) {
  const Unrepeated &repeated =
      repetition.key.repeats() ? repetition.key : repetition.value;
  return llvm::join(llvm::reverse(repeated.view.spelling), ", ");
}

static std::string describe(const Repetition &repetition,
                            ArrayRef<SplitLetter> splits) {
  std::string dropped = repetition.key.dropped;
  dropped += lettersWithout(repetition.value.dropped, dropped);
  std::string text;
  if (!dropped.empty())
    text = "\"" + dropped + "\" has one K and V";
  for (const SplitLetter &split : splits) {
    char row = split.kept == split.outer ? split.inner : split.outer;
    text += (text.empty() ? "" : "; ") + std::string("'") + split.h +
            "' is \"" + split.outer + split.inner + "\", of which '" + row +
            "' has one K and V";
  }
  return text;
}

/// The attention that replaced `op`.
static AttentionOp rewrite(AttentionOp op, const Repetition &repetition,
                           AttentionParts &parts, PatternRewriter &rewriter) {
  std::string before = bytesOf(op);
  Location loc = op.getLoc();
  SmallVector<SplitLetter> splits =
      splitLetters(rewriter, op, repetition, parts);
  const Unrepeated &key = repetition.key, &value = repetition.value;
  bool oneTensor = key.view.sameElements(value.view);
  parts.key = materialise(rewriter, loc, key.view, key.forms);
  parts.value = oneTensor ? parts.key
                          : materialise(rewriter, loc, value.view, value.forms);
  parts.keyTerm = termOf(key, parts.keyTerm, splits);
  parts.valueTerm = termOf(value, parts.valueTerm, splits);
  AttentionOp attention = parts.create(rewriter);
  SmallVector<Value> results;
  for (auto [i, result] : llvm::enumerate(attention.getResults()))
    results.push_back(joined(rewriter, result,
                             i ? parts.state() : parts.outputTerm, splits,
                             op->getResult(i).getType()));
  remarkPassed(loc, passFlag, "RepeatedKV",
               "K and V are repetitions (" + spellingOf(repetition) +
                   "): " + describe(repetition, splits) + ", \"" +
                   parts.spec() + "\"; K/V bytes: " + before + " before, " +
                   bytesOf(attention) + " after");
  rewriter.replaceOp(op, results);
  return attention;
}

namespace {
struct ReadRepeatedKV final : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    if (op->getNumResults() == 0)
      return rewriter.notifyMatchFailure(op, "it works on buffers");
    AttentionParts parts(op);
    std::optional<Repetition> repetition;
    if (Reason why = Repetition::find(parts, repetition); !why.empty())
      return rewriter.notifyMatchFailure(op, why);
    if (!repetition)
      return rewriter.notifyMatchFailure(op, "neither K nor V is a repetition");
    rewrite(op, *repetition, parts, rewriter);
    return success();
  }
};
} // namespace

AttentionOp einhead::shared_kv::readRepeatedKV(PatternRewriter &rewriter,
                                               AttentionOp op) {
  AttentionParts parts(op);
  std::optional<Repetition> repetition;
  (void)Repetition::find(parts, repetition);
  if (!repetition)
    return op;
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(op);
  return rewrite(op, *repetition, parts, rewriter);
}

void einhead::shared_kv::populateRepeatedKVPatterns(
    RewritePatternSet &patterns) {
  patterns.add<ReadRepeatedKV>(patterns.getContext());
}

Reason einhead::shared_kv::whyNotRepeatedKV(AttentionOp op) {
  std::optional<Repetition> ignored;
  return op->getNumResults() == 0
             ? Reason()
             : Repetition::find(AttentionParts(op), ignored);
}
