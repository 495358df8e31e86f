//===- Safetensors.h - Parameters in safetensors files ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CORE_SAFETENSORS_H
#define EINHEAD_RUNTIME_CORE_SAFETENSORS_H

#include "core/File.h"
#include "core/Manifest.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace einhead::runtime {

/// A tensor of a file; `data` points into the mapped file.
struct StoredTensor {
  bool isSupported = false; // the element type is one that modules use
  ElementType type = ElementType::F32;
  std::string typeName;
  std::vector<int64_t> shape;
  const uint8_t *data = nullptr;
  int64_t bytes = 0;
  bool isAmbiguous = false; // several files hold this name
};

/// Checks one file's bytes as the reference implementation does (no gaps, no
/// overlap, nothing after the last tensor) and lists its tensors.
einhead_status_t parseSafetensors(const uint8_t *bytes, size_t size,
                                  const std::string &name,
                                  std::map<std::string, StoredTensor> &out);

/// The tensors of a file, of several, or of a folder (all its *.safetensors,
/// or those that its *.safetensors.index.json names).
class ParameterFiles {
public:
  einhead_status_t addPath(const std::string &path);
  einhead_status_t addFile(const std::string &path);

  const StoredTensor *find(const std::string &name) const;
  size_t fileCount() const { return files.size(); }

private:
  einhead_status_t addFolder(const std::string &folder);
  einhead_status_t addIndex(const std::string &folder, const std::string &name);

  std::vector<MappedFile> files;
  std::map<std::string, StoredTensor> tensors;
};

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CORE_SAFETENSORS_H
