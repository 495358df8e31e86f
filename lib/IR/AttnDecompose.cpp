//===- AttnDecompose.cpp - The graph that an attention stands for ---------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// AggregatedOpInterface: einsum, scale, score, bias, softmax, einsum.  A
// softmax op takes one letter, a length by its first letter, and indices from
// 0.  What an attention has beyond that decides here, before the softmax, which
// scores count: the others become -inf.  A softmax over several letters is
// linalg ops at once.

#include "einhead/IR/LetterLoops.h"
#include "einhead/IR/Mask.h"
#include "einhead/IR/Tile.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace einhead::attn;

namespace {
class Decomposition {
public:
  Decomposition(OpBuilder &builder, AttentionOp op)
      : b(builder), op(op), like(cast<AttentionLike>(op.getOperation())),
        loc(op.getLoc()), roles(rolesOf(like)), letters(roles.scores()),
        output(cast<RankedTensorType>(op.getOutput().getType())),
        type(output.getElementType().isF64() ? output.getElementType()
                                             : builder.getF32Type()) {}

  SmallVector<Value> run();

private:
  Value widened(Value rows, llvm::StringRef term, Value scale,
                llvm::StringRef scaleTerm);
  Value scaledDots();
  Value mapScores(Value scores, ArrayRef<Lettered> more, ElementBody body);
  Value addBias(Value scores);
  Value applyScore(Value scores);
  bool softmaxDecides();
  Value listedKeys();
  Value indexOfLetter(OpBuilder &builder, llvm::StringRef loops, char letter);
  Value isLive(OpBuilder &builder, Value valid, Value listed);
  Value liveScores(Value scores);
  Value softmaxOp(Value scores);
  SoftmaxRows rowsOf(Value scores);
  Value weightedSum(Value scores);
  Value castTo(Type wanted, Value value);
  Value logSumExp(Value scores);

  OpBuilder &b;
  AttentionOp op;
  AttentionLike like;
  Location loc;
  AttentionRoles roles;
  std::string letters; ///< of the scores
  RankedTensorType output;
  Type type; ///< of scores, weights and sums
  Value key, value;
};
} // namespace

/// 8-bit rows times their scales; of i8 no einsum takes them as they are.
Value Decomposition::widened(Value rows, llvm::StringRef term, Value scale,
                             llvm::StringRef scaleTerm) {
  if (!scale)
    return rows;
  auto wide = cast<RankedTensorType>(
      cast<RankedTensorType>(rows.getType()).clone(b.getF32Type()));
  Value floats = rows;
  if (getElementTypeOrSelf(rows).isInteger())
    floats = arith::SIToFPOp::create(b, loc, wide, rows);
  return EinsumOp::create(b, loc, wide,
                          (term + ", " + scaleTerm + " -> " + term).str(),
                          ValueRange{floats, scale});
}

//===----------------------------------------------------------------------===//
// The scores
//===----------------------------------------------------------------------===//

Value Decomposition::scaledDots() {
  SmallVector<int64_t> shape;
  SmallVector<Value> dynamic;
  for (char letter : letters) {
    shape.push_back(staticExtent(like, letter));
    if (ShapedType::isDynamic(shape.back()))
      dynamic.push_back(cast<Value>(letterExtent(b, like, letter)));
  }
  auto scores = RankedTensorType::get(shape, type);
  Value dots = EinsumOp::create(
      b, loc, scores, roles.queryTerm + ", " + roles.keyTerm + " -> " + letters,
      ValueRange{op.getQuery(), key});
  Value scale = createFloat(b, loc, type, op.getScale().convertToDouble());
  Value scales = tensor::SplatOp::create(b, loc, scale, scores, dynamic);
  return arith::MulFOp::create(b, loc, dots, scales);
}

/// `body` of each score and the elements of `more`.
Value Decomposition::mapScores(Value scores, ArrayRef<Lettered> more,
                               ElementBody body) {
  SmallVector<Lettered> inputs = {{scores, letters}};
  llvm::append_range(inputs, more);
  Value empty = tensor::EmptyOp::create(
      b, loc, tensor::getMixedSizes(b, loc, scores), type);
  return createLetterLoops(b, loc, letters, inputs, empty, letters, body);
}

/// The bias is repeated over the letters that it lacks.
Value Decomposition::addBias(Value scores) {
  Lettered bias(op.getBias(), op.getBiasLetters()->str());
  return mapScores(
      scores, bias,
      [&](OpBuilder &builder, Location l, ValueRange args) -> Value {
        Value term = convertFloat(builder, l, args[1], type);
        return arith::AddFOp::create(builder, l, args[0], term);
      });
}

