//===- MaskNames.cpp - Masks that have a name -------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// A name stands for sets and for nothing else: no pass sees the name.  The sets
// of one mask are disjoint, so that each key is walked once.

#include "MaskNames.h"
#include "einhead/IR/Mask.h"
#include "mlir/IR/IntegerSet.h"

using namespace mlir;
using namespace einhead::attn;

namespace {
/// One constraint: `value` >= 0, or == 0.
struct Constraint {
  AffineExpr value;
  bool isEqual = false;
};
using Sets = SmallVector<SmallVector<Constraint>>;

/// The letters of a mask as expressions, and its arguments.
struct Terms {
  AffineExpr key, query, head; ///< query: position p + n
  AffineExpr row;              ///< n alone
  SmallVector<AffineExpr> symbols;
  SmallVector<int64_t> sizes;
};

Constraint atLeast(AffineExpr a, AffineExpr b) { return {a - b}; }
Constraint equal(AffineExpr a, AffineExpr b) { return {a - b, true}; }

Sets causal(const Terms &t) { return {{atLeast(t.query, t.key)}}; }

Sets causalUpperLeft(const Terms &t) { return {{atLeast(t.row, t.key)}}; }

Sets window(const Terms &t) {
  AffineExpr width =
      t.sizes.empty() ? t.symbols[1]
                      : getAffineConstantExpr(t.sizes[0], t.key.getContext());
  return {{atLeast(t.query, t.key), atLeast(t.key, t.query - width + 1)}};
}

Sets prefix(const Terms &t) {
  return {{atLeast(t.query, t.key)},
          {atLeast(t.key, t.query + 1), atLeast(t.symbols[1], t.key + 1)}};
}

Sets sinks(const Terms &t) {
  AffineExpr count = getAffineConstantExpr(t.sizes[0], t.key.getContext());
  return {{atLeast(t.query, t.key), atLeast(count, t.key + 1)},
          {atLeast(t.query, t.key), atLeast(t.key, t.query - t.sizes[1] + 1),
           atLeast(t.key, count)}};
}

Sets strided(const Terms &t) {
  int64_t stride = t.sizes[0];
  AffineExpr distance = t.query - t.key;
  return {
      {atLeast(t.query, t.key), atLeast(t.key, t.query - stride + 1)},
      {equal(distance % stride, getAffineConstantExpr(0, t.key.getContext())),
       atLeast(t.query - stride, t.key)}};
}

/// The block of the query, and the summary of each block before it.
Sets fixed(const Terms &t) {
  int64_t block = t.sizes[0], summary = t.sizes[1];
  AffineExpr start = t.query.floorDiv(block) * block;
  // Where in its block the summary ends.
  AffineExpr end = getAffineConstantExpr(block, t.key.getContext());
  if (t.head)
    end = end - t.head * summary;
  AffineExpr inBlock = t.key % block;
  return {{atLeast(t.query, t.key), atLeast(t.key, start)},
          {atLeast(inBlock, end - summary), atLeast(end - 1, inBlock),
           atLeast(start - 1, t.key)}};
}

Sets documents(const Terms &t) {
  if (t.sizes.empty())
    return {{atLeast(t.key, t.symbols[1]), atLeast(t.symbols[2], t.key + 1)}};
  int64_t size = t.sizes[0];
  AffineExpr start = t.query.floorDiv(size) * size;
  return {{atLeast(t.key, start), atLeast(start + size - 1, t.key)}};
}

/// A mask with a name.
struct Named {
  llvm::StringRef name;
  unsigned leastSizes, mostSizes; ///< arguments in parentheses
  unsigned symbols;               ///< with the fewest arguments
  bool perHead;                   ///< whether a head letter may be named
  Sets (*build)(const Terms &);
};

const Named table[] = {
    {"causal", 0, 0, 1, false, causal},
    {"causal_upper_left", 0, 0, 0, false, causalUpperLeft},
    {"window", 0, 1, 2, false, window},
    {"local", 0, 0, 1, false, window},
    {"prefix", 0, 0, 2, false, prefix},
    {"sinks", 2, 2, 1, false, sinks},
    {"strided", 1, 1, 1, false, strided},
    {"fixed", 2, 2, 1, true, fixed},
    {"documents", 0, 1, 3, false, documents},
};
} // namespace

