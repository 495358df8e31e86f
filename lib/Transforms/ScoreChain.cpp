//===- ScoreChain.cpp - From the scores einsum to the softmax ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// From the softmax upwards: an addition of a tensor that is stored is the bias;
// multiplications and divisions by one number right after the einsum are the
// scale; all that is between becomes the score region.

#include "ScoreChain.h"
#include "ScoreRegion.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

std::optional<double> einhead::uniformValue(Value value) {
  while (auto cast = value.getDefiningOp<tensor::CastOp>())
    value = cast.getSource();
  DenseElementsAttr dense;
  if (matchPattern(value, m_Constant(&dense)))
    if (dense.isSplat() && isa<FloatType>(dense.getElementType()))
      return dense.getSplatValue<APFloat>().convertToDouble();
  Value scalar;
  if (auto splat = value.getDefiningOp<tensor::SplatOp>())
    scalar = splat.getInput();
  else if (auto fill = value.getDefiningOp<linalg::FillOp>())
    scalar = fill.getInputs()[0];
  FloatAttr number;
  if (scalar && matchPattern(scalar, m_Constant(&number)))
    return number.getValueAsDouble();
  return std::nullopt;
}

/// Multiplies `scale` by what `op` does to its operand `value`, if that is a
/// multiplication or division by a number.
static bool takeScale(Operation *op, Value value, double &scale) {
  if (!isa<arith::MulFOp, arith::DivFOp>(op) || op->getNumResults() != 1)
    return false;
  bool left = op->getOperand(0) == value;
  std::optional<double> number = uniformValue(op->getOperand(left ? 1 : 0));
  if (!number || (isa<arith::DivFOp>(op) && !left))
    return false;
  scale *= isa<arith::MulFOp>(op) ? *number : 1.0 / *number;
  return true;
}

/// The tensors that an op between scores and softmax maps, if it is one that
/// does: all operands of the scores' shape.
static SmallVector<Value> operandsToFollow(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || !(OpTrait::hasElementwiseMappableTraits(op) ||
               isa<tensor::CastOp>(op) || isParallelLinalg(op)))
    return {};
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    return SmallVector<Value>(linalgOp.getDpsInputs());
  return SmallVector<Value>(op->getOperands());
}

/// Whether the softmaxed letter stands in one operand of the einsum only.
static bool hasKeyOperand(EinsumOp op, SoftmaxOp softmax) {
  EinsumSpec spec = *EinsumSpec::parse(op.getSpec());
  size_t over = softmax.getLetters().find(softmax.getOver());
  if (spec.inputs.size() != 2 || over >= spec.output.size())
    return false;
  char letter = spec.output[over];
  return (indexOf(spec.inputs[0], letter) >= 0) !=
         (indexOf(spec.inputs[1], letter) >= 0);
}

SmallVector<EinsumOp> einhead::einsumsAbove(SoftmaxOp softmax) {
  SmallVector<Value> stack = {softmax.getInput()};
  llvm::SmallPtrSet<Operation *, 8> seen;
  int64_t rank = softmax.getType().getRank();
  SmallVector<EinsumOp> found;
  while (!stack.empty()) {
    Value value = stack.pop_back_val();
    Operation *op = value.getDefiningOp();
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type || type.getRank() != rank || !op || !seen.insert(op).second)
      continue;
    if (auto einsum = dyn_cast<EinsumOp>(op))
      found.push_back(einsum);
    else
      llvm::append_range(stack, llvm::reverse(operandsToFollow(value)));
  }
  return found;
}

/// The einsum of query and key: the first one above the softmax that can be it,
/// or the first one at all (whose reason will be told).
static EinsumOp findScores(SoftmaxOp softmax) {
  SmallVector<EinsumOp> einsums = einsumsAbove(softmax);
  for (EinsumOp einsum : einsums)
    if (hasKeyOperand(einsum, softmax))
      return einsum;
  return einsums.empty() ? EinsumOp() : einsums.front();
}

/// All that follows from `scores` without passing the softmax.
static SetVector<Value> dependentsOf(Value scores, SoftmaxOp softmax) {
  SetVector<Value> values;
  values.insert(scores);
  for (size_t i = 0; i < values.size(); ++i)
    for (Operation *user : values[i].getUsers())
      if (user != softmax)
        for (Value result : user->getResults())
          values.insert(result);
  return values;
}

/// The letters of a tensor that `value` repeats or transposes.
static void stripViews(Value &value, std::string &letters) {
  while (auto op = value.getDefiningOp<linalg::LinalgOp>()) {
    if (!isParallelLinalg(op) || op.getNumDpsInputs() != 1 ||
        !llvm::hasSingleElement(*op.getBlock()))
      return;
    OpOperand *input = op.getDpsInputOperand(0);
    AffineMap from = op.getMatchingIndexingMap(input);
    AffineMap to = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
    if (!isa<RankedTensorType>(input->get().getType()) ||
        !from.isProjectedPermutation() ||
        op.getBlock()->getTerminator()->getOperand(0) !=
            op.getMatchingBlockArgument(input))
      return;
    std::string loops(letters.size(), 0), term;
    for (auto [i, letter] : llvm::enumerate(letters))
      loops[to.getDimPosition(i)] = letter;
    for (unsigned i = 0; i < from.getNumResults(); ++i)
      term.push_back(loops[from.getDimPosition(i)]);
    value = input->get();
    letters = term;
  }
}

/// Takes the bias off `value`: an addition of a tensor that is in memory, maybe
/// repeated over some letters.
static void takeBias(Value &value, ScoreChain &chain, llvm::StringRef letters,
                     const SetVector<Value> &dependent) {
  auto add = value.getDefiningOp<arith::AddFOp>();
  if (!add ||
      dependent.contains(add.getLhs()) == dependent.contains(add.getRhs()))
    return;
  bool left = dependent.contains(add.getLhs());
  Value bias = left ? add.getRhs() : add.getLhs();
  if (uniformValue(bias))
    return;
  std::string term = letters.str();
  stripViews(bias, term);
  // What is computed for each score need not be stored.
  bool whole = term.size() == letters.size();
  if (term.empty() || (whole && !operandsToFollow(bias).empty()))
    return;
  if (auto op = bias.getDefiningOp<linalg::LinalgOp>())
    if (whole && isParallelLinalg(op))
      return;
  chain.bias = bias;
  chain.biasLetters = term;
  value = left ? add.getLhs() : add.getRhs();
}

/// Why a value between the scores and the softmax is not only in the chain.
static std::string
usedElsewhere(const SetVector<Value> &dependent,
              llvm::function_ref<bool(Operation *)> inChain) {
  for (Value value : dependent) {
    if (Operation *op = value.getDefiningOp(); !inChain(op))
      continue;
    for (Operation *user : value.getUsers())
      if (!inChain(user))
        return "the scores are used elsewhere, so they must be stored";
  }
  return "";
}

std::string ScoreChain::match(SoftmaxOp softmax, ScoreChain &chain) {
  chain.einsum = findScores(softmax);
  if (!chain.einsum)
    return "its input is no (scaled, biased) einsum of query and key";
  EinsumSpec spec = *EinsumSpec::parse(chain.einsum.getSpec());
  if (spec.inputs.size() != 2)
    return "the scores einsum has " + std::to_string(spec.inputs.size()) +
           " operands, expected query and key";
  SetVector<Value> dependent = dependentsOf(chain.einsum.getResult(), softmax);
  Value top = softmax.getInput();
  takeBias(top, chain, spec.output, dependent);

  llvm::SmallPtrSet<Operation *, 8> ops = {chain.einsum, softmax};
  if (top != softmax.getInput())
    ops.insert(softmax.getInput().getDefiningOp());
  Value scores = chain.einsum.getResult();
  while (scores != top && scores.hasOneUse() &&
         takeScale(*scores.user_begin(), scores, chain.scale)) {
    ops.insert(*scores.user_begin());
    scores = (*scores.user_begin())->getResult(0);
  }
  if (scores == top)
    return usedElsewhere(dependent,
                         [&](Operation *op) { return ops.contains(op); });
  ScoreRegion region(scores, dependent);
  Value score = region.at(top);
  if (!score)
    return region.reason();
  std::string why = usedElsewhere(dependent, [&](Operation *op) {
    return ops.contains(op) || region.wroteOut(op);
  });
  if (!why.empty())
    return why;
  if (!score.getType().isF32())
    return "the scores are not stored as f32; rounding them is part of the "
           "graph";
  chain.region = region.finish(score);
  return "";
}

void ScoreChain::moveInto(AttentionOp op, llvm::StringRef letters) {
  if (!region)
    return;
  Block *block = region.release();
  op.getScore().front().push_back(block);
  std::string wanted = rolesOf(cast<AttentionLike>(op.getOperation())).scores();
  // The indices in the order of the attention's own letters.
  unsigned rank = wanted.size();
  for (char letter : wanted) {
    BlockArgument old = block->getArgument(1 + indexOf(letters, letter));
    old.replaceAllUsesWith(block->addArgument(old.getType(), old.getLoc()));
  }
  block->eraseArguments(1, rank);
}

std::string ScoreChain::describe() const {
  if (!region)
    return "";
  unsigned count = 0;
  llvm::SmallPtrSet<Value, 4> tensors;
  for (Operation &op : region->without_terminator()) {
    if (auto extract = dyn_cast<tensor::ExtractOp>(op))
      tensors.insert(extract.getTensor());
    else if (!op.hasTrait<OpTrait::ConstantLike>())
      ++count;
  }
  std::string text = "; score region of " + std::to_string(count) +
                     (count == 1 ? " op" : " ops");
  if (!tensors.empty())
    text += ", which reads " + std::to_string(tensors.size()) +
            (tensors.size() == 1 ? " tensor" : " tensors");
  return text;
}
