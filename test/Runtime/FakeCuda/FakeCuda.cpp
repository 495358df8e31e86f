//===- FakeCuda.cpp - A CUDA driver without a GPU ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Long because all of the driver's functions share one state.

#include "FakeCuda.h"
#include "Ptx.h"
#include "cuda/Driver.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

using namespace einhead::fake;
using namespace einhead::runtime::cuda;

namespace {
struct Definition {
  std::vector<size_t> sizes;
  Body body;
};

struct Module {
  std::string image;
  std::map<std::string, ptx::Kernel> kernels;
};

struct Function {
  std::string name;
  const ptx::Kernel *kernel = nullptr; // of a text that is run as it is
};

struct Capture {
  bool isActive = false, isBroken = false;
  std::vector<std::function<void()>> work;
};

struct State {
  std::recursive_mutex mutex;
  Record record;
  std::map<std::string, Definition> definitions;
  std::map<Address, size_t> memory;
  std::map<std::string, Function> functions;
  std::map<void *, Capture> captures;
  std::vector<std::vector<std::function<void()>>> graphs;
  Result sticky = Success;
};

State &state() {
  static State instance;
  return instance;
}
thread_local std::vector<Handle> contextStack;

std::string setting(const char *name, const char *otherwise) {
  const char *value = std::getenv(name);
  return value ? value : otherwise;
}

/// Errors of kernels, after which nothing works.
bool stays(Result result) {
  return result >= IllegalAddress && result < 800 &&
         result != LaunchOutOfResources && result != CooperativeLaunchTooLarge;
}

/// The result that this call of a function gets before it does anything.
Result enter(const char *name, bool needsContext) {
  State &s = state();
  int count = ++s.record.calls[name];
  if (s.sticky)
    return s.sticky;
  const std::string wanted = setting("FAKE_CUDA_FAIL", "");
  size_t colon = wanted.find(':'), equals = wanted.find('=');
  if (equals != std::string::npos && wanted.substr(0, colon) == name &&
      std::stoi(wanted.substr(colon + 1)) == count) {
    Result result = std::stoi(wanted.substr(equals + 1));
    if (stays(result))
      s.sticky = result;
    return result;
  }
  return needsContext && contextStack.empty() ? 201 : Success;
}

/// Nothing but work on a captured stream is allowed meanwhile.
Result refuseInCapture() {
  for (auto &[stream, capture] : state().captures)
    if (capture.isActive) {
      capture.isBroken = true;
      return FirstCaptureError;
    }
  return Success;
}

/// Does the work, or records it.
Result enqueue(void *stream, std::function<void()> work) {
  Capture &capture = state().captures[stream];
  if (!capture.isActive) {
    work();
    return Success;
  }
  if (capture.isBroken)
    return 901;
  capture.work.push_back(std::move(work));
  return Success;
}

bool isDeviceMemory(Address address, size_t bytes) {
  auto it = state().memory.upper_bound(address);
  if (it == state().memory.begin())
    return false;
  --it;
  return address - it->first <= it->second &&
         bytes <= it->second - (address - it->first);
}

void setLengths(const Launch &launch, uint32_t first, uint32_t end,
                bool isSum) {
  auto *wide = reinterpret_cast<int64_t *>(launch.get<Address>(0));
  auto *narrow = reinterpret_cast<int32_t *>(launch.get<Address>(1));
  for (uint32_t b = first; b < end; ++b) {
    wide[b] = launch.get<int64_t>(2) + (isSum ? wide[b] : 0);
    narrow[b] = static_cast<int32_t>(wide[b]);
  }
}

bool isMachineCode(const char *image) {
  return std::memcmp(image,
                     "\x7f"
                     "ELF",
                     4) == 0;
}

/// Runs a kernel's text.
Result launchText(const ptx::Kernel *kernel, const Launch &launch,
                  void **arguments) {
  if (!kernel)
    return 719;
  std::vector<char> parameters = ptx::pack(*kernel, arguments);
  ptx::LaunchSize size;
  std::memcpy(size.grid, launch.grid, sizeof(size.grid));
  std::memcpy(size.block, launch.block, sizeof(size.block));
  size.sharedBytes = launch.sharedBytes;
  size.isCooperative = launch.isCooperative;
  return enqueue(launch.stream, [kernel, launch, size, parameters] {
    state().record.launches.push_back(launch);
    try {
      ptx::run(*kernel, size, parameters, isDeviceMemory);
    } catch (const std::exception &error) {
      std::fprintf(stderr, "%s\n", error.what());
      state().sticky = IllegalAddress;
    }
  });
}

/// The runtime's own kernels.
void advanceLengths(const Launch &launch) {
  setLengths(launch, 0, launch.get<uint32_t>(3), true);
}
void setLength(const Launch &launch) {
  uint32_t index = launch.get<uint32_t>(3);
  setLengths(launch, index, index + 1, false);
}
} // namespace

