//===- File.cpp - Files, read and written whole -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "File.h"
#include "Tool.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

namespace einhead::tool {

llvm::Expected<std::unique_ptr<llvm::MemoryBuffer>>
readFile(llvm::StringRef path) {
  auto file = llvm::MemoryBuffer::getFileOrSTDIN(path);
  if (!file)
    return failure(Exit::Invalid,
                   "cannot read '" + path + "': " + file.getError().message(),
                   "check the name and the permissions of the file");
  return std::move(*file);
}

llvm::Error writeFile(llvm::StringRef path, llvm::StringRef bytes) {
  if (path == "-") {
    llvm::outs() << bytes;
    return llvm::Error::success();
  }
  auto refuse = [&](const llvm::Twine &why) {
    return failure(Exit::Invalid, "cannot write '" + path + "': " + why,
                   "check that the folder exists and can be written");
  };
  // A device such as /dev/null is written, not replaced.
  llvm::sys::fs::file_status status;
  if (!llvm::sys::fs::status(path, status) &&
      status.type() != llvm::sys::fs::file_type::regular_file) {
    std::error_code error;
    llvm::raw_fd_ostream os(path, error);
    if (error)
      return refuse(error.message());
    os << bytes;
    return llvm::Error::success();
  }
  auto file = llvm::sys::fs::TempFile::create(path + ".%%%%%%.tmp");
  if (!file)
    return refuse(llvm::toString(file.takeError()));
  {
    llvm::raw_fd_ostream os(file->FD, /*shouldClose=*/false);
    os << bytes;
    os.flush();
    if (os.has_error()) {
      std::string why = os.error().message();
      os.clear_error();
      llvm::consumeError(file->discard());
      return refuse(why);
    }
  }
  if (llvm::Error error = file->keep(path))
    return refuse(llvm::toString(std::move(error)));
  return llvm::Error::success();
}

bool isModuleFile(llvm::StringRef bytes) {
  return bytes.starts_with(llvm::StringRef("EINHEAD\0", 8));
}

TemporaryFile::~TemporaryFile() {
  if (path.empty())
    return;
  llvm::sys::fs::remove(path);
  llvm::sys::DontRemoveFileOnSignal(path);
}

llvm::Expected<TemporaryFile> TemporaryFile::create(llvm::StringRef bytes) {
  int descriptor = -1;
  llvm::SmallString<128> path;
  std::error_code error = llvm::sys::fs::createTemporaryFile(
      "einhead", "einhead", descriptor, path);
  if (error)
    return failure(Exit::Invalid,
                   "cannot create a temporary file: " + error.message(),
                   "set TMPDIR to a folder that can be written");
  TemporaryFile file;
  file.path = std::string(path);
  llvm::sys::RemoveFileOnSignal(path);
  llvm::raw_fd_ostream os(descriptor, /*shouldClose=*/true);
  os << bytes;
  os.flush();
  if (os.has_error()) {
    std::string why = os.error().message();
    os.clear_error();
    return failure(Exit::Invalid, "cannot write '" + path.str() + "': " + why,
                   "free some space or set TMPDIR");
  }
  return file;
}

} // namespace einhead::tool
