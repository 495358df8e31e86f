//===- ImportCheckpoint.h - The tensors of a model directory ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_IMPORTCHECKPOINT_H
#define EINHEAD_TOOLS_IMPORTCHECKPOINT_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>
#include <vector>

namespace einhead::importer {

/// A tensor of a safetensors file, without its data.
struct TensorInfo {
  std::string dtype; ///< as the file spells it: "BF16"
  llvm::SmallVector<int64_t, 4> shape;
  std::string file; ///< path of the file that holds it
  /// Where its data stands in the file.
  int64_t offset = 0, bytes = 0;
};

struct Checkpoint {
  std::string source;             ///< the file to name when a tensor is missing
  std::vector<std::string> files; ///< safetensors files, in order
  llvm::StringMap<TensorInfo> tensors;
  /// The JSON object under `__metadata__` of each file that has one.
  llvm::StringMap<std::string> metadata;

  /// The tensor `name`, or an error unless it exists with that shape and an
  /// element type that the graph can take.
  llvm::Expected<const TensorInfo *> find(llvm::StringRef name,
                                          llvm::ArrayRef<int64_t> shape) const;
};

/// Reads the headers of `directory`'s safetensors files and checks them against
/// the sizes of the files, and the index against both.
llvm::Expected<Checkpoint> readCheckpoint(llvm::StringRef directory);

/// The MLIR type of a supported dtype ("bf16"), or "".
llvm::StringRef elementType(llvm::StringRef dtype);

/// "[688, 256]".
std::string shapeText(llvm::ArrayRef<int64_t> shape);

} // namespace einhead::importer

#endif // EINHEAD_TOOLS_IMPORTCHECKPOINT_H
