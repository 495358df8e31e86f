//===- SyntheticModel.h - A tiny Llama made up for tests --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TEST_IMPORT_SYNTHETICMODEL_H
#define EINHEAD_TEST_IMPORT_SYNTHETICMODEL_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/JSON.h"
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace einhead::test {

/// A folder in the system's temporary one, removed with its content.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;

  std::string file(llvm::StringRef name) const;
  void write(llvm::StringRef name, llvm::StringRef content) const;

  std::string path;
};

struct SyntheticTensor {
  std::string dtype; ///< "F32", "F16", "BF16"
  std::vector<int64_t> shape;
  std::vector<double> values; ///< exact in dtype

  int64_t size() const { return int64_t(values.size()); }
};

using TensorMap = std::map<std::string, SyntheticTensor>;

/// Sizes that no two letters share, so that a swap of letters cannot pass:
/// hidden 10, 3 query heads on 1 key/value head of 6, feed-forward 7,
/// vocabulary 11, two layers, an output head of its own, all three dtypes.
struct SyntheticModel {
  SyntheticModel();

  int64_t size(llvm::StringRef key) const { return *config.getInteger(key); }
  /// Makes all tensors anew, to the sizes in `config`.
  void fillTensors();

  /// config.json and model.safetensors.
  void write(const TemporaryFolder &folder) const;
  /// config.json, an index and two shards.
  void writeShards(const TemporaryFolder &folder) const;
  std::string configText() const;

  llvm::json::Object config;
  TensorMap tensors;
};

/// The bytes of a safetensors file.
std::string safetensorsBytes(const TensorMap &tensors);
/// The same from a header and data that may be wrong.
std::string safetensorsBytes(llvm::StringRef header, size_t dataSize);

/// The logits after the last of `tokens`, computed in double, for the whole
/// sequence at once and with no cache: shares nothing with the graph.
std::vector<double> forward(const SyntheticModel &model,
                            llvm::ArrayRef<int64_t> tokens);

} // namespace einhead::test

#endif // EINHEAD_TEST_IMPORT_SYNTHETICMODEL_H
