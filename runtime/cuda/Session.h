//===- Session.h - A session's side on a GPU --------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CUDA_SESSION_H
#define EINHEAD_RUNTIME_CUDA_SESSION_H

#include "core/Device.h"
#include "cuda/Module.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace einhead::runtime::cuda {

/// Work of one decode stream on one stream of a GPU.
class GPUSession final : public DeviceSession {
public:
  GPUSession(std::shared_ptr<GPUModule> module, void *stream,
             int64_t workspaceLimit);

  DLDevice device() const override;
  einhead_status_t status() const override { return gpu.status(); }
  einhead_status_t allocate(size_t bytes, const Where &where,
                            void *&out) override;
  einhead_status_t makeLengths(size_t count) override;
  int64_t *lengths() const override {
    return static_cast<int64_t *>(wideLengths.data());
  }
  int32_t *narrowLengths() const override {
    return static_cast<int32_t *>(shortLengths.data());
  }
  void *parameter(size_t index) const override {
    return module->parameter(index);
  }

  einhead_status_t beginCall(bool &outIsCapturing) override;
  einhead_status_t advance(int64_t keys) override;
  void endCall() override;
  einhead_status_t setLength(size_t sequence, int64_t length) override;
  einhead_status_t setStream(void *stream) override;
  einhead_status_t synchronize() override;

  einhead_status_t workspace(int64_t bytes, int64_t alignment,
                             void *&out) override;
  einhead_status_t zeroed(int64_t bytes, void *&out) override;
  einhead_status_t launch(const char *kernel, const int64_t grid[3],
                          const int64_t block[3], int64_t cluster,
                          int64_t sharedBytes, void **arguments) override;
  einhead_status_t tensorMap(void *map, void *base, int64_t type, int64_t rank,
                             const int64_t *sizes, const int64_t *byteStrides,
                             const int64_t *box, int64_t swizzleBytes) override;
  int64_t multiprocessors() const override { return gpu.multiprocessors(); }
  einhead_status_t clusters(const char *kernel, int64_t cluster,
                            int64_t threads, int64_t sharedBytes,
                            int64_t &out) override;

  /// Fails while the stream is being captured, with what is not possible then.
  einhead_status_t refuseCapture(const char *what);

private:
  einhead_status_t readCapture(bool &out);
  einhead_status_t runOwnKernel(Handle function, const char *name,
                                int64_t value, uint32_t index, unsigned blocks);

  std::shared_ptr<GPUModule> module;
  Context &gpu;
  Handle stream;
  std::vector<Buffer> buffers; // caches
  Buffer wideLengths, shortLengths;
  uint32_t sequences = 0;
  Budget budget;
  Arena scratch, zeros;
  Current current; // entered from beginCall() to endCall()
  bool isCapturing = false;
};

} // namespace einhead::runtime::cuda

#endif // EINHEAD_RUNTIME_CUDA_SESSION_H
