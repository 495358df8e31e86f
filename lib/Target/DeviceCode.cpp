//===- DeviceCode.cpp - Kernels to PTX --------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Target/DeviceCode.h"
#include "DefaultPasses.h"
#include "DeviceTarget.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/StandardInstrumentations.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace llvm;
using namespace einhead;

Expected<const Target *> einhead::findDeviceTarget() {
  InitializeAllTargetInfos();
  InitializeAllTargets();
  InitializeAllTargetMCs();
  InitializeAllAsmPrinters();
  std::string why;
  Triple triple = deviceTriple();
  const Target *target = TargetRegistry::lookupTarget(triple, why);
  if (!target)
    return createStringError(std::make_error_code(std::errc::not_supported),
                             "this LLVM has no code generator for GPUs: " +
                                 why);
  return target;
}

/// Intrinsics that code generation for GPUs makes library calls of, or ends the
/// process at.
static bool isLibraryIntrinsic(const Function &function) {
  static const StringSet<> names = {
      "llvm.exp",  "llvm.exp10", "llvm.log",   "llvm.log2",  "llvm.log10",
      "llvm.pow",  "llvm.powi",  "llvm.sin",   "llvm.cos",   "llvm.tan",
      "llvm.asin", "llvm.acos",  "llvm.atan",  "llvm.atan2", "llvm.sinh",
      "llvm.cosh", "llvm.tanh",  "llvm.sincos"};
  StringRef name = Intrinsic::getBaseName(function.getIntrinsicID());
  return names.contains(name);
}

static Error notThere(const Function &callee, const Twine &caller) {
  return createStringError(std::make_error_code(std::errc::not_supported),
                           "kernel " + caller + " calls " + callee.getName() +
                               ", which a GPU does not have");
}

/// Nothing may be left for a library to define.
static Error checkCalls(const Module &kernels) {
  for (const Function &function : kernels) {
    bool isLibrary = function.isIntrinsic() ? isLibraryIntrinsic(function)
                                            : function.isDeclaration();
    if (!isLibrary || function.use_empty())
      continue;
    auto *call = dyn_cast<Instruction>(*function.user_begin());
    return notThere(function,
                    call ? call->getFunction()->getName() : StringRef("code"));
  }
  return Error::success();
}

static Expected<std::unique_ptr<TargetMachine>>
createDeviceMachine(const GPUInfo &gpu, unsigned optLevel) {
  Expected<const Target *> target = findDeviceTarget();
  if (!target)
    return target.takeError();
  TargetOptions options;
  // Only what the IR marks is contracted.
  options.AllowFPOpFusion = FPOpFusion::Standard;
  std::unique_ptr<TargetMachine> machine((*target)->createTargetMachine(
      deviceTriple(), gpu.chip, ("+ptx" + Twine(gpu.ptxVersion)).str(), options,
      std::nullopt, std::nullopt,
      static_cast<CodeGenOptLevel>(std::min(optLevel, 3u))));
  if (!machine)
    return createStringError(std::make_error_code(std::errc::not_supported),
                             "no target machine for " + gpu.chip);
  return machine;
}

/// Says whether kernels that are to stay as they are written look like code
/// that no pass may touch.
static void setUntouched(Module &kernels, bool isUntouched) {
  for (Function &function : kernels) {
    if (!function.hasFnAttribute(asWrittenAttribute))
      continue;
    for (Attribute::AttrKind kind :
         {Attribute::OptimizeNone, Attribute::NoInline})
      if (isUntouched)
        function.addFnAttr(kind);
      else
        function.removeFnAttr(kind);
  }
}

static void optimizeKernels(Module &kernels, TargetMachine &machine,
                            unsigned optLevel) {
  PassInstrumentationCallbacks callbacks;
  OptNoneInstrumentation untouched(/*DebugLogging=*/false);
  untouched.registerCallbacks(callbacks);
  PassBuilder builder(&machine, PipelineTuningOptions(), std::nullopt,
                      &callbacks);
  TargetLibraryInfoImpl library(machine.getTargetTriple());
  library.disableAllFunctions();
  setUntouched(kernels, true);
  runDefaultPasses(kernels, builder, library, optLevel);
  // Code generation is not to be skipped.
  setUntouched(kernels, false);
}

/// Memory whose size the launch says has a name only from outside: as a
/// variable of the module's own it would take a byte of its own, too.
static void declareDynamicMemory(Module &kernels) {
  constexpr unsigned shared = 3;
  for (GlobalVariable &global : kernels.globals()) {
    auto *array = dyn_cast<ArrayType>(global.getValueType());
    if (global.getAddressSpace() != shared || !array ||
        array->getNumElements() != 0)
      continue;
    global.setInitializer(nullptr);
    global.setLinkage(GlobalValue::ExternalLinkage);
  }
}

Expected<std::string> einhead::emitPTX(Module &kernels, const GPUInfo &gpu,
                                       unsigned optLevel) {
  auto machine = createDeviceMachine(gpu, optLevel);
  if (!machine)
    return machine.takeError();
  kernels.setTargetTriple((*machine)->getTargetTriple());
  kernels.setDataLayout((*machine)->createDataLayout());
  for (Function &function : kernels)
    if (!function.isDeclaration() &&
        function.getCallingConv() != CallingConv::PTX_Kernel)
      function.setLinkage(GlobalValue::InternalLinkage);
  declareDynamicMemory(kernels);
  optimizeKernels(kernels, **machine, optLevel);
  if (Error error = checkCalls(kernels))
    return error;
  SmallString<0> text;
  raw_svector_ostream stream(text);
  legacy::PassManager passes;
  if ((*machine)->addPassesToEmitFile(passes, stream, nullptr,
                                      CodeGenFileType::AssemblyFile))
    return createStringError(std::make_error_code(std::errc::not_supported),
                             "LLVM writes no PTX");
  passes.run(kernels);
  return text.str().str();
}
