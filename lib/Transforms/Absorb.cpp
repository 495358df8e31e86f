//===- Absorb.cpp - Attend to the latent of keys and values -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Absorb.h"
#include "einhead/Analysis/Remark.h"
#include "einhead/Analysis/ValueInKey.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/TypeUtilities.h"

namespace einhead {
#define GEN_PASS_DEF_ABSORBPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// An einsum with an f32 result, in the chain's letters.
static Value einsum(OpBuilder &b, const LatentChain &chain, Value left,
                    llvm::StringRef leftTerm, Value right,
                    llvm::StringRef rightTerm, llvm::StringRef outputTerm) {
  SmallVector<int64_t> shape;
  for (char letter : outputTerm)
    shape.push_back(chain.extents.lookup(letter));
  auto type = RankedTensorType::get(shape, b.getF32Type());
  std::string spec = (leftTerm + ", " + rightTerm + " -> " + outputTerm).str();
  return EinsumOp::create(b, left.getLoc(), type, spec,
                          ValueRange{left, right});
}

/// first and second, one after the other along `dim`.
static Value join(OpBuilder &b, Location loc, int64_t dim, Value first,
                  Value second) {
  return tensor::ConcatOp::create(b, loc, dim, ValueRange{first, second});
}

/// The columns of latent and rotary key where they lie side by side.
static Value sliceOfBoth(OpBuilder &b, const LatentChain &chain) {
  Location loc = chain.rotary->key.getLoc();
  Value first =
      chain.rotary->latentFirst ? chain.keys.latent : chain.rotary->key;
  SliceWindow window = SliceWindow::of(first);
  auto type = cast<RankedTensorType>(first.getType());
  int64_t columns = chain.extents.lookup(chain.keys.column) +
                    chain.extents.lookup(chain.rotary->column);
  SmallVector<int64_t> shape(type.getShape());
  shape.back() = columns;
  SmallVector<OpFoldResult> own = tensor::getMixedSizes(b, loc, first);
  own.back() = b.getIndexAttr(columns);
  SmallVector<OpFoldResult> sizes(window.offsets.size(), b.getIndexAttr(1));
  SmallVector<OpFoldResult> ones(window.offsets.size(), b.getIndexAttr(1));
  for (auto [i, dim] : llvm::enumerate(window.dims))
    sizes[dim] = own[i];
  return tensor::ExtractSliceOp::create(
      b, loc, RankedTensorType::get(shape, type.getElementType()), window.base,
      window.offsets, sizes, ones);
}

/// Query and key of both score einsums at once.
static void joinRotary(OpBuilder &b, LatentChain &chain, Value &query,
                       Value &key) {
  RotaryScores &rotary = *chain.rotary;
  Location loc = chain.scores.getLoc();
  Value other = rotary.query;
  auto type = cast<RankedTensorType>(other.getType());
  if (!type.getElementType().isF32())
    other = arith::ExtFOp::create(b, loc, type.clone(b.getF32Type()), other);
  int64_t dim = indexOf(rotary.queryTerm, rotary.column);
  int64_t last = chain.keys.latentTerm.size() - 1;
  bool first = !rotary.adjacent || rotary.latentFirst;
  query = join(b, loc, dim, first ? query : other, first ? other : query);
  key = rotary.adjacent ? sliceOfBoth(b, chain)
                        : join(b, loc, last, chain.keys.latent, rotary.key);
}

/// The latent of the values: where latent and rotary key were joined, the
/// columns of that tensor, so that its rows are read once.
static Value valueLatent(OpBuilder &b, const LatentChain &chain, Value key) {
  Value latent = chain.values.latent;
  if (!chain.rotary || chain.rotary->adjacent || latent != chain.keys.latent)
    return latent;
  Location loc = latent.getLoc();
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, latent);
  SmallVector<OpFoldResult> zeros(sizes.size(), b.getIndexAttr(0));
  SmallVector<OpFoldResult> ones(sizes.size(), b.getIndexAttr(1));
  return tensor::ExtractSliceOp::create(
      b, loc, cast<RankedTensorType>(latent.getType()), key, zeros, sizes,
      ones);
}

