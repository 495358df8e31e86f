//===- Device.h - Tensors of a call on a GPU --------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_DEVICE_H
#define EINHEAD_TOOLS_DEVICE_H

#include "Manifest.h"
#include "einhead/runtime.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"
#include <memory>

namespace einhead::bench {
class Gpu;
class Memory;
} // namespace einhead::bench

namespace einhead::tool {

/// The first GPU, or why there is none.
llvm::Expected<bench::Gpu *> gpu();

/// Runs what throws, and turns that into an error.
llvm::Error withoutExceptions(llvm::function_ref<void()> body);

/// Between host memory and device memory; ends the process where that fails.
void copyFromDevice(void *to, const void *from, size_t bytes);
void copyToDevice(void *to, const void *from, size_t bytes);

/// Copies of a caller's tensors in device memory, which stay for the next call
/// of the same shapes.
class DeviceTensors {
public:
  explicit DeviceTensors(bench::Gpu &gpu);
  ~DeviceTensors();

  /// What the function takes: device tensors with the contents of these, and
  /// scalars as they are.
  llvm::Expected<std::vector<DLTensor>> inputs(const Function &function,
                                               llvm::ArrayRef<DLTensor> host);
  llvm::Expected<std::vector<DLTensor>> outputs(llvm::ArrayRef<DLTensor> host);
  /// Copies the outputs of the call back.
  void fetch(llvm::ArrayRef<DLTensor> host);

private:
  llvm::Expected<DLTensor> place(const DLTensor &host,
                                 std::vector<std::unique_ptr<bench::Memory>> &,
                                 size_t index);

  bench::Gpu &gpu;
  std::vector<std::unique_ptr<bench::Memory>> inputMemory, outputMemory;
};

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_DEVICE_H
