//===- Session.h - The state of one decode stream ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CORE_SESSION_H
#define EINHEAD_RUNTIME_CORE_SESSION_H

#include "core/Module.h"
#include "core/TensorCheck.h"
#include "cpu/Threads.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace einhead::runtime {

/// A cache's memory and its shape, as views hand it out.
struct Cache {
  Pages pages; // empty for a session on a device
  void *data = nullptr;
  size_t bytes = 0;
  std::vector<int64_t> extents, strides;

  ByteRange range() const {
    uintptr_t begin = reinterpret_cast<uintptr_t>(data);
    return {begin, begin + bytes};
  }
};

/// The arguments of one function, laid out once: a step only fills in what the
/// caller passes, and allocates nothing.
struct Frame {
  std::vector<int64_t> words;   // memrefs and scalars, 2 words at least each
  std::vector<int64_t> lengths; // what code sees of the session's lengths
  std::vector<size_t> starts;   // each argument's first word
  std::vector<void *> arguments;
  /// What a captured call of it adds to the lengths; -1: none was captured, -2:
  /// some that add different numbers.
  int64_t capturedAdvance = -1;
};

} // namespace einhead::runtime

struct einhead_session_t {
  einhead_module_t *module = nullptr;
  std::atomic<bool> isBusy{false};
  /// What the session's options and nothing else bind; -1 elsewhere.
  einhead::runtime::Bindings fixedBindings;
  /// Where caches, lengths and workspace are; null: on the CPU.
  std::unique_ptr<einhead::runtime::DeviceSession> device;
  std::vector<einhead::runtime::Cache> caches; // as Manifest::caches
  /// One per sequence; of a session on a device, what they will be there once
  /// all calls so far are done.
  std::vector<int64_t> lengths;
  int64_t capacity = INT64_MAX;                // the smallest cache's
  std::vector<einhead::runtime::Frame> frames; // as Manifest::functions
  einhead::runtime::Arena arena;
  einhead::runtime::CallContext context;
  // Scratch of a call, sized when the session is created.
  einhead::runtime::Bindings bindings;
  std::vector<einhead::runtime::ByteRange> ranges;

  /// OUT_OF_RANGE where the caches have no room for this many keys more.
  einhead_status_t checkRoom(int64_t keys) const;

  DLDevice dlDevice() const {
    return device ? device->device() : DLDevice{kDLCPU, 0};
  }

  ~einhead_session_t() {
    device.reset(); // it looks into the module
    if (module)
      module->release();
  }
};

namespace einhead::runtime {

/// Holds a session for one C call; the second caller is turned away.
class SessionGuard {
public:
  explicit SessionGuard(einhead_session_t *session) : session(session) {
    isHeld = !session->isBusy.exchange(true, std::memory_order_acquire);
  }
  SessionGuard(const SessionGuard &) = delete;
  SessionGuard &operator=(const SessionGuard &) = delete;
  ~SessionGuard() {
    if (isHeld)
      session->isBusy.store(false, std::memory_order_release);
  }
  /// OK, or BUSY with a message.
  einhead_status_t status() const {
    if (isHeld)
      return EINHEAD_OK;
    return fail(EINHEAD_BUSY, "session",
                "another call uses this session; give each thread its own");
  }

private:
  einhead_session_t *session;
  bool isHeld;
};

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CORE_SESSION_H
