//===- Container.h - The sections of a module file --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CORE_CONTAINER_H
#define EINHEAD_RUNTIME_CORE_CONTAINER_H

#include "core/Status.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace einhead::runtime {

/// What a module file holds; the pieces point into the bytes that were parsed.
struct Container {
  struct Code {
    const uint8_t *bytes = nullptr;
    size_t size = 0;
  };

  std::string_view manifest;
  Code code;
  std::vector<Code> variants; // in the order of the file
  std::vector<Code> images;   // for devices, in the order of the file
};

/// Checks a whole file in the order of docs/Module.md, up to the hashes of the
/// sections.  Any bytes are safe.
einhead_status_t parseContainer(const uint8_t *bytes, size_t size,
                                Container &outContainer);

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CORE_CONTAINER_H