void einhead::absorb(LatentChain &chain) {
  bool isSum = chain.rotary && chain.rotary->sum;
  Operation *scores = isSum ? chain.rotary->sum : chain.scores.getOperation();
  OpBuilder b(scores);
  if (chain.joined)
    cutQuery(b, chain);
  std::string queryTerm = chain.latentQueryTerm();
  Value query = einsum(b, chain, chain.query, chain.queryTerm,
                       chain.keys.weight, chain.keys.weightTerm, queryTerm);
  Value key = chain.keys.latent;
  if (chain.rotary)
    joinRotary(b, chain, query, key);
  // The joined columns go by the latent's letter.
  Value sum = EinsumOp::create(b, chain.scores.getLoc(), chain.scores.getType(),
                               queryTerm + ", " + chain.keys.latentTerm +
                                   " -> " + chain.scoreTerm,
                               ValueRange{query, key});
  scores->getResult(0).replaceAllUsesWith(sum);

  b.setInsertionPoint(chain.output);
  std::string latentTerm = chain.latentOutputTerm();
  Value latent =
      einsum(b, chain, chain.softmax.getResult(), chain.scoreTerm,
             valueLatent(b, chain, key), chain.values.latentTerm, latentTerm);
  Value output = EinsumOp::create(
      b, chain.output.getLoc(), chain.output.getType(),
      latentTerm + ", " + chain.values.weightTerm + " -> " + chain.outputTerm,
      ValueRange{latent, chain.values.weight});
  chain.output.getResult().replaceAllUsesWith(output);
  for (Operation *dead : {chain.output.getOperation(), scores})
    dead->erase();
  if (isSum)
    for (EinsumOp dead : {chain.scores, chain.rotary->op})
      dead->erase();
  if (chain.joined)
    for (Operation *dead : chain.joined->ops)
      dead->erase();
  for (EinsumOp dead : {chain.keys.op, chain.values.op})
    dead->erase();
}

/// The dynamic letters whose extents were assumed, for the remark.
static std::string assumptions(const LatentChain &chain) {
  std::string text;
  for (char letter : chain.scoreTerm)
    if (ShapedType::isDynamic(chain.extents.lookup(letter)))
      text += std::string(text.empty() ? " (taking '" : ", '") + letter +
              (letter == chain.over ? "' as many keys" : "' as 1");
  return text.empty() ? "" : text + ")";
}

namespace {
struct AbsorbPass final : einhead::impl::AbsorbPassBase<AbsorbPass> {
  void runOnOperation() override {
    SmallVector<SoftmaxOp> anchors;
    getOperation().walk([&](SoftmaxOp op) { anchors.push_back(op); });
    for (SoftmaxOp softmax : anchors)
      decide(softmax);
  }

  static void decide(SoftmaxOp softmax) {
    LatentChain chain;
    std::string why;
    if (!LatentChain::match(softmax, chain, why))
      return;
    Location loc = softmax.getLoc();
    if (!why.empty())
      return remarkMissed(loc, "attn-absorb", "NotAbsorbed",
                          "keys stay projected: " + why);
    FormCost projected = FormCost::projected(chain);
    FormCost latent = FormCost::latent(chain);
    std::string costs = "attention to the latent takes " + latent.str() +
                        ", to projected keys and values " + projected.str() +
                        assumptions(chain);
    bool joined = chain.rotary && !chain.rotary->adjacent;
    if (joined)
      costs += "; latent and rotary key are two tensors, which are copied into "
               "one (keep them side by side in one cache)";
    if (latent.weigh(chain.over) >= projected.weigh(chain.over))
      return remarkMissed(loc, "attn-absorb", "NotAbsorbed",
                          "keys stay projected: " + costs);
    absorb(chain);
    remarkPassed(loc, "attn-absorb", "Absorbed",
                 "the weights of keys and values are absorbed: " + costs);
  }
};
} // namespace
