//===- Plugin.cpp - Dialect and passes for mlir-opt -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the stock mlir-opt loads with --load-dialect-plugin and
// --load-pass-plugin.  The tool brings the upstream dialects and passes; both
// share one libMLIR, so that registering a dialect or an interface model twice
// is one registration.
//
//===----------------------------------------------------------------------===//

#include "einhead/Compiler.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

/// Ours twice would end the process: from a plugin that is named twice, or in
/// a tool that is made of the same libraries and needs no plugin.
static void registerPasses() {
  if (!mlir::PassInfo::lookup("attn-raise"))
    einhead::registerOwnPasses();
}

static void registerDialects(mlir::DialectRegistry *registry) {
  if (!registry->getDialectAllocator("attn"))
    einhead::registerAllDialects(*registry);
}

extern "C" LLVM_ATTRIBUTE_WEAK mlir::DialectPluginLibraryInfo
mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "Einhead", EINHEAD_VERSION,
          registerDialects};
}

extern "C" LLVM_ATTRIBUTE_WEAK mlir::PassPluginLibraryInfo
mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "Einhead", EINHEAD_VERSION, registerPasses};
}
