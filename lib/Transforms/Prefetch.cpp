//===- Prefetch.cpp - Requests for lines at an even pace --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The requests of an attn.read_ahead are numbered in the order of addresses.  A
// piece of code takes as many of them as its share of the cost of a tile; a
// loop of T steps takes n of them as ceil(n / T) a step, from floor(i * n / T)
// on, or one every floor(T / n) steps, so that the pace is even inside too.

#include "einhead/IR/AttnLoopOps.h"
#include "einhead/Target/TargetInfo.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

namespace einhead {
#define GEN_PASS_DEF_PREFETCHPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// Steps of a loop; 0 where they are not known.
static int64_t stepsOf(scf::ForOp loop) {
  std::optional<llvm::APInt> steps = loop.getStaticTripCount();
  return steps ? steps->getSExtValue() : 0;
}

static int64_t costOf(Operation *op);

static int64_t costOf(Block &block) {
  int64_t cost = 0;
  for (Operation &op : block)
    cost += costOf(&op);
  return cost;
}

/// About the cycles of an operation that keep vector or matrix units busy.
/// What is rarely done (scf.if), or how often is not known, costs nothing.
static int64_t costOf(Operation *op) {
  constexpr int64_t tileProduct = 16, tileAccess = 8;
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return stepsOf(loop) * costOf(*loop.getBody());
  if (isa<amx::TileMulFOp>(op))
    return tileProduct;
  if (isa<amx::TileLoadOp, amx::TileStoreOp>(op))
    return tileAccess;
  auto isVector = [](Type type) { return isa<VectorType>(type); };
  return !op->hasTrait<OpTrait::ConstantLike>() &&
         (llvm::any_of(op->getResultTypes(), isVector) ||
          llvm::any_of(op->getOperandTypes(), isVector));
}

namespace {
/// The requests of one attn.read_ahead, each for `bytes` bytes.
class Stream {
public:
  Stream(ReadAheadOp op, int64_t bytes) : op(op), b(op.getLoc(), op) {
    int64_t bits = getElementTypeOrSelf(op.getSource()).getIntOrFloatBitWidth();
    int64_t columns = op.getColumns();
    elements = std::max<int64_t>(1, bytes * 8 / bits);
    inRow = llvm::divideCeil(columns, elements);
    rows = std::max<int64_t>(1, elements / columns);
  }

  /// Into the code from the op to the next one on the same memory.
  void spread() {
    SmallVector<Operation *> code;
    for (Operation *next = op->getNextNode(); next;
         next = next->getNextNode()) {
      auto other = dyn_cast<ReadAheadOp>(next);
      if ((other && other.getSource() == op.getSource()) ||
          next->hasTrait<OpTrait::IsTerminator>())
        break;
      code.push_back(next);
    }
    int64_t all = llvm::divideCeil(static_cast<int64_t>(op.getRows()), rows);
    place(code, all * inRow, index(0));
  }

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }

  /// Requests [first, first + count) into `code`.
  void place(ArrayRef<Operation *> code, int64_t count, Value first) {
    int64_t total = 0, before = 0, done = 0;
    for (Operation *each : code)
      total += costOf(each);
    for (Operation *each : code) {
      before += costOf(each);
      int64_t until = total ? (count * before + total / 2) / total : 0;
      if (until == done)
        continue;
      b.setInsertionPoint(each);
      Value from = arith::AddIOp::create(b, first, index(done));
      auto loop = dyn_cast<scf::ForOp>(each);
      if (loop && !isShort(loop, until - done))
        placeInLoop(loop, until - done, from);
      else
        ask(until - done, from);
      done = until;
    }
  }

  /// A condition in a loop of fewer requests than steps costs more than a few
  /// of them at once, before it.
  static bool isShort(scf::ForOp loop, int64_t count) {
    constexpr int64_t few = 16;
    return count < stepsOf(loop) && count <= few;
  }

  void placeInLoop(scf::ForOp loop, int64_t count, Value first) {
    int64_t steps = stepsOf(loop), apart = steps / count;
    SmallVector<Operation *> body;
    for (Operation &each : loop.getBody()->without_terminator())
      body.push_back(&each);
    b.setInsertionPointToStart(loop.getBody());
    Value i =
        arith::SubIOp::create(b, loop.getInductionVar(), loop.getLowerBound());
    i = arith::DivUIOp::create(b, i, loop.getStep());
    if (apart > 1)
      return askInSome(i, apart, first);
    int64_t common = std::gcd(count, steps);
    i = arith::MulIOp::create(b, i, index(count / common));
    i = arith::DivUIOp::create(b, i, index(steps / common));
    place(body, llvm::divideCeil(count, steps),
          arith::AddIOp::create(b, first, i));
  }

  /// One request in each `apart`-th step.
  void askInSome(Value step, int64_t apart, Value first) {
    Value place = arith::RemUIOp::create(b, step, index(apart));
    Value isTurn =
        arith::CmpIOp::create(b, arith::CmpIPredicate::eq, place, index(0));
    auto turn = scf::IfOp::create(b, isTurn, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(turn.thenYield());
    Value done = arith::DivUIOp::create(b, step, index(apart));
    ask(1, arith::AddIOp::create(b, first, done));
  }

  void ask(int64_t count, Value first) {
    for (int64_t i = 0; i < count; ++i) {
      Value request = arith::AddIOp::create(b, first, index(i));
      Value row = arith::DivUIOp::create(b, request, index(inRow));
      row = arith::MulIOp::create(b, row, index(rows));
      Value column = arith::RemUIOp::create(b, request, index(inRow));
      column = arith::MulIOp::create(b, column, index(elements));
      SmallVector<Value> indices(op.getIndices());
      Value &atRow = indices[op.getDimension()];
      atRow = arith::AddIOp::create(b, atRow, row);
      indices.back() = arith::AddIOp::create(b, indices.back(), column);
      // Into the second cache: the first is full with the tile at hand.
      memref::PrefetchOp::create(b, op.getSource(), indices, /*isWrite=*/false,
                                 /*localityHint=*/2, /*isDataCache=*/true);
    }
  }

  ReadAheadOp op;
  ImplicitLocOpBuilder b;
  int64_t elements; ///< that a request is for
  int64_t inRow;    ///< requests for a row
  int64_t rows;     ///< that one request is for
};

struct PrefetchPass final : einhead::impl::PrefetchPassBase<PrefetchPass> {
  using PrefetchPassBase::PrefetchPassBase;

  void runOnOperation() override {
    llvm::Expected<TargetInfo> target = TargetInfo::get(cpu);
    if (!target) {
      getOperation().emitError() << llvm::toString(target.takeError());
      return signalPassFailure();
    }
    constexpr int64_t line = 64;
    SmallVector<ReadAheadOp> ops;
    getOperation().walk([&](ReadAheadOp op) { ops.push_back(op); });
    for (ReadAheadOp op : ops)
      Stream(op, op.getInOrder() ? target->followedBytes : line).spread();
    for (ReadAheadOp op : ops)
      op.erase();
  }
};
} // namespace
