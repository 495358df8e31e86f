//===- Json.cpp - JSON from untrusted bytes ---------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Json.h"

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

using namespace einhead::runtime;

const char *einhead::runtime::parseJson(std::string_view text, json &out) {
  constexpr int maxDepth = 64;
  bool tooDeep = false, duplicate = false;
  // The keys of the objects that are open, outermost first.
  std::vector<std::set<std::string>> keys;
  auto observe = [&](int depth, json::parse_event_t event, json &value) {
    switch (event) {
    case json::parse_event_t::object_start:
    case json::parse_event_t::array_start:
      // What is refused is dropped, so that brackets cannot use up memory.
      tooDeep |= depth >= maxDepth;
      if (tooDeep)
        return false;
      if (event == json::parse_event_t::object_start)
        keys.emplace_back();
      return true;
    case json::parse_event_t::key:
      if (!tooDeep && !keys.empty())
        duplicate |=
            !keys.back().insert(*value.get_ptr<const std::string *>()).second;
      return true;
    case json::parse_event_t::object_end:
      if (!tooDeep && !keys.empty())
        keys.pop_back();
      return true;
    default:
      return true;
    }
  };
  out = json::parse(text.begin(), text.end(), observe,
                    /*allow_exceptions=*/false);
  if (tooDeep)
    return "JSON nested deeper than 64";
  if (out.is_discarded())
    return "not JSON";
  if (duplicate)
    return "a key stands twice in one JSON object";
  return nullptr;
}

bool einhead::runtime::readInteger(const json &value, int64_t low, int64_t high,
                                   int64_t &out) {
  if (const auto *number = value.get_ptr<const json::number_unsigned_t *>()) {
    if (high < 0 || *number > static_cast<uint64_t>(high) ||
        (low > 0 && *number < static_cast<uint64_t>(low)))
      return false;
    out = static_cast<int64_t>(*number);
    return true;
  }
  if (value.is_number_unsigned())
    return false;
  const auto *number = value.get_ptr<const json::number_integer_t *>();
  if (!number || *number < low || *number > high)
    return false;
  out = *number;
  return true;
}
