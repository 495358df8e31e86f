//===- File.cpp - Files read whole or mapped --------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/File.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

using namespace einhead::runtime;

namespace {
/// Larger files are refused before memory is asked for them.
constexpr uint64_t largestReadFile = uint64_t(4) << 30;

struct FileDescriptor {
  int number = -1;
  ~FileDescriptor() {
    if (number >= 0)
      close(number);
  }
};

einhead_status_t openRegular(const std::string &path, FileDescriptor &file,
                             uint64_t &size) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  do {
    file.number = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  } while (file.number < 0 && errno == EINTR);
  if (file.number < 0) {
    einhead_status_t status = EINHEAD_FAILED_PRECONDITION;
    if (errno == ENOENT || errno == ENOTDIR)
      status = EINHEAD_NOT_FOUND;
    else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
      status = EINHEAD_RESOURCE_EXHAUSTED;
    return fail(status, "", "cannot open '%s': %s", path.c_str(),
                std::strerror(errno));
  }
  struct stat information;
  if (fstat(file.number, &information) != 0)
    return fail(EINHEAD_FAILED_PRECONDITION, "", "cannot examine '%s': %s",
                path.c_str(), std::strerror(errno));
  if (!S_ISREG(information.st_mode))
    return fail(
        EINHEAD_INVALID_ARGUMENT, "", "'%s' is %s, not a file", path.c_str(),
        S_ISDIR(information.st_mode) ? "a directory" : "a device or pipe");
  size = static_cast<uint64_t>(information.st_size);
  return EINHEAD_OK;
}
} // namespace

einhead_status_t einhead::runtime::readFile(const std::string &path,
                                            std::vector<uint8_t> &outBytes) {
  outBytes.clear();
  FileDescriptor file;
  uint64_t size = 0;
  if (einhead_status_t status = openRegular(path, file, size))
    return status;
  if (size > largestReadFile)
    return fail(EINHEAD_RESOURCE_EXHAUSTED, "",
                "'%s' has %llu bytes, more than a module may have",
                path.c_str(), static_cast<unsigned long long>(size));
  outBytes.resize(size);
  size_t done = 0;
  while (done < size) {
    ssize_t got = read(file.number, outBytes.data() + done, size - done);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return fail(EINHEAD_FAILED_PRECONDITION, at("byte %zu", done),
                  "cannot read '%s': %s", path.c_str(), std::strerror(errno));
    if (got == 0)
      break; // truncated while we read; what is there is checked as it is
    done += static_cast<size_t>(got);
  }
  outBytes.resize(done);
  return EINHEAD_OK;
}

MappedFile::MappedFile(MappedFile &&other) noexcept {
  *this = std::move(other);
}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(start, other.start);
  std::swap(bytes, other.bytes);
  return *this;
}

MappedFile::~MappedFile() {
  if (start)
    munmap(const_cast<uint8_t *>(start), bytes);
}

einhead_status_t MappedFile::open(const std::string &path) {
  FileDescriptor file;
  uint64_t size = 0;
  if (einhead_status_t status = openRegular(path, file, size))
    return status;
  if (size == 0)
    return EINHEAD_OK; // an empty file cannot be mapped; its reader refuses it
  void *memory = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number, 0);
  if (memory == MAP_FAILED)
    return fail(errno == ENOMEM ? EINHEAD_RESOURCE_EXHAUSTED
                                : EINHEAD_FAILED_PRECONDITION,
                "", "cannot map '%s': %s", path.c_str(), std::strerror(errno));
  start = static_cast<const uint8_t *>(memory);
  bytes = size;
  return EINHEAD_OK;
}

std::string einhead::runtime::folderOf(const std::string &path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash + 1);
}
