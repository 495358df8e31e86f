//===- Memory.cpp - Device memory and the workspace of a session ----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "cuda/Memory.h"

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <memory>
#include <utility>

using namespace einhead::runtime;
using namespace einhead::runtime::cuda;

namespace {
constexpr size_t smallestChunk = size_t(1) << 20;
/// Larger requests are mistakes, and arithmetic on smaller ones cannot
/// overflow.
constexpr int64_t absurdBytes = int64_t(1) << 46;
constexpr int64_t largestAlignment = int64_t(1) << 20;
/// What the driver aligns allocations to.
constexpr int64_t naturalAlignment = 256;
} // namespace

Buffer &Buffer::operator=(Buffer &&other) noexcept {
  std::swap(context, other.context);
  std::swap(start, other.start);
  std::swap(bytes, other.bytes);
  return *this;
}

Buffer::~Buffer() {
  // The driver waits for work that uses the memory.  Errors are those of a lost
  // context, with which the memory went.
  const Driver *driver = start ? &context->driver() : nullptr;
  if (!driver || driver->pushContext(context->handle()) != Success)
    return;
  driver->free(start);
  Handle popped = nullptr;
  driver->popContext(&popped);
}

einhead_status_t Buffer::allocate(const std::shared_ptr<Context> &on,
                                  size_t wanted, const Where &where) {
  wanted = std::max(wanted, size_t(1));
  Address got = 0;
  if (einhead_status_t status =
          on->check(on->driver().allocate(&got, wanted), where,
                    "cuMemAlloc of %zu bytes", wanted))
    return status;
  context = on;
  start = got;
  bytes = wanted;
  return EINHEAD_OK;
}

bool Arena::take(size_t bytes, size_t alignment, void *&out) {
  for (; current < chunks.size(); ++current, used = 0) {
    const Buffer &chunk = chunks[current];
    size_t base = chunk.address();
    size_t begin = (base + used + alignment - 1) / alignment * alignment - base;
    if (begin > chunk.size() || bytes > chunk.size() - begin)
      continue;
    used = begin + bytes;
    out = reinterpret_cast<void *>(base + begin);
    return true;
  }
  return false;
}

einhead_status_t Arena::grow(size_t least, Handle stream) {
  size_t free =
      static_cast<size_t>(std::max<int64_t>(budget.limit - budget.held, 0));
  if (least > free)
    return fail(EINHEAD_RESOURCE_EXHAUSTED, "workspace",
                "the code wants %zu bytes more of device workspace, the "
                "session holds %" PRId64 " and may hold %" PRId64
                "; raise workspace_limit in the session's options",
                least, budget.held, budget.limit);
  // Each chunk is at least twice the one before, so few are ever needed.
  size_t last = chunks.empty() ? 0 : chunks.back().size();
  size_t wanted = std::min(std::max({smallestChunk, 2 * last, least}), free);
  Buffer chunk;
  einhead_status_t status = chunk.allocate(context, wanted, "workspace");
  if (status == EINHEAD_RESOURCE_EXHAUSTED && wanted > least)
    status = chunk.allocate(context, wanted = least, "workspace");
  if (status)
    return status;
  if (isZeroed)
    if ((status = context->check(
             context->driver().fill(chunk.address(), 0, wanted, stream),
             "workspace", "cuMemsetD8Async of %zu bytes", wanted)))
      return status;
  current = chunks.size();
  used = 0;
  chunks.push_back(std::move(chunk));
  budget.held += static_cast<int64_t>(wanted);
  return EINHEAD_OK;
}

einhead_status_t Arena::allocate(int64_t bytes, int64_t alignment, bool mayGrow,
                                 Handle stream, void *&out) {
  if (bytes < 0 || bytes > absurdBytes || alignment < 0 ||
      alignment > largestAlignment || (alignment & (alignment - 1)) != 0)
    return fail(EINHEAD_RESOURCE_EXHAUSTED, "workspace",
                "no device memory has %" PRId64 " bytes at a multiple of "
                "%" PRId64,
                bytes, alignment);
  size_t align = static_cast<size_t>(std::max(alignment, naturalAlignment));
  size_t size = static_cast<size_t>(std::max<int64_t>(bytes, 1));
  if (take(size, align, out))
    return EINHEAD_OK;
  if (!mayGrow)
    return fail(EINHEAD_FAILED_PRECONDITION, "workspace",
                "the call needs %zu bytes more of device workspace, and none "
                "can be made while a stream is being captured; call once with "
                "tensors of this shape before capturing",
                size);
  size_t slack = align > static_cast<size_t>(naturalAlignment) ? align : 0;
  if (einhead_status_t status = grow(size + slack, stream))
    return status;
  if (take(size, align, out))
    return EINHEAD_OK;
  return fail(EINHEAD_INTERNAL, "workspace",
              "a new chunk of device memory is too small");
}
