//===- AbsorbMatch.cpp - Find keys projected from a latent ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Absorb.h"
#include "ScoreChain.h"
#include "einhead/Analysis/ValueInKey.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

static bool has(llvm::StringRef term, char letter) {
  return indexOf(term, letter) >= 0;
}

/// A letter that `chain` has not yet; 0 where none is left.
static char freshLetter(const LatentChain &chain, char wanted) {
  std::string candidates(1, wanted);
  for (char letter = 'a'; letter <= 'z'; ++letter)
    candidates.push_back(letter);
  for (char letter = 'A'; letter <= 'Z'; ++letter)
    candidates.push_back(letter);
  for (char letter : candidates)
    if (!has(chain.letters, letter))
      return letter;
  return 0;
}

/// The spec with the letters `from` named `to`, the others by new names.
static FailureOr<EinsumSpec> rename(LatentChain &chain, EinsumSpec spec,
                                    std::string from, std::string to) {
  for (char letter : spec.letters()) {
    if (has(from, letter))
      continue;
    char name = freshLetter(chain, letter);
    if (!name)
      return failure();
    from.push_back(letter);
    to.push_back(name);
    chain.letters.push_back(name);
  }
  auto apply = [&](std::string &term) {
    for (char &letter : term)
      letter = to[indexOf(from, letter)];
  };
  llvm::for_each(spec.inputs, apply);
  apply(spec.output);
  return spec;
}

static void bindLetters(LatentChain &chain, llvm::StringRef term, Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  for (auto [letter, extent] : llvm::zip(term, type.getShape())) {
    auto at = chain.extents.try_emplace(letter, extent).first;
    if (ShapedType::isDynamic(at->second))
      at->second = extent;
  }
}

static void bindLetters(LatentChain &chain, EinsumOp op,
                        const EinsumSpec &spec) {
  for (auto [term, input] : llvm::zip(spec.inputs, op.getInputs()))
    bindLetters(chain, term, input);
  bindLetters(chain, spec.output, op.getResult());
}

bool einhead::isProjected(Value value, llvm::StringRef term, char over) {
  auto op = value.getDefiningOp<EinsumOp>();
  if (!op || op.getInputs().size() != 2)
    return false;
  EinsumSpec spec = *EinsumSpec::parse(op.getSpec());
  char letter = spec.output[indexOf(term, over)];
  return has(spec.inputs[0], letter) != has(spec.inputs[1], letter);
}

/// Fills in the projection of keys or values; the first reason why not, or "".
static std::string matchProjection(LatentChain &chain, Value value,
                                   llvm::StringRef term, llvm::StringRef what,
                                   LatentProjection &part) {
  if (!isProjected(value, term, chain.over))
    return ("the " + what + " are not projected from a latent").str();
  if (!value.hasOneUse())
    return ("the projected " + what +
            " are used elsewhere, so they are "
            "computed anyway")
        .str();
  part.op = value.getDefiningOp<EinsumOp>();
  EinsumSpec own = *EinsumSpec::parse(part.op.getSpec());
  FailureOr<EinsumSpec> spec = rename(chain, own, own.output, term.str());
  if (failed(spec))
    return "it needs more than 52 letters";
  bindLetters(chain, part.op, *spec);
  unsigned latent = has(spec->inputs[0], chain.over) ? 0 : 1;
  part.latent = part.op.getInputs()[latent];
  part.weight = part.op.getInputs()[1 - latent];
  part.latentTerm = spec->inputs[latent];
  part.weightTerm = spec->inputs[1 - latent];
  part.term = spec->output;
  std::string summed = lettersWithout(part.latentTerm, part.term);
  if (summed.size() != 1 || !has(part.weightTerm, summed[0]) ||
      lettersWithout(part.weightTerm, part.term) != summed)
    return ("the " + what + " are no projection over one letter: \"" +
            own.str() + "\"")
        .str();
  part.column = summed[0];
  if (part.latentTerm.back() != part.column)
    return (llvm::Twine("letter '") + llvm::Twine(part.column) +
            "' is not the last of the latent (\"" + part.latentTerm +
            "\"), so its rows are not contiguous")
        .str();
  for (char letter : part.weightTerm)
    if (ShapedType::isDynamic(chain.extents.lookup(letter)))
      return std::string("the extent of '") + letter +
             "' in the weight is dynamic; give it (--attn-specialize)";
  return "";
}

