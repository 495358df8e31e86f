//===- Launch.cpp - What host code asks of a GPU ----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "cuda/Session.h"

#include <cinttypes>
#include <cstdint>

using namespace einhead::runtime;
using namespace einhead::runtime::cuda;

namespace {
constexpr int64_t maxGridX = INT32_MAX, maxGridYZ = 65535;
constexpr int64_t maxBlock = 1024;
constexpr int64_t maxMapRank = 5, maxBox = 256;
} // namespace

einhead_status_t GPUSession::workspace(int64_t bytes, int64_t alignment,
                                       void *&out) {
  return scratch.allocate(bytes, alignment, !isCapturing, stream, out);
}

einhead_status_t GPUSession::zeroed(int64_t bytes, void *&out) {
  return zeros.allocate(bytes, 0, !isCapturing, stream, out);
}

static einhead_status_t checkShape(const char *kernel, const int64_t grid[3],
                                   const int64_t block[3], int64_t cluster) {
  // Places are put into words only where something is wrong: this runs at each
  // launch.
  auto where = [&] { return at("kernel '%.100s'", kernel); };
  if (grid[0] < 0 || grid[1] < 0 || grid[2] < 0 || grid[0] > maxGridX ||
      grid[1] > maxGridYZ || grid[2] > maxGridYZ)
    return fail(EINHEAD_OUT_OF_RANGE, where(),
                "a grid of %" PRId64 " x %" PRId64 " x %" PRId64
                " blocks, at most 2147483647 x 65535 x 65535 are possible; "
                "call with smaller tensors",
                grid[0], grid[1], grid[2]);
  bool isBlock = true;
  for (int i = 0; i < 3; ++i)
    isBlock &= block[i] > 0 && block[i] <= maxBlock;
  if (!isBlock || block[0] * block[1] * block[2] > maxBlock)
    return fail(EINHEAD_INTERNAL, where(),
                "a block of %" PRId64 " x %" PRId64 " x %" PRId64
                " threads, at most 1024 are possible",
                block[0], block[1], block[2]);
  if (cluster < 0 || cluster > maxCluster ||
      (cluster > 0 && grid[0] % cluster != 0))
    return fail(EINHEAD_INTERNAL, where(),
                "%" PRId64 " blocks in clusters of %" PRId64, grid[0], cluster);
  return EINHEAD_OK;
}

einhead_status_t GPUSession::launch(const char *kernel, const int64_t grid[3],
                                    const int64_t block[3], int64_t cluster,
                                    int64_t sharedBytes, void **arguments) {
  if (einhead_status_t status = checkShape(kernel, grid, block, cluster))
    return status;
  if (sharedBytes < 0 || sharedBytes > gpu.sharedBytesPerBlock())
    return fail(EINHEAD_RESOURCE_EXHAUSTED, at("kernel '%.100s'", kernel),
                "'%.100s' asks for %" PRId64 " bytes of shared memory, GPU %d "
                "has %" PRId64 " for a block; compile with another schedule",
                kernel, sharedBytes, gpu.ordinal(), gpu.sharedBytesPerBlock());
  if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0)
    return EINHEAD_OK; // an empty tensor
  Handle function = nullptr;
  if (einhead_status_t status =
          module->kernel(kernel, static_cast<int>(sharedBytes),
                         static_cast<int>(cluster), function))
    return status;
  LaunchConfig config = {};
  for (int i = 0; i < 3; ++i) {
    config.grid[i] = static_cast<unsigned>(grid[i]);
    config.block[i] = static_cast<unsigned>(block[i]);
  }
  config.sharedBytes = static_cast<unsigned>(sharedBytes);
  config.stream = stream;
  LaunchAttribute attribute = {};
  if (cluster == 0) {
    attribute.id = LaunchAttribute::cooperative;
    attribute.isCooperative = 1;
    config.attributes = &attribute;
    config.attributeCount = 1;
  } else if (cluster > 1) {
    attribute.id = LaunchAttribute::clusterDimension;
    attribute.cluster[0] = static_cast<unsigned>(cluster);
    attribute.cluster[1] = attribute.cluster[2] = 1;
    config.attributes = &attribute;
    config.attributeCount = 1;
  }
  Result result = gpu.driver().launch(&config, function, arguments, nullptr);
  if (result == Success)
    return EINHEAD_OK;
  if (result == CooperativeLaunchTooLarge)
    return fail(EINHEAD_RESOURCE_EXHAUSTED, at("kernel '%.100s'", kernel),
                "'%.60s' needs %u x %u x %u blocks at once, more than GPU %d "
                "runs; compile with another schedule",
                kernel, config.grid[0], config.grid[1], config.grid[2],
                gpu.ordinal());
  return gpu.check(result, at("kernel '%.100s'", kernel),
                   "cuLaunchKernelEx of '%.60s' on %u x %u x %u blocks", kernel,
                   config.grid[0], config.grid[1], config.grid[2]);
}

