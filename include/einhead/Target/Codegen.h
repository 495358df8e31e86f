//===- Codegen.h - LLVM IR to a shared object -------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TARGET_CODEGEN_H
#define EINHEAD_TARGET_CODEGEN_H

#include "einhead/Target/TargetInfo.h"
#include <memory>

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace einhead {

/// The features of the target that generated code may use: what the manifest
/// asks of a CPU.
std::vector<std::string> codeFeatures(const TargetInfo &target);

/// An error where the code has an instruction that the target lacks: a schedule
/// by hand may ask for it.
llvm::Error checkIntrinsics(const llvm::Module &module,
                            const TargetInfo &target);

/// Takes the tile registers from the features where the code uses none: no
/// other feature needs the system's permission, and no pass of LLVM uses tiles.
void dropUnusedFeatures(const llvm::Module &module, TargetInfo &target);

/// The target machine, for position-independent code.  Levels are LLVM's, 0 to
/// 3, and more is 3.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createMachine(const TargetInfo &target, unsigned optLevel = 3);

/// Runs LLVM's -O<level>.  Calls come out only to what the runtime offers.
void optimize(llvm::Module &module, llvm::TargetMachine &machine,
              const TargetInfo &target, unsigned optLevel = 3);

/// Rewrites loads of vectors of bf16 that LLVM's code generator ends the
/// process on; the last part of `optimize`.
void widenOddLoads(llvm::Module &module);

/// The bytes of an ELF object.
llvm::Expected<std::string> emitObject(llvm::Module &module,
                                       llvm::TargetMachine &machine);

/// Links one object into a shared object, with lld or ld.
llvm::Expected<std::string> linkSharedObject(llvm::StringRef object);

/// An error where the code calls what the runtime does not offer to modules.
llvm::Error checkImports(llvm::StringRef sharedObject);

} // namespace einhead

#endif // EINHEAD_TARGET_CODEGEN_H
