//===- Threads.cpp - The host table that compiled code calls ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "cpu/Threads.h"

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdint>
#include <exception>
#ifdef _OPENMP
#include <omp.h>
#else
#include <thread>
#include <vector>
#endif

using namespace einhead::runtime;

namespace {
/// The call of this thread; null on threads that only run bodies.
thread_local CallContext *currentCall = nullptr;

using Body = void (*)(void *context, int64_t begin, int64_t end);

void parallelForThreads(int threads, int64_t count, Body body, void *context) {
  // Neighbouring items are neighbouring memory, and cost unlike amounts (the
  // last chunk of a sequence, a masked tile): each thread takes runs of them,
  // shorter the less is left, so that all end together.
  constexpr int64_t shares = 4;
  if (count < threads)
    threads = static_cast<int>(count);
  std::atomic<int64_t> next{0};
  auto work = [&] {
    int64_t begin = next.load(std::memory_order_relaxed);
    while (begin < count) {
      int64_t run = (count - begin) / (shares * threads);
      int64_t end = begin + (run < 1 ? 1 : run);
      if (!next.compare_exchange_weak(begin, end, std::memory_order_relaxed))
        continue;
      body(context, begin, end);
      begin = next.load(std::memory_order_relaxed);
    }
  };
#ifdef _OPENMP
#pragma omp parallel num_threads(threads)
  work();
#else
  // Without OpenMP, threads of this call: slower to start, of the same effect.
  std::vector<std::thread> others;
  try {
    for (int i = 1; i < threads; ++i)
      others.emplace_back(work);
  } catch (const std::exception &) {
    // Those that did start, and this one, do all of it.
  }
  work();
  for (std::thread &other : others)
    other.join();
#endif
}

void parallelFor(int64_t count, Body body, void *context) {
  if (count <= 0)
    return;
  CallContext *call = currentCall;
  // A body that is itself parallel (currentCall is null on workers), or
  // nothing to share out: run here.
  if (!call || count == 1) {
    body(context, 0, count);
    return;
  }
  if (call->parallelFor) {
    call->parallelFor(call->parallelForUser, count, body, context);
    return;
  }
  if (call->threads == 1) {
    body(context, 0, count);
    return;
  }
  parallelForThreads(call->threads, count, body, context);
}

/// Nothing is thrown into generated code.
template <typename Function>
einhead_status_t attempt(Function &&function) noexcept {
  try {
    return function();
  } catch (const std::exception &) {
    return fail(EINHEAD_RESOURCE_EXHAUSTED, "", "out of memory");
  }
}

/// Leaves the call with a failure.  Only frames of generated code, and of this
/// file without objects to destroy, lie between here and callEntry.
void endOnFailure(CallContext &call, einhead_status_t status) {
  if (status == EINHEAD_OK)
    return;
  call.failure = status;
  longjmp(call.failed, 1);
}

void *allocate(int64_t bytes, int64_t alignment) {
  CallContext *call = currentCall;
  if (!call)
    return nullptr; // outside of a call: against the contract
  if (call->device) {
    void *memory = nullptr;
    endOnFailure(*call, attempt([&] {
      return call->device->workspace(bytes, alignment, memory);
    }));
    return memory;
  }
  if (void *memory = call->arena->allocate(bytes, alignment))
    return memory;
  endOnFailure(*call, fail(EINHEAD_RESOURCE_EXHAUSTED, "workspace",
                           "no memory for %" PRId64
                           " bytes of workspace of '%.60s', which holds %zu "
                           "already",
                           bytes, call->function, call->arena->capacity()));
  return nullptr; // not reached
}

/// Runs a function of the table that only sessions on a device have.
template <typename Function> void onDevice(Function &&function) {
  CallContext *call = currentCall;
  if (!call)
    return; // as above
  if (!call->device)
    endOnFailure(*call, fail(EINHEAD_CORRUPT_ARTIFACT, "code",
                             "'%.60s' works on a device, but the module has no "
                             "device code",
                             call->function));
  endOnFailure(*call, attempt([&] { return function(*call->device); }));
}

void launch(const char *kernel, const int64_t grid[3], const int64_t block[3],
            int64_t cluster, int64_t sharedBytes, void **arguments) {
  onDevice([&](DeviceSession &device) {
    return device.launch(kernel, grid, block, cluster, sharedBytes, arguments);
  });
}

void tensorMap(void *map, void *base, int64_t type, int64_t rank,
               const int64_t *sizes, const int64_t *byteStrides,
               const int64_t *box, int64_t swizzleBytes) {
  onDevice([&](DeviceSession &device) {
    return device.tensorMap(map, base, type, rank, sizes, byteStrides, box,
                            swizzleBytes);
  });
}

void *zeroed(int64_t bytes) {
  void *memory = nullptr;
  onDevice([&](DeviceSession &device) { return device.zeroed(bytes, memory); });
  return memory;
}

int64_t multiprocessors() {
  int64_t count = 0;
  onDevice([&](DeviceSession &device) {
    count = device.multiprocessors();
    return EINHEAD_OK;
  });
  return count;
}

int64_t clusters(const char *kernel, int64_t cluster, int64_t threads,
                 int64_t sharedBytes) {
  int64_t count = 0;
  onDevice([&](DeviceSession &device) {
    return device.clusters(kernel, cluster, threads, sharedBytes, count);
  });
  return count;
}

const einhead_host_t table = {parallelFor, allocate,        launch,  tensorMap,
                              zeroed,      multiprocessors, clusters};
} // namespace

const einhead_host_t *einhead::runtime::hostTable() { return &table; }

int einhead::runtime::availableThreads() {
#ifdef _OPENMP
  return omp_get_num_procs();
#else
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
#endif
}

einhead_status_t einhead::runtime::callEntry(einhead_entry_t entry,
                                             void **arguments,
                                             CallContext &context) {
  // A host's parallel_for may itself step another session on this thread.
  CallContext *const outer = currentCall;
  currentCall = &context;
  // No object with a destructor may live in this frame: longjmp skips them.
  if (setjmp(context.failed) != 0) {
    currentCall = outer;
    return context.failure;
  }
  entry(arguments);
  currentCall = outer;
  return EINHEAD_OK;
}
