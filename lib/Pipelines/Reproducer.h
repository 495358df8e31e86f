//===- Reproducer.h - What a failed pass leaves behind ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Upstream's crash reproducer, kept to failures that are not the user's: an
// input that one of our passes refuses in words needs no file.
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_PIPELINES_REPRODUCER_H
#define EINHEAD_LIB_PIPELINES_REPRODUCER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"

namespace einhead {

enum class PassOutcome {
  Done,
  Refused, ///< a pass of ours said why, in an error
  Failed,  ///< another pass failed
  Broken,  ///< a pass crashed, left invalid IR or failed without a word
};

/// Runs `passes` on `module`.  After a failure or a crash (PassOutcome::Failed,
/// Broken) the module before the passes and their pipeline stand in a file, and
/// an error names the pass, the file and how to replay it.  `where`: a path,
/// "temp" for a new file in the temporary folder, or "" for none; with "" a
/// crash ends the process.
PassOutcome runWithReproducer(mlir::PassManager &passes, mlir::ModuleOp module,
                              llvm::StringRef where);

} // namespace einhead

#endif // EINHEAD_LIB_PIPELINES_REPRODUCER_H
