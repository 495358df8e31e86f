//===- Session.cpp - A session's side on a GPU ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "cuda/Session.h"

#include <cinttypes>
#include <cstdint>
#include <memory>
#include <utility>

using namespace einhead::runtime;
using namespace einhead::runtime::cuda;

namespace {
constexpr int64_t defaultWorkspaceLimit = int64_t(1) << 30;
constexpr unsigned ownBlock = 256; // threads of the runtime's own kernels
} // namespace

GPUSession::GPUSession(std::shared_ptr<GPUModule> of, void *stream,
                       int64_t workspaceLimit)
    : module(std::move(of)), gpu(*module->context()), stream(stream),
      budget{workspaceLimit > 0 ? workspaceLimit : defaultWorkspaceLimit, 0},
      scratch(module->context(), budget, /*isZeroed=*/false),
      zeros(module->context(), budget, /*isZeroed=*/true), current(gpu) {}

DLDevice GPUSession::device() const { return {kDLCUDA, gpu.ordinal()}; }

einhead_status_t GPUSession::allocate(size_t bytes, const Where &where,
                                      void *&out) {
  Current here(gpu);
  if (einhead_status_t status = here.enter())
    return status;
  Buffer buffer;
  if (einhead_status_t status =
          buffer.allocate(module->context(), bytes, where))
    return status;
  if (einhead_status_t status = gpu.check(
          gpu.driver().fill(buffer.address(), 0, buffer.size(), stream), where,
          "cuMemsetD8Async of %zu bytes", buffer.size()))
    return status;
  out = buffer.data();
  buffers.push_back(std::move(buffer));
  return EINHEAD_OK;
}

einhead_status_t GPUSession::makeLengths(size_t count) {
  Current here(gpu);
  if (einhead_status_t status = here.enter())
    return status;
  sequences = static_cast<uint32_t>(count); // at most 2^24
  struct {
    Buffer &buffer;
    size_t bytes;
  } const widths[] = {{wideLengths, count * sizeof(int64_t)},
                      {shortLengths, count * sizeof(int32_t)}};
  for (const auto &[buffer, bytes] : widths) {
    if (einhead_status_t status =
            buffer.allocate(module->context(), bytes, "lengths"))
      return status;
    if (einhead_status_t status =
            gpu.check(gpu.driver().fill(buffer.address(), 0, bytes, stream),
                      "lengths", "cuMemsetD8Async of %zu bytes", bytes))
      return status;
  }
  return EINHEAD_OK;
}

einhead_status_t GPUSession::readCapture(bool &out) {
  int status = CaptureNone;
  if (Result result = gpu.driver().isCapturing(stream, &status))
    return gpu.check(result, "stream", "cuStreamIsCapturing");
  out = status == CaptureActive;
  if (status != CaptureNone && !out)
    return fail(EINHEAD_FAILED_PRECONDITION, "stream",
                "the capture of the stream failed before this call; end it and "
                "begin another one");
  return EINHEAD_OK;
}

einhead_status_t GPUSession::refuseCapture(const char *what) {
  Current here(gpu);
  if (einhead_status_t status = here.enter())
    return status;
  bool capturing = false;
  if (einhead_status_t status = readCapture(capturing))
    return status;
  if (!capturing)
    return EINHEAD_OK;
  return fail(EINHEAD_FAILED_PRECONDITION, "stream",
              "the stream is being captured, and %s cannot be part of a graph; "
              "do it before or after",
              what);
}

einhead_status_t GPUSession::beginCall(bool &outIsCapturing) {
  if (einhead_status_t status = gpu.status())
    return status;
  if (einhead_status_t status = current.enter())
    return status;
  if (einhead_status_t status = readCapture(isCapturing)) {
    current.leave();
    return status;
  }
  scratch.reset();
  zeros.reset();
  outIsCapturing = isCapturing;
  return EINHEAD_OK;
}

void GPUSession::endCall() { current.leave(); }

/// Launches a kernel of LengthKernels.h over all lengths or for one.
einhead_status_t GPUSession::runOwnKernel(Handle function, const char *name,
                                          int64_t value, uint32_t index,
                                          unsigned blocks) {
  Address wide = wideLengths.address(), narrow = shortLengths.address();
  void *arguments[] = {&wide, &narrow, &value, &index};
  LaunchConfig config = {{blocks, 1, 1}, {ownBlock, 1, 1}, 0,
                         stream,         nullptr,          0};
  if (blocks == 1 && function == gpu.setLength())
    config.block[0] = 1;
  Result result = gpu.driver().launch(&config, function, arguments, nullptr);
  if (result == Success)
    return EINHEAD_OK;
  return gpu.check(result, "lengths", "cuLaunchKernelEx of %s", name);
}

einhead_status_t GPUSession::advance(int64_t keys) {
  if (keys == 0)
    return EINHEAD_OK;
  return runOwnKernel(gpu.advanceLengths(), "the addition to the lengths", keys,
                      sequences, (sequences + ownBlock - 1) / ownBlock);
}

einhead_status_t GPUSession::setLength(size_t sequence, int64_t length) {
  if (einhead_status_t status = gpu.status())
    return status;
  if (einhead_status_t status = refuseCapture("a length that is set"))
    return status;
  Current here(gpu);
  if (einhead_status_t status = here.enter())
    return status;
  return runOwnKernel(gpu.setLength(), "a length that is set", length,
                      static_cast<uint32_t>(sequence), 1);
}

einhead_status_t GPUSession::setStream(void *wanted) {
  if (einhead_status_t status = gpu.status())
    return status;
  stream = wanted;
  return EINHEAD_OK;
}

einhead_status_t GPUSession::synchronize() {
  if (einhead_status_t status = gpu.status())
    return status;
  if (einhead_status_t status = refuseCapture("waiting for it"))
    return status;
  Current here(gpu);
  if (einhead_status_t status = here.enter())
    return status;
  return gpu.check(gpu.driver().synchronize(stream), "stream",
                   "cuStreamSynchronize");
}

einhead_status_t
einhead::runtime::openDevice(einhead_module_t &module,
                             const einhead_session_options_t &options,
                             std::unique_ptr<DeviceSession> &out) {
  if (options.workspace_limit < 0)
    return fail(EINHEAD_INVALID_ARGUMENT, "options.workspace_limit",
                "workspace_limit is %" PRId64
                ", wanted bytes, or 0 for the default of 1 GiB",
                options.workspace_limit);
  std::shared_ptr<GPUModule> loaded;
  if (einhead_status_t status = GPUModule::open(module, options.device, loaded))
    return status;
  auto session = std::make_unique<GPUSession>(std::move(loaded), options.stream,
                                              options.workspace_limit);
  if (einhead_status_t status =
          session->refuseCapture("the making of a session"))
    return status;
  out = std::move(session);
  return EINHEAD_OK;
}
