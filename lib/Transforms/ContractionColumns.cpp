//===- ContractionColumns.cpp - Weights with contiguous columns -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// A panel is a few rows of w, all of their columns.  It is multiplied block by
// block of columns, so that its rows are as many streams of memory; the next
// panel is asked for in the order of its addresses meanwhile, and has to stay
// in the second cache until its turn.
//
// Pairs of bf16 sum two rows of w, whose columns are interleaved: the columns
// of a sum stay in their order.

#include "Contraction.h"
#include "PairMath.h"
#include "VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace einhead;

/// Vectors of columns in a block: more streams of stores than that gain
/// nothing.
static constexpr int64_t mostVectors = 8;
static constexpr int64_t mostPanelRows = 128;
/// Streams that the hardware follows well, if each has loads of its own and is
/// long.
static constexpr int64_t unrolledRows = 8;
static constexpr int64_t longRunBytes = 2 << 10;

namespace {
/// A block of columns: `vectors` from `start` on.  How many columns of them
/// there are is known (`valid`), or a value.
struct Columns {
  Value start;
  int64_t vectors = 0, valid = 0;
  Value left;
};

class ColumnContraction final : public ContractionBuilder {
public:
  using ContractionBuilder::ContractionBuilder;

private:
  void body() override;
  /// Bytes of a row of w, all of its columns.
  int64_t runBytes() const;
  bool unrolls() const {
    return rowBlocks() == 1 && runBytes() >= longRunBytes;
  }
  int64_t panelRows() const;
  void overColumns(Value first, Value last);
  void rowsOfBlock(Value first, Value last, const Columns &columns);
  void block(Value row, int64_t count, Value first, Value last,
             const Columns &columns);
  Carried step(Value row, int64_t count, Value k, bool pair,
               const Columns &columns, ValueRange carried);
  Carried weights(Value k, bool pair, const Columns &columns);
  Value activation(Value row, Value k, bool pair);
  int64_t linesOf(const Columns &columns, int64_t rows) const;
  /// Null where all of `count` columns from `column` on are there.
  Value maskOf(const Columns &columns, int64_t column, int64_t count);
  Carried sums(Value row, int64_t count, const Columns &columns);
  void store(Value row, const Columns &columns, ValueRange sums);
  int64_t group() const { return p.pairs ? 2 : 1; } ///< vectors loaded as one
  /// Rows of a panel that are written out, each with loads of its own: to the
  /// hardware each is a stream.  0: a loop.
  int64_t unrolled = 0;
};
} // namespace

int64_t ColumnContraction::runBytes() const {
  int64_t bytes = element(p.w).getIntOrFloatBitWidth() / 8;
  for (unsigned loop : p.inner)
    bytes *= isStatic(loop) ? p.extents[loop] : 1;
  return bytes * (isStatic(p.vector) ? p.extents[p.vector] : longRunBytes);
}

/// Rows of a panel: enough for its sums to pay their loads and stores, and to
/// ask memory in time.
int64_t ColumnContraction::panelRows() const {
  if (unrolls())
    return unrolledRows;
  int64_t rows = rowsAtATime() == 1 ? unrolledRows : rowBlocks() > 1 ? 32 : 16;
  while (rows * runBytes() < prefetchBytes && rows < mostPanelRows)
    rows *= 2;
  return rows;
}

void ColumnContraction::body() {
  int64_t rows = panelRows();
  Value size = sizeOf(p.stream);
  auto panel = [&](Value first, Value last) {
    startFetch(last);
    overLoops(p.inner, [&] { overColumns(first, last); });
  };
  Value rest = arith::RemUIOp::create(b, size, index(rows));
  Value whole = arith::SubIOp::create(b, size, rest);
  unrolled = unrolls() ? rows : 0;
  loop(index(0), whole, rows,
       [&](Value first) { panel(first, add(first, rows)); });
  unrolled = 0;
  if (!isStatic(p.stream) || p.extents[p.stream] % rows)
    loop(whole, size, rows, [&](Value first) { panel(first, size); });
}

