//===- Parts.cpp - An attention taken apart ---------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Parts.h"
#include "einhead/IR/Tile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IntegerSet.h"

using namespace mlir;
using namespace einhead::attn;
using namespace einhead::shared_kv;

AttentionParts::AttentionParts(AttentionOp op) : from(op) {
  AttentionRoles roles = rolesOf(cast<AttentionLike>(op.getOperation()));
  queryTerm = roles.queryTerm;
  keyTerm = roles.keyTerm;
  valueTerm = roles.valueTerm;
  outputTerm = roles.outputTerm;
  query = op.getQuery();
  key = op.getKey();
  value = op.getValue();
  keyScale = op.getKeyScale();
  valueScale = op.getValueScale();
  bias = op.getBias();
  valid = op.getValid();
  blocks = op.getBlocks();
  sink = op.getSink();
  output = op.getOutput();
  lse = op.getLse();
  mask = op.getMaskAttr();
  maskSymbols = llvm::to_vector(op.getMaskSymbols());
  offsets = llvm::to_vector(op.getOffsets());
  biasLetters = op.getBiasLetters().value_or("").str();
  offsetLetters = op.getOffsetLetters().value_or("").str();
  blockLetters = op.getBlockLetters().value_or("").str();
  sinkLetters = op.getSinkLetters().value_or("").str();
}

std::string AttentionParts::spec() const {
  return queryTerm + ", " + keyTerm + ", " + valueTerm + " -> " + outputTerm;
}

std::string AttentionParts::state() const {
  std::string value = lettersWithout(valueTerm, keyTerm + queryTerm);
  return lettersWithout(outputTerm, value);
}

char AttentionParts::freshLetter(char wanted) const {
  std::string all = queryTerm + keyTerm + valueTerm + outputTerm + reserved;
  if (indexOf(all, wanted) < 0)
    return wanted;
  for (char first : {'a', 'A'})
    for (char letter = first; letter < first + 26; ++letter)
      if (indexOf(all, letter) < 0)
        return letter;
  return 0;
}

bool AttentionParts::renameTo(const AttentionParts &other) {
  llvm::SmallDenseMap<char, char> to, back;
  for (auto [mine, theirs] : {std::pair(queryTerm, other.queryTerm),
                              std::pair(keyTerm, other.keyTerm),
                              std::pair(valueTerm, other.valueTerm),
                              std::pair(outputTerm, other.outputTerm)}) {
    if (mine.size() != theirs.size())
      return false;
    for (auto [letter, name] : llvm::zip(mine, theirs))
      if (to.try_emplace(letter, name).first->second != name ||
          back.try_emplace(name, letter).first->second != letter)
        return false;
  }
  auto rename = [&](llvm::StringRef text) {
    std::string result;
    for (char letter : text)
      result.push_back(to.lookup(letter));
    return result;
  };
  for (std::string *text :
       {&queryTerm, &keyTerm, &valueTerm, &outputTerm, &biasLetters,
        &offsetLetters, &blockLetters, &sinkLetters})
    *text = rename(*text);
  if (mask)
    mask = MaskAttr::get(mask.getContext(), rename(mask.getLetters()),
                         mask.getSets());
  return true;
}

//===----------------------------------------------------------------------===//
// One letter as two
//===----------------------------------------------------------------------===//

/// The groups of a reshape in which dimension `dim` of `rank` is two.
static SmallVector<ReassociationIndices> pairAt(int64_t dim, int64_t rank) {
  SmallVector<ReassociationIndices> groups;
  for (int64_t i = 0, next = 0; i < rank; ++i) {
    groups.push_back({next++});
    if (i == dim)
      groups.back().push_back(next++);
  }
  return groups;
}

Value einhead::shared_kv::splitDim(OpBuilder &builder, Location loc,
                                   Value tensor, int64_t dim,
                                   OpFoldResult outer, int64_t inner) {
  auto type = cast<RankedTensorType>(tensor.getType());
  SmallVector<int64_t> shape = llvm::to_vector(type.getShape());
  std::optional<int64_t> count = getConstantIntValue(outer);
  int64_t outerStatic = count.value_or(ShapedType::kDynamic);
  // A reshape keeps what is static; a cast says what is known elsewhere.
  if (count && ShapedType::isDynamic(shape[dim])) {
    shape[dim] = *count * inner;
    tensor = tensor::CastOp::create(
        builder, loc, RankedTensorType::get(shape, type.getElementType()),
        tensor);
  } else if (!count && !ShapedType::isDynamic(shape[dim])) {
    outerStatic = shape[dim] / inner;
    outer = builder.getIndexAttr(outerStatic);
  }
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, loc, tensor);
  sizes[dim] = outer;
  sizes.insert(sizes.begin() + dim + 1, builder.getIndexAttr(inner));
  shape[dim] = outerStatic;
  shape.insert(shape.begin() + dim + 1, inner);
  return tensor::ExpandShapeOp::create(
      builder, loc, RankedTensorType::get(shape, type.getElementType()), tensor,
      pairAt(dim, type.getRank()), sizes);
}

Value einhead::shared_kv::joinDims(OpBuilder &builder, Location loc,
                                   Value tensor, int64_t dim,
                                   RankedTensorType type) {
  Value joined = tensor::CollapseShapeOp::create(builder, loc, tensor,
                                                 pairAt(dim, type.getRank()));
  if (joined.getType() == type)
    return joined;
  return tensor::CastOp::create(builder, loc, type, joined);
}

