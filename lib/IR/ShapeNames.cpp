//===- ShapeNames.cpp - Named dimensions of function arguments --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/IR/ShapeNames.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace einhead::attn;

FailureOr<llvm::SmallVector<ShapeName>>
einhead::attn::parseShapeNames(llvm::StringRef text) {
  llvm::SmallVector<ShapeName> names;
  if (text.trim().empty())
    return names;
  llvm::SmallVector<llvm::StringRef> entries;
  text.split(entries, ',');
  for (llvm::StringRef entry : entries) {
    auto [first, second] = entry.trim().split('+');
    ShapeName name;
    first = first.trim();
    if (!first.empty() && llvm::isDigit(first.front())) {
      if (first.getAsInteger(10, name.offset) || !second.empty())
        return failure();
    } else {
      if (first.empty() || !llvm::all_of(first, [](char c) {
            return llvm::isAlnum(c) || c == '_';
          }))
        return failure();
      name.name = first.str();
      if (!second.empty() && second.trim().getAsInteger(10, name.offset))
        return failure();
    }
    names.push_back(std::move(name));
  }
  return names;
}
