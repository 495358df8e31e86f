//===- DefaultPasses.h - LLVM's passes over a module ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TARGET_DEFAULTPASSES_H
#define EINHEAD_LIB_TARGET_DEFAULTPASSES_H

#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"

namespace einhead {

/// Runs LLVM's default pipeline of this level over a module that may call the
/// functions of `library` and no others.
void runDefaultPasses(llvm::Module &module, llvm::PassBuilder &builder,
                      const llvm::TargetLibraryInfoImpl &library,
                      unsigned optLevel);

} // namespace einhead

#endif // EINHEAD_LIB_TARGET_DEFAULTPASSES_H
