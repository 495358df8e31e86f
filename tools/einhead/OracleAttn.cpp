//===- OracleAttn.cpp - The attn dialect ------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "OracleOps.h"
#include "einhead/IR/Attn.h"
#include <cmath>

using namespace mlir;
using llvm::Error;

namespace einhead::tool::oracle {

/// The mask's sets, with what their symbols are here; without one, everything
/// attends.
static reference::Mask maskOf(State &state,
                              std::optional<attn::MaskAttr> attribute,
                              OperandRange symbolValues) {
  if (!attribute)
    return {};
  SmallVector<IntegerSet> sets;
  for (IntegerSetAttr set : attribute->getSets())
    sets.push_back(set.getValue());
  SmallVector<int64_t> symbols;
  for (Value value : symbolValues)
    symbols.push_back(state.integer(value));
  return {attribute->getLetters().str(), [sets, symbols](const Point &point) {
            return llvm::any_of(sets, [&](IntegerSet set) {
              return holds(set, point, symbols);
            });
          }};
}

static reference::Sink sinkOf(State &state, Value scores,
                              std::optional<StringRef> letters) {
  if (!scores)
    return {};
  return {letters.value_or("").str(), *state.tensor(scores)};
}

static std::vector<int64_t> integersOf(State &state, Value value) {
  return value ? state.integers(value) : std::vector<int64_t>();
}

/// Whether a value is a softmax's result, reshaped or converted: its exact
/// zeros are keys that do not attend, whose values may be NaN.
static bool isWeights(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return false;
  if (isa<attn::SoftmaxOp>(op))
    return true;
  return isa<arith::TruncFOp, arith::ExtFOp, tensor::CastOp,
             tensor::ExpandShapeOp, tensor::CollapseShapeOp,
             tensor::ExtractSliceOp>(op) &&
         isWeights(op->getOperand(0));
}

/// Whether attention on `operands` may round its weights to bf16: all are, or
/// narrower.
static bool mayRoundWeights(ValueRange operands) {
  return llvm::all_of(operands, [](Value operand) {
    reference::Type type = storageOf(operand.getType());
    return type == reference::Type::BF16 || type == reference::Type::F8E4M3;
  });
}

/// Whether tensor cores of a GPU may round weights to f16.
static bool isHalf(ValueRange operands) {
  return llvm::all_of(operands, [](Value operand) {
    return storageOf(operand.getType()) == reference::Type::F16;
  });
}

/// The weights that meet bf16 values may be rounded before they do.
static void roundWeights(attn::EinsumOp einsum, std::vector<Tensor> &operands) {
  double unit = reference::unitRoundoff(reference::Type::BF16);
  for (auto [i, input] : llvm::enumerate(einsum.getInputs())) {
    if (!isWeights(input))
      continue;
    SmallVector<Value> others(einsum.getInputs());
    others.erase(others.begin() + i);
    if (mayRoundWeights(others))
      for (int64_t at = 0; at < operands[i].size(); ++at)
        operands[i].bound[at] += std::fabs(operands[i].value[at]) * unit;
  }
}

static Error evaluateEinsum(State &state, Operation *op) {
  auto einsum = cast<attn::EinsumOp>(op);
  std::vector<Tensor> operands;
  reference::EinsumOptions options;
  options.sumBlock = state.options.sumBlock;
  options.independentErrors =
      state.options.errors == OracleOptions::Errors::Independent;
  bool narrows = false;
  reference::Type type = storageOf(einsum.getType());
  for (Value input : einsum.getInputs()) {
    operands.push_back(*state.tensor(input));
    narrows |= storageOf(input.getType()) == reference::Type::F64 &&
               type == reference::Type::F32;
    options.zerosAbsorb |= isWeights(input);
  }
  roundWeights(einsum, operands);
  options.output = type;
  Tensor result = reference::einsum(einsum.getSpec().str(), operands, options);
  if (narrows) // even where there is no arithmetic
    result = reference::store(std::move(result), type);
  state.set(op->getResult(0), std::move(result));
  return Error::success();
}

static Error evaluateSoftmax(State &state, Operation *op) {
  auto softmax = cast<attn::SoftmaxOp>(op);
  state.set(op->getResult(0),
            reference::softmax(
                *state.tensor(softmax.getInput()), softmax.getLetters().str(),
                softmax.getOver().front(),
                integersOf(state, softmax.getValid()),
                maskOf(state, softmax.getMask(), softmax.getMaskSymbols()),
                storageOf(softmax.getType()),
                sinkOf(state, softmax.getSink(), softmax.getSinkLetters())));
  return Error::success();
}

static Error evaluateAppend(State &state, Operation *op) {
  auto append = cast<attn::AppendOp>(op);
  state.set(op->getResult(0),
            reference::append(append.getSpec().str(),
                              *state.tensor(append.getNewRows()),
                              *state.tensor(append.getCache()),
                              state.integers(append.getPosition())));
  return Error::success();
}

namespace {
/// An error inside a score region, on its way out of the reference's loops.
struct RegionError : std::exception {
  explicit RegionError(Error error) : text(llvm::toString(std::move(error))) {}
  std::string text;
};
} // namespace

/// The region as a function of the score and the indices.
static reference::ScoreFunction scoreOf(State &state,
                                        attn::AttentionOp attention) {
  if (attention.getScore().empty())
    return nullptr;
  Block &block = attention.getScore().front().front();
  return [&state, &block](Number score, const Point &indices) {
    if (block.getNumArguments() != indices.size() + 1)
      throw std::invalid_argument("a score region of other indices");
    state.set(block.getArgument(0), score);
    for (auto [argument, index] :
         llvm::zip(block.getArguments().drop_front(), indices))
      state.set(argument, Number{double(index), 0});
    if (Error error = state.run(block))
      throw RegionError(std::move(error));
    return state.number(block.getTerminator()->getOperand(0));
  };
}

static reference::Blocks blocksOf(State &state, attn::AttentionOp attention) {
  Value lists = attention.getBlocks();
  if (!lists)
    return {};
  state.integers(lists); // which are exact
  return {attention.getBlockLetters().value_or("").str(), *state.tensor(lists),
          static_cast<int64_t>(*attention.getBlockSize())};
}

static reference::AttentionOptions optionsOf(State &state,
                                             attn::AttentionOp attention) {
  reference::AttentionOptions options;
  options.scale = attention.getScale().convertToDouble();
  if (Value scale = attention.getKeyScale())
    options.keyScale = *state.tensor(scale);
  if (Value scale = attention.getValueScale())
    options.valueScale = *state.tensor(scale);
  if (Value bias = attention.getBias()) {
    options.hasBias = true;
    options.bias = *state.tensor(bias);
    options.biasLetters = attention.getBiasLetters().value_or("").str();
  }
  options.valid = integersOf(state, attention.getValid());
  options.mask = maskOf(state, attention.getMask(), attention.getMaskSymbols());
  options.offsetLetters = attention.getOffsetLetters().value_or("").str();
  for (Value offset : attention.getOffsets())
    options.offsets.push_back(state.integer(offset));
  options.score = scoreOf(state, attention);
  options.blocks = blocksOf(state, attention);
  options.sink = sinkOf(state, attention.getSink(), attention.getSinkLetters());
  options.output = storageOf(attention->getResult(0).getType());
  if (mayRoundWeights(
          {attention.getQuery(), attention.getKey(), attention.getValue()}))
    options.weights = reference::Type::BF16;
  else if (isHalf({attention.getQuery(), attention.getKey(),
                   attention.getValue()}))
    options.weights = reference::Type::F16;
  options.independentErrors =
      state.options.errors == OracleOptions::Errors::Independent;
  options.keysPerBlock = state.options.keysPerBlock;
  TensorRef key = state.tensor(attention.getKey());
  int64_t keys = 1;
  for (char letter : attn::rolesOf(attention).key)
    keys *= key->shape[attn::indexOf(attn::rolesOf(attention).keyTerm, letter)];
  options.splits = llvm::divideCeil(keys, state.options.chunk);
  return options;
}

/// The output, and the log-sum-exp where the op gives it.
static void setResults(State &state, Operation *op,
                       reference::AttentionResult results) {
  state.set(op->getResult(0), std::move(results.output));
  if (op->getNumResults() == 1)
    return;
  Value lse = op->getResult(1);
  state.set(lse,
            storageOf(lse.getType()) == storageOf(op->getResult(0).getType())
                ? std::move(results.logSumExp)
                : reference::store(std::move(results.logSumExp),
                                   storageOf(lse.getType())));
}

static Error evaluateAttention(State &state, Operation *op) {
  auto attention = cast<attn::AttentionOp>(op);
  if (op->getNumResults() == 0)
    return failure(op, "it works on buffers");
  try {
    setResults(state, op,
               reference::attention(attention.getSpec().str(),
                                    *state.tensor(attention.getQuery()),
                                    *state.tensor(attention.getKey()),
                                    *state.tensor(attention.getValue()),
                                    optionsOf(state, attention)));
  } catch (const RegionError &error) {
    return llvm::createStringError(error.text);
  }
  return Error::success();
}

static Error evaluateMerge(State &state, Operation *op) {
  auto merge = cast<attn::MergeOp>(op);
  if (op->getNumResults() == 0)
    return failure(op, "it works on buffers");
  setResults(state, op,
             reference::merge(merge.getSpec().str(),
                              *state.tensor(merge.getMax()),
                              *state.tensor(merge.getSum()),
                              *state.tensor(merge.getAccumulator()),
                              storageOf(op->getResult(0).getType())));
  return Error::success();
}

void addAttnOps(llvm::StringMap<OpFunction> &table) {
  table["attn.einsum"] = evaluateEinsum;
  table["attn.softmax"] = evaluateSoftmax;
  table["attn.append"] = evaluateAppend;
  table["attn.attention"] = evaluateAttention;
  table["attn.merge"] = evaluateMerge;
}

} // namespace einhead::tool::oracle