void ColumnContraction::overColumns(Value first, Value last) {
  int64_t most = std::min(mostVectors, p.registers / rowsAtATime());
  most = unrolled ? group() : most / group() * group();
  Columns columns;
  if (!isStatic(p.vector)) {
    Value size = sizeOf(p.vector);
    int64_t each = most * p.lanes;
    Value rest = arith::RemUIOp::create(b, size, index(each));
    Value whole = arith::SubIOp::create(b, size, rest);
    loop(index(0), whole, each, [&](Value at) {
      rowsOfBlock(first, last, {at, most, each, Value()});
    });
    each = group() * p.lanes;
    loop(whole, size, each, [&](Value at) {
      Value left = arith::SubIOp::create(b, size, at);
      rowsOfBlock(first, last, {at, group(), 0, left});
    });
    return;
  }
  int64_t extent = p.extents[p.vector];
  int64_t vectors = llvm::divideCeil(extent, p.lanes);
  int64_t each = llvm::divideCeil(vectors, llvm::divideCeil(vectors, most));
  each = llvm::alignTo(each, group());
  int64_t whole = extent / (each * p.lanes) * each * p.lanes;
  auto full = [&](Value at) {
    rowsOfBlock(first, last, {at, each, each * p.lanes, Value()});
  };
  if (whole == each * p.lanes)
    full(index(0));
  else if (whole)
    loop(index(0), index(whole), each * p.lanes, full);
  if (whole == extent)
    return;
  int64_t left = llvm::divideCeil(extent - whole, p.lanes);
  rowsOfBlock(first, last,
              {index(whole), static_cast<int64_t>(llvm::alignTo(left, group())),
               extent - whole, Value()});
}

void ColumnContraction::rowsOfBlock(Value first, Value last,
                                    const Columns &columns) {
  overRows([&](Value row, int64_t count) {
    block(row, count, first, last, columns);
  });
}

Value ColumnContraction::maskOf(const Columns &columns, int64_t column,
                                int64_t count) {
  VectorType type = vectorOf(b.getI1Type(), count);
  if (columns.left) {
    Value left = columns.left;
    if (column)
      left = arith::SubIOp::create(b, left, index(column));
    return vector::CreateMaskOp::create(b, type, left);
  }
  int64_t valid = std::clamp<int64_t>(columns.valid - column, 0, count);
  if (valid == count)
    return Value();
  return vector::ConstantMaskOp::create(b, type, ArrayRef<int64_t>{valid});
}

ContractionBuilder::Carried ColumnContraction::sums(Value row, int64_t count,
                                                    const Columns &columns) {
  Carried sums;
  for (int64_t r = 0; r < count; ++r)
    for (int64_t z = 0; z < columns.vectors; ++z) {
      position[p.vector] = add(columns.start, z * p.lanes);
      sums.push_back(load(
          p.out, at(p.outMap, row ? p.rows.back() : 0, row ? add(row, r) : row),
          p.lanes, maskOf(columns, z * p.lanes, p.lanes)));
    }
  return sums;
}

void ColumnContraction::store(Value row, const Columns &columns,
                              ValueRange sums) {
  for (auto [i, sum] : llvm::enumerate(sums)) {
    int64_t r = i / columns.vectors, z = i % columns.vectors;
    position[p.vector] = add(columns.start, z * p.lanes);
    auto indices =
        at(p.outMap, row ? p.rows.back() : 0, row ? add(row, r) : row);
    if (Value mask = maskOf(columns, z * p.lanes, p.lanes))
      vector::MaskedStoreOp::create(b, p.out, indices, mask, sum);
    else
      vector::StoreOp::create(b, sum, p.out, indices);
  }
}

/// The columns of row `k` of w as vectors of f32; or of k and, if there is such
/// a row, k + 1, in pairs.
ContractionBuilder::Carried ColumnContraction::weights(Value k, bool pair,
                                                       const Columns &columns) {
  Carried loaded;
  int64_t count = group() * p.lanes;
  for (int64_t z = 0; z < columns.vectors; z += group()) {
    position[p.vector] = add(columns.start, z * p.lanes);
    Value mask = maskOf(columns, z * p.lanes, count);
    Value x = load(p.w, at(p.wMap, p.stream, k), count, mask);
    if (!p.pairs) {
      loaded.push_back(widen(x));
      continue;
    }
    Value y = pair ? load(p.w, at(p.wMap, p.stream, add(k, 1)), count, mask)
                   : splat(b, x.getType(), 0.0);
    llvm::append_range(loaded, buildInterleave(b, x, y));
  }
  return loaded;
}

