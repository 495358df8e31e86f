//===- AttnTiling.cpp - TilingInterface of the attn ops ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The loops of an attention are the letters of a row's state (batch and row
// letters, parallel) and the key letters (reductions).  Depth and value letters
// stay whole.  A chunked partial attention has one more loop in front, over the
// chunks.

#include "einhead/IR/KeyTile.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace einhead::attn;

static SmallVector<utils::IteratorType> iteratorsOf(AttentionLike op) {
  AttentionRoles roles = rolesOf(op);
  SmallVector<utils::IteratorType> types(roles.state().size(),
                                         utils::IteratorType::parallel);
  types.append(roles.key.size(), utils::IteratorType::reduction);
  return types;
}

static SmallVector<Range> domainOf(OpBuilder &builder, AttentionLike op) {
  SmallVector<Range> domain;
  AttentionRoles roles = rolesOf(op);
  for (char letter : roles.scores()) {
    bool listed = hasKeyList(op) && letter == roles.key.front();
    domain.push_back({builder.getIndexAttr(0),
                      listed ? keyLoopExtent(builder, op)
                             : letterExtent(builder, op, letter),
                      builder.getIndexAttr(1)});
  }
  return domain;
}

/// Binds the letters of the scores to a tile, skipping those it covers whole.
static LetterTile tileOf(AttentionLike op, llvm::StringRef letters,
                         ArrayRef<OpFoldResult> offsets,
                         ArrayRef<OpFoldResult> sizes) {
  LetterTile tile;
  for (auto [letter, offset, size] : llvm::zip(letters, offsets, sizes)) {
    // The loop over a list of keys has nothing to do with the extent of K.
    int64_t extent = hasKeyList(op) && rolesOf(op).key.front() == letter
                         ? ShapedType::kDynamic
                         : staticExtent(op, letter);
    if (!ShapedType::isDynamic(extent) && isConstantIntValue(size, extent) &&
        isConstantIntValue(offset, 0))
      continue;
    tile.bind(letter, offset, size);
  }
  return tile;
}

/// The position of a result over `term` in the tile of the state letters.
static LogicalResult resultPosition(OpBuilder &builder, Operation *op,
                                    Value init, llvm::StringRef term,
                                    llvm::StringRef state,
                                    ArrayRef<OpFoldResult> offsets,
                                    ArrayRef<OpFoldResult> sizes,
                                    SmallVector<OpFoldResult> &resultOffsets,
                                    SmallVector<OpFoldResult> &resultSizes) {
  LetterTile tile;
  for (auto [letter, offset, size] : llvm::zip(state, offsets, sizes))
    tile.bind(letter, offset, size);
  tile.position(builder, op->getLoc(), init, term, resultOffsets, resultSizes);
  return success();
}

/// A tile of `op`, with the slices made for it: what a producer is fused
/// through.
static TilingResult tilingResult(Operation *op, Operation *tile) {
  TilingResult result{{tile}, SmallVector<Value>(tile->getResults()), {}};
  for (Value operand : tile->getOperands())
    if (auto slice = operand.getDefiningOp<tensor::ExtractSliceOp>();
        slice && !llvm::is_contained(op->getOperands(), operand))
      result.generatedSlices.push_back(slice);
  return result;
}

//===----------------------------------------------------------------------===//
// attn.attention
//===----------------------------------------------------------------------===//

SmallVector<utils::IteratorType> AttentionOp::getLoopIteratorTypes() {
  return iteratorsOf(cast<AttentionLike>(getOperation()));
}

SmallVector<Range> AttentionOp::getIterationDomain(OpBuilder &builder) {
  return domainOf(builder, cast<AttentionLike>(getOperation()));
}

