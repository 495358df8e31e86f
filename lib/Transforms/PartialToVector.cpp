//===- PartialToVector.cpp - Register tiles of a partial attention ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// One tile: R rows (static) by up to KT keys.
//
//   pack     Q rows into q[R][D'], f32, times scale * log2(e), zero-padded to
//            whole vectors; before the key loop
//   scores   s[R][KT] = q . K: register blocks of MR rows x NK keys, MR * NK
//            accumulators of L lanes, whose lane sums are one vector
//   shape    s += log2(e) * bias; s = -inf where the mask or `valid` says so
//   weights  by row: new max, s = exp2(s - max), rescale of sum and accumulator
//   values   acc[R][V] += s . V: blocks of MR rows x NZ vectors of columns
//
// Each K row and each V row is loaded once for a block of MR rows, and the tile
// stays in the first cache for the other blocks.

#include "PartialToVector.h"
#include "VectorMath.h"
#include "einhead/IR/Mask.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

Block *einhead::scratchBlock(Operation *op) {
  if (auto forall = op->getParentOfType<scf::ForallOp>())
    return forall.getBody();
  return &op->getParentOfType<func::FuncOp>().getBody().front();
}

namespace {
class PartialEmitter {
public:
  PartialEmitter(RewriterBase &rewriter, PartialAttentionOp op)
      : b(op.getLoc(), rewriter), op(op),
        like(cast<AttentionLike>(op.getOperation())), roles(rolesOf(like)) {}

  LogicalResult run();

private:
  // Geometry.
  int64_t extent(char letter) const { return staticExtent(like, letter); }
  int64_t paddedDepth() const { return llvm::alignTo(depth, lanes); }
  /// Rows of a register block: the largest power of two up to `left` that
  /// leaves room for at least as many keys.
  int64_t rowBlock(int64_t left) const;

  // Building blocks.
  Value index(int64_t value) { return arith::ConstantIndexOp::create(b, value); }
  Value add(Value a, Value x) { return arith::AddIOp::create(b, a, x); }
  Value add(Value a, int64_t x) { return x ? add(a, index(x)) : a; }
  scf::ForOp loop(Value from, Value to, int64_t step, ValueRange carried,
                  llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body);
  void loop(int64_t from, int64_t to, int64_t step,
            llvm::function_ref<void(Value)> body);
  VectorType vectorOf(Type element, int64_t count) {
    return VectorType::get({count}, element);
  }
  Value scratch(ArrayRef<int64_t> shape);
  /// Indices into a tensor over `term`: the batch letters' current indices,
  /// row `row`, and the given key and column.
  SmallVector<Value> at(llvm::StringRef term, Value row, Value key,
                        Value column);
  /// `lanes` elements of `memref` as f32; those from `count` on are 0.
  Value loadVector(Value memref, ValueRange indices, int64_t count);
  void storeVector(Value vector, Value memref, ValueRange indices,
                   int64_t count);

  // The stages.
  Operation *packAnchor();
  void pack();
  void overBatch(size_t letter, llvm::function_ref<void()> body);
  void tiles();
  void tile(Value start, Value count, bool full);
  void scores(Value start, Value count, bool full);
  void scoreBlock(Value row, int64_t rows, Value start, Value count, bool full,
                  bool fetch);
  void shapeScores(Value start, Value count);
  Value isLive(Value row, Value key);
  void weights(Value count, bool full);
  void rescale(Value row, Value factor);
  void values(Value start, Value count);
  void valueBlock(Value row, int64_t rows, Value start, Value count,
                  Value column, int64_t vectors, int64_t lastCount, bool fetch);
  /// Calls `body(row, rows, first)` for register blocks that cover all rows; the
  /// first block is the one that brings the tile in.
  void overRowBlocks(llvm::function_ref<void(Value, int64_t, bool)> body);
  void prefetch(Value memref, ValueRange indices);
  /// How many vectors of `memref` share a cache line of 64 bytes.
  int64_t vectorsInLine(Value memref) const;

  ImplicitLocOpBuilder b;
  PartialAttentionOp op;
  AttentionLike like;
  AttentionRoles roles;
  int64_t lanes = 0, depth = 0, width = 0, keyTile = 0, rows = 1, ahead = 0;
  Value q, s, keyBase;
  llvm::DenseMap<char, Value> batchIndex;
};
} // namespace

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
        b.setInsertionPoint(inner.getInsertionBlock(), inner.getInsertionPoint());
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

