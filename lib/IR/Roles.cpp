//===- Roles.cpp - What each letter of an attention does --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/Roles.h"

using namespace mlir;
using namespace einhead::attn;

static bool has(llvm::StringRef term, char letter) {
  return term.contains(letter);
}

FailureOr<AttentionRoles>
AttentionRoles::get(llvm::StringRef text,
                    llvm::function_ref<InFlightDiagnostic()> emitError) {
  FailureOr<EinsumSpec> spec = EinsumSpec::parse(text, emitError);
  if (failed(spec))
    return failure();
  if (spec->inputs.size() != 3) {
    if (emitError)
      emitError() << "expected three input terms (query, key, value), got "
                  << spec->inputs.size();
    return failure();
  }
  AttentionRoles roles;
  roles.queryTerm = spec->inputs[0];
  roles.keyTerm = spec->inputs[1];
  roles.valueTerm = spec->inputs[2];
  roles.outputTerm = spec->output;
  auto noRole = [&](char letter, llvm::StringRef why) {
    if (emitError)
      emitError() << "letter '" << letter << "' has no role: " << why;
    return failure();
  };
  for (char letter : roles.outputTerm) {
    bool q = has(roles.queryTerm, letter), k = has(roles.keyTerm, letter),
         v = has(roles.valueTerm, letter);
    if (k || (q && v))
      roles.batch.push_back(letter);
    else if (q)
      roles.row.push_back(letter);
    else if (v)
      roles.value.push_back(letter);
    else
      return noRole(letter, "it stands in the output only");
  }
  for (char letter : roles.keyTerm) {
    if (has(roles.outputTerm, letter))
      continue;
    bool q = has(roles.queryTerm, letter), v = has(roles.valueTerm, letter);
    if (q && v)
      return noRole(letter,
                    "query, key and value have it, the output lacks it");
    if (!q && !v)
      return noRole(letter, "it stands in the key only");
    (q ? roles.depth : roles.key).push_back(letter);
  }
  for (char letter : roles.queryTerm)
    if (!has(roles.keyTerm, letter) && !has(roles.outputTerm, letter))
      return noRole(letter, "the query has it, key and output lack it");
  for (char letter : roles.valueTerm)
    if (!has(roles.keyTerm, letter) && !has(roles.outputTerm, letter))
      return noRole(letter, "the value has it, key and output lack it");
  if (roles.key.empty()) {
    if (emitError)
      emitError() << "no key letter: none stands in key and value only";
    return failure();
  }
  return roles;
}
