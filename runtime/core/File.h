//===- File.h - Files read whole or mapped ----------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CORE_FILE_H
#define EINHEAD_RUNTIME_CORE_FILE_H

#include "core/Status.h"

#include <cstdint>
#include <string>
#include <vector>

namespace einhead::runtime {

/// Reads a regular file into memory: a private copy, so that another process
/// that truncates or rewrites the file cannot reach what was checked.
einhead_status_t readFile(const std::string &path,
                          std::vector<uint8_t> &outBytes);

/// A regular file, mapped read-only.
class MappedFile {
public:
  MappedFile() = default;
  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&other) noexcept;
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;
  ~MappedFile();

  einhead_status_t open(const std::string &path);

  const uint8_t *data() const { return start; }
  size_t size() const { return bytes; }

private:
  const uint8_t *start = nullptr;
  size_t bytes = 0;
};

/// The folder of a path, with its last slash; empty for the current one.
std::string folderOf(const std::string &path);

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CORE_FILE_H
