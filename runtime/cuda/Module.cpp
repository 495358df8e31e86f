//===- Module.cpp - A module's kernels and parameters on a GPU --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "cuda/Module.h"
#include "cuda/Images.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

using namespace einhead::runtime;
using namespace einhead::runtime::cuda;

namespace {
/// Dynamic and static shared memory that every kernel may use unasked.
constexpr int freeSharedBytes = 48 << 10;
/// Blocks of a cluster that every GPU with clusters allows.
constexpr int portableCluster = 8;
constexpr size_t parameterAlignment = 256;
} // namespace

einhead_status_t GPUModule::open(einhead_module_t &module, int ordinal,
                                 std::shared_ptr<GPUModule> &out) {
  std::shared_ptr<Context> context;
  if (einhead_status_t status = Context::open(ordinal, context))
    return status;
  std::lock_guard<std::mutex> lock(module.deviceMutex);
  for (const std::shared_ptr<DeviceModule> &known : module.deviceModules) {
    auto loaded = std::static_pointer_cast<GPUModule>(known);
    if (loaded->gpu == context) {
      out = std::move(loaded);
      return EINHEAD_OK;
    }
  }
  auto loaded = std::make_shared<GPUModule>();
  loaded->gpu = std::move(context);
  if (einhead_status_t status = loaded->load(module))
    return status;
  module.deviceModules.push_back(loaded);
  out = std::move(loaded);
  return EINHEAD_OK;
}

einhead_status_t GPUModule::load(const einhead_module_t &module) {
  Current current(*gpu);
  if (einhead_status_t status = current.enter())
    return status;
  if (einhead_status_t status =
          loadImages(*gpu, module.manifest.device.images, code))
    return status;
  if (einhead_status_t status = findKernels(module.manifest.device.kernels))
    return status;
  return copyParameters(module);
}

einhead_status_t
GPUModule::findKernels(const std::vector<std::string> &wanted) {
  names = wanted;
  const Driver &driver = gpu->driver();
  for (const std::string &name : names) {
    Where where = at("kernel '%.100s'", name.c_str());
    Kernel kernel;
    Result result = driver.getFunction(&kernel.function, code, name.c_str());
    if (result == NotFound)
      return fail(EINHEAD_CORRUPT_ARTIFACT, where,
                  "the device code has no kernel '%.100s', which the manifest "
                  "names",
                  name.c_str());
    if (einhead_status_t status =
            gpu->check(result, where, "cuModuleGetFunction"))
      return status;
    if (einhead_status_t status = gpu->check(
            driver.functionAttribute(&kernel.staticSharedBytes,
                                     StaticSharedBytes, kernel.function),
            where, "cuFuncGetAttribute"))
      return status;
    kernels.emplace(name, kernel);
  }
  return EINHEAD_OK;
}

einhead_status_t GPUModule::copyParameters(const einhead_module_t &module) {
  const std::vector<Argument> &wanted = module.manifest.parameters;
  if (module.parameters.empty())
    return EINHEAD_OK; // a call that needs one says so
  std::vector<int64_t> sizes;
  size_t total = 0;
  for (const Argument &argument : wanted) {
    int64_t bytes = elementSize(argument.type);
    for (const Dimension &dimension : argument.shape)
      bytes *= dimension.offset; // checked with the manifest
    sizes.push_back(bytes);
    parameterOffsets.push_back(total);
    total += (static_cast<size_t>(bytes) + parameterAlignment - 1) /
             parameterAlignment * parameterAlignment;
  }
  if (einhead_status_t status = parameters.allocate(gpu, total, "parameters"))
    return status;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (sizes[i] == 0)
      continue;
    if (einhead_status_t status = gpu->check(
            gpu->driver().copyToDevice(
                parameters.address() + parameterOffsets[i],
                module.parameters[i].data, static_cast<size_t>(sizes[i])),
            at("parameter '%.100s'", wanted[i].name.c_str()), "cuMemcpyHtoD"))
      return status;
  }
  return EINHEAD_OK;
}

