//===- PrefixSuffix.cpp - Attend parts of K and V by themselves -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A prompt that all beams or sequences share stands before each one's own keys.
// Attention over the prompt has all of them as rows; its results and those of
// the own keys are states of one softmax (docs/Spec.md, the state algebra).
//
//===----------------------------------------------------------------------===//

#include "Repetition.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;
using namespace einhead::shared_kv;

namespace {
/// K and V as parts along one key letter.
struct KeyParts {
  char letter = 0;
  Pieces key, value;
  std::string repeated; ///< the letters over which some part repeats
};
} // namespace

/// The name of an extent: that of the argument's dimension that it is.
static llvm::StringRef nameOf(Value tensor, int64_t dim) {
  View view = deepestView(tensor);
  auto argument = dyn_cast<BlockArgument>(view.source);
  auto function =
      argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp())
               : func::FuncOp();
  auto names = function ? function.getArgAttrOfType<StringAttr>(
                              argument.getArgNumber(), "attn.shape")
                        : StringAttr();
  if (!names)
    return "";
  SmallVector<llvm::StringRef> parts;
  names.getValue().split(parts, ',');
  for (auto [index, name] : llvm::zip(view.indices, parts))
    if (index == getAffineDimExpr(dim, tensor.getContext()))
      return name.trim();
  return "";
}

/// Whether K and V are cut at the same keys.
static bool sameCuts(const Pieces &key, const Pieces &value) {
  if (key.parts.size() != value.parts.size())
    return false;
  unsigned unknown = 0; // one of them follows from the whole
  for (size_t p = 0; p < key.parts.size(); ++p) {
    int64_t one = key.extent(p), other = value.extent(p);
    if (!ShapedType::isDynamic(one) && one == other)
      continue;
    llvm::StringRef name = nameOf(key.parts[p], key.dim);
    bool named = !name.empty() && name == nameOf(value.parts[p], value.dim);
    if (!named && (!ShapedType::isDynamic(one) ||
                   !ShapedType::isDynamic(other) || ++unknown > 1))
      return false;
  }
  return true;
}

/// The letters that a part repeats over are rows there.
static Reason findRepeated(const AttentionParts &whole, KeyParts &parts) {
  Reason first;
  for (auto [key, value] : llvm::zip(parts.key.parts, parts.value.parts)) {
    AttentionParts part = whole;
    part.key = key;
    part.value = value;
    std::optional<Repetition> found;
    Reason why = Repetition::find(part, found);
    if (found)
      for (const Unrepeated *operand : {&found->key, &found->value})
        parts.repeated += lettersWithout(operand->dropped, parts.repeated);
    else if (first.empty())
      first = why;
  }
  return parts.repeated.empty() ? first : "";
}

/// A reason, or "" and `found`, if K and V are parts of which one repeats.
static Reason find(AttentionOp op, std::optional<KeyParts> &found) {
  AttentionParts whole(op);
  std::optional<Pieces> key = Pieces::of(whole.key);
  std::optional<Pieces> value = Pieces::of(whole.value);
  if (!key || !value || key->reduced || value->reduced || key->parts.size() < 2)
    return "";
  KeyParts parts{whole.keyTerm[key->dim], *key, *value, ""};
  bool isKey = indexOf(whole.valueTerm, parts.letter) == value->dim &&
               indexOf(whole.outputTerm, parts.letter) < 0;
  if (!isKey)
    return "";
  Reason why = findRepeated(whole, parts);
  if (!why.empty())
    return "its keys are parts, but " + why;
  if (parts.repeated.empty())
    return "";
  std::string shared =
      "a part of its keys is the same for all \"" + parts.repeated + "\", but ";
  if (!sameCuts(*key, *value))
    return shared + "K and V are not known to be cut at the same keys";
  if (whole.blocks)
    return shared + "its keys are listed in blocks of the whole";
  found = std::move(parts);
  return "";
}

