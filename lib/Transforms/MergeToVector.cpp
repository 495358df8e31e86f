//===- MergeToVector.cpp - Merges as loops over vectors ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Row by row: M = the largest maximum of the splits, then one walk over the
// splits for each block of columns, whose sums stay in registers:
//
//   sum   = sum_s exp2(max_s - M) sum_s
//   total = sum_s exp2(max_s - M) accumulator_s

#include "PartialToVector.h"
#include "VectorMath.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

static constexpr double infinity = std::numeric_limits<double>::infinity();

namespace {
class MergeEmitter {
public:
  MergeEmitter(RewriterBase &rewriter, MergeOp op)
      : b(op.getLoc(), rewriter), op(op),
        spec(*EinsumSpec::parse(op.getSpec())) {}

  LogicalResult run();

private:
  using Values = SmallVector<Value>;

  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }
  Values loop(Value to, ValueRange carried,
              llvm::function_ref<Values(Value, ValueRange)> body);
  void overRows(size_t letter);
  /// Indices over `term`: [split,] the row's, and `column` for the value
  /// letter.
  Values at(llvm::StringRef term, Value split, Value column);
  Value load(Value state, Value split) {
    return memref::LoadOp::create(b, state, at(spec.inputs[0], split, Value()));
  }
  Value rowMax();
  void mergeRow();
  /// Merges `columns` columns from `column` on; returns the row's sum.
  Value mergeColumns(Value max, int64_t column, int64_t columns);
  void storeColumns(ValueRange totals, Value sum, int64_t column,
                    int64_t columns);
  void storeLse(Value max, Value sum);
  void askForNext(SmallVector<Value> indices);
  Value exists(int64_t columns) {
    return vector::ConstantMaskOp::create(
        b, VectorType::get({lanes}, b.getI1Type()), ArrayRef<int64_t>{columns});
  }
  /// `lanes` columns, of which `left` are there.
  Value loadVector(Value memref, ValueRange indices, int64_t left);
  void storeVector(Value vector, Value memref, ValueRange indices,
                   int64_t left);

  /// A vector of any target is this or a part of it.
  int64_t lanes = 16;
  static constexpr int64_t vectors = 8;

  ImplicitLocOpBuilder b;
  MergeOp op;
  EinsumSpec spec;
  int64_t width = 0;
  Values rowIndices;
};
} // namespace

LogicalResult MergeEmitter::run() {
  std::string values = lettersWithout(spec.output, spec.inputs[0]);
  if (values.size() != 1)
    return op.emitOpError("needs one value letter, has \"") << values << "\"";
  auto type = cast<MemRefType>(op.getAccumulator().getType());
  width = type.getDimSize(indexOf(spec.output, values[0]) + 1);
  if (ShapedType::isDynamic(width))
    return op.emitOpError("needs a static value extent");
  // A vector needs columns that lie beside each other.
  bool isContiguous = spec.output.back() == values[0];
  for (Value memref : {op.getAccumulator(), op.getOutput()})
    isContiguous &= cast<MemRefType>(memref.getType()).isLastDimUnitStride();
  if (!isContiguous)
    lanes = 1;
  b.setInsertionPoint(op);
  overRows(0);
  return success();
}

MergeEmitter::Values
MergeEmitter::loop(Value to, ValueRange carried,
                   llvm::function_ref<Values(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(
      b, index(0), to, index(1), carried,
      [&](OpBuilder &inner, Location, Value i, ValueRange values) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPoint(inner.getInsertionBlock(),
                            inner.getInsertionPoint());
        scf::YieldOp::create(b, body(i, values));
      });
  return Values(loop.getResults());
}

void MergeEmitter::overRows(size_t letter) {
  if (letter == spec.inputs[0].size())
    return mergeRow();
  Value count = memref::DimOp::create(b, op.getMax(), letter + 1);
  loop(count, {}, [&](Value i, ValueRange) {
    rowIndices.push_back(i);
    overRows(letter + 1);
    rowIndices.pop_back();
    return Values();
  });
}

MergeEmitter::Values MergeEmitter::at(llvm::StringRef term, Value split,
                                      Value column) {
  Values indices;
  if (split)
    indices.push_back(split);
  for (char letter : term) {
    int64_t place = indexOf(spec.inputs[0], letter);
    indices.push_back(place < 0 ? column : rowIndices[place]);
  }
  return indices;
}

/// 0 stands in for the -inf of a row that no key has reached.
Value MergeEmitter::rowMax() {
  Type f32 = b.getF32Type();
  Value dead = splat(b, f32, -infinity);
  Value splits = memref::DimOp::create(b, op.getMax(), 0);
  Value max =
      loop(splits, dead, [&](Value split, ValueRange largest) {
        return Values{buildMax(b, largest[0], load(op.getMax(), split))};
      }).front();
  Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, max, dead);
  return arith::SelectOp::create(b, none, splat(b, f32, 0.0), max);
}

