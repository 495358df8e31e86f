//===- TileDecode.cpp - Tile attention into loops ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/Tile.h"
#include "einhead/Transforms/Passes.h"
#include "einhead/Transforms/Transforms.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"

namespace einhead {
#define GEN_PASS_DEF_TILEDECODEPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// Tile sizes of the outer loops: one chunk, one of each batch letter, and row
/// blocks (innermost row letters first), of those letters that no list of keys
/// depends on.  0 leaves a loop whole.
static SmallVector<int64_t> outerTiles(PartialAttentionOp op) {
  auto like = cast<AttentionLike>(op.getOperation());
  AttentionRoles roles = rolesOf(like);
  std::string state = roles.state(), choosing = choosingLetters(like);
  SmallVector<int64_t> tiles(state.size(), 1);
  int64_t left = op.getScheduleAttr().getRowTile();
  for (size_t i = state.size(); i-- > 0;) {
    if (indexOf(roles.row, state[i]) < 0 || indexOf(choosing, state[i]) >= 0)
      continue;
    int64_t extent = staticExtent(like, state[i]);
    tiles[i] = rowTileOf(extent, left);
    left = std::max<int64_t>(1, left / tiles[i]);
  }
  // A loop of one iteration is no loop.
  for (size_t i = 0; i < state.size(); ++i)
    if (tiles[i] == staticExtent(like, state[i]))
      tiles[i] = 0;
  tiles.insert(tiles.begin(), 1);
  tiles.push_back(0);
  return tiles;
}

/// The order of the outer loops is that of the letters in K, so that a thread
/// which takes neighbouring iterations reads on where it stopped: chunks after
/// heads where a head's keys lie together, before them where a key's heads do.
/// Row blocks, which read the same keys, come last.  The key loop is not tiled.
static SmallVector<int64_t> outerOrder(PartialAttentionOp op) {
  AttentionRoles roles = rolesOf(cast<AttentionLike>(op.getOperation()));
  std::string state = roles.state();
  auto place = [&](int64_t loop) -> int64_t {
    char letter = loop == 0 ? roles.key.front() : state[loop - 1];
    int64_t inKey = indexOf(roles.keyTerm, letter);
    return inKey >= 0 ? inKey : roles.keyTerm.size();
  };
  SmallVector<int64_t> order =
      llvm::to_vector(llvm::seq<int64_t>(0, state.size() + 1));
  llvm::stable_sort(order,
                    [&](int64_t a, int64_t b) { return place(a) < place(b); });
  order.push_back(state.size() + 1);
  return order;
}

static SmallVector<OpFoldResult> toAttrs(OpBuilder &builder,
                                         ArrayRef<int64_t> sizes) {
  return getAsIndexOpFoldResult(builder.getContext(), sizes);
}

/// States start empty: fill each tile's inside the loop, where it is used,
/// instead of all of them before.
static void fillInLoop(RewriterBase &rewriter, PartialAttentionOp tiled) {
  rewriter.setInsertionPoint(tiled);
  auto forall = tiled->getParentOfType<scf::ForallOp>();
  for (OpOperand &state : tiled.getDpsInitsMutable()) {
    auto slice = state.get().getDefiningOp<tensor::ExtractSliceOp>();
    auto argument = slice ? dyn_cast<BlockArgument>(slice.getSource())
                          : dyn_cast<BlockArgument>(state.get());
    if (!argument || !forall)
      continue;
    OpOperand *init = forall.getTiedOpOperand(argument);
    auto fill = init->get().getDefiningOp<linalg::FillOp>();
    if (!fill)
      continue;
    Value filled = linalg::FillOp::create(rewriter, tiled.getLoc(),
                                          fill.getInputs()[0], state.get())
                       .getResult(0);
    state.set(filled);
    init->set(fill.getOutputs()[0]);
  }
}

/// The partial attentions that continue one another's states up to `last`, in
/// order, as far as they have the same outer tiles: one parallel loop takes
/// them all.
static SmallVector<PartialAttentionOp> groupOf(PartialAttentionOp last) {
  SmallVector<PartialAttentionOp> group = {last};
  while (true) {
    auto before = group.back().getMax().getDefiningOp<PartialAttentionOp>();
    if (!before || !before.getChunk() ||
        !llvm::all_of(before->getResults(),
                      [](Value result) { return result.hasOneUse(); }) ||
        outerTiles(before) != outerTiles(last))
      break;
    group.push_back(before);
  }
  return SmallVector<PartialAttentionOp>(llvm::reverse(group));
}

/// Puts the tiles of `earlier` ops in front of `tiled`, in its loop: each
/// continues the states of the one before.  Returns all tiles.
static FailureOr<SmallVector<PartialAttentionOp>>
tileEarlier(RewriterBase &rewriter, ArrayRef<PartialAttentionOp> earlier,
            PartialAttentionOp tiled) {
  SmallVector<PartialAttentionOp> tiles;
  rewriter.setInsertionPoint(tiled);
  auto slice = tiled.getMax().getDefiningOp<tensor::ExtractSliceOp>();
  if (!earlier.empty() && !slice)
    return tiled.emitOpError("has no tile of its states");
  SmallVector<Value> states(tiled.getDpsInits());
  for (PartialAttentionOp op : earlier) {
    SmallVector<OpFoldResult> offsets = slice.getMixedOffsets(),
                              sizes = slice.getMixedSizes();
    offsets.push_back(rewriter.getIndexAttr(0)); // the key loop stays whole
    sizes.push_back(rewriter.getIndexAttr(0));
    FailureOr<TilingResult> result =
        op.getTiledImplementation(rewriter, offsets, sizes);
    if (failed(result))
      return failure();
    auto tile = cast<PartialAttentionOp>(result->tiledOps.front());
    for (auto [init, state] : llvm::zip(tile.getDpsInitsMutable(), states)) {
      // The slice of its own destination, which is an op that will go.
      Operation *unused = init.get().getDefiningOp();
      init.set(state);
      if (unused && unused->use_empty())
        rewriter.eraseOp(unused);
    }
    states = llvm::to_vector_of<Value>(tile.getResults());
    tiles.push_back(tile);
  }
  for (auto [init, state] : llvm::zip(tiled.getDpsInitsMutable(), states))
    init.set(state);
  tiles.push_back(tiled);
  return tiles;
}

/// One parallel loop over chunks, batch letters and row blocks for `last` and
/// the ops that it continues; then the loops over keys of each tile.
static FailureOr<scf::ForallOp> tilePartial(RewriterBase &rewriter,
                                            PartialAttentionOp last) {
  SmallVector<PartialAttentionOp> group = groupOf(last);
  scf::SCFTilingOptions outer;
  outer.setLoopType(scf::SCFTilingOptions::LoopType::ForallOp);
  outer.setTileSizes(toAttrs(rewriter, outerTiles(last)));
  outer.setInterchange(outerOrder(last));
  rewriter.setInsertionPoint(last);
  // The loop continues the states that the first of them continues.
  SmallVector<Value> first(group.front().getDpsInits());
  if (group.size() > 1)
    for (auto [init, state] : llvm::zip(last.getDpsInitsMutable(), first))
      init.set(state);
  auto loops = scf::tileUsingSCF(
      rewriter, cast<TilingInterface>(last.getOperation()), outer);
  if (failed(loops))
    return last.emitOpError("cannot be tiled over its chunks and rows");
  auto tiled = cast<PartialAttentionOp>(loops->tiledOps.front());
  auto tiles = tileEarlier(
      rewriter, ArrayRef<PartialAttentionOp>(group).drop_back(), tiled);
  if (failed(tiles))
    return failure();
  rewriter.replaceOp(last, loops->replacements);
  group.pop_back();
  while (!group.empty())
    rewriter.eraseOp(group.pop_back_val());
  fillInLoop(rewriter, tiles->front());
  for (PartialAttentionOp tile : *tiles)
    if (failed(tileKeys(rewriter, tile)))
      return failure();
  return cast<scf::ForallOp>(loops->loops.front().getOperation());
}

FailureOr<SmallVector<scf::ForallOp>>
einhead::tileDecode(RewriterBase &rewriter,
                    ArrayRef<PartialAttentionOp> partials) {
  SmallVector<scf::ForallOp> loops;
  // From the last to the first: an op takes those that it continues along.
  llvm::SmallPtrSet<Operation *, 8> done;
  for (PartialAttentionOp op : llvm::reverse(partials)) {
    if (done.contains(op))
      continue;
    for (PartialAttentionOp member : groupOf(op))
      done.insert(member);
    FailureOr<scf::ForallOp> loop = tilePartial(rewriter, op);
    if (failed(loop))
      return failure();
    loops.push_back(*loop);
  }
  return loops;
}

/// A parallel loop over rows; those of the last letter stay together, in blocks
/// where the other letters make few items.
static SmallVector<int64_t> mergeTiles(MergeOp op) {
  constexpr int64_t fewItems = 16, blockRows = 8, fewBytes = 32 << 10;
  size_t letters = EinsumSpec::parse(op.getSpec())->inputs[0].size();
  SmallVector<int64_t> sizes(letters, 1);
  if (letters == 0)
    return sizes;
  auto extents =
      cast<ShapedType>(op.getMax().getType()).getShape().drop_front();
  // Where there is less to merge than another thread takes to begin.
  auto accumulator = cast<ShapedType>(op.getAccumulator().getType());
  if (accumulator.hasStaticShape() &&
      accumulator.getNumElements() * 4 <= fewBytes)
    return SmallVector<int64_t>(letters, 0);
  int64_t items = 1;
  for (int64_t extent : extents.drop_back())
    items = ShapedType::isDynamic(extent) ? fewItems : items * extent;
  bool isCut = items < fewItems && extents.back() > blockRows;
  sizes.back() = isCut ? blockRows : 0;
  // A loop of one iteration is no loop.
  for (size_t i = 0; i < letters; ++i)
    if (sizes[i] == extents[i])
      sizes[i] = 0;
  return sizes;
}

FailureOr<scf::ForallOp> einhead::tileMerge(RewriterBase &rewriter,
                                            MergeOp op) {
  SmallVector<int64_t> sizes = mergeTiles(op);
  if (llvm::all_of(sizes, [](int64_t size) { return size == 0; }))
    return scf::ForallOp();
  scf::SCFTilingOptions options;
  options.setLoopType(scf::SCFTilingOptions::LoopType::ForallOp);
  options.setTileSizes(toAttrs(rewriter, sizes));
  rewriter.setInsertionPoint(op);
  auto loops = scf::tileUsingSCF(
      rewriter, cast<TilingInterface>(op.getOperation()), options);
  if (failed(loops))
    return op.emitOpError("cannot be tiled");
  rewriter.replaceOp(op, loops->replacements);
  return cast<scf::ForallOp>(loops->loops.front().getOperation());
}

namespace {
struct TileDecodePass final
    : einhead::impl::TileDecodePassBase<TileDecodePass> {
  void runOnOperation() override {
    SmallVector<PartialAttentionOp> partials;
    SmallVector<MergeOp> merges;
    getOperation().walk([&](Operation *op) {
      if (auto partial = dyn_cast<PartialAttentionOp>(op))
        if (partial.getChunk() && partial.getScheduleAttr())
          partials.push_back(partial);
      if (auto merge = dyn_cast<MergeOp>(op))
        if (!op->getParentOfType<scf::ForallOp>())
          merges.push_back(merge);
    });
    IRRewriter rewriter(&getContext());
    if (failed(tileDecode(rewriter, partials)))
      return signalPassFailure();
    for (MergeOp op : merges)
      if (failed(tileMerge(rewriter, op)))
        return signalPassFailure();
  }
};
} // namespace
