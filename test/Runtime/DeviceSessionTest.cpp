//===- DeviceSessionTest.cpp - Caches, lengths, steps on a GPU -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "DeviceTest.h"

#include <cstring>

using namespace einhead;
using namespace einhead::test;

TEST_F(DeviceTest, AppendsUntilTheCacheIsExactlyFull) {
  Session session = create(2, 4, stream(1));
  for (int step = 1; step <= 4; ++step) {
    float total = 0;
    ASSERT_OK(append(session, 2, 1.0f, &total));
    EXPECT_EQ(total, 2.0f * static_cast<float>(step));
    EXPECT_EQ(length(session), step);
    EXPECT_EQ(deviceLength(session, 1), step);
  }
  size_t launches = fake::record().launches.size();
  expectError(append(session, 2, 1.0f), EINHEAD_OUT_OF_RANGE,
              "sequence 0 has 4 keys, the call adds 1, the capacity is 4",
              "sequence 0");
  EXPECT_EQ(fake::record().launches.size(), launches);
  EXPECT_EQ(deviceLength(session), 4);
  for (const fake::Launch &launch : fake::record().launches)
    EXPECT_EQ(launch.stream, stream(1)) << launch.kernel;
}

TEST_F(DeviceTest, LaunchesWhatTheCodeSays) {
  Session session = create(3, 8);
  ASSERT_OK(append(session, 3, 1.0f));
  const std::vector<fake::Launch> &launches = fake::record().launches;
  ASSERT_EQ(launches.size(), 2u); // and the addition to the lengths
  EXPECT_EQ(launches[0].kernel, "append");
  EXPECT_EQ(launches[0].grid[0], 3u);
  EXPECT_EQ(launches[0].grid[1], 1u);
  EXPECT_EQ(launches[0].block[0], 32u);
  EXPECT_EQ(launches[0].cluster, 0u);
  EXPECT_EQ(launches[0].sharedBytes, 0u);
  EXPECT_EQ(launches[0].get<int64_t>(5), 16); // the cache's stride
  EXPECT_EQ(launches[1].kernel, "einhead_advance_lengths");
  EXPECT_EQ(launches[1].grid[0] * launches[1].block[0], 256u);
  // A function that adds nothing adds nothing.
  GPUTensor all(i64, {3});
  ASSERT_OK(call(session, "lengths", {}, {&all}));
  EXPECT_EQ(launches.size(), 3u);
}

TEST_F(DeviceTest, WaitsForNothingInACall) {
  Session session = create(1, 64);
  ASSERT_OK(probe(session, 4096));
  auto &calls = fake::record().calls;
  std::map<std::string, int> before = calls;
  for (int i = 0; i < 10; ++i) {
    ASSERT_OK(append(session, 1, 1.0f));
    ASSERT_OK(probe(session, 4096));
  }
  for (const char *name :
       {"cuStreamSynchronize", "cuMemAlloc_v2", "cuMemFree_v2",
        "cuMemsetD8Async", "cuMemcpyHtoD_v2", "cuModuleGetFunction"})
    EXPECT_EQ(calls[name], before[name]) << name;
  EXPECT_EQ(calls["cuLaunchKernelEx"], before["cuLaunchKernelEx"] + 40);
  ASSERT_OK(einhead_session_synchronize(session.get()));
  EXPECT_EQ(calls["cuStreamSynchronize"], before["cuStreamSynchronize"] + 1);
}

TEST_F(DeviceTest, CachesAreZeroAndInDeviceMemory) {
  Session session = create(2, 4);
  DLTensor k;
  ASSERT_OK(einhead_session_cache(session.get(), "k", &k));
  EXPECT_EQ(k.device.device_type, kDLCUDA);
  EXPECT_EQ(k.device.device_id, 0);
  EXPECT_EQ(k.shape[1], 4);
  EXPECT_EQ(k.strides[0], 8);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(k.data) % 256, 0u);
  float *data = static_cast<float *>(k.data); // the fake's is the host's
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(data[i], 0.0f);
    data[i] = 1.0f;
  }
  for (int64_t b : {0, 1})
    ASSERT_OK(einhead_session_set_length(session.get(), b, 3));
  float total = 0;
  ASSERT_OK(append(session, 2, 2.0f, &total));
  EXPECT_EQ(total, 10.0f);
  EXPECT_EQ(data[6], 2.0f);
}

