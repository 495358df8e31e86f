//===- Raise.cpp - Recognise attention by its letters -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// A softmax is the anchor.  Upwards from it: what is done with each score
// (ScoreChain.cpp), then the einsum of the scores.  Downwards: the einsum with
// the values.  All letters are renamed to those of the scores
// einsum, then the roles decide; the first thing that does not fit is the
// reason of the missed remark.

#include "ScoreChain.h"
#include "einhead/Analysis/Remark.h"
#include "einhead/IR/Attn.h"
#include "einhead/Transforms/Passes.h"
#include "einhead/Transforms/Transforms.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Transforms/RegionUtils.h"

namespace einhead {
#define GEN_PASS_DEF_RAISEPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

namespace {
/// One chain, as far as it has been recognised.
struct Chain {
  ScoreChain scores;
  EinsumOp values;
  SoftmaxOp softmax;
  Value query, key, value;
  /// Terms in the letters of the scores einsum.
  std::string queryTerm, keyTerm, scoreTerm, valueTerm, outputTerm;

  std::string spec() const {
    return queryTerm + ", " + keyTerm + ", " + valueTerm + " -> " + outputTerm;
  }
};

/// The first reason why a chain is not attention.
using Reason = std::string;
} // namespace

/// Whether `value` is used by nothing but the chain.
static Reason usedElsewhere(Value value, llvm::StringRef what) {
  if (value.hasOneUse())
    return "";
  return (what + " are used elsewhere, so they must be stored").str();
}

/// softmax input = score(scale * einsum) + bias.
static Reason matchScores(Chain &chain) {
  return ScoreChain::match(chain.softmax, chain.scores);
}

/// Which operand of the scores einsum is the key: the one with the softmaxed
/// letter.
static Reason matchQueryAndKey(Chain &chain) {
  EinsumSpec spec = *EinsumSpec::parse(chain.scores.einsum.getSpec());
  chain.scoreTerm = spec.output;
  size_t over = chain.softmax.getLetters().find(chain.softmax.getOver());
  // Softmax and scores may name their letters differently; places agree.
  char keyLetter = spec.output[over];
  bool first = llvm::StringRef(spec.inputs[0]).contains(keyLetter);
  bool second = llvm::StringRef(spec.inputs[1]).contains(keyLetter);
  if (first && second)
    return std::string("the softmaxed letter '") + keyLetter +
           "' stands in both operands of the scores einsum";
  unsigned key = first ? 0 : 1;
  chain.key = chain.scores.einsum.getInputs()[key];
  chain.query = chain.scores.einsum.getInputs()[1 - key];
  chain.keyTerm = spec.inputs[key];
  chain.queryTerm = spec.inputs[1 - key];
  return "";
}

/// A letter that none of `taken` uses.
static char freshLetter(const std::string &taken) {
  for (char letter = 'a'; letter <= 'z'; ++letter)
    if (taken.find(letter) == std::string::npos)
      return letter;
  for (char letter = 'A'; letter <= 'Z'; ++letter)
    if (taken.find(letter) == std::string::npos)
      return letter;
  return 0;
}

/// Renames the values einsum: the weights' letters to those of the scores, the
/// others to letters that the scores einsum does not use.
static Reason renameValues(Chain &chain, const EinsumSpec &spec,
                           unsigned weights) {
  std::string from = spec.inputs[weights], to = chain.scoreTerm;
  std::string taken =
      EinsumSpec::parse(chain.scores.einsum.getSpec())->letters();
  for (char letter : spec.letters()) {
    if (from.find(letter) != std::string::npos)
      continue;
    char name =
        taken.find(letter) == std::string::npos ? letter : freshLetter(taken);
    if (!name)
      return "it needs more than 52 letters";
    from.push_back(letter);
    to.push_back(name);
    taken.push_back(name);
  }
  auto rename = [&](llvm::StringRef term) {
    std::string renamed;
    for (char letter : term)
      renamed.push_back(to[from.find(letter)]);
    return renamed;
  };
  chain.valueTerm = rename(spec.inputs[1 - weights]);
  chain.outputTerm = rename(spec.output);
  return "";
}

/// softmax -> einsum with the values, summed over the softmaxed letter.
static Reason matchValues(Chain &chain) {
  Value weights = chain.softmax.getResult();
  if (weights.use_empty())
    return "its result is not used";
  if (Reason why = usedElsewhere(weights, "the weights"); !why.empty())
    return why;
  chain.values = dyn_cast<EinsumOp>(*weights.getUsers().begin());
  if (!chain.values || chain.values.getInputs().size() != 2)
    return "its result does not go into an einsum of weights and values";
  unsigned at = chain.values.getInputs()[0] == weights ? 0 : 1;
  chain.value = chain.values.getInputs()[1 - at];
  if (Reason why =
          renameValues(chain, *EinsumSpec::parse(chain.values.getSpec()), at);
      !why.empty())
    return why;
  char over =
      chain.scoreTerm[chain.softmax.getLetters().find(chain.softmax.getOver())];
  std::string summed = lettersWithout(chain.scoreTerm, chain.outputTerm);
  if (summed.empty())
    return std::string("the values einsum keeps the softmaxed letter '") +
           over + "'";
  if (summed != std::string(1, over))
    return std::string("the softmax is over '") + over +
           "', but the values einsum sums the weights over \"" + summed + "\"";
  if (chain.valueTerm.find(over) == std::string::npos)
    return std::string("the values lack the softmaxed letter '") + over + "'";
  return "";
}

/// What remains once the chain is complete: roles, lengths, types.
static Reason matchRoles(Chain &chain) {
  std::string why;
  ScopedDiagnosticHandler quiet(chain.softmax.getContext(),
                                [&](Diagnostic &diagnostic) {
                                  why = diagnostic.str();
                                  return success();
                                });
  FailureOr<AttentionRoles> roles = AttentionRoles::get(
      chain.spec(), [&]() { return emitError(chain.softmax.getLoc()); });
  if (failed(roles))
    return why;
  if (isa<Float8E4M3FNType>(getElementTypeOrSelf(chain.query)))
    return "the query is f8E4M3FN, which key and value alone may be; widen it";
  Value valid = chain.softmax.getValid();
  if (valid && !valid.getType().isIndex() &&
      (roles->queryTerm.front() != chain.scoreTerm.front() ||
       roles->batch.find(roles->queryTerm.front()) == std::string::npos))
    return "the lengths are by letter '" + chain.scoreTerm.substr(0, 1) +
           "', which is not a batch letter that leads the query";
  for (Value scores :
       {chain.scores.einsum.getResult(), chain.softmax.getResult()})
    if (!getElementTypeOrSelf(scores).isF32())
      return "the scores are not stored as f32; rounding them is part of the "
             "graph";
  return "";
}

static Reason match(Chain &chain) {
  for (auto step : {matchScores, matchQueryAndKey, matchValues, matchRoles})
    if (Reason why = step(chain); !why.empty())
      return why;
  return "";
}

/// The mask of the softmax in the chain's letters.
static MaskAttr renameMask(Chain &chain) {
  MaskAttr mask = chain.softmax.getMaskAttr();
  if (!mask)
    return mask;
  std::string letters;
  for (char letter : mask.getLetters())
    letters.push_back(chain.scoreTerm[chain.softmax.getLetters().find(letter)]);
  return MaskAttr::get(mask.getContext(), letters, mask.getSets());
}

/// The letters of the softmax's sink in the chain's letters.
static StringAttr renameSink(Chain &chain) {
  if (!chain.softmax.getSink())
    return nullptr;
  std::string letters;
  llvm::StringRef own = *chain.softmax.getSinkLetters();
  for (char letter : own)
    letters.push_back(chain.scoreTerm[chain.softmax.getLetters().find(letter)]);
  return StringAttr::get(chain.softmax.getContext(), letters);
}

/// A tensor like the result.  Its extents are those of the operands: the
/// weights' would keep the scores, which the attention replaces, in the graph.
static Value emptyResult(RewriterBase &rewriter, const Chain &chain) {
  EinsumOp values = chain.values;
  Location loc = values.getLoc();
  RankedTensorType type = values.getType();
  const std::pair<Value, llvm::StringRef> operands[] = {
      {chain.query, chain.queryTerm},
      {chain.key, chain.keyTerm},
      {chain.value, chain.valueTerm}};
  SmallVector<OpFoldResult> sizes;
  for (auto [dim, letter] : llvm::enumerate(chain.outputTerm)) {
    if (!type.isDynamicDim(dim)) {
      sizes.push_back(rewriter.getIndexAttr(type.getDimSize(dim)));
      continue;
    }
    const auto *operand = llvm::find_if(operands, [&](const auto &other) {
      return other.second.contains(letter);
    });
    sizes.push_back(tensor::getMixedSize(rewriter, loc, operand->first,
                                         operand->second.find(letter)));
  }
  return tensor::EmptyOp::create(rewriter, loc, sizes, type.getElementType());
}

static AttentionOp replace(RewriterBase &rewriter, Chain &chain) {
  EinsumOp values = chain.values;
  rewriter.setInsertionPoint(values);
  RankedTensorType type = values.getType();
  Value init = emptyResult(rewriter, chain);
  ScoreChain &scores = chain.scores;
  StringAttr biasLetters =
      scores.bias ? rewriter.getStringAttr(scores.biasLetters) : StringAttr();
  auto op = AttentionOp::create(
      rewriter, chain.softmax.getLoc(), TypeRange(init.getType()),
      rewriter.getStringAttr(chain.spec()), chain.query, chain.key, chain.value,
      rewriter.getF64FloatAttr(scores.scale), /*key_scale=*/Value(),
      /*value_scale=*/Value(), scores.bias, biasLetters,
      chain.softmax.getValid(), renameMask(chain),
      chain.softmax.getMaskSymbols(),
      /*offset_letters=*/StringAttr(), /*offsets=*/ValueRange(),
      /*block_letters=*/StringAttr(), /*blocks=*/Value(),
      /*block_size=*/IntegerAttr(), renameSink(chain), chain.softmax.getSink(),
      /*shared_kv=*/UnitAttr(), /*schedule=*/ScheduleAttr(), init,
      /*lse=*/Value(), /*scoreCount=*/scores.region ? 1 : 0);
  std::string described = scores.describe();
  scores.moveInto(op, chain.scoreTerm);
  // The operands may say more of the extents than the result's type does.
  Value result = op.getResult(0);
  if (result.getType() != type)
    result = tensor::CastOp::create(rewriter, values.getLoc(), type, result);
  rewriter.replaceOp(values, result);
  AttentionRoles roles = rolesOf(cast<AttentionLike>(op.getOperation()));
  remarkPassed(op.getLoc(), "attn-raise", "Attention",
               "attention \"" + chain.spec() + "\": batch \"" + roles.batch +
                   "\", rows \"" + roles.row + "\", key \"" + roles.key +
                   "\", depth \"" + roles.depth + "\", value \"" + roles.value +
                   "\"" + described);
  return op;
}

FailureOr<AttentionOp> einhead::raiseAttention(RewriterBase &rewriter,
                                               SoftmaxOp softmax,
                                               std::string &why) {
  Chain chain;
  chain.softmax = softmax;
  why = match(chain);
  if (!why.empty())
    return failure();
  AttentionOp op = replace(rewriter, chain);
  readScaledRows(rewriter, op, "attn-raise", /*saysWhyNot=*/true);
  return op;
}

namespace {
struct RaisePass final : einhead::impl::RaisePassBase<RaisePass> {
  using RaisePassBase::RaisePassBase;

  void runOnOperation() override {
    SmallVector<SoftmaxOp> anchors;
    getOperation().walk([&](SoftmaxOp op) { anchors.push_back(op); });
    IRRewriter rewriter(&getContext());
    for (SoftmaxOp softmax : anchors) {
      Reason why;
      if (succeeded(raiseAttention(rewriter, softmax, why)))
        continue;
      remarkMissed(softmax.getLoc(), "attn-raise", "NotAttention",
                   "softmax is not fused: " + why);
      if (requireFused) {
        softmax.emitError() << "softmax is not fused: " << why;
        signalPassFailure();
      }
    }
    // What the attentions replaced.
    (void)runRegionDCE(rewriter, getOperation()->getRegions());
  }
};
} // namespace
