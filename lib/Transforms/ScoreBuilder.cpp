//===- ScoreBuilder.cpp - What a score's letters and numbers are ----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ScoreBuilder.h"
#include "VectorMath.h"
#include "einhead/IR/Mask.h"
#include "einhead/IR/Tile.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

LogicalResult ScoreBuilder::check() {
  if (!op.getScheduleAttr())
    return op.emitOpError("has no schedule; run --attn-schedule first");
  if (op.getChunk())
    return op.emitOpError("is chunked; run --attn-tile-decode first");
  if (hasKeyList(like) && !op.getKeyCount())
    return op.emitOpError("has blocks but no count; run --attn-tile-decode "
                          "first");
  return success();
}

void ScoreBuilder::measure() {
  keyTile = op.getScheduleAttr().getKeyTile();
  isList = hasKeyList(like);
  depth = extent(roles.depth.front());
  width = extent(roles.value.front());
  std::string dynamicRows, staticRows;
  for (char letter : roles.row)
    (ShapedType::isDynamic(extent(letter)) ? dynamicRows : staticRows)
        .push_back(letter);
  roles.batch += dynamicRows;
  roles.row = staticRows;
  for (char letter : roles.row)
    rows *= extent(letter);
}

void ScoreBuilder::overBatch(size_t letter, llvm::function_ref<void()> body) {
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

Value ScoreBuilder::keyCount() {
  return isList ? op.getKeyCount() : keyExtent();
}

//===----------------------------------------------------------------------===//
// Lists of keys
//===----------------------------------------------------------------------===//

Value ScoreBuilder::listedKey(Value position) {
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

/// A number outside of K has the row that is nearest; its score does not count.
void ScoreBuilder::listKey(Value start, Value i) {
  Value offset = offsetOf(like, roles.key.front());
  Value last = arith::SubIOp::create(b, keyExtent(), index(1));
  Value position = add(start, i);
  Value key = listedKey(offset ? add(offset, position) : position);
  memref::StoreOp::create(b, key, listed, i);
  Value row = arith::MaxSIOp::create(b, key, index(0));
  row = arith::MinSIOp::create(b, row, last);
  memref::StoreOp::create(b, row, listedRows, i);
}

//===----------------------------------------------------------------------===//
// One score
//===----------------------------------------------------------------------===//

Value ScoreBuilder::absolute(char letter, Value row, Value key) {
  if (letter == roles.key.front() && isList)
    return memref::LoadOp::create(
        b, listed, ValueRange{arith::SubIOp::create(b, key, keyBase)});
  Value i = at(llvm::StringRef(&letter, 1), row, key, Value()).front();
  Value offset = offsetOf(like, letter);
  return offset ? add(offset, i) : i;
}

Value ScoreBuilder::isLive(Value row, Value key) {
  Value live;
  auto both = [&](Value more) {
    live = live ? Value(arith::AndIOp::create(b, live, more)) : more;
  };
  // Unsigned: a negative number is none of K's.
  if (isList)
    both(arith::CmpIOp::create(b, arith::CmpIPredicate::ult,
                               absolute(roles.key.front(), row, key),
                               keyExtent()));
  if (Value valid = op.getValid()) {
    if (!valid.getType().isIndex()) {
      valid = memref::LoadOp::create(
          b, valid, batchIndex.lookup(roles.queryTerm.front()));
      valid = arith::IndexCastOp::create(b, b.getIndexType(), valid);
    }
    both(arith::CmpIOp::create(b, arith::CmpIPredicate::slt,
                               absolute(roles.key.front(), row, key), valid));
  }
  if (std::optional<MaskAttr> mask = op.getMask()) {
    SmallVector<Value> dims;
    llvm::StringRef letters = mask->getLetters();
    for (char letter : letters)
      dims.push_back(absolute(letter, row, key));
    both(buildMaskTest(b, b.getLoc(), *mask, dims, op.getMaskSymbols()));
  }
  return live;
}

Value ScoreBuilder::shapedScore(Value score, double factor, Value row,
                                Value key) {
  Type f32 = b.getF32Type();
  Value log2e = splat(b, f32, 1.4426950408889634);
  if (!scoreOf(like))
    factor *= 1.4426950408889634;
  score = arith::MulFOp::create(b, score, splat(b, f32, factor));
  if (Block *region = scoreOf(like)) {
    IRMapping mapping;
    mapping.map(region->getArgument(0), score);
    for (auto [i, letter] : llvm::enumerate(roles.scores()))
      mapping.map(region->getArgument(i + 1), absolute(letter, row, key));
    for (Operation &inner : region->without_terminator())
      b.clone(inner, mapping);
    score = mapping.lookupOrDefault(
        cast<YieldOp>(region->getTerminator()).getScore());
    score = arith::MulFOp::create(b, score, log2e);
  }
  if (op.getBias()) {
    Value bias = memref::LoadOp::create(
        b, op.getBias(), at(*op.getBiasLetters(), row, rowOf(key), Value()));
    if (!bias.getType().isF32())
      bias = arith::ExtFOp::create(b, f32, bias);
    bias = arith::MulFOp::create(b, bias, log2e);
    score = arith::AddFOp::create(b, score, bias);
  }
  return score;
}

bool ScoreBuilder::namesRow(llvm::StringRef letters) {
  return llvm::any_of(
      letters, [&](char letter) { return indexOf(roles.row, letter) >= 0; });
}
