//===- ContractionBuilder.cpp - What both forms are built from --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Contraction.h"
#include "VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace einhead;

/// Rows of x in a block: more do not fit into registers with enough columns.
static constexpr int64_t blockRows = 4;
static constexpr int64_t lineBytes = 64;

ContractionBuilder::ContractionBuilder(RewriterBase &rewriter, Location loc,
                                       ContractionPlan plan,
                                       const TargetInfo &target)
    : b(loc, rewriter), p(std::move(plan)), prefetchBytes(target.prefetchBytes),
      position(p.extents.size()) {}

Value ContractionBuilder::add(Value i, int64_t n) {
  return n ? Value(arith::AddIOp::create(b, i, index(n))) : i;
}

Value ContractionBuilder::sizeOf(unsigned loop) {
  if (isStatic(loop))
    return index(p.extents[loop]);
  for (auto [memref, map] :
       {std::pair(p.w, p.wMap), {p.x, p.xMap}, {p.out, p.outMap}})
    for (unsigned i = 0, e = map.getNumResults(); i < e; ++i)
      if (map.getDimPosition(i) == loop)
        return memref::DimOp::create(b, memref, i);
  llvm_unreachable("a loop that no operand has");
}

ContractionBuilder::Carried ContractionBuilder::loop(Value from, Value to,
                                                     int64_t step,
                                                     ValueRange carried,
                                                     CarryingBody body) {
  auto loop = scf::ForOp::create(
      b, from, to, index(step), carried,
      [&](OpBuilder &inner, Location, Value i, ValueRange values) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPoint(inner.getInsertionBlock(),
                            inner.getInsertionPoint());
        scf::YieldOp::create(b, body(i, values));
      });
  return Carried(loop.getResults());
}

void ContractionBuilder::loop(Value from, Value to, int64_t step,
                              llvm::function_ref<void(Value)> body) {
  loop(from, to, step, {}, [&](Value i, ValueRange) {
    body(i);
    return Carried();
  });
}

void ContractionBuilder::overLoops(ArrayRef<unsigned> loops,
                                   llvm::function_ref<void()> body) {
  if (loops.empty())
    return body();
  unsigned first = loops.front();
  if (p.extents[first] == 1) {
    position[first] = index(0);
    return overLoops(loops.drop_front(), body);
  }
  loop(index(0), sizeOf(first), 1, [&](Value i) {
    position[first] = i;
    overLoops(loops.drop_front(), body);
  });
}

void ContractionBuilder::overBlocks(
    unsigned which, int64_t most,
    llvm::function_ref<void(Value, int64_t)> body) {
  auto run = [&](Value from, Value to, int64_t count) {
    loop(from, to, count, [&](Value i) { body(i, count); });
  };
  if (isStatic(which)) {
    // Blocks of even size: the last one has at least half as much to do.
    int64_t extent = p.extents[which];
    int64_t blocks = llvm::divideCeil(extent, most);
    int64_t each = llvm::divideCeil(extent, blocks), whole = extent / each;
    if (whole == 1)
      body(index(0), each);
    else
      run(index(0), index(whole * each), each);
    if (whole * each < extent)
      body(index(whole * each), extent - whole * each);
    return;
  }
  Value size = sizeOf(which), done = index(0);
  for (int64_t count = most; count > 0; count /= 2) {
    Value left = arith::SubIOp::create(b, size, done);
    Value rest = arith::RemUIOp::create(b, left, index(count));
    Value end = count == 1 ? size : arith::SubIOp::create(b, size, rest);
    run(done, end, count);
    done = end;
  }
}

int64_t ContractionBuilder::rowsAtATime() const {
  if (p.rows.empty())
    return 1;
  int64_t extent = p.extents[p.rows.back()];
  if (ShapedType::isDynamic(extent) || extent > blockRows)
    return blockRows;
  return extent;
}

int64_t ContractionBuilder::rowBlocks() const {
  if (p.rows.empty() || !isStatic(p.rows.back()))
    return 1;
  return llvm::divideCeil(p.extents[p.rows.back()], blockRows);
}

void ContractionBuilder::overRows(
    llvm::function_ref<void(Value, int64_t)> body) {
  if (p.rows.empty())
    return body(Value(), 1);
  overLoops(ArrayRef<unsigned>(p.rows).drop_back(),
            [&] { overBlocks(p.rows.back(), blockRows, body); });
}

