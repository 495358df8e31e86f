//===- Compiler.h - The compiler as a library -------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From MLIR text to a module file.  Runs in the caller's process: running out
// of memory inside LLVM may end it.
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_COMPILER_H
#define EINHEAD_COMPILER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/Error.h"
#include <functional>
#include <string>
#include <vector>

namespace einhead {

/// A letter and its extent, as in `--size=b=1,g=8`.
struct NamedSize {
  std::string name;
  int64_t extent;
};

/// What `compile` writes.
enum class EmitKind { Module, MLIR, LLVM, Object, SharedObject, PTX };

struct CompileOptions {
  /// "cpu", or "cuda": kernels for a GPU, beside code for the CPU that launches
  /// them.
  std::string target = "cpu";
  /// With "cuda": the chip, as LLVM and NVIDIA name it.
  std::string chip = "sm_90a";
  /// "host", or a CPU name that LLVM knows ("znver4", "x86-64-v3", ...).  For
  /// a module several, with commas, the least first: it then holds code for
  /// each, and the runtime takes the last one that the machine can run.
  std::string cpu = "host";
  /// File of measured schedules (`einhead tune`), which go before those of the
  /// cost model; "" = none.
  std::string schedules;
  /// Recognise attention (level 1).  Off: every op lowers through linalg.
  bool fuse = true;
  /// Pack the rows that share K/V loads (level 2).  Off: each query row walks
  /// K and V by itself.
  bool shareKV = true;
  /// A miss is an error.
  bool requireFused = false;
  /// Extents for the named dimensions (`attn.shape`) of function arguments.
  std::vector<NamedSize> sizes;
  /// Safetensors files that the manifest names, relative to the module file.
  std::vector<std::string> parameterFiles;
  /// Folder for the IR after each level, or "".
  std::string dumpStages;
  /// For EmitKind::MLIR: stop after this level ("attention", "shared",
  /// "scheduled", "tiled", "vector", "llvm").  "" = "llvm".
  std::string stopAfter;
  /// The level that the input is at, where compiling goes on: a dumped level's
  /// name.  "" = "graph".  What the level promises is checked first.
  std::string startFrom;
  /// File for the IR and the passes when a pass crashes or fails on what it
  /// should have taken: "" = none, "temp" = a new one in the temporary folder.
  /// Not for what is refused in words.  Catches signals while passes run.
  std::string reproducer;
  /// How hard LLVM optimizes, 0 to 3.  Less than 3 is for tests that compile
  /// many small modules: it changes the speed of the code and nothing else.
  unsigned optLevel = 3;
};

/// One decision of the compiler.
struct CompilerRemark {
  enum class Kind { Passed, Missed, Analysis, Failed } kind;
  std::string category; ///< the pass's flag: "attn-raise"
  std::string name;     ///< "Fused", "NotAttention", "Traffic", ...
  std::string location; ///< file:line:col
  std::string text;     ///< a sentence
};

/// The dialects and interface models that the passes need.
void registerAllDialects(mlir::DialectRegistry &registry);
/// Our passes and pipelines, and the upstream passes they are made of.
void registerAllPasses();
/// Ours alone, for tools that have the upstream passes already.
void registerOwnPasses();

/// Makes the context report every decision to `onRemark` while it lives.
/// Call once for a context, before compiling in it.
void collectRemarks(mlir::MLIRContext &context,
                    std::function<void(const CompilerRemark &)> onRemark);

/// Compiles `module` in place and returns the bytes of the requested kind.
/// Diagnostics go to the context's handlers; the error repeats the first.
llvm::Expected<std::string> compile(mlir::ModuleOp module, EmitKind kind,
                                    const CompileOptions &options);

} // namespace einhead

#endif // EINHEAD_COMPILER_H
