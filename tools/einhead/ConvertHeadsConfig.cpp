//===- ConvertHeadsConfig.cpp - One number of a config.json -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ConvertHeadsConfig.h"
#include "ImportJSON.h"

namespace einhead::tool {

static constexpr llvm::StringLiteral key = "num_key_value_heads";
static constexpr llvm::StringLiteral space = " \t\r\n";

/// Where the number of the member `key` of the object at the top stands in a
/// text that is valid JSON; empty where there is none.
static llvm::StringRef findNumber(llvm::StringRef text) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (llvm::StringRef("{[").contains(text[i]))
      ++depth;
    if (llvm::StringRef("]}").contains(text[i]))
      --depth;
    if (text[i] != '"')
      continue;
    size_t begin = ++i;
    while (i < text.size() && text[i] != '"')
      i += text[i] == '\\' ? 2 : 1;
    llvm::StringRef rest = text.substr(i + 1).ltrim(space);
    if (depth == 1 && text.slice(begin, i) == key && rest.consume_front(":"))
      return rest.ltrim(space).take_until([](char c) {
        return (space + ",}").str().find(c) != std::string::npos;
      });
  }
  return "";
}

llvm::Expected<std::string> withGroups(llvm::StringRef config, int64_t groups) {
  std::string text;
  llvm::StringRef number = findNumber(config);
  if (!number.empty()) {
    size_t at = number.data() - config.data();
    text = (config.take_front(at) + llvm::Twine(groups) +
            config.substr(at + number.size()))
               .str();
  } else {
    // Models of the time before grouped queries lack it.
    auto [before, after] = config.split('{');
    text =
        (before + "{\n  \"" + key + "\": " + llvm::Twine(groups) + "," + after)
            .str();
  }
  auto value = importer::parseJSON(text);
  if (!value)
    return value.takeError();
  if (value->getAsObject()->getInteger(key) != groups)
    return llvm::createStringError("'" + key +
                                   "' could not be set; is it "
                                   "spelled with escapes?");
  return text;
}

} // namespace einhead::tool
