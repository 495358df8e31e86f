//===- ForallToGPUMerge.cpp - Merges, shared by threads ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// An item is a row and a column: M = the largest maximum of the splits, then
//
//   sum   = sum_s exp2(max_s - M) sum_s
//   total = sum_s exp2(max_s - M) accumulator_s
//
// in the order of s.  Each column's thread finds M and the sum again: a number
// of each split that its neighbours load too.

#include "ForallToGPU.h"
#include "VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

static constexpr double infinity = std::numeric_limits<double>::infinity();

namespace {
class MergeThreads {
public:
  MergeThreads(RewriterBase &rewriter, MergeOp op, ThreadBlock &block)
      : b(op.getLoc(), rewriter), op(op), block(block),
        spec(*EinsumSpec::parse(op.getSpec())) {}

  LogicalResult run();

private:
  using Values = SmallVector<Value>;

  Values overSplits(ValueRange carried,
                    llvm::function_ref<Values(Value, ValueRange)> body);
  /// Indices over `term`, of the row's and the column's letters.
  Values at(llvm::StringRef term, Value split);
  Value load(Value state, llvm::StringRef term, Value split) {
    return memref::LoadOp::create(b, state, at(term, split));
  }
  Value rowMax();
  void column();
  void logSumExp();
  /// The row's sum, and the column's total where there is a column.
  Values sums(Value max, bool hasColumn);

  ImplicitLocOpBuilder b;
  MergeOp op;
  ThreadBlock &block;
  EinsumSpec spec;
  llvm::DenseMap<char, Value> indexOfLetter;
};
} // namespace

LogicalResult MergeThreads::run() {
  b.setInsertionPoint(op);
  auto overTerm = [&](llvm::StringRef term, Value memref,
                      llvm::function_ref<void()> body) {
    Values extents;
    Value count = arith::ConstantIndexOp::create(b, 1);
    for (size_t i = 0; i < term.size(); ++i) {
      extents.push_back(
          b.createOrFold<memref::DimOp>(memref, static_cast<int64_t>(i)));
      count = b.createOrFold<arith::MulIOp>(count, extents.back());
    }
    block.share(b, count, [&](Value item) {
      indexOfLetter.clear();
      for (auto [letter, i] : llvm::zip(term, delinearize(b, item, extents)))
        indexOfLetter[letter] = i;
      body();
    });
  };
  overTerm(spec.output, op.getOutput(), [&] { column(); });
  if (op.getLse())
    overTerm(spec.inputs[0], op.getLse(), [&] { logSumExp(); });
  block.barrier(b);
  return success();
}

MergeThreads::Values
MergeThreads::overSplits(ValueRange carried,
                         llvm::function_ref<Values(Value, ValueRange)> body) {
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  Value splits = b.createOrFold<memref::DimOp>(op.getMax(), 0);
  auto loop = scf::ForOp::create(
      b, zero, splits, one, carried,
      [&](OpBuilder &inner, Location, Value split, ValueRange values) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPoint(inner.getInsertionBlock(),
                            inner.getInsertionPoint());
        scf::YieldOp::create(b, body(split, values));
      });
  return Values(loop.getResults());
}

MergeThreads::Values MergeThreads::at(llvm::StringRef term, Value split) {
  Values indices;
  if (split)
    indices.push_back(split);
  for (char letter : term)
    indices.push_back(indexOfLetter.lookup(letter));
  return indices;
}

/// 0 stands in for the -inf of a row that no key has reached.
Value MergeThreads::rowMax() {
  Value dead = splat(b, b.getF32Type(), -infinity);
  Value max = overSplits(dead, [&](Value split, ValueRange largest) {
                return Values{buildMax(
                    b, largest[0], load(op.getMax(), spec.inputs[0], split))};
              }).front();
  Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, max, dead);
  return arith::SelectOp::create(b, none, splat(b, b.getF32Type(), 0.0), max);
}

MergeThreads::Values MergeThreads::sums(Value max, bool hasColumn) {
  Values zeros(hasColumn ? 2 : 1, splat(b, b.getF32Type(), 0.0));
  return overSplits(zeros, [&](Value split, ValueRange carried) {
    Value distance =
        arith::SubFOp::create(b, load(op.getMax(), spec.inputs[0], split), max);
    Value weight = math::Exp2Op::create(b, distance);
    Value part = arith::MulFOp::create(
        b, load(op.getSum(), spec.inputs[0], split), weight);
    Values next = {arith::AddFOp::create(b, carried[0], part)};
    if (hasColumn)
      next.push_back(math::FmaOp::create(
          b, weight, load(op.getAccumulator(), spec.output, split),
          carried[1]));
    return next;
  });
}

/// output = total / sum, 0 where no key attended.
void MergeThreads::column() {
  Type f32 = b.getF32Type();
  Values total = sums(rowMax(), /*hasColumn=*/true);
  Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, total[0],
                                     splat(b, f32, 0.0));
  Value divisor =
      arith::SelectOp::create(b, none, splat(b, f32, 1.0), total[0]);
  Value value = arith::DivFOp::create(b, total[1], divisor);
  Type element = cast<MemRefType>(op.getOutput().getType()).getElementType();
  if (element.isF64())
    value = arith::ExtFOp::create(b, element, value);
  else if (!element.isF32())
    value = arith::TruncFOp::create(b, element, value);
  memref::StoreOp::create(b, value, op.getOutput(), at(spec.output, Value()));
}

/// lse = max * ln(2) + ln(sum), -inf where no key attended.
void MergeThreads::logSumExp() {
  Value max = rowMax();
  Value sum = sums(max, /*hasColumn=*/false).front();
  Value ln2 = splat(b, b.getF32Type(), 0.6931471805599453);
  Value lse = arith::AddFOp::create(b, arith::MulFOp::create(b, max, ln2),
                                    math::LogOp::create(b, sum));
  memref::StoreOp::create(b, lse, op.getLse(), at(spec.inputs[0], Value()));
}

LogicalResult einhead::lowerToThreads(RewriterBase &rewriter, MergeOp op,
                                      ThreadBlock &block) {
  if (failed(MergeThreads(rewriter, op, block).run()))
    return failure();
  rewriter.eraseOp(op);
  return success();
}
