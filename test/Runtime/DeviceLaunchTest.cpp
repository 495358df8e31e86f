//===- DeviceLaunchTest.cpp - What host code asks of a GPU ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "DeviceTest.h"

using namespace einhead;
using namespace einhead::test;

namespace {
constexpr int maxDynamicShared = 8, nonPortableCluster = 14; // attributes
constexpr int64_t MiB = 1 << 20;
} // namespace

TEST_F(DeviceTest, SharedMemoryAndClustersAreAllowedWhereAskedFor) {
  Session session = create(1, 64);
  auto &attributes = fake::record().attributes["probe"];
  ASSERT_OK(probe(session, 64, 256, 64, 8, 128, 1, 40 << 10));
  EXPECT_TRUE(attributes.empty()); // every kernel may use that
  const fake::Launch &launch =
      fake::record().launches[fake::record().launches.size() - 2];
  EXPECT_EQ(launch.kernel, "probe");
  EXPECT_EQ(launch.grid[0], 8u);
  EXPECT_EQ(launch.block[0], 128u);
  EXPECT_EQ(launch.sharedBytes, 40u << 10);
  // With the 1024 bytes that the kernel has anyway this is too much for free.
  ASSERT_OK(probe(session, 64, 256, 64, 8, 128, 4, 48 << 10));
  EXPECT_EQ(attributes[maxDynamicShared], 48 << 10);
  EXPECT_EQ(fake::record().launches[fake::record().launches.size() - 2].cluster,
            4u);
  ASSERT_OK(probe(session, 64, 256, 64, 16, 128, 16, 200 << 10));
  EXPECT_EQ(attributes[maxDynamicShared], 200 << 10);
  EXPECT_EQ(attributes[nonPortableCluster], 1);
  int calls = fake::record().calls["cuFuncSetAttribute"];
  ASSERT_OK(probe(session, 64, 256, 64, 16, 128, 16, 100 << 10));
  EXPECT_EQ(fake::record().calls["cuFuncSetAttribute"], calls); // once
  expectError(probe(session, 64, 256, 64, 8, 128, 1, 227 << 10),
              EINHEAD_RESOURCE_EXHAUSTED, "needs 233472 bytes of shared memory",
              "kernel 'probe'");
  expectError(probe(session, 64, 256, 64, 8, 128, 1, int64_t(1) << 40),
              EINHEAD_RESOURCE_EXHAUSTED, "asks for 1099511627776 bytes");
  EXPECT_EQ(length(session), 4);
}

TEST_F(DeviceTest, ClustersAtOnceAreWhatTheDriverSays) {
  Session session = create(1, 64);
  int64_t *seen = report.data<int64_t>();
  const char *function = "cuOccupancyMaxActiveClusters";
  ASSERT_OK(probe(session, 64, 256, 64, 8, 128, 1));
  EXPECT_EQ(seen[5], INT64_MAX); // blocks by themselves: no need to ask
  EXPECT_EQ(fake::record().calls[function], 0);
  ASSERT_OK(probe(session, 64, 256, 64, 8, 128, 8, 100 << 10));
  EXPECT_EQ(seen[5], 132 / 8);
  ASSERT_OK(probe(session, 64, 256, 64, 16, 128, 16, 100 << 10));
  EXPECT_EQ(seen[5], 132 / 16);
  ASSERT_OK(probe(session, 64, 256, 64, 8, 128, 8, 100 << 10));
  EXPECT_EQ(seen[5], 132 / 8);
  EXPECT_EQ(fake::record().calls[function], 2); // once for each size
}

