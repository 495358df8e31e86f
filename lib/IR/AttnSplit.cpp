//===- AttnSplit.cpp - Partial reductions and decomposition of attention --===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/Tile.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace einhead::attn;

//===----------------------------------------------------------------------===//
// PartialReductionOpInterface: the states of splits, and their merge
//===----------------------------------------------------------------------===//

/// tensor of `shape` filled with `value`.
static Value filled(OpBuilder &builder, Location loc,
                    ArrayRef<OpFoldResult> shape, float value) {
  Value empty =
      tensor::EmptyOp::create(builder, loc, shape, builder.getF32Type());
  Value scalar =
      arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(value));
  return linalg::FillOp::create(builder, loc, scalar, empty).getResult(0);
}

/// The sizes of the loops, followed by those of the value letters.
static SmallVector<OpFoldResult> stateShape(OpBuilder &builder, AttentionOp op,
                                            OpFoldResult splits,
                                            llvm::StringRef term) {
  auto like = cast<AttentionLike>(op.getOperation());
  SmallVector<OpFoldResult> shape = {splits};
  for (char letter : term)
    shape.push_back(letterExtent(builder, like, letter));
  return shape;
}

FailureOr<SmallVector<Value>>
AttentionOp::generateInitialTensorForPartialReduction(
    OpBuilder &builder, Location loc, ArrayRef<OpFoldResult> sizes,
    const SetVector<unsigned> &reductionDims) {
  AttentionRoles roles = rolesOf(cast<AttentionLike>(getOperation()));
  if (reductionDims.size() != 1 || roles.key.size() != 1 ||
      reductionDims.front() != roles.state().size())
    return emitOpError("only its one key letter can be split");
  OpFoldResult splits = sizes[reductionDims.front()];
  auto state = stateShape(builder, *this, splits, roles.state());
  auto accumulator = stateShape(builder, *this, splits, roles.outputTerm);
  return SmallVector<Value>{
      filled(builder, loc, state, -std::numeric_limits<float>::infinity()),
      filled(builder, loc, state, 0.0f),
      filled(builder, loc, accumulator, 0.0f)};
}

FailureOr<TilingResult> AttentionOp::tileToPartialReduction(
    OpBuilder &builder, Location loc, ReductionTilingStrategy strategy,
    ValueRange init, ArrayRef<OpFoldResult> offsets,
    ArrayRef<OpFoldResult> sizes, const SetVector<unsigned> &reductionDims,
    ArrayRef<OpFoldResult> splitReductionIvs) {
  auto like = cast<AttentionLike>(getOperation());
  AttentionRoles roles = rolesOf(like);
  if (strategy != ReductionTilingStrategy::PartialReductionOuterParallel)
    return emitOpError("its keys split into parallel parts only");
  // It is in state 0 before any part is (SplitKeys.cpp); a part cannot know.
  if (getSink())
    return emitOpError("its sink belongs to no part of the keys; "
                       "transform.attn.split_keys takes it along");
  LetterTile tile;
  for (auto [letter, offset, size] : llvm::zip(roles.scores(), offsets, sizes))
    tile.bind(letter, offset, size);
  TiledOperands tiled = tileOperands(builder, like, tile, /*dropValid=*/false);
  // This split's states, without their leading dimension.
  SmallVector<Value> states;
  for (auto [i, state] : llvm::enumerate(init)) {
    SmallVector<OpFoldResult> at, extents;
    if (failed(getPartialResultTilePosition(builder, i, strategy, offsets,
                                            sizes, reductionDims,
                                            splitReductionIvs, at, extents)))
      return failure();
    SmallVector<OpFoldResult> ones(at.size(), builder.getIndexAttr(1));
    auto whole = cast<RankedTensorType>(tensor::ExtractSliceOp::inferResultType(
        cast<RankedTensorType>(state.getType()), extents));
    auto reduced = RankedTensorType::get(whole.getShape().drop_front(),
                                         whole.getElementType());
    states.push_back(tensor::ExtractSliceOp::create(builder, loc, reduced,
                                                    state, at, extents, ones));
  }
  auto op = buildPartial(builder, like, tiled, states, /*chunk=*/nullptr);
  return TilingResult{{op}, SmallVector<Value>(op->getResults()), {}};
}

