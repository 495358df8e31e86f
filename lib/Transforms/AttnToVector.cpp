//===- AttnToVector.cpp - Lower tiled attention on buffers ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "PartialToVector.h"
#include "VectorMath.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

namespace einhead {
#define GEN_PASS_DEF_ATTNTOVECTORPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

namespace {
/// attn.merge: scalar loops over plain arrays, which LLVM vectorises.
class MergeEmitter {
public:
  MergeEmitter(RewriterBase &rewriter, MergeOp op)
      : b(op.getLoc(), rewriter), op(op),
        spec(*EinsumSpec::parse(op.getSpec())) {
    values = lettersWithout(spec.output, spec.inputs[0]);
  }

  LogicalResult run() {
    if (values.size() != 1)
      return op.emitOpError("needs one value letter, has \"") << values << "\"";
    auto type = cast<MemRefType>(op.getAccumulator().getType());
    width = type.getDimSize(indexOf(spec.output, values[0]) + 1);
    if (ShapedType::isDynamic(width))
      return op.emitOpError("needs a static value extent");
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(scratchBlock(op));
    total = memref::AllocaOp::create(
        b, MemRefType::get({width}, b.getF32Type()), b.getI64IntegerAttr(64));
    b.setInsertionPoint(op);
    overRows(0);
    return success();
  }

private:
  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(b, value);
  }

  Value loop(Value to, Value carried,
             llvm::function_ref<Value(Value, Value)> body) {
    SmallVector<Value> init;
    if (carried)
      init.push_back(carried);
    auto op = scf::ForOp::create(
        b, index(0), to, index(1), init,
        [&](OpBuilder &inner, Location, Value i, ValueRange args) {
          OpBuilder::InsertionGuard guard(b);
          b.setInsertionPoint(inner.getInsertionBlock(),
                              inner.getInsertionPoint());
          Value next = body(i, carried ? args[0] : Value());
          scf::YieldOp::create(b, next ? ValueRange(next) : ValueRange());
        });
    return carried ? op.getResult(0) : Value();
  }

  void overRows(size_t letter) {
    if (letter == spec.inputs[0].size())
      return mergeRow();
    Value count = memref::DimOp::create(b, op.getMax(), letter + 1);
    loop(count, Value(), [&](Value i, Value) {
      rowIndices.push_back(i);
      overRows(letter + 1);
      rowIndices.pop_back();
      return Value();
    });
  }

  /// Indices over `term`: [split,] the row's, and `column` for the value
  /// letter.
  SmallVector<Value> at(llvm::StringRef term, Value split, Value column) {
    SmallVector<Value> indices;
    if (split)
      indices.push_back(split);
    for (char letter : term) {
      int64_t place = indexOf(spec.inputs[0], letter);
      indices.push_back(place < 0 ? column : rowIndices[place]);
    }
    return indices;
  }

  Value load(Value state, Value split) {
    return memref::LoadOp::create(b, state, at(spec.inputs[0], split, Value()));
  }

  void mergeRow() {
    Type f32 = b.getF32Type();
    Value dead = splat(b, f32, -std::numeric_limits<double>::infinity());
    Value zero = splat(b, f32, 0.0);
    Value splits = memref::DimOp::create(b, op.getMax(), 0);
    Value max = loop(splits, dead, [&](Value split, Value largest) {
      return buildMax(b, largest, load(op.getMax(), split));
    });
    Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, max, dead);
    max = arith::SelectOp::create(b, none, zero, max);
    loop(index(width), Value(), [&](Value column, Value) {
      memref::StoreOp::create(b, zero, total, column);
      return Value();
    });
    Value sum = loop(splits, zero, [&](Value split, Value sum) {
      Value weight =
          buildExp2(b, arith::SubFOp::create(b, load(op.getMax(), split), max));
      loop(index(width), Value(), [&](Value column, Value) {
        Value part = memref::LoadOp::create(b, op.getAccumulator(),
                                            at(spec.output, split, column));
        Value old = memref::LoadOp::create(b, total, column);
        part = arith::MulFOp::create(b, part, weight);
        memref::StoreOp::create(b, arith::AddFOp::create(b, old, part), total,
                                column);
        return Value();
      });
      Value part = arith::MulFOp::create(b, load(op.getSum(), split), weight);
      return Value(arith::AddFOp::create(b, sum, part));
    });
    storeRow(sum);
    if (op.getLse())
      storeLse(max, sum);
  }

  /// output = total / sum, 0 where no key attended.
  void storeRow(Value sum) {
    Type f32 = b.getF32Type();
    Type element = cast<MemRefType>(op.getOutput().getType()).getElementType();
    Value zero = splat(b, f32, 0.0);
    Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, sum, zero);
    Value divisor = arith::SelectOp::create(b, none, splat(b, f32, 1.0), sum);
    loop(index(width), Value(), [&](Value column, Value) {
      Value value = memref::LoadOp::create(b, total, column);
      value = arith::DivFOp::create(b, value, divisor);
      if (element.isF64())
        value = arith::ExtFOp::create(b, element, value);
      else if (!element.isF32())
        value = arith::TruncFOp::create(b, element, value);
      memref::StoreOp::create(b, value, op.getOutput(),
                              at(spec.output, Value(), column));
      return Value();
    });
  }

  /// lse = max * ln(2) + ln(sum), -inf where no key attended.
  void storeLse(Value max, Value sum) {
    Type f32 = b.getF32Type();
    Value ln2 = splat(b, f32, 0.6931471805599453);
    Value lse = arith::AddFOp::create(b, arith::MulFOp::create(b, max, ln2),
                                      math::LogOp::create(b, sum));
    memref::StoreOp::create(b, lse, op.getLse(),
                            at(spec.inputs[0], Value(), Value()));
  }

  ImplicitLocOpBuilder b;
  MergeOp op;
  EinsumSpec spec;
  std::string values;
  int64_t width = 0;
  Value total;
  SmallVector<Value> rowIndices;
};

struct AttnToVectorPass final
    : einhead::impl::AttnToVectorPassBase<AttnToVectorPass> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa<PartialAttentionOp, MergeOp, memref::CopyOp>(op))
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (Operation *op : ops)
      if (failed(lower(rewriter, op)))
        return signalPassFailure();
  }

  static LogicalResult lower(RewriterBase &rewriter, Operation *op) {
    rewriter.setInsertionPoint(op);
    if (auto copy = dyn_cast<memref::CopyOp>(op)) {
      // A call of a copy routine would be one more import of the module.
      rewriter.replaceOpWithNewOp<linalg::CopyOp>(copy, copy.getSource(),
                                                  copy.getTarget());
      return success();
    }
    if (!llvm::all_of(op->getOperandTypes(),
                      [](Type type) { return !isa<TensorType>(type); }))
      return op->emitOpError("is on tensors; bufferize first");
    if (auto partial = dyn_cast<PartialAttentionOp>(op))
      return lowerPartialAttention(rewriter, partial);
    if (failed(MergeEmitter(rewriter, cast<MergeOp>(op)).run()))
      return failure();
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace
