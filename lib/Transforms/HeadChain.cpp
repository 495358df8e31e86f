//===- HeadChain.cpp - One attention and its heads --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HeadChain.h"
#include "mlir/IR/OpDefinition.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

bool einhead::isElementwise(Operation *op) {
  return op->hasTrait<OpTrait::Elementwise>() && op->getNumResults() == 1;
}

/// The einsum of query and key above `value`: one of its two operands has the
/// softmaxed dimension, and it sums over a letter of both.
static EinsumOp findScores(Value value, unsigned over) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return {};
  if (isElementwise(op)) {
    for (Value operand : op->getOperands())
      if (isa<RankedTensorType>(operand.getType()))
        if (EinsumOp found = findScores(operand, over))
          return found;
    return {};
  }
  auto einsum = dyn_cast<EinsumOp>(op);
  if (!einsum || einsum.getInputs().size() != 2)
    return {};
  EinsumSpec spec = *EinsumSpec::parse(einsum.getSpec());
  auto has = [&](unsigned term, char letter) {
    return indexOf(spec.inputs[term], letter) >= 0;
  };
  bool isContracted = llvm::any_of(spec.inputs[0], [&](char letter) {
    return has(1, letter) && indexOf(spec.output, letter) < 0;
  });
  char letter = spec.output[over];
  return isContracted && has(0, letter) != has(1, letter) ? einsum : EinsumOp();
}

/// Goes from the scores down to the values einsum.
static LogicalResult walkDown(HeadChain &chain) {
  Value at = chain.scores.getResult();
  while (true) {
    if (!at.hasOneUse())
      return at.getDefiningOp()->emitError()
             << "heads cannot be pooled: scores or weights are used elsewhere "
                "than in the chain to the values";
    OpOperand &use = *at.getUses().begin();
    Operation *op = use.getOwner();
    auto einsum = dyn_cast<EinsumOp>(op);
    bool seenSoftmax = llvm::is_contained(chain.between, chain.softmax);
    if (einsum && seenSoftmax && einsum.getInputs().size() == 2) {
      chain.values = einsum;
      chain.weights = use.getOperandNumber();
      return success();
    }
    if (op != chain.softmax && !isElementwise(op))
      return op->emitError()
             << "heads cannot be pooled: this op stands between scores and "
                "values; elementwise ops and one softmax may";
    chain.between.push_back(op);
    at = op->getResult(0);
  }
}

/// Which letter has the heads: a batch letter that leads to a projection.
static LogicalResult findHeads(HeadChain &chain) {
  EinsumSpec spec = chain.scoresSpec();
  const std::string &keyTerm = spec.inputs[chain.key];
  std::string batch, heads;
  SmallVector<int64_t> depth;
  for (auto [dim, letter] : llvm::enumerate(keyTerm))
    if (indexOf(spec.inputs[1 - chain.key], letter) >= 0 &&
        indexOf(spec.output, letter) < 0)
      depth.push_back(dim);
  for (char letter : spec.output) {
    int64_t dim = indexOf(keyTerm, letter);
    if (dim < 0 || indexOf(spec.inputs[1 - chain.key], letter) < 0)
      continue;
    batch.push_back(letter);
    Value key = chain.scores.getInputs()[chain.key];
    int64_t extent = cast<RankedTensorType>(key.getType()).getDimSize(dim);
    if (!leadsToProjection(key, dim, extent, depth))
      continue;
    heads.push_back(letter);
    chain.heads = extent;
  }
  if (heads.size() != 1)
    return chain.scores.emitError()
           << "no heads to pool: " << (heads.empty() ? "none" : "more than one")
           << " of the letters \"" << batch
           << "\" that query and key share comes from the weight of the key's "
              "projection; multi-query attention has one head already";
  chain.headDim = indexOf(spec.output, heads[0]);
  if (ShapedType::isDynamic(chain.heads))
    return chain.scores.emitError()
           << "the heads, letter '" << heads
           << "', have no static extent; --attn-specialize gives it";
  return success();
}

/// The rest of the chain treats all heads alike.
static LogicalResult checkHeads(HeadChain &chain) {
  EinsumSpec values = chain.valuesSpec();
  char head = chain.valuesHead();
  if (indexOf(values.inputs[1 - chain.weights], head) < 0 ||
      indexOf(values.output, head) < 0)
    return chain.values.emitError()
           << "heads cannot be pooled: their letter '" << head
           << "' must stand in the values and in the result";
  char softmaxHead = chain.softmax.getLetters()[chain.headDim];
  if (MaskAttr mask = chain.softmax.getMaskAttr())
    if (indexOf(mask.getLetters(), softmaxHead) >= 0)
      return chain.softmax.emitError()
             << "heads cannot be pooled: the mask looks at their letter '"
             << softmaxHead << "'";
  // By name: a softmax need not have sinks for this to hold.
  auto sink = chain.softmax->getAttrOfType<StringAttr>("sink_letters");
  if (sink && indexOf(sink.getValue(), softmaxHead) >= 0)
    return chain.softmax.emitError()
           << "heads cannot be pooled: the sink is by their letter '"
           << softmaxHead << "'";
  Value valid = chain.softmax.getValid();
  if (valid && !valid.getType().isIndex() && chain.headDim == 0)
    return chain.softmax.emitError()
           << "heads cannot be pooled: the lengths are by their letter '"
           << softmaxHead << "'";
  return success();
}

FailureOr<HeadChain> einhead::matchHeadChain(SoftmaxOp softmax) {
  HeadChain chain;
  chain.softmax = softmax;
  size_t over = softmax.getLetters().find(softmax.getOver());
  chain.scores = findScores(softmax.getInput(), over);
  if (!chain.scores) {
    softmax.emitError() << "heads cannot be pooled: no einsum of query and key "
                           "is above this softmax";
    return failure();
  }
  EinsumSpec spec = chain.scoresSpec();
  chain.key = indexOf(spec.inputs[0], spec.output[over]) >= 0 ? 0 : 1;
  if (failed(walkDown(chain)) || failed(findHeads(chain)) ||
      failed(checkHeads(chain)))
    return failure();
  return chain;
}
