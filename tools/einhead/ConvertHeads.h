//===- ConvertHeads.h - Checkpoints with fewer K/V heads --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_CONVERTHEADS_H
#define EINHEAD_TOOLS_CONVERTHEADS_H

#include "ImportConfig.h"
#include "einhead/Transforms/HeadPooling.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace einhead::tool {

struct HeadConversion {
  std::string input, output; ///< folders
  int64_t groups = 0;        ///< key/value heads of the output
  HeadMethod method = HeadMethod::Mean;
  uint64_t seed = 0;
};

struct HeadConversionResult {
  importer::HeadSizes before;
  int64_t tensors = 0;                     ///< converted
  int64_t bytesBefore = 0, bytesAfter = 0; ///< of all tensors
  /// Files of the input that hold weights in another form.
  std::vector<std::string> leftOut;
};

/// Writes a checkpoint in Hugging Face's layout with its key/value heads pooled
/// into groups.  The output's folder appears whole or not at all.
llvm::Expected<HeadConversionResult>
convertHeads(const HeadConversion &conversion);

/// True after a signal has ended a conversion: the caller ends the process.
bool conversionWasInterrupted();

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_CONVERTHEADS_H