GPUModule::~GPUModule() {
  const Driver &driver = gpu->driver();
  if (!code || driver.pushContext(gpu->handle()) != Success)
    return;
  driver.unloadModule(code);
  Handle popped = nullptr;
  driver.popContext(&popped);
}

einhead_status_t GPUModule::prepare(Kernel &kernel, const char *name,
                                    int sharedBytes, int cluster) {
  auto where = [&] { return at("kernel '%.100s'", name); };
  const Driver &driver = gpu->driver();
  int64_t total = int64_t(sharedBytes) + kernel.staticSharedBytes;
  if (total > gpu->sharedBytesPerBlock())
    return fail(EINHEAD_RESOURCE_EXHAUSTED, where(),
                "'%.100s' needs %lld bytes of shared memory, GPU %d has %lld "
                "for a block; compile with another schedule",
                name, static_cast<long long>(total), gpu->ordinal(),
                static_cast<long long>(gpu->sharedBytesPerBlock()));
  if (total > freeSharedBytes && sharedBytes > kernel.dynamicSharedBytes) {
    if (einhead_status_t status = gpu->check(
            driver.setFunctionAttribute(kernel.function, MaxDynamicSharedBytes,
                                        sharedBytes),
            where(), "cuFuncSetAttribute of %d bytes of shared memory",
            sharedBytes))
      return status;
    kernel.dynamicSharedBytes = sharedBytes;
  }
  if (cluster > portableCluster && !kernel.allowsLargeClusters) {
    if (einhead_status_t status = gpu->check(
            driver.setFunctionAttribute(kernel.function,
                                        NonPortableClusterAllowed, 1),
            where(), "cuFuncSetAttribute of clusters of %d", cluster))
      return status;
    kernel.allowsLargeClusters = true;
  }
  return EINHEAD_OK;
}

einhead_status_t GPUModule::find(const char *name, Kernel *&out) {
  auto it = kernels.find(name);
  if (it == kernels.end())
    return fail(EINHEAD_CORRUPT_ARTIFACT, at("kernel '%.100s'", name),
                "the code launches '%.100s', which the manifest does not name",
                name);
  out = &it->second;
  return EINHEAD_OK;
}

einhead_status_t GPUModule::kernel(const char *name, int sharedBytes,
                                   int cluster, Handle &out) {
  Kernel *kernel = nullptr;
  if (einhead_status_t status = find(name, kernel))
    return status;
  std::lock_guard<std::mutex> lock(mutex);
  if (einhead_status_t status = prepare(*kernel, name, sharedBytes, cluster))
    return status;
  out = kernel->function;
  return EINHEAD_OK;
}

einhead_status_t GPUModule::clusters(const char *name, int cluster, int threads,
                                     int sharedBytes, int64_t &out) {
  Kernel *kernel = nullptr;
  if (einhead_status_t status = find(name, kernel))
    return status;
  std::lock_guard<std::mutex> lock(mutex);
  kernel->activeClusters.resize(maxCluster + 1);
  std::optional<int64_t> &known = kernel->activeClusters[cluster];
  if (!known) {
    if (einhead_status_t status = prepare(*kernel, name, sharedBytes, cluster))
      return status;
    LaunchAttribute attribute = {};
    attribute.id = LaunchAttribute::clusterDimension;
    attribute.cluster[0] = static_cast<unsigned>(cluster);
    attribute.cluster[1] = attribute.cluster[2] = 1;
    LaunchConfig config = {};
    config.grid[0] = attribute.cluster[0];
    config.grid[1] = config.grid[2] = 1;
    config.block[0] = static_cast<unsigned>(threads);
    config.block[1] = config.block[2] = 1;
    config.sharedBytes = static_cast<unsigned>(sharedBytes);
    config.attributes = &attribute;
    config.attributeCount = 1;
    int count = 0;
    if (const auto ask = gpu->driver().activeClusters)
      if (einhead_status_t status =
              gpu->check(ask(&count, kernel->function, &config),
                         at("kernel '%.100s'", name),
                         "cuOccupancyMaxActiveClusters of %d blocks", cluster))
        return status;
    known = count;
  }
  out = *known;
  return EINHEAD_OK;
}
