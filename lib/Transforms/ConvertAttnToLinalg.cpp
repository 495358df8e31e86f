//===- ConvertAttnToLinalg.cpp - Lower the graph ops through linalg -------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "EinsumLoops.h"
#include "LowerAppend.h"
#include "einhead/IR/Attn.h"
#include "einhead/IR/LetterLoops.h"
#include "einhead/IR/Mask.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IntegerSet.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace einhead {
#define GEN_PASS_DEF_CONVERTATTNTOLINALGPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// `value` with the type of what it replaces, which may know fewer extents than
/// the operands do.
static Value retyped(OpBuilder &builder, Value value, Type type) {
  if (value.getType() == type)
    return value;
  return tensor::CastOp::create(builder, value.getLoc(), type, value);
}

//===----------------------------------------------------------------------===//
// attn.einsum
//===----------------------------------------------------------------------===//

namespace {
/// a, b, c -> d becomes (a, b -> t), (t, c -> d), where t keeps what is needed.
struct SplitLongEinsum final : OpRewritePattern<EinsumOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(EinsumOp op,
                                PatternRewriter &rewriter) const override {
    EinsumSpec spec = *EinsumSpec::parse(op.getSpec());
    if (spec.inputs.size() < 3)
      return rewriter.notifyMatchFailure(op, "at most two operands");
    std::string later = spec.output;
    for (const std::string &term : llvm::drop_begin(spec.inputs, 2))
      later += term;
    EinsumSpec first{{spec.inputs[0], spec.inputs[1]}, ""};
    SmallVector<int64_t> shape;
    for (char letter : first.letters())
      if (later.find(letter) != std::string::npos) {
        first.output.push_back(letter);
        shape.push_back(extent(op, spec, letter));
      }
    Type element = op.getType().getElementType();
    if (!element.isF64())
      element = rewriter.getF32Type();
    Value product = EinsumOp::create(
        rewriter, op.getLoc(), RankedTensorType::get(shape, element),
        first.str(), ValueRange{op.getInputs()[0], op.getInputs()[1]});
    EinsumSpec rest{{first.output}, spec.output};
    rest.inputs.append(spec.inputs.begin() + 2, spec.inputs.end());
    SmallVector<Value> operands = {product};
    llvm::append_range(operands, llvm::drop_begin(op.getInputs(), 2));
    rewriter.replaceOpWithNewOp<EinsumOp>(op, op.getType(), rest.str(),
                                          operands);
    return success();
  }

  static int64_t extent(EinsumOp op, const EinsumSpec &spec, char letter) {
    int64_t extent = ShapedType::kDynamic;
    for (auto [term, input] : llvm::zip(spec.inputs, op.getInputs()))
      if (int64_t at = indexOf(term, letter); at >= 0)
        if (auto type = cast<ShapedType>(input.getType());
            !type.isDynamicDim(at))
          extent = type.getDimSize(at);
    return extent;
  }
};

/// One or two operands: a linalg.generic.
struct LowerEinsum final : OpRewritePattern<EinsumOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(EinsumOp op,
                                PatternRewriter &rewriter) const override {
    EinsumSpec spec = *EinsumSpec::parse(op.getSpec());
    if (spec.inputs.empty() || spec.inputs.size() > 2)
      return rewriter.notifyMatchFailure(op, "not one or two operands");
    Location loc = op.getLoc();
    Type result = op.getType().getElementType();
    Type sum = sumType(rewriter, result);
    ReifiedRankedShapedTypeDims shapes;
    (void)op.reifyResultShapes(rewriter, shapes);
    Value init = createFilled(rewriter, loc, shapes[0], sum, 0.0);
    Value value = createSumOfProducts(rewriter, loc, spec, loopOrder(spec),
                                      op.getInputs(), init)
                      .getResult(0);
    if (sum != result)
      value = arith::TruncFOp::create(
          rewriter, loc, cast<RankedTensorType>(value.getType()).clone(result),
          value);
    rewriter.replaceOp(op, retyped(rewriter, value, op.getType()));
    return success();
  }

  /// The output's letters, then the summed ones; but the last letter of the
  /// largest operand goes innermost, so that its reads are contiguous.
  static std::string loopOrder(const EinsumSpec &spec) {
    const std::string *largest = &spec.inputs[0];
    for (const std::string &term : spec.inputs)
      if (term.size() >= largest->size())
        largest = &term;
    std::string order = spec.output;
    order += lettersWithout(EinsumSpec{spec.inputs, ""}.letters(), spec.output);
    if (largest->empty())
      return order;
    char last = largest->back();
    return lettersWithout(order, std::string(1, last)) + last;
  }
};

//===----------------------------------------------------------------------===//
// attn.softmax
//===----------------------------------------------------------------------===//

