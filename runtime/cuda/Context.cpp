//===- Context.cpp - One GPU of this process --------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "cuda/Context.h"
#include "cuda/LengthKernels.h"

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

using namespace einhead::runtime;
using namespace einhead::runtime::cuda;

einhead_status_t Context::status() const {
  Result result = lost.load(std::memory_order_relaxed);
  if (result == Success)
    return EINHEAD_OK;
  return fail(EINHEAD_DEVICE_LOST, at("cuda:%d", number),
              "the GPU's context was lost to %.150s; what was on it is gone: "
              "release all sessions and modules of this device, or start the "
              "process again",
              cuda->describe(result).c_str());
}

einhead_status_t Context::check(Result result, const Where &where,
                                const char *what, ...) {
  if (result == Success)
    return EINHEAD_OK;
  char text[160];
  va_list arguments;
  va_start(arguments, what);
  std::vsnprintf(text, sizeof(text), what, arguments);
  va_end(arguments);
  const std::string error = cuda->describe(result);
  if (isSticky(result)) {
    lost.store(result, std::memory_order_relaxed);
    return fail(EINHEAD_DEVICE_LOST, where,
                "%s: %.150s, of this or of earlier work on GPU %d; what was on "
                "it is gone: release all sessions and modules of this device, "
                "or start the process again",
                text, error.c_str(), number);
  }
  if (result == OutOfMemory || result == LaunchOutOfResources)
    return fail(EINHEAD_RESOURCE_EXHAUSTED, where, "%s on GPU %d: %.150s", text,
                number, error.c_str());
  if (result >= FirstCaptureError && result <= LastCaptureError)
    return fail(EINHEAD_FAILED_PRECONDITION, where,
                "%s: %.150s; while a stream of this process is being captured "
                "only calls on that stream are possible",
                text, error.c_str());
  return fail(EINHEAD_DEVICE_ERROR, where, "%s on GPU %d: %.150s", text, number,
              error.c_str());
}

static einhead_status_t noGPU(const Where &where) {
  return fail(EINHEAD_FAILED_PRECONDITION, where,
              "the CUDA driver finds no GPU; check nvidia-smi and "
              "CUDA_VISIBLE_DEVICES, or compile the module for the CPU");
}

einhead_status_t Context::retain(int ordinal) {
  if (einhead_status_t status = Driver::open(cuda))
    return status;
  number = ordinal;
  int count = 0;
  Where where = at("cuda:%d", ordinal);
  if (einhead_status_t status =
          check(cuda->deviceCount(&count), where, "cuDeviceGetCount"))
    return status;
  if (count < 1)
    return noGPU(where);
  if (ordinal < 0 || ordinal >= count)
    return fail(EINHEAD_INVALID_ARGUMENT, "options.device",
                "device is %d, wanted 0 to %d: there are %d GPUs", ordinal,
                count - 1, count);
  if (einhead_status_t status =
          check(cuda->deviceGet(&device, ordinal), where, "cuDeviceGet"))
    return status;
  return check(cuda->retainContext(&context, device), where,
               "cuDevicePrimaryCtxRetain");
}

einhead_status_t Context::readAttributes() {
  struct {
    int attribute;
    int *to;
  } const wanted[] = {{ComputeMajor, &compute.major},
                      {ComputeMinor, &compute.minor},
                      {MultiprocessorCount, &processors},
                      {SharedBytesPerBlock, &sharedBytes}};
  for (const auto &[attribute, to] : wanted)
    if (einhead_status_t status =
            check(cuda->deviceAttribute(to, attribute, device),
                  at("cuda:%d", number), "cuDeviceGetAttribute"))
      return status;
  return EINHEAD_OK;
}

einhead_status_t Context::loadLengthKernels() {
  Where where = at("cuda:%d", number);
  if (einhead_status_t status = check(
          cuda->loadModule(&lengthModule, lengthKernels, 0, nullptr, nullptr),
          where, "cuModuleLoadDataEx of the runtime's own kernels"))
    return status;
  if (einhead_status_t status = check(
          cuda->getFunction(&advanceFunction, lengthModule, advanceKernelName),
          where, "cuModuleGetFunction of %s", advanceKernelName))
    return status;
  return check(cuda->getFunction(&setFunction, lengthModule, setKernelName),
               where, "cuModuleGetFunction of %s", setKernelName);
}

