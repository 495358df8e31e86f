//===- TemporaryFolder.cpp - A folder that appears whole --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TemporaryFolder.h"
#include "Tool.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"

namespace einhead::tool {

namespace fs = llvm::sys::fs;

/// Without links and separators at its end: what a rename must be given.
static std::string canonical(llvm::StringRef target) {
  llvm::SmallString<128> real;
  if (!fs::real_path(target, real))
    return std::string(real);
  llvm::StringRef trimmed = target.rtrim('/');
  return trimmed.empty() ? target.str() : trimmed.str();
}

TemporaryFolder::~TemporaryFolder() {
  if (!path.empty())
    fs::remove_directories(path);
}

llvm::Expected<TemporaryFolder>
TemporaryFolder::createBeside(llvm::StringRef target) {
  std::string model = canonical(target) + ".%%%%%%.tmp";
  std::error_code code;
  for (int attempt = 0; attempt < 16; ++attempt) {
    llvm::SmallString<128> unique;
    fs::createUniquePath(model, unique, /*MakeAbsolute=*/false);
    code = fs::create_directory(unique, /*IgnoreExisting=*/false,
                                fs::perms::all_all);
    if (code == std::errc::file_exists)
      continue;
    if (code)
      break;
    TemporaryFolder folder;
    folder.path = std::string(unique);
    return folder;
  }
  return failure(Exit::Invalid,
                 "cannot create '" + target + "': " + code.message(),
                 "check that the folder around it exists and can be written");
}

llvm::Error TemporaryFolder::keep(llvm::StringRef target) {
  if (std::error_code code = fs::rename(path, canonical(target)))
    return failure(Exit::Invalid,
                   "cannot create '" + target + "': " + code.message(),
                   "name a new folder, or an empty one");
  path.clear();
  return llvm::Error::success();
}

} // namespace einhead::tool