FailureOr<MergeResult>
AttentionOp::mergeReductions(OpBuilder &builder, Location loc,
                             ValueRange partialReduce,
                             const SetVector<unsigned> &reductionDims) {
  AttentionRoles roles = rolesOf(cast<AttentionLike>(getOperation()));
  std::string spec =
      roles.state() + ", " + roles.outputTerm + " -> " + roles.outputTerm;
  SmallVector<Type> types = {getOutput().getType()};
  if (getLse())
    types.push_back(getLse().getType());
  auto merge = MergeOp::create(builder, loc, types, builder.getStringAttr(spec),
                               partialReduce[0], partialReduce[1],
                               partialReduce[2], getOutput(), getLse());
  return MergeResult{{merge}, SmallVector<Value>(merge->getResults())};
}

LogicalResult AttentionOp::getPartialResultTilePosition(
    OpBuilder &builder, unsigned result, ReductionTilingStrategy,
    ArrayRef<OpFoldResult> offsets, ArrayRef<OpFoldResult> sizes,
    const SetVector<unsigned> &, ArrayRef<OpFoldResult> splitReductionIvs,
    SmallVector<OpFoldResult> &resultOffsets,
    SmallVector<OpFoldResult> &resultSizes) {
  auto like = cast<AttentionLike>(getOperation());
  AttentionRoles roles = rolesOf(like);
  LetterTile tile;
  for (auto [letter, offset, size] : llvm::zip(roles.scores(), offsets, sizes))
    tile.bind(letter, offset, size);
  resultOffsets = {splitReductionIvs.front()};
  resultSizes = {builder.getIndexAttr(1)};
  std::string term = result == 2 ? roles.outputTerm : roles.state();
  for (char letter : term) {
    bool bound = tile.contains(letter);
    resultOffsets.push_back(bound ? tile.offset(letter)
                                  : builder.getIndexAttr(0));
    resultSizes.push_back(bound ? tile.size(letter)
                                : letterExtent(builder, like, letter));
  }
  return success();
}

//===----------------------------------------------------------------------===//
// AggregatedOpInterface: the graph that an attention stands for
//===----------------------------------------------------------------------===//

/// `body` of each score, of the elements of `more` at `maps`, and of the
/// score's indices (linalg.index).
static Value
mapScores(OpBuilder &builder, Value scores, ValueRange more,
          ArrayRef<AffineMap> maps,
          llvm::function_ref<Value(OpBuilder &, Location, ValueRange)> body) {
  Location loc = scores.getLoc();
  auto type = cast<RankedTensorType>(scores.getType());
  SmallVector<AffineMap> all(2, builder.getMultiDimIdentityMap(type.getRank()));
  all.insert(all.begin() + 1, maps.begin(), maps.end());
  SmallVector<Value> inputs = {scores};
  llvm::append_range(inputs, more);
  SmallVector<utils::IteratorType> iterators(type.getRank(),
                                             utils::IteratorType::parallel);
  Value empty = tensor::EmptyOp::create(
      builder, loc, tensor::getMixedSizes(builder, loc, scores),
      type.getElementType());
  return linalg::GenericOp::create(
             builder, loc, TypeRange(type), inputs, ValueRange{empty}, all,
             iterators,
             [&](OpBuilder &b, Location l, ValueRange args) {
               linalg::YieldOp::create(b, l, body(b, l, args));
             })
      .getResult(0);
}

