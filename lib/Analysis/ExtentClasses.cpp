//===- ExtentClasses.cpp - Which extents are one ----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Analysis/ExtentClasses.h"
#include "einhead/IR/ShapeNames.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

ExtentClasses::ExtentClasses(func::FuncOp function) : function(function) {
  for (BlockArgument argument : function.getArguments())
    add(argument);
  function.walk([&](Operation *op) {
    for (Value result : op->getResults())
      add(result);
  });
  function.walk([&](Operation *op) {
    if (op != function)
      relate(op);
  });
  joinNames();
}

void ExtentClasses::add(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    unsigned id = nodes.size();
    ids[{value, d}] = id;
    nodes.push_back({value, d, id, false});
  }
}

unsigned ExtentClasses::find(unsigned id) {
  while (nodes[id].parent != id)
    id = nodes[id].parent = nodes[nodes[id].parent].parent;
  return id;
}

/// The class of the earlier point becomes that of both.
void ExtentClasses::join(Value a, int64_t i, Value b, int64_t j) {
  auto first = ids.find({a, i}), second = ids.find({b, j});
  if (first == ids.end() || second == ids.end())
    return;
  unsigned x = find(first->second), y = find(second->second);
  if (x > y)
    std::swap(x, y);
  nodes[y].parent = x;
  nodes[x].pinned |= nodes[y].pinned;
}

void ExtentClasses::pin(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  for (int64_t d = 0; type && d < type.getRank(); ++d)
    if (auto at = ids.find({value, d}); at != ids.end())
      nodes[find(at->second)].pinned = true;
}

/// Dimension by dimension; ranks that differ (a scalar among tensors) stay out.
void ExtentClasses::joinAll(ValueRange values) {
  Value first;
  for (Value value : values) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type)
      continue;
    if (!first)
      first = value;
    if (cast<RankedTensorType>(first.getType()).getRank() != type.getRank())
      continue;
    for (int64_t d = 0; d < type.getRank(); ++d)
      join(first, d, value, d);
  }
}

/// One extent for each letter.
void ExtentClasses::joinTerms(
    llvm::ArrayRef<std::pair<llvm::StringRef, Value>> terms) {
  llvm::DenseMap<char, std::pair<Value, int64_t>> first;
  for (auto [term, value] : terms)
    for (auto [d, letter] : llvm::enumerate(term)) {
      auto [at, isNew] = first.try_emplace(letter, value, d);
      if (!isNew)
        join(at->second.first, at->second.second, value, d);
    }
}

/// Dimensions of arguments that have one name and one extent.
void ExtentClasses::joinNames() {
  llvm::StringMap<std::pair<Value, int64_t>> first;
  for (BlockArgument argument : function.getArguments()) {
    auto text = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                      "attn.shape");
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    auto names = parseShapeNames(text ? text.getValue() : "");
    if (!text || !type || failed(names))
      continue;
    for (auto [d, name] : llvm::enumerate(*names)) {
      if (name.name.empty())
        continue;
      auto [at, isNew] = first.try_emplace(name.str(), argument, d);
      auto [other, dimension] = at->second;
      if (!isNew &&
          cast<RankedTensorType>(other.getType()).getDimSize(dimension) ==
              type.getDimSize(d))
        join(other, dimension, argument, d);
    }
  }
}

/// Whatever `op` is on, by value and not by letter.
void ExtentClasses::pinAll(Operation *op) {
  for (Value value : op->getOperands())
    pin(value);
  for (Value value : op->getResults())
    pin(value);
}

void ExtentClasses::relateAttention(Operation *op) {
  auto like = cast<AttentionLike>(op);
  AttentionRoles roles = rolesOf(like);
  auto partial = dyn_cast<PartialAttentionOp>(op);
  // The number of chunks follows from the keys, not from a letter.
  if (partial && partial.getChunk())
    return pinAll(op);
  SmallVector<std::pair<llvm::StringRef, Value>> terms = {
      {roles.queryTerm, like.getQuery()},
      {roles.keyTerm, like.getKey()},
      {roles.valueTerm, like.getValue()}};
  std::string keyScale = roles.keyScale(), valueScale = roles.valueScale();
  if (like.getKeyScale())
    terms.push_back({keyScale, like.getKeyScale()});
  if (like.getValueScale())
    terms.push_back({valueScale, like.getValueScale()});
  if (like.getBias())
    terms.push_back({*like.getBiasLetters(), like.getBias()});
  // The last dimension, the list itself, has an extent of its own.
  if (like.getBlocks())
    terms.push_back({*like.getBlockLetters(), like.getBlocks()});
  std::string state = roles.state();
  if (partial) {
    // A list names keys of K by number.
    if (partial.getKeyMap())
      for (Value value : {like.getKey(), like.getValue(), like.getKeyScale(),
                          like.getValueScale()})
        if (value)
          pin(value);
    for (Value value : {partial.getMax(), partial.getSum()})
      terms.push_back({state, value});
    terms.push_back({roles.outputTerm, partial.getAccumulator()});
    for (auto [i, result] : llvm::enumerate(op->getResults()))
      terms.push_back(
          {i < 2 ? llvm::StringRef(state) : roles.outputTerm, result});
  } else {
    auto attention = cast<AttentionOp>(op);
    if (attention.getSink())
      terms.push_back({*attention.getSinkLetters(), attention.getSink()});
    terms.push_back({roles.outputTerm, attention.getOutput()});
    if (attention.getLse())
      terms.push_back({state, attention.getLse()});
    for (auto [i, result] : llvm::enumerate(op->getResults()))
      terms.push_back(
          {i == 0 ? llvm::StringRef(roles.outputTerm) : state, result});
  }
  joinTerms(terms);
  if (Value valid = like.getValid())
    join(like.getQuery(), 0, valid, 0);
}

