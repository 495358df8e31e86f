//===- BlockStages.cpp - Queries, keys and values for a block ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BlockAttention.h"
#include "VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

static_assert(ThreadBlock::alignment == 16, "the largest access of a thread");

/// Whether each row of K or V starts at a multiple of one access: asked of the
/// call's addresses, since no type says it.  Null where it cannot be.
Value BlockAttention::alignmentOf(const Stage &stage) {
  auto type = cast<MemRefType>(stage.source.getType());
  if (!type.isLastDimUnitStride() || stage.columns != stage.padded)
    return {};
  auto metadata = memref::ExtractStridedMetadataOp::create(b, stage.source);
  int64_t bytes = stage.element().getIntOrFloatBitWidth() / 8;
  // Byte sizes are powers of two, and so is the alignment.
  Value elements = metadata.getOffset();
  for (auto [stride, extent] :
       llvm::zip(llvm::drop_end(metadata.getStrides()), type.getShape()))
    if (extent != 1)
      elements = arith::OrIOp::create(b, elements, stride);
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(
      b, metadata.getBaseBuffer());
  Value all = arith::OrIOp::create(
      b, address, arith::MulIOp::create(b, elements, index(bytes)));
  Value rest = arith::AndIOp::create(b, all, index(ThreadBlock::alignment - 1));
  return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, rest, index(0));
}

void BlockAttention::bringQueries() {
  block.share(b, blockRows * keys.padded, [&](Value item) {
    auto [row, column] = splitItem(b, item, keys.padded);
    auto number = [&] {
      return toF32(b, load(op.getQuery(),
                           at(roles.queryTerm, global(row), Value(), column)));
    };
    if (keys.padded == depth)
      return store(number(), queries, {row, column});
    store(splat(b, b.getF32Type(), 0.0), queries, {row, column});
    Value exists = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, column,
                                         index(depth));
    ifThen(exists, [&] { store(number(), queries, {row, column}); });
  });
}

/// The `count` rows from `from` on, into the first ones of the stage.
void BlockAttention::bring(const Stage &stage, Value from, Value count) {
  if (!stage.isAligned)
    return bringNumbers(stage, from, count);
  auto choice = scf::IfOp::create(b, stage.isAligned, /*withElse=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  bringVectors(stage, from, count);
  b.setInsertionPointToStart(choice.elseBlock());
  bringNumbers(stage, from, count);
}

void BlockAttention::bringVectors(const Stage &stage, Value from, Value count) {
  int64_t each = stage.columns / stage.lanes;
  VectorType type = vectorOf(stage.element(), stage.lanes);
  llvm::MaybeAlign alignment(ThreadBlock::alignment);
  Value items = arith::MulIOp::create(b, count, index(each));
  block.share(b, items, [&](Value item) {
    auto [key, column] = splitItem(b, item, each);
    column = arith::MulIOp::create(b, column, index(stage.lanes));
    Value numbers = vector::LoadOp::create(
        b, type, stage.source,
        at(stage.term, index(0), rowOf(arith::AddIOp::create(b, from, key)),
           column),
        /*nontemporal=*/false, alignment);
    vector::StoreOp::create(b, numbers, stage.rows, ValueRange{key, column},
                            /*nontemporal=*/false, alignment);
  });
}

/// Columns past the last one are zeros: products take them, too.
void BlockAttention::bringNumbers(const Stage &stage, Value from, Value count) {
  Value items = arith::MulIOp::create(b, count, index(stage.padded));
  block.share(b, items, [&](Value item) {
    auto [key, column] = splitItem(b, item, stage.padded);
    auto copy = [&, key = key, column = column] {
      Value row = rowOf(arith::AddIOp::create(b, from, key));
      store(load(stage.source, at(stage.term, index(0), row, column)),
            stage.rows, {key, column});
    };
    if (stage.padded == stage.columns)
      return copy();
    store(splat(b, stage.element(), 0.0), stage.rows, {key, column});
    Value exists = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, column,
                                         index(stage.columns));
    ifThen(exists, copy);
  });
}
