//===- AttnTransformOps.cpp - Attention in transform scripts ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each op calls what its pass calls (einhead/Transforms/Transforms.h).  What
// can be refused is refused before anything changes, so that a script may try
// another way; what fails later is an error.
//
//===----------------------------------------------------------------------===//

#include "einhead/TransformOps/AttnTransformOps.h"
#include "einhead/Transforms/Transforms.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;
using namespace einhead::transform_ops;

#define GET_OP_CLASSES
#include "einhead/TransformOps/AttnTransformOps.cpp.inc"

using Outcome = DiagnosedSilenceableFailure;

/// A refusal of `script`, at the payload op that it is about.
static Outcome refuse(Operation *script, Operation *payload, const Twine &why) {
  Outcome outcome = emitSilenceableFailure(script->getLoc(), why);
  outcome.attachNote(payload->getLoc()) << "this op";
  return outcome;
}

/// The payload ops of a handle in the order of the program, all of one kind.
template <typename OpTy>
static Outcome payloadOf(transform::TransformOpInterface script, Value handle,
                         transform::TransformState &state,
                         SmallVectorImpl<OpTy> &ops) {
  for (Operation *payload : state.getPayloadOps(handle)) {
    auto op = dyn_cast<OpTy>(payload);
    if (!op)
      return refuse(script, payload,
                    "expected " + OpTy::getOperationName() + ", got " +
                        payload->getName().getStringRef());
    ops.push_back(op);
  }
  return Outcome::success();
}

static Outcome checkSchedule(Operation *script, AttentionOp op) {
  if (std::string why = whyNotTiled(op); !why.empty())
    return refuse(script, op, "not tiled: " + why);
  return Outcome::success();
}

/// The ops of one kind among those that stand between two ops of a block.
template <typename OpTy>
static void collect(Block *block, Operation *before, Operation *after,
                    SmallVectorImpl<Operation *> &found) {
  Operation *op = before ? before->getNextNode() : &block->front();
  for (; op && op != after; op = op->getNextNode())
    op->walk([&](OpTy inner) { found.push_back(inner); });
}

//===----------------------------------------------------------------------===//
// Raising and sharing
//===----------------------------------------------------------------------===//

/// Takes extents from what an op is made of, where it is used for nothing else:
/// they would keep the whole chain alive.
static void resolveExtents(RewriterBase &rewriter, Operation *op) {
  OpBuilder::InsertionGuard guard(rewriter);
  auto isExtent = [](Operation *user) {
    auto dim = dyn_cast<tensor::DimOp>(user);
    return dim && dim.getConstantIndex();
  };
  if (op->getNumResults() != 1 || !llvm::all_of(op->getUsers(), isExtent))
    return;
  for (Operation *user : llvm::make_early_inc_range(op->getUsers())) {
    rewriter.setInsertionPoint(user);
    FailureOr<OpFoldResult> extent = reifyDimOfResult(
        rewriter, op, 0, *cast<tensor::DimOp>(user).getConstantIndex());
    if (succeeded(extent))
      rewriter.replaceOp(user, getValueOrCreateConstantIndexOp(
                                   rewriter, user->getLoc(), *extent));
  }
}

/// Erases what `root` leaves without uses, upwards.
static void eraseDeadChain(RewriterBase &rewriter, Operation *root) {
  llvm::SetVector<Operation *> open;
  open.insert(root);
  while (!open.empty()) {
    Operation *op = open.pop_back_val();
    resolveExtents(rewriter, op);
    if (!isOpTriviallyDead(op))
      continue;
    for (Value operand : op->getOperands())
      if (Operation *before = operand.getDefiningOp())
        open.insert(before);
    rewriter.eraseOp(op);
  }
}

Outcome TransformRaiseOp::applyToOne(transform::TransformRewriter &rewriter,
                                     SoftmaxOp target,
                                     transform::ApplyToEachResultList &results,
                                     transform::TransformState &state) {
  std::string why;
  FailureOr<AttentionOp> attention = raiseAttention(rewriter, target, why);
  if (failed(attention))
    return refuse(*this, target, "softmax is not fused: " + why);
  eraseDeadChain(rewriter, target);
  results.push_back(*attention);
  return Outcome::success();
}