#define FAKE_ENTER(name, needsContext)                                         \
  std::lock_guard<std::recursive_mutex> lock(state().mutex);                   \
  if (Result result = enter(name, needsContext))                               \
    return result;

Record &einhead::fake::record() { return state().record; }
int einhead::fake::depth() { return static_cast<int>(contextStack.size()); }

void einhead::fake::reset() {
  State &s = state();
  s.record = Record();
  // What a lost context left.
  for (const auto &[address, bytes] : s.memory)
    std::free(reinterpret_cast<void *>(address));
  s.memory.clear();
  s.captures.clear();
  s.graphs.clear();
  s.sticky = Success;
  contextStack.clear();
  define("einhead_advance_lengths", {8, 8, 8, 4}, advanceLengths);
  define("einhead_set_length", {8, 8, 8, 4}, setLength);
}

void einhead::fake::define(const char *name, std::vector<size_t> sizes,
                           Body body) {
  state().definitions[name] = {std::move(sizes), body};
}

void einhead::fake::beginCapture(void *stream) {
  state().captures[stream] = Capture{true, false, {}};
}

int einhead::fake::endCapture(void *stream) {
  Capture capture = std::move(state().captures[stream]);
  state().captures.erase(stream);
  if (capture.isBroken)
    return -1;
  state().graphs.push_back(std::move(capture.work));
  return static_cast<int>(state().graphs.size()) - 1;
}

void einhead::fake::replay(int graph) {
  for (const std::function<void()> &work : state().graphs.at(graph))
    work();
}

