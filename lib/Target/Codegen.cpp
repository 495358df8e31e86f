//===- Codegen.cpp - LLVM IR to an object -----------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Target/Codegen.h"
#include "DefaultPasses.h"
#include "einhead/runtime.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Analysis/RuntimeLibcallInfo.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/CodeGen/MachineModuleInfo.h"
#include "llvm/CodeGen/Passes.h"
#include "llvm/CodeGen/TargetPassConfig.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/X86TargetParser.h"

using namespace llvm;
using namespace einhead;

static bool isAArch64(const TargetInfo &target) {
  return Triple(target.triple).isAArch64();
}

/// What NEON code may use; the registers of SVE have no length that a schedule
/// could know.  The runtime knows these names (runtime/cpu/Features.cpp).
static bool isUsedByAArch64Code(StringRef feature) {
  static const StringRef names[] = {"fp-armv8", "neon", "fullfp16",
                                    "fp16fml",  "bf16", "dotprod",
                                    "i8mm",     "rdm",  "complxnum"};
  return is_contained(names, feature);
}

/// Instructions that code generation picks by itself, and those of the
/// intrinsics that our passes write (AMX); others (AES, SHA) are never used.
static bool isUsedByX86Code(StringRef feature) {
  static const StringRef prefixes[] = {
      "sse",   "ssse3",   "avx",   "fma",  "f16c",     "bmi",
      "lzcnt", "popcnt",  "movbe", "cmov", "cx16",     "adx",
      "xop",   "evex512", "sahf",  "tbm",  "amx-tile", "amx-bf16"};
  // AVX10 names versions of what the avx512 features name one by one.
  if (feature.starts_with("avx10") || feature == "sse-unaligned-mem")
    return false;
  return any_of(prefixes,
                [&](StringRef prefix) { return feature.starts_with(prefix); });
}

std::vector<std::string> einhead::codeFeatures(const TargetInfo &target) {
  std::vector<std::string> features;
  copy_if(target.features, std::back_inserter(features),
          isAArch64(target) ? isUsedByAArch64Code : isUsedByX86Code);
  return features;
}

/// The feature that an intrinsic of x86 needs; "" where any x86-64 has it, or
/// it belongs to no CPU.
static StringRef featureOf(StringRef intrinsic) {
  if (!intrinsic.consume_front("llvm.x86."))
    return "";
  if (intrinsic.starts_with("tdpbf16ps"))
    return "amx-bf16";
  if (intrinsic.starts_with("tile") || intrinsic.starts_with("ldtilecfg"))
    return "amx-tile";
  if (intrinsic.starts_with("avx512bf16"))
    return "avx512bf16";
  return "";
}

Error einhead::checkIntrinsics(const Module &module, const TargetInfo &target) {
  for (const Function &function : module) {
    StringRef name = function.getName(), needed = featureOf(name);
    bool isForeign = isAArch64(target) && name.starts_with("llvm.x86.");
    if (isForeign && needed.empty())
      needed = "x86-64";
    if (isForeign || (!needed.empty() && !target.hasFeature(needed)))
      return createStringError(
          std::make_error_code(std::errc::not_supported),
          "the products of a schedule need " + needed + ", which " +
              target.cpu +
              " lacks; let --attn-schedule choose, or name another --cpu");
  }
  return Error::success();
}

void einhead::dropUnusedFeatures(const Module &module, TargetInfo &target) {
  bool usesTiles = any_of(module, [](const Function &function) {
    return featureOf(function.getName()).starts_with("amx-");
  });
  if (!usesTiles)
    erase_if(target.features,
             [](StringRef feature) { return feature.starts_with("amx-"); });
}

/// "+avx2,-avx512f": a virtual machine may lack what its CPU's name implies.
/// On AArch64 the name implies nothing (nameForCode).
static std::string featureString(const TargetInfo &target) {
  std::vector<std::string> parts;
  for (const std::string &feature : codeFeatures(target))
    parts.push_back("+" + feature);
  SmallVector<StringRef> implied;
  if (!isAArch64(target))
    X86::getFeaturesForCPU(target.cpu, implied);
  for (StringRef feature : implied)
    if (isUsedByX86Code(feature) && !target.hasFeature(feature))
      parts.push_back("-" + feature.str());
  return join(parts, ",");
}

/// The CPU whose instructions may be used.  Those of AArch64 have many that the
/// runtime could not ask the system about: they are code for any, with the
/// features that are named, in the order that is best for the one.
static StringRef nameForCode(const TargetInfo &target) {
  return isAArch64(target) ? StringRef("generic") : StringRef(target.cpu);
}

