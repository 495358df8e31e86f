//===- Elf.h - What an ELF shared object asks for and offers ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CORE_ELF_H
#define EINHEAD_RUNTIME_CORE_ELF_H

#include "core/Status.h"

#include <cstdint>
#include <map>
#include <string>

namespace einhead::runtime {

/// The dynamic symbols that an object defines.
struct ElfSymbols {
  struct Symbol {
    uint64_t value, size;
    bool isWritable; // in a writable segment and outside of RELRO
  };
  std::map<std::string, Symbol> defined;
};

/// Checks an object before it is loaded: its headers, that it is for this
/// machine, that it needs no library but the C and the math library and no
/// symbol outside of EINHEAD_MODULE_IMPORTS.
einhead_status_t checkElf(const uint8_t *bytes, size_t size,
                          ElfSymbols &outSymbols);

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CORE_ELF_H
