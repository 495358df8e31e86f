//===- AbsorbCost.cpp - Projected keys against their latent -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Operations are those of all products; bytes are those of all tensors that are
// stored, once for each op that reads or writes them.  The scores are not
// stored in either form, but for those that the first form adds as a bias.

#include "Absorb.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// How many operations take the time of one byte.
static constexpr double operationsPerByte = 4;
/// What a dynamic number of keys counts as.
static constexpr double manyKeys = 1 << 16;

namespace {
/// Adds up products of extents.
class Counter {
public:
  explicit Counter(const LatentChain &chain) : chain(chain) {}

  /// A product of two terms, summed down to a third.
  void product(llvm::StringRef a, llvm::StringRef b) {
    add(cost.operations, a.str() + lettersWithout(b, a), 2);
  }
  /// A tensor that is read or written `times` times.
  void tensor(llvm::StringRef term, int64_t elementBytes, int64_t times = 1) {
    add(cost.bytes, term, elementBytes * times);
  }
  void tensor(llvm::StringRef term, Value value, int64_t times = 1) {
    tensor(term, getElementTypeOrSelf(value).getIntOrFloatBitWidth() / 8,
           times);
  }

  FormCost cost;

private:
  void add(llvm::SmallVectorImpl<LetterProduct> &sum, llvm::StringRef term,
           int64_t factor) {
    LetterProduct product{factor, ""};
    for (char letter : term) {
      int64_t extent = chain.extents.lookup(letter);
      if (ShapedType::isDynamic(extent))
        product.letters.push_back(letter);
      else
        product.coefficient *= extent;
    }
    llvm::sort(product.letters);
    for (LetterProduct &old : sum)
      if (old.letters == product.letters) {
        old.coefficient += product.coefficient;
        return;
      }
    sum.push_back(product);
  }

  const LatentChain &chain;
};
} // namespace

/// The letters of the rotary part of a joined key.
static std::string rotaryKey(const LatentChain &chain) {
  std::string term = chain.keys.term;
  std::replace(term.begin(), term.end(), chain.joined->depth,
               chain.rotary->column);
  return term;
}

FormCost FormCost::projected(const LatentChain &chain) {
  Counter counter(chain);
  for (const LatentProjection *part : {&chain.keys, &chain.values}) {
    counter.product(part->latentTerm, part->weightTerm);
    counter.tensor(part->latentTerm, part->latent);
    counter.tensor(part->weightTerm, part->weight);
    EinsumOp op = part->op; // written, and read by the attention
    counter.tensor(part->term, op.getResult(), 2);
  }
  counter.product(chain.queryTerm, chain.keys.term);
  counter.product(chain.scoreTerm, chain.values.term);
  counter.tensor(chain.queryTerm, chain.query);
  if (chain.rotary) {
    counter.product(chain.rotary->queryTerm, chain.rotary->keyTerm);
    counter.tensor(chain.rotary->queryTerm, chain.rotary->query);
    counter.tensor(chain.rotary->keyTerm, chain.rotary->key);
    if (chain.joined) { // copied into one key, which the attention reads
      counter.tensor(chain.keys.term, chain.joined->projected, 2);
      counter.tensor(rotaryKey(chain), chain.joined->rotary, 2);
    } else {
      counter.tensor(chain.scoreTerm, /*elementBytes=*/4, 2);
    }
  }
  return counter.cost;
}

FormCost FormCost::latent(const LatentChain &chain) {
  Counter counter(chain);
  std::string query = chain.latentQueryTerm(), sum = chain.latentOutputTerm();
  counter.tensor(chain.queryTerm, chain.query);
  counter.product(chain.queryTerm, chain.keys.weightTerm);
  counter.tensor(chain.keys.weightTerm, chain.keys.weight);
  counter.tensor(query, /*elementBytes=*/4, 2);
  counter.product(query, chain.keys.latentTerm);
  counter.tensor(chain.keys.latentTerm, chain.keys.latent);
  if (const std::optional<RotaryScores> &rotary = chain.rotary) {
    counter.product(rotary->queryTerm, rotary->keyTerm);
    counter.tensor(rotary->queryTerm, rotary->query, 2);
    counter.tensor(rotary->keyTerm, rotary->key);
    if (!rotary->adjacent) { // joined first: read, written
      counter.tensor(chain.keys.latentTerm, chain.keys.latent, 2);
      counter.tensor(rotary->keyTerm, rotary->key, 2);
    }
  }
  counter.product(chain.scoreTerm, chain.values.latentTerm);
  if (chain.values.latent != chain.keys.latent)
    counter.tensor(chain.values.latentTerm, chain.values.latent);
  counter.tensor(sum, /*elementBytes=*/4, 2);
  counter.product(sum, chain.values.weightTerm);
  counter.tensor(chain.values.weightTerm, chain.values.weight);
  return counter.cost;
}

double FormCost::weigh(char over) const {
  auto total = [&](llvm::ArrayRef<LetterProduct> products) {
    double sum = 0;
    for (const LetterProduct &product : products) {
      double value = product.coefficient;
      for (char letter : product.letters)
        value *= letter == over ? manyKeys : 1;
      sum += value;
    }
    return sum;
  };
  return total(operations) + operationsPerByte * total(bytes);
}

std::string FormCost::str() const {
  return toString(operations) + " operations and " + toString(bytes) + " bytes";
}
