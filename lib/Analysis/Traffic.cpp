//===- Traffic.cpp - Bytes and operations of an attention -------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Analysis/Traffic.h"
#include "einhead/Analysis/IndexEvaluator.h"
#include "einhead/Analysis/ValueInKey.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

std::string LetterProduct::str() const {
  if (letters.empty())
    return std::to_string(coefficient);
  std::string text = coefficient == 1 ? "" : std::to_string(coefficient) + "*";
  return text +
         llvm::join(
             llvm::map_range(letters, [](char c) { return std::string(1, c); }),
             "*");
}

int64_t
LetterProduct::evaluate(llvm::function_ref<int64_t(char)> extent) const {
  int64_t value = coefficient;
  for (char letter : letters)
    value *= extent(letter);
  return value;
}

std::string einhead::toString(llvm::ArrayRef<LetterProduct> products) {
  if (products.empty())
    return "0";
  return llvm::join(
      llvm::map_range(products, [](const LetterProduct &p) { return p.str(); }),
      " + ");
}

/// factor * the product of the extents of `letters`.
static LetterProduct product(AttentionLike op, llvm::StringRef letters,
                             llvm::StringRef keys, int64_t factor) {
  LetterProduct result;
  result.coefficient = factor;
  for (char letter : letters) {
    int64_t extent = staticExtent(op, letter);
    bool counted = op.getValid() && keys.contains(letter);
    if (ShapedType::isDynamic(extent) || counted)
      result.letters.push_back(letter);
    else
      result.coefficient *= extent;
  }
  return result;
}

static void addTo(llvm::SmallVectorImpl<LetterProduct> &sum,
                  LetterProduct term) {
  for (LetterProduct &old : sum)
    if (old.letters == term.letters) {
      old.coefficient += term.coefficient;
      return;
    }
  sum.push_back(std::move(term));
}

static int64_t bytesOf(Value value) {
  return getElementTypeOrSelf(value).getIntOrFloatBitWidth() / 8;
}

AttentionTraffic AttentionTraffic::of(AttentionLike op) {
  AttentionRoles roles = rolesOf(op);
  AttentionTraffic traffic;
  std::string rows = roles.row;
  auto read = [&](llvm::StringRef term, Value operand) {
    // In batch, key, depth/value order, so that equal products have equal text.
    std::string letters;
    for (char letter : roles.batch + roles.key + roles.depth + roles.value)
      if (term.contains(letter))
        letters.push_back(letter);
    int64_t bytes = bytesOf(operand);
    addTo(traffic.kvBytes, product(op, letters, roles.key, bytes));
    addTo(traffic.kvBytesUnshared,
          product(op, rows + letters, roles.key, bytes));
  };
  read(roles.keyTerm, op.getKey());
  if (!ValueInKey::of(op).holds)
    read(roles.valueTerm, op.getValue());
  if (op.getKeyScale())
    read(roles.keyScale(), op.getKeyScale());
  bool oneScale = op.getKeyScale() && op.getValueScale() &&
                  rootOf(op.getKeyScale()) == rootOf(op.getValueScale());
  if (op.getValueScale() && !oneScale)
    read(roles.valueScale(), op.getValueScale());
  std::string scores = roles.batch + rows + roles.key;
  addTo(traffic.operations, product(op, scores + roles.depth, roles.key, 2));
  addTo(traffic.operations, product(op, scores + roles.value, roles.key, 2));
  return traffic;
}