void ExtentClasses::relateMerge(MergeOp op) {
  EinsumSpec spec = *EinsumSpec::parse(op.getSpec());
  // The splits have no letter; '#' is none.
  std::string state = "#" + spec.inputs[0], accumulator = "#" + spec.inputs[1];
  SmallVector<std::pair<llvm::StringRef, Value>> terms = {
      {state, op.getMax()},
      {state, op.getSum()},
      {accumulator, op.getAccumulator()},
      {spec.output, op.getOutput()}};
  if (op.getLse())
    terms.push_back({spec.inputs[0], op.getLse()});
  for (auto [i, result] : llvm::enumerate(op->getResults()))
    terms.push_back(
        {i == 0 ? llvm::StringRef(spec.output) : spec.inputs[0], result});
  joinTerms(terms);
}

void ExtentClasses::relateLinalg(Operation *op) {
  auto linalgOp = cast<linalg::LinalgOp>(op);
  llvm::DenseMap<unsigned, std::pair<Value, int64_t>> first;
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = linalgOp.getMatchingIndexingMap(&operand);
    for (auto [d, expression] : llvm::enumerate(map.getResults())) {
      auto dimension = dyn_cast<AffineDimExpr>(expression);
      if (!dimension) {
        pin(operand.get());
        continue;
      }
      auto [at, isNew] =
          first.try_emplace(dimension.getPosition(), operand.get(), d);
      if (!isNew)
        join(at->second.first, at->second.second, operand.get(), d);
    }
    if (OpResult result = linalgOp.isDpsInit(&operand) && op->getNumResults()
                              ? linalgOp.getTiedOpResult(&operand)
                              : OpResult())
      joinAll({operand.get(), result});
  }
}

/// The new state of a cache has the type of the old one.
void ExtentClasses::relateReturn(Operation *op) {
  if (op->getParentOp() != function)
    return;
  for (auto [i, value] : llvm::enumerate(op->getOperands())) {
    auto cache = function.getResultAttrOfType<StringAttr>(i, "attn.cache");
    for (BlockArgument argument : function.getArguments())
      if (cache && function.getArgAttrOfType<StringAttr>(
                       argument.getArgNumber(), "attn.name") == cache)
        joinAll({argument, value});
  }
}

/// A size that is the extent of another tensor.
void ExtentClasses::relateSizes(Operation *op) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  // The element of a splat stands before its sizes.
  auto sizes = op->getOperands().take_back(type.getNumDynamicDims());
  for (int64_t d = 0, next = 0; d < type.getRank(); ++d) {
    if (!type.isDynamicDim(d))
      continue;
    auto dim = sizes[next++].getDefiningOp<tensor::DimOp>();
    if (std::optional<int64_t> at = dim ? dim.getConstantIndex() : std::nullopt)
      join(dim.getSource(), *at, op->getResult(0), d);
  }
}

void ExtentClasses::relate(Operation *op) {
  if (auto einsum = dyn_cast<EinsumOp>(op)) {
    EinsumSpec spec = *EinsumSpec::parse(einsum.getSpec());
    SmallVector<std::pair<llvm::StringRef, Value>> terms;
    for (auto [term, input] : llvm::zip(spec.inputs, einsum.getInputs()))
      terms.push_back({term, input});
    terms.push_back({spec.output, einsum.getResult()});
    return joinTerms(terms);
  }
  if (auto softmax = dyn_cast<SoftmaxOp>(op)) {
    joinAll({softmax.getInput(), softmax.getResult()});
    if (Value sink = softmax.getSink())
      joinTerms({{softmax.getLetters(), softmax.getInput()},
                 {*softmax.getSinkLetters(), sink}});
    if (Value valid = softmax.getValid())
      join(softmax.getInput(), 0, valid, 0);
    return;
  }
  if (auto append = dyn_cast<AppendOp>(op)) {
    EinsumSpec spec = *EinsumSpec::parse(append.getSpec());
    joinTerms({{spec.inputs[0], append.getNewRows()},
               {spec.output, append.getCache()},
               {spec.output, append.getResult()}});
    return join(append.getCache(), 0, append.getPosition(), 0);
  }
  if (isa<AttentionLike>(op))
    return relateAttention(op);
  if (auto merge = dyn_cast<MergeOp>(op))
    return relateMerge(merge);
  if (isa<linalg::LinalgOp>(op))
    return relateLinalg(op);
  if (op->hasTrait<OpTrait::Elementwise>() || isa<tensor::CastOp>(op)) {
    SmallVector<Value> values(op->getOperands());
    values.append(op->result_begin(), op->result_end());
    return joinAll(values);
  }
  if (isa<tensor::EmptyOp, tensor::SplatOp>(op))
    return relateSizes(op);
  if (isa<func::ReturnOp>(op))
    return relateReturn(op);
  if (isa<tensor::DimOp>(op))
    return;
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    if (isa<SplatElementsAttr>(constant.getValue()))
      return;
  pinAll(op);
}

int64_t ExtentClasses::Point::extent() const {
  return cast<RankedTensorType>(value.getType()).getDimSize(dimension);
}

std::vector<ExtentClasses::Point> ExtentClasses::points() {
  std::vector<Point> all;
  for (unsigned id = 0; id < nodes.size(); ++id)
    all.push_back({nodes[id].value, nodes[id].dimension, find(id)});
  return all;
}

std::optional<unsigned> ExtentClasses::rootOf(Value value, int64_t dimension) {
  auto at = ids.find({value, dimension});
  if (at == ids.end())
    return std::nullopt;
  return find(at->second);
}
