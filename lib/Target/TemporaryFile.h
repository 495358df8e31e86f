//===- TemporaryFile.h - Files for other programs ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TARGET_TEMPORARYFILE_H
#define EINHEAD_LIB_TARGET_TEMPORARYFILE_H

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

namespace einhead {

/// A file that is gone when the work is over.
struct TemporaryFile {
  llvm::SmallString<128> path;
  std::error_code error;

  explicit TemporaryFile(llvm::StringRef suffix)
      : error(llvm::sys::fs::createTemporaryFile("einhead", suffix, path)) {}
  TemporaryFile(const TemporaryFile &) = delete;
  ~TemporaryFile() {
    if (!error)
      llvm::sys::fs::remove(path);
  }

  llvm::Error cannotWrite(std::error_code why) const {
    return llvm::createStringError(why, "cannot write " + path.str() + ": " +
                                            why.message());
  }

  llvm::Error write(llvm::StringRef bytes) const {
    std::error_code failed;
    llvm::raw_fd_ostream stream(path, failed);
    stream << bytes;
    stream.close();
    if (failed || (failed = stream.error()))
      return cannotWrite(failed);
    return llvm::Error::success();
  }

  std::string read() const {
    auto buffer = llvm::MemoryBuffer::getFile(path);
    return buffer ? (*buffer)->getBuffer().str() : "";
  }
};

} // namespace einhead

#endif // EINHEAD_LIB_TARGET_TEMPORARYFILE_H
