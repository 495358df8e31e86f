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

/// The `count` rows from `from` on, into the first ones of the stages.
void BlockAttention::bring(ArrayRef<const Stage *> stages, Value from,
                           Value count) {
  Value all;
  for (const Stage *stage : stages) {
    if (!stage->isAligned) {
      all = {};
      break;
    }
    all = all ? Value(arith::AndIOp::create(b, all, stage->isAligned))
              : stage->isAligned;
  }
  auto numbers = [&] {
    for (const Stage *stage : stages)
      bringNumbers(*stage, from, count);
  };
  if (!all)
    return numbers();
  auto choice = scf::IfOp::create(b, all, /*withElse=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  bringVectors(stages, from, count);
  b.setInsertionPointToStart(choice.elseBlock());
  numbers();
}

/// Past the last row it is that row again, so that no load needs a branch.
BlockAttention::Piece BlockAttention::loadPiece(const Stage &stage, Value item,
                                                Value from, Value count) {
  auto [key, column] = splitItem(b, item, stage.columns / stage.lanes);
  column = arith::MulIOp::create(b, column, index(stage.lanes));
  Value last = arith::SubIOp::create(b, count, index(1));
  Value there = arith::MinUIOp::create(b, key, last);
  Value row = rowOf(arith::AddIOp::create(b, from, there));
  Value numbers = vector::LoadOp::create(
      b, vectorOf(stage.element(), stage.lanes), stage.source,
      at(stage.term, index(0), row, column), /*nontemporal=*/false,
      llvm::MaybeAlign(ThreadBlock::alignment));
  return {&stage, item, key, column, numbers};
}

/// `isSure`: that there is such an item.
void BlockAttention::storePiece(const Piece &piece, bool isSure) {
  const Stage &stage = *piece.stage;
  auto body = [&] {
    vector::StoreOp::create(
        b, piece.numbers, stage.rows, ValueRange{piece.key, piece.column},
        /*nontemporal=*/false, llvm::MaybeAlign(ThreadBlock::alignment));
  };
  if (isSure)
    return body();
  int64_t items = keysAtOnce * (stage.columns / stage.lanes);
  ifThen(arith::CmpIOp::create(b, arith::CmpIPredicate::ult, piece.item,
                               index(items)),
         body);
}

/// Each thread asks for all of its pieces before it waits for the first.
void BlockAttention::bringVectors(ArrayRef<const Stage *> stages, Value from,
                                  Value count) {
  constexpr int64_t inFlight = 4; // 16 registers; several blocks do it at once
  SmallVector<Piece> pieces;
  for (const Stage *stage : stages) {
    int64_t items = keysAtOnce * (stage->columns / stage->lanes);
    auto load = [&](Value first, int64_t number) {
      SmallVector<Piece> loaded;
      for (int64_t i = 0; i < number; ++i)
        loaded.push_back(
            loadPiece(*stage, add(first, i * block.threads), from, count));
      return loaded;
    };
    int64_t each = llvm::divideCeil(items, block.threads);
    if (each <= inFlight) {
      llvm::append_range(pieces, load(block.self(), each));
      continue;
    }
    // In steps of what divides the work, so that none loads in vain.
    int64_t some = inFlight;
    for (int64_t few = inFlight + 2; few >= inFlight / 2; --few)
      if (items % (few * block.threads) == 0) {
        some = few;
        break;
      }
    bool isSure = items % (some * block.threads) == 0;
    loop(0, items, some * block.threads, [&](Value first) {
      first = arith::AddIOp::create(b, first, block.self());
      for (const Piece &piece : load(first, some))
        storePiece(piece, isSure);
    });
  }
  for (const Piece &piece : pieces) {
    int64_t items = keysAtOnce * (piece.stage->columns / piece.stage->lanes);
    storePiece(piece, items % block.threads == 0);
  }
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
