//===- TemporaryFolder.h - A folder that appears whole ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_TEMPORARYFOLDER_H
#define EINHEAD_TOOLS_TEMPORARYFOLDER_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace einhead::tool {

/// A new folder, removed with all in it unless it is kept.
class TemporaryFolder {
public:
  TemporaryFolder(TemporaryFolder &&other) : path(std::move(other.path)) {
    other.path.clear();
  }
  ~TemporaryFolder();

  /// Creates it where `target` will be, so that it can be renamed to it.
  static llvm::Expected<TemporaryFolder> createBeside(llvm::StringRef target);
  const std::string &name() const { return path; }
  /// Renames it to `target`, which is not there or an empty folder.
  llvm::Error keep(llvm::StringRef target);

private:
  TemporaryFolder() = default;

  std::string path;
};

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_TEMPORARYFOLDER_H