/// exp(x - max) / sum, where a row's dead entries count as -inf.
struct LowerSoftmax final : OpRewritePattern<SoftmaxOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SoftmaxOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    std::string letters = op.getLetters().str();
    std::string rows = lettersWithout(letters, op.getOver());
    std::string loops = rows + op.getOver().str();
    auto shape = tensor::getMixedSizes(rewriter, loc, op.getInput());

    Lettered scores(liveScores(rewriter, op, loops, shape), letters);
    Lettered sink(op.getSink(), op.getSinkLetters().value_or("").str());
    SoftmaxRows softmax =
        createSoftmaxRows(rewriter, loc, scores, op.getOver(), sink);
    Type element = op.getType().getElementType();
    Value result = createLetterLoops(
        rewriter, loc, loops, {{softmax.weights, letters}, {softmax.sum, rows}},
        tensor::EmptyOp::create(rewriter, loc, shape, element), letters,
        [&](OpBuilder &b, Location l, ValueRange args) -> Value {
          return createShare(b, l, args[0], args[1], element);
        });
    rewriter.replaceOp(op, retyped(rewriter, result, op.getType()));
    return success();
  }

private:
  /// Whether the element at the current loop indices is valid and unmasked.
  static Value isLive(OpBuilder &b, Location loc, SoftmaxOp op,
                      llvm::StringRef loops, Value length) {
    auto indexOfLetter = [&](char letter) -> Value {
      return linalg::IndexOp::create(b, loc, indexOf(loops, letter));
    };
    Value live;
    if (op.getValid()) {
      Value limit = op.getValid();
      if (!limit.getType().isIndex())
        limit = arith::IndexCastOp::create(b, loc, b.getIndexType(), length);
      live = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt,
                                   indexOfLetter(op.getOver().front()), limit);
    }
    if (std::optional<MaskAttr> mask = op.getMask()) {
      SmallVector<Value> dims;
      for (char letter : mask->getLetters())
        dims.push_back(indexOfLetter(letter));
      Value inside = buildMaskTest(b, loc, *mask, dims, op.getMaskSymbols());
      live = live ? Value(arith::AndIOp::create(b, loc, live, inside)) : inside;
    }
    return live;
  }

  /// The scores in f32 (f64 where they are), -inf where they are not live.
  static Value liveScores(OpBuilder &builder, SoftmaxOp op,
                          const std::string &loops,
                          ArrayRef<OpFoldResult> shape) {
    std::string letters = op.getLetters().str();
    Type element = op.getType().getElementType();
    Type type = sumType(builder, element);
    if (!op.getValid() && !op.getMask() && element == type)
      return op.getInput();
    SmallVector<Lettered> inputs = {{op.getInput(), letters}};
    if (op.getValid() && !op.getValid().getType().isIndex())
      inputs.push_back({op.getValid(), letters.substr(0, 1)});
    Location loc = op.getLoc();
    return createLetterLoops(
        builder, loc, loops, inputs,
        tensor::EmptyOp::create(builder, loc, shape, type), letters,
        [&](OpBuilder &b, Location l, ValueRange args) -> Value {
          Value score = convertFloat(b, l, args[0], type);
          Value live = isLive(b, l, op, loops, args[1]);
          if (!live)
            return score;
          Value dead =
              createFloat(b, l, type, -std::numeric_limits<double>::infinity());
          return arith::SelectOp::create(b, l, live, score, dead);
        });
  }
};

} // namespace

/// Attentions that were not tiled become their graph again.
static LogicalResult decomposeUnscheduled(func::FuncOp function) {
  SmallVector<AttentionOp> ops;
  function.walk([&](AttentionOp op) {
    // A kernel of tensor cores takes it whole.
    ScheduleAttr schedule = op.getScheduleAttr();
    if (!schedule || schedule.getProducts() != Products::WGMMA)
      ops.push_back(op);
  });
  IRRewriter rewriter(function.getContext());
  for (AttentionOp op : ops) {
    rewriter.setInsertionPoint(op);
    FailureOr<SmallVector<Value>> values = op.decomposeOperation(rewriter);
    if (failed(values))
      return failure();
    rewriter.replaceOp(op, *values);
  }
  return success();
}

namespace {
struct ConvertAttnToLinalgPass final
    : einhead::impl::ConvertAttnToLinalgPassBase<ConvertAttnToLinalgPass> {
  void runOnOperation() override {
    if (failed(decomposeUnscheduled(getOperation())))
      return signalPassFailure();
    // Einsums first: they ask whether an operand is a softmax.
    RewritePatternSet einsums(&getContext()), others(&getContext());
    einsums.add<SplitLongEinsum, LowerEinsum>(&getContext());
    others.add<LowerSoftmax>(&getContext());
    populateAppendLowering(others);
    if (failed(applyPatternsGreedily(getOperation(), std::move(einsums))) ||
        failed(applyPatternsGreedily(getOperation(), std::move(others))))
      return signalPassFailure();
    WalkResult left = getOperation().walk([](Operation *op) {
      if (!isa<EinsumOp, SoftmaxOp, AppendOp>(op))
        return WalkResult::advance();
      op->emitOpError("has no lowering to linalg");
      return WalkResult::interrupt();
    });
    if (left.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
