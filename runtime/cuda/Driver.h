//===- Driver.h - The CUDA driver, opened at run time -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The functions of the CUDA driver that the runtime calls, as minimal
/// prototypes: nothing of CUDA is needed to build, and a machine without it
/// runs everything else.
///
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CUDA_DRIVER_H
#define EINHEAD_RUNTIME_CUDA_DRIVER_H

#include "core/Status.h"

#include <cstdint>
#include <string>

namespace einhead::runtime::cuda {

using Result = int;
using DeviceNumber = int;
using Address = unsigned long long; // of device memory
using Handle = void *;              // a context, module, function or stream

/// The results that are told apart.
enum : Result {
  Success = 0,
  OutOfMemory = 2,
  Deinitialized = 4,
  NoDevice = 100,
  InvalidDevice = 101,
  InvalidImage = 200,
  NoBinaryForGPU = 209,
  InvalidPTX = 218,
  JITCompilerNotFound = 221,
  UnsupportedPTXVersion = 222,
  JITDisabled = 223,
  InvalidSource = 300,
  NotFound = 500,
  IllegalAddress = 700,
  LaunchOutOfResources = 701,
  CooperativeLaunchTooLarge = 720,
  FirstCaptureError = 900,
  LastCaptureError = 908,
};

enum DeviceAttribute : int {
  MultiprocessorCount = 16,
  L2CacheBytes = 38,
  ComputeMajor = 75,
  ComputeMinor = 76,
  SharedBytesPerBlock = 97, // with the kernel's consent
};

enum FunctionAttribute : int {
  StaticSharedBytes = 1,
  MaxDynamicSharedBytes = 8,
  NonPortableClusterAllowed = 14,
};

enum JITOption : int {
  InfoLog = 3,
  InfoLogBytes = 4,
  ErrorLog = 5,
  ErrorLogBytes = 6,
};

enum CaptureStatus : int { CaptureNone = 0, CaptureActive = 1 };

/// One attribute of a launch.
struct LaunchAttribute {
  static constexpr int cooperative = 2, clusterDimension = 4;
  int id;
  char padding[4];
  union {
    char bytes[64];
    unsigned cluster[3];
    int isCooperative;
  };
};

struct LaunchConfig {
  unsigned grid[3];
  unsigned block[3];
  unsigned sharedBytes;
  Handle stream;
  LaunchAttribute *attributes;
  unsigned attributeCount;
};

/// What a tensor map says of its elements and its way through memory.
enum TensorMapCode : int {
  MapUInt8 = 0,
  MapFloat16 = 6,
  MapFloat32 = 7,
  MapBFloat16 = 9,
  MapPromotion128 = 2,
};

/// Calls X(member, symbol, parameters, isRequired) for each function.  A newer
/// driver may lack none of the required ones; an older one lacks tensor maps
/// and clusters.
#define EINHEAD_CUDA_FUNCTIONS(X)                                              \
  X(init, "cuInit", (unsigned flags), true)                                    \
  X(driverVersion, "cuDriverGetVersion", (int *version), true)                 \
  X(errorName, "cuGetErrorName", (Result error, const char **text), true)      \
  X(errorText, "cuGetErrorString", (Result error, const char **text), true)    \
  X(deviceCount, "cuDeviceGetCount", (int *count), true)                       \
  X(deviceGet, "cuDeviceGet", (DeviceNumber * device, int ordinal), true)      \
  X(deviceName, "cuDeviceGetName",                                             \
    (char *name, int size, DeviceNumber device), true)                         \
  X(deviceMemory, "cuDeviceTotalMem_v2", (size_t *bytes, DeviceNumber device), \
    true)                                                                      \
  X(deviceAttribute, "cuDeviceGetAttribute",                                   \
    (int *value, int attribute, DeviceNumber device), true)                    \
  X(retainContext, "cuDevicePrimaryCtxRetain",                                 \
    (Handle * context, DeviceNumber device), true)                             \
  X(releaseContext, "cuDevicePrimaryCtxRelease_v2", (DeviceNumber device),     \
    true)                                                                      \
  X(pushContext, "cuCtxPushCurrent_v2", (Handle context), true)                \
  X(popContext, "cuCtxPopCurrent_v2", (Handle * context), true)                \
  X(loadModule, "cuModuleLoadDataEx",                                          \
    (Handle * module, const void *image, unsigned optionCount, int *options,   \
     void **values),                                                           \
    true)                                                                      \
  X(unloadModule, "cuModuleUnload", (Handle module), true)                     \
  X(getFunction, "cuModuleGetFunction",                                        \
    (Handle * function, Handle module, const char *name), true)                \
  X(functionAttribute, "cuFuncGetAttribute",                                   \
    (int *value, int attribute, Handle function), true)                        \
  X(setFunctionAttribute, "cuFuncSetAttribute",                                \
    (Handle function, int attribute, int value), true)                         \
  X(launch, "cuLaunchKernelEx",                                                \
    (const LaunchConfig *config, Handle function, void **arguments,            \
     void **extra),                                                            \
    true)                                                                      \
  X(activeClusters, "cuOccupancyMaxActiveClusters",                            \
    (int *count, Handle function, const LaunchConfig *config), false)          \
  X(encodeTensorMap, "cuTensorMapEncodeTiled",                                 \
    (void *map, int type, unsigned rank, void *address, const uint64_t *sizes, \
     const uint64_t *byteStrides, const uint32_t *box,                         \
     const uint32_t *elementStrides, int interleave, int swizzle,              \
     int promotion, int outOfBounds),                                          \
    false)                                                                     \
  X(allocate, "cuMemAlloc_v2", (Address * address, size_t bytes), true)        \
  X(free, "cuMemFree_v2", (Address address), true)                             \
  X(fill, "cuMemsetD8Async",                                                   \
    (Address address, unsigned char value, size_t bytes, Handle stream), true) \
  X(copyToDevice, "cuMemcpyHtoD_v2",                                           \
    (Address to, const void *from, size_t bytes), true)                        \
  X(isCapturing, "cuStreamIsCapturing", (Handle stream, int *status), true)    \
  X(synchronize, "cuStreamSynchronize", (Handle stream), true)

struct Driver {
#define EINHEAD_CUDA_MEMBER(member, symbol, parameters, isRequired)            \
  Result(*member) parameters = nullptr;
  EINHEAD_CUDA_FUNCTIONS(EINHEAD_CUDA_MEMBER)
#undef EINHEAD_CUDA_MEMBER

  /// "CUDA_ERROR_OUT_OF_MEMORY (out of memory)"
  std::string describe(Result result) const;

  /// Opens libcuda.so.1, or the library that the environment variable
  /// EINHEAD_CUDA_LIBRARY names, and initialises it.  Drivers stay open.
  static einhead_status_t open(const Driver *&out);
};

/// Whether the context is unusable after this result, with all its memory.
bool isSticky(Result result);

} // namespace einhead::runtime::cuda

#endif // EINHEAD_RUNTIME_CUDA_DRIVER_H