einhead_status_t GPUSession::clusters(const char *kernel, int64_t cluster,
                                      int64_t threads, int64_t sharedBytes,
                                      int64_t &out) {
  out = INT64_MAX;
  if (cluster <= 1)
    return EINHEAD_OK;
  out = 0;
  if (cluster > maxCluster || threads <= 0 || threads > maxBlock ||
      sharedBytes < 0 || sharedBytes > gpu.sharedBytesPerBlock())
    return EINHEAD_OK;
  return module->clusters(kernel, static_cast<int>(cluster),
                          static_cast<int>(threads),
                          static_cast<int>(sharedBytes), out);
}

namespace {
/// A tensor map's numbers as the driver takes them.
struct MapShape {
  uint64_t sizes[maxMapRank], strides[maxMapRank];
  uint32_t box[maxMapRank], steps[maxMapRank];
};
} // namespace

/// What a tensor must be for a map, with the reason where it is not.
static einhead_status_t checkMap(const void *base, int64_t rank,
                                 const int64_t *sizes,
                                 const int64_t *byteStrides, const int64_t *box,
                                 MapShape &out) {
  if (reinterpret_cast<uintptr_t>(base) % 16 != 0)
    return fail(EINHEAD_INVALID_ARGUMENT, "tensor map",
                "a tensor that the kernel loads in boxes starts at %p, wanted "
                "a multiple of 16 bytes; copy it to an aligned place",
                base);
  for (int64_t i = 0; i < rank; ++i) {
    if (sizes[i] < 1 || sizes[i] > int64_t(1) << 32 || box[i] < 1 ||
        box[i] > maxBox)
      return fail(EINHEAD_OUT_OF_RANGE, "tensor map",
                  "dimension %" PRId64 " (from the inside) has %" PRId64
                  " elements in boxes of %" PRId64
                  ", at most 2^32 in boxes of 256 are possible",
                  i, sizes[i], box[i]);
    if (i > 0 && (byteStrides[i - 1] < 0 || byteStrides[i - 1] % 16 != 0 ||
                  byteStrides[i - 1] >= int64_t(1) << 40))
      return fail(EINHEAD_INVALID_ARGUMENT, "tensor map",
                  "dimension %" PRId64 " (from the inside) has a stride of "
                  "%" PRId64 " bytes, wanted a multiple of 16 below 2^40; make "
                  "the tensor contiguous",
                  i, byteStrides[i - 1]);
    out.sizes[i] = static_cast<uint64_t>(sizes[i]);
    out.strides[i] = i > 0 ? static_cast<uint64_t>(byteStrides[i - 1]) : 0;
    out.box[i] = static_cast<uint32_t>(box[i]);
    out.steps[i] = 1;
  }
  return EINHEAD_OK;
}

einhead_status_t GPUSession::tensorMap(void *map, void *base, int64_t type,
                                       int64_t rank, const int64_t *sizes,
                                       const int64_t *byteStrides,
                                       const int64_t *box,
                                       int64_t swizzleBytes) {
  constexpr int types[] = {MapUInt8, MapFloat16, MapBFloat16, MapFloat32};
  int swizzle = swizzleBytes == 0     ? 0
                : swizzleBytes == 32  ? 1
                : swizzleBytes == 64  ? 2
                : swizzleBytes == 128 ? 3
                                      : -1;
  if (type < 0 || type > 3 || rank < 1 || rank > maxMapRank || swizzle < 0 ||
      reinterpret_cast<uintptr_t>(map) % 64 != 0)
    return fail(EINHEAD_INTERNAL, "tensor map",
                "a map of type %" PRId64 ", rank %" PRId64 " and swizzle "
                "%" PRId64 " at %p",
                type, rank, swizzleBytes, map);
  if (!gpu.driver().encodeTensorMap)
    return fail(EINHEAD_UNIMPLEMENTED, "tensor map",
                "the NVIDIA driver is too old for tensor maps (CUDA 12); "
                "update it");
  MapShape shape;
  if (einhead_status_t status =
          checkMap(base, rank, sizes, byteStrides, box, shape))
    return status;
  return gpu.check(
      gpu.driver().encodeTensorMap(
          map, types[type], static_cast<unsigned>(rank), base, shape.sizes,
          shape.strides + 1, shape.box, shape.steps, /*interleave=*/0, swizzle,
          MapPromotion128, /*outOfBounds=*/0),
      "tensor map", "cuTensorMapEncodeTiled of %p, rank %" PRId64, base, rank);
}
