//===- Threads.cpp - The host table that compiled code calls ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "cpu/Threads.h"

#include <omp.h>

using namespace einhead::runtime;

namespace {
/// The call of this thread; null on threads that only run bodies.
thread_local CallContext *currentCall = nullptr;

using Body = void (*)(void *context, int64_t begin, int64_t end);

void parallelForOpenMP(int threads, int64_t count, Body body, void *context) {
  // Items are tiles or chunks of keys of unequal cost: hand out one at a time,
  // more where there are so many that the counter would be contended.
  constexpr int64_t shares = 64;
  int64_t step = count / (shares * threads);
  if (step < 1)
    step = 1;
  int64_t chunks = (count - 1) / step + 1;
  if (chunks < threads)
    threads = static_cast<int>(chunks);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    int64_t begin = chunk * step;
    int64_t end = count - begin < step ? count : begin + step;
    body(context, begin, end);
  }
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
  parallelForOpenMP(call->threads, count, body, context);
}

void *allocate(int64_t bytes, int64_t alignment) {
  CallContext *call = currentCall;
  if (!call)
    return nullptr; // outside of a call: against the contract
  if (void *memory = call->arena->allocate(bytes, alignment))
    return memory;
  call->requestedBytes = bytes;
  // Only frames of generated code lie between here and callEntry.
  longjmp(call->outOfMemory, 1);
}

const einhead_host_t table = {parallelFor, allocate};
} // namespace

const einhead_host_t *einhead::runtime::hostTable() { return &table; }

int einhead::runtime::availableThreads() { return omp_get_num_procs(); }

bool einhead::runtime::callEntry(einhead_entry_t entry, void **arguments,
                                 CallContext &context) {
  // A host's parallel_for may itself step another session on this thread.
  CallContext *const outer = currentCall;
  currentCall = &context;
  // No object with a destructor may live in this frame: longjmp skips them.
  if (setjmp(context.outOfMemory) != 0) {
    currentCall = outer;
    return false;
  }
  entry(arguments);
  currentCall = outer;
  return true;
}
