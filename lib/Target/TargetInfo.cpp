//===- TargetInfo.cpp - The numbers of a machine ----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Target/TargetInfo.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/X86TargetParser.h"

using namespace einhead;

bool TargetInfo::hasFeature(llvm::StringRef name) const {
  return llvm::is_contained(features, name);
}

static llvm::Error unknownCPU(llvm::StringRef cpu) {
  llvm::SmallVector<llvm::StringRef> known;
  llvm::X86::fillValidCPUArchList(known, /*Only64Bit=*/true);
  return llvm::createStringError("unknown CPU \"" + cpu.str() +
                                 "\"; known are host, " +
                                 llvm::join(known, ", "));
}

/// Measured with `einhead doctor --measure` where a CPU is named; the rest are
/// what the width of the registers promises.
static void setRates(TargetInfo &target) {
  double lanes = static_cast<double>(target.f32Lanes());
  target.fmaRate = target.hasFeature("fma") ? 4 * lanes : 2 * lanes;
  bool fullWidth = !llvm::StringRef(target.cpu).starts_with("znver4");
  // Zen 4 has the registers of AVX-512 but does half a register a cycle.
  if (target.vectorBits == 512 && !fullWidth)
    target.fmaRate = 2 * lanes;
  if (target.hasFeature("avx512bf16")) {
    bool hasTiles = target.hasFeature("amx-bf16");
    target.dotRate = hasTiles ? target.fmaRate / 2 : target.fmaRate * 2;
    if (hasTiles)
      target.tileRate = 15 * target.fmaRate;
  }
}

llvm::Expected<TargetInfo> TargetInfo::get(llvm::StringRef cpu) {
  TargetInfo target;
  target.triple = llvm::sys::getDefaultTargetTriple();
  bool host = cpu == "host" || cpu == "native";
  target.cpu = host ? llvm::sys::getHostCPUName().str() : cpu.str();
  if (llvm::X86::parseArchX86(target.cpu, /*Only64Bit=*/true) ==
      llvm::X86::CK_None)
    return unknownCPU(cpu);
  if (host) {
    for (auto &feature : llvm::sys::getHostCPUFeatures())
      if (feature.second)
        target.features.push_back(feature.first().str());
  } else {
    llvm::SmallVector<llvm::StringRef> features;
    llvm::X86::getFeaturesForCPU(target.cpu, features);
    llvm::StringMap<bool> implied;
    for (llvm::StringRef feature : features) {
      implied[feature] = true;
      llvm::X86::updateImpliedFeatures(feature, true, implied);
    }
    for (auto &feature : implied)
      if (feature.second)
        target.features.push_back(feature.first().str());
  }
  llvm::sort(target.features);
  if (target.hasFeature("avx512f")) {
    target.vectorBits = 512;
    target.vectorRegisters = 32;
  } else if (target.hasFeature("avx")) {
    target.vectorBits = 256;
  }
  setRates(target);
  return target;
}

llvm::Expected<std::vector<TargetInfo>> TargetInfo::list(llvm::StringRef cpus) {
  llvm::SmallVector<llvm::StringRef> names;
  cpus.split(names, ',');
  std::vector<TargetInfo> targets;
  for (llvm::StringRef name : names) {
    llvm::Expected<TargetInfo> target = get(name);
    if (!target)
      return target.takeError();
    for (const TargetInfo &other : targets)
      if (other.cpu == target->cpu && other.features == target->features)
        return llvm::createStringError("\"" + cpus.str() + "\" names " +
                                       target->cpu + " twice");
    targets.push_back(std::move(*target));
  }
  return targets;
}
