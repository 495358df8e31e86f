//===- Lengths.cpp - Lengths and cache views of sessions --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Session.h"

#include <cinttypes>
#include <cstdint>
#include <cstring>
#include <vector>

using namespace einhead::runtime;

/// What the three functions below share: a session, held, and a sequence.
static einhead_status_t checkSequence(const einhead_session_t &session,
                                      int64_t b) {
  int64_t batch = static_cast<int64_t>(session.lengths.size());
  if (b < 0 || b >= batch)
    return fail(EINHEAD_OUT_OF_RANGE, at("sequence %" PRId64, b),
                "sequence %" PRId64 " of a batch of %" PRId64, b, batch);
  return EINHEAD_OK;
}

einhead_status_t einhead_session_length(einhead_session_t *session, int64_t b,
                                        int64_t *out_length) {
  if (out_length)
    *out_length = 0;
  return guarded([&]() -> einhead_status_t {
    if (!session || !out_length)
      return fail(EINHEAD_INVALID_ARGUMENT, session ? "out_length" : "session",
                  "a required pointer is null");
    SessionGuard guard(session);
    if (einhead_status_t status = guard.status())
      return status;
    if (einhead_status_t status = checkSequence(*session, b))
      return status;
    *out_length = session->lengths[b];
    return EINHEAD_OK;
  });
}

einhead_status_t einhead_session_set_length(einhead_session_t *session,
                                            int64_t b, int64_t length) {
  return guarded([&]() -> einhead_status_t {
    if (!session)
      return fail(EINHEAD_INVALID_ARGUMENT, "session",
                  "a required pointer is null");
    SessionGuard guard(session);
    if (einhead_status_t status = guard.status())
      return status;
    if (einhead_status_t status = checkSequence(*session, b))
      return status;
    if (length < 0)
      return fail(EINHEAD_INVALID_ARGUMENT, at("sequence %" PRId64, b),
                  "length %" PRId64 ", wanted 0 or more", length);
    if (length > session->capacity)
      return fail(EINHEAD_OUT_OF_RANGE, at("sequence %" PRId64, b),
                  "length %" PRId64 " is beyond the capacity %" PRId64, length,
                  session->capacity);
    if (session->device)
      if (einhead_status_t status =
              session->device->setLength(static_cast<size_t>(b), length))
        return status;
    session->lengths[b] = length;
    return EINHEAD_OK;
  });
}

einhead_status_t einhead_session_cache(einhead_session_t *session,
                                       const char *name, DLTensor *out_view) {
  if (out_view)
    std::memset(out_view, 0, sizeof(*out_view));
  return guarded([&]() -> einhead_status_t {
    if (!session || !name || !out_view)
      return fail(EINHEAD_INVALID_ARGUMENT,
                  !session ? "session"
                  : !name  ? "name"
                           : "out_view",
                  "a required pointer is null");
    SessionGuard guard(session);
    if (einhead_status_t status = guard.status())
      return status;
    const std::vector<Argument> &caches = session->module->manifest.caches;
    for (size_t i = 0; i < caches.size(); ++i) {
      if (caches[i].name != name)
        continue;
      Cache &cache = session->caches[i];
      out_view->data = cache.data;
      out_view->device = session->dlDevice();
      out_view->ndim = static_cast<int>(cache.extents.size());
      out_view->dtype = elementDLType(caches[i].type);
      out_view->shape = cache.extents.data();
      out_view->strides = cache.strides.data();
      return EINHEAD_OK;
    }
    return fail(EINHEAD_NOT_FOUND, "name", "the module has no cache '%.100s'",
                name);
  });
}

einhead_status_t einhead_session_will_replay(einhead_session_t *session,
                                             const char *function,
                                             int64_t times) {
  return guarded([&]() -> einhead_status_t {
    if (!session || !function)
      return fail(EINHEAD_INVALID_ARGUMENT, session ? "function" : "session",
                  "a required pointer is null");
    SessionGuard guard(session);
    if (einhead_status_t status = guard.status())
      return status;
    const Manifest &manifest = session->module->manifest;
    size_t f = 0;
    if (einhead_status_t status = manifest.require(function, f))
      return status;
    if (session->device)
      if (einhead_status_t status = session->device->status())
        return status;
    if (times < 0)
      return fail(EINHEAD_INVALID_ARGUMENT, "times",
                  "times is %" PRId64 ", wanted 0 or more", times);
    int64_t advance = session->frames[f].capturedAdvance, keys = 0;
    if (advance < 0)
      return fail(EINHEAD_FAILED_PRECONDITION, "function",
                  advance == -1
                      ? "no call of '%.100s' was captured in this session"
                      : "captured calls of '%.100s' add different numbers of "
                        "keys; set the lengths with einhead_session_set_length",
                  function);
    if (__builtin_mul_overflow(advance, times, &keys))
      keys = INT64_MAX;
    if (einhead_status_t status = session->checkRoom(keys))
      return status;
    for (int64_t &length : session->lengths)
      length += keys;
    return EINHEAD_OK;
  });
}

einhead_status_t einhead_session_set_stream(einhead_session_t *session,
                                            void *stream) {
  return guarded([&]() -> einhead_status_t {
    if (!session)
      return fail(EINHEAD_INVALID_ARGUMENT, "session",
                  "a required pointer is null");
    SessionGuard guard(session);
    if (einhead_status_t status = guard.status())
      return status;
    if (!session->device)
      return fail(EINHEAD_FAILED_PRECONDITION, "stream",
                  "the session is on the CPU, where nothing has a stream");
    return session->device->setStream(stream);
  });
}

einhead_status_t einhead_session_synchronize(einhead_session_t *session) {
  return guarded([&]() -> einhead_status_t {
    if (!session)
      return fail(EINHEAD_INVALID_ARGUMENT, "session",
                  "a required pointer is null");
    SessionGuard guard(session);
    if (einhead_status_t status = guard.status())
      return status;
    return session->device ? session->device->synchronize() : EINHEAD_OK;
  });
}
