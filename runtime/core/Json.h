//===- Json.h - JSON from untrusted bytes -----------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CORE_JSON_H
#define EINHEAD_RUNTIME_CORE_JSON_H

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

namespace einhead::runtime {

using json = nlohmann::json;

/// Parses without exceptions.  Refuses syntax errors, invalid UTF-8, nesting
/// deeper than 64 and a key that stands twice in one object.  Returns what is
/// wrong, or null.
const char *parseJson(std::string_view text, json &out);

/// The member of an object, or null.
inline const json *member(const json &object, const char *key) {
  if (!object.is_object())
    return nullptr;
  auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

/// Reads an integer in [low, high]; a float such as 1e3 is none.
bool readInteger(const json &value, int64_t low, int64_t high, int64_t &out);

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CORE_JSON_H
