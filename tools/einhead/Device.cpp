//===- Device.cpp - Tensors of a call on a GPU ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Device.h"
#include "Gpu.h"
#include "Session.h"
#include "Tool.h"
#include "llvm/Support/ErrorHandling.h"
#include <exception>

namespace einhead::tool {

llvm::Error withoutExceptions(llvm::function_ref<void()> body) {
  try {
    body();
  } catch (const std::exception &error) {
    return failure(Exit::Missing, error.what());
  }
  return llvm::Error::success();
}

llvm::Expected<bench::Gpu *> gpu() {
  // Never destroyed: at the end of the process the driver may be gone first.
  static bench::Gpu *first = nullptr;
  if (first)
    return first;
  einhead_device_info_t info;
  if (einhead_status_t status = einhead_device_info(0, &info, sizeof(info)))
    return runtimeError(status, "GPU");
  if (llvm::Error error =
          withoutExceptions([&] { first = new bench::Gpu(/*ordinal=*/0); }))
    return error;
  return first;
}

/// For what has no way to report: a copy of memory that a session handed out.
static void mustSucceed(llvm::Error error) {
  if (error)
    llvm::report_fatal_error(std::move(error), /*gen_crash_diag=*/false);
}

void copyFromDevice(void *to, const void *from, size_t bytes) {
  auto device = gpu();
  mustSucceed(device.takeError());
  mustSucceed(withoutExceptions([&] {
    (*device)->copyToHost(to, reinterpret_cast<uintptr_t>(from), bytes);
  }));
}

void copyToDevice(void *to, const void *from, size_t bytes) {
  auto device = gpu();
  mustSucceed(device.takeError());
  mustSucceed(withoutExceptions([&] {
    (*device)->copyToDevice(reinterpret_cast<uintptr_t>(to), from, bytes);
  }));
}

DeviceTensors::DeviceTensors(bench::Gpu &gpu) : gpu(gpu) {}

DeviceTensors::~DeviceTensors() = default;

/// The bytes of a dense tensor.
static size_t bytesOf(const DLTensor &tensor) {
  size_t bytes = tensor.dtype.bits / 8;
  for (int d = 0; d < tensor.ndim; ++d)
    bytes *= static_cast<size_t>(tensor.shape[d]);
  return bytes;
}

static const char *dataOf(const DLTensor &tensor) {
  return static_cast<const char *>(tensor.data) + tensor.byte_offset;
}

llvm::Expected<DLTensor>
DeviceTensors::place(const DLTensor &host,
                     std::vector<std::unique_ptr<bench::Memory>> &memory,
                     size_t index) {
  size_t bytes = bytesOf(host);
  if (memory.size() <= index)
    memory.resize(index + 1);
  std::unique_ptr<bench::Memory> &slot = memory[index];
  if (!slot || slot->size() != bytes)
    if (llvm::Error error = withoutExceptions(
            [&] { slot = std::make_unique<bench::Memory>(gpu, bytes); }))
      return error;
  DLTensor tensor = host;
  tensor.data = slot->data();
  tensor.byte_offset = 0;
  tensor.device = {kDLCUDA, gpu.ordinal()};
  return tensor;
}

llvm::Expected<std::vector<DLTensor>>
DeviceTensors::inputs(const Function &function, llvm::ArrayRef<DLTensor> host) {
  std::vector<DLTensor> tensors;
  size_t index = 0;
  for (const Argument &argument : function.arguments) {
    if (argument.kind != "input" || index == host.size())
      continue;
    const DLTensor &given = host[index];
    if (argument.scalar) {
      tensors.push_back(given);
      ++index;
      continue;
    }
    auto placed = place(given, inputMemory, index++);
    if (!placed)
      return placed.takeError();
    copyToDevice(placed->data, dataOf(given), bytesOf(given));
    tensors.push_back(*placed);
  }
  return tensors;
}

llvm::Expected<std::vector<DLTensor>>
DeviceTensors::outputs(llvm::ArrayRef<DLTensor> host) {
  std::vector<DLTensor> tensors;
  for (size_t i = 0; i < host.size(); ++i) {
    auto placed = place(host[i], outputMemory, i);
    if (!placed)
      return placed.takeError();
    tensors.push_back(*placed);
  }
  return tensors;
}

void DeviceTensors::fetch(llvm::ArrayRef<DLTensor> host) {
  for (size_t i = 0; i < host.size(); ++i)
    copyFromDevice(static_cast<char *>(host[i].data) + host[i].byte_offset,
                   outputMemory[i]->data(), bytesOf(host[i]));
}

} // namespace einhead::tool