TEST_F(DeviceTest, TruncatesAndRestarts) {
  Session session = create(2, 8);
  GPUTensor x(f32, {2, 4, 2}), total(f32, {2});
  for (int i = 0; i < 16; ++i)
    x.data<float>()[i] = 1.0f;
  ASSERT_OK(call(session, "append_n", {&x}, {&total}));
  EXPECT_EQ(deviceLength(session), 4);
  ASSERT_OK(einhead_session_set_length(session.get(), 1, 2));
  ASSERT_OK(append(session, 2, 3.0f));
  EXPECT_EQ(length(session, 0), 5);
  EXPECT_EQ(length(session, 1), 3);
  GPUTensor three(f32, {2, 3, 2}), after(f32, {2});
  ASSERT_OK(call(session, "append_n", {&three}, {&after})); // zeros
  EXPECT_EQ(after.data<float>()[0], 4 * 2.0f + 6.0f);
  EXPECT_EQ(after.data<float>()[1], 2 * 2.0f + 6.0f);
  expectError(einhead_session_set_length(session.get(), 0, 9),
              EINHEAD_OUT_OF_RANGE, "beyond the capacity 8");
  for (int64_t b : {0, 1})
    ASSERT_OK(einhead_session_set_length(session.get(), b, 0));
  float first = 0;
  ASSERT_OK(append(session, 2, 5.0f, &first));
  EXPECT_EQ(first, 10.0f);
  EXPECT_EQ(deviceLength(session, 1), 1);
}

TEST_F(DeviceTest, ManySequencesAdvanceTogether) {
  Session session = create(1000, 2);
  ASSERT_OK(append(session, 1000, 1.0f));
  for (int64_t b : {0, 255, 256, 999})
    EXPECT_EQ(deviceLength(session, b), 1);
}

TEST_F(DeviceTest, TensorsMustBeOnTheSessionsGPU) {
  set("FAKE_CUDA_GPUS", "2");
  Session session;
  ASSERT_OK(tryCreate(1, 8, session, nullptr, /*device=*/1));
  GPUTensor x(f32, {1, 1, 2}, 1), total(f32, {1}, 1);
  EXPECT_OK(call(session, "append", {&x}, {&total}));
  GPUTensor other(f32, {1, 1, 2}, 0);
  expectError(call(session, "append", {&other}, {&total}),
              EINHEAD_INVALID_ARGUMENT, "'x' is on GPU 0, the session on GPU 1",
              "argument 'x'");
  Tensor host(f32, {1, 1, 2}), hostTotal(f32, {1});
  expectError(call(session, "append", {&host}, {&total}),
              EINHEAD_INVALID_ARGUMENT,
              "'x' is on DLPack device 1, wanted GPU 1 (DLPack device 2)",
              "argument 'x'");
  expectError(call(session, "append", {&x}, {&hostTotal}),
              EINHEAD_INVALID_ARGUMENT, "'total' is on DLPack device 1",
              "argument 'total'");
  host.dl.device = {kDLCUDAHost, 0};
  hostTotal.dl.device = {kDLCUDAManaged, 0};
  EXPECT_OK(call(session, "append", {&host}, {&hostTotal}));
  // Scalars are values, which the host passes.
  GPUTensor scalar(i64, {}, 1);
  Scalar s(1);
  expectError(
      call(session, "probe", {&s, &s, &scalar, &s, &s, &s, &s}, {&report}),
      EINHEAD_UNIMPLEMENTED, "wanted the CPU (1) for a scalar",
      "argument 'zeros'");
  EXPECT_EQ(length(session), 2);
}

TEST_F(DeviceTest, WritesMustBeApart) {
  Session session = create(1, 8);
  DLTensor k;
  ASSERT_OK(einhead_session_cache(session.get(), "k", &k));
  GPUTensor x(f32, {1, 1, 2}), total(f32, {1});
  x.dl.data = k.data;
  expectError(call(session, "append", {&x}, {&total}), EINHEAD_INVALID_ARGUMENT,
              "the memory of 'x' overlaps that of 'k'");
}

TEST_F(DeviceTest, OneProcessHasSessionsOfBothKinds) {
  Session gpu = create(1, 4);
  Module plain = open(moduleFile());
  einhead_dimension_t dimensions[] = {{"b", 1}, {"m", 4}};
  einhead_session_options_t options = {};
  options.dimensions = dimensions;
  options.dimension_count = 2;
  // What stands behind the old members is not for sessions on the CPU.
  options.device = -7;
  options.stream = &options;
  einhead_session_t *raw = nullptr;
  ASSERT_OK(einhead_session_create(plain.get(), &options, &raw));
  Session cpu(raw);
  Tensor x(f32, {1, 1, 2}), total(f32, {1});
  x.data<float>()[0] = 3.0f;
  ASSERT_OK(call(cpu, "append", {&x}, {&total}));
  EXPECT_EQ(total.data<float>()[0], 3.0f);
  ASSERT_OK(append(gpu, 1, 1.0f));
  EXPECT_OK(einhead_session_synchronize(cpu.get()));
  expectError(einhead_session_set_stream(cpu.get(), nullptr),
              EINHEAD_FAILED_PRECONDITION, "the session is on the CPU",
              "stream");
  DLTensor k;
  ASSERT_OK(einhead_session_cache(cpu.get(), "k", &k));
  EXPECT_EQ(k.device.device_type, kDLCPU);
}

