//===- SplitKeys.cpp - Split attention over chunks of keys ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Analysis/Remark.h"
#include "einhead/IR/Tile.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace einhead {
#define GEN_PASS_DEF_SPLITKEYSPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// How many chunks hold the keys: all, or the valid ones where one number says
/// how many those are.
static OpFoldResult chunkCount(OpBuilder &builder, AttentionOp op,
                               int64_t chunk) {
  auto like = cast<AttentionLike>(op.getOperation());
  Location loc = op.getLoc();
  OpFoldResult keys = letterExtent(builder, like, rolesOf(like).key.front());
  if (Value valid = scalarValid(builder, like, LetterTile())) {
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    valid = arith::MaxSIOp::create(builder, loc, valid, zero);
    keys = arith::MinSIOp::create(
               builder, loc, valid,
               getValueOrCreateConstantIndexOp(builder, loc, keys))
               .getResult();
    Value size = arith::ConstantIndexOp::create(builder, loc, chunk);
    return arith::CeilDivSIOp::create(builder, loc, cast<Value>(keys), size)
        .getResult();
  }
  AffineExpr n;
  bindSymbols(builder.getContext(), n);
  return affine::makeComposedFoldedAffineApply(builder, loc, n.ceilDiv(chunk),
                                               {keys});
}

static LogicalResult splitKeys(RewriterBase &rewriter, AttentionOp op) {
  rewriter.setInsertionPoint(op);
  int64_t chunk = op.getScheduleAttr().getChunk();
  auto like = cast<AttentionLike>(op.getOperation());
  unsigned keyLoop = rolesOf(like).state().size();
  SmallVector<OpFoldResult> sizes(keyLoop + 1, rewriter.getIndexAttr(0));
  sizes[keyLoop] = chunkCount(rewriter, op, chunk);
  SetVector<unsigned> reduction;
  reduction.insert(keyLoop);
  FailureOr<SmallVector<Value>> states =
      op.generateInitialTensorForPartialReduction(rewriter, op.getLoc(), sizes,
                                                  reduction);
  if (failed(states))
    return failure();
  TiledOperands operands =
      tileOperands(rewriter, like, LetterTile(), /*dropValid=*/false);
  PartialAttentionOp partial = buildPartial(rewriter, like, operands, *states,
                                            rewriter.getI64IntegerAttr(chunk));
  FailureOr<MergeResult> merged = op.mergeReductions(
      rewriter, op.getLoc(), partial.getResults(), reduction);
  if (failed(merged))
    return failure();
  rewriter.replaceOp(op, merged->replacements);
  return success();
}

namespace {
struct SplitKeysPass final : einhead::impl::SplitKeysPassBase<SplitKeysPass> {
  void runOnOperation() override {
    SmallVector<AttentionOp> ops;
    getOperation().walk([&](AttentionOp op) {
      if (op.getScheduleAttr())
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (AttentionOp op : ops) {
      remarkAnalysis(op.getLoc(), "attn-split-keys", "Split",
                     "one state for each " +
                         llvm::Twine(op.getScheduleAttr().getChunk()) +
                         " keys, joined in their order");
      if (failed(splitKeys(rewriter, op)))
        return signalPassFailure();
    }
  }
};
} // namespace
