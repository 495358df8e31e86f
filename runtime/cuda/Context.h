//===- Context.h - One GPU of this process ----------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CUDA_CONTEXT_H
#define EINHEAD_RUNTIME_CUDA_CONTEXT_H

#include "cuda/Driver.h"

#include <atomic>
#include <cstdint>
#include <memory>

namespace einhead::runtime::cuda {

struct ComputeCapability {
  int major = 0, minor = 0;
};

/// A GPU's primary context, which all sessions and the caller share.  Errors
/// after which it is unusable are remembered here, for all of them.
class Context {
public:
  /// The context of the GPU of this ordinal.
  static einhead_status_t open(int ordinal, std::shared_ptr<Context> &out);
  ~Context();

  /// OK for success, or the status of a failure of `what`.
  einhead_status_t check(Result result, const Where &where, const char *what,
                         ...) __attribute__((format(printf, 4, 5)));
  /// DEVICE_LOST after an error that the context did not survive.
  einhead_status_t status() const;

  const Driver &driver() const { return *cuda; }
  Handle handle() const { return context; }
  int ordinal() const { return number; }
  ComputeCapability capability() const { return compute; }
  int multiprocessors() const { return processors; }
  int64_t sharedBytesPerBlock() const { return sharedBytes; }

  /// The runtime's own kernels (LengthKernels.h).
  Handle advanceLengths() const { return advanceFunction; }
  Handle setLength() const { return setFunction; }

private:
  Context() = default;
  einhead_status_t retain(int ordinal);
  einhead_status_t readAttributes();
  einhead_status_t loadLengthKernels();

  const Driver *cuda = nullptr;
  int number = 0;
  DeviceNumber device = 0;
  Handle context = nullptr;
  ComputeCapability compute;
  int processors = 0, sharedBytes = 0;
  Handle lengthModule = nullptr, advanceFunction = nullptr,
         setFunction = nullptr;
  std::atomic<Result> lost{Success};
};

/// Makes a context this thread's, for a while.
class Current {
public:
  explicit Current(Context &context) : context(context) {}
  Current(const Current &) = delete;
  Current &operator=(const Current &) = delete;
  ~Current() { leave(); }
  einhead_status_t enter();
  void leave();

private:
  Context &context;
  bool isEntered = false;
};

} // namespace einhead::runtime::cuda

#endif // EINHEAD_RUNTIME_CUDA_CONTEXT_H
