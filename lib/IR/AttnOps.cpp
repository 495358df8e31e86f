//===- AttnOps.cpp - Shapes, effects and folds of the attn ops --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/Attn.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace einhead::attn;

//===----------------------------------------------------------------------===//
// What AttentionLike offers beside its accessors
//===----------------------------------------------------------------------===//

AttentionRoles einhead::attn::rolesOf(AttentionLike op) {
  return *AttentionRoles::get(op.getSpec());
}

Block *einhead::attn::scoreOf(AttentionLike op) {
  MutableArrayRef<Region> score = op.getScore();
  return score.empty() ? nullptr : &score.front().front();
}

/// The operands and terms in which letters stand.
static llvm::SmallVector<std::pair<Value, std::string>, 6>
termsOf(AttentionLike op) {
  AttentionRoles roles = rolesOf(op);
  llvm::SmallVector<std::pair<Value, std::string>, 6> terms = {
      {op.getQuery(), roles.queryTerm},
      {op.getKey(), roles.keyTerm},
      {op.getValue(), roles.valueTerm}};
  if (op.getBias())
    terms.push_back({op.getBias(), op.getBiasLetters()->str()});
  if (op.getKeyScale())
    terms.push_back({op.getKeyScale(), roles.keyScale()});
  if (op.getValueScale())
    terms.push_back({op.getValueScale(), roles.valueScale()});
  return terms;
}

int64_t einhead::attn::staticExtent(AttentionLike op, char letter) {
  for (auto &[value, term] : termsOf(op)) {
    int64_t at = indexOf(term, letter);
    if (at < 0)
      continue;
    int64_t extent = cast<ShapedType>(value.getType()).getDimSize(at);
    if (!ShapedType::isDynamic(extent))
      return extent;
  }
  return ShapedType::kDynamic;
}

OpFoldResult einhead::attn::letterExtent(OpBuilder &builder, AttentionLike op,
                                         char letter) {
  int64_t extent = staticExtent(op, letter);
  if (!ShapedType::isDynamic(extent))
    return builder.getIndexAttr(extent);
  for (auto &[value, term] : termsOf(op))
    if (int64_t at = indexOf(term, letter); at >= 0)
      return isa<MemRefType>(value.getType())
                 ? memref::getMixedSize(builder, op.getLoc(), value, at)
                 : tensor::getMixedSize(builder, op.getLoc(), value, at);
  llvm_unreachable("a verified attention has an operand for each letter");
}

Value einhead::attn::offsetOf(AttentionLike op, char letter) {
  if (!op.getOffsetLetters())
    return nullptr;
  int64_t at = indexOf(*op.getOffsetLetters(), letter);
  return at < 0 ? nullptr : op.getOffsets()[at];
}

//===----------------------------------------------------------------------===//
// Result shapes
//===----------------------------------------------------------------------===//

LogicalResult EinsumOp::reifyResultShapes(OpBuilder &builder,
                                          ReifiedRankedShapedTypeDims &shapes) {
  EinsumSpec spec = *EinsumSpec::parse(getSpec());
  llvm::SmallVector<OpFoldResult> shape;
  for (auto [i, letter] : llvm::enumerate(spec.output)) {
    if (!getType().isDynamicDim(i)) {
      shape.push_back(builder.getIndexAttr(getType().getDimSize(i)));
      continue;
    }
    for (auto [term, input] : llvm::zip(spec.inputs, getInputs()))
      if (int64_t at = indexOf(term, letter); at >= 0) {
        shape.push_back(tensor::getMixedSize(builder, getLoc(), input, at));
        break;
      }
  }
  shapes.push_back(std::move(shape));
  return success();
}

LogicalResult
SoftmaxOp::reifyResultShapes(OpBuilder &builder,
                             ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(tensor::getMixedSizes(builder, getLoc(), getInput()));
  return success();
}

LogicalResult AppendOp::reifyResultShapes(OpBuilder &builder,
                                          ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(tensor::getMixedSizes(builder, getLoc(), getCache()));
  return success();
}

/// Results of a destination-style op have the shapes of their destinations.
static LogicalResult reifyFromInits(Operation *op, OpBuilder &builder,
                                    ReifiedRankedShapedTypeDims &shapes) {
  for (OpOperand &init :
       cast<DestinationStyleOpInterface>(op).getDpsInitsMutable())
    shapes.push_back(tensor::getMixedSizes(builder, op->getLoc(), init.get()));
  return success();
}

