//===- Safetensors.h - Tensors by name from safetensors files ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_SAFETENSORS_H
#define EINHEAD_TOOLS_SAFETENSORS_H

#include "File.h"
#include "HostTensor.h"
#include <map>

namespace einhead::tool {

/// The tensors of several files; the bytes stay mapped while this lives.
class Safetensors {
public:
  /// A file, or a folder of files.
  llvm::Error add(llvm::StringRef path);

  bool contains(const std::string &name) const { return entries.count(name); }
  /// A copy.
  llvm::Expected<HostTensor> get(const std::string &name) const;

private:
  llvm::Error addFile(llvm::StringRef path);

  struct Entry {
    std::string type, file;
    std::vector<int64_t> shape;
    llvm::StringRef bytes;
  };
  std::vector<std::unique_ptr<llvm::MemoryBuffer>> files;
  std::map<std::string, Entry> entries;
};

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_SAFETENSORS_H
