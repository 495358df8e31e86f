//===- Loader.h - Maps the code of a module ---------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CORE_LOADER_H
#define EINHEAD_RUNTIME_CORE_LOADER_H

#include "core/Manifest.h"

#include <cstdint>
#include <vector>

namespace einhead::runtime {

/// The mapped code of one module and its entry points, in the order of the
/// manifest's functions.
class LoadedCode {
public:
  LoadedCode() = default;
  LoadedCode(const LoadedCode &) = delete;
  LoadedCode &operator=(const LoadedCode &) = delete;
  ~LoadedCode();

  /// Checks the object, then maps it and hands it the host table.
  einhead_status_t load(const uint8_t *bytes, size_t size,
                        const Manifest &manifest);

  einhead_entry_t entry(size_t function) const { return entries[function]; }

private:
  void *handle = nullptr;
  std::vector<einhead_entry_t> entries;
};

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CORE_LOADER_H
