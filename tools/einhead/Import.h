//===- Import.h - Models of other tools as level-0 graphs -------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_IMPORT_H
#define EINHEAD_TOOLS_IMPORT_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace einhead {

struct ImportOptions {
  /// Where the text will be written: the module names its parameter files
  /// relative to this file's folder.  "" or "-": the current directory.
  std::string outputPath;
  /// Name of the function.
  std::string functionName = "step";
};

/// Reads a Hugging Face Llama directory (config.json, and model.safetensors or
/// model.safetensors.index.json with its shards) and returns one decode step
/// as MLIR text at level 0.  Of the safetensors only the headers are read.
///
/// An error names the file, what is wrong with it and a way out.
llvm::Expected<std::string> importLlama(llvm::StringRef directory,
                                        const ImportOptions &options);

} // namespace einhead

#endif // EINHEAD_TOOLS_IMPORT_H