FailureOr<TilingResult>
AttentionOp::getTiledImplementation(OpBuilder &builder,
                                    ArrayRef<OpFoldResult> offsets,
                                    ArrayRef<OpFoldResult> sizes) {
  auto like = cast<AttentionLike>(getOperation());
  AttentionRoles roles = rolesOf(like);
  size_t parallel = roles.state().size();
  for (size_t i = parallel; i < offsets.size(); ++i)
    if (!isConstantIntValue(offsets[i], 0))
      return emitOpError("a key letter cannot be tiled without a state; split "
                         "the keys first (attn.partial_attention)");
  LetterTile tile = tileOf(like, roles.state(), offsets.take_front(parallel),
                           sizes.take_front(parallel));
  TiledOperands tiled = tileOperands(builder, like, tile, /*dropValid=*/false);
  Value output = tile.slice(builder, getLoc(), getOutput(), roles.outputTerm);
  Value lse = tile.slice(builder, getLoc(), getLse(), roles.state());
  Value sink =
      tile.slice(builder, getLoc(), getSink(), getSinkLetters().value_or(""));
  SmallVector<Type> types = {output.getType()};
  if (lse)
    types.push_back(lse.getType());
  StringAttr letters = tiled.offsetLetters.empty()
                           ? StringAttr()
                           : builder.getStringAttr(tiled.offsetLetters);
  auto op = AttentionOp::create(
      builder, getLoc(), types, getSpecAttr(), tiled.query, tiled.key,
      tiled.value, getScaleAttr(), tiled.keyScale, tiled.valueScale, tiled.bias,
      getBiasLettersAttr(), tiled.valid, getMaskAttr(), getMaskSymbols(),
      letters, tiled.offsets, getBlockLettersAttr(), tiled.blocks,
      getBlockSizeAttr(), getSinkLettersAttr(), sink, getSharedKvAttr(),
      getScheduleAttr(), output, lse, getScore().size());
  copyScore(like, cast<AttentionLike>(op.getOperation()));
  return tilingResult(*this, op);
}

LogicalResult AttentionOp::getResultTilePosition(
    OpBuilder &builder, unsigned result, ArrayRef<OpFoldResult> offsets,
    ArrayRef<OpFoldResult> sizes, SmallVector<OpFoldResult> &resultOffsets,
    SmallVector<OpFoldResult> &resultSizes) {
  AttentionRoles roles = rolesOf(cast<AttentionLike>(getOperation()));
  return resultPosition(builder, *this, getDpsInits()[result],
                        result ? roles.state() : roles.outputTerm,
                        roles.state(), offsets, sizes, resultOffsets,
                        resultSizes);
}

//===----------------------------------------------------------------------===//
// attn.partial_attention
//===----------------------------------------------------------------------===//

SmallVector<utils::IteratorType> PartialAttentionOp::getLoopIteratorTypes() {
  auto types = iteratorsOf(cast<AttentionLike>(getOperation()));
  if (getChunk())
    types.insert(types.begin(), utils::IteratorType::parallel);
  return types;
}

SmallVector<Range> PartialAttentionOp::getIterationDomain(OpBuilder &builder) {
  auto domain = domainOf(builder, cast<AttentionLike>(getOperation()));
  if (getChunk())
    domain.insert(domain.begin(),
                  {builder.getIndexAttr(0),
                   tensor::getMixedSize(builder, getLoc(), getMax(), 0),
                   builder.getIndexAttr(1)});
  return domain;
}

/// Binds the key letter to chunk `split`: keys that exist, and are valid where
/// that is known.  Returns whether `valid` is thereby spent.
static bool bindChunk(OpBuilder &builder, PartialAttentionOp op,
                      OpFoldResult split, LetterTile &tile) {
  auto like = cast<AttentionLike>(op.getOperation());
  Location loc = op.getLoc();
  char key = rolesOf(like).key.front();
  int64_t chunk = *op.getChunk();
  AffineExpr s, n;
  bindDims(builder.getContext(), s);
  bindSymbols(builder.getContext(), n);
  OpFoldResult start =
      affine::makeComposedFoldedAffineApply(builder, loc, s * chunk, {split});
  OpFoldResult extent = letterExtent(builder, like, key);
  Value valid = scalarValid(builder, like, tile);
  int64_t all = staticExtent(like, key);
  if (!valid && !ShapedType::isDynamic(all) && all % chunk == 0) {
    tile.bind(key, start, builder.getIndexAttr(chunk));
    return false;
  }
  OpFoldResult size = affine::makeComposedFoldedAffineMin(
      builder, loc,
      AffineMap::get(1, 1,
                     {n - s * chunk, builder.getAffineConstantExpr(chunk)},
                     builder.getContext()),
      {split, extent});
  // Other parts of a mask may have more chunks than this one.
  if (op.getMask())
    size =
        arith::MaxSIOp::create(
            builder, loc, getValueOrCreateConstantIndexOp(builder, loc, size),
            arith::ConstantIndexOp::create(builder, loc, 0))
            .getResult();
  if (valid) {
    if (Value before = offsetOf(like, key))
      valid = arith::SubIOp::create(builder, loc, valid, before);
    Value left = arith::SubIOp::create(
        builder, loc, valid,
        getValueOrCreateConstantIndexOp(builder, loc, start));
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    left = arith::MaxSIOp::create(builder, loc, left, zero);
    size = arith::MinSIOp::create(
               builder, loc, left,
               getValueOrCreateConstantIndexOp(builder, loc, size))
               .getResult();
  }
  tile.bind(key, start, size);
  return static_cast<bool>(valid);
}