einhead_status_t Context::open(int ordinal, std::shared_ptr<Context> &out) {
  const Driver *driver = nullptr;
  if (einhead_status_t status = Driver::open(driver))
    return status;
  static std::mutex mutex;
  static std::map<std::pair<const Driver *, int>, std::weak_ptr<Context>> known;
  std::lock_guard<std::mutex> lock(mutex);
  std::weak_ptr<Context> &slot = known[{driver, ordinal}];
  if (std::shared_ptr<Context> context = slot.lock()) {
    out = std::move(context);
    return out->status();
  }
  std::shared_ptr<Context> context(new Context);
  if (einhead_status_t status = context->retain(ordinal))
    return status;
  if (einhead_status_t status = context->readAttributes())
    return status;
  Current current(*context);
  if (einhead_status_t status = current.enter())
    return status;
  if (einhead_status_t status = context->loadLengthKernels())
    return status;
  slot = context;
  out = std::move(context);
  return EINHEAD_OK;
}

Context::~Context() {
  if (!context)
    return;
  // Nothing can be done about errors here; a lost context gives them.
  if (lengthModule && cuda->pushContext(context) == Success) {
    cuda->unloadModule(lengthModule);
    Handle popped = nullptr;
    cuda->popContext(&popped);
  }
  cuda->releaseContext(device);
}

einhead_status_t Current::enter() {
  if (Result result = context.driver().pushContext(context.handle()))
    return context.check(result, at("cuda:%d", context.ordinal()),
                         "cuCtxPushCurrent");
  isEntered = true;
  return EINHEAD_OK;
}

void Current::leave() {
  Handle popped = nullptr;
  if (isEntered)
    context.driver().popContext(&popped);
  isEntered = false;
}

/// What the driver says of one of its GPUs.
static einhead_status_t readInfo(const Driver &driver, int ordinal,
                                 einhead_device_info_t &info) {
  DeviceNumber device = 0;
  size_t memory = 0;
  int l2 = 0;
  struct {
    const char *what;
    Result result;
  } const answers[] = {
      {"cuDeviceGet", driver.deviceGet(&device, ordinal)},
      {"cuDeviceGetName",
       driver.deviceName(info.name, sizeof(info.name), device)},
      {"cuDeviceTotalMem", driver.deviceMemory(&memory, device)},
      {"cuDriverGetVersion", driver.driverVersion(&info.driver_version)},
      {"cuDeviceGetAttribute",
       driver.deviceAttribute(&info.compute_major, ComputeMajor, device)},
      {"cuDeviceGetAttribute",
       driver.deviceAttribute(&info.compute_minor, ComputeMinor, device)},
      {"cuDeviceGetAttribute",
       driver.deviceAttribute(&info.multiprocessors, MultiprocessorCount,
                              device)},
      {"cuDeviceGetAttribute",
       driver.deviceAttribute(&l2, L2CacheBytes, device)}};
  for (const auto &[what, result] : answers)
    if (result != Success)
      return fail(EINHEAD_DEVICE_ERROR, at("cuda:%d", ordinal), "%s: %.150s",
                  what, driver.describe(result).c_str());
  info.memory_bytes = static_cast<int64_t>(memory);
  info.l2_bytes = l2;
  return EINHEAD_OK;
}

einhead_status_t einhead_device_info(int32_t device,
                                     einhead_device_info_t *out_info,
                                     size_t info_size) {
  if (out_info)
    std::memset(out_info, 0, info_size);
  return guarded([&]() -> einhead_status_t {
    if (!out_info || info_size == 0)
      return fail(EINHEAD_INVALID_ARGUMENT, "out_info",
                  "a required pointer is null or its size 0");
    const Driver *driver = nullptr;
    if (einhead_status_t status = Driver::open(driver))
      return status;
    Where where = at("cuda:%d", device);
    einhead_device_info_t info = {};
    if (Result result = driver->deviceCount(&info.device_count))
      return fail(EINHEAD_DEVICE_ERROR, where, "cuDeviceGetCount: %.150s",
                  driver->describe(result).c_str());
    if (info.device_count < 1)
      return noGPU(where);
    if (device < 0 || device >= info.device_count)
      return fail(EINHEAD_NOT_FOUND, where, "there are %d GPUs",
                  info.device_count);
    if (einhead_status_t status = readInfo(*driver, device, info))
      return status;
    std::memcpy(out_info, &info, std::min(info_size, sizeof(info)));
    return EINHEAD_OK;
  });
}