Value PartialEmitter::scratch(ArrayRef<int64_t> shape) {
  OpBuilder::InsertionGuard guard(b);
  Block *block = scratchBlock(op);
  b.setInsertionPointToStart(block);
  return memref::AllocaOp::create(b, MemRefType::get(shape, b.getF32Type()),
                                  b.getI64IntegerAttr(64));
}

SmallVector<Value> PartialEmitter::at(llvm::StringRef term, Value row, Value key,
                                      Value column) {
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
  Value mask = vector::ConstantMaskOp::create(
      b, vectorOf(b.getI1Type(), lanes), ArrayRef<int64_t>{count});
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
  double factor = op.getScale().convertToDouble() * 1.4426950408889634;
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
      memref::StoreOp::create(b, splat(b, f32, 0.0), q, ValueRange{row, column});
    });
  });
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

void PartialEmitter::scores(Value start, Value count, bool full) {
  overRowBlocks([&](Value row, int64_t block, bool first) {
    int64_t keys = lanes / block;
    loop(index(0), count, keys, {}, [&](Value key, ValueRange) {
      scoreBlock(row, block, add(start, key), add(start, count), full,
                 first && ahead);
      return SmallVector<Value>();
    });
  });
}

void PartialEmitter::scoreBlock(Value row, int64_t block, Value key, Value end,
                                bool full, bool fetch) {
  int64_t keys = lanes / block;
  VectorType type = vectorOf(b.getF32Type(), lanes);
  SmallVector<Value> keyRows;
  Value last = full ? Value() : arith::SubIOp::create(b, end, index(1));
  for (int64_t k = 0; k < keys; ++k) {
    Value at = add(key, k);
    // Past the end the last key is read again; its score is discarded.
    keyRows.push_back(full ? at : arith::MinUIOp::create(b, at, last));
  }
  // Lines of the keys `ahead`, a few with each step, so that memory is asked at
  // an even pace: where vectors share a line, the steps take turns on the rows.
  int64_t shared = vectorsInLine(op.getKey());
  auto fetchAhead = [&](Value column) {
    Value turn = arith::RemUIOp::create(
        b, arith::DivUIOp::create(b, column, index(lanes)), index(shared));
    Value line = arith::SubIOp::create(
        b, column, arith::MulIOp::create(b, turn, index(lanes)));
    for (int64_t k = 0; k < keys; k += shared) {
      Value keyRow = add(add(key, k + ahead), turn);
      prefetch(op.getKey(), at(roles.keyTerm, Value(), keyRow, line));
    }
  };
  auto step = [&](Value column, ValueRange sums, int64_t valid) {
    SmallVector<Value> next(sums), loaded;
    if (fetch)
      fetchAhead(column);
    for (Value keyRow : keyRows)
      loaded.push_back(loadVector(
          op.getKey(), at(roles.keyTerm, Value(), keyRow, column), valid));
    for (int64_t r = 0; r < block; ++r) {
      Value query = vector::LoadOp::create(b, type, q,
                                           ValueRange{add(row, r), column});
      for (int64_t k = 0; k < keys; ++k) {
        Value &sum = next[r * keys + k];
        sum = vector::FMAOp::create(b, query, loaded[k], sum);
      }
    }
    return next;
  };
  SmallVector<Value> sums(lanes, splat(b, type, 0.0));
  int64_t whole = depth / lanes * lanes;
  if (whole)
    sums = llvm::to_vector(
        ValueRange(loop(index(0), index(whole), lanes, sums,
                        [&](Value column, ValueRange carried) {
                          return step(column, carried, lanes);
                        })
                       .getResults()));
  if (whole < depth)
    sums = step(index(whole), sums, depth - whole);
  Value score = buildLaneSums(b, sums);
  Value base = arith::SubIOp::create(b, key, keyBase);
  for (int64_t r = 0; r < block; ++r) {
    Value part = vector::ExtractStridedSliceOp::create(
        b, score, ArrayRef<int64_t>{r * keys}, ArrayRef<int64_t>{keys},
        ArrayRef<int64_t>{1});
    vector::StoreOp::create(b, part, s, ValueRange{add(row, r), base});
  }
}

//===----------------------------------------------------------------------===//
// Bias, mask, valid
//===----------------------------------------------------------------------===//

