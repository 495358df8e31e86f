//===- PartialToVector.cpp - Register tiles of a partial attention --------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PartialToVector.h"
#include "PartialEmitter.h"
#include "einhead/IR/Tile.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

//===----------------------------------------------------------------------===//
// Where the queries are packed
//===----------------------------------------------------------------------===//

/// The outermost key loop that the query does not depend on.
Operation *PartialEmitter::packAnchor() {
  Operation *anchor = op;
  while (auto parent = dyn_cast<scf::ForOp>(anchor->getParentOp())) {
    if (!parent.isDefinedOutsideOfLoop(op.getQuery()))
      break;
    anchor = parent;
  }
  return anchor;
}

/// The outermost of those that the states do not depend on either.  Loops over
/// what is left of a tile run once at most, or not at all.
Operation *PartialEmitter::stateAnchor() {
  Operation *anchor = op, *outermost = packAnchor();
  if (isList || extent(roles.key.front()) != keyTile)
    return anchor;
  while (anchor != outermost) {
    auto parent = cast<scf::ForOp>(anchor->getParentOp());
    for (Value state : {op.getMax(), op.getSum(), op.getAccumulator()})
      if (!parent.isDefinedOutsideOfLoop(state))
        return anchor;
    anchor = parent;
  }
  return anchor;
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

/// Numbers and rows of the tile's keys.
void PartialEmitter::list(Value start, Value count) {
  loop(index(0), count, 1, {}, [&](Value i, ValueRange) {
    listKey(start, i);
    return SmallVector<Value>();
  });
}

void PartialEmitter::tile(Value start, Value count, bool full) {
  keyBase = start;
  if (isList)
    list(start, count);
  if (full && ahead) {
    bool inOrder = products && products->readsInOrder();
    readAhead(op.getKey(), roles.keyTerm, start, depth, inOrder);
    if (!valueIsInKey())
      readAhead(op.getValue(), roles.valueTerm, start, width, inOrder);
  }
  if (matrix)
    return matrix->attend(start, count, full);
  products->stage(start, count, full);
  if (full && products->weighsAtOnce()) {
    products->weigh([&](Value row, int64_t block, ArrayRef<Value> largest) {
      raiseMaxima(row, block, largest);
    });
  } else {
    products->scores(start, count, full);
    loadScales(start, count, full);
    scaleScores();
    shapeScores(start, count);
    weights(count, full);
  }
  products->values(start, count, full);
}

/// Whether reading K reads V (latent attention).
bool PartialEmitter::valueIsInKey() {
  auto base = [](Value memref) {
    while (auto view = memref.getDefiningOp<ViewLikeOpInterface>())
      memref = view.getViewSource();
    return memref;
  };
  return base(op.getKey()) == base(op.getValue()) && width <= depth;
}

/// How many keys there are, where that is known.
int64_t PartialEmitter::staticKeys() {
  if (!isList)
    return extent(roles.key.front());
  llvm::APInt constant;
  return matchPattern(op.getKeyCount(), m_ConstantInt(&constant))
             ? constant.getSExtValue()
             : ShapedType::kDynamic;
}

void PartialEmitter::tiles() {
  if (staticKeys() == keyTile) {
    tile(index(0), index(keyTile), /*full=*/true);
    return;
  }
  Value count = keyCount();
  loop(index(0), count, keyTile, {}, [&](Value start, ValueRange) {
    Value left = arith::SubIOp::create(b, count, start);
    tile(start, arith::MinSIOp::create(b, left, index(keyTile)),
         /*full=*/false);
    return SmallVector<Value>();
  });
}

LogicalResult PartialEmitter::check() {
  if (failed(ScoreBuilder::check()))
    return failure();
  if (op.getScheduleAttr().getProducts() == Products::FMA)
    return success();
  for (Value operand : {op.getQuery(), op.getKey(), op.getValue()})
    if (!getElementTypeOrSelf(operand).isBF16())
      return op.emitOpError(
                 "has products of bf16 pairs in its schedule, but an "
                 "operand of ")
             << getElementTypeOrSelf(operand);
  return success();
}

void PartialEmitter::measure() {
  ScoreBuilder::measure();
  lanes = op.getScheduleAttr().getLanes();
  // The keys of a list are not in a row: what comes next is not known here.
  ahead = isList ? 0 : op.getScheduleAttr().getPrefetch();
}

LogicalResult PartialEmitter::run() {
  if (failed(check()))
    return failure();
  measure();
  if (isList) {
    listed = scratch({keyTile}, b.getIndexType());
    listedRows = scratch({keyTile}, b.getIndexType());
  }
  bool single = llvm::all_of(roles.batch,
                             [&](char letter) { return extent(letter) == 1; });
  if (op.getScheduleAttr().getProducts() == Products::Tiles && !mayExclude() &&
      MatrixTile::takes(*this)) {
    runMatrix(single);
    return success();
  }
  runProducts(single);
  return success();
}

/// One set of queries is packed once, before the loop over keys, and around it
/// the sums of weights are kept by lanes.
void PartialEmitter::runProducts(bool single) {
  scores = scratch({rows, keyTile}, b.getF32Type());
  byLane = scratch({lanes}, b.getF32Type());
  products = TileProducts::create(*this);
  bool hasSums = products->weighsAtOnce() && staticKeys() == keyTile;
  Operation *anchor = single && hasSums ? stateAnchor() : op.getOperation();
  bool isAround = anchor != op;
  if (single) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(packAnchor());
    overBatch(0, [&] { products->pack(); });
    b.setInsertionPoint(anchor);
    if (isAround)
      overBatch(0, [&] { products->beginSums(); });
  }
  b.setInsertionPoint(op);
  overBatch(0, [&] {
    if (!single)
      products->pack();
    if (hasSums && !isAround)
      products->beginSums();
    tiles();
    if (hasSums && !isAround)
      products->endSums();
  });
  if (!isAround)
    return;
  b.setInsertionPointAfter(anchor);
  overBatch(0, [&] { products->endSums(); });
}