/// x at a row and `k` in all lanes; or the pair of k and k + 1.
Value ColumnContraction::activation(Value row, Value k, bool pair) {
  auto element = [&](Value k) -> Value {
    position[p.stream] = k;
    return memref::LoadOp::create(b, p.x,
                                  at(p.xMap, row ? p.rows.back() : 0, row));
  };
  VectorType type = vectorOf(p.element(), p.lanes);
  if (!p.pairs)
    return vector::BroadcastOp::create(b, type, widen(element(k)));
  auto bits = [&](Value k) -> Value {
    Value half = arith::BitcastOp::create(b, b.getI16Type(), element(k));
    return arith::ExtUIOp::create(b, b.getI32Type(), half);
  };
  Value both = bits(k);
  if (pair) {
    Value sixteen = arith::ConstantIntOp::create(b, 16, 32);
    Value high = arith::ShLIOp::create(b, bits(add(k, 1)), sixteen);
    both = arith::OrIOp::create(b, both, high);
  }
  Value spread =
      vector::BroadcastOp::create(b, vectorOf(b.getI32Type(), p.lanes), both);
  return castElements(b, spread, b.getBF16Type());
}

/// Lines of `rows` rows of the columns, shared by the blocks of rows of x.
int64_t ColumnContraction::linesOf(const Columns &columns, int64_t rows) const {
  int64_t bytes = columns.vectors * p.lanes * rows *
                  (element(p.w).getIntOrFloatBitWidth() / 8);
  return llvm::divideCeil(llvm::divideCeil(bytes, 64), rowBlocks());
}

/// The sums after row `k` of w, and how far the stream was asked for.
ContractionBuilder::Carried ColumnContraction::step(Value row, int64_t count,
                                                    Value k, bool pair,
                                                    const Columns &columns,
                                                    ValueRange carried) {
  Carried next(carried.take_back(2));
  if (!unrolled)
    next = fetch(next, linesOf(columns, pair ? 2 : 1));
  Carried loaded = weights(k, pair, columns);
  Carried sums(carried.drop_back(2));
  for (int64_t r = 0; r < count; ++r) {
    Value x = activation(row ? add(row, r) : row, k, pair);
    for (int64_t z = 0; z < columns.vectors; ++z) {
      Value &sum = sums[r * columns.vectors + z];
      sum = multiplyAdd(x, loaded[z], sum);
    }
  }
  sums.append(next);
  return sums;
}

void ColumnContraction::block(Value row, int64_t count, Value first, Value last,
                              const Columns &columns) {
  Carried carried = sums(row, count, columns);
  carried.append(fetchState());
  auto over = [&](Value from, Value to, bool pair) {
    carried =
        loop(from, to, pair ? 2 : 1, carried, [&](Value k, ValueRange values) {
          return step(row, count, k, pair, columns, values);
        });
  };
  if (unrolled) {
    Carried next =
        fetch(ValueRange(carried).take_back(2), linesOf(columns, unrolled));
    for (int64_t k = 0; k < unrolled; k += group())
      carried = step(row, count, add(first, k), p.pairs, columns, carried);
    std::copy(next.begin(), next.end(), carried.end() - 2);
  } else if (!p.pairs) {
    over(first, last, /*pair=*/false);
  } else {
    Value size = arith::SubIOp::create(b, last, first);
    Value odd = arith::RemUIOp::create(b, size, index(2));
    Value even = arith::SubIOp::create(b, last, odd);
    over(first, even, /*pair=*/true);
    if (!isStatic(p.stream) || p.extents[p.stream] % 2)
      over(even, last, /*pair=*/false);
  }
  keepFetch(ValueRange(carried).take_back(2));
  store(row, columns, ValueRange(carried).drop_back(2));
}

std::unique_ptr<ContractionBuilder>
einhead::createColumnContraction(RewriterBase &rewriter, Location loc,
                                 const ContractionPlan &plan,
                                 const TargetInfo &target) {
  return std::make_unique<ColumnContraction>(rewriter, loc, plan, target);
}
