//===- PartialToVector.cpp - Register tiles of a partial attention --------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PartialToVector.h"
#include "PartialEmitter.h"
#include "VectorMath.h"
#include "einhead/IR/Tile.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

Block *einhead::scratchBlock(Operation *op) {
  if (auto forall = op->getParentOfType<scf::ForallOp>())
    return forall.getBody();
  return &op->getParentOfType<func::FuncOp>().getBody().front();
}

//===----------------------------------------------------------------------===//
// Building blocks
//===----------------------------------------------------------------------===//

int64_t PartialEmitter::rowBlock(int64_t left) const {
  int64_t block = 1;
  while (block * 2 <= left && block * block * 4 <= lanes)
    block *= 2;
  return block;
}

scf::ForOp PartialEmitter::loop(
    Value from, Value to, int64_t step, ValueRange carried,
    llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  return scf::ForOp::create(
      b, from, to, index(step), carried,
      [&](OpBuilder &inner, Location, Value i, ValueRange values) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPoint(inner.getInsertionBlock(),
                            inner.getInsertionPoint());
        scf::YieldOp::create(b, body(i, values));
      });
}

void PartialEmitter::loop(int64_t from, int64_t to, int64_t step,
                          llvm::function_ref<void(Value)> body) {
  if (from + step >= to) {
    if (from < to)
      body(index(from));
    return;
  }
  loop(index(from), index(to), step, {}, [&](Value i, ValueRange) {
    body(i);
    return SmallVector<Value>();
  });
}

Value PartialEmitter::scratch(ArrayRef<int64_t> shape, Type element) {
  OpBuilder::InsertionGuard guard(b);
  Block *block = scratchBlock(op);
  b.setInsertionPointToStart(block);
  return memref::AllocaOp::create(b, MemRefType::get(shape, element),
                                  b.getI64IntegerAttr(64));
}

SmallVector<Value> PartialEmitter::at(llvm::StringRef term, Value row,
                                      Value key, Value column) {
  SmallVector<Value> indices;
  for (char letter : term) {
    if (indexOf(roles.key, letter) >= 0) {
      indices.push_back(key);
    } else if (indexOf(roles.depth + roles.value, letter) >= 0) {
      indices.push_back(column);
    } else if (int64_t place = indexOf(roles.row, letter); place >= 0) {
      // Rows count with the last row letter fastest.
      int64_t inner = 1;
      for (char later : llvm::StringRef(roles.row).drop_front(place + 1))
        inner *= extent(later);
      Value i = row;
      if (inner > 1)
        i = arith::DivUIOp::create(b, i, index(inner));
      if (inner * extent(letter) < rows)
        i = arith::RemUIOp::create(b, i, index(extent(letter)));
      indices.push_back(i);
    } else {
      indices.push_back(batchIndex.lookup(letter));
    }
  }
  return indices;
}

Value PartialEmitter::loadVector(Value memref, ValueRange indices,
                                 int64_t count) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  VectorType type = vectorOf(element, lanes);
  Value vector;
  if (count >= lanes) {
    vector = vector::LoadOp::create(b, type, memref, indices);
  } else {
    Value mask = vector::ConstantMaskOp::create(
        b, vectorOf(b.getI1Type(), lanes), ArrayRef<int64_t>{count});
    vector = vector::MaskedLoadOp::create(b, type, memref, indices, mask,
                                          splat(b, type, 0.0));
  }
  if (!element.isF32())
    vector = arith::ExtFOp::create(b, vectorOf(b.getF32Type(), lanes), vector);
  return vector;
}

void PartialEmitter::storeVector(Value vector, Value memref, ValueRange indices,
                                 int64_t count) {
  if (count >= lanes) {
    vector::StoreOp::create(b, vector, memref, indices);
    return;
  }
  Value mask = vector::ConstantMaskOp::create(b, vectorOf(b.getI1Type(), lanes),
                                              ArrayRef<int64_t>{count});
  vector::MaskedStoreOp::create(b, memref, indices, mask, vector);
}