Value PartialEmitter::isLive(Value row, Value key) {
  auto absolute = [&](char letter) -> Value {
    Value i = at(llvm::StringRef(&letter, 1), row, key, Value()).front();
    Value offset = offsetOf(like, letter);
    return offset ? add(offset, i) : i;
  };
  Value live;
  if (Value valid = op.getValid()) {
    if (!valid.getType().isIndex()) {
      valid = memref::LoadOp::create(
          b, valid, batchIndex.lookup(roles.queryTerm.front()));
      valid = arith::IndexCastOp::create(b, b.getIndexType(), valid);
    }
    live = arith::CmpIOp::create(b, arith::CmpIPredicate::slt,
                                 absolute(roles.key.front()), valid);
  }
  if (std::optional<MaskAttr> mask = op.getMask()) {
    SmallVector<Value> dims;
    llvm::StringRef letters = mask->getLetters();
    for (char letter : letters)
      dims.push_back(absolute(letter));
    Value inside =
        buildMaskTest(b, b.getLoc(), *mask, dims, op.getMaskSymbols());
    live = live ? Value(arith::AndIOp::create(b, live, inside)) : inside;
  }
  return live;
}

void PartialEmitter::shapeScores(Value start, Value count) {
  if (!op.getBias() && !op.getMask() && !op.getValid())
    return;
  Type f32 = b.getF32Type();
  loop(0, rows, 1, [&](Value row) {
    loop(index(0), count, 1, {}, [&](Value i, ValueRange) {
      Value key = add(start, i);
      Value score = memref::LoadOp::create(b, s, ValueRange{row, i});
      if (op.getBias()) {
        Value bias = memref::LoadOp::create(
            b, op.getBias(), at(*op.getBiasLetters(), row, key, Value()));
        if (!bias.getType().isF32())
          bias = arith::ExtFOp::create(b, f32, bias);
        bias = arith::MulFOp::create(b, bias, splat(b, f32, 1.4426950408889634));
        score = arith::AddFOp::create(b, score, bias);
      }
      if (Value live = isLive(row, key))
        score = arith::SelectOp::create(
            b, live, score,
            splat(b, f32, -std::numeric_limits<double>::infinity()));
      memref::StoreOp::create(b, score, s, ValueRange{row, i});
      return SmallVector<Value>();
    });
  });
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

void PartialEmitter::rescale(Value row, Value factor) {
  VectorType type = vectorOf(b.getF32Type(), lanes);
  Value factors = vector::BroadcastOp::create(b, type, factor);
  auto scaleAt = [&](Value column, int64_t count) {
    auto indices = at(roles.outputTerm, row, Value(), column);
    Value value = loadVector(op.getAccumulator(), indices, count);
    storeVector(arith::MulFOp::create(b, value, factors), op.getAccumulator(),
                indices, count);
  };
  int64_t whole = width / lanes * lanes;
  loop(0, whole, lanes, [&](Value column) { scaleAt(column, lanes); });
  if (whole < width)
    scaleAt(index(whole), width - whole);
  auto indices = at(roles.state(), row, Value(), Value());
  Value sum = memref::LoadOp::create(b, op.getSum(), indices);
  memref::StoreOp::create(b, arith::MulFOp::create(b, sum, factor), op.getSum(),
                          indices);
}

void PartialEmitter::weights(Value count, bool full) {
  Type f32 = b.getF32Type();
  VectorType type = vectorOf(f32, lanes);
  const double infinity = std::numeric_limits<double>::infinity();
  loop(0, rows, 1, [&](Value row) {
    SmallVector<Value> scores;
    Value largest = splat(b, type, -infinity);
    for (int64_t key = 0; key < keyTile; key += lanes) {
      Value score =
          vector::LoadOp::create(b, type, s, ValueRange{row, index(key)});
      if (!full) {
        Value left = arith::SubIOp::create(b, count, index(key));
        Value zero = index(0);
        left = arith::MaxSIOp::create(b, left, zero);
        Value exists = vector::CreateMaskOp::create(
            b, vectorOf(b.getI1Type(), lanes), ValueRange{left});
        score = arith::SelectOp::create(b, exists, score,
                                        splat(b, type, -infinity));
      }
      scores.push_back(score);
      largest = buildMax(b, largest, score);
    }
    auto indices = at(roles.state(), row, Value(), Value());
    Value before = memref::LoadOp::create(b, op.getMax(), indices);
    Value tileMax = vector::ReductionOp::create(b, vector::CombiningKind::MAXNUMF,
                                                largest);
    Value grows =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, tileMax, before);
    scf::IfOp::create(b, grows, [&](OpBuilder &inner, Location) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(inner.getInsertionBlock(), inner.getInsertionPoint());
      memref::StoreOp::create(b, tileMax, op.getMax(), indices);
      rescale(row, buildExp2(b, arith::SubFOp::create(b, before, tileMax)));
      scf::YieldOp::create(b);
    });
    // A row that no key has reached keeps -inf; 0 stands in for it, so that
    // its weights are exp2(-inf) = 0.
    Value max = arith::SelectOp::create(b, grows, tileMax, before);
    Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, max,
                                       splat(b, f32, -infinity));
    max = arith::SelectOp::create(b, none, splat(b, f32, 0.0), max);
    Value maxes = vector::BroadcastOp::create(b, type, max);
    Value total = splat(b, type, 0.0);
    for (auto [i, score] : llvm::enumerate(scores)) {
      Value weight = buildExp2(b, arith::SubFOp::create(b, score, maxes));
      total = arith::AddFOp::create(b, total, weight);
      vector::StoreOp::create(b, weight, s,
                              ValueRange{row, index(i * lanes)});
    }
    Value sum = memref::LoadOp::create(b, op.getSum(), indices);
    Value added =
        vector::ReductionOp::create(b, vector::CombiningKind::ADD, total);
    memref::StoreOp::create(b, arith::AddFOp::create(b, sum, added), op.getSum(),
                            indices);
  });
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