/// Whether rotary key and latent lie side by side in one tensor.
static void matchAdjacent(const LatentChain &chain, RotaryScores &rotary) {
  SliceWindow latent = SliceWindow::of(chain.keys.latent);
  SliceWindow key = SliceWindow::of(rotary.key);
  if (latent.base != key.base || latent.dims != key.dims)
    return;
  int64_t last = latent.dims.back();
  for (int64_t i = 0, e = latent.offsets.size(); i < e; ++i)
    if (i != last &&
        !isEqualConstantIntOrValue(latent.offsets[i], key.offsets[i]))
      return;
  std::optional<int64_t> x = getConstantIntValue(latent.offsets[last]);
  std::optional<int64_t> y = getConstantIntValue(key.offsets[last]);
  if (!x || !y)
    return;
  rotary.latentFirst = *x < *y;
  rotary.adjacent = *x + chain.extents.lookup(chain.keys.column) == *y ||
                    *y + chain.extents.lookup(rotary.column) == *x;
}

/// Takes the rotary scores where they can join those of the latent; the first
/// reason why not, or "".
static std::string takeRotary(LatentChain &chain, RotaryScores rotary) {
  std::string columns = lettersWithout(rotary.keyTerm, chain.scoreTerm);
  if (columns.size() != 1 || rotary.keyTerm.back() != columns[0] ||
      llvm::StringRef(rotary.keyTerm).drop_back() !=
          llvm::StringRef(chain.keys.latentTerm).drop_back())
    return "the rotary key (\"" + rotary.keyTerm +
           "\") has other letters than the latent (\"" + chain.keys.latentTerm +
           "\") before its last";
  rotary.column = columns[0];
  auto sorted = [](std::string term) {
    llvm::sort(term);
    return term;
  };
  std::string query = chain.latentQueryTerm();
  if (sorted(lettersWithout(rotary.queryTerm, columns)) !=
      sorted(lettersWithout(query, std::string(1, chain.keys.column))))
    return "the rotary query (\"" + rotary.queryTerm +
           "\") has other letters than the query times the weight (\"" + query +
           "\")";
  if (ShapedType::isDynamic(chain.extents.lookup(rotary.column)))
    return std::string("the extent of '") + rotary.column +
           "' is dynamic; give it (--attn-specialize)";
  if (getElementTypeOrSelf(rotary.key) !=
      getElementTypeOrSelf(chain.keys.latent))
    return "latent and rotary key have different element types";
  matchAdjacent(chain, rotary);
  chain.rotary = rotary;
  return "";
}

/// The scores that are added to those of the latent.
static std::string matchRotary(LatentChain &chain) {
  if (chain.joined) {
    char column = freshLetter(chain, 'r');
    if (!column)
      return "it needs more than 52 letters";
    chain.letters.push_back(column);
    RotaryScores rotary = rotaryOfJoined(chain, column);
    bindLetters(chain, rotary.keyTerm, rotary.key);
    return takeRotary(chain, rotary);
  }
  if (!chain.scores->hasOneUse())
    return "the scores are used elsewhere, so they must be stored";
  auto sum = dyn_cast<arith::AddFOp>(*chain.scores->user_begin());
  if (!sum)
    return "";
  Value other =
      sum.getLhs() == chain.scores.getResult() ? sum.getRhs() : sum.getLhs();
  auto op = other.getDefiningOp<EinsumOp>();
  if (!op || op == chain.scores || op.getInputs().size() != 2)
    return ""; // a bias
  EinsumSpec own = *EinsumSpec::parse(op.getSpec());
  FailureOr<EinsumSpec> spec = rename(chain, own, own.output, chain.scoreTerm);
  if (failed(spec))
    return "it needs more than 52 letters";
  if (has(spec->inputs[0], chain.over) == has(spec->inputs[1], chain.over))
    return ""; // a bias
  unsigned key = has(spec->inputs[0], chain.over) ? 0 : 1;
  RotaryScores rotary{op,
                      sum,
                      op.getInputs()[1 - key],
                      op.getInputs()[key],
                      spec->inputs[1 - key],
                      spec->inputs[key]};
  if (!op->hasOneUse())
    return "the rotary scores are used elsewhere, so they must be stored";
  bindLetters(chain, op, *spec);
  return takeRotary(chain, rotary);
}

