//===- Targets.cpp - Which code a machine runs ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "cpu/Targets.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace einhead::runtime;

namespace {
/// What a target asks for and a machine has not.
struct Lack {
  enum Kind { Nothing, Architecture, Features, Names, Tiles } kind = Nothing;
  std::vector<std::string> names;
};

Lack lackOf(const Target &target, const Machine &machine) {
  std::string_view triple = target.triple, here = machine.architecture();
  if (triple.substr(0, here.size()) != here ||
      triple.find("linux") == std::string_view::npos)
    return {Lack::Architecture, {}};
  std::vector<std::string> absent, unknown;
  bool usesTiles = false;
  for (std::string_view name : target.features) {
    if (name[0] == '-')
      continue; // the code does not use it
    if (name[0] == '+')
      name.remove_prefix(1);
    Machine::Support support = machine.feature(name);
    if (support == Machine::Support::Absent)
      absent.emplace_back(name);
    if (support == Machine::Support::Unknown)
      unknown.emplace_back(name);
    usesTiles |= name.substr(0, 4) == "amx-";
  }
  if (!absent.empty())
    return {Lack::Features, std::move(absent)};
  if (!unknown.empty())
    return {Lack::Names, std::move(unknown)};
  if (usesTiles && !machine.grantTiles())
    return {Lack::Tiles, {}};
  return {};
}

/// "avx2, fma and 7 more": errors have a fixed size.
std::string listOf(const std::vector<std::string> &names) {
  constexpr size_t most = 6;
  std::string text;
  for (size_t i = 0; i < names.size() && i < most; ++i)
    text += (i ? ", " : "") + names[i].substr(0, 60);
  if (names.size() > most)
    text += " and " + std::to_string(names.size() - most) + " more";
  return text;
}

einhead_status_t refuse(const Target &target, const Machine &machine,
                        const Lack &lack) {
  std::string names = listOf(lack.names);
  const char *where = "manifest, target.features";
  switch (lack.kind) {
  case Lack::Nothing:
    break;
  case Lack::Architecture:
    return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, "manifest, target.triple",
                "the code is for '%.100s', this machine is %slinux",
                target.triple.c_str(),
                std::string(machine.architecture()).c_str());
  case Lack::Features:
    return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, where,
                "the code needs of the CPU: %s, which this CPU or system "
                "lacks; compile for this CPU",
                names.c_str());
  case Lack::Names:
    return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, where,
                "this runtime does not know the CPU feature '%.60s'; a newer "
                "runtime may",
                lack.names.front().c_str());
  case Lack::Tiles:
    return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, where,
                "the system does not grant the tile registers that the code "
                "needs; compile for a CPU without them");
  }
  return EINHEAD_OK;
}

/// "znver4 lacks avx512bf16".
std::string shortly(const Target &target, const Lack &lack) {
  std::string cpu = (target.cpu.empty() ? target.triple : target.cpu);
  cpu = cpu.substr(0, 60);
  switch (lack.kind) {
  case Lack::Architecture:
    return cpu + " is for " + target.triple.substr(0, 60);
  case Lack::Names:
    return cpu + " needs the unknown " + listOf(lack.names);
  case Lack::Tiles:
    return cpu + " needs tile registers, which the system does not grant";
  default:
    return cpu + " lacks " + listOf(lack.names);
  }
}
} // namespace

einhead_status_t einhead::runtime::pickTarget(const Manifest &manifest,
                                              const Machine &machine,
                                              size_t &outIndex) {
  std::string reasons;
  for (size_t i = manifest.variants.size() + 1; i-- > 0;) {
    const Target &target = i ? manifest.variants[i - 1] : manifest.target;
    Lack lack = lackOf(target, machine);
    outIndex = i;
    if (lack.kind == Lack::Nothing)
      return EINHEAD_OK;
    if (manifest.variants.empty())
      return refuse(target, machine, lack);
    reasons += (reasons.empty() ? "" : "; ") + shortly(target, lack);
  }
  return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, "manifest, variants",
              "none of the module's %zu variants runs here: %.420s; compile "
              "for this CPU too",
              manifest.variants.size() + 1, reasons.c_str());
}