/// `(1, 2, "h")`, or nothing.
static ParseResult parseArguments(AsmParser &parser, const Named &named,
                                  SmallVectorImpl<int64_t> &sizes,
                                  std::string &head) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  if (succeeded(parser.parseOptionalLParen())) {
    if (parser.parseCommaSeparatedList([&]() -> ParseResult {
          if (named.perHead && sizes.size() == named.mostSizes)
            return parser.parseString(&head);
          return parser.parseInteger(sizes.emplace_back());
        }) ||
        parser.parseRParen())
      return failure();
  }
  if (sizes.size() < named.leastSizes || sizes.size() > named.mostSizes)
    return parser.emitError(loc)
           << "mask '" << named.name << "' takes " << named.mostSizes
           << " sizes, got " << sizes.size();
  for (int64_t size : sizes)
    if (size < 1)
      return parser.emitError(loc) << "a size of mask '" << named.name
                                   << "' is at least 1, got " << size;
  if (named.perHead && sizes[1] > sizes[0])
    return parser.emitError(loc)
           << "a summary of " << sizes[1] << " keys does not fit a block of "
           << sizes[0];
  return success();
}

ParseResult
einhead::attn::parseNamedMask(AsmParser &parser, llvm::StringRef name,
                              llvm::StringRef letters,
                              SmallVectorImpl<IntegerSetAttr> &sets) {
  llvm::SMLoc loc = parser.getCurrentLocation();
  const Named &named = *llvm::find_if(
      table, [&](const Named &entry) { return entry.name == name; });
  Terms terms;
  std::string head;
  if (failed(parseArguments(parser, named, terms.sizes, head)))
    return failure();
  unsigned symbols = named.symbols;
  if (terms.sizes.size() > named.leastSizes)
    symbols = 1; // what a size says needs no symbol
  if (name == "local")
    terms.sizes = {32};
  MLIRContext *context = parser.getContext();
  for (unsigned i = 0; i < symbols; ++i)
    terms.symbols.push_back(getAffineSymbolExpr(i, context));
  size_t used = 1 + !head.empty();
  size_t headAt = head.size() == 1 ? letters.find(head[0]) : letters.npos;
  if (!head.empty() && headAt == letters.npos)
    return parser.emitError(loc)
           << "head letter \"" << head << "\" is none of \"" << letters << "\"";
  if (letters.empty() || letters.size() > used + 1)
    return parser.emitError(loc)
           << "mask '" << name << "' is over a query letter and a key letter"
           << (named.perHead ? ", and the head letter that it names" : "")
           << "; got \"" << letters << "\"";
  terms.key = getAffineDimExpr(letters.size() - 1, context);
  if (headAt != letters.npos && !head.empty())
    terms.head = getAffineDimExpr(headAt, context);
  terms.row = getAffineConstantExpr(0, context);
  for (size_t i = 0; i + 1 < letters.size(); ++i)
    if (head.empty() || i != headAt)
      terms.row = getAffineDimExpr(i, context);
  terms.query = symbols ? terms.symbols[0] + terms.row : terms.row;
  for (ArrayRef<Constraint> set : named.build(terms)) {
    SmallVector<AffineExpr> values;
    SmallVector<bool> equals;
    for (const Constraint &constraint : set) {
      values.push_back(constraint.value);
      equals.push_back(constraint.isEqual);
    }
    sets.push_back(IntegerSetAttr::get(
        IntegerSet::get(letters.size(), symbols, values, equals)));
  }
  return success();
}
