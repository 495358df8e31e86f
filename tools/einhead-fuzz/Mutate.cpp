//===- Mutate.cpp - Problems with one thing wrong ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Problem.h"
#include "llvm/ADT/StringExtras.h"

using llvm::StringRef;

// A mutation may happen to be valid; then it must be computed as written.

namespace einhead::fuzz {

static std::vector<Operand *> operandsOf(Problem &p) {
  std::vector<Operand *> all;
  for (const Operand *operand : p.arguments())
    all.push_back(const_cast<Operand *>(operand)); // of `p`, not const
  return all;
}

static Operand &anyOperand(Problem &p, Random &random) {
  std::vector<Operand *> all = operandsOf(p);
  return *all[random.range(0, all.size() - 1)];
}

static char anyLetter(Random &random) {
  return random.pick(StringRef("abcdefghijklmnopqrstuvwxyzABCDEFGH#1 "));
}

static void changeLetters(std::string &letters, Random &random) {
  size_t at = letters.empty() ? 0 : random.range(0, letters.size() - 1);
  switch (random.range(0, 3)) {
  case 0:
    if (!letters.empty())
      letters.erase(at, 1);
    return;
  case 1:
    letters.insert(at, 1, letters.empty() ? 'a' : random.pick(letters));
    return;
  case 2:
    if (!letters.empty())
      letters[at] = anyLetter(random);
    return;
  default:
    if (!letters.empty())
      std::swap(letters[at], letters[random.range(0, letters.size() - 1)]);
  }
}

static void changeExtent(Problem &p, Random &random) {
  Operand &operand = anyOperand(p, random);
  // A list of blocks may have any length, and its new entries would repeat.
  if (operand.dims.empty() || (p.blocks && &operand == &*p.blocks))
    return;
  Dim &dim = operand.dims[random.range(0, operand.dims.size() - 1)];
  dim.extent = std::max<int64_t>(1, dim.extent + random.pick({-1, 1, 2}));
  if (dim.dynamic) // another name, so that only the letter says otherwise
    dim.name += "other";
}

static void changeRank(Problem &p, Random &random) {
  Operand &operand = anyOperand(p, random);
  if (!operand.dims.empty() && random.percent(50))
    operand.dims.pop_back();
  else
    operand.dims.push_back({"xmore", random.range(1, 3), random.percent(20)});
}

static void changeType(Problem &p, Random &random) {
  anyOperand(p, random).element =
      random.pick<const char *>({"f64", "i32", "i64", "i1", "f32", "bf16",
                                 "f16", "index", "i8", "f8E4M3FN"});
}

static void changeMask(Problem &p, Random &random) {
  switch (random.range(0, 2)) {
  case 0:
    return changeLetters(p.maskLetters, random);
  case 1:
    if (!p.symbols.empty()) {
      p.symbols.pop_back();
      return;
    }
    [[fallthrough]];
  default:
    Operand symbol;
    symbol.name = "extra";
    symbol.element = random.percent(80) ? "index" : "i64";
    symbol.isScalar = true;
    symbol.fill = Fill::Symbol;
    symbol.values = {random.range(0, 9)};
    p.symbols.push_back(symbol);
  }
}

static void changeBlocks(Problem &p, Random &random) {
  if (random.percent(50))
    changeLetters(p.blockLetters, random);
  else
    p.blockSize = random.pick<int64_t>({0, -1, -8, int64_t(1) << 40});
}

static void changeTerm(Problem &p, Random &random) {
  std::string *terms[] = {&p.queryTerm, &p.keyTerm, &p.valueTerm,
                          &p.outputTerm};
  changeLetters(*terms[random.range(0, 3)], random);
}

void mutate(Problem &p, Random &random) {
  switch (random.range(0, 11)) {
  case 0:
  case 1:
    p.mutation = "extent";
    return changeExtent(p, random);
  case 2:
    p.mutation = "rank";
    return changeRank(p, random);
  case 3:
    p.mutation = "type";
    return changeType(p, random);
  case 4:
    if (!p.maskLetters.empty()) {
      p.mutation = "mask";
      return changeMask(p, random);
    }
    break;
  case 5:
    if (p.blocks) {
      p.mutation = "blocks";
      return changeBlocks(p, random);
    }
    break;
  case 6:
    if (p.bias || p.sink) {
      p.mutation = "letters";
      return changeLetters(p.bias ? p.biasLetters : p.sinkLetters, random);
    }
    break;
  case 7:
    if (p.append) {
      p.mutation = "append";
      return changeLetters(
          random.percent(50) ? p.newKeys.letters : p.keys.letters, random);
    }
    break;
  case 8:
  case 9:
    p.mutation = "token";
    p.textSeed = random.next() | 1;
    return;
  default:
    break;
  }
  p.mutation = "term";
  changeTerm(p, random);
}

//===----------------------------------------------------------------------===//
// Changed tokens
//===----------------------------------------------------------------------===//

/// The text with one token left out, doubled, or exchanged with another.
std::string changeToken(const std::string &text, Random &random) {
  std::vector<std::string> tokens;
  auto isWord = [](char c) {
    return llvm::isAlnum(c) || c == '_' || c == '.' || c == '%';
  };
  for (char c : text) {
    if (tokens.empty() || !isWord(c) || !isWord(tokens.back().back()))
      tokens.emplace_back();
    tokens.back() += c;
  }
  auto any = [&] {
    size_t at = 0;
    do
      at = random.range(0, tokens.size() - 1);
    while (llvm::isSpace(tokens[at][0]));
    return at;
  };
  size_t at = any();
  switch (random.range(0, 3)) {
  case 0:
    tokens[at].clear();
    break;
  case 1:
    tokens[at] += " " + tokens[at];
    break;
  case 2:
    tokens[at] = tokens[any()];
    break;
  default:
    std::swap(tokens[at], tokens[any()]);
  }
  std::string result;
  for (const std::string &token : tokens)
    result += token;
  return result;
}

} // namespace einhead::fuzz