/// All keys of the tile attend: no mask, no length, and only those offsets that
/// something else asks for.
static void dropTest(AttentionLike op, TiledOperands &tiled) {
  tiled.mask = {};
  tiled.maskSymbols.clear();
  tiled.valid = nullptr;
  if (scoreOf(op))
    return;
  size_t key = tiled.offsetLetters.find(rolesOf(op).key.front());
  Value offset = tiled.offsets[key];
  tiled.offsetLetters = rolesOf(op).key.front();
  tiled.offsets = {offset};
}

/// Binds the key letter to chunk `split` of the list of keys, which is made
/// here where it is that of the mask.
static FailureOr<KeyList> bindListChunk(OpBuilder &builder,
                                        PartialAttentionOp op,
                                        OpFoldResult split, LetterTile &tile) {
  auto like = cast<AttentionLike>(op.getOperation());
  Location loc = op.getLoc();
  KeyList list;
  if (op.getSparse()) {
    FailureOr<KeyList> made = keyListOf(builder, like, tile);
    if (failed(made))
      return failure();
    list = *made;
  } else {
    list.count = getValueOrCreateConstantIndexOp(builder, loc,
                                                 keyLoopExtent(builder, like));
  }
  AffineExpr s, n;
  bindDims(builder.getContext(), s);
  bindSymbols(builder.getContext(), n);
  OpFoldResult start = affine::makeComposedFoldedAffineApply(
      builder, loc, s * *op.getChunk(), {split});
  OpFoldResult size = affine::makeComposedFoldedAffineMin(
      builder, loc,
      AffineMap::get(1, 1,
                     {n - s * *op.getChunk(),
                      builder.getAffineConstantExpr(*op.getChunk())},
                     builder.getContext()),
      {split, OpFoldResult(list.count)});
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Value count = getValueOrCreateConstantIndexOp(builder, loc, size);
  count = arith::MaxSIOp::create(builder, loc, count, zero);
  tile.bind(rolesOf(like).key.front(), start, count);
  return list;
}

/// State `split` of a chunked state over `term`, without its leading dimension.
static Value sliceSplit(OpBuilder &builder, Location loc, Value state,
                        llvm::StringRef term, OpFoldResult split,
                        const LetterTile &tile) {
  SmallVector<OpFoldResult> offsets = {split},
                            sizes = {builder.getIndexAttr(1)};
  // '#' stands for the leading dimension; position() skips it by hand.
  SmallVector<OpFoldResult> inner, innerSizes;
  for (auto [i, letter] : llvm::enumerate(term)) {
    bool bound = tile.contains(letter);
    offsets.push_back(bound ? tile.offset(letter) : builder.getIndexAttr(0));
    sizes.push_back(bound ? tile.size(letter)
                          : tensor::getMixedSize(builder, loc, state, i + 1));
  }
  SmallVector<OpFoldResult> strides(offsets.size(), builder.getIndexAttr(1));
  auto full = cast<RankedTensorType>(tensor::ExtractSliceOp::inferResultType(
      cast<RankedTensorType>(state.getType()), sizes));
  auto reduced = RankedTensorType::get(full.getShape().drop_front(),
                                       full.getElementType());
  return tensor::ExtractSliceOp::create(builder, loc, reduced, state, offsets,
                                        sizes, strides);
}