Outcome TransformFuseSharedKVOp::apply(transform::TransformRewriter &rewriter,
                                       transform::TransformResults &results,
                                       transform::TransformState &state) {
  SmallVector<func::FuncOp> functions;
  if (Outcome outcome = payloadOf(*this, getFunction(), state, functions);
      !outcome.succeeded())
    return outcome;
  SmallVector<Operation *> attentions;
  for (func::FuncOp function : functions) {
    if (failed(fuseSharedKV(function)))
      return emitDefiniteFailure("K and V are not shared in this function");
    function.walk([&](AttentionOp op) { attentions.push_back(op); });
  }
  results.set(cast<OpResult>(getAttention()), attentions);
  return Outcome::success();
}

//===----------------------------------------------------------------------===//
// Schedules
//===----------------------------------------------------------------------===//

Outcome
TransformScheduleOp::applyToOne(transform::TransformRewriter &rewriter,
                                AttentionOp target,
                                transform::ApplyToEachResultList &results,
                                transform::TransformState &state) {
  llvm::Expected<TargetInfo> machine = TargetInfo::get(getCpu());
  if (!machine)
    return emitDefiniteFailure(llvm::toString(machine.takeError()));
  if (Outcome outcome = checkSchedule(*this, target); !outcome.succeeded())
    return outcome;
  rewriter.modifyOpInPlace(target, [&] {
    target.setScheduleAttr(chooseSchedule(target, *machine));
  });
  return Outcome::success();
}

void TransformScheduleOp::getEffects(
    SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  transform::onlyReadsHandle(getTargetMutable(), effects);
  transform::modifiesPayload(effects);
}

Outcome
TransformSetScheduleOp::applyToOne(transform::TransformRewriter &rewriter,
                                   Operation *target,
                                   transform::ApplyToEachResultList &results,
                                   transform::TransformState &state) {
  auto attention = dyn_cast<AttentionOp>(target);
  auto partial = dyn_cast<PartialAttentionOp>(target);
  if (!attention && !partial)
    return refuse(*this, target,
                  "expected attn.attention or attn.partial_attention, got " +
                      target->getName().getStringRef());
  if (attention)
    if (Outcome outcome = checkSchedule(*this, attention); !outcome.succeeded())
      return outcome;
  rewriter.modifyOpInPlace(target, [&] {
    if (attention)
      attention.setScheduleAttr(getSchedule());
    else
      partial.setScheduleAttr(getSchedule());
  });
  return Outcome::success();
}