std::string LatentChain::latentQueryTerm() const {
  // In the scores' order, or in that of the rotary query, which it joins.
  if (rotary) {
    std::string term = rotary->queryTerm;
    std::replace(term.begin(), term.end(), rotary->column, keys.column);
    return term;
  }
  std::string term;
  for (char letter : scoreTerm)
    if (letter != over &&
        (has(queryTerm, letter) || has(keys.weightTerm, letter)))
      term.push_back(letter);
  return term + keys.column;
}

std::string LatentChain::latentOutputTerm() const {
  std::string term;
  for (char letter : outputTerm)
    if (has(scoreTerm, letter) || has(values.latentTerm, letter))
      term.push_back(letter);
  return term + values.column;
}

/// The einsum of scores above the softmax whose key is projected.
static bool matchScores(LatentChain &chain, Value &key, std::string &keyTerm) {
  size_t over = chain.softmax.getLetters().find(chain.softmax.getOver());
  for (EinsumOp op : einsumsAbove(chain.softmax)) {
    EinsumSpec spec = *EinsumSpec::parse(op.getSpec());
    if (spec.inputs.size() != 2)
      continue;
    chain.over = spec.output[over];
    if (has(spec.inputs[0], chain.over) == has(spec.inputs[1], chain.over))
      continue;
    unsigned at = has(spec.inputs[0], chain.over) ? 0 : 1;
    key = op.getInputs()[at];
    keyTerm = spec.inputs[at];
    chain.joined = JoinedKey::of(spec, at, key, chain.over);
    if (!chain.joined && !isProjected(key, keyTerm, chain.over))
      continue;
    chain.scores = op;
    chain.query = op.getInputs()[1 - at];
    chain.queryTerm = spec.inputs[1 - at];
    chain.scoreTerm = spec.output;
    chain.letters = spec.letters();
    bindLetters(chain, op, spec);
    if (chain.joined) {
      key = chain.joined->projected;
      chain.extents[chain.joined->depth] =
          cast<RankedTensorType>(key.getType())
              .getDimSize(indexOf(keyTerm, chain.joined->depth));
    }
    return true;
  }
  return false;
}

/// The einsum of weights and values below the softmax.
static std::string matchOutput(LatentChain &chain, Value &value,
                               std::string &valueTerm) {
  Value weights = chain.softmax.getResult();
  if (weights.hasOneUse())
    chain.output = dyn_cast<EinsumOp>(*weights.user_begin());
  if (!chain.output || chain.output.getInputs().size() != 2)
    return "the weights do not go into one einsum with the values";
  unsigned at = chain.output.getInputs()[0] == weights ? 0 : 1;
  EinsumSpec own = *EinsumSpec::parse(chain.output.getSpec());
  FailureOr<EinsumSpec> spec =
      rename(chain, own, own.inputs[at], chain.scoreTerm);
  if (failed(spec))
    return "it needs more than 52 letters";
  if (has(spec->output, chain.over) ||
      lettersWithout(chain.scoreTerm, spec->output).size() != 1)
    return "the weights are summed over more or less than the softmaxed letter";
  bindLetters(chain, chain.output, *spec);
  value = chain.output.getInputs()[1 - at];
  valueTerm = spec->inputs[1 - at];
  chain.outputTerm = spec->output;
  if (!has(valueTerm, chain.over))
    return std::string("the values lack the softmaxed letter '") + chain.over +
           "'";
  return "";
}

bool LatentChain::match(SoftmaxOp softmax, LatentChain &chain,
                        std::string &why) {
  chain.softmax = softmax;
  Value key, value;
  std::string keyTerm, valueTerm;
  if (!matchScores(chain, key, keyTerm))
    return false;
  if (!chain.scores.getType().getElementType().isF32()) {
    why =
        "the scores are not stored as f32; rounding them is part of the graph";
    return true;
  }
  if (chain.joined && chain.joined->isUsedElsewhere()) {
    why = "the key that its projected and rotary part make up is used "
          "elsewhere, so it is computed anyway";
    return true;
  }
  why = matchProjection(chain, key, keyTerm, "keys", chain.keys);
  if (why.empty())
    why = matchOutput(chain, value, valueTerm);
  if (why.empty())
    why = matchProjection(chain, value, valueTerm, "values", chain.values);
  if (why.empty())
    why = matchRotary(chain);
  return true;
}
