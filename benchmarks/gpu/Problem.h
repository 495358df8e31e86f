//===- Problem.h - One attention to measure, as a file says it --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_BENCHMARKS_GPU_PROBLEM_H
#define EINHEAD_BENCHMARKS_GPU_PROBLEM_H

#include "einhead/runtime.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace einhead::bench {

/// Types of elements, by their names in a manifest.
enum class Element { F32, F16, BF16, I64, I32, I8, F8E4M3 };

int64_t sizeOf(Element type);
DLDataType toDLPack(Element type);

/// An argument of the function, with the letters of its dimensions.
struct Operand {
  std::string name, kind; // "input", "output", "cache", "length"
  Element type = Element::F32;
  std::string term;
  std::vector<int64_t> extents;

  int64_t elementBytes() const { return sizeOf(type); }
  int64_t count() const;
  int64_t bytes() const { return count() * elementBytes(); }
  /// Elements from one index of this letter to the next; 0 without the letter.
  int64_t stride(char letter) const;
  bool has(char letter) const { return term.find(letter) != std::string::npos; }
};

/// One op of a step, on tensors by their names.
struct StepOp {
  enum class Kind { Einsum, Append, Attention } kind = Kind::Einsum;
  std::string spec;
  std::vector<std::string> of; // in the order of the spec
  std::string to;              // what it makes
  bool isOfCache = false;      // attention: on what a step has appended to
};

/// What a list says of a measurement (README.md).
struct Request {
  std::string name, module, function = "attention", spec;
  std::map<std::string, int64_t> sizes; // of dimensions that have names
  std::map<std::string, std::string> roles;
  std::vector<int64_t> lengths;
  std::string mask = "none";
  double scale = 0; // 0: 1 / sqrt(depth)
  /// Of a step: several ops, of which the function is one call.
  std::vector<StepOp> steps;
  std::map<std::string, int64_t> shifts; // inputs are 2^-shift of normal ones
  double published = 0;                  // what others report, in us of a token
};

/// Reads a list; modules are relative to its folder.
std::vector<Request> readList(const std::string &path);

/// The arguments of the request's function, in its order.
struct Signature {
  std::vector<Operand> arguments;
  int64_t advance = 0; // keys that a call appends
};
Signature readSignature(const Request &request, const char *manifest);

/// A request that was joined to the manifest of its module.
struct Problem {
  Request request;
  std::vector<Operand> arguments; // without letters, in the function's order
  std::string spec, batch, row, depth, valueLetters;
  char key = 0, sequence = 0; // letters; the query's first is the sequence's
  std::map<char, int64_t> extent;
  double scale = 1;
  Operand query, keys, output;
  std::optional<Operand> values; // none: the first columns of the keys
  std::optional<Operand> keyScale, valueScale, lengths;

  /// `manifest` is the module's JSON text.
  static Problem create(const Request &request, const char *manifest);

  int64_t count(const std::string &letters) const;
  int64_t length(int64_t sequence) const;
  /// Whether the new token at `n` attends to key `m`.
  bool attends(int64_t n, int64_t m) const;
  /// The least bytes of keys and values (and scales) that one call reads.
  int64_t leastBytes() const;
  /// Of both products, over the keys that each new token attends to.
  int64_t operations() const;
  /// The operands that have a key letter.
  std::vector<const Operand *> cached() const;
};

} // namespace einhead::bench

#endif // EINHEAD_BENCHMARKS_GPU_PROBLEM_H
