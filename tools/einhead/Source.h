//===- Source.h - MLIR files and how to compile them ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_SOURCE_H
#define EINHEAD_TOOLS_SOURCE_H

#include "File.h"
#include "einhead/Compiler.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/SourceMgr.h"
#include <memory>
#include <optional>

namespace mlir {
class SourceMgrDiagnosticHandler;
class ScopedDiagnosticHandler;
} // namespace mlir

namespace einhead::tool {

/// --schedules, which is checked before anything is compiled.
class ScheduleFlag : public llvm::cl::opt<std::string> {
public:
  explicit ScheduleFlag(llvm::cl::SubCommand &command);
};

/// The options of every verb that compiles.
class CompileFlags {
public:
  explicit CompileFlags(llvm::cl::SubCommand &command);
  llvm::Expected<CompileOptions> options() const;

  llvm::cl::opt<std::string> target, chip, cpu;
  ScheduleFlag schedules;
  llvm::cl::list<std::string> sizes;
  llvm::cl::opt<bool> noFuse, noShareKV, requireFused;
  llvm::cl::opt<std::string> reproducer;
};

/// A parsed module.  Diagnostics go to standard error with their line.
class Source {
public:
  static llvm::Expected<std::unique_ptr<Source>> load(llvm::StringRef path);
  /// `name` stands for the file in diagnostics.
  static llvm::Expected<std::unique_ptr<Source>> parse(llvm::StringRef text,
                                                       llvm::StringRef name);
  ~Source();

  mlir::MLIRContext &context() { return *mlirContext; }
  mlir::ModuleOp module() { return *parsed; }
  const std::string &path() const { return name; }

  /// The files of `attn.parameters`, relative to the current folder.
  std::vector<std::string> parameterFiles();

  /// einhead::compile; the error says what `--help` does not: a way out.
  llvm::Expected<std::string> compile(EmitKind kind,
                                      const CompileOptions &options);

  /// A copy of the module with its named dimensions bound.
  llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
  specialized(llvm::ArrayRef<NamedSize> sizes);

private:
  Source();
  llvm::Error parseBuffer(std::unique_ptr<llvm::MemoryBuffer> buffer);

  std::string name;
  std::unique_ptr<mlir::MLIRContext> mlirContext;
  llvm::SourceMgr sourceManager;
  std::unique_ptr<mlir::SourceMgrDiagnosticHandler> printer;
  std::unique_ptr<mlir::ScopedDiagnosticHandler> counter;
  int errorCount = 0;
  mlir::OwningOpRef<mlir::ModuleOp> parsed;
};

/// `path` as seen from `folder`, both relative to the current folder.
std::string relativePath(llvm::StringRef path, llvm::StringRef folder);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_SOURCE_H