TEST_F(DeviceTest, CodeWithoutADeviceCannotLaunch) {
  // Host code of a device module in a module that has no device code.
  Module lying = open(moduleFile(
      R"({"name": "unknown", "symbol": "entry_unknown", "arguments": [
          {"name": "y", "kind": "output", "type": "f32", "shape": [1]}]})",
      "", fixtureCode("device_fixture")));
  einhead_session_t *raw = nullptr;
  ASSERT_OK(einhead_session_create(lying.get(), nullptr, &raw));
  Session session(raw);
  Tensor y(f32, {1});
  expectError(call(session, "unknown", {}, {&y}), EINHEAD_CORRUPT_ARTIFACT,
              "the module has no device code");
}

TEST_F(DeviceTest, ParametersAreCopiedOncePerDevice) {
  const char *functions =
      R"({"name": "norm", "symbol": "entry_norm", "arguments": [
       {"name": "x", "kind": "input", "type": "f32", "shape": [3]},
       {"name": "w", "kind": "parameter", "type": "f32", "shape": [3]},
       {"name": "y", "kind": "output", "type": "f32", "shape": [3]}]})";
  const float w[] = {2.0f, 3.0f, 4.0f};
  write(
      "w.safetensors",
      safetensors(R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})",
                  std::string(reinterpret_cast<const char *>(w), 12)));
  module = open(
      deviceModule({{"ptx", "sm_80", ptx()}}, functions, "\"w.safetensors\""));
  set("FAKE_CUDA_GPUS", "2");
  for (int device : {0, 0, 1}) {
    einhead_session_options_t options = {};
    options.device = device;
    einhead_session_t *raw = nullptr;
    ASSERT_OK(einhead_session_create(module.get(), &options, &raw));
    Session session(raw);
    GPUTensor x(f32, {3}, device), y(f32, {3}, device);
    for (int i = 0; i < 3; ++i)
      x.data<float>()[i] = 10.0f;
    ASSERT_OK(call(session, "norm", {&x}, {&y}));
    EXPECT_EQ(y.data<float>()[2], 40.0f);
    const void *place = fake::record().launches.back().get<const void *>(1);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(place) % 256, 0u);
  }
  EXPECT_EQ(fake::record().calls["cuMemcpyHtoD_v2"], 2);
  // A module that was opened without a file says at the call what it lacks.
  module = open(deviceModule({{"ptx", "sm_80", ptx()}}, functions));
  einhead_session_t *raw = nullptr;
  ASSERT_OK(einhead_session_create(module.get(), nullptr, &raw));
  Session session(raw);
  GPUTensor x(f32, {3}), y(f32, {3});
  expectError(call(session, "norm", {&x}, {&y}), EINHEAD_FAILED_PRECONDITION,
              "needs the parameter 'w'");
}

TEST_F(DeviceTest, TellsWhatTheGPUIs) {
  einhead_device_info_t info;
  ASSERT_OK(einhead_device_info(0, &info, sizeof(info)));
  EXPECT_STREQ(info.name, "Fake GPU");
  EXPECT_EQ(info.device_count, 1);
  EXPECT_EQ(info.compute_major, 9);
  EXPECT_EQ(info.multiprocessors, 132);
  EXPECT_EQ(info.driver_version, 13000);
  EXPECT_EQ(info.memory_bytes, int64_t(8) << 30);
  EXPECT_EQ(info.l2_bytes, 50 << 20);
  // A caller that knows less gets that.
  info.driver_version = 77;
  ASSERT_OK(einhead_device_info(0, &info, sizeof(info.name)));
  EXPECT_EQ(info.driver_version, 77);
  expectError(einhead_device_info(1, &info, sizeof(info)), EINHEAD_NOT_FOUND,
              "there are 1 GPUs", "cuda:1");
  EXPECT_EQ(info.name[0], '\0');
  expectError(einhead_device_info(0, nullptr, sizeof(info)),
              EINHEAD_INVALID_ARGUMENT, "null", "out_info");
}
