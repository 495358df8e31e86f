//===- DeviceTest.h - Modules with device code, on a fake GPU ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_TEST_RUNTIME_DEVICETEST_H
#define EINHEAD_TEST_RUNTIME_DEVICETEST_H

#include "FakeCuda/FakeCuda.h"
#include "RuntimeTest.h"

namespace einhead::test {

/// A device image of the tests, with the kernels of device_fixture.c.
struct Image {
  std::string format, chip, bytes;
};
std::string ptx(const std::string &extra = "");
std::string cubin(const std::string &extra = "");

extern const char *const deviceFunctions;

/// A manifest with a "device" around these images.
std::string deviceManifest(const std::vector<Image> &images,
                           const std::string &functions = deviceFunctions,
                           const std::string &parameters = "");
/// A whole module file.
std::string deviceModule(const std::vector<Image> &images,
                         const std::string &functions = deviceFunctions,
                         const std::string &parameters = "");

/// A tensor that claims to be on the GPU.
struct GPUTensor : Tensor {
  GPUTensor(DLDataType type, std::vector<int64_t> extents, int device = 0)
      : Tensor(type, std::move(extents)) {
    dl.device = {kDLCUDA, device};
  }
};

/// An index scalar.
struct Scalar : Tensor {
  explicit Scalar(int64_t value) : Tensor(i64, {}) { *data<int64_t>() = value; }
};

/// A module with a cubin and PTX on the fake driver.
class DeviceTest : public SessionTest {
protected:
  void SetUp() override;
  void TearDown() override;
  /// Sets a variable of the environment until the test ends.
  void set(const char *name, const std::string &value);
  void failAt(const std::string &function, int call, int result);

  einhead_status_t tryCreate(int64_t b, int64_t m, Session &out,
                             void *stream = nullptr, int32_t device = 0,
                             int64_t workspaceLimit = 0);
  Session create(int64_t b, int64_t m, void *stream = nullptr);
  int64_t length(const Session &session, int64_t b = 0);
  /// What the GPU thinks the length is, as the kernels read it.
  int64_t deviceLength(const Session &session, int64_t b = 0);
  /// Appends `value` twice to each sequence; the total of the first one.
  einhead_status_t append(const Session &session, int64_t b, float value,
                          float *outTotal = nullptr);
  /// Calls `probe` for this much workspace and zeroed memory.
  einhead_status_t probe(const Session &session, int64_t bytes,
                         int64_t alignment = 256, int64_t zeros = 64,
                         int64_t blocks = 1, int64_t threads = 32,
                         int64_t cluster = 1, int64_t shared = 0);
  void expectLost(const Session &session, int result);
  GPUTensor report{i64, {6}};

private:
  std::vector<std::string> variables;
};

/// A stream that is not the default one.
inline void *stream(uintptr_t number) {
  return reinterpret_cast<void *>(number * 64);
}

} // namespace einhead::test

#endif // EINHEAD_TEST_RUNTIME_DEVICETEST_H