/// How many of the valid keys lie in [start, start + size).
static Value validIn(OpBuilder &builder, Location loc, Value valid,
                     OpFoldResult start, OpFoldResult size) {
  auto number = [&](OpFoldResult of) -> Value {
    Value scalar = getValueOrCreateConstantIndexOp(builder, loc, of);
    if (valid.getType().isIndex())
      return scalar;
    auto type = cast<RankedTensorType>(valid.getType());
    scalar =
        arith::IndexCastOp::create(builder, loc, type.getElementType(), scalar);
    SmallVector<Value> dynamic;
    if (type.isDynamicDim(0))
      dynamic.push_back(tensor::DimOp::create(builder, loc, valid, 0));
    return tensor::SplatOp::create(builder, loc, scalar, type, dynamic);
  };
  if (!isConstantIntValue(start, 0)) {
    valid = arith::SubIOp::create(builder, loc, valid, number(start));
    valid = arith::MaxSIOp::create(builder, loc, valid,
                                   number(builder.getIndexAttr(0)));
  }
  return arith::MinSIOp::create(builder, loc, valid, number(size));
}

/// The keys [start, start + size) of a tensor over `letters`.
static Value keysOf(OpBuilder &builder, Value tensor, llvm::StringRef letters,
                    char letter, OpFoldResult start, OpFoldResult size) {
  int64_t dim = indexOf(letters, letter);
  if (!tensor || dim < 0)
    return tensor;
  auto sizes = tensor::getMixedSizes(builder, tensor.getLoc(), tensor);
  SmallVector<OpFoldResult> starts(sizes.size(), builder.getIndexAttr(0));
  SmallVector<OpFoldResult> ones(sizes.size(), builder.getIndexAttr(1));
  starts[dim] = start;
  sizes[dim] = size;
  return tensor::ExtractSliceOp::create(builder, tensor.getLoc(), tensor,
                                        starts, sizes, ones);
}

/// One part's own attention, which returns its log-sum-exp.
static AttentionOp attendPart(OpBuilder &builder, AttentionOp op,
                              const KeyParts &keys, size_t p,
                              OpFoldResult start, OpFoldResult size) {
  Location loc = op.getLoc();
  AttentionParts parts(op);
  parts.key = keys.key.parts[p];
  parts.value = keys.value.parts[p];
  parts.bias =
      keysOf(builder, parts.bias, parts.biasLetters, keys.letter, start, size);
  bool looksAtKeys =
      (parts.mask && indexOf(parts.mask.getLetters(), keys.letter) >= 0) ||
      indexOf(parts.offsetLetters, keys.letter) >= 0 ||
      scoreReads(op, keys.letter);
  // With an offset, lengths count from the first key of the whole.
  if (looksAtKeys && !isConstantIntValue(start, 0))
    parts.addOffset(builder, keys.letter,
                    getValueOrCreateConstantIndexOp(builder, loc, start));
  else if (parts.valid && !looksAtKeys)
    parts.valid = validIn(builder, loc, parts.valid, start, size);
  // One score of the whole row: it counts once.
  if (p + 1 < keys.key.parts.size())
    parts.sink = nullptr;
  auto empty = [&](llvm::StringRef term) -> Value {
    SmallVector<OpFoldResult> sizes;
    for (char letter : term)
      sizes.push_back(tensor::getMixedSize(builder, loc, op.getOutput(),
                                           indexOf(parts.outputTerm, letter)));
    return tensor::EmptyOp::create(builder, loc, sizes, builder.getF32Type());
  };
  parts.output = empty(parts.outputTerm);
  parts.lse = empty(parts.state());
  return parts.create(builder);
}

/// Tensors as one, with a new leading dimension.
static Value stacked(OpBuilder &builder, ArrayRef<Value> tensors) {
  SmallVector<Value> rows;
  for (Value tensor : tensors) {
    Location loc = tensor.getLoc();
    auto type = cast<RankedTensorType>(tensor.getType());
    SmallVector<int64_t> shape = {1};
    llvm::append_range(shape, type.getShape());
    SmallVector<OpFoldResult> sizes = {builder.getIndexAttr(1)};
    llvm::append_range(sizes, tensor::getMixedSizes(builder, loc, tensor));
    SmallVector<ReassociationIndices> groups;
    for (int64_t i = 0; i < type.getRank(); ++i)
      groups.push_back({i + 1});
    if (!groups.empty())
      groups.front().insert(groups.front().begin(), 0);
    rows.push_back(tensor::ExpandShapeOp::create(
        builder, loc, RankedTensorType::get(shape, type.getElementType()),
        tensor, groups, sizes));
  }
  return tensor::ConcatOp::create(builder, rows.front().getLoc(), 0, rows);
}

