//===- DeviceCaptureTest.cpp - Calls that become graphs -------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "DeviceTest.h"

using namespace einhead;
using namespace einhead::test;

namespace {
/// Tensors that stay where they are, as a graph needs.
struct Step {
  GPUTensor x{f32, {1, 1, 2}}, total{f32, {1}};
};
} // namespace

TEST_F(DeviceTest, ReplaysGrowTheLengthsAndGiveTheEagerNumbers) {
  Session eager = create(1, 16), captured = create(1, 16, stream(3));
  Step step, reference;
  ASSERT_OK(call(captured, "append", {&step.x}, {&step.total}));
  ASSERT_OK(call(eager, "append", {&reference.x}, {&reference.total}));
  fake::beginCapture(stream(3));
  size_t launches = fake::record().launches.size();
  ASSERT_OK(call(captured, "append", {&step.x}, {&step.total}));
  int graph = fake::endCapture(stream(3));
  ASSERT_GE(graph, 0);
  EXPECT_EQ(fake::record().launches.size(), launches); // nothing ran
  EXPECT_EQ(length(captured), 1);
  EXPECT_EQ(deviceLength(captured), 1);
  for (int i = 2; i <= 16; ++i) {
    step.x.data<float>()[0] = reference.x.data<float>()[0] =
        static_cast<float>(i);
    ASSERT_OK(einhead_session_will_replay(captured.get(), "append", 1));
    fake::replay(graph);
    ASSERT_OK(call(eager, "append", {&reference.x}, {&reference.total}));
    EXPECT_EQ(step.total.data<float>()[0], reference.total.data<float>()[0]);
    EXPECT_EQ(length(captured), i);
    EXPECT_EQ(deviceLength(captured), i);
  }
  expectError(einhead_session_will_replay(captured.get(), "append", 1),
              EINHEAD_OUT_OF_RANGE, "has 16 keys, the call adds 1",
              "sequence 0");
  EXPECT_EQ(length(captured), 16);
}

TEST_F(DeviceTest, CaptureNeedsItsMemoryBeforehand) {
  Session session = create(1, 64, stream(3));
  auto capture = [&](int64_t bytes, int64_t zeros) {
    fake::beginCapture(stream(3));
    einhead_status_t status = probe(session, bytes, 256, zeros);
    EXPECT_GE(fake::endCapture(stream(3)), 0); // not spoiled
    return status;
  };
  expectError(capture(4096, 64), EINHEAD_FAILED_PRECONDITION,
              "call once with tensors of this shape before capturing",
              "workspace");
  ASSERT_OK(probe(session, 4096));
  EXPECT_OK(capture(4096, 64));
  expectError(capture(64 << 20, 64), EINHEAD_FAILED_PRECONDITION,
              "call once with tensors of this shape");
  expectError(capture(4096, 64 << 20), EINHEAD_FAILED_PRECONDITION,
              "call once with tensors of this shape");
  EXPECT_EQ(length(session), 1);
}

TEST_F(DeviceTest, MemoryOfAGraphStaysWhereItIs) {
  Session session = create(1, 64, stream(3));
  ASSERT_OK(probe(session, 4096));
  const int64_t workspace = report.data<int64_t>()[0],
                zeros = report.data<int64_t>()[1];
  fake::beginCapture(stream(3));
  ASSERT_OK(probe(session, 4096));
  int graph = fake::endCapture(stream(3));
  int buffers = fake::record().buffers;
  ASSERT_OK(probe(session, 64 << 20, 256, 8 << 20)); // more of both
  EXPECT_EQ(fake::record().buffers, buffers + 3);    // two are zeroed
  report.data<int64_t>()[0] = 0;
  fake::replay(graph);
  EXPECT_EQ(report.data<int64_t>()[0], workspace);
  EXPECT_EQ(report.data<int64_t>()[1], zeros);
  EXPECT_EQ(report.data<int64_t>()[3], 1);
  ASSERT_OK(probe(session, 4096));
  EXPECT_EQ(report.data<int64_t>()[0], workspace);
}

