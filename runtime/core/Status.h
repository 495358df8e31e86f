//===- Status.h - Statuses and the record of the last error -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CORE_STATUS_H
#define EINHEAD_RUNTIME_CORE_STATUS_H

#include "einhead/runtime.h"

#include <new>

namespace einhead::runtime {

/// The place of an error: a file section and offset, or an argument and its
/// dimension.  A fixed buffer, so that an error for lack of memory needs none.
struct Where {
  char text[sizeof(einhead_error_t::where)];
  Where(const char *place);
};

/// Formats a place.
Where at(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// Records an error of this thread and returns its status.
einhead_status_t fail(einhead_status_t status, const Where &where,
                      const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/// Forgets the last error of this thread.
void clearError();

/// The boundary of every C entry: nothing is thrown across it, and a call that
/// succeeds leaves no stale error behind.
template <typename Function>
einhead_status_t guarded(Function &&function) noexcept {
  try {
    einhead_status_t status = function();
    if (status == EINHEAD_OK)
      clearError();
    return status;
  } catch (const std::bad_alloc &) {
    return fail(EINHEAD_RESOURCE_EXHAUSTED, "", "out of memory");
  } catch (...) {
    return fail(EINHEAD_INTERNAL, "", "an exception inside the runtime");
  }
}

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CORE_STATUS_H
