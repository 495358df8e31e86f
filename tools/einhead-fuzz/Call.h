//===- Call.h - A compiled case, called once and checked --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_FUZZ_CALL_H
#define EINHEAD_TOOLS_FUZZ_CALL_H

#include "Execute.h"
#include "HostTensor.h"
#include "Reference.h"
#include "Session.h"
#include "mlir/IR/BuiltinOps.h"

namespace einhead::fuzz {

/// NaN beyond the valid keys: in K, and in V too.
enum class Poison { None, Key, KeyAndValue };

/// One call of a module's only function.
class Call {
public:
  Call(const tool::Module &module, const Problem &problem, Poison poison)
      : module(module), problem(problem), poison(poison) {}

  /// Makes the arguments and calls; an error is the runtime's refusal.
  llvm::Error run();
  /// Compares with what `graph` computes.
  Outcome check(mlir::ModuleOp graph, const ExecuteOptions &options);

private:
  struct Cache {
    const tool::Argument *argument;
    DLTensor view;
  };

  const Operand *operand(llvm::StringRef name) const;
  tool::HostTensor filled(const tool::Argument &argument);
  void poisonKeys(tool::HostTensor &tensor, const Operand &operand);
  llvm::Error setLengths();
  llvm::Expected<std::vector<reference::Tensor>> expected(mlir::ModuleOp graph);

  const tool::Module &module;
  const Problem &problem;
  Poison poison;
  const tool::Function *function = nullptr;
  tool::Bindings sizes;
  std::map<std::string, tool::HostTensor> arguments; ///< before the call
  std::unique_ptr<tool::CallTensors> tensors;
  std::unique_ptr<tool::Session> session;
  std::vector<Cache> caches;
};

} // namespace einhead::fuzz

#endif // EINHEAD_TOOLS_FUZZ_CALL_H
