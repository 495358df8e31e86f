//===- Execute.h - Compiles, runs and checks one case -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_FUZZ_EXECUTE_H
#define EINHEAD_TOOLS_FUZZ_EXECUTE_H

#include "Problem.h"
#include "einhead/Compiler.h"
#include "mlir/IR/MLIRContext.h"

namespace einhead::fuzz {

/// What became of a case.
struct Outcome {
  enum Kind { Agreed, Refused, Finding };
  Kind kind = Agreed;
  std::string why;  ///< of a refusal or a finding: a sentence
  double ratio = 0; ///< worst error / bound
  bool tiled = false;
  bool twin = false; ///< whether a planted error was refused as well
};

/// A wrong result on purpose: what must be found.
enum class Plant { None, Scale, Mask, Result, Crash };

struct ExecuteOptions {
  unsigned optLevel = 1;
  Plant plant = Plant::None;
  bool twin = false; ///< check that a planted error is refused
};

/// What cases of one process share.
class Bench {
public:
  Bench();
  Outcome execute(const Problem &problem, const ExecuteOptions &options);

  mlir::MLIRContext context;
  std::vector<CompilerRemark> remarks;
};

} // namespace einhead::fuzz

#endif // EINHEAD_TOOLS_FUZZ_EXECUTE_H
