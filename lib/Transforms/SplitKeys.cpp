//===- SplitKeys.cpp - Split attention over chunks of keys ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// One partial attention for each part of the mask (MaskWalk), each continuing
// the states of the one before, and one merge.  A part's keys are cut into
// chunks of `chunk`: of K from a multiple of it, or of its list where it is
// sparse. State s takes chunk s of each part, so there are as many states as
// the part with the most chunks has.

#include "einhead/Analysis/MaskWalk.h"
#include "einhead/Analysis/Remark.h"
#include "einhead/IR/KeyTile.h"
#include "einhead/Transforms/Passes.h"
#include "einhead/Transforms/Transforms.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

namespace einhead {
#define GEN_PASS_DEF_SPLITKEYSPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

namespace {
/// A part of the keys.
struct Part {
  TiledOperands operands;
  OpFoldResult keys; ///< how many, at most
};

class Splitter {
public:
  Splitter(RewriterBase &rewriter, AttentionOp op)
      : b(rewriter), op(op), like(cast<AttentionLike>(op.getOperation())),
        loc(op.getLoc()), roles(rolesOf(like)), key(roles.key.front()),
        chunk(op.getScheduleAttr().getChunk()) {}

  FailureOr<MergeOp> run();

private:
  std::vector<Part> parts();
  Part wholePart();
  Part listedPart(MaskAttr mask);
  Part maskedPart(MaskAttr mask);
  SmallVector<int64_t> sizesOf(MaskAttr mask);
  OpFoldResult splitCount(ArrayRef<Part> parts);
  void addSink(SmallVectorImpl<Value> &states);

  RewriterBase &b;
  AttentionOp op;
  AttentionLike like;
  Location loc;
  AttentionRoles roles;
  char key;
  int64_t chunk;
};
} // namespace

/// All keys, or the valid ones where one number says how many those are; with
/// blocks, all keys of the lists.
Part Splitter::wholePart() {
  Part part{tileOperands(b, like, LetterTile(), /*dropValid=*/false),
            keyLoopExtent(b, like)};
  if (op.getBlocks())
    return part;
  if (Value valid = scalarValid(b, like, LetterTile())) {
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    valid = arith::MaxSIOp::create(b, loc, valid, zero);
    part.keys =
        arith::MinSIOp::create(
            b, loc, valid, getValueOrCreateConstantIndexOp(b, loc, part.keys))
            .getResult();
  }
  return part;
}

/// A mask whose keys lie apart: the list is made for each tile of rows.
Part Splitter::listedPart(MaskAttr mask) {
  Part part{tileOperands(b, like, LetterTile(), /*dropValid=*/false),
            mostListedKeys(b, like, mask)};
  part.operands.mask = mask;
  part.operands.sparse = true;
  return part;
}

/// A mask whose keys lie together: K from the chunk of the first one to the
/// last one.
Part Splitter::maskedPart(MaskAttr mask) {
  TileKeys keys = TileKeys::get(b, like, mask, LetterTile());
  KeyRange hull = hullOf(b, like, keys);
  AffineExpr begin, end;
  bindSymbols(b.getContext(), begin, end);
  OpFoldResult start = affine::makeComposedFoldedAffineApply(
      b, loc, begin.floorDiv(chunk) * chunk, {OpFoldResult(hull.begin)});
  OpFoldResult size = affine::makeComposedFoldedAffineApply(
      b, loc, end - begin, {start, OpFoldResult(hull.end)});
  // Without a key, none of the chunk before it either: it may be past `valid`.
  Value some = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                     hull.begin, hull.end);
  size = arith::SelectOp::create(b, loc, some,
                                 getValueOrCreateConstantIndexOp(b, loc, size),
                                 arith::ConstantIndexOp::create(b, loc, 0))
             .getResult();
  LetterTile tile;
  tile.bind(key, start, size);
  bool spent = static_cast<bool>(scalarValid(b, like, LetterTile()));
  Part part{tileOperands(b, like, tile, /*dropValid=*/spent), size};
  part.operands.mask = mask;
  return part;
}

/// The static sizes of the mask's letters but the key letter.
SmallVector<int64_t> Splitter::sizesOf(MaskAttr mask) {
  SmallVector<int64_t> sizes;
  for (char letter : otherLetters(mask, key))
    sizes.push_back(staticExtent(like, letter));
  return sizes;
}

/// The number that `value` is, if numbers alone go into it.
static std::optional<int64_t> numberOf(OpFoldResult value) {
  if (std::optional<int64_t> number = getConstantIntValue(value))
    return number;
  auto computed = dyn_cast<Value>(value);
  Operation *op = computed ? computed.getDefiningOp() : nullptr;
  if (!op || op->getNumResults() != 1)
    return std::nullopt;
  Builder builder(op->getContext());
  SmallVector<Attribute> operands;
  for (Value operand : op->getOperands()) {
    std::optional<int64_t> number =
        operand.getType().isIntOrIndex() ? numberOf(operand) : std::nullopt;
    operands.push_back(number
                           ? builder.getIntegerAttr(operand.getType(), *number)
                           : Attribute());
  }
  SmallVector<OpFoldResult> results;
  if (failed(op->fold(operands, results)) || results.size() != 1)
    return std::nullopt;
  return numberOf(results.front());
}

/// Without those that have no key: slices of no rows are no slices of K.
std::vector<Part> Splitter::parts() {
  std::vector<Part> result;
  if (!op.getMask() || op.getBlocks() || roles.key.size() != 1) {
    result.push_back(wholePart());
    if (numberOf(result.back().keys) == 0)
      result.pop_back();
    return result;
  }
  for (auto [mask, isListed] : walkOf(op)) {
    if (KeySet::get(mask, key, sizesOf(mask)).isEmpty)
      continue;
    result.push_back(isListed ? listedPart(mask) : maskedPart(mask));
    if (numberOf(result.back().keys) == 0)
      result.pop_back();
  }
  return result;
}