TEST_F(DeviceTest, GridsThatNoGPUTakesAreRefused) {
  Session session = create(1, 64);
  expectError(probe(session, 64, 256, 64, int64_t(1) << 31),
              EINHEAD_OUT_OF_RANGE, "a grid of 2147483648 x 1 x 1 blocks",
              "kernel 'probe'");
  expectError(probe(session, 64, 256, 64, -1), EINHEAD_OUT_OF_RANGE,
              "a grid of -1 x 1 x 1");
  expectError(probe(session, 64, 256, 64, 1, 1025), EINHEAD_INTERNAL,
              "a block of 1025 x 1 x 1 threads");
  expectError(probe(session, 64, 256, 64, 1, 0), EINHEAD_INTERNAL,
              "a block of 0 x 1 x 1");
  expectError(probe(session, 64, 256, 64, 6, 32, 4), EINHEAD_INTERNAL,
              "6 blocks in clusters of 4");
  EXPECT_EQ(length(session), 0);
  // No block is no work.
  size_t launches = fake::record().launches.size();
  ASSERT_OK(probe(session, 64, 256, 64, 0));
  EXPECT_EQ(fake::record().launches.size(), launches + 1); // the lengths
  expectError(call(session, "unknown", {}, {&report}), EINHEAD_INVALID_ARGUMENT,
              "element type");
  GPUTensor y(f32, {1});
  expectError(call(session, "unknown", {}, {&y}), EINHEAD_CORRUPT_ARTIFACT,
              "launches 'nameless', which the manifest does not name",
              "kernel 'nameless'");
}

TEST_F(DeviceTest, WorkspaceIsTheSameInEachCall) {
  Session session = create(1, 64);
  int64_t *seen = report.data<int64_t>();
  ASSERT_OK(probe(session, 1000, 1024, 100));
  EXPECT_EQ(seen[0] % 1024, 0);
  EXPECT_EQ(seen[3], 1); // zero at first
  EXPECT_EQ(seen[4], 132);
  EXPECT_GE(std::abs(seen[1] - seen[2]), 100);
  const std::vector<int64_t> first(seen, seen + 3);
  for (int64_t bytes : {1, 500, 1000}) {
    ASSERT_OK(probe(session, bytes, 1024, 100));
    EXPECT_EQ(std::vector<int64_t>(seen, seen + 3), first);
    EXPECT_EQ(seen[3], 1);
  }
  // What does not fit comes from elsewhere, and then from there again.
  ASSERT_OK(probe(session, 8 * MiB, 256, 3 * MiB));
  const std::vector<int64_t> second(seen, seen + 3);
  EXPECT_NE(second[0], first[0]);
  EXPECT_EQ(seen[3], 1);
  ASSERT_OK(probe(session, 8 * MiB, 256, 3 * MiB));
  EXPECT_EQ(std::vector<int64_t>(seen, seen + 3), second);
  ASSERT_OK(probe(session, 1000, 1024, 100));
  EXPECT_EQ(std::vector<int64_t>(seen, seen + 3), first);
}

TEST_F(DeviceTest, WorkspaceIsBounded) {
  Session session;
  ASSERT_OK(tryCreate(1, 64, session, nullptr, 0, 4 * MiB));
  int64_t before = fake::record().bytes;
  ASSERT_OK(probe(session, MiB / 2));
  expectError(probe(session, 16 * MiB), EINHEAD_RESOURCE_EXHAUSTED,
              "wants 16777216 bytes more of device workspace, the session "
              "holds 2097152 and may hold 4194304; raise workspace_limit",
              "workspace");
  ASSERT_OK(probe(session, 2 * MiB));
  EXPECT_LE(fake::record().bytes - before, 4 * MiB);
  EXPECT_EQ(length(session), 2);
  expectError(probe(session, -1), EINHEAD_RESOURCE_EXHAUSTED, "-1 bytes");
  expectError(probe(session, 8, 3), EINHEAD_RESOURCE_EXHAUSTED,
              "at a multiple of 3");
  Session none;
  expectError(tryCreate(1, 8, none, nullptr, 0, -1), EINHEAD_INVALID_ARGUMENT,
              "workspace_limit is -1", "options.workspace_limit");
}

TEST_F(DeviceTest, WorkspaceTakesWhatMemoryThereIs) {
  Session session = create(1, 64);
  set("FAKE_CUDA_MEMORY", std::to_string(fake::record().bytes + 3 * MiB / 2));
  ASSERT_OK(probe(session, 1000, 256, 1000)); // 1 MiB, then the least
  expectError(probe(session, 2 * MiB, 256, 1000), EINHEAD_RESOURCE_EXHAUSTED,
              "cuMemAlloc of 2097152 bytes", "workspace");
  EXPECT_EQ(length(session), 1);
  ASSERT_OK(probe(session, 1000, 256, 1000));
}

