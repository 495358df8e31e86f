//===- EinsumSpec.cpp - The text of an einsum -------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/EinsumSpec.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace einhead::attn;

static LogicalResult refuse(llvm::function_ref<InFlightDiagnostic()> emitError,
                            size_t column, const llvm::Twine &what) {
  if (emitError)
    emitError() << "einsum spec, column " << column + 1 << ": " << what;
  return failure();
}

FailureOr<EinsumSpec>
EinsumSpec::parse(llvm::StringRef text,
                  llvm::function_ref<InFlightDiagnostic()> emitError) {
  EinsumSpec spec;
  std::string term;
  bool inOutput = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == ' ')
      continue;
    if (llvm::isAlpha(c)) {
      if (term.find(c) != std::string::npos)
        return refuse(emitError, i,
                      llvm::Twine("letter '") + llvm::Twine(c) +
                          "' stands twice in one term");
      term.push_back(c);
    } else if (c == ',' && !inOutput) {
      spec.inputs.push_back(std::move(term));
      term.clear();
    } else if (c == '-' && !inOutput && text.substr(i, 2) == "->") {
      spec.inputs.push_back(std::move(term));
      term.clear();
      inOutput = true;
      ++i;
    } else {
      return refuse(emitError, i,
                    llvm::Twine("unexpected '") + llvm::Twine(c) + "'");
    }
  }
  if (!inOutput)
    return refuse(emitError, text.size(), "expected '->'");
  spec.output = std::move(term);
  return spec;
}

std::string EinsumSpec::str() const {
  return llvm::join(inputs, ", ") + " -> " + output;
}

std::string EinsumSpec::letters() const {
  std::string all;
  auto add = [&](llvm::StringRef term) {
    for (char letter : term)
      if (all.find(letter) == std::string::npos)
        all.push_back(letter);
  };
  for (const std::string &term : inputs)
    add(term);
  add(output);
  return all;
}

std::string einhead::attn::lettersWithout(llvm::StringRef term,
                                          llvm::StringRef without) {
  std::string rest;
  for (char letter : term)
    if (!without.contains(letter))
      rest.push_back(letter);
  return rest;
}