OpFoldResult Splitter::splitCount(ArrayRef<Part> parts) {
  AffineExpr n;
  bindSymbols(b.getContext(), n);
  auto chunks = [&](const Part &part) {
    return affine::makeComposedFoldedAffineApply(b, loc, n.ceilDiv(chunk),
                                                 {part.keys});
  };
  if (parts.size() == 1 && !op.getSink() && !op.getMask())
    return chunks(parts.front());
  Value value = arith::ConstantIndexOp::create(b, loc, 0);
  for (const Part &part : parts)
    value = arith::MaxSIOp::create(
        b, loc, value, getValueOrCreateConstantIndexOp(b, loc, chunks(part)));
  // The sink is in state 0; attention without keys leaves that one empty.  That
  // a mask has none may be found out later, and slices of no states are
  // invalid.
  if (op.getSink() || parts.empty() || op.getMask())
    value = arith::MaxSIOp::create(b, loc, value,
                                   arith::ConstantIndexOp::create(b, loc, 1));
  return value;
}

/// State 0 starts with the sink: a key of weight 1 at that score, and no value.
void Splitter::addSink(SmallVectorImpl<Value> &states) {
  std::string rows = roles.state();
  SmallVector<OpFoldResult> shape;
  SmallVector<AffineExpr> dims;
  for (char letter : rows)
    shape.push_back(letterExtent(b, like, letter));
  llvm::StringRef sinkLetters = *op.getSinkLetters();
  for (char letter : sinkLetters)
    dims.push_back(b.getAffineDimExpr(indexOf(rows, letter)));
  Type f32 = b.getF32Type();
  Value empty = tensor::EmptyOp::create(b, loc, shape, f32);
  SmallVector<utils::IteratorType> iterators(rows.size(),
                                             utils::IteratorType::parallel);
  AffineMap identity = b.getMultiDimIdentityMap(rows.size());
  AffineMap from = AffineMap::get(rows.size(), 0, dims, b.getContext());
  auto generic = linalg::GenericOp::create(
      b, loc, TypeRange(empty.getType()), op.getSink(), empty,
      ArrayRef<AffineMap>{from, identity}, iterators,
      [&](OpBuilder &inner, Location, ValueRange args) {
        Value log2e = arith::ConstantOp::create(
            inner, loc, inner.getF32FloatAttr(1.4426950408889634f));
        Value score = arith::MulFOp::create(inner, loc, args[0], log2e);
        linalg::YieldOp::create(inner, loc, score);
      });
  Value one = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(1.0f));
  Value ones = linalg::FillOp::create(b, loc, one, empty).getResult(0);
  SmallVector<OpFoldResult> offsets(rows.size() + 1, b.getIndexAttr(0)),
      strides(rows.size() + 1, b.getIndexAttr(1)), sizes = {b.getIndexAttr(1)};
  llvm::append_range(sizes, shape);
  for (auto [state, row] :
       {std::pair<unsigned, Value>{0, generic.getResult(0)}, {1, ones}})
    states[state] = tensor::InsertSliceOp::create(b, loc, row, states[state],
                                                  offsets, sizes, strides);
}

FailureOr<MergeOp> Splitter::run() {
  b.setInsertionPoint(op);
  std::vector<Part> parts = this->parts();
  unsigned keyLoop = roles.state().size();
  SmallVector<OpFoldResult> sizes(keyLoop + 1, b.getIndexAttr(0));
  sizes[keyLoop] = splitCount(parts);
  SetVector<unsigned> reduction;
  reduction.insert(keyLoop);
  FailureOr<SmallVector<Value>> initial =
      op.generateInitialTensorForPartialReduction(b, loc, sizes, reduction);
  if (failed(initial))
    return failure();
  SmallVector<Value> states = *initial;
  if (op.getSink())
    addSink(states);
  for (const Part &part : parts) {
    PartialAttentionOp partial = buildPartial(b, like, part.operands, states,
                                              b.getI64IntegerAttr(chunk));
    states = llvm::to_vector_of<Value>(partial.getResults());
  }
  FailureOr<MergeResult> merged = op.mergeReductions(b, loc, states, reduction);
  if (failed(merged))
    return failure();
  std::string more;
  if (parts.size() > 1)
    more = "; the mask has " + std::to_string(parts.size()) +
           " parts, walked one after the other";
  remarkAnalysis(loc, "attn-split-keys", "Split",
                 "one state for each " + llvm::Twine(chunk) +
                     " keys, joined in their order" + more);
  b.replaceOp(op, merged->replacements);
  return cast<MergeOp>(merged->mergeOps.front());
}

FailureOr<MergeOp> einhead::splitKeys(RewriterBase &rewriter, AttentionOp op) {
  return Splitter(rewriter, op).run();
}

namespace {
struct SplitKeysPass final : einhead::impl::SplitKeysPassBase<SplitKeysPass> {
  void runOnOperation() override {
    SmallVector<AttentionOp> ops;
    getOperation().walk([&](AttentionOp op) {
      // A kernel of tensor cores cuts its keys itself, when it runs.
      ScheduleAttr schedule = op.getScheduleAttr();
      if (schedule && schedule.getProducts() != Products::WGMMA)
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (AttentionOp op : ops)
      if (failed(splitKeys(rewriter, op)))
        return signalPassFailure();
  }
};
} // namespace