/// Asks for the rows of the first tiles, which no tile before them has asked
/// for, at once: while the queries are packed, memory is idle.
void PartialEmitter::askForFirst(scf::ForOp tiles) {
  Value start = index(0);
  // The key loop's operand: what the tiles are parts of.
  auto over = [&](Value memref, llvm::StringRef term, int64_t columns) {
    auto view = memref.getDefiningOp<memref::SubViewOp>();
    if (!view || !tiles.isDefinedOutsideOfLoop(view.getSource()))
      return;
    constexpr int64_t line = 64;
    Value whole = view.getSource();
    int64_t each =
        line * 8 / getElementTypeOrSelf(whole).getIntOrFloatBitWidth();
    loop(start, index(ahead), 1, {}, [&](Value key, ValueRange) {
      for (int64_t column = 0; column < columns; column += each)
        memref::PrefetchOp::create(b, whole,
                                   at(term, Value(), key, index(column)),
                                   /*isWrite=*/false, /*localityHint=*/2,
                                   /*isDataCache=*/true);
      return SmallVector<Value>();
    });
  };
  over(op.getKey(), roles.keyTerm, depth);
  if (!valueIsInKey())
    over(op.getValue(), roles.valueTerm, width);
}

void PartialEmitter::runMatrix(bool single) {
  matrix = std::make_unique<MatrixTile>(*this);
  Operation *anchor = single ? stateAnchor() : op.getOperation();
  bool isLoop = anchor != op, isNew = matrix->startsAnew(anchor);
  auto begin = [&] {
    if (isLoop && ahead)
      askForFirst(cast<scf::ForOp>(anchor));
    matrix->pack();
    matrix->enter(isNew);
  };
  if (anchor == op) {
    overBatch(0, [&] {
      begin();
      tiles();
      matrix->leave();
    });
    return;
  }
  b.setInsertionPoint(anchor);
  overBatch(0, begin);
  b.setInsertionPoint(op);
  overBatch(0, [&] { tiles(); });
  b.setInsertionPointAfter(anchor);
  overBatch(0, [&] { matrix->leave(); });
}

/// Where keys may be left out, each value is asked for itself: rows as they
/// lie, in f32.
std::unique_ptr<TileProducts> TileProducts::create(TileBuilder &tile) {
  ScheduleAttr schedule = tile.op.getScheduleAttr();
  bool plain = tile.mayExclude();
  bool pairs = schedule.getProducts() != Products::FMA && !plain;
  return schedule.getPacked() && !plain ? createPackedProducts(tile, pairs)
                                        : createRowProducts(tile, pairs);
}

LogicalResult einhead::lowerPartialAttention(RewriterBase &rewriter,
                                             PartialAttentionOp op) {
  rewriter.setInsertionPoint(op);
  if (failed(PartialEmitter(rewriter, op).run()))
    return failure();
  rewriter.eraseOp(op);
  return success();
}