SmallVector<Value> ContractionBuilder::at(AffineMap map, unsigned loop,
                                          Value moved) {
  SmallVector<Value> indices;
  for (unsigned i = 0, e = map.getNumResults(); i < e; ++i) {
    unsigned which = map.getDimPosition(i);
    indices.push_back(which == loop && moved ? moved : position[which]);
  }
  return indices;
}

Value ContractionBuilder::widen(Value value) {
  Type element = getElementTypeOrSelf(value);
  if (element == p.element())
    return value;
  Type type = p.element();
  if (auto vector = dyn_cast<VectorType>(value.getType()))
    type = vector.clone(type);
  return arith::ExtFOp::create(b, type, value);
}

Value ContractionBuilder::multiplyAdd(Value x, Value y, Value sum) {
  if (p.pairs)
    return x86vector::DotBF16Op::create(b, sum, x, y);
  return vector::FMAOp::create(b, x, y, sum);
}

Value ContractionBuilder::load(Value memref, ValueRange indices, int64_t count,
                               Value mask) {
  VectorType type = vectorOf(element(memref), count);
  if (!mask)
    return vector::LoadOp::create(b, type, memref, indices);
  return vector::MaskedLoadOp::create(b, type, memref, indices, mask,
                                      splat(b, type, 0.0));
}

//===----------------------------------------------------------------------===//
// The stream ahead of the products
//===----------------------------------------------------------------------===//

void ContractionBuilder::startFetch(Value row) { keepFetch({row, index(0)}); }

ContractionBuilder::Carried ContractionBuilder::fetchState() {
  Carried state;
  for (int64_t i : {0, 1})
    state.push_back(memref::LoadOp::create(b, fetchPlace, index(i)));
  return state;
}

void ContractionBuilder::keepFetch(ValueRange state) {
  for (int64_t i : {0, 1})
    memref::StoreOp::create(b, state[i], fetchPlace, index(i));
}

/// Past the end of a row of w, where the next dimension begins, the last index
/// goes on: in memory that is the next element.  Lines that are no part of w do
/// no harm.
ContractionBuilder::Carried
ContractionBuilder::fetch(ValueRange state, int64_t lines, int64_t every) {
  int64_t perLine = lineBytes * 8 / element(p.w).getIntOrFloatBitWidth();
  Value row = state[0], column = state[1];
  for (int64_t i = 0; i < lines; i += every) {
    SmallVector<Value> indices;
    bool passed = false;
    for (unsigned d = 0, e = p.wMap.getNumResults(); d < e; ++d) {
      unsigned which = p.wMap.getDimPosition(d);
      if (which == p.stream)
        indices.push_back(row);
      else if (which == p.vector)
        indices.push_back(add(column, i * perLine));
      else
        indices.push_back(passed ? index(0) : position[which]);
      passed |= which == p.stream;
    }
    // Into the second cache: the first is full with what is at hand.
    memref::PrefetchOp::create(b, p.w, indices, /*isWrite=*/false,
                               /*localityHint=*/2, /*isDataCache=*/true);
  }
  Value next = add(column, lines * perLine);
  Value isPast = arith::CmpIOp::create(b, arith::CmpIPredicate::uge, next, run);
  return {arith::SelectOp::create(b, isPast, add(row, 1), row),
          arith::SelectOp::create(b, isPast, index(0), next)};
}

void ContractionBuilder::emit() {
  fetchPlace = memref::AllocaOp::create(
      b, MemRefType::get({2}, b.getIndexType()), b.getI64IntegerAttr(64));
  run = sizeOf(p.vector);
  for (unsigned loop : p.inner)
    if (p.wMap.isFunctionOfDim(loop))
      run = arith::MulIOp::create(b, run, sizeOf(loop));
  overLoops(p.outer, [&] { body(); });
}

bool einhead::lowerContraction(RewriterBase &rewriter, linalg::GenericOp op,
                               const TargetInfo &target) {
  std::optional<ContractionPlan> plan = ContractionPlan::of(op, target);
  if (!plan)
    return false;
  rewriter.setInsertionPoint(op);
  auto builder =
      plan->sums
          ? createSumContraction(rewriter, op.getLoc(), *plan, target)
          : createColumnContraction(rewriter, op.getLoc(), *plan, target);
  builder->emit();
  rewriter.eraseOp(op);
  return true;
}
