//===- ImportGraph.h - A Llama decode step as level-0 text ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_IMPORTGRAPH_H
#define EINHEAD_TOOLS_IMPORTGRAPH_H

#include "ImportCheckpoint.h"
#include "ImportConfig.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace einhead::importer {

/// Writes the step function, or says which of its tensors `checkpoint` lacks.
/// `parameterFiles` go into the module's `attn.parameters` as they are.
llvm::Expected<std::string>
writeLlamaStep(const LlamaConfig &config, const Checkpoint &checkpoint,
               llvm::StringRef functionName,
               llvm::ArrayRef<std::string> parameterFiles);

} // namespace einhead::importer

#endif // EINHEAD_TOOLS_IMPORTGRAPH_H
