//===- ModuleText.cpp - A problem as MLIR -----------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Problem.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using llvm::formatv;
using llvm::StringRef;

namespace einhead::fuzz {
namespace {

class Writer {
public:
  explicit Writer(const Problem &problem) : p(problem), os(text) {}
  std::string run();

private:
  struct Term {
    std::string name, type;
  };

  std::string index(int64_t value);
  std::string extent(char letter);
  std::string typeOf(StringRef letters, StringRef element);
  std::string shapeOf(StringRef letters);
  std::string empty(StringRef name, StringRef letters, StringRef element);
  std::string uniform(StringRef letters, double value);
  static std::string number(double value);

  void signature();
  void appendRows();
  void valueFromKey();
  void attention();
  void graph();
  void clauses();
  void scoreRegion();
  std::string maskClause(StringRef letters);
  Term scaledScores();
  Term repeatedKey(std::string &term);
  Term product(const Term &rows, StringRef letters, const Operand &scale);

  const Problem &p;
  std::string text;
  llvm::raw_string_ostream os;
  std::string prelude; ///< constants and extents, before everything else
  Term key, value;
  std::string valid, validType;
};

} // namespace

std::string Writer::number(double value) {
  std::string digits;
  llvm::raw_string_ostream(digits) << llvm::format("%.8e", value);
  return digits;
}

/// A constant of the prelude.
std::string Writer::index(int64_t value) {
  std::string name = "%c" + std::to_string(value);
  std::string line =
      "  " + name + " = arith.constant " + std::to_string(value) + " : index\n";
  if (!StringRef(prelude).contains(line))
    prelude += line;
  return name;
}

/// The extent of a letter as a value.
std::string Writer::extent(char letter) {
  for (const Operand *operand : {&p.query, &p.keys, &p.values}) {
    if (operand == &p.values && p.valueIsKey)
      continue;
    size_t at = operand->letters.find(letter);
    if (at == std::string::npos)
      continue;
    std::string name = std::string("%d_") + letter;
    std::string line = formatv("  {0} = tensor.dim %{1}, {2} : {3}\n", name,
                               operand->name, index(at), operand->type());
    if (!StringRef(prelude).contains("  " + name + " ="))
      prelude += line;
    return name;
  }
  return index(p.extentOf(letter));
}

std::string Writer::typeOf(StringRef letters, StringRef element) {
  std::string type = "tensor<";
  for (char letter : letters)
    type += (StringRef(p.dynamic).contains(letter)
                 ? "?"
                 : std::to_string(p.extentOf(letter))) +
            "x";
  return type + element.str() + ">";
}

std::string Writer::shapeOf(StringRef letters) {
  std::string shape;
  for (char letter : letters)
    shape += (shape.empty() ? "" : ", ") +
             (StringRef(p.dynamic).contains(letter)
                  ? std::string("x") + letter
                  : std::to_string(p.extentOf(letter)));
  return shape;
}

/// Writes a tensor.empty and returns its type.
std::string Writer::empty(StringRef name, StringRef letters,
                          StringRef element) {
  std::string sizes;
  for (char letter : letters)
    if (StringRef(p.dynamic).contains(letter))
      sizes += (sizes.empty() ? "" : ", ") + extent(letter);
  std::string type = typeOf(letters, element);
  os << formatv("  {0} = tensor.empty({1}) : {2}\n", name, sizes, type);
  return type;
}

/// Writes a tensor of one number and returns its name.
std::string Writer::uniform(StringRef letters, double value) {
  std::string type = typeOf(letters, "f32"), sizes;
  for (char letter : letters)
    if (StringRef(p.dynamic).contains(letter))
      sizes += (sizes.empty() ? "" : ", ") + extent(letter);
  if (sizes.empty()) {
    os << formatv("  %factor = arith.constant dense<{0}> : {1}\n",
                  number(value), type);
    return "%factor";
  }
  os << formatv("  %number = arith.constant {0} : f32\n", number(value))
     << formatv("  %factor = tensor.splat %number[{0}] : {1}\n", sizes, type);
  return "%factor";
}

//===----------------------------------------------------------------------===//
// The function
//===----------------------------------------------------------------------===//

void Writer::signature() {
  os << "func.func @f(";
  const char *separator = "";
  for (const Operand *operand : p.arguments()) {
    os << separator << "%" << operand->name << ": " << operand->type() << " {"
       << operand->attributes << "attn.name = \"" << operand->name << "\"";
    if (!operand->isScalar && !operand->dims.empty())
      os << ", attn.shape = \"" << operand->shapeText() << "\"";
    os << "}";
    separator = ",\n    ";
  }
  os << ")\n    -> (" << typeOf(p.outputTerm, p.output)
     << " {attn.name = \"y\"";
  if (!p.outputTerm.empty())
    os << ", attn.shape = \"" << shapeOf(p.outputTerm) << "\"";
  os << "}";
  if (p.lse) {
    os << ", " << typeOf(p.state(), "f32") << " {attn.name = \"lse\"";
    if (!p.state().empty())
      os << ", attn.shape = \"" << shapeOf(p.state()) << "\"";
    os << "}";
  }
  if (p.append) {
    os << ", " << p.keys.type() << " {attn.cache = \"k\"}";
    if (!p.valueIsKey)
      os << ", " << p.values.type() << " {attn.cache = \"v\"}";
  }
  os << ") {\n";
}

/// Appends to the caches and counts the new rows as valid.
void Writer::appendRows() {
  auto append = [&](const Operand &rows, const Operand &cache, Term &result) {
    result = {"%" + cache.name + "1", cache.type()};
    os << formatv("  {0} = attn.append \"{1} -> {2}\"(%{3} into %{4} at %n : "
                  "{5})\n    : {6} into {7}\n",
                  result.name, rows.letters, cache.letters, rows.name,
                  cache.name, p.valid->type(), rows.type(), cache.type());
  };
  append(p.newKeys, p.keys, key);
  if (!p.valueIsKey)
    append(p.newValues, p.values, value);
  if (p.valid->isScalar) {
    os << formatv("  %n1 = arith.addi %n, {0} : index\n", index(p.newRows));
    valid = "%n1";
    return;
  }
  std::string type = p.valid->type(), size;
  if (p.valid->dims[0].dynamic) {
    os << formatv("  %nb = tensor.dim %n, {0} : {1}\n", index(0), type);
    size = "%nb";
  }
  os << formatv("  %ne = tensor.empty({0}) : {1}\n", size, type)
     << formatv("  %more = arith.constant {0} : i64\n", p.newRows)
     << "  %n1 = linalg.generic {indexing_maps = [affine_map<(d) -> (d)>, "
        "affine_map<(d) -> (d)>], iterator_types = [\"parallel\"]}\n"
     << formatv("      ins(%n : {0}) outs(%ne : {0}) {{\n", type)
     << "  ^bb0(%old: i64, %unused: i64):\n"
        "    %sum = arith.addi %old, %more : i64\n"
        "    linalg.yield %sum : i64\n"
     << formatv("  } -> {0}\n", type);
  valid = "%n1";
}

/// V is K, or its first columns.
void Writer::valueFromKey() {
  value = key;
  if (!p.keyColumns)
    return;
  std::string offsets, sizes, strides, type = "tensor<";
  for (auto [i, dim] : llvm::enumerate(p.keys.dims)) {
    const char *comma = i ? ", " : "";
    bool isLast = i + 1 == p.keys.dims.size();
    offsets += std::string(comma) + "0";
    strides += std::string(comma) + "1";
    int64_t extent = isLast ? p.keyColumns : dim.extent;
    type += (dim.dynamic ? "?" : std::to_string(extent)) + "x";
    sizes += comma;
    if (!dim.dynamic) {
      sizes += std::to_string(extent);
      continue;
    }
    std::string name = "%size" + std::to_string(i); // %s0 is a graph's
    os << formatv("  {0} = tensor.dim {1}, {2} : {3}\n", name, key.name,
                  index(i), key.type);
    sizes += name;
  }
  type += p.keys.element + ">";
  os << formatv("  %slice = tensor.extract_slice {0}[{1}] [{2}] [{3}] : {4} to "
                "{5}\n",
                key.name, offsets, sizes, strides, key.type, type);
  value = {"%slice", type};
}

std::string Writer::run() {
  signature();
  std::string head = std::move(text);
  text.clear();
  key = {"%k", p.keys.type()};
  value = {"%v", p.values.type()};
  if (p.valid) {
    valid = "%n";
    validType = p.valid->type();
  }
  if (p.append)
    appendRows();
  if (p.valueIsKey)
    valueFromKey();
  p.isGraph ? graph() : attention();
  std::string results = "%y", types = typeOf(p.outputTerm, p.output);
  if (p.lse) {
    results = "%y#0, %y#1";
    types += ", " + typeOf(p.state(), "f32");
  }
  if (p.append) {
    results += ", %k1";
    types += ", " + p.keys.type();
    if (!p.valueIsKey) {
      results += ", %v1";
      types += ", " + p.values.type();
    }
  }
  os << formatv("  return {0} : {1}\n}\n", results, types);
  return head + prelude + text;
}

//===----------------------------------------------------------------------===//
// attn.attention
//===----------------------------------------------------------------------===//

std::string Writer::maskClause(StringRef letters) {
  std::string clause =
      formatv("mask <\"{0}\", {1}>(", letters, p.maskSets).str();
  for (auto [i, symbol] : llvm::enumerate(p.symbols))
    clause += (i ? ", %" : "%") + symbol.name;
  return clause + ")";
}

/// The score region; its indices are %i<letter>.
void Writer::scoreRegion() {
  std::string last(1, p.scores().back()), first(1, p.scores().front());
  os << "    score {\n    ^bb0(%s: f32";
  for (char letter : p.scores())
    os << ", %i" << letter << ": index";
  os << "):\n";
  switch (p.score) {
  case Score::None:
    break;
  case Score::SoftCap:
    os << "      %cap = arith.constant " << number(p.cap) << " : f32\n"
       << "      %t0 = arith.divf %s, %cap : f32\n"
       << "      %t1 = math.tanh %t0 : f32\n"
       << "      %t2 = arith.mulf %t1, %cap : f32\n";
    break;
  case Score::Slope:
    os << "      %slope = arith.constant " << number(p.cap / 16) << " : f32\n"
       << "      %a0 = arith.subi %i" << last << ", %i" << first << " : index\n"
       << "      %a1 = arith.index_cast %a0 : index to i64\n"
       << "      %a2 = arith.sitofp %a1 : i64 to f32\n"
       << "      %a3 = arith.mulf %a2, %slope : f32\n"
       << "      %t2 = arith.addf %s, %a3 : f32\n";
    break;
  case Score::Select:
    os << "      %dead = arith.constant 0xFF800000 : f32\n"
       << "      %near = arith.constant 2 : index\n"
       << "      %b0 = arith.remsi %i" << last << ", %near : index\n"
       << "      %zero = arith.constant 0 : index\n"
       << "      %b1 = arith.cmpi eq, %b0, %zero : index\n"
       << "      %t2 = arith.select %b1, %s, %dead : f32\n";
    break;
  case Score::Table: {
    os << "      %e = tensor.extract %table[";
    const char *separator = "";
    for (char letter : p.tableLetters) {
      os << separator << "%i" << letter;
      separator = ", ";
    }
    os << "] : " << p.table->type() << "\n"
       << "      %t2 = arith.addf %s, %e : f32\n";
    break;
  }
  }
  os << "      attn.yield %t2 : f32\n    }\n";
}

void Writer::clauses() {
  os << "    scale " << number(p.scale) << "\n";
  const auto &ofValue = p.valueIsKey ? p.keyScale : p.valueScale;
  if (p.keyScale)
    os << formatv("    key_scale(%kscale : {0})\n", p.keyScale->type());
  if (ofValue)
    os << formatv("    value_scale(%{0} : {1})\n", ofValue->name,
                  ofValue->type());
  if (p.bias)
    os << formatv("    bias \"{0}\"(%bias : {1})\n", p.biasLetters,
                  p.bias->type());
  if (p.valid)
    os << formatv("    valid({0} : {1})\n", valid, validType);
  if (!p.maskLetters.empty())
    os << "    " << maskClause(p.maskLetters) << "\n";
  if (p.blocks)
    os << formatv("    blocks \"{0}\"(%blocks : {1}) size {2}\n",
                  p.blockLetters, p.blocks->type(), p.blockSize);
  if (p.sink)
    os << formatv("    sink \"{0}\"(%sink : {1})\n", p.sinkLetters,
                  p.sink->type());
  if (p.score != Score::None)
    scoreRegion();
}

void Writer::attention() {
  std::string type = empty("%init", p.outputTerm, p.output), lseType;
  if (p.lse)
    lseType = empty("%lse", p.state(), "f32");
  os << formatv("  %y{0} = attn.attention \"{1}, {2}, {3} -> {4}\"\n",
                p.lse ? ":2" : "", p.queryTerm, p.keyTerm, p.valueTerm,
                p.outputTerm)
     << formatv("    query(%q : {0}) key({1} : {2}) value({3} : {4})\n",
                p.query.type(), key.name, key.type, value.name, value.type);
  clauses();
  std::string lse = formatv(" lse(%lse : {0}) -> {1}, {0}", lseType, type);
  os << formatv("    outs(%init : {0}){1}\n", type,
                p.lse ? lse : " -> " + type);
}

//===----------------------------------------------------------------------===//
// einsum, softmax, einsum
//===----------------------------------------------------------------------===//

/// K with the first row letter as a dimension of its own.
Writer::Term Writer::repeatedKey(std::string &term) {
  if (!p.graph.repeatKey || p.row.empty())
    return key;
  char row = p.row[0];
  std::string element = p.keyScale ? "f32" : p.keys.element;
  std::string all = term + row, type = typeOf(all, element);
  os << formatv("  %ones = arith.constant dense<1.0> : tensor<{0}x{1}>\n",
                p.extentOf(row), element)
     << formatv("  %repeated = attn.einsum \"{0}, {1} -> {2}\"({3}, %ones)\n"
                "    : ({4}, tensor<{5}x{6}>) -> {7}\n",
                term, row, all, key.name, key.type, p.extentOf(row), element,
                type);
  term = all;
  return {"%repeated", type};
}

Writer::Term Writer::scaledScores() {
  const Graph &g = p.graph;
  std::string term = p.keyTerm, type = typeOf(g.scoreTerm, "f32");
  Term keys = repeatedKey(term);
  Term a = {"%q", p.query.type()}, b = keys;
  std::string left = p.queryTerm, right = term;
  if (g.swapScores) {
    std::swap(a, b);
    std::swap(left, right);
  }
  os << formatv("  %s0 = attn.einsum \"{0}, {1} -> {2}\"({3}, {4})\n"
                "    : ({5}, {6}) -> {7}\n",
                left, right, g.scoreTerm, a.name, b.name, a.type, b.type, type);
  std::string at = "%s0";
  if (p.scale != 1) {
    std::string factor = uniform(g.scoreTerm, g.divide ? 1 / p.scale : p.scale);
    os << formatv("  %s1 = arith.{0} %s0, {1} : {2}\n",
                  g.divide ? "divf" : "mulf", factor, type);
    at = "%s1";
  }
  if (p.bias) {
    bool isCast = p.bias->type() != type;
    if (isCast)
      os << formatv("  %biasc = tensor.cast %bias : {0} to {1}\n",
                    p.bias->type(), type);
    std::string bias = isCast ? "%biasc" : "%bias";
    os << formatv("  %s2 = arith.addf {0}, {1} : {2}\n",
                  g.biasFirst ? bias : at, g.biasFirst ? at : bias, type);
    at = "%s2";
  }
  return {at, type};
}

/// Rows of 8 bits times scales: of key and value, even of one tensor, apart.
Writer::Term Writer::product(const Term &rows, StringRef letters,
                             const Operand &scale) {
  std::string name = rows.name + letters.take_back(1).str();
  StringRef type = rows.type, op = type.ends_with("i8>") ? "sitofp" : "extf";
  std::string wide = type.take_front(type.rfind('x') + 1).str() + "f32>";
  os << formatv("  {0}w = arith.{8} {1} : {2} to {3}\n"
                "  {0} = attn.einsum \"{4}, {5} -> {4}\"({0}w, %{6})\n"
                "    : ({3}, {7}) -> {3}\n",
                name, rows.name, rows.type, wide, letters, scale.letters,
                scale.name, scale.type(), op);
  return {name, wide};
}

void Writer::graph() {
  const Graph &g = p.graph;
  const auto &ofValue = p.valueIsKey ? p.keyScale : p.valueScale;
  if (p.keyScale)
    key = product(key, p.keyTerm, *p.keyScale);
  if (ofValue)
    value = product(value, p.valueTerm, *ofValue);
  Term scores = scaledScores();
  // The softmax and the second einsum may use other letters.
  auto renamed = [&](StringRef letters) {
    std::string result;
    for (char letter : letters) {
      size_t at = g.scoreTerm.find(letter);
      bool isScore = at != std::string::npos;
      if (!g.rename)
        result += letter;
      else if (isScore)
        result += static_cast<char>('a' + at);
      else
        result +=
            static_cast<char>('A' + (p.value.find(letter) == std::string::npos
                                         ? 20
                                         : p.value.find(letter)));
    }
    return result;
  };
  os << formatv("  %p = attn.softmax \"{0}\" over \"{1}\"({2})",
                renamed(g.scoreTerm), renamed(p.key), scores.name);
  if (p.valid)
    os << formatv(" valid({0} : {1})", valid, validType);
  if (!p.maskLetters.empty())
    os << "\n    " << maskClause(renamed(p.maskLetters));
  if (p.sink)
    os << formatv(" sink \"{0}\"(%sink : {1})", renamed(p.sinkLetters),
                  p.sink->type());
  os << " : " << scores.type << "\n";
  Term a = {"%p", scores.type}, b = value;
  if (g.narrowWeights) {
    a = {"%pn", typeOf(g.scoreTerm, "bf16")};
    os << formatv("  %pn = arith.truncf %p : {0} to {1}\n", scores.type,
                  a.type);
  }
  std::string left = renamed(g.scoreTerm), right = renamed(p.valueTerm);
  if (g.swapValues) {
    std::swap(a, b);
    std::swap(left, right);
  }
  os << formatv("  %y = attn.einsum \"{0}, {1} -> {2}\"({3}, {4})\n"
                "    : ({5}, {6}) -> {7}\n",
                left, right, renamed(p.outputTerm), a.name, b.name, a.type,
                b.type, typeOf(p.outputTerm, p.output));
}

std::string moduleText(const Problem &problem) {
  std::string text = Writer(problem).run();
  if (!problem.textSeed)
    return text;
  Random random(problem.textSeed);
  return changeToken(text, random);
}

} // namespace einhead::fuzz