extern "C" {
Result cuInit(unsigned) {
  // Its first success lasts, whatever became of contexts since.
  Result sticky = std::exchange(state().sticky, Success);
  FAKE_ENTER("cuInit", false);
  state().sticky = sticky;
  return Success;
}
Result cuDriverGetVersion(int *version) {
  FAKE_ENTER("cuDriverGetVersion", false);
  *version = 13000;
  return Success;
}
Result cuGetErrorName(Result error, const char **text) {
  thread_local std::string name;
  name = "CUDA_ERROR_" + std::to_string(error);
  *text = name.c_str();
  return Success;
}
Result cuGetErrorString(Result, const char **text) {
  *text = "a fake error";
  return Success;
}
Result cuDeviceGetCount(int *count) {
  FAKE_ENTER("cuDeviceGetCount", false);
  *count = std::stoi(setting("FAKE_CUDA_GPUS", "1"));
  return Success;
}
Result cuDeviceGet(DeviceNumber *device, int ordinal) {
  FAKE_ENTER("cuDeviceGet", false);
  *device = ordinal + 40; // not the ordinal
  return Success;
}
Result cuDeviceGetName(char *name, int size, DeviceNumber) {
  FAKE_ENTER("cuDeviceGetName", false);
  std::strncpy(name, "Fake GPU", static_cast<size_t>(size));
  return Success;
}
Result cuDeviceTotalMem_v2(size_t *bytes, DeviceNumber) {
  FAKE_ENTER("cuDeviceTotalMem_v2", false);
  *bytes = std::stoull(setting("FAKE_CUDA_TOTAL", "8589934592"));
  return Success;
}
Result cuDeviceGetAttribute(int *value, int attribute, DeviceNumber) {
  FAKE_ENTER("cuDeviceGetAttribute", false);
  const std::string compute = setting("FAKE_CUDA_COMPUTE", "9.0");
  size_t dot = compute.find('.');
  switch (attribute) {
  case ComputeMajor:
    *value = std::stoi(compute.substr(0, dot));
    return Success;
  case ComputeMinor:
    *value = std::stoi(compute.substr(dot + 1));
    return Success;
  case MultiprocessorCount:
    *value = std::stoi(setting("FAKE_CUDA_MULTIPROCESSORS", "132"));
    return Success;
  case L2CacheBytes:
    *value = 50 << 20;
    return Success;
  case SharedBytesPerBlock:
    *value = 232448;
    return Success;
  default:
    return 1;
  }
}
Result cuDevicePrimaryCtxRetain(Handle *context, DeviceNumber device) {
  FAKE_ENTER("cuDevicePrimaryCtxRetain", false);
  *context = reinterpret_cast<Handle>(uintptr_t(4096) * device);
  ++state().record.contexts;
  return Success;
}
Result cuDevicePrimaryCtxRelease_v2(DeviceNumber) {
  --state().record.contexts; // a lost context is released, too
  FAKE_ENTER("cuDevicePrimaryCtxRelease_v2", false);
  return Success;
}
Result cuCtxPushCurrent_v2(Handle context) {
  FAKE_ENTER("cuCtxPushCurrent_v2", false);
  contextStack.push_back(context);
  return Success;
}
Result cuCtxPopCurrent_v2(Handle *context) {
  if (contextStack.empty())
    return 201;
  *context = contextStack.back();
  contextStack.pop_back(); // works when the context is lost, too
  FAKE_ENTER("cuCtxPopCurrent_v2", false);
  return Success;
}
Result cuModuleLoadDataEx(Handle *module, const void *image, unsigned count,
                          int *options, void **values) {
  FAKE_ENTER("cuModuleLoadDataEx", true);
  if (Result result = refuseInCapture())
    return result;
  // A cubin of the tests is an ELF header with text behind it.
  const char *text = static_cast<const char *>(image);
  // Sections: CUDA's machine code, which is not run.
  constexpr int sections = 60;
  if (isMachineCode(text) && text[sections] != 0)
    return NoBinaryForGPU;
  if (isMachineCode(text))
    text += 64;
  if (std::strstr(text, "broken")) {
    for (unsigned i = 0; i < count; ++i)
      if (options[i] == ErrorLog)
        std::strcpy(static_cast<char *>(values[i]), "line 7: broken");
    return InvalidPTX;
  }
  if (std::strstr(text, "for another chip"))
    return NoBinaryForGPU;
  state().record.images.push_back(text);
  ++state().record.modules;
  auto *loaded = new Module{text, {}};
  *module = loaded;
  // Kernels of the tests are names; those that the compiler has written are
  // run.
  if (std::strstr(text, ".maxntid") || std::strstr(text, "ld.param")) {
    try {
      loaded->kernels = ptx::parse(text, setting("FAKE_CUDA_LOST", ""));
    } catch (const std::exception &error) {
      std::fprintf(stderr, "%s\n", error.what());
      return InvalidPTX;
    }
  }
  // A lost context takes its modules along; here they stay reachable, so that
  // they are no leaks.
  static std::vector<void *> *all = new std::vector<void *>;
  all->push_back(*module);
  return Success;
}
Result cuModuleUnload(Handle module) {
  FAKE_ENTER("cuModuleUnload", true);
  delete static_cast<Module *>(module);
  --state().record.modules;
  return Success;
}
Result cuModuleGetFunction(Handle *function, Handle module, const char *name) {
  FAKE_ENTER("cuModuleGetFunction", true);
  const std::string entry = ".entry " + std::string(name) + "(";
  if (static_cast<Module *>(module)->image.find(entry) == std::string::npos)
    return NotFound;
  Function &known = state().functions[name];
  known.name = name;
  auto &kernels = static_cast<Module *>(module)->kernels;
  auto kernel = kernels.find(name);
  known.kernel = kernel == kernels.end() ? nullptr : &kernel->second;
  *function = &known;
  return Success;
}
Result cuFuncGetAttribute(int *value, int attribute, Handle) {
  FAKE_ENTER("cuFuncGetAttribute", true);
  *value = attribute == StaticSharedBytes ? 1024 : 0;
  return Success;
}
Result cuFuncSetAttribute(Handle function, int attribute, int value) {
  FAKE_ENTER("cuFuncSetAttribute", true);
  state()
      .record.attributes[static_cast<Function *>(function)->name][attribute] =
      value;
  return Success;
}
Result cuLaunchKernelEx(const LaunchConfig *config, Handle function,
                        void **arguments, void **) {
  FAKE_ENTER("cuLaunchKernelEx", true);
  Launch launch = {};
  launch.kernel = static_cast<Function *>(function)->name;
  std::memcpy(launch.grid, config->grid, sizeof(launch.grid));
  std::memcpy(launch.block, config->block, sizeof(launch.block));
  launch.sharedBytes = config->sharedBytes;
  launch.stream = config->stream;
  for (unsigned i = 0; i < config->attributeCount; ++i) {
    const LaunchAttribute &attribute = config->attributes[i];
    if (attribute.id == LaunchAttribute::clusterDimension)
      launch.cluster = attribute.cluster[0];
    if (attribute.id == LaunchAttribute::cooperative)
      launch.isCooperative = attribute.isCooperative != 0;
  }
  if (launch.isCooperative &&
      launch.grid[0] > std::stoul(setting("FAKE_CUDA_RESIDENT", "132")))
    return CooperativeLaunchTooLarge;
  auto &attributes = state().record.attributes[launch.kernel];
  int allowed = attributes.count(MaxDynamicSharedBytes)
                    ? attributes[MaxDynamicSharedBytes]
                    : (48 << 10) - 1024;
  if (static_cast<int>(launch.sharedBytes) > allowed ||
      (launch.cluster > 8 && !attributes[NonPortableClusterAllowed]))
    return 1;
  auto it = state().definitions.find(launch.kernel);
  if (it == state().definitions.end())
    return launchText(static_cast<Function *>(function)->kernel, launch,
                      arguments);
  const Definition &definition = it->second;
  for (size_t i = 0; i < definition.sizes.size(); ++i) {
    const char *bytes = static_cast<const char *>(arguments[i]);
    launch.arguments.emplace_back(bytes, bytes + definition.sizes[i]);
  }
  return enqueue(config->stream, [launch, body = definition.body] {
    state().record.launches.push_back(launch);
    body(launch);
  });
}
Result cuOccupancyMaxActiveClusters(int *count, Handle function,
                                    const LaunchConfig *config) {
  FAKE_ENTER("cuOccupancyMaxActiveClusters", true);
  unsigned cluster = config->attributes[0].cluster[0];
  auto &attributes =
      state().record.attributes[static_cast<Function *>(function)->name];
  bool isLarge = config->sharedBytes > (48 << 10) - 1024;
  if (config->attributes[0].id != LaunchAttribute::clusterDimension ||
      config->grid[0] % cluster != 0 || config->block[0] == 0 ||
      (isLarge && static_cast<int>(config->sharedBytes) >
                      attributes[MaxDynamicSharedBytes]) ||
      (cluster > 8 && !attributes[NonPortableClusterAllowed]))
    return 1;
  *count = static_cast<int>(std::stoul(setting("FAKE_CUDA_RESIDENT", "132")) /
                            cluster);
  return Success;
}
Result cuTensorMapEncodeTiled(void *map, int type, unsigned rank, void *address,
                              const uint64_t *sizes, const uint64_t *strides,
                              const uint32_t *box, const uint32_t *, int,
                              int swizzle, int promotion, int) {
  FAKE_ENTER("cuTensorMapEncodeTiled", false);
  TensorMap seen = {type, swizzle, promotion, address, {}, {}, {}};
  seen.sizes.assign(sizes, sizes + rank);
  seen.byteStrides.assign(strides, strides + rank - 1);
  seen.box.assign(box, box + rank);
  std::memset(map, 0, 128);
  uint64_t number = state().record.maps.size();
  std::memcpy(map, &number, sizeof(number));
  state().record.maps.push_back(std::move(seen));
  return Success;
}
Result cuMemAlloc_v2(Address *address, size_t bytes) {
  FAKE_ENTER("cuMemAlloc_v2", true);
  if (Result result = refuseInCapture())
    return result;
  int64_t size = static_cast<int64_t>(bytes);
  if (size > std::stoll(setting("FAKE_CUDA_MEMORY", "1073741824")) -
                 state().record.bytes)
    return OutOfMemory;
  void *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  std::memset(memory, 0xCD, bytes);
  *address = reinterpret_cast<Address>(memory);
  state().memory[*address] = bytes;
  state().record.bytes += size;
  ++state().record.buffers;
  return Success;
}
Result cuMemFree_v2(Address address) {
  FAKE_ENTER("cuMemFree_v2", true);
  auto it = state().memory.find(address);
  if (it == state().memory.end())
    return 1;
  state().record.bytes -= static_cast<int64_t>(it->second);
  --state().record.buffers;
  std::free(reinterpret_cast<void *>(address));
  state().memory.erase(it);
  return Success;
}
Result cuMemsetD8Async(Address address, unsigned char value, size_t bytes,
                       Handle stream) {
  FAKE_ENTER("cuMemsetD8Async", true);
  if (!isDeviceMemory(address, bytes))
    return 1;
  return enqueue(stream, [=] {
    std::memset(reinterpret_cast<void *>(address), value, bytes);
  });
}
Result cuMemcpyHtoD_v2(Address to, const void *from, size_t bytes) {
  FAKE_ENTER("cuMemcpyHtoD_v2", true);
  if (!isDeviceMemory(to, bytes))
    return 1;
  std::memcpy(reinterpret_cast<void *>(to), from, bytes);
  return refuseInCapture();
}
Result cuStreamIsCapturing(Handle stream, int *status) {
  FAKE_ENTER("cuStreamIsCapturing", true);
  *status = CaptureNone;
  for (auto &[captured, capture] : state().captures) {
    if (!capture.isActive)
      continue;
    if (captured == stream)
      *status = capture.isBroken ? 2 : CaptureActive;
    else if (!stream)
      return 906; // the legacy stream waits for all others
  }
  return Success;
}
Result cuStreamSynchronize(Handle) {
  FAKE_ENTER("cuStreamSynchronize", true);
  return refuseInCapture();
}
} // extern "C"
