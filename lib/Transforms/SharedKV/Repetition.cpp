//===- Repetition.cpp - Letters over which K and V repeat -------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Repetition.h"
#include <vector>

using namespace mlir;
using namespace einhead::attn;
using namespace einhead::shared_kv;

bool Unrepeated::sameAs(const Unrepeated &other) const {
  return dropped == other.dropped && split.size() == other.split.size() &&
         llvm::equal(split, other.split, [](const auto &a, const auto &b) {
           return a.first == b.first && a.second.kind == b.second.kind &&
                  a.second.factor == b.second.factor;
         });
}

static int64_t extentOf(const View &view, int64_t dim) {
  return cast<RankedTensorType>(view.value.getType()).getDimSize(dim);
}

/// Whether all groups of a divided dimension are whole.
static bool dividesEvenly(const View &view, const SourceIndex &form) {
  int64_t extent = extentOf(view, form.dim);
  if (!ShapedType::isDynamic(extent))
    return extent % form.factor == 0;
  return llvm::any_of(view.multiples, [&](std::pair<int64_t, int64_t> known) {
    return known.first == form.dim && known.second % form.factor == 0;
  });
}

/// A view in letters; nothing where it is more than a repetition.  `whole`:
/// letters that cannot be repeated (key, depth and value letters).
static std::optional<Unrepeated>
readView(const View &view, llvm::StringRef term, llvm::StringRef whole) {
  std::optional<SmallVector<SourceIndex>> forms = view.forms();
  if (!forms)
    return std::nullopt;
  Unrepeated result;
  result.view = view;
  result.forms = *forms;
  std::string seen;
  for (const SourceIndex &form : *forms) {
    if (form.kind == SourceIndex::Constant)
      continue;
    char letter = term[form.dim];
    seen.push_back(letter);
    if (form.kind == SourceIndex::Same)
      continue;
    if (whole.contains(letter) || !dividesEvenly(view, form))
      return std::nullopt;
    result.split.push_back({letter, form});
  }
  llvm::sort(result.split, llvm::less_first());
  for (auto [dim, letter] : llvm::enumerate(term)) {
    if (indexOf(seen, letter) >= 0)
      continue;
    if (whole.contains(letter))
      return std::nullopt;
    (extentOf(view, dim) == 1 ? result.droppedUnits : result.dropped) += letter;
  }
  llvm::sort(result.dropped);
  return result;
}

/// From the operand itself (which repeats nothing) upwards.
static std::vector<Unrepeated> readings(Value operand, llvm::StringRef term,
                                        llvm::StringRef whole) {
  std::vector<Unrepeated> result;
  for (const View &view : viewsOf(operand))
    if (std::optional<Unrepeated> reading = readView(view, term, whole))
      result.push_back(std::move(*reading));
  return result;
}

static std::string quoted(char letter) {
  return "'" + std::string(1, letter) + "'";
}

/// "8 times over 'h'"
static std::string describe(const std::pair<char, SourceIndex> &split) {
  return split.second.kind == SourceIndex::Divided
             ? "each entry of " + quoted(split.first) + " " +
                   std::to_string(split.second.factor) + " times"
             : quoted(split.first) + " after " +
                   std::to_string(split.second.factor) + " entries";
}

/// Whether what one operand repeats is no letter of the other, or repeated
/// there too in the same way.
static Reason compare(const Unrepeated &one, llvm::StringRef oneName,
                      const Unrepeated &other, llvm::StringRef otherName,
                      llvm::StringRef otherTerm) {
  auto ownEntries = [&](char letter) {
    return ("the " + oneName + " repeats over " + quoted(letter) + ", the " +
            otherName + " does not: each " + quoted(letter) + " has a " +
            otherName + " of its own")
        .str();
  };
  for (char letter : one.dropped)
    if (otherTerm.contains(letter) && indexOf(other.dropped, letter) < 0) {
      for (const auto &split : other.split)
        if (split.first == letter)
          return ("the " + oneName + " is the same for all " + quoted(letter) +
                  ", the " + otherName + " repeats " + describe(split))
              .str();
      return ownEntries(letter);
    }
  for (const auto &split : one.split) {
    if (!otherTerm.contains(split.first) ||
        indexOf(other.dropped, split.first) >= 0)
      continue; // said from the other side
    const auto *match = llvm::find_if(
        other.split, [&](const auto &b) { return b.first == split.first; });
    if (match == other.split.end())
      return ownEntries(split.first);
    if (match->second.kind != split.second.kind ||
        match->second.factor != split.second.factor)
      return ("the " + oneName + " repeats " + describe(split) + ", the " +
              otherName + " " + describe(*match))
          .str();
  }
  return "";
}

