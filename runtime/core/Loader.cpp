//===- Loader.cpp - Maps the code of a module -------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Loader.h"
#include "core/Elf.h"
#include "cpu/Threads.h"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

using namespace einhead::runtime;

namespace {
constexpr const char *abiSymbol = "einhead_module_abi";
constexpr const char *hostSymbol = "einhead_module_host";

/// An anonymous file with the code: never on a disk, gone with its last user.
struct MemoryFile {
  int number = -1;
  ~MemoryFile() {
    if (number >= 0)
      close(number);
  }
  einhead_status_t write(const uint8_t *bytes, size_t size);
};

einhead_status_t MemoryFile::write(const uint8_t *bytes, size_t size) {
  // Systems that deny executable memory files by default need to be told;
  // older ones do not know the flag.
  constexpr unsigned executable = 0x0010U;
  number = memfd_create("einhead-module", MFD_CLOEXEC | executable);
  if (number < 0 && errno == EINVAL)
    number = memfd_create("einhead-module", MFD_CLOEXEC);
  size_t done = 0;
  while (number >= 0 && done < size) {
    ssize_t wrote = ::write(number, bytes + done, size - done);
    if (wrote < 0 && errno == EINTR)
      continue;
    if (wrote <= 0)
      break;
    done += static_cast<size_t>(wrote);
  }
  if (number < 0 || done < size)
    return fail(EINHEAD_RESOURCE_EXHAUSTED, "code",
                "cannot make a memory file for the code: %s",
                std::strerror(errno));
  return EINHEAD_OK;
}

/// The dynamic linker takes two files of one name for one library, and numbers
/// of closed files come again.  So each open gets its own spelling of the path:
/// the count in binary, "/./" for 1 and "//" for 0.
std::string uniquePath(int file) {
  static std::atomic<uint32_t> counter{0};
  uint32_t count = counter++;
  std::string path = "/proc/self/fd";
  do {
    path += (count & 1) ? "/./" : "//";
    count >>= 1;
  } while (count != 0);
  return path + "/" + std::to_string(file);
}

einhead_status_t checkSymbols(const ElfSymbols &symbols,
                              const Manifest &manifest) {
  auto abi = symbols.defined.find(abiSymbol);
  if (abi == symbols.defined.end())
    return fail(EINHEAD_FAILED_PRECONDITION, "code",
                "the code has no symbol '%s'", abiSymbol);
  auto host = symbols.defined.find(hostSymbol);
  if (host == symbols.defined.end())
    return fail(EINHEAD_FAILED_PRECONDITION, "code",
                "the code has no symbol '%s'", hostSymbol);
  if (!host->second.isWritable)
    return fail(EINHEAD_CORRUPT_ARTIFACT, "code",
                "the code's symbol '%s' is not a writable variable",
                hostSymbol);
  for (const Function &function : manifest.functions)
    if (!symbols.defined.count(function.symbol))
      return fail(EINHEAD_FAILED_PRECONDITION, "code",
                  "the code has no symbol '%.100s' for function '%.100s'",
                  function.symbol.c_str(), function.name.c_str());
  return EINHEAD_OK;
}
} // namespace

LoadedCode::~LoadedCode() {
  if (handle)
    dlclose(handle);
}

einhead_status_t LoadedCode::load(const uint8_t *bytes, size_t size,
                                  const Manifest &manifest) {
  ElfSymbols symbols;
  if (einhead_status_t status = checkElf(bytes, size, symbols))
    return status;
  if (einhead_status_t status = checkSymbols(symbols, manifest))
    return status;
  entries.reserve(manifest.functions.size());

  MemoryFile file;
  if (einhead_status_t status = file.write(bytes, size))
    return status;
  // Modules may leave out their dependency on the math library.
  dlopen("libm.so.6", RTLD_NOW | RTLD_GLOBAL);
  handle = dlopen(uniquePath(file.number).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *reason = dlerror();
    return fail(EINHEAD_CORRUPT_ARTIFACT, "code",
                "the dynamic linker refuses the code: %s",
                reason ? reason : "no reason given");
  }

  const auto *abi = static_cast<const int32_t *>(dlsym(handle, abiSymbol));
  auto *host = static_cast<const einhead_host_t **>(dlsym(handle, hostSymbol));
  if (!abi || !host)
    return fail(EINHEAD_CORRUPT_ARTIFACT, "code",
                "the dynamic linker does not find the module's variables");
  if (*abi != EINHEAD_MODULE_ABI)
    return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, "code",
                "the code speaks ABI %d, this runtime %d; compile the module "
                "again",
                static_cast<int>(*abi), EINHEAD_MODULE_ABI);
  *host = hostTable();
  for (const Function &function : manifest.functions) {
    void *address = dlsym(handle, function.symbol.c_str());
    if (!address)
      return fail(EINHEAD_FAILED_PRECONDITION, "code",
                  "the dynamic linker does not find '%.100s'",
                  function.symbol.c_str());
    entries.push_back(reinterpret_cast<einhead_entry_t>(address));
  }
  return EINHEAD_OK;
}
