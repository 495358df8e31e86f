//===- Remark.h - Decisions as remarks --------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_ANALYSIS_REMARK_H
#define EINHEAD_ANALYSIS_REMARK_H

#include "mlir/IR/Remarks.h"
#include "llvm/ADT/Twine.h"

namespace einhead {

/// One sentence each, under the flag of the pass that decided
/// (`--remarks-filter=attn.*` shows them).
inline void remarkPassed(mlir::Location loc, llvm::StringRef pass,
                         llvm::StringRef name, const llvm::Twine &text) {
  mlir::remark::passed(loc, mlir::remark::RemarkOpts::name(name).category(pass))
      << text.str();
}
inline void remarkMissed(mlir::Location loc, llvm::StringRef pass,
                         llvm::StringRef name, const llvm::Twine &text) {
  mlir::remark::missed(loc, mlir::remark::RemarkOpts::name(name).category(pass))
      << text.str();
}
inline void remarkAnalysis(mlir::Location loc, llvm::StringRef pass,
                           llvm::StringRef name, const llvm::Twine &text) {
  mlir::remark::analysis(loc,
                         mlir::remark::RemarkOpts::name(name).category(pass))
      << text.str();
}

} // namespace einhead

#endif // EINHEAD_ANALYSIS_REMARK_H