void TransformSetScheduleOp::getEffects(
    SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  transform::onlyReadsHandle(getTargetMutable(), effects);
  transform::modifiesPayload(effects);
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

Outcome TransformSplitKeysOp::apply(transform::TransformRewriter &rewriter,
                                    transform::TransformResults &results,
                                    transform::TransformState &state) {
  SmallVector<AttentionOp> ops;
  if (Outcome outcome = payloadOf(*this, getTarget(), state, ops);
      !outcome.succeeded())
    return outcome;
  for (AttentionOp op : ops) {
    if (!op.getScheduleAttr())
      return refuse(*this, op,
                    "this attention has no schedule; give it one by "
                    "transform.attn.schedule or transform.attn.set_schedule");
    if (Outcome outcome = checkSchedule(*this, op); !outcome.succeeded())
      return outcome;
  }
  SmallVector<Operation *> partials, merges;
  for (AttentionOp op : ops) {
    FailureOr<MergeOp> merge = splitKeys(rewriter, op);
    if (failed(merge))
      return emitDefiniteFailure("the keys cannot be split");
    merges.push_back(*merge);
    SmallVector<Operation *> parts;
    for (Operation *at = merge->getMax().getDefiningOp();
         isa_and_nonnull<PartialAttentionOp>(at);
         at = cast<PartialAttentionOp>(at).getMax().getDefiningOp())
      parts.push_back(at);
    llvm::append_range(partials, llvm::reverse(parts));
  }
  results.set(cast<OpResult>(getPartial()), partials);
  results.set(cast<OpResult>(getMerge()), merges);
  return Outcome::success();
}

Outcome TransformTileDecodeOp::apply(transform::TransformRewriter &rewriter,
                                     transform::TransformResults &results,
                                     transform::TransformState &state) {
  SmallVector<PartialAttentionOp> ops;
  if (Outcome outcome = payloadOf(*this, getTarget(), state, ops);
      !outcome.succeeded())
    return outcome;
  for (PartialAttentionOp op : ops) {
    if (!op.getChunk())
      return refuse(*this, op,
                    "this partial attention is on one chunk; "
                    "transform.attn.tile_keys tiles it");
    if (!op.getScheduleAttr())
      return refuse(*this, op,
                    "this partial attention has no schedule; give it one by "
                    "transform.attn.set_schedule");
  }
  FailureOr<SmallVector<scf::ForallOp>> tiled = tileDecode(rewriter, ops);
  if (failed(tiled))
    return emitDefiniteFailure("a partial attention is not tiled");
  SmallVector<Operation *> loops(tiled->begin(), tiled->end()), tiles;
  for (Operation *loop : loops)
    loop->walk([&](PartialAttentionOp tile) { tiles.push_back(tile); });
  results.set(cast<OpResult>(getLoop()), loops);
  results.set(cast<OpResult>(getTiles()), tiles);
  return Outcome::success();
}

Outcome TransformTileKeysOp::apply(transform::TransformRewriter &rewriter,
                                   transform::TransformResults &results,
                                   transform::TransformState &state) {
  SmallVector<PartialAttentionOp> ops;
  if (Outcome outcome = payloadOf(*this, getTarget(), state, ops);
      !outcome.succeeded())
    return outcome;
  for (PartialAttentionOp op : ops) {
    if (op.getChunk())
      return refuse(*this, op,
                    "this partial attention is over chunks; "
                    "transform.attn.tile_decode tiles it");
    if (!op.getScheduleAttr())
      return refuse(*this, op,
                    "this partial attention has no schedule; give it one by "
                    "transform.attn.set_schedule");
  }
  SmallVector<Operation *> loops, tiles;
  for (PartialAttentionOp op : ops) {
    Block *block = op->getBlock();
    Operation *before = op->getPrevNode(), *after = op->getNextNode();
    if (failed(tileKeys(rewriter, op)))
      return emitDefiniteFailure("a partial attention is not tiled");
    collect<scf::ForOp>(block, before, after, loops);
    collect<PartialAttentionOp>(block, before, after, tiles);
  }
  results.set(cast<OpResult>(getLoops()), loops);
  results.set(cast<OpResult>(getTiles()), tiles);
  return Outcome::success();
}

Outcome TransformTileMergeOp::apply(transform::TransformRewriter &rewriter,
                                    transform::TransformResults &results,
                                    transform::TransformState &state) {
  SmallVector<MergeOp> ops;
  if (Outcome outcome = payloadOf(*this, getTarget(), state, ops);
      !outcome.succeeded())
    return outcome;
  SmallVector<Operation *> loops, tiles;
  for (MergeOp op : ops) {
    FailureOr<scf::ForallOp> loop = tileMerge(rewriter, op);
    if (failed(loop))
      return emitDefiniteFailure("a merge is not tiled");
    if (!*loop) {
      tiles.push_back(op);
      continue;
    }
    loops.push_back(*loop);
    (*loop)->walk([&](MergeOp tile) { tiles.push_back(tile); });
  }
  results.set(cast<OpResult>(getLoop()), loops);
  results.set(cast<OpResult>(getTiles()), tiles);
  return Outcome::success();
}

//===----------------------------------------------------------------------===//
// The extension
//===----------------------------------------------------------------------===//

namespace {
class AttnTransformExtension
    : public transform::TransformDialectExtension<AttnTransformExtension> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(AttnTransformExtension)

  void init() {
    declareDependentDialect<AttnDialect>();
    declareGeneratedDialect<affine::AffineDialect>();
    declareGeneratedDialect<arith::ArithDialect>();
    declareGeneratedDialect<linalg::LinalgDialect>();
    declareGeneratedDialect<scf::SCFDialect>();
    declareGeneratedDialect<tensor::TensorDialect>();
    registerTransformOps<
#define GET_OP_LIST
#include "einhead/TransformOps/AttnTransformOps.cpp.inc"
        >();
  }
};
} // namespace

void einhead::registerTransformDialectExtension(DialectRegistry &registry) {
  registry.addExtensions<AttnTransformExtension>();
}
