//===- Problem.h - One random attention -------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_FUZZ_PROBLEM_H
#define EINHEAD_TOOLS_FUZZ_PROBLEM_H

#include "Random.h"
#include <map>
#include <optional>

namespace einhead::fuzz {

/// Which extents the types leave open: none, some of every third case, or most.
enum class Extents { Static, Mixed, Dynamic };

/// What an argument holds at run time.
enum class Fill { Normal, Lengths, Symbol, Blocks };

struct Dim {
  std::string name; ///< of a dynamic extent
  int64_t extent = 1;
  bool dynamic = false;
};

/// An argument of the function.
struct Operand {
  std::string name, element = "f32";
  std::string letters; ///< one for each dimension
  std::vector<Dim> dims;
  Fill fill = Fill::Normal;
  std::vector<int64_t> values; ///< of lengths, symbols and blocks
  std::string attributes;      ///< "attn.cache, "
  bool isScalar = false;       ///< index, or i64 where `element` says so
  bool isCache() const { return attributes.find("cache") != attributes.npos; }
  bool isLength() const { return attributes.find("length") != attributes.npos; }

  std::string type() const;
  std::string shapeText() const; ///< "b, 8"
};

enum class Score { None, SoftCap, Slope, Select, Table };

/// How the graph spells it, where it is not attn.attention.
struct Graph {
  std::string scoreTerm;
  bool swapScores = false, swapValues = false, rename = false;
  bool divide = false, biasFirst = false, repeatKey = false;
  bool narrowWeights = false;
};

/// A module with one attention, what it is called with, and how it is compiled.
struct Problem {
  uint64_t seed = 0;
  Extents extentKind = Extents::Mixed;

  // The letters.
  std::string batch, row, key, depth, value;
  std::map<char, int64_t> extents;
  std::string dynamic; ///< letters whose extents are not in the types
  std::string queryTerm, keyTerm, valueTerm, outputTerm;
  std::string state() const; ///< the output's letters without the values'
  std::string scores() const { return state() + key; }

  // The operands.
  Operand query, keys, values;
  /// Of rows of 8 bits; one for both where `valueIsKey`.
  std::optional<Operand> keyScale, valueScale;
  bool valueIsKey = false;    ///< one operand for both
  int64_t keyColumns = 0;     ///< not 0: V is a slice of K's last dimension
  std::string output = "f32"; ///< element type
  double scale = 1;

  // What shapes the scores.
  std::optional<Operand> valid, bias, sink, blocks, table;
  std::string biasLetters, sinkLetters, blockLetters, tableLetters;
  int64_t blockSize = 0;
  std::string maskLetters, maskSets; ///< after the letters: named, or sets
  std::vector<Operand> symbols;
  Score score = Score::None;
  double cap = 1; ///< of the score region: the cap or the slope
  bool lse = false;

  // Caches.
  bool append = false;
  bool appendsTokens = false; ///< several rows, else one without their letter
  int64_t newRows = 1;
  char newLetter = 0;
  Operand newKeys, newValues;

  bool isGraph = false;
  Graph graph;

  // The compiler and the call.
  bool fuse = true, shareKV = true, specialize = false;
  int threads = 1;
  double spread = 1; ///< of query's elements

  std::string mutation;  ///< what was made invalid, or ""
  uint64_t textSeed = 0; ///< not 0: some token of the text is changed

  /// 1 for a letter that the problem does not have.
  int64_t extentOf(char letter) const {
    auto at = extents.find(letter);
    return at == extents.end() ? 1 : at->second;
  }

  /// The arguments of the function, in order.
  std::vector<const Operand *> arguments() const;
  /// "gqa bf16 valid mask": for the report.
  std::string traits() const;
  /// All that the text does not say, as a comment of one line.
  std::string settings() const;
};

/// The problem of a seed, always the same.
Problem makeProblem(uint64_t seed, Extents extents);

/// Bias, mask, score region, block lists, sink, scales of rows.
void addFeatures(Problem &problem, Random &random);

/// Makes one thing wrong, or at least other.
void mutate(Problem &problem, Random &random);

/// A text with one token left out, doubled, or exchanged with another.
std::string changeToken(const std::string &text, Random &random);

/// The module.
std::string moduleText(const Problem &problem);

/// An operand with these letters, of the problem's extents.
Operand makeOperand(const Problem &problem, llvm::StringRef name,
                    llvm::StringRef letters, llvm::StringRef element,
                    Random &random);

} // namespace einhead::fuzz

#endif // EINHEAD_TOOLS_FUZZ_PROBLEM_H
