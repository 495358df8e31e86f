//===- AttentionCase.h - One attention, compiled once -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TEST_E2E_ATTENTIONCASE_H
#define EINHEAD_TEST_E2E_ATTENTIONCASE_H

#include "../../runtime/reference/Reference.h"
#include "CompileTest.h"
#include <functional>
#include <memory>

namespace einhead::test {

namespace ref = einhead::reference;

/// How query heads share keys and values.  Without groups or rows the tensors
/// lack that letter.
struct Form {
  const char *name;
  int64_t groups; ///< heads of K and V: letter g
  int64_t rows;   ///< query heads of each: letter r
  int64_t depth, width;
  bool latent;      ///< V is the first columns of K
  const char *type; ///< of K and V
};

/// Multi-head, grouped-query, multi-query and latent attention.
extern const Form kForms[4];

/// A query and a key; what the form lacks is 0.
struct Pair {
  int64_t group, row, token, key;
};
using Attends = std::function<bool(const Pair &)>;

/// Keys that a call's cache has room for; more than a chunk (512).
constexpr int64_t kCapacity = 700;

/// Numbers around the edges of a key tile (64) and a chunk (512).
extern const std::vector<int64_t> kPositions;

/// An attention of a form over some new tokens, and what stands in its text.
class AttentionCase {
public:
  /// Text of the module, beside what the form says.
  struct Text {
    std::string arguments; ///< ", %p: index"
    std::string ops;       ///< before the attention
    std::string bias;      ///< before `valid`
    std::string clauses;   ///< behind it, before `outs`
    bool lse = false;      ///< whether it is a second result
  };

  /// With no tokens the tensors lack the letter n.
  AttentionCase(const Form &form, int64_t tokens, const Text &text);

  /// The letters of a score, in order: those of g, r and n that there are, m.
  std::string scoreLetters() const { return rowLetters + "m"; }
  /// What a score's indices mean.
  Pair pairOf(const std::vector<int64_t> &indices) const;

  struct Result {
    std::vector<float> output, lse;
  };
  /// Calls the module.  Keys that are not valid, or that no row of their group
  /// attends, are NaN.
  Result run(int64_t valid, llvm::ArrayRef<const View *> more,
             const Attends &attends);

  /// Compares with the oracle, whose mask is `attends` at each point.
  ref::Report judge(const Result &result, int64_t valid, const Attends &attends,
                    ref::AttentionOptions options = {}) const;

  /// Expects that the oracle takes the result, and refuses it where a key that
  /// the last row attends does not count (or one does, where it attends none).
  void check(const Result &result, int64_t valid, const Attends &attends,
             const ref::AttentionOptions &options = {}) const;

  Form form;
  int64_t tokens;
  std::string error; ///< of the compiler; empty if it compiled

private:
  std::string moduleText(const Text &text) const;
  std::vector<char> stored(const ref::Tensor &all, int64_t valid,
                           const Attends &attends) const;
  bool someRowAttends(int64_t group, int64_t key, const Attends &attends) const;

  bool hasLse, isBF16;
  std::string rowLetters, keyLetters;
  std::vector<int64_t> rowShape, keyShape; ///< without the last dimension
  ref::Tensor q, k, v;
  std::unique_ptr<Loaded> module;
};

} // namespace einhead::test

#endif // EINHEAD_TEST_E2E_ATTENTIONCASE_H