/// A mask over h as one over the letters that h is made of.
static MaskAttr splitMask(MaskAttr mask, char h, char outer, char inner,
                          int64_t factor) {
  int64_t at = mask ? indexOf(mask.getLetters(), h) : -1;
  if (at < 0)
    return mask;
  MLIRContext *context = mask.getContext();
  std::string letters = mask.getLetters().str();
  letters.replace(at, 1, {outer, inner});
  SmallVector<AffineExpr> dims;
  for (int64_t i = 0, count = letters.size(); i < count; ++i)
    if (i != at + 1)
      dims.push_back(getAffineDimExpr(i, context));
  dims[at] = dims[at] * factor + getAffineDimExpr(at + 1, context);
  SmallVector<IntegerSetAttr> sets;
  for (IntegerSetAttr set : mask.getSets()) {
    unsigned symbols = set.getValue().getNumSymbols();
    SmallVector<AffineExpr> symbolExprs;
    for (unsigned i = 0; i < symbols; ++i)
      symbolExprs.push_back(getAffineSymbolExpr(i, context));
    sets.push_back(IntegerSetAttr::get(set.getValue().replaceDimsAndSymbols(
        dims, symbolExprs, letters.size(), symbols)));
  }
  return MaskAttr::get(context, letters, sets);
}

void AttentionParts::splitLetter(OpBuilder &builder, char h, char outer,
                                 char inner, OpFoldResult outerExtent,
                                 int64_t factor) {
  std::string stateTerm = state();
  auto split = [&](Value &tensor, std::string &term) {
    int64_t at = indexOf(term, h);
    if (!tensor || at < 0)
      return;
    tensor = splitDim(builder, from.getLoc(), tensor, at, outerExtent, factor);
    term.replace(at, 1, {outer, inner});
  };
  split(query, queryTerm);
  split(bias, biasLetters);
  split(blocks, blockLetters);
  split(sink, sinkLetters);
  split(lse, stateTerm);
  split(output, outputTerm);
  mask = splitMask(mask, h, outer, inner, factor);
  // h = o + (outer * factor + inner) = outer * factor + (o + inner)
  for (char &letter : offsetLetters)
    if (letter == h)
      letter = inner;
  splits.push_back({h, outer, inner, factor});
}

//===----------------------------------------------------------------------===//
// Together again
//===----------------------------------------------------------------------===//

void AttentionParts::addOffset(OpBuilder &builder, char letter, Value by) {
  int64_t at = indexOf(offsetLetters, letter);
  if (at >= 0) {
    offsets[at] =
        arith::AddIOp::create(builder, from.getLoc(), offsets[at], by);
    return;
  }
  offsetLetters.push_back(letter);
  offsets.push_back(by);
}

bool einhead::shared_kv::scoreReads(AttentionOp op, char letter) {
  auto like = cast<AttentionLike>(op.getOperation());
  Block *block = scoreOf(like);
  int64_t at = indexOf(rolesOf(like).scores(), letter);
  return block && at >= 0 && !block->getArgument(at + 1).use_empty();
}

/// The region gets an index for each new letter.
void AttentionParts::adaptScore(OpBuilder &builder, AttentionOp to) const {
  Block *block = scoreOf(cast<AttentionLike>(to.getOperation()));
  if (!block)
    return;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(block);
  Location loc = to.getLoc();
  AttentionOp old = from;
  std::string letters =
      rolesOf(cast<AttentionLike>(old.getOperation())).scores();
  Type index = builder.getIndexType();
  for (const Split &split : splits) {
    int64_t at = indexOf(letters, split.h);
    BlockArgument outer = block->getArgument(at + 1);
    BlockArgument inner = block->insertArgument(at + 2, index, loc);
    letters.replace(at, 1, {split.outer, split.inner});
    if (outer.use_empty())
      continue;
    Value factor = arith::ConstantIndexOp::create(builder, loc, split.factor);
    auto scaled = arith::MulIOp::create(builder, loc, outer, factor);
    Value whole = arith::AddIOp::create(builder, loc, scaled, inner);
    outer.replaceAllUsesExcept(whole, scaled);
  }
  std::string wanted = rolesOf(cast<AttentionLike>(to.getOperation())).scores();
  for (char letter : added)
    if (int64_t at = indexOf(wanted, letter); at >= 0)
      block->insertArgument(at + 1, index, loc);
}

AttentionOp AttentionParts::create(OpBuilder &builder) {
  auto letters = [&](Value operand, const std::string &text) {
    return operand ? builder.getStringAttr(text) : StringAttr();
  };
  SmallVector<Type> types = {output.getType()};
  if (lse)
    types.push_back(lse.getType());
  auto op = AttentionOp::create(
      builder, from.getLoc(), types, builder.getStringAttr(spec()), query, key,
      value, from.getScaleAttr(), keyScale, valueScale, bias,
      letters(bias, biasLetters), valid, mask, maskSymbols,
      offsets.empty() ? StringAttr() : builder.getStringAttr(offsetLetters),
      offsets, letters(blocks, blockLetters), blocks,
      blocks ? from.getBlockSizeAttr() : IntegerAttr(),
      letters(sink, sinkLetters), sink, from.getSharedKvAttr(),
      from.getScheduleAttr(), output, lse, from.getScore().size());
  copyScore(cast<AttentionLike>(from.getOperation()),
            cast<AttentionLike>(op.getOperation()));
  adaptScore(builder, op);
  return op;
}
