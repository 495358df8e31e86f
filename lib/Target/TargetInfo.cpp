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
#include "llvm/TargetParser/AArch64TargetParser.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/TargetParser/X86TargetParser.h"

using namespace einhead;

bool TargetInfo::hasFeature(llvm::StringRef name) const {
  return llvm::is_contained(features, name);
}

static llvm::Error unknownCPU(llvm::StringRef cpu) {
  llvm::SmallVector<llvm::StringRef> x86, arm;
  llvm::X86::fillValidCPUArchList(x86, /*Only64Bit=*/true);
  llvm::AArch64::fillValidCPUArchList(arm);
  return llvm::createStringError(
      "unknown CPU \"" + cpu.str() + "\"; known are host, of x86-64 " +
      llvm::join(x86, ", ") + ", of AArch64 " + llvm::join(arm, ", "));
}

/// Measured with `einhead doctor --measure` where a CPU is named; the rest are
/// what the width of the registers promises.
static void setRates(TargetInfo &target) {
  double lanes = static_cast<double>(target.f32Lanes());
  bool isFused = target.hasFeature("fma") || target.hasFeature("neon");
  target.fmaRate = isFused ? 4 * lanes : 2 * lanes;
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

/// What LLVM says that a CPU of x86-64 has.
static std::vector<std::string> featuresOfX86(llvm::StringRef cpu) {
  llvm::SmallVector<llvm::StringRef> named;
  llvm::X86::getFeaturesForCPU(cpu, named);
  llvm::StringMap<bool> implied;
  for (llvm::StringRef feature : named) {
    implied[feature] = true;
    llvm::X86::updateImpliedFeatures(feature, true, implied);
  }
  std::vector<std::string> features;
  for (auto &feature : implied)
    if (feature.second)
      features.push_back(feature.first().str());
  return features;
}

static std::vector<std::string>
featuresOfAArch64(const llvm::AArch64::CpuInfo &cpu) {
  llvm::AArch64::ExtensionSet extensions;
  extensions.addCPUDefaults(cpu);
  std::vector<std::string> marked, features;
  extensions.toLLVMFeatureList(marked);
  for (llvm::StringRef feature : marked)
    if (feature.consume_front("+"))
      features.push_back(feature.str());
  return features;
}

/// Whether some CPU of the architecture has it.
static bool isKnownFeature(llvm::StringRef name, bool isAArch64) {
  llvm::SmallVector<llvm::StringRef> cpus;
  if (isAArch64)
    llvm::AArch64::fillValidCPUArchList(cpus);
  else
    llvm::X86::fillValidCPUArchList(cpus, /*Only64Bit=*/true);
  return llvm::any_of(cpus, [&](llvm::StringRef cpu) {
    if (!isAArch64)
      return llvm::is_contained(featuresOfX86(cpu), name);
    auto known = llvm::AArch64::parseCpu(cpu);
    return known && llvm::is_contained(featuresOfAArch64(*known), name);
  });
}

static std::vector<std::string> featuresOfHost() {
  std::vector<std::string> features;
  for (auto &feature : llvm::sys::getHostCPUFeatures())
    if (feature.second)
      features.push_back(feature.first().str());
  return features;
}

/// Adds "avx512bf16" of "x86-64-v4+avx512bf16" with what it implies.
static llvm::Error addFeatures(TargetInfo &target, llvm::StringRef list,
                               bool isAArch64) {
  llvm::SmallVector<llvm::StringRef> names;
  list.split(names, '+', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
  for (llvm::StringRef name : names) {
    if (!isKnownFeature(name, isAArch64))
      return llvm::createStringError("no CPU that LLVM knows has the feature "
                                     "\"" +
                                     name.str() + "\" beside " + target.cpu);
    llvm::StringMap<bool> all;
    all[name] = true;
    if (!isAArch64)
      llvm::X86::updateImpliedFeatures(name, true, all);
    for (auto &feature : all)
      if (feature.second && !target.hasFeature(feature.first()))
        target.features.push_back(feature.first().str());
  }
  return llvm::Error::success();
}

llvm::Expected<TargetInfo> TargetInfo::get(llvm::StringRef text) {
  TargetInfo target;
  auto [cpu, more] = text.split('+');
  llvm::Triple here(llvm::sys::getDefaultTargetTriple());
  bool host = cpu == "host" || cpu == "native";
  target.cpu = host ? llvm::sys::getHostCPUName().str() : cpu.str();
  bool isX86 = llvm::X86::parseArchX86(target.cpu, /*Only64Bit=*/true) !=
               llvm::X86::CK_None;
  auto arm = llvm::AArch64::parseCpu(target.cpu);
  bool isAArch64 = host ? here.isAArch64() : !isX86 && arm;
  if (!isX86 && !isAArch64)
    return unknownCPU(cpu);
  if (isAArch64 == here.isAArch64())
    target.triple = here.str();
  else
    target.triple =
        isAArch64 ? "aarch64-unknown-linux-gnu" : "x86_64-unknown-linux-gnu";
  target.features = host        ? featuresOfHost()
                    : isAArch64 ? featuresOfAArch64(*arm)
                                : featuresOfX86(target.cpu);
  if (llvm::Error error = addFeatures(target, more, isAArch64))
    return error;
  llvm::sort(target.features);
  if (isAArch64) {
    target.vectorBits = 128;
    target.vectorRegisters = 32;
  } else if (target.hasFeature("avx512f")) {
    target.vectorBits = 512;
    target.vectorRegisters = 32;
  } else if (target.hasFeature("avx")) {
    target.vectorBits = 256;
  }
  setRates(target);
  // Measured on Zen 4, whose requests wait in the queue of the first cache,
  // while its prefetchers have one of their own.
  if (llvm::StringRef(target.cpu).starts_with("znver"))
    target.followedBytes = 128;
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
