//===- ImportJSON.h - JSON from files of others -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_IMPORTJSON_H
#define EINHEAD_TOOLS_IMPORTJSON_H

#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

namespace einhead::importer {

/// Parses `text`.  Beyond what JSON asks for, refuses nesting that would
/// exhaust the stack of LLVM's recursive parser, and an object at the top with
/// two members of one name, of which the parser would keep one.
inline llvm::Expected<llvm::json::Value> parseJSON(llvm::StringRef text) {
  // The text may be anything so far: every step checks for its end.
  constexpr int deepest = 64;
  llvm::StringSet<> names;
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '{' || c == '[')
      ++depth;
    if (c == '}' || c == ']')
      --depth;
    if (depth > deepest)
      return llvm::createStringError("it is nested more than " +
                                     llvm::Twine(deepest) + " deep");
    if (c != '"')
      continue;
    size_t begin = ++i;
    while (i < text.size() && text[i] != '"')
      i += text[i] == '\\' ? 2 : 1;
    llvm::StringRef name = text.slice(begin, i);
    bool isMember =
        depth == 1 && text.substr(i + 1).ltrim(" \t\r\n").starts_with(":");
    if (isMember && !names.insert(name).second)
      return llvm::createStringError("it holds '" + name + "' twice");
  }
  return llvm::json::parse(text);
}

} // namespace einhead::importer

#endif // EINHEAD_TOOLS_IMPORTJSON_H
