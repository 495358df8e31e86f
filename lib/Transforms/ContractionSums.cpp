//===- ContractionSums.cpp - Weights whose sums are contiguous --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Vectors go along the last summed dimension, of x and of w.  The sums of a
// block of rows of x by rows of w stay in registers over all of it; their lanes
// are added at its end.

#include "Contraction.h"
#include "VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace einhead;

namespace {
class SumContraction final : public ContractionBuilder {
public:
  using ContractionBuilder::ContractionBuilder;

private:
  void body() override;
  int64_t weightsAtATime() const;
  void block(Value row, int64_t rows, Value weight, int64_t count);
  Carried overSums(ArrayRef<unsigned> loops, Value row, int64_t rows,
                   Value weight, int64_t count, ValueRange carried);
  Carried overVector(Value row, int64_t rows, Value weight, int64_t count,
                     ValueRange carried);
  Carried step(Value row, int64_t rows, Value weight, int64_t count, Value at,
               Value mask, ValueRange carried);
  void addLanes(Value row, int64_t rows, Value weight, int64_t count,
                ValueRange sums);
  int64_t width() const { return p.pairs ? 2 * p.lanes : p.lanes; }
};
} // namespace

/// Rows of w in a block, as many streams of memory.
int64_t SumContraction::weightsAtATime() const {
  int64_t rows = rowsAtATime();
  return std::clamp<int64_t>(p.registers / rows, 1, 8);
}

void SumContraction::body() {
  int64_t most = weightsAtATime();
  overBlocks(p.stream, most, [&](Value weight, int64_t count) {
    startFetch(add(weight, count));
    overRows([&](Value row, int64_t rows) { block(row, rows, weight, count); });
  });
}

void SumContraction::block(Value row, int64_t rows, Value weight,
                           int64_t count) {
  Carried carried(rows * count, splat(b, vectorOf(p.element(), p.lanes), 0.0));
  carried.append(fetchState());
  carried = overSums(p.inner, row, rows, weight, count, carried);
  keepFetch(ValueRange(carried).take_back(2));
  addLanes(row, rows, weight, count, ValueRange(carried).drop_back(2));
}

ContractionBuilder::Carried
SumContraction::overSums(ArrayRef<unsigned> loops, Value row, int64_t rows,
                         Value weight, int64_t count, ValueRange carried) {
  if (loops.empty())
    return overVector(row, rows, weight, count, carried);
  return loop(index(0), sizeOf(loops.front()), 1, carried,
              [&](Value i, ValueRange values) {
                position[loops.front()] = i;
                return overSums(loops.drop_front(), row, rows, weight, count,
                                values);
              });
}

ContractionBuilder::Carried SumContraction::overVector(Value row, int64_t rows,
                                                       Value weight,
                                                       int64_t count,
                                                       ValueRange carried) {
  int64_t each = width();
  Value size = sizeOf(p.vector), whole;
  int64_t left = each; // in the last vector, each if that is not known
  if (isStatic(p.vector)) {
    left = p.extents[p.vector] % each;
    whole = index(p.extents[p.vector] - left);
  } else {
    whole = arith::SubIOp::create(b, size,
                                  arith::RemUIOp::create(b, size, index(each)));
  }
  auto over = [&](Value from, Value to, bool masked, ValueRange values) {
    return loop(from, to, each, values, [&](Value at, ValueRange inner) {
      Value mask;
      if (masked) {
        Value rest = arith::SubIOp::create(b, size, at);
        mask = vector::CreateMaskOp::create(b, vectorOf(b.getI1Type(), each),
                                            rest);
      }
      return step(row, rows, weight, count, at, mask, inner);
    });
  };
  Carried next = over(index(0), whole, /*masked=*/false, carried);
  return left ? over(whole, size, /*masked=*/true, next) : next;
}

ContractionBuilder::Carried SumContraction::step(Value row, int64_t rows,
                                                 Value weight, int64_t count,
                                                 Value at, Value mask,
                                                 ValueRange carried) {
  position[p.vector] = at;
  int64_t bytes = count * width() * element(p.w).getIntOrFloatBitWidth() / 8;
  int64_t lines = llvm::divideCeil(llvm::divideCeil(bytes, 64), rowBlocks());
  // The hardware brings a line's neighbour; with more rows of x than one, what
  // is asked for would keep lines of x and w waiting.
  int64_t every = rowsAtATime() > 1 ? 2 : 1;
  Carried next = fetch(carried.take_back(2), lines, every), loaded;
  auto vectorAt = [&](Value memref, ValueRange indices) {
    Value raw = load(memref, indices, width(), mask);
    return p.pairs ? raw : widen(raw);
  };
  for (int64_t n = 0; n < count; ++n)
    loaded.push_back(vectorAt(
        p.w, ContractionBuilder::at(p.wMap, p.stream, add(weight, n))));
  Carried sums(carried.drop_back(2));
  for (int64_t r = 0; r < rows; ++r) {
    Value x =
        vectorAt(p.x, ContractionBuilder::at(p.xMap, row ? p.rows.back() : 0,
                                             row ? add(row, r) : row));
    for (int64_t n = 0; n < count; ++n) {
      Value &sum = sums[r * count + n];
      sum = multiplyAdd(x, loaded[n], sum);
    }
  }
  sums.append(next);
  return sums;
}

/// As many vectors at a time as they have lanes.
void SumContraction::addLanes(Value row, int64_t rows, Value weight,
                              int64_t count, ValueRange sums) {
  for (int64_t first = 0, e = sums.size(); first < e; first += p.lanes) {
    ValueRange some = sums.slice(first, std::min(p.lanes, e - first));
    Carried padded(some);
    padded.resize(llvm::PowerOf2Ceil(some.size()), some.front());
    Value lanes = buildLaneSums(b, padded);
    for (int64_t i = 0, n = some.size(); i < n; ++i) {
      int64_t r = (first + i) / count;
      position[p.stream] = add(weight, (first + i) % count);
      auto indices =
          at(p.outMap, row ? p.rows.back() : 0, row ? add(row, r) : row);
      Value sum = vector::ExtractOp::create(b, lanes, ArrayRef<int64_t>{i});
      Value before = memref::LoadOp::create(b, p.out, indices);
      memref::StoreOp::create(b, arith::AddFOp::create(b, before, sum), p.out,
                              indices);
    }
  }
}

std::unique_ptr<ContractionBuilder>
einhead::createSumContraction(RewriterBase &rewriter, Location loc,
                              const ContractionPlan &plan,
                              const TargetInfo &target) {
  return std::make_unique<SumContraction>(rewriter, loc, plan, target);
}
