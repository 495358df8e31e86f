//===- DeviceFaultTest.cpp - A driver that fails -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "DeviceTest.h"

#include <cstring>

using namespace einhead;
using namespace einhead::test;

namespace {
struct Code {
  int result;
  einhead_status_t status;
  const char *text;
};
/// What each call of the driver may answer.
const Code codes[] = {
    {1, EINHEAD_DEVICE_ERROR, "CUDA_ERROR_1"},
    {2, EINHEAD_RESOURCE_EXHAUSTED, "CUDA_ERROR_2"},
    {701, EINHEAD_RESOURCE_EXHAUSTED, "CUDA_ERROR_701"},
    {700, EINHEAD_DEVICE_LOST, "what was on it is gone"},
    {702, EINHEAD_DEVICE_LOST, "what was on it is gone"},
    {719, EINHEAD_DEVICE_LOST, "what was on it is gone"},
    {900, EINHEAD_FAILED_PRECONDITION, "being captured"},
};
} // namespace

/// From now on every call says so.
void DeviceTest::expectLost(const Session &session, int result) {
  expectError(append(session, 2, 1.0f), EINHEAD_DEVICE_LOST,
              "was lost to CUDA_ERROR_" + std::to_string(result), "cuda:0");
  expectError(einhead_session_set_length(session.get(), 0, 0),
              EINHEAD_DEVICE_LOST, "was lost to");
  expectError(einhead_session_synchronize(session.get()), EINHEAD_DEVICE_LOST,
              "was lost to");
  expectError(einhead_session_set_stream(session.get(), nullptr),
              EINHEAD_DEVICE_LOST, "was lost to");
  expectError(einhead_session_will_replay(session.get(), "append", 1),
              EINHEAD_DEVICE_LOST, "was lost to");
  Session other;
  expectError(tryCreate(1, 8, other), EINHEAD_DEVICE_LOST, "was lost to");
}

TEST_F(DeviceTest, EveryFailureOfACallLeavesTheSessionAsItWas) {
  // All that a call with workspace, zeroed memory, a cluster and shared memory
  // asks of the driver, one after the other, with each code.
  const char *functions[] = {"cuCtxPushCurrent_v2", "cuStreamIsCapturing",
                             "cuMemAlloc_v2",       "cuMemsetD8Async",
                             "cuFuncSetAttribute",  "cuLaunchKernelEx"};
  int failures = 0;
  for (const char *function : functions)
    for (const Code &code : codes)
      for (int nth = 1;; ++nth) {
        SCOPED_TRACE(std::string(function) + " " + std::to_string(nth) + ": " +
                     std::to_string(code.result));
        module = open(deviceModule({{"cubin", "sm_90a", cubin()}}));
        Session session = create(2, 8, stream(1));
        ASSERT_OK(append(session, 2, 1.0f));
        DLTensor k;
        ASSERT_OK(einhead_session_cache(session.get(), "k", &k));
        std::vector<char> before(static_cast<char *>(k.data),
                                 static_cast<char *>(k.data) + 128);
        int wanted = fake::record().calls[function] + nth;
        failAt(function, nth, code.result);
        einhead_status_t status =
            probe(session, 4096, 256, 64, 16, 32, 16, 100 << 10);
        if (status == EINHEAD_OK) {
          unsetenv("FAKE_CUDA_FAIL");
          if (fake::record().calls[function] < wanted) {
            EXPECT_GT(nth, 1) << "the function is not used";
            break;
          }
          // Only an allocation is tried again, with less.
          EXPECT_STREQ(function, "cuMemAlloc_v2");
          EXPECT_EQ(code.status, EINHEAD_RESOURCE_EXHAUSTED);
          continue;
        }
        ++failures;
        expectError(status, code.status, code.text);
        unsetenv("FAKE_CUDA_FAIL");
        EXPECT_EQ(length(session), 1);
        EXPECT_EQ(length(session, 1), 1);
        EXPECT_EQ(std::memcmp(k.data, before.data(), before.size()), 0);
        EXPECT_EQ(fake::depth(), 0);
        if (code.status != EINHEAD_DEVICE_LOST) {
          EXPECT_EQ(deviceLength(session), 1);
          EXPECT_OK(probe(session, 4096, 256, 64, 16, 32, 16, 100 << 10));
          EXPECT_EQ(deviceLength(session, 1), 2);
          continue;
        }
        expectLost(session, code.result);
        EXPECT_EQ(length(session), 1);
        session.reset();
        module.reset();
        EXPECT_EQ(fake::depth(), 0);
        EXPECT_EQ(fake::record().contexts, 0);
        fake::reset(); // as a new context
      }
  EXPECT_GT(failures, 50);
  module = open(deviceModule({{"cubin", "sm_90a", cubin()}}));
  fake::reset();
}