/// The index of the loop over `letter`, from where the whole attention starts.
Value Decomposition::indexOfLetter(OpBuilder &builder, llvm::StringRef loops,
                                   char letter) {
  Value index = linalg::IndexOp::create(builder, loc, indexOf(loops, letter));
  if (Value offset = offsetOf(like, letter))
    index = arith::AddIOp::create(builder, loc, index, offset);
  return index;
}

/// The score region at each score.
Value Decomposition::applyScore(Value scores) {
  Block &block = *scoreOf(like);
  return mapScores(
      scores, {}, [&](OpBuilder &builder, Location l, ValueRange args) {
        IRMapping mapping;
        mapping.map(block.getArgument(0),
                    convertFloat(builder, l, args[0], builder.getF32Type()));
        for (auto [letter, index] :
             llvm::zip(letters, block.getArguments().drop_front()))
          mapping.map(index, indexOfLetter(builder, letters, letter));
        for (Operation &inner : block.without_terminator())
          builder.clone(inner, mapping);
        Value score = mapping.lookupOrDefault(
            cast<YieldOp>(block.getTerminator()).getScore());
        return convertFloat(builder, l, score, type);
      });
}

//===----------------------------------------------------------------------===//
// Which scores count
//===----------------------------------------------------------------------===//

/// Whether lengths and masks can be left to the softmax op.
bool Decomposition::softmaxDecides() {
  if (op.getBlocks() || op.getOffsetLetters() || op.getLse())
    return false;
  if (op.getMask() && roles.key.size() != 1)
    return false;
  bool lengthOfRow = op.getValid() && !op.getValid().getType().isIndex();
  return !lengthOfRow || letters.front() == roles.queryTerm.front();
}

/// i1 over the block letters and the key letter: whether the key's block stands
/// in the list.
Value Decomposition::listedKeys() {
  char key = roles.key.front();
  // The dimension of the list is no letter.
  std::string lists = op.getBlockLetters()->str() + "*";
  std::string output = op.getBlockLetters()->str() + key;
  SmallVector<OpFoldResult> shape;
  for (char letter : output)
    shape.push_back(letterExtent(b, like, letter));
  Value none = arith::ConstantIntOp::create(b, loc, b.getI1Type(), 0);
  Value empty = tensor::EmptyOp::create(b, loc, shape, b.getI1Type());
  Value init = linalg::FillOp::create(b, loc, none, empty).getResult(0);
  std::string loops = output + "*";
  return createLetterLoops(
      b, loc, loops, Lettered(op.getBlocks(), lists), init, output,
      [&](OpBuilder &builder, Location l, ValueRange args) -> Value {
        Value size =
            arith::ConstantIndexOp::create(builder, l, *op.getBlockSize());
        Value block = arith::DivUIOp::create(
            builder, l, indexOfLetter(builder, loops, key), size);
        Value entry = arith::IndexCastOp::create(
            builder, l, builder.getIndexType(), args[0]);
        Value same = arith::CmpIOp::create(builder, l, arith::CmpIPredicate::eq,
                                           entry, block);
        return arith::OrIOp::create(builder, l, args[1], same);
      });
}

/// Whether the score at the loop indices counts; null where all do.
Value Decomposition::isLive(OpBuilder &builder, Value valid, Value listed) {
  Value live = listed;
  auto require = [&](Value more) {
    live = live ? Value(arith::AndIOp::create(builder, loc, live, more)) : more;
  };
  if (valid) {
    if (!valid.getType().isIndex())
      valid = arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                         valid);
    Value key = indexOfLetter(builder, letters, roles.key.front());
    require(arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::slt, key,
                                  valid));
  }
  if (std::optional<MaskAttr> mask = op.getMask()) {
    SmallVector<Value> dims;
    for (char letter : mask->getLetters())
      dims.push_back(indexOfLetter(builder, letters, letter));
    require(buildMaskTest(builder, loc, *mask, dims, op.getMaskSymbols()));
  }
  return live;
}

/// -inf for each score that does not count.
Value Decomposition::liveScores(Value scores) {
  SmallVector<Lettered> more;
  Value valid = op.getValid();
  if (valid && !valid.getType().isIndex())
    more.push_back({valid, roles.queryTerm.substr(0, 1)});
  if (op.getBlocks())
    more.push_back({listedKeys(), op.getBlockLetters()->str() + roles.key});
  if (!valid && !op.getBlocks() && !op.getMask())
    return scores;
  return mapScores(
      scores, more,
      [&](OpBuilder &builder, Location l, ValueRange args) -> Value {
        ValueRange rest = args.drop_front().drop_back();
        Value listed = op.getBlocks() ? rest.back() : Value();
        Value length =
            valid && !valid.getType().isIndex() ? rest.front() : valid;
        Value dead = createFloat(builder, l, type,
                                 -std::numeric_limits<double>::infinity());
        return arith::SelectOp::create(
            builder, l, isLive(builder, length, listed), args[0], dead);
      });
}

