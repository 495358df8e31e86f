//===- Threads.cpp - The host table that compiled code calls ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "cpu/Threads.h"

#include <atomic>
#include <omp.h>

using namespace einhead::runtime;

namespace {
/// The call of this thread; null on threads that only run bodies.
thread_local CallContext *currentCall = nullptr;

using Body = void (*)(void *context, int64_t begin, int64_t end);

void parallelForOpenMP(int threads, int64_t count, Body body, void *context) {
  // Neighbouring items are neighbouring memory, and cost unlike amounts (the
  // last chunk of a sequence, a masked tile): each thread takes runs of them,
  // shorter the less is left, so that all end together.
  constexpr int64_t shares = 4;
  if (count < threads)
    threads = static_cast<int>(count);
  std::atomic<int64_t> next{0};
#pragma omp parallel num_threads(threads)
  {
    int64_t begin = next.load(std::memory_order_relaxed);
    while (begin < count) {
      int64_t run = (count - begin) / (shares * threads);
      int64_t end = begin + (run < 1 ? 1 : run);
      if (!next.compare_exchange_weak(begin, end, std::memory_order_relaxed))
        continue;
      body(context, begin, end);
      begin = next.load(std::memory_order_relaxed);
    }
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