TEST_F(DeviceTest, CaptureRefusesWhatAGraphCannotHold) {
  Session session = create(1, 8, stream(3));
  GPUTensor all(i64, {1});
  fake::beginCapture(stream(3));
  expectError(call(session, "lengths", {}, {&all}), EINHEAD_FAILED_PRECONDITION,
              "takes its length as a value", "argument 'length'");
  expectError(einhead_session_set_length(session.get(), 0, 1),
              EINHEAD_FAILED_PRECONDITION, "the stream is being captured",
              "stream");
  expectError(einhead_session_synchronize(session.get()),
              EINHEAD_FAILED_PRECONDITION, "the stream is being captured");
  Session other;
  expectError(tryCreate(1, 8, other, stream(3)), EINHEAD_FAILED_PRECONDITION,
              "the making of a session");
  EXPECT_GE(fake::endCapture(stream(3)), 0); // none of it spoiled the capture
  EXPECT_EQ(length(session), 0);
  EXPECT_OK(call(session, "lengths", {}, {&all}));
}

TEST_F(DeviceTest, OtherStreamsWaitWhileOneIsCaptured) {
  Session legacy = create(1, 8), session = create(1, 8, stream(5));
  fake::beginCapture(stream(3));
  expectError(append(legacy, 1, 1.0f), EINHEAD_FAILED_PRECONDITION,
              "only calls on that stream are possible", "stream");
  // A call that allocates nothing goes through.
  EXPECT_OK(append(session, 1, 1.0f));
  EXPECT_GE(fake::endCapture(stream(3)), 0);
  EXPECT_OK(append(legacy, 1, 1.0f));
}

TEST_F(DeviceTest, AFailedCaptureIsNamed) {
  Session session = create(1, 8, stream(3));
  fake::beginCapture(stream(3));
  Session allocating;
  (void)tryCreate(1, 8, allocating, stream(4)); // spoils it
  expectError(append(session, 1, 1.0f), EINHEAD_FAILED_PRECONDITION,
              "the capture of the stream failed before this call", "stream");
  EXPECT_EQ(fake::endCapture(stream(3)), -1);
  EXPECT_OK(append(session, 1, 1.0f));
}

TEST_F(DeviceTest, ReplaysAreAnnounced) {
  Session session = create(1, 8, stream(3));
  einhead_session_t *s = session.get();
  expectError(einhead_session_will_replay(s, "append", 1),
              EINHEAD_FAILED_PRECONDITION, "no call of 'append' was captured",
              "function");
  expectError(einhead_session_will_replay(s, "nothing", 1), EINHEAD_NOT_FOUND,
              "no function 'nothing'");
  expectError(einhead_session_will_replay(s, nullptr, 1),
              EINHEAD_INVALID_ARGUMENT, "null", "function");
  GPUTensor two(f32, {1, 2, 2}), three(f32, {1, 3, 2}), total(f32, {1});
  fake::beginCapture(stream(3));
  ASSERT_OK(call(session, "append_n", {&two}, {&total}));
  fake::endCapture(stream(3));
  expectError(einhead_session_will_replay(s, "append_n", -1),
              EINHEAD_INVALID_ARGUMENT, "times is -1", "times");
  expectError(einhead_session_will_replay(s, "append_n", 5),
              EINHEAD_OUT_OF_RANGE, "the call adds 10, the capacity is 8");
  expectError(einhead_session_will_replay(s, "append_n", INT64_MAX),
              EINHEAD_OUT_OF_RANGE, "the capacity is 8");
  EXPECT_EQ(length(session), 0);
  EXPECT_OK(einhead_session_will_replay(s, "append_n", 4));
  EXPECT_EQ(length(session), 8);
  ASSERT_OK(einhead_session_set_length(s, 0, 0));
  // Two graphs of unlike calls: which one is meant?
  fake::beginCapture(stream(3));
  ASSERT_OK(call(session, "append_n", {&three}, {&total}));
  fake::endCapture(stream(3));
  expectError(einhead_session_will_replay(s, "append_n", 1),
              EINHEAD_FAILED_PRECONDITION, "add different numbers of keys");
}

TEST_F(DeviceTest, StreamsCanBeChanged) {
  Session session = create(1, 8, stream(1));
  ASSERT_OK(append(session, 1, 1.0f));
  ASSERT_OK(einhead_session_set_stream(session.get(), stream(2)));
  ASSERT_OK(append(session, 1, 1.0f));
  EXPECT_EQ(fake::record().launches.back().stream, stream(2));
  EXPECT_EQ(length(session), 2);
}
