//===- Problem.cpp - Letters, extents and operands --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Problem.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>

using llvm::StringRef;

namespace einhead::fuzz {

std::string Operand::type() const {
  if (isScalar)
    return element;
  std::string text = "tensor<";
  for (const Dim &dim : dims)
    text += (dim.dynamic ? "?" : std::to_string(dim.extent)) + "x";
  return text + element + ">";
}

std::string Operand::shapeText() const {
  std::string text;
  for (const Dim &dim : dims)
    text += (text.empty() ? "" : ", ") +
            (dim.dynamic ? dim.name : std::to_string(dim.extent));
  return text;
}

std::string Problem::state() const {
  std::string letters;
  for (char letter : outputTerm)
    if (!StringRef(value).contains(letter))
      letters += letter;
  return letters;
}

std::vector<const Operand *> Problem::arguments() const {
  std::vector<const Operand *> all = {&query};
  if (append)
    all.push_back(&newKeys);
  if (append && !valueIsKey)
    all.push_back(&newValues);
  all.push_back(&keys);
  if (!valueIsKey)
    all.push_back(&values);
  for (const std::optional<Operand> *operand :
       {&keyScale, &valueScale, &valid, &bias, &sink, &blocks, &table})
    if (*operand)
      all.push_back(&**operand);
  for (const Operand &symbol : symbols)
    all.push_back(&symbol);
  return all;
}

std::string Problem::traits() const {
  std::string text = isGraph ? "graph" : "direct";
  auto add = [&](bool has, StringRef what) {
    if (has)
      text += " " + what.str();
  };
  add(append, "append");
  add(valid.has_value(), valid && valid->isScalar ? "valid" : "lengths");
  add(valueIsKey, "latent");
  add(keys.element == "i8" || values.element == "i8", "i8");
  add(keys.element == "f8E4M3FN" || values.element == "f8E4M3FN", "f8");
  add(keyScale || valueScale, "scales");
  add(bias.has_value(), "bias");
  add(!maskLetters.empty(), "mask");
  add(score != Score::None, "score");
  add(sink.has_value(), "sink");
  add(blocks.has_value(), "blocks");
  add(lse, "lse");
  add(!dynamic.empty(), "dynamic");
  add(!fuse, "no-fuse");
  add(!shareKV, "no-share-kv");
  add(!mutation.empty(), "[" + mutation + "]");
  return text;
}

std::string Problem::settings() const {
  std::string text = std::string("fuse=") + (fuse ? "1" : "0") +
                     " share-kv=" + (shareKV ? "1" : "0") +
                     " threads=" + std::to_string(threads);
  std::map<std::string, int64_t> sizes;
  for (const Operand *operand : arguments())
    for (const Dim &dim : operand->dims)
      if (dim.dynamic)
        sizes[dim.name] = dim.extent;
  if (!sizes.empty())
    text += specialize ? " --size=" : " size=";
  for (const auto &[name, extent] : sizes)
    text += (name == sizes.begin()->first ? "" : ",") + name + "=" +
            std::to_string(extent);
  for (const Operand *operand : arguments()) {
    if (operand->values.empty())
      continue;
    text += " " + operand->name + "=";
    for (int64_t value : operand->values)
      text += std::to_string(value) + ",";
    text.pop_back();
  }
  return text;
}

Operand makeOperand(const Problem &problem, StringRef name, StringRef letters,
                    StringRef element, Random &random) {
  Operand operand;
  operand.name = name.str();
  operand.letters = letters.str();
  operand.element = element.str();
  for (char letter : letters)
    // Now and then one operand says what another leaves open.
    operand.dims.push_back(
        {"x" + std::string(1, letter), problem.extentOf(letter),
         StringRef(problem.dynamic).contains(letter) && random.percent(90)});
  return operand;
}

//===----------------------------------------------------------------------===//
// Letters
//===----------------------------------------------------------------------===//

namespace {
/// Hands out letters that nothing uses.
class Alphabet {
public:
  explicit Alphabet(Random &random)
      : letters("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
    if (random.percent(30))
      letters.resize(26);
    random.shuffle(letters);
  }
  char take() {
    char letter = letters.back();
    letters.pop_back();
    return letter;
  }
  std::string take(int64_t count) {
    std::string taken;
    while (count-- > 0)
      taken += take();
    return taken;
  }

private:
  std::string letters;
};
} // namespace

/// One, mostly.
static int64_t aboutOne(Random &random) {
  return random.percent(94) ? 1 : random.percent(50) ? 2 : 0;
}

static int64_t keyCount(Random &random) {
  int64_t kind = random.range(0, 99);
  return kind < 55   ? random.range(1, 40)
         : kind < 90 ? random.range(41, 140)
         : kind < 95 ? random.range(505, 530)
                     : random.pick<int64_t>({64, 128, 512});
}

static int64_t columnCount(Random &random) {
  return random.pick<int64_t>(
      {1, 2, 3, 4, 5, 7, 8, 8, 12, 15, 16, 16, 17, 24, 31, 32, 33, 48, 64});
}

/// The letters of a term: in their usual order, or not.
static std::string order(Random &random, std::string letters, int style) {
  if (style == 1 && !letters.empty()) {
    char last = letters.back();
    letters.pop_back();
    random.shuffle(letters);
    letters += last;
  } else if (style == 2) {
    random.shuffle(letters);
  }
  return letters;
}

static void makeTerms(Problem &p, Random &random) {
  std::string inQuery, inKey, inValue;
  for (char letter : p.batch) {
    // q, k, v; or as few as make a batch letter of it.
    int kind = random.percent(75) ? 0 : static_cast<int>(random.range(1, 4));
    if (kind == 0 || kind == 2 || kind == 3)
      inQuery += letter;
    if (kind != 3)
      inKey += letter;
    if (kind == 0 || kind == 1 || kind == 3)
      inValue += letter;
  }
  int style = random.percent(55) ? 0 : random.percent(60) ? 1 : 2;
  p.queryTerm = order(random, inQuery + p.row + p.depth, style);
  p.keyTerm = order(random, inKey + p.key + p.depth, style);
  p.valueTerm = order(random, inValue + p.key + p.value, style);
  p.outputTerm = order(random, p.batch + p.row + p.value, style);
}

/// Keeps what the oracle has to do small.
static void limitWork(Problem &p) {
  auto count = [&](StringRef letters) {
    int64_t product = 1;
    for (char letter : letters)
      product *= p.extents[letter];
    return product;
  };
  while (count(p.batch) * count(p.row) * count(p.key) *
             (count(p.depth) + count(p.value)) >
         24000) {
    std::string halved = p.batch + p.row + p.depth + p.value;
    if (p.key.size() > 1 || count(p.key) <= 140)
      halved += p.key;
    char largest = halved[0];
    for (char letter : halved)
      if (p.extents[letter] > p.extents[largest])
        largest = letter;
    p.extents[largest] = (p.extents[largest] + 1) / 2;
  }
}

static void makeLetters(Problem &p, Random &random) {
  Alphabet alphabet(random);
  p.batch = alphabet.take(random.pick<int64_t>({0, 1, 1, 1, 2, 2}));
  p.row = alphabet.take(random.pick<int64_t>({0, 1, 1, 2, 2, 3}));
  p.key = alphabet.take(random.percent(95) ? 1 : 2);
  p.depth = alphabet.take(aboutOne(random));
  p.value = alphabet.take(aboutOne(random));
  p.newLetter = alphabet.take();
  for (char letter : p.batch)
    p.extents[letter] = random.range(1, 3);
  for (char letter : p.row)
    p.extents[letter] =
        random.percent(10) ? random.range(8, 40) : random.range(1, 6);
  for (char letter : p.key)
    p.extents[letter] =
        p.key.size() == 1 ? keyCount(random) : random.range(1, 9);
  for (char letter : p.depth + p.value)
    p.extents[letter] = columnCount(random);
  makeTerms(p, random);
  limitWork(p);
  if (p.extentKind == Extents::Static)
    return;
  bool most = p.extentKind == Extents::Dynamic;
  if (!random.percent(most ? 95 : 35))
    return;
  // Attention whose columns are not known is not tiled.
  for (const auto &[letter, extent] : p.extents) {
    bool isColumn = StringRef(p.depth + p.value).contains(letter);
    if (random.percent(isColumn ? (most ? 15 : 6) : (most ? 80 : 40)))
      p.dynamic += letter;
  }
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

static void makeTypes(Random &random, std::string &query, std::string &keys,
                      std::string &output) {
  auto any = [&] { return random.pick<const char *>({"f32", "f16", "bf16"}); };
  query = keys = output = "f32";
  int64_t kind = random.range(0, 99);
  if (kind >= 50)
    keys = random.percent(60) ? "bf16" : "f16";
  if (kind >= 70)
    query = keys;
  if ((kind >= 62 && kind < 70) || (kind >= 80 && kind < 85))
    keys = "f8E4M3FN";
  if (kind >= 85)
    output = any();
  if (kind >= 95)
    query = any();
}

static void makeOperands(Problem &p, Random &random) {
  std::string query, keys;
  makeTypes(random, query, keys, p.output);
  p.query = makeOperand(p, "q", p.queryTerm, query, random);
  // Latent attention: the value is the key.
  auto without = [](StringRef term, StringRef letters) {
    std::string rest;
    for (char letter : term)
      if (!letters.contains(letter))
        rest += letter;
    return rest;
  };
  if (p.depth.size() == 1 && p.value.size() == 1 && random.percent(15) &&
      p.keyTerm.back() == p.depth[0] && p.valueTerm.back() == p.value[0] &&
      without(p.keyTerm, p.depth) == without(p.valueTerm, p.value)) {
    p.valueIsKey = true;
    if (p.extents[p.depth[0]] <= p.extents[p.value[0]])
      p.extents[p.value[0]] = p.extents[p.depth[0]];
    else
      p.keyColumns = p.extents[p.value[0]];
  }
  p.keys = makeOperand(p, "k", p.keyTerm, keys, random);
  p.values = makeOperand(p, "v", p.valueTerm, keys, random);
  if (p.valueIsKey)
    for (Operand *operand : {&p.query, &p.keys})
      for (auto [letter, dim] : llvm::zip(operand->letters, operand->dims))
        if (letter == p.depth[0])
          dim.dynamic = false;
  if (random.percent(4))
    p.values.element = random.pick<const char *>({"f32", "f16", "bf16"});
  double root = 1;
  for (char letter : p.depth)
    root *= static_cast<double>(p.extents[letter]);
  p.scale = random.percent(70) ? std::round(256 / std::sqrt(root)) / 256
                               : random.pick({1.0, 0.5, -0.25, 0.0, 2.0});
  p.spread = random.percent(10) ? 8 : 1;
}

/// The letter that counts sequences, or 0.
static char sequenceLetter(const Problem &p) {
  if (p.queryTerm.empty() || !StringRef(p.batch).contains(p.queryTerm[0]))
    return 0;
  return p.queryTerm[0];
}

static int64_t length(Random &random, int64_t most) {
  int64_t kind = random.range(0, 9);
  return kind == 0 ? 0 : kind == 1 ? most : random.range(0, most);
}

static void makeValid(Problem &p, Random &random) {
  if (p.key.size() != 1 || !random.percent(60))
    return;
  int64_t keys = p.extents[p.key[0]];
  Operand valid;
  valid.name = "n";
  valid.fill = Fill::Lengths;
  valid.element = "index";
  valid.isScalar = true;
  int64_t count = 1;
  if (char sequence = sequenceLetter(p); sequence && random.percent(50)) {
    valid = makeOperand(p, "n", std::string(1, sequence), "i64", random);
    valid.fill = Fill::Lengths;
    count = p.extents[sequence];
  }
  for (int64_t i = 0; i < count; ++i)
    valid.values.push_back(length(random, keys));
  // More than there are: all of them.
  if (random.percent(3))
    valid.values[0] = keys + random.range(1, 3);
  p.valid = valid;
}

/// Turns keys and values into caches that grow by some rows.
static void makeCaches(Problem &p, Random &random) {
  if (!p.valid || !random.percent(30))
    return;
  int64_t capacity = p.extents[p.key[0]];
  bool perSequence = !p.valid->isScalar;
  for (const Operand *cache : {&p.keys, &p.values})
    if (perSequence && cache->letters[0] != p.queryTerm[0])
      return;
  p.appendsTokens = random.percent(40);
  p.newRows =
      p.appendsTokens ? random.range(1, std::min<int64_t>(capacity, 5)) : 1;
  p.append = true;
  for (int64_t &value : p.valid->values)
    value = std::min(value, capacity - p.newRows);
  p.valid->attributes = "attn.length, ";
  p.extents[p.newLetter] = p.newRows;
  auto rowsOf = [&](Operand &cache, StringRef name) {
    cache.attributes = "attn.cache, ";
    std::string term;
    for (char letter : cache.letters) {
      if (letter != p.key[0])
        term += letter;
      else if (p.appendsTokens)
        term += p.newLetter;
    }
    if (random.percent(20))
      random.shuffle(term);
    return makeOperand(p, name, term, cache.element, random);
  };
  p.newKeys = rowsOf(p.keys, "kn");
  p.newValues = rowsOf(p.values, "vn");
}

static void makeGraph(Problem &p, Random &random) {
  bool fits = p.score == Score::None && !p.blocks && !p.lse &&
              p.key.size() == 1 && p.query.element != "f64";
  if (!fits || !random.percent(45))
    return;
  p.isGraph = true;
  Graph &g = p.graph;
  g.scoreTerm = p.scores();
  if (random.percent(30))
    random.shuffle(g.scoreTerm);
  if (p.valid && !p.valid->isScalar) { // lengths are by the first letter
    char sequence = p.queryTerm[0];
    std::string rest;
    for (char letter : g.scoreTerm)
      if (letter != sequence)
        rest += letter;
    g.scoreTerm = sequence + rest;
  }
  g.swapScores = random.percent(40);
  g.swapValues = random.percent(40);
  g.rename = random.percent(50);
  g.divide = random.percent(30) && p.scale != 0;
  g.biasFirst = random.percent(50);
  g.repeatKey = !p.row.empty() && p.dynamic.empty() && random.percent(10);
  g.narrowWeights = random.percent(5);
  // A graph adds a bias to all scores.
  if (p.bias) {
    p.biasLetters = g.scoreTerm;
    p.bias = makeOperand(p, "bias", g.scoreTerm, "f32", random);
  }
}

Problem makeProblem(uint64_t seed, Extents extents) {
  Random random(seed);
  Problem p;
  p.seed = seed;
  p.extentKind = extents;
  makeLetters(p, random);
  makeOperands(p, random);
  makeValid(p, random);
  makeCaches(p, random);
  addFeatures(p, random);
  makeGraph(p, random);
  p.fuse = !random.percent(12);
  p.shareKV = !random.percent(15);
  p.specialize = random.percent(30);
  p.threads = random.percent(80) ? 1 : 2;
  if (random.percent(30))
    mutate(p, random);
  return p;
}

} // namespace einhead::fuzz