/// Whether the rest of the attention can do without the letters.
static Reason checkLetters(const AttentionParts &parts,
                           const Repetition &repetition) {
  std::string letters;
  for (const Unrepeated *operand : {&repetition.key, &repetition.value}) {
    letters += operand->dropped + operand->droppedUnits;
    for (const auto &split : operand->split)
      letters += split.first;
  }
  for (char letter : letters) {
    if (indexOf(parts.queryTerm, letter) < 0 ||
        indexOf(parts.outputTerm, letter) < 0)
      return "K and V repeat over " + quoted(letter) +
             ", which query and output must both have to be a row";
    if (parts.valid && !parts.valid.getType().isIndex() &&
        parts.queryTerm.front() == letter)
      return "K and V repeat over " + quoted(letter) + ", but each " +
             quoted(letter) + " has a length of its own";
  }
  return "";
}

static Reason check(const AttentionParts &parts, const Repetition &repetition) {
  if (Reason why = compare(repetition.key, "key", repetition.value, "value",
                           parts.valueTerm);
      !why.empty())
    return why;
  if (Reason why = compare(repetition.value, "value", repetition.key, "key",
                           parts.keyTerm);
      !why.empty())
    return why;
  return checkLetters(parts, repetition);
}

/// Why an operand that is spelled as a repetition is not read as one.
static Reason whyUnread(Value operand, llvm::StringRef name,
                        llvm::StringRef term) {
  View view = deepestView(operand);
  for (AffineExpr index : view.indices) {
    std::optional<SourceIndex> form = SourceIndex::get(index);
    if (form && (form->kind == SourceIndex::Divided) &&
        !dividesEvenly(view, *form))
      return ("the " + name + " repeats " + describe({term[form->dim], *form}) +
              ", which does not divide its extent " +
              (ShapedType::isDynamic(extentOf(view, form->dim))
                   ? std::string("for certain")
                   : std::to_string(extentOf(view, form->dim))))
          .str();
  }
  return "";
}

Reason Repetition::find(const AttentionParts &parts,
                        std::optional<Repetition> &found) {
  std::string depth = lettersWithout(parts.keyTerm, parts.outputTerm);
  std::string value =
      lettersWithout(parts.valueTerm, parts.queryTerm + parts.keyTerm);
  std::vector<Unrepeated> keys =
      readings(parts.key, parts.keyTerm, depth + value);
  std::vector<Unrepeated> values =
      readings(parts.value, parts.valueTerm, depth + value);
  Reason first;
  // The furthest way up that fits both.
  for (const Unrepeated &key : llvm::reverse(keys))
    for (const Unrepeated &other : llvm::reverse(values)) {
      Repetition repetition{key, other};
      if (found || (!key.repeats() && !other.repeats()))
        continue;
      Reason why = check(parts, repetition);
      if (why.empty())
        found = std::move(repetition);
      else if (first.empty())
        first = why;
    }
  if (!found) {
    if (first.empty())
      first = whyUnread(parts.key, "key", parts.keyTerm);
    return first.empty() ? whyUnread(parts.value, "value", parts.valueTerm)
                         : first;
  }
  if (parts.keyScale || parts.valueScale) {
    found.reset();
    return "K and V repeat in 8 bits, but each of their rows has its own "
           "scale; "
           "repeat the products with the scales instead";
  }
  // No further than the repetition goes.
  auto shallowest = [](ArrayRef<Unrepeated> all, Unrepeated &best) {
    const auto *at = llvm::find_if(
        all, [&](const Unrepeated &other) { return other.sameAs(best); });
    best = Unrepeated(*at);
  };
  shallowest(keys, found->key);
  shallowest(values, found->value);
  return "";
}
