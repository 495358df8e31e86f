//===- Siblings.cpp - Attentions over one key and value ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Siblings.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace einhead::attn;
using namespace einhead::shared_kv;

static bool sameTensor(Value a, Value b) {
  return a == b || (a.getType() == b.getType() &&
                    deepestView(a).sameElements(deepestView(b)));
}

SmallVector<AttentionOp> einhead::shared_kv::overSameKeys(AttentionOp op,
                                                          bool behind) {
  SmallVector<AttentionOp> result;
  auto visit = [&](Operation &other) {
    auto attention = dyn_cast<AttentionOp>(other);
    if (attention && attention != op && attention->getNumResults() &&
        sameTensor(op.getKey(), attention.getKey()) &&
        sameTensor(op.getValue(), attention.getValue()))
      result.push_back(attention);
  };
  Block *block = op->getBlock();
  auto here = op->getIterator();
  for (Operation &other : behind
                              ? llvm::make_range(std::next(here), block->end())
                              : llvm::make_range(block->begin(), here))
    visit(other);
  return result;
}

/// Whether the regions compute the same from the same.
static bool sameScore(AttentionOp a, AttentionOp b) {
  Block *one = scoreOf(cast<AttentionLike>(a.getOperation()));
  Block *other = scoreOf(cast<AttentionLike>(b.getOperation()));
  if (!one || !other)
    return one == other;
  return OperationEquivalence::isRegionEquivalentTo(
      one->getParent(), other->getParent(),
      OperationEquivalence::IgnoreLocations);
}

/// What must be the same: everything but the queries and the results.
static Reason compare(AttentionOp a, const AttentionParts &one, AttentionOp b,
                      const AttentionParts &other) {
  if (a.getScale() != b.getScale())
    return "their scales differ";
  if (one.keyScale != other.keyScale || one.valueScale != other.valueScale)
    return "the scales of their keys or values differ";
  if (one.valid != other.valid)
    return "their lengths (valid) differ";
  if (one.mask != other.mask || one.maskSymbols != other.maskSymbols)
    return "their masks differ";
  if (one.offsetLetters != other.offsetLetters || one.offsets != other.offsets)
    return "their offsets differ";
  if (one.bias != other.bias || one.biasLetters != other.biasLetters)
    return "their biases differ";
  if (one.blocks != other.blocks || one.blockLetters != other.blockLetters ||
      a.getBlockSizeAttr() != b.getBlockSizeAttr())
    return "their block lists differ";
  if (one.sink != other.sink || one.sinkLetters != other.sinkLetters)
    return "their sinks differ";
  if (!sameScore(a, b))
    return "their score regions differ";
  if (static_cast<bool>(one.lse) != static_cast<bool>(other.lse))
    return "only one of them returns its log-sum-exp";
  if (getElementTypeOrSelf(one.query) != getElementTypeOrSelf(other.query) ||
      getElementTypeOrSelf(one.output) != getElementTypeOrSelf(other.output))
    return "their element types differ";
  if (a.getScheduleAttr() != b.getScheduleAttr())
    return "their schedules differ";
  return "";
}

/// Row letters whose extents are not known to be the same.
static std::string varyingLetters(const AttentionParts &one,
                                  const AttentionParts &other) {
  std::string result;
  auto mine = cast<RankedTensorType>(one.query.getType()).getShape();
  auto theirs = cast<RankedTensorType>(other.query.getType()).getShape();
  for (auto [i, letter] : llvm::enumerate(one.queryTerm)) {
    bool isRow = indexOf(one.keyTerm + one.valueTerm, letter) < 0;
    if (isRow && (ShapedType::isDynamic(mine[i]) || mine[i] != theirs[i]))
      result.push_back(letter);
  }
  return result;
}

/// Whether the query of `op` is computed from what one of `others` results in.
static bool dependsOn(AttentionOp op, ArrayRef<AttentionOp> others) {
  AttentionOp first = others.front();
  llvm::SetVector<Operation *> slice;
  BackwardSliceOptions options;
  options.omitBlockArguments = true;
  options.omitUsesFromAbove = false;
  options.inclusive = true;
  options.filter = [&](Operation *at) {
    return at->getBlock() != first->getBlock() || at == first ||
           first->isBeforeInBlock(at);
  };
  if (failed(getBackwardSlice(op.getQuery(), &slice, options)))
    return true;
  return llvm::any_of(others,
                      [&](AttentionOp other) { return slice.contains(other); });
}

int64_t Siblings::rows(size_t part) const {
  int64_t dim = indexOf(parts[part].queryTerm, along);
  return cast<RankedTensorType>(parts[part].query.getType()).getDimSize(dim);
}

Reason Siblings::takeLetter(char letter) const {
  const AttentionParts &first = parts.front();
  auto quoted = "'" + std::string(1, letter) + "'";
  for (auto [what, letters] : {std::pair("bias", first.biasLetters),
                               std::pair("block lists", first.blockLetters),
                               std::pair("sink", first.sinkLetters),
                               std::pair("offsets", first.offsetLetters)})
    if (indexOf(letters, letter) >= 0)
      return "their numbers of rows " + quoted + " differ, and the " + what +
             " of each are for its own rows";
  for (AttentionOp op : ops)
    if (scoreReads(op, letter))
      return "their numbers of rows " + quoted +
             " differ, and the score reads the index of the row";
  return "";
}

Reason Siblings::add(AttentionOp op) {
  AttentionParts other(op);
  if (!other.renameTo(parts.front()))
    return "their letters do not correspond";
  if (Reason why = compare(ops.front(), parts.front(), op, other); !why.empty())
    return why;
  std::string varying = varyingLetters(parts.front(), other);
  if (along && indexOf(varying, along) < 0)
    varying.push_back(along);
  if (varying.size() > 1)
    return "more than one number of rows differs (\"" + varying + "\")";
  if (!varying.empty()) {
    char letter = varying.front();
    if (Reason why = takeLetter(letter); !why.empty())
      return why;
    bool isMasked = other.mask && indexOf(other.mask.getLetters(), letter) >= 0;
    Siblings with{ops, parts, letter};
    for (size_t part = 0; isMasked && part < parts.size(); ++part)
      if (ShapedType::isDynamic(with.rows(part)))
        return std::string("the mask looks at '") + letter +
               "', and how many rows come first is not known";
  }
  if (dependsOn(op, ops))
    return "its query depends on the result of the other";
  along = varying.empty() ? 0 : varying.front();
  ops.push_back(op);
  parts.push_back(std::move(other));
  return "";
}

Siblings Siblings::of(AttentionOp first) {
  Siblings siblings;
  siblings.ops.push_back(first);
  siblings.parts.push_back(AttentionParts(first));
  for (AttentionOp op : overSameKeys(first, /*behind=*/true))
    (void)siblings.add(op);
  return siblings;
}
