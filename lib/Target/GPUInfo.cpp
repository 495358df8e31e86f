//===- GPUInfo.cpp - The numbers of a GPU -----------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Target/GPUInfo.h"
#include "DeviceTarget.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/Target/TargetMachine.h"

using namespace llvm;
using namespace einhead;

/// Tensor cores that take bf16, asynchronous copies: before it, no attention
/// here would be worth a GPU.
static constexpr int leastArchitecture = 80;
/// Where a chip needs no newer one: drivers of 2023 read it, and it has the
/// conversions of fp8.
static constexpr int usualPTX = 81;

bool GPUInfo::isSpecific() const { return !isDigit(chip.back()); }

/// 90 of "sm_90a", 0 of anything else.
static int architectureOf(StringRef chip) {
  int number = 0;
  if (!chip.consume_front("sm_") || chip.consumeInteger(10, number))
    return 0;
  return number;
}

static Error unknownChip(StringRef chip, const MCSubtargetInfo &known) {
  std::vector<std::string> names;
  for (const SubtargetSubTypeKV &each : known.getAllProcessorDescriptions())
    if (architectureOf(each.Key) >= leastArchitecture)
      names.push_back(std::string(each.Key));
  return createStringError("unknown chip \"" + chip.str() + "\"; known are " +
                           join(names, ", "));
}

/// The version of PTX that LLVM writes for the chip when nobody asks for one,
/// which is the first that has the chip.
static int leastPTX(const Target &target, StringRef chip) {
  std::unique_ptr<TargetMachine> machine(target.createTargetMachine(
      deviceTriple(), chip, "", TargetOptions(), std::nullopt));
  LLVMContext context;
  Module nothing("nothing", context);
  nothing.setTargetTriple(deviceTriple());
  nothing.setDataLayout(machine->createDataLayout());
  SmallString<0> text;
  raw_svector_ostream stream(text);
  legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr,
                                   CodeGenFileType::AssemblyFile))
    return 0;
  passes.run(nothing);
  StringRef version = text.str().split(".version ").second;
  int major = 0, minor = 0;
  if (version.consumeInteger(10, major) || !version.consume_front(".") ||
      version.consumeInteger(10, minor))
    return 0;
  return 10 * major + minor;
}

/// Programming guides, table of technical specifications.
static void setMemory(GPUInfo &gpu) {
  int64_t kilobytes = 100;
  gpu.threads = 1536;
  switch (gpu.architecture) {
  case 80:
  case 87:
    kilobytes = 164;
    gpu.threads = gpu.architecture == 80 ? 2048 : 1536;
    break;
  case 90:
  case 100:
  case 101:
  case 103:
  case 110:
    kilobytes = 228;
    gpu.threads = 2048;
    break;
  default:
    break;
  }
  gpu.sharedBytes = kilobytes << 10;
  // One kilobyte of each block is the system's.
  gpu.sharedBytesPerBlock = (kilobytes - 1) << 10;
}

Expected<GPUInfo> GPUInfo::get(StringRef chip) {
  Expected<const Target *> target = findDeviceTarget();
  if (!target)
    return target.takeError();
  std::unique_ptr<MCSubtargetInfo> any(
      (*target)->createMCSubtargetInfo(deviceTriple(), "", ""));
  GPUInfo gpu;
  gpu.chip = chip.str();
  gpu.architecture = architectureOf(chip);
  if (gpu.architecture < leastArchitecture || !any->isCPUStringValid(chip))
    return unknownChip(chip, *any);
  gpu.leastPTXVersion = leastPTX(**target, chip);
  gpu.ptxVersion = std::max(gpu.leastPTXVersion, usualPTX);
  setMemory(gpu);
  return gpu;
}
