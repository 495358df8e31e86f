//===- Features.cpp - Masks, biases and what else shapes scores -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Problem.h"
#include "llvm/ADT/StringExtras.h"
#include <algorithm>

using llvm::StringRef;

namespace einhead::fuzz {

/// A run-time number of a mask.
static std::string addSymbol(Problem &p, int64_t value) {
  Operand symbol;
  symbol.name = "p" + std::to_string(p.symbols.size());
  symbol.element = "index";
  symbol.isScalar = true;
  symbol.fill = Fill::Symbol;
  symbol.values = {value};
  p.symbols.push_back(symbol);
  return "s" + std::to_string(p.symbols.size() - 1);
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

static void namedMask(Problem &p, Random &random) {
  std::string rows = p.state();
  p.maskLetters = p.key;
  if (!rows.empty() && random.percent(85))
    p.maskLetters = std::string(1, random.pick(rows)) + p.key;
  int64_t keys = p.extents[p.key[0]];
  addSymbol(p, random.range(-2, keys + 2));
  auto size = [&](int64_t most) {
    return std::to_string(random.range(1, most));
  };
  switch (random.range(0, 10)) {
  case 0:
  case 1:
    p.maskSets = "causal";
    return;
  case 2:
    p.maskSets = "window(" + size(keys) + ")";
    return;
  case 3:
    p.maskSets = "window";
    addSymbol(p, random.range(0, keys + 1));
    return;
  case 4:
    p.maskSets = "local";
    return;
  case 5:
    p.maskSets = "prefix";
    addSymbol(p, random.range(-1, keys + 1));
    return;
  case 6:
    p.maskSets = "sinks(" + size(8) + ", " + size(keys) + ")";
    return;
  case 7:
    p.maskSets = "strided(" + size(12) + ")";
    return;
  case 8: {
    int64_t block = random.range(1, 16);
    p.maskSets = "fixed(" + std::to_string(block) + ", " + size(block) + ")";
    if (p.maskLetters.size() == 2 && rows.size() > 1 && random.percent(50)) {
      char head = p.maskLetters[0];
      while (head == p.maskLetters[0])
        head = random.pick(rows);
      p.maskLetters = head + p.maskLetters;
      p.maskSets.pop_back();
      p.maskSets += ", \"" + std::string(1, head) + "\")";
    }
    return;
  }
  case 9:
    p.maskSets = "documents";
    if (random.percent(50)) {
      p.maskSets += "(" + size(20) + ")";
      return;
    }
    addSymbol(p, random.range(-1, keys));
    addSymbol(p, random.range(0, keys + 2));
    return;
  default:
    p.maskSets = "causal_upper_left";
    p.symbols.clear();
  }
}

/// "2 * n - m + s0 + 3"
static std::string linear(Problem &p, Random &random, int symbols) {
  std::string text;
  auto add = [&](int64_t factor, const std::string &what) {
    text += text.empty() ? "" : " + ";
    text += factor == 1 ? what : what + " * " + std::to_string(factor);
  };
  for (char letter : p.maskLetters)
    if (random.percent(70))
      add(random.pick<int64_t>({1, 1, 1, -1, -1, -1, 2, -2, 3}),
          std::string(1, letter));
  for (int i = 0; i < symbols; ++i)
    if (random.percent(60))
      add(random.pick<int64_t>({1, 1, -1, 2}), "s" + std::to_string(i));
  std::string constant = std::to_string(random.range(-4, 12));
  return text.empty() ? constant : text + " + " + constant;
}

/// "n floordiv 4 - m + 3 >= 0"
static std::string constraint(Problem &p, Random &random, int symbols) {
  std::string text = linear(p, random, symbols);
  int64_t kind = random.range(0, 99);
  std::string divisor = std::to_string(random.range(1, 9));
  if (kind < 15)
    return "(" + text + ") mod " + divisor + " == 0";
  if (kind < 25)
    return "(" + text + ") mod " + divisor + " - " +
           std::to_string(random.range(0, 3)) + " >= 0";
  if (kind < 40)
    return "(" + text + ") floordiv " + divisor + " * " +
           std::to_string(random.range(1, 9)) + " - " + p.maskLetters.back() +
           " >= 0";
  if (kind < 45)
    return text + " - (" + linear(p, random, symbols) + ") ceildiv " + divisor +
           " >= 0";
  if (kind < 50)
    return text + " == 0";
  return text + " >= 0";
}

static void affineMask(Problem &p, Random &random) {
  p.maskLetters = random.subset(p.state(), 2);
  if (random.percent(90) || p.maskLetters.empty())
    p.maskLetters += random.pick(p.key);
  if (random.percent(20))
    random.shuffle(p.maskLetters);
  int symbols = static_cast<int>(random.range(0, 2));
  std::string head = "(";
  for (char letter : p.maskLetters)
    head += (head.size() > 1 ? ", " : "") + std::string(1, letter);
  head += ")";
  for (int i = 0; i < symbols; ++i) {
    std::string name = addSymbol(p, random.range(-3, p.extents[p.key[0]] + 3));
    head += (i ? ", " : "[") + name;
  }
  if (symbols)
    head += "]";
  int64_t sets = random.pick<int64_t>({1, 1, 1, 2, 2, 3});
  for (int64_t i = 0; i < sets; ++i) {
    std::string body;
    for (int64_t c = random.range(1, 3); c > 0; --c)
      body += (body.empty() ? "" : ", ") + constraint(p, random, symbols);
    std::string set = head + " : (" + body + ")";
    p.maskSets += i ? ", " : "";
    p.maskSets +=
        random.percent(80) ? "\"" + set + "\"" : "affine_set<" + set + ">";
  }
}

//===----------------------------------------------------------------------===//
// The others
//===----------------------------------------------------------------------===//

/// Some blocks of each list, none twice, some entries empty.
static void makeBlocks(Problem &p, Random &random) {
  p.blockLetters = random.subset(p.state(), 2);
  p.blockSize = random.pick<int64_t>({1, 2, 3, 4, 8, 8, 16, 32});
  int64_t keys = p.extents[p.key[0]];
  // The last block may be shorter.
  int64_t last = random.percent(20) ? p.blockSize - 1 : 0;
  int64_t all = std::max<int64_t>(1, (keys + last) / p.blockSize);
  if (keys < p.blockSize)
    p.blockSize = keys;
  int64_t entries = random.range(1, std::min<int64_t>(all, 8));
  Operand lists = makeOperand(p, "blocks", p.blockLetters, "i64", random);
  lists.fill = Fill::Blocks;
  lists.dims.push_back({"xlist", entries, random.percent(20)});
  lists.letters += '#';
  int64_t count = 1;
  for (char letter : p.blockLetters)
    count *= p.extentOf(letter);
  for (int64_t i = 0; i < count; ++i) {
    std::vector<int64_t> order(all);
    for (int64_t j = 0; j < all; ++j)
      order[j] = j;
    random.shuffle(order);
    order.resize(entries);
    if (random.percent(50))
      std::sort(order.begin(), order.end());
    for (int64_t entry : order)
      lists.values.push_back(random.percent(15) ? -1 : entry);
  }
  p.blocks = lists;
}

/// Keys, values or both in 8 bits, with a scale for each row.
static void makeScales(Problem &p, Random &random) {
  if (!random.percent(12))
    return;
  std::string element = p.seed % 3 ? "i8" : "f8E4M3FN";
  auto scaleOf = [&](Operand &rows, Operand &appended, StringRef name,
                     StringRef columns) {
    std::string letters;
    for (char letter : rows.letters)
      if (!columns.contains(letter))
        letters += letter;
    rows.element = appended.element = element;
    return makeOperand(p, name, letters, "f32", random);
  };
  bool both = p.valueIsKey || random.percent(70);
  bool isKey = both || random.percent(50);
  if (isKey)
    p.keyScale = scaleOf(p.keys, p.newKeys, "kscale", p.depth);
  if (p.valueIsKey)
    p.values.element = element;
  else if (both || !isKey)
    p.valueScale = scaleOf(p.values, p.newValues, "vscale", p.value);
}

void addFeatures(Problem &p, Random &random) {
  if (random.percent(45)) {
    if (p.key.size() == 1 && random.percent(50))
      namedMask(p, random);
    else
      affineMask(p, random);
  }
  if (random.percent(20)) {
    p.biasLetters =
        random.percent(60) ? p.scores() : random.subset(p.scores(), 3);
    if (random.percent(20))
      random.shuffle(p.biasLetters);
    p.bias = makeOperand(p, "bias", p.biasLetters,
                         random.percent(85) ? "f32" : "bf16", random);
  }
  if (random.percent(12)) {
    p.sinkLetters = random.subset(p.state(), 2);
    p.sink = makeOperand(p, "sink", p.sinkLetters, "f32", random);
  }
  if (random.percent(15)) {
    p.score = random.pick(
        {Score::SoftCap, Score::Slope, Score::Select, Score::Table});
    p.cap = random.pick({0.75, 0.125, 2.0, 30.0});
    p.tableLetters = random.subset(p.scores(), 2);
    if (p.score == Score::Table)
      p.table = makeOperand(p, "table", p.tableLetters, "f32", random);
  }
  if (p.key.size() == 1 && random.percent(8))
    makeBlocks(p, random);
  p.lse = random.percent(12);
  // Drawn apart: the rest of a seed's case is what it is without scales.
  Random apart(p.seed ^ 0x5CA1E);
  makeScales(p, apart);
}

} // namespace einhead::fuzz