LogicalResult
AttentionOp::reifyResultShapes(OpBuilder &builder,
                               ReifiedRankedShapedTypeDims &shapes) {
  return reifyFromInits(*this, builder, shapes);
}
LogicalResult
PartialAttentionOp::reifyResultShapes(OpBuilder &builder,
                                      ReifiedRankedShapedTypeDims &shapes) {
  return reifyFromInits(*this, builder, shapes);
}
LogicalResult MergeOp::reifyResultShapes(OpBuilder &builder,
                                         ReifiedRankedShapedTypeDims &shapes) {
  return reifyFromInits(*this, builder, shapes);
}

MutableOperandRange AttentionOp::getDpsInitsMutable() {
  unsigned count = getLse() ? 2 : 1;
  return MutableOperandRange(*this, getNumOperands() - count, count);
}
MutableOperandRange MergeOp::getDpsInitsMutable() {
  unsigned count = getLse() ? 2 : 1;
  return MutableOperandRange(*this, getNumOperands() - count, count);
}
MutableOperandRange PartialAttentionOp::getDpsInitsMutable() {
  return MutableOperandRange(*this, getNumOperands() - 3, 3);
}

//===----------------------------------------------------------------------===//
// Effects: none on tensors; on buffers, reads of inputs, writes of outputs
//===----------------------------------------------------------------------===//

using Effects =
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>;

static void bufferEffects(Operation *op, bool readsInits, Effects &effects) {
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<BaseMemRefType>(operand.get().getType()))
      continue;
    bool isInit = cast<DestinationStyleOpInterface>(op).isDpsInit(&operand);
    if (!isInit || readsInits)
      effects.emplace_back(MemoryEffects::Read::get(), &operand,
                           SideEffects::DefaultResource::get());
    if (isInit)
      effects.emplace_back(MemoryEffects::Write::get(), &operand,
                           SideEffects::DefaultResource::get());
  }
}

/// What a region reads from buffers outside is some read.
static void regionEffects(AttentionLike op, Effects &effects) {
  if (scoreOf(op) && !op->getNumResults())
    effects.emplace_back(MemoryEffects::Read::get(),
                         SideEffects::DefaultResource::get());
}

void AttentionOp::getEffects(Effects &effects) {
  bufferEffects(*this, /*readsInits=*/false, effects);
  regionEffects(cast<AttentionLike>(getOperation()), effects);
}
void PartialAttentionOp::getEffects(Effects &effects) {
  bufferEffects(*this, /*readsInits=*/true, effects);
  regionEffects(cast<AttentionLike>(getOperation()), effects);
}
void MergeOp::getEffects(Effects &effects) {
  bufferEffects(*this, /*readsInits=*/false, effects);
}

//===----------------------------------------------------------------------===//
// Canonicalization
//===----------------------------------------------------------------------===//

namespace {
/// "ab -> ab" of one operand of the result's type is that operand.
struct FoldIdentityEinsum final : OpRewritePattern<EinsumOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(EinsumOp op,
                                PatternRewriter &rewriter) const override {
    EinsumSpec spec = *EinsumSpec::parse(op.getSpec());
    if (spec.inputs.size() != 1 || spec.inputs[0] != spec.output)
      return rewriter.notifyMatchFailure(op, "it permutes or reduces");
    if (op.getInputs()[0].getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "it converts the element type");
    rewriter.replaceOp(op, op.getInputs()[0]);
    return success();
  }
};

/// A `valid` that is the whole extent of the keys says nothing.
struct DropFullValid final : OpRewritePattern<AttentionOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionOp op,
                                PatternRewriter &rewriter) const override {
    llvm::APInt valid;
    if (!op.getValid() || !matchPattern(op.getValid(), m_ConstantInt(&valid)))
      return rewriter.notifyMatchFailure(op, "no constant valid");
    auto like = cast<AttentionLike>(op.getOperation());
    char key = rolesOf(like).key.front();
    if (offsetOf(like, key)) // valid counts from key 0, the extent from there
      return rewriter.notifyMatchFailure(op, "a tile of the keys");
    int64_t extent = staticExtent(like, key);
    if (ShapedType::isDynamic(extent) || valid.getSExtValue() < extent)
      return rewriter.notifyMatchFailure(op, "some keys are not valid");
    rewriter.modifyOpInPlace(op, [&] { op.getValidMutable().clear(); });
    return success();
  }
};
} // namespace

void EinsumOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *context) {
  patterns.add<FoldIdentityEinsum>(context);
}

void AttentionOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                              MLIRContext *context) {
  patterns.add<DropFullValid>(context);
}