TEST_F(DeviceTest, EveryFailureOfMakingASessionIsAStatus) {
  const char *functions[] = {
      "cuInit",
      "cuDeviceGetCount",
      "cuDeviceGet",
      "cuDevicePrimaryCtxRetain",
      "cuDeviceGetAttribute",
      "cuCtxPushCurrent_v2",
      "cuModuleLoadDataEx",
      "cuModuleGetFunction",
      "cuFuncGetAttribute",
      "cuStreamIsCapturing",
      "cuMemAlloc_v2",
      "cuMemsetD8Async",
      "cuStreamSynchronize",
  };
  for (const char *function : functions)
    for (const Code &code : codes)
      for (int nth = 1;; ++nth) {
        SCOPED_TRACE(std::string(function) + " " + std::to_string(nth) + ": " +
                     std::to_string(code.result));
        module = open(deviceModule({{"cubin", "sm_90a", cubin()}}));
        failAt(function, nth, code.result);
        Session session;
        einhead_status_t status = tryCreate(2, 8, session);
        unsetenv("FAKE_CUDA_FAIL");
        if (status == EINHEAD_OK) {
          EXPECT_GT(nth, 1) << "the function is not used";
          break;
        }
        // Without a context there is nothing that could be lost.
        bool isEarly = std::strcmp(function, "cuInit") == 0;
        expectError(status, isEarly ? EINHEAD_FAILED_PRECONDITION : code.status,
                    isEarly ? "cuInit: CUDA_ERROR" : code.text);
        EXPECT_EQ(fake::depth(), 0);
        if (code.status == EINHEAD_DEVICE_LOST) {
          module.reset();
          fake::reset();
          continue;
        }
        EXPECT_OK(tryCreate(2, 8, session));
        EXPECT_OK(append(session, 2, 1.0f));
        session.reset();
        module.reset();
        EXPECT_EQ(fake::record().contexts, 0);
        EXPECT_EQ(fake::record().buffers, 0);
        EXPECT_EQ(fake::record().modules, 0);
      }
}

TEST_F(DeviceTest, ErrorsOfKernelsSurfaceInALaterCall) {
  Session session = create(1, 8);
  ASSERT_OK(append(session, 1, 1.0f));
  failAt("cuStreamSynchronize", 1, 700);
  expectError(einhead_session_synchronize(session.get()), EINHEAD_DEVICE_LOST,
              "cuStreamSynchronize: CUDA_ERROR_700 (a fake error), of this or "
              "of earlier work on GPU 0",
              "stream");
  expectError(append(session, 1, 1.0f), EINHEAD_DEVICE_LOST, "was lost to");
  // The context comes back when nobody holds it.
  session.reset();
  module.reset();
  unsetenv("FAKE_CUDA_FAIL");
  fake::reset();
  module = open(deviceModule({{"cubin", "sm_90a", cubin()}}));
  session = create(1, 8);
  EXPECT_OK(append(session, 1, 1.0f));
}

TEST_F(DeviceTest, OutOfMemoryForCachesNamesTheCache) {
  set("FAKE_CUDA_MEMORY", "100000");
  Session session;
  expectError(tryCreate(1, 1 << 20, session), EINHEAD_RESOURCE_EXHAUSTED,
              "cuMemAlloc of 8388608 bytes on GPU 0", "cache 'k'");
  EXPECT_OK(tryCreate(1, 8, session));
}

TEST_F(DeviceTest, MachinesWithoutAGPUSaySo) {
  Session session;
  set("FAKE_CUDA_GPUS", "0");
  expectError(tryCreate(1, 8, session), EINHEAD_FAILED_PRECONDITION,
              "finds no GPU", "cuda:0");
  set("FAKE_CUDA_GPUS", "2");
  for (int device : {-1, 2})
    expectError(tryCreate(1, 8, session, nullptr, device),
                EINHEAD_INVALID_ARGUMENT, "wanted 0 to 1", "options.device");
  set("EINHEAD_CUDA_LIBRARY", "/nonexistent/libcuda.so.1");
  expectError(tryCreate(1, 8, session), EINHEAD_UNIMPLEMENTED,
              "no CUDA driver: /nonexistent/libcuda.so.1", "CUDA driver");
  einhead_device_info_t info;
  expectError(einhead_device_info(0, &info, sizeof(info)),
              EINHEAD_UNIMPLEMENTED, "no CUDA driver");
  // A library that is none of a driver.
  set("EINHEAD_CUDA_LIBRARY", "libm.so.6");
  expectError(tryCreate(1, 8, session), EINHEAD_UNIMPLEMENTED,
              "has no function cuInit", "CUDA driver");
  // Modules without device code need none of this.
  module = open(moduleFile());
  einhead_dimension_t dimensions[] = {{"b", 1}, {"m", 8}};
  einhead_session_options_t options = {};
  options.dimensions = dimensions;
  options.dimension_count = 2;
  einhead_session_t *raw = nullptr;
  ASSERT_OK(einhead_session_create(module.get(), &options, &raw));
  einhead_session_release(raw);
}