TEST_F(DeviceTest, TensorMapsSayWhatTheCodeSays) {
  Session session = create(1, 8);
  GPUTensor x(f32, {16, 32}), y(f32, {1});
  const int types[] = {0, 6, 9, 7}, swizzles[] = {0, 1, 2, 3};
  for (int i = 0; i < 4; ++i) {
    Scalar type(i), swizzle(i == 0 ? 0 : 16 << i);
    ASSERT_OK(call(session, "map", {&type, &swizzle, &x}, {&y}));
    EXPECT_EQ(y.data<float>()[0], static_cast<float>(i)); // by value
    const fake::TensorMap &map = fake::record().maps.at(i);
    EXPECT_EQ(map.type, types[i]);
    EXPECT_EQ(map.swizzle, swizzles[i]);
    EXPECT_EQ(map.promotion, 2); // 128 bytes
    EXPECT_EQ(map.base, x.dl.data);
    EXPECT_EQ(map.sizes, (std::vector<uint64_t>{32, 16}));
    EXPECT_EQ(map.byteStrides, (std::vector<uint64_t>{128}));
    EXPECT_EQ(map.box, (std::vector<uint32_t>{8, 4}));
  }
  Scalar two(2), odd(48), four(4), none(0);
  expectError(call(session, "map", {&four, &none, &x}, {&y}), EINHEAD_INTERNAL,
              "a map of type 4", "tensor map");
  expectError(call(session, "map", {&two, &odd, &x}, {&y}), EINHEAD_INTERNAL,
              "swizzle 48");
  x.dl.shape[0] = 0;
  expectError(call(session, "map", {&two, &none, &x}, {&y}),
              EINHEAD_OUT_OF_RANGE, "has 0 elements in boxes of 4");
}

TEST_F(DeviceTest, KernelsMayNeedAllBlocksAtOnce) {
  Session session = create(1, 64);
  ASSERT_OK(probe(session, 64, 256, 64, 100, 32, /*cluster=*/0));
  const auto &launches = fake::record().launches;
  EXPECT_TRUE(launches[launches.size() - 2].isCooperative);
  EXPECT_EQ(launches[launches.size() - 2].cluster, 0u);
  EXPECT_FALSE(launches.back().isCooperative); // the lengths
  ASSERT_OK(probe(session, 64, 256, 64, 100, 32, /*cluster=*/1));
  EXPECT_FALSE(launches[launches.size() - 2].isCooperative);
  expectError(probe(session, 64, 256, 64, 133, 32, 0),
              EINHEAD_RESOURCE_EXHAUSTED,
              "'probe' needs 133 x 1 x 1 blocks at once, more than GPU 0 runs",
              "kernel 'probe'");
  EXPECT_OK(probe(session, 64, 256, 64, 133, 32, 1));
  EXPECT_EQ(length(session), 3);
}

TEST_F(DeviceTest, TensorsAreAlignedForVectors) {
  Session session = create(1, 8);
  Scalar two(2), none(0);
  GPUTensor x(f32, {16, 36}), y(f32, {4});
  y.dl.shape[0] = 1;
  auto run = [&] { return call(session, "map", {&two, &none, &x}, {&y}); };
  ASSERT_OK(run());
  x.dl.shape[0] = 8;
  x.dl.shape[1] = 32;
  x.setStrides({33, 1});
  expectError(run(), EINHEAD_INVALID_ARGUMENT,
              "'x' dimension 0 has a stride of 132 bytes, wanted a multiple of "
              "16",
              "argument 'x', dimension 0");
  x.setStrides({36, 1});
  ASSERT_OK(run());
  x.dl.byte_offset = 8;
  expectError(run(), EINHEAD_INVALID_ARGUMENT,
              "wanted a multiple of 16 bytes on a GPU", "argument 'x'");
  x.dl.byte_offset = 16;
  ASSERT_OK(run());
  y.dl.byte_offset = 4;
  expectError(run(), EINHEAD_INVALID_ARGUMENT,
              "wanted a multiple of 16 bytes on a GPU", "argument 'y'");
  // A dense tensor has the strides that it has.
  GPUTensor odd(f32, {1, 1, 2}), total(f32, {1});
  EXPECT_OK(call(session, "append", {&odd}, {&total}));
}