Value MergeEmitter::loadVector(Value memref, ValueRange indices, int64_t left) {
  VectorType type = VectorType::get({lanes}, b.getF32Type());
  if (lanes == 1)
    return vector::BroadcastOp::create(
        b, type, memref::LoadOp::create(b, memref, indices));
  if (left >= lanes)
    return vector::LoadOp::create(b, type, memref, indices);
  return vector::MaskedLoadOp::create(b, type, memref, indices, exists(left),
                                      splat(b, type, 0.0));
}

void MergeEmitter::storeVector(Value vector, Value memref, ValueRange indices,
                               int64_t left) {
  if (lanes == 1)
    memref::StoreOp::create(
        b, vector::ExtractOp::create(b, vector, ArrayRef<int64_t>{0}), memref,
        indices);
  else if (left >= lanes)
    vector::StoreOp::create(b, vector, memref, indices);
  else
    vector::MaskedStoreOp::create(b, memref, indices, exists(left), vector);
}

void MergeEmitter::mergeRow() {
  Value max = rowMax(), sum;
  int64_t column = 0;
  do { // once even without columns: for the sum
    sum = mergeColumns(max, column, std::min(vectors * lanes, width - column));
    column += vectors * lanes;
  } while (column < width);
  if (op.getLse())
    storeLse(max, sum);
}

Value MergeEmitter::mergeColumns(Value max, int64_t column, int64_t columns) {
  Type f32 = b.getF32Type();
  VectorType type = VectorType::get({lanes}, f32);
  Value splits = memref::DimOp::create(b, op.getMax(), 0);
  Values init = {splat(b, f32, 0.0)};
  init.append(llvm::divideCeil(columns, lanes), splat(b, type, 0.0));
  Values totals = loop(splits, init, [&](Value split, ValueRange carried) {
    Value weight =
        buildExp2(b, arith::SubFOp::create(b, load(op.getMax(), split), max));
    Value part = arith::MulFOp::create(b, load(op.getSum(), split), weight);
    Values next = {arith::AddFOp::create(b, carried[0], part)};
    Value weights = vector::BroadcastOp::create(b, type, weight);
    for (auto [z, total] : llvm::enumerate(carried.drop_front())) {
      int64_t left = columns - z * lanes;
      auto indices = at(spec.output, split, index(column + z * lanes));
      Value vector = loadVector(op.getAccumulator(), indices, left);
      askForNext(indices);
      next.push_back(vector::FMAOp::create(b, weights, vector, total));
    }
    return next;
  });
  storeColumns(ValueRange(totals).drop_front(), totals.front(), column,
               columns);
  return totals.front();
}

/// output = total / sum, 0 where no key attended.
void MergeEmitter::storeColumns(ValueRange totals, Value sum, int64_t column,
                                int64_t columns) {
  Type f32 = b.getF32Type();
  Type element = cast<MemRefType>(op.getOutput().getType()).getElementType();
  Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, sum,
                                     splat(b, f32, 0.0));
  Value divisor = arith::SelectOp::create(b, none, splat(b, f32, 1.0), sum);
  VectorType type = VectorType::get({lanes}, f32);
  Value divisors = vector::BroadcastOp::create(b, type, divisor);
  for (auto [z, total] : llvm::enumerate(totals)) {
    Value value = arith::DivFOp::create(b, total, divisors);
    if (element.isF64())
      value = arith::ExtFOp::create(b, type.clone(element), value);
    else if (!element.isF32())
      value = arith::TruncFOp::create(b, type.clone(element), value);
    auto indices = at(spec.output, Value(), index(column + z * lanes));
    int64_t left = columns - z * lanes;
    storeVector(value, op.getOutput(), indices, left);
  }
}

/// lse = max * ln(2) + ln(sum), -inf where no key attended.
void MergeEmitter::storeLse(Value max, Value sum) {
  Value ln2 = splat(b, b.getF32Type(), 0.6931471805599453);
  Value lse = arith::AddFOp::create(b, arith::MulFOp::create(b, max, ln2),
                                    math::LogOp::create(b, sum));
  memref::StoreOp::create(b, lse, op.getLse(),
                          at(spec.inputs[0], Value(), Value()));
}

/// States come from other threads' caches, in runs of a row that are too short
/// for the hardware to follow: the next row's columns are asked for.
void MergeEmitter::askForNext(SmallVector<Value> indices) {
  if (lanes == 1)
    return;
  indices.back() = arith::AddIOp::create(b, indices.back(), index(width));
  memref::PrefetchOp::create(b, op.getAccumulator(), indices,
                             /*isWrite=*/false, /*localityHint=*/3,
                             /*isDataCache=*/true);
}

LogicalResult einhead::lowerMerge(RewriterBase &rewriter, MergeOp op) {
  if (failed(MergeEmitter(rewriter, op).run()))
    return failure();
  rewriter.eraseOp(op);
  return success();
}