FailureOr<TilingResult>
PartialAttentionOp::getTiledImplementation(OpBuilder &builder,
                                           ArrayRef<OpFoldResult> offsets,
                                           ArrayRef<OpFoldResult> sizes) {
  auto like = cast<AttentionLike>(getOperation());
  AttentionRoles roles = rolesOf(like);
  bool spent = false;
  KeyList list;
  LetterTile tile;
  SmallVector<Value> states;
  if (getChunk()) {
    if (!isConstantIntValue(sizes[0], 1))
      return emitOpError("chunks are tiled one at a time");
    size_t parallel = roles.state().size();
    tile = tileOf(like, roles.state(), offsets.slice(1, parallel),
                  sizes.slice(1, parallel));
    if (hasKeyList(like)) {
      FailureOr<KeyList> made = bindListChunk(builder, *this, offsets[0], tile);
      if (failed(made))
        return failure();
      list = *made;
    } else {
      spent = bindChunk(builder, *this, offsets[0], tile);
    }
    for (auto [state, term] :
         {std::pair<Value, std::string>{getMax(), roles.state()},
          {getSum(), roles.state()},
          {getAccumulator(), roles.outputTerm}})
      states.push_back(
          sliceSplit(builder, getLoc(), state, term, offsets[0], tile));
  } else {
    tile = tileOf(like, roles.scores(), offsets, sizes);
    states = {
        tile.slice(builder, getLoc(), getMax(), roles.state()),
        tile.slice(builder, getLoc(), getSum(), roles.state()),
        tile.slice(builder, getLoc(), getAccumulator(), roles.outputTerm)};
  }
  TiledOperands tiled = tileOperands(builder, like, tile, spent);
  if (list.map) {
    tiled.keys.map = list.map;
    tiled.keys.symbols = list.symbols;
    tiled.sparse = false;
    if (list.isExact)
      dropTest(like, tiled);
  }
  auto op = buildPartial(builder, like, tiled, states, /*chunk=*/nullptr);
  return tilingResult(*this, op);
}

LogicalResult PartialAttentionOp::getResultTilePosition(
    OpBuilder &builder, unsigned result, ArrayRef<OpFoldResult> offsets,
    ArrayRef<OpFoldResult> sizes, SmallVector<OpFoldResult> &resultOffsets,
    SmallVector<OpFoldResult> &resultSizes) {
  AttentionRoles roles = rolesOf(cast<AttentionLike>(getOperation()));
  std::string split = getChunk() ? "#" : "";
  std::string term = split + (result == 2 ? roles.outputTerm : roles.state());
  return resultPosition(builder, *this, getDpsInits()[result], term,
                        split + roles.state(), offsets, sizes, resultOffsets,
                        resultSizes);
}

//===----------------------------------------------------------------------===//
// attn.merge
//===----------------------------------------------------------------------===//

SmallVector<utils::IteratorType> MergeOp::getLoopIteratorTypes() {
  EinsumSpec spec = *EinsumSpec::parse(getSpec());
  return SmallVector<utils::IteratorType>(spec.inputs[0].size(),
                                          utils::IteratorType::parallel);
}

SmallVector<Range> MergeOp::getIterationDomain(OpBuilder &builder) {
  EinsumSpec spec = *EinsumSpec::parse(getSpec());
  SmallVector<Range> domain;
  for (size_t i = 0; i < spec.inputs[0].size(); ++i)
    domain.push_back({builder.getIndexAttr(0),
                      tensor::getMixedSize(builder, getLoc(), getMax(), i + 1),
                      builder.getIndexAttr(1)});
  return domain;
}

FailureOr<TilingResult>
MergeOp::getTiledImplementation(OpBuilder &builder,
                                ArrayRef<OpFoldResult> offsets,
                                ArrayRef<OpFoldResult> sizes) {
  EinsumSpec spec = *EinsumSpec::parse(getSpec());
  LetterTile tile;
  for (auto [letter, offset, size] : llvm::zip(spec.inputs[0], offsets, sizes))
    tile.bind(letter, offset, size);
  auto slice = [&](Value value, const std::string &term) {
    return tile.slice(builder, getLoc(), value, term);
  };
  Value output = slice(getOutput(), spec.output);
  Value lse = slice(getLse(), spec.inputs[0]);
  Value max = slice(getMax(), "#" + spec.inputs[0]);
  Value sum = slice(getSum(), "#" + spec.inputs[0]);
  Value accumulator = slice(getAccumulator(), "#" + spec.inputs[1]);
  SmallVector<Type> types = {output.getType()};
  if (lse)
    types.push_back(lse.getType());
  auto op = MergeOp::create(builder, getLoc(), types, getSpecAttr(), max, sum,
                            accumulator, output, lse);
  return tilingResult(*this, op);
}

LogicalResult MergeOp::getResultTilePosition(
    OpBuilder &builder, unsigned result, ArrayRef<OpFoldResult> offsets,
    ArrayRef<OpFoldResult> sizes, SmallVector<OpFoldResult> &resultOffsets,
    SmallVector<OpFoldResult> &resultSizes) {
  EinsumSpec spec = *EinsumSpec::parse(getSpec());
  return resultPosition(builder, *this, getDpsInits()[result],
                        result ? spec.inputs[0] : spec.output, spec.inputs[0],
                        offsets, sizes, resultOffsets, resultSizes);
}
