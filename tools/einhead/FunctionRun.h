//===- FunctionRun.h - Calls a function once and checks it ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_FUNCTIONRUN_H
#define EINHEAD_TOOLS_FUNCTIONRUN_H

#include "Reference.h"
#include "Session.h"
#include "mlir/IR/BuiltinOps.h"
#include <optional>

namespace einhead::tool {

struct RunOptions {
  std::string function;
  Bindings sizes;
  std::vector<std::string> inputs, outputs; ///< "name=what"
  std::vector<std::string> parameterPaths;
  uint64_t seed = 0;
  int repeat = 1, threads = 0;
  std::optional<int64_t> length; ///< valid keys before the call
  bool poison = false;           ///< NaN in the rows that are not valid
  double perturb = 0;            ///< added to an element of the first output
};

/// One function, its tensors and its session.
class FunctionRun {
public:
  FunctionRun(const Module &module, const RunOptions &options)
      : module(module), options(options) {}

  /// Makes inputs, caches and lengths, calls the function, and checks it
  /// against `graph`, the functions at level 0, unless that is null.
  llvm::Error run(mlir::ModuleOp graph);

private:
  llvm::Error readInputFiles();
  llvm::Error makeInputs();
  llvm::Error makeState();
  llvm::Error setLengths();
  llvm::Error check(mlir::ModuleOp graph);
  /// What the graph takes, in its order: inputs, caches, lengths, parameters.
  llvm::Expected<std::vector<reference::Tensor>> graphArguments();
  llvm::Error checkResults(mlir::ModuleOp graph);
  llvm::Error time();
  llvm::Error writeOutputs();

  struct CacheState {
    const Argument *argument;
    DLTensor view;
    HostTensor before;
  };

  const Module &module;
  const RunOptions &options;
  const Function *function = nullptr;
  Bindings sizes;
  std::map<std::string, HostTensor> files; ///< inputs read from files
  std::unique_ptr<CallTensors> tensors;
  std::unique_ptr<Session> session;
  std::vector<CacheState> caches;
  std::vector<int64_t> lengths; ///< before the call
};

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_FUNCTIONRUN_H
