//===- File.h - Files, read and written whole -------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_FILE_H
#define EINHEAD_TOOLS_FILE_H

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>

namespace einhead::tool {

/// Reads a file, or standard input for "-"; the error names the file.
llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
readFile(llvm::StringRef path);

/// Writes through a temporary file that is renamed at the end, so that a file
/// of that name is always whole; "-" is standard output.
llvm::Error writeFile(llvm::StringRef path, llvm::StringRef bytes);

/// True where the bytes start like a module file.
bool isModuleFile(llvm::StringRef bytes);

/// A file that is removed with this object, or by a signal.
class TemporaryFile {
public:
  TemporaryFile() = default;
  TemporaryFile(TemporaryFile &&other) : path(std::move(other.path)) {
    other.path.clear();
  }
  ~TemporaryFile();

  /// Creates it in the system's folder of temporary files.
  static llvm::Expected<TemporaryFile> create(llvm::StringRef bytes);
  const std::string &name() const { return path; }

private:
  std::string path;
};

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_FILE_H
