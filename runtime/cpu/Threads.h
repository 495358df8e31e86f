//===- Threads.h - The host table that compiled code calls ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CPU_THREADS_H
#define EINHEAD_RUNTIME_CPU_THREADS_H

#include "core/Device.h"
#include "core/Memory.h"
#include "einhead/runtime.h"

#include <csetjmp>

namespace einhead::runtime {

/// What the host table needs to know of the call in progress.
struct CallContext {
  Arena *arena = nullptr;
  int threads = 1;
  einhead_parallel_for_t parallelFor = nullptr;
  void *parallelForUser = nullptr;
  DeviceSession *device = nullptr; // null: the session is on the CPU
  const char *function = "";       // for messages
  /// Where control goes when a function of the table fails, and its status,
  /// which is on record.
  jmp_buf failed;
  einhead_status_t failure = EINHEAD_OK;
};

/// The table whose address the loader stores in modules.
const einhead_host_t *hostTable();

/// Calls compiled code with `context` as this thread's call.  Returns what
/// ended it where a function of the table failed.
einhead_status_t callEntry(einhead_entry_t entry, void **arguments,
                           CallContext &context);

/// OpenMP's number of processors for this process.
int availableThreads();

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CPU_THREADS_H