void PartialEmitter::valueBlock(Value row, int64_t block, Value start,
                                Value count, Value column, int64_t vectors,
                                int64_t lastCount, bool fetch) {
  auto columnAt = [&](int64_t z) { return add(column, z * lanes); };
  auto countAt = [&](int64_t z) { return z + 1 < vectors ? lanes : lastCount; };
  SmallVector<Value> sums;
  for (int64_t r = 0; r < block; ++r)
    for (int64_t z = 0; z < vectors; ++z)
      sums.push_back(loadVector(
          op.getAccumulator(),
          at(roles.outputTerm, add(row, r), Value(), columnAt(z)), countAt(z)));
  auto keys = loop(index(0), count, 1, sums, [&](Value key, ValueRange carried) {
    SmallVector<Value> next(carried), loaded;
    for (int64_t z = 0; fetch && z < vectors; z += vectorsInLine(op.getValue()))
      prefetch(op.getValue(), at(roles.valueTerm, Value(),
                                 add(add(start, key), ahead), columnAt(z)));
    for (int64_t z = 0; z < vectors; ++z)
      loaded.push_back(loadVector(
          op.getValue(),
          at(roles.valueTerm, Value(), add(start, key), columnAt(z)),
          countAt(z)));
    for (int64_t r = 0; r < block; ++r) {
      Value weight = memref::LoadOp::create(b, s, ValueRange{add(row, r), key});
      Value weights = vector::BroadcastOp::create(
          b, vectorOf(b.getF32Type(), lanes), weight);
      for (int64_t z = 0; z < vectors; ++z) {
        Value &sum = next[r * vectors + z];
        sum = vector::FMAOp::create(b, weights, loaded[z], sum);
      }
    }
    return next;
  });
  for (int64_t r = 0; r < block; ++r)
    for (int64_t z = 0; z < vectors; ++z)
      storeVector(keys.getResult(r * vectors + z), op.getAccumulator(),
                  at(roles.outputTerm, add(row, r), Value(), columnAt(z)),
                  countAt(z));
}

void PartialEmitter::values(Value start, Value count) {
  overRowBlocks([&](Value row, int64_t block, bool first) {
    bool fetch = first && ahead;
    int64_t vectors = std::min<int64_t>(lanes / block, 8);
    int64_t chunk = vectors * lanes, whole = width / chunk * chunk;
    loop(0, whole, chunk, [&](Value column) {
      valueBlock(row, block, start, count, column, vectors, lanes,
                 fetch);
    });
    if (whole == width)
      return;
    int64_t left = llvm::divideCeil(width - whole, lanes);
    valueBlock(row, block, start, count, index(whole), left,
               width - whole - (left - 1) * lanes, fetch);
  });
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

void PartialEmitter::tile(Value start, Value count, bool full) {
  keyBase = start;
  scores(start, count, full);
  shapeScores(start, count);
  weights(count, full);
  values(start, count);
}

void PartialEmitter::tiles() {
  int64_t keys = extent(roles.key.front());
  if (keys == keyTile) {
    tile(index(0), index(keyTile), /*full=*/true);
    return;
  }
  int64_t dimension = indexOf(roles.keyTerm, roles.key.front());
  Value count = memref::DimOp::create(b, op.getKey(), dimension);
  loop(index(0), count, keyTile, {}, [&](Value start, ValueRange) {
    Value left = arith::SubIOp::create(b, count, start);
    tile(start, arith::MinSIOp::create(b, left, index(keyTile)), /*full=*/false);
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
  ahead = op.getScheduleAttr().getPrefetch();
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
  q = scratch({rows, paddedDepth()});
  s = scratch({rows, keyTile});
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
