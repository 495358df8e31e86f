//===- SafetensorsWriter.h - Safetensors files from others ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_SAFETENSORSWRITER_H
#define EINHEAD_TOOLS_SAFETENSORSWRITER_H

#include "ImportCheckpoint.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <functional>

namespace einhead::tool {

/// A tensor on its way from one file to another.
struct OutgoingTensor {
  std::string name;
  const importer::TensorInfo *from = nullptr;
  llvm::SmallVector<int64_t, 4> shape;
  int64_t bytes = 0;
  /// Makes the new bytes from the old ones; none: they are copied.
  std::function<void(const char *from, char *to)> convert;
};

/// Called after so many more bytes of input; an error stops the work.
using Advance = llvm::function_ref<llvm::Error(int64_t bytes)>;

/// Writes `tensors`, all of them from the file `input`, in their order there.
/// `metadata` is the text of the header's `__metadata__`, or empty.
llvm::Error writeSafetensors(llvm::StringRef path, llvm::StringRef input,
                             std::vector<OutgoingTensor> tensors,
                             llvm::StringRef metadata, Advance advance);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_SAFETENSORSWRITER_H