/// scores + bias, the bias repeated over the letters that it lacks.
static Value addBias(OpBuilder &builder, AttentionOp op, Value scores,
                     llvm::StringRef letters) {
  SmallVector<AffineExpr> dims;
  llvm::StringRef biasLetters = *op.getBiasLetters();
  for (char letter : biasLetters)
    dims.push_back(builder.getAffineDimExpr(indexOf(letters, letter)));
  AffineMap map = AffineMap::get(letters.size(), 0, dims, builder.getContext());
  return mapScores(builder, scores, op.getBias(), map,
                   [](OpBuilder &b, Location loc, ValueRange args) -> Value {
                     Value term = args[1];
                     if (term.getType() != args[0].getType())
                       term = arith::ExtFOp::create(b, loc, args[0].getType(),
                                                    term);
                     return arith::AddFOp::create(b, loc, args[0], term);
                   });
}

/// The score region at each element of `scores`.
static Value applyScore(OpBuilder &builder, AttentionOp op, Value scores) {
  Block &block = op.getScore().front().front();
  return mapScores(
      builder, scores, {}, {},
      [&](OpBuilder &b, Location loc, ValueRange args) -> Value {
        IRMapping mapping;
        mapping.map(block.getArgument(0), args[0]);
        for (auto [i, index] :
             llvm::enumerate(block.getArguments().drop_front()))
          mapping.map(index, linalg::IndexOp::create(b, loc, i).getResult());
        for (Operation &inner : block.without_terminator())
          b.clone(inner, mapping);
        return mapping.lookupOrDefault(
            cast<YieldOp>(block.getTerminator()).getScore());
      });
}

FailureOr<SmallVector<Value>>
AttentionOp::decomposeOperation(OpBuilder &builder) {
  auto like = cast<AttentionLike>(getOperation());
  if (getLse() || getBlocks() || getOffsetLetters() ||
      !isa<RankedTensorType>(getQuery().getType()))
    return emitOpError("only a whole attention on tensors decomposes");
  AttentionRoles roles = rolesOf(like);
  if (roles.key.size() != 1)
    return emitOpError("a softmax over \"")
           << roles.key << "\" has no graph op; use one key letter";
  Location loc = getLoc();
  std::string letters = roles.scores();
  SmallVector<int64_t> shape;
  SmallVector<Value> dynamic;
  for (char letter : letters) {
    shape.push_back(staticExtent(like, letter));
    if (ShapedType::isDynamic(shape.back()))
      dynamic.push_back(cast<Value>(letterExtent(builder, like, letter)));
  }
  auto type = RankedTensorType::get(shape, builder.getF32Type());
  Value scores = EinsumOp::create(builder, loc, type,
                                  roles.queryTerm + ", " + roles.keyTerm +
                                      " -> " + letters,
                                  ValueRange{getQuery(), getKey()});
  Value scale = arith::ConstantOp::create(
      builder, loc, builder.getF32FloatAttr(getScale().convertToDouble()));
  Value scales = tensor::SplatOp::create(builder, loc, scale, type, dynamic);
  scores = arith::MulFOp::create(builder, loc, scores, scales);
  if (scoreOf(like))
    scores = applyScore(builder, *this, scores);
  if (getBias())
    scores = addBias(builder, *this, scores, letters);
  // `valid` counts by the query's first letter, softmax by its own first.
  if (getValid() && !getValid().getType().isIndex() &&
      letters.front() != roles.queryTerm.front())
    return emitOpError(
        "valid of rank 1 needs the query's first letter first in "
        "the output");
  Value weights = SoftmaxOp::create(
      builder, loc, type, builder.getStringAttr(letters),
      builder.getStringAttr(roles.key), scores, getValid(), getMaskAttr(),
      getMaskSymbols(), getSinkLettersAttr(), getSink());
  Value result = EinsumOp::create(builder, loc, getOutput().getType(),
                                  letters + ", " + roles.valueTerm + " -> " +
                                      roles.outputTerm,
                                  ValueRange{weights, getValue()});
  return SmallVector<Value>{result};
}