//===----------------------------------------------------------------------===//
// The softmax
//===----------------------------------------------------------------------===//

Value Decomposition::softmaxOp(Value scores) {
  bool decides = softmaxDecides();
  return SoftmaxOp::create(
      b, loc, scores.getType(), b.getStringAttr(letters),
      b.getStringAttr(roles.key), scores, decides ? op.getValid() : Value(),
      decides ? op.getMaskAttr() : MaskAttr(),
      decides ? ValueRange(op.getMaskSymbols()) : ValueRange(),
      op.getSinkLettersAttr(), op.getSink());
}

SoftmaxRows Decomposition::rowsOf(Value scores) {
  Lettered sink(op.getSink(), op.getSinkLetters().value_or("").str());
  return createSoftmaxRows(b, loc, Lettered(scores, letters), roles.key, sink);
}

/// The sum of the values with the softmax of `scores` over several letters,
/// which no softmax op takes.
Value Decomposition::weightedSum(Value scores) {
  SoftmaxRows rows = rowsOf(scores);
  Value weights = createLetterLoops(
      b, loc, letters, {{rows.weights, letters}, {rows.sum, roles.state()}},
      tensor::EmptyOp::create(
          b, loc, tensor::getMixedSizes(b, loc, rows.weights), type),
      letters, [&](OpBuilder &c, Location l, ValueRange args) {
        return createShare(c, l, args[0], args[1], type);
      });
  SmallVector<OpFoldResult> shape;
  for (char letter : roles.outputTerm)
    shape.push_back(letterExtent(b, like, letter));
  Value result = createLetterLoops(
      b, loc, letters + roles.value,
      {{weights, letters}, {value, roles.valueTerm}},
      createFilled(b, loc, shape, type, 0.0), roles.outputTerm,
      [&](OpBuilder &c, Location l, ValueRange args) -> Value {
        Value product =
            createWeighted(c, l, args[0], convertFloat(c, l, args[1], type));
        return arith::AddFOp::create(c, l, args[2], product);
      });
  Type element = output.getElementType();
  if (type != element)
    result = arith::TruncFOp::create(
        b, loc, cast<RankedTensorType>(result.getType()).clone(element),
        result);
  return castTo(output, result);
}

/// The dimensions that are known differ.
Value Decomposition::castTo(Type wanted, Value value) {
  if (value.getType() == wanted)
    return value;
  return tensor::CastOp::create(b, loc, wanted, value);
}

/// max + ln(sum), -inf in a row without keys.
Value Decomposition::logSumExp(Value scores) {
  std::string state = roles.state();
  // What the softmax computes too; CSE finds it.
  SoftmaxRows rows = rowsOf(scores);
  Value empty = tensor::EmptyOp::create(
      b, loc, tensor::getMixedSizes(b, loc, rows.max), b.getF32Type());
  Value lse = createLetterLoops(
      b, loc, state, {{rows.max, state}, {rows.sum, state}}, empty, state,
      [&](OpBuilder &builder, Location l, ValueRange args) -> Value {
        // Without a key both are -inf.
        Value log = math::LogOp::create(builder, l, args[1]);
        Value sum = arith::AddFOp::create(builder, l, args[0], log);
        return convertFloat(builder, l, sum, builder.getF32Type());
      });
  return castTo(op.getLse().getType(), lse);
}

SmallVector<Value> Decomposition::run() {
  key = widened(op.getKey(), roles.keyTerm, op.getKeyScale(), roles.keyScale());
  value = widened(op.getValue(), roles.valueTerm, op.getValueScale(),
                  roles.valueScale());
  Value scores = scaledDots();
  if (scoreOf(like))
    scores = applyScore(scores);
  if (op.getBias())
    scores = addBias(scores);
  if (!softmaxDecides())
    scores = liveScores(scores);
  Value result;
  if (roles.key.size() == 1)
    result = EinsumOp::create(b, loc, output,
                              letters + ", " + roles.valueTerm + " -> " +
                                  roles.outputTerm,
                              ValueRange{softmaxOp(scores), value});
  else
    result = weightedSum(scores);
  if (!op.getLse())
    return {result};
  return {result, logSumExp(scores)};
}

FailureOr<SmallVector<Value>>
AttentionOp::decomposeOperation(OpBuilder &builder) {
  if (!isa<RankedTensorType>(getQuery().getType()))
    return emitOpError("on buffers has no graph; decompose it before "
                       "bufferization");
  return Decomposition(builder, *this).run();
}