void PartialEmitter::overRowBlocks(
    llvm::function_ref<void(Value, int64_t, bool)> body) {
  int64_t done = rowBlock(rows);
  body(index(0), done, /*first=*/true);
  while (done < rows) {
    int64_t block = rowBlock(rows - done);
    int64_t end = done + (rows - done) / block * block;
    loop(done, end, block, [&](Value row) { body(row, block, false); });
    done = end;
  }
}

void PartialEmitter::prefetch(Value memref, ValueRange indices) {
  // Into the second cache: the first is full with the tile at hand.
  memref::PrefetchOp::create(b, memref, indices, /*isWrite=*/false,
                             /*localityHint=*/2, /*isDataCache=*/true);
}

int64_t PartialEmitter::vectorsInLine(Value memref) const {
  int64_t bits = getElementTypeOrSelf(memref).getIntOrFloatBitWidth();
  return std::max<int64_t>(1, 64 * 8 / (bits * lanes));
}

//===----------------------------------------------------------------------===//
// Pack
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

void PartialEmitter::pack() {
  Type f32 = b.getF32Type();
  double factor = op.getScale().convertToDouble();
  if (!scoreOf(like)) // which takes scores in units of e
    factor *= 1.4426950408889634;
  Value scale = splat(b, f32, factor);
  loop(0, rows, 1, [&](Value row) {
    loop(0, depth, 1, [&](Value column) {
      Value value = memref::LoadOp::create(
          b, op.getQuery(), at(roles.queryTerm, row, Value(), column));
      if (!value.getType().isF32())
        value = arith::ExtFOp::create(b, f32, value);
      memref::StoreOp::create(b, arith::MulFOp::create(b, value, scale), q,
                              ValueRange{row, column});
    });
    loop(depth, paddedDepth(), 1, [&](Value column) {
      memref::StoreOp::create(b, splat(b, f32, 0.0), q,
                              ValueRange{row, column});
    });
  });
}

//===----------------------------------------------------------------------===//
// Lists of keys
//===----------------------------------------------------------------------===//

Value PartialEmitter::keyExtent() {
  int64_t dimension = indexOf(roles.keyTerm, roles.key.front());
  return memref::DimOp::create(b, op.getKey(), dimension);
}

/// Key `position` of the list.
Value PartialEmitter::listedKey(Value position) {
  if (std::optional<AffineMap> map = op.getKeyMap()) {
    SmallVector<Value> operands(op.getKeySymbols());
    return affine::expandAffineExpr(b, b.getLoc(), map->getResult(0), position,
                                    operands);
  }
  int64_t size = *op.getBlockSize();
  SmallVector<Value> indices = at(*op.getBlockLetters(), index(0), {}, {});
  indices.push_back(arith::DivUIOp::create(b, position, index(size)));
  Value block = memref::LoadOp::create(b, op.getBlocks(), indices);
  block = arith::IndexCastOp::create(b, b.getIndexType(), block);
  Value inBlock = arith::RemUIOp::create(b, position, index(size));
  return add(arith::MulIOp::create(b, block, index(size)), inBlock);
}

/// Numbers and rows of the tile's keys.  A number outside of K has the row that
/// is nearest; its score does not count.
void PartialEmitter::list(Value start, Value count) {
  Value offset = offsetOf(like, roles.key.front());
  Value last = arith::SubIOp::create(b, keyExtent(), index(1));
  loop(index(0), count, 1, {}, [&](Value i, ValueRange) {
    Value position = add(start, i);
    Value key = listedKey(offset ? add(offset, position) : position);
    memref::StoreOp::create(b, key, listed, i);
    Value row = arith::MaxSIOp::create(b, key, index(0));
    row = arith::MinSIOp::create(b, row, last);
    memref::StoreOp::create(b, row, listedRows, i);
    return SmallVector<Value>();
  });
}

