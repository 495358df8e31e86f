//===- KeyLoops.cpp - Loops over the keys of one tile -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// With a mask, the keys of the tile are (einhead/IR/KeySet.h)
//
//   begin ... head | full tiles without the mask | tail ... end
//
// Full tiles come first; one more loop takes the tiles of head and tail, whose
// scores are tested.

#include "einhead/IR/KeyTile.h"
#include "einhead/Transforms/Transforms.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// All keys, or a list of them: upstream's loop, its last iteration peeled.
static LogicalResult tileAll(RewriterBase &rewriter, PartialAttentionOp op) {
  auto like = cast<AttentionLike>(op.getOperation());
  int64_t keyTile = op.getScheduleAttr().getKeyTile();
  SmallVector<int64_t> sizes(rolesOf(like).state().size(), 0);
  sizes.push_back(keyTile);
  scf::SCFTilingOptions options;
  options.setTileSizes(getAsIndexOpFoldResult(rewriter.getContext(), sizes));
  rewriter.setInsertionPoint(op);
  auto loop = scf::tileUsingSCF(
      rewriter, cast<TilingInterface>(op.getOperation()), options);
  if (failed(loop))
    return op.emitOpError("cannot be tiled over its keys");
  rewriter.replaceOp(op, loop->replacements);
  // Peeling fails where all tiles are full; then there is nothing to peel.
  scf::ForOp rest;
  if (!loop->loops.empty())
    (void)scf::peelForLoopAndSimplifyBounds(
        rewriter, cast<scf::ForOp>(loop->loops.front().getOperation()), rest);
  return success();
}

namespace {
/// The loops of an op with a mask.
class MaskedLoops {
public:
  MaskedLoops(RewriterBase &rewriter, PartialAttentionOp op)
      : b(op.getLoc(), rewriter), op(op),
        like(cast<AttentionLike>(op.getOperation())),
        key(rolesOf(like).key.front()),
        keyTile(op.getScheduleAttr().getKeyTile()) {}

  SmallVector<Value> run();

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(b, x, y); }
  Value times(Value x, int64_t n) {
    return arith::MulIOp::create(b, x, index(n));
  }
  SmallVector<Value>
  loop(Value count, ValueRange states,
       llvm::function_ref<ValueRange(Value, ValueRange)> body);
  /// The op on the keys [start, start + size).
  ValueRange tile(OpFoldResult start, OpFoldResult size, bool isFull,
                  ValueRange states);

  ImplicitLocOpBuilder b;
  PartialAttentionOp op;
  AttentionLike like;
  char key;
  int64_t keyTile;
  bool limited = false; ///< the bounds of the loops keep to `valid`
};
} // namespace

SmallVector<Value>
MaskedLoops::loop(Value count, ValueRange states,
                  llvm::function_ref<ValueRange(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(
      b, index(0), count, index(1), states,
      [&](OpBuilder &inner, Location, Value i, ValueRange carried) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPoint(inner.getInsertionBlock(),
                            inner.getInsertionPoint());
        scf::YieldOp::create(b, body(i, carried));
      });
  return SmallVector<Value>(loop.getResults());
}

ValueRange MaskedLoops::tile(OpFoldResult start, OpFoldResult size, bool isFull,
                             ValueRange states) {
  LetterTile keys;
  keys.bind(key, start, size);
  TiledOperands operands = tileOperands(b, like, keys, limited);
  if (isFull) {
    operands.mask = {};
    operands.maskSymbols.clear();
    // Who else asks where the tile starts?
    if (!scoreOf(like)) {
      operands.offsetLetters.clear();
      operands.offsets.clear();
    }
  }
  return buildPartial(b, like, operands, states, /*chunk=*/nullptr)
      .getResults();
}

SmallVector<Value> MaskedLoops::run() {
  TileKeys keys = TileKeys::get(b, like, *op.getMask(), LetterTile());
  limited = static_cast<bool>(scalarValid(b, like, LetterTile()));
  KeyRange all = hullOf(b, like, keys);
  SmallVector<Value> states(op.getDpsInits());
  Value head = all.begin, tail = all.begin;
  std::optional<KeyRange> full;
  if (limited || !op.getValid())
    full = fullKeysOf(b, like, keys, all);
  if (full) {
    Value length =
        arith::MaxSIOp::create(b, sub(full->end, full->begin), index(0));
    Value count = arith::DivUIOp::create(b, length, index(keyTile));
    // Without a full tile, head and tail are one.
    Value some =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ne, count, index(0));
    head = arith::SelectOp::create(b, some, full->begin, all.begin);
    tail = add(head, times(count, keyTile));
    states = loop(count, states, [&](Value i, ValueRange carried) {
      return tile(add(head, times(i, keyTile)), b.getIndexAttr(keyTile),
                  /*isFull=*/true, carried);
    });
  }
  auto tiles = [&](Value from, Value to) -> Value {
    return arith::CeilDivUIOp::create(b, sub(to, from), index(keyTile));
  };
  Value before = full ? tiles(all.begin, head) : index(0);
  Value count = add(before, tiles(tail, all.end));
  return loop(count, states, [&](Value i, ValueRange carried) {
    Value inHead =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ult, i, before);
    Value from = add(all.begin, times(i, keyTile));
    Value late = add(tail, times(sub(i, before), keyTile));
    Value start = arith::SelectOp::create(b, inHead, from, late);
    Value end = arith::SelectOp::create(b, inHead, head, all.end);
    Value size = arith::MinSIOp::create(b, sub(end, start), index(keyTile));
    return tile(start, size, /*isFull=*/false, carried);
  });
}

LogicalResult einhead::tileKeys(RewriterBase &rewriter, PartialAttentionOp op) {
  auto like = cast<AttentionLike>(op.getOperation());
  if (!op.getMask() || hasKeyList(like) || rolesOf(like).key.size() != 1)
    return tileAll(rewriter, op);
  rewriter.setInsertionPoint(op);
  rewriter.replaceOp(op, MaskedLoops(rewriter, op).run());
  return success();
}
