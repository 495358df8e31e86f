//===- Module.h - A module file, opened -------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CORE_MODULE_H
#define EINHEAD_RUNTIME_CORE_MODULE_H

#include "core/Device.h"
#include "core/Loader.h"
#include "core/Memory.h"
#include "core/Safetensors.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace einhead::runtime {

/// A parameter's data: in the mapped file, or a copy where the file's is not
/// aligned to its element.
struct BoundParameter {
  const uint8_t *data = nullptr;
  Pages copy;
};

} // namespace einhead::runtime

/// Immutable once opened but for what devices have of it, hence shared by
/// threads without locks.
struct einhead_module_t {
  std::atomic<int> references{1};
  std::string manifestText;
  einhead::runtime::Manifest manifest;
  einhead::runtime::ParameterFiles files;
  /// In the order of Manifest::parameters; empty where no file was given.
  std::vector<einhead::runtime::BoundParameter> parameters;
  einhead::runtime::LoadedCode code;
  /// One for each device that a session was made on.
  std::vector<std::shared_ptr<einhead::runtime::DeviceModule>> deviceModules;
  std::mutex deviceMutex;

  void retain() { references.fetch_add(1, std::memory_order_relaxed); }
  void release() {
    if (references.fetch_sub(1, std::memory_order_acq_rel) == 1)
      delete this;
  }
};

#endif // EINHEAD_RUNTIME_CORE_MODULE_H