Value PartialEmitter::rowOf(Value key) {
  if (!isList)
    return key;
  Value position = arith::SubIOp::create(b, key, keyBase);
  return memref::LoadOp::create(b, listedRows, position);
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

void PartialEmitter::tile(Value start, Value count, bool full) {
  keyBase = start;
  if (isList)
    list(start, count);
  scores(start, count, full);
  shapeScores(start, count);
  weights(count, full);
  values(start, count);
}

void PartialEmitter::tiles() {
  llvm::APInt constant;
  int64_t keys = extent(roles.key.front());
  if (isList)
    keys = matchPattern(op.getKeyCount(), m_ConstantInt(&constant))
               ? constant.getSExtValue()
               : ShapedType::kDynamic;
  if (keys == keyTile) {
    tile(index(0), index(keyTile), /*full=*/true);
    return;
  }
  Value count = isList ? op.getKeyCount() : keyExtent();
  loop(index(0), count, keyTile, {}, [&](Value start, ValueRange) {
    Value left = arith::SubIOp::create(b, count, start);
    tile(start, arith::MinSIOp::create(b, left, index(keyTile)),
         /*full=*/false);
    return SmallVector<Value>();
  });
}

void PartialEmitter::overBatch(size_t letter, llvm::function_ref<void()> body) {
  // Dynamic row letters are walked like batch letters: one row at a time.
  if (letter == roles.batch.size())
    return body();
  char name = roles.batch[letter];
  auto inner = [&](Value i) {
    batchIndex[name] = i;
    overBatch(letter + 1, body);
  };
  int64_t size = extent(name);
  if (!ShapedType::isDynamic(size)) {
    loop(0, size, 1, inner);
    return;
  }
  auto [operand, term] = indexOf(roles.queryTerm, name) >= 0
                             ? std::pair(op.getQuery(), roles.queryTerm)
                             : std::pair(op.getKey(), roles.keyTerm);
  Value count = memref::DimOp::create(b, operand, indexOf(term, name));
  loop(index(0), count, 1, {}, [&](Value i, ValueRange) {
    inner(i);
    return SmallVector<Value>();
  });
}

LogicalResult PartialEmitter::run() {
  if (!op.getScheduleAttr())
    return op.emitOpError("has no schedule; run --attn-schedule first");
  if (op.getChunk())
    return op.emitOpError("is chunked; run --attn-tile-decode first");
  lanes = op.getScheduleAttr().getLanes();
  keyTile = op.getScheduleAttr().getKeyTile();
  isList = hasKeyList(like);
  if (isList && !op.getKeyCount())
    return op.emitOpError("has blocks but no count; run --attn-tile-decode "
                          "first");
  // The keys of a list are not in a row: what comes next is not known here.
  ahead = isList ? 0 : op.getScheduleAttr().getPrefetch();
  depth = extent(roles.depth.front());
  width = extent(roles.value.front());
  std::string dynamicRows, staticRows;
  for (char letter : roles.row)
    (ShapedType::isDynamic(extent(letter)) ? dynamicRows : staticRows)
        .push_back(letter);
  roles.batch += dynamicRows;
  roles.row = staticRows;
  bool single = dynamicRows.empty();
  for (char letter : roles.row)
    rows *= extent(letter);
  for (char letter : roles.batch)
    single &= extent(letter) == 1;
  q = scratch({rows, paddedDepth()}, b.getF32Type());
  s = scratch({rows, keyTile}, b.getF32Type());
  if (isList) {
    listed = scratch({keyTile}, b.getIndexType());
    listedRows = scratch({keyTile}, b.getIndexType());
  }
  if (single) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(packAnchor());
    overBatch(0, [&] { pack(); });
  }
  b.setInsertionPoint(op);
  overBatch(0, [&] {
    if (!single)
      pack();
    tiles();
  });
  return success();
}

LogicalResult einhead::lowerPartialAttention(RewriterBase &rewriter,
                                             PartialAttentionOp op) {
  rewriter.setInsertionPoint(op);
  if (failed(PartialEmitter(rewriter, op).run()))
    return failure();
  rewriter.eraseOp(op);
  return success();
}