/// The state of a finished attention: max = lse * log2(e), sum = 1, accumulator
/// = the result.
static MergeOp merge(OpBuilder &builder, AttentionOp op,
                     ArrayRef<AttentionOp> attentions) {
  Location loc = op.getLoc();
  AttentionParts parts(op);
  SmallVector<Value> outputs, sums;
  for (AttentionOp attention : attentions) {
    outputs.push_back(attention->getResult(0));
    sums.push_back(attention->getResult(1));
  }
  auto splat = [&](Value like, double number) -> Value {
    auto type = cast<RankedTensorType>(like.getType());
    Value scalar = arith::ConstantOp::create(builder, loc,
                                             builder.getF32FloatAttr(number));
    SmallVector<Value> dynamic;
    for (int64_t i = 0; i < type.getRank(); ++i)
      if (type.isDynamicDim(i))
        dynamic.push_back(tensor::DimOp::create(builder, loc, like, i));
    return tensor::SplatOp::create(builder, loc, scalar, type, dynamic);
  };
  Value max = stacked(builder, sums);
  max = arith::MulFOp::create(builder, loc, max,
                              splat(max, llvm::numbers::log2e));
  SmallVector<Type> types(op.getResultTypes());
  return MergeOp::create(builder, loc, types,
                         builder.getStringAttr(parts.state() + ", " +
                                               parts.outputTerm + " -> " +
                                               parts.outputTerm),
                         max, splat(max, 1.0), stacked(builder, outputs),
                         op.getOutput(), op.getLse());
}

namespace {
struct AttendParts final : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    if (op->getNumResults() == 0)
      return rewriter.notifyMatchFailure(op, "it works on buffers");
    std::optional<KeyParts> keys;
    if (Reason why = find(op, keys); !why.empty())
      return rewriter.notifyMatchFailure(op, why);
    if (!keys)
      return rewriter.notifyMatchFailure(
          op, "K and V are no parts of which one is repeated");
    Location loc = op.getLoc();
    AffineExpr a = rewriter.getAffineSymbolExpr(0),
               b = rewriter.getAffineSymbolExpr(1);
    OpFoldResult start = rewriter.getIndexAttr(0);
    SmallVector<AttentionOp> attentions;
    for (size_t p = 0; p < keys->key.parts.size(); ++p) {
      OpFoldResult size = tensor::getMixedSize(
          rewriter, loc, keys->key.parts[p], keys->key.dim);
      attentions.push_back(attendPart(rewriter, op, *keys, p, start, size));
      start = affine::makeComposedFoldedAffineApply(rewriter, loc, a + b,
                                                    {start, size});
    }
    std::string before = bytesOf(op), after;
    rewriter.replaceOp(op, merge(rewriter, op, attentions));
    // The letters that a part repeats over are its rows.
    for (AttentionOp attention : attentions)
      after += (after.empty() ? "" : " and ") +
               bytesOf(readRepeatedKV(rewriter, attention));
    remarkPassed(loc, passFlag, "PrefixSuffix",
                 "the keys are " + llvm::Twine(attentions.size()) +
                     " parts, of which one is the same for all \"" +
                     keys->repeated +
                     "\": each is attended by itself, their results are "
                     "merged; K/V bytes: " +
                     before + " before, " + after + " after");
    return success();
  }
};
} // namespace

void einhead::shared_kv::populatePrefixSuffixPatterns(
    RewritePatternSet &patterns) {
  patterns.add<AttendParts>(patterns.getContext());
}

Reason einhead::shared_kv::whyNotPrefixSuffix(AttentionOp op) {
  std::optional<KeyParts> ignored;
  return op->getNumResults() == 0 ? Reason() : find(op, ignored);
}