Expected<std::unique_ptr<TargetMachine>>
einhead::createMachine(const TargetInfo &target, unsigned optLevel) {
  InitializeAllTargetInfos();
  InitializeAllTargets();
  InitializeAllTargetMCs();
  InitializeAllAsmPrinters();
  std::string why;
  Triple triple(target.triple);
  const Target *llvmTarget = TargetRegistry::lookupTarget(triple, why);
  if (!llvmTarget)
    return createStringError(std::make_error_code(std::errc::not_supported),
                             "no code generator for " + target.triple + ": " +
                                 why);
  TargetOptions options;
  // Only what the IR marks is contracted.
  options.AllowFPOpFusion = FPOpFusion::Standard;
  options.FunctionSections = true;
  options.DataSections = true;
  std::unique_ptr<TargetMachine> machine(llvmTarget->createTargetMachine(
      triple, nameForCode(target), featureString(target), options, Reloc::PIC_,
      std::nullopt, static_cast<CodeGenOptLevel>(std::min(optLevel, 3u))));
  if (!machine)
    return createStringError(std::make_error_code(std::errc::not_supported),
                             "no target machine for " + target.triple);
  return machine;
}

/// The library functions that a module may call.
static TargetLibraryInfoImpl allowedLibrary(const Triple &triple) {
  TargetLibraryInfoImpl library(triple);
  library.disableAllFunctions();
  for (const char *name : {EINHEAD_MODULE_IMPORTS}) {
    LibFunc function;
    if (library.getLibFunc(name, function))
      library.setAvailable(function);
  }
  return library;
}

/// What holds for every function: nothing unwinds, and the vectors that the
/// lowering chose are as wide as the registers.
static void setAttributes(Module &module, const TargetInfo &target) {
  for (Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr(Attribute::NoUnwind);
    function.addFnAttr("prefer-vector-width", utostr(target.vectorBits));
    if (isAArch64(target))
      function.addFnAttr("tune-cpu", target.cpu);
    // Where scheduling follows register allocation (Zen 4, with tiles that are
    // emulated), LLVM renames tiles to such as it has not configured.
    if (target.hasFeature("amx-tile"))
      function.addFnAttr("tune-cpu", "sapphirerapids");
  }
}

void einhead::optimize(Module &module, TargetMachine &machine,
                       const TargetInfo &target, unsigned optLevel) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  setAttributes(module, target);

  PipelineTuningOptions tuning;
  tuning.LoopVectorization = true;
  tuning.LoopInterleaving = true;
  tuning.SLPVectorization = true;
  // A short innermost loop that is unrolled leaves its parent to the
  // vectorizer, which then gathers along rows.
  tuning.LoopUnrolling = false;
  PassBuilder builder(&machine, tuning);
  runDefaultPasses(module, builder, allowedLibrary(machine.getTargetTriple()),
                   optLevel);
  widenOddLoads(module);
}

/// The passes from IR to an object; true where the target writes none.  With
/// AVX-512 the instructions stay in the order of the IR: our loops read K, V
/// and weights in the order of their addresses, and LLVM's schedulers would
/// take the loads of neighbouring rows in turns, which the hardware's
/// prefetchers do not follow (docs/Performance.md).  With 16 registers the
/// schedulers save spills; code of tiles was measured with them.
static bool addPasses(legacy::PassManager &passes, TargetMachine &machine,
                      raw_pwrite_stream &stream) {
  constexpr CodeGenFileType kind = CodeGenFileType::ObjectFile;
  StringRef features = machine.getTargetFeatureString();
  bool keepsOrder =
      features.contains("+avx512f") && !features.contains("+amx-tile");
  if (!keepsOrder)
    return machine.addPassesToEmitFile(passes, stream, nullptr, kind);
  TargetPassConfig *config = machine.createPassConfig(passes);
  for (AnalysisID scheduler :
       {&MachineSchedulerID, &PostMachineSchedulerID, &PostRASchedulerID})
    config->disablePass(scheduler);
  auto *info = new MachineModuleInfoWrapperPass(&machine);
  const TargetOptions &options = machine.Options;
  passes.add(config);
  passes.add(info);
  passes.add(new RuntimeLibraryInfoWrapper(
      machine.getTargetTriple(), options.ExceptionModel, options.FloatABIType,
      options.EABIVersion, options.MCOptions.ABIName, options.VecLib));
  if (config->addISelPasses())
    return true;
  config->addMachinePasses();
  config->setInitialized();
  if (machine.addAsmPrinter(passes, stream, nullptr, kind,
                            info->getMMI().getContext()))
    return true;
  passes.add(createFreeMachineFunctionPass());
  return false;
}

Expected<std::string> einhead::emitObject(Module &module,
                                          TargetMachine &machine) {
  SmallString<0> bytes;
  raw_svector_ostream stream(bytes);
  legacy::PassManager passes;
  passes.add(new TargetLibraryInfoWrapperPass(
      allowedLibrary(machine.getTargetTriple())));
  if (addPasses(passes, machine, stream))
    return createStringError(std::make_error_code(std::errc::not_supported),
                             "the target writes no object files");
  passes.run(module);
  return bytes.str().str();
}
