//===- SessionTest.cpp - Caches, lengths, steps -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "RuntimeTest.h"

#include <climits>
#include <cstring>
#include <memory>
#include <thread>

using namespace einhead::test;

namespace {
/// A step's input: both values of each row are `value`.
struct Row : Tensor {
  Row(int64_t b, int64_t t, float value) : Tensor(f32, {b, t, 2}) {
    for (int64_t i = 0; i < b * t * 2; ++i)
      data<float>()[i] = value;
  }
};

int64_t length(const Session &session, int64_t b = 0) {
  int64_t value = -1;
  EXPECT_OK(einhead_session_length(session.get(), b, &value));
  return value;
}
} // namespace

TEST_F(SessionTest, AppendsUntilTheCacheIsExactlyFull) {
  Session session = create(2, 4);
  Tensor total(f32, {2});
  for (int step = 1; step <= 4; ++step) {
    Row x(2, 1, 1.0f);
    x.data<float>()[2] = 10.0f;
    ASSERT_OK(call(session, "append", {&x}, {&total}));
    EXPECT_EQ(total.data<float>()[0], 2.0f * static_cast<float>(step));
    EXPECT_EQ(total.data<float>()[1], 11.0f * static_cast<float>(step));
    EXPECT_EQ(length(session), step);
    EXPECT_EQ(length(session, 1), step);
  }
  Row x(2, 1, 5.0f);
  total.data<float>()[0] = 77.0f;
  uint64_t before = stateHash(session, 2, 4);
  expectError(call(session, "append", {&x}, {&total}), EINHEAD_OUT_OF_RANGE,
              "sequence 0 has 4 keys, the call adds 1, the capacity is 4",
              "sequence 0");
  EXPECT_EQ(stateHash(session, 2, 4), before);
  EXPECT_EQ(total.data<float>()[0], 77.0f);
  // One full sequence is enough to refuse.
  ASSERT_OK(einhead_session_set_length(session.get(), 0, 1));
  expectError(call(session, "append", {&x}, {&total}), EINHEAD_OUT_OF_RANGE,
              "sequence 1 has 4 keys", "sequence 1");
  // The hash does see a change.
  EXPECT_NE(stateHash(session, 2, 4), before);
}

TEST_F(SessionTest, AppendsSeveralAtOnce) {
  Session session = create(1, 8);
  Tensor total(f32, {1});
  Row five(1, 5, 1.0f), four(1, 4, 1.0f), three(1, 3, 2.0f), none(1, 0, 0.0f);
  ASSERT_OK(call(session, "append_n", {&five}, {&total}));
  EXPECT_EQ(length(session), 5);
  EXPECT_EQ(total.data<float>()[0], 10.0f);
  uint64_t before = stateHash(session, 1, 8);
  expectError(call(session, "append_n", {&four}, {&total}),
              EINHEAD_OUT_OF_RANGE,
              "5 keys, the call adds 4, the capacity is 8");
  EXPECT_EQ(stateHash(session, 1, 8), before);
  ASSERT_OK(call(session, "append_n", {&three}, {&total}));
  EXPECT_EQ(length(session), 8);
  EXPECT_EQ(total.data<float>()[0], 22.0f);
  EXPECT_OK(call(session, "append_n", {&none}, {&total}));
  EXPECT_EQ(length(session), 8);
}

TEST_F(SessionTest, TruncatesAndRestarts) {
  Session session = create(2, 8);
  Tensor total(f32, {2});
  Row x(2, 4, 1.0f), y(2, 1, 3.0f);
  ASSERT_OK(call(session, "append_n", {&x}, {&total}));
  ASSERT_OK(einhead_session_set_length(session.get(), 1, 2));
  ASSERT_OK(call(session, "append", {&y}, {&total}));
  EXPECT_EQ(total.data<float>()[0], 4 * 2.0f + 6.0f);
  EXPECT_EQ(total.data<float>()[1], 2 * 2.0f + 6.0f);
  EXPECT_EQ(length(session, 0), 5);
  EXPECT_EQ(length(session, 1), 3);
  for (int64_t b : {0, 1})
    ASSERT_OK(einhead_session_set_length(session.get(), b, 0));
  ASSERT_OK(call(session, "append", {&y}, {&total}));
  EXPECT_EQ(total.data<float>()[0], 6.0f);
}

TEST_F(SessionTest, LengthsAreChecked) {
  Session session = create(2, 8);
  einhead_session_t *s = session.get();
  EXPECT_OK(einhead_session_set_length(s, 0, 8));
  uint64_t before = stateHash(session, 2, 8);
  expectError(einhead_session_set_length(s, 0, 9), EINHEAD_OUT_OF_RANGE,
              "length 9 is beyond the capacity 8", "sequence 0");
  expectError(einhead_session_set_length(s, 0, INT64_MAX), EINHEAD_OUT_OF_RANGE,
              "beyond the capacity");
  expectError(einhead_session_set_length(s, 0, -1), EINHEAD_INVALID_ARGUMENT,
              "length -1, wanted 0 or more", "sequence 0");
  expectError(einhead_session_set_length(s, 2, 1), EINHEAD_OUT_OF_RANGE,
              "sequence 2 of a batch of 2", "sequence 2");
  expectError(einhead_session_set_length(s, -1, 1), EINHEAD_OUT_OF_RANGE,
              "sequence -1 of a batch of 2");
  EXPECT_EQ(stateHash(session, 2, 8), before);
  int64_t value = 5;
  expectError(einhead_session_length(s, 2, &value), EINHEAD_OUT_OF_RANGE,
              "sequence 2");
  EXPECT_EQ(value, 0);
  expectError(einhead_session_length(s, 0, nullptr), EINHEAD_INVALID_ARGUMENT,
              "null", "out_length");
}

TEST_F(SessionTest, CodeSeesTheLengthsInItsOwnWidth) {
  Session session = create(3, 8);
  Tensor one(i64, {1}), all(i32, {3});
  for (int64_t b : {0, 1, 2})
    ASSERT_OK(einhead_session_set_length(session.get(), b, 6));
  ASSERT_OK(call(session, "lengths", {}, {&one, &all}));
  EXPECT_EQ(one.data<int64_t>()[0], 6);
  for (int b = 0; b < 3; ++b)
    EXPECT_EQ(all.data<int32_t>()[b], 6);
  // One number cannot say two lengths.
  ASSERT_OK(einhead_session_set_length(session.get(), 2, 5));
  expectError(call(session, "lengths", {}, {&one, &all}),
              EINHEAD_FAILED_PRECONDITION,
              "sequence 0 has 6 and sequence 2 has 5", "argument 'length'");
}

TEST_F(SessionTest, ViewsACache) {
  Session session = create(2, 4);
  DLTensor k;
  ASSERT_OK(einhead_session_cache(session.get(), "k", &k));
  EXPECT_EQ(k.ndim, 3);
  EXPECT_EQ(k.shape[0], 2);
  EXPECT_EQ(k.shape[1], 4);
  EXPECT_EQ(k.strides[0], 8);
  EXPECT_EQ(k.strides[2], 1);
  EXPECT_EQ(k.dtype.bits, 32);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(k.data) % 64, 0u);
  for (int i = 0; i < 16; ++i)
    EXPECT_EQ(static_cast<float *>(k.data)[i], 0.0f);
  // A caller may fill the cache and say so.
  for (int i = 0; i < 16; ++i)
    static_cast<float *>(k.data)[i] = 1.0f;
  for (int64_t b : {0, 1})
    ASSERT_OK(einhead_session_set_length(session.get(), b, 3));
  Row x(2, 1, 2.0f);
  Tensor total(f32, {2});
  ASSERT_OK(call(session, "append", {&x}, {&total}));
  EXPECT_EQ(total.data<float>()[1], 10.0f);
  expectError(einhead_session_cache(session.get(), "v", &k), EINHEAD_NOT_FOUND,
              "no cache 'v'");
  EXPECT_EQ(k.data, nullptr);
  expectError(einhead_session_cache(session.get(), nullptr, &k),
              EINHEAD_INVALID_ARGUMENT, "null", "name");
  expectError(einhead_session_cache(session.get(), "k", nullptr),
              EINHEAD_INVALID_ARGUMENT, "null", "out_view");
}

TEST_F(SessionTest, OptionsAreChecked) {
  using Dimensions = std::vector<einhead_dimension_t>;
  auto refused = [&](const Dimensions &dimensions, int32_t threads,
                     einhead_status_t status, const char *text,
                     const char *where) {
    einhead_session_options_t options = {dimensions.data(), dimensions.size(),
                                         threads,           nullptr,
                                         nullptr,           0,
                                         nullptr,           0};
    auto *session = reinterpret_cast<einhead_session_t *>(16);
    expectError(einhead_session_create(module.get(), &options, &session),
                status, text, where);
    EXPECT_EQ(session, nullptr);
  };
  const einhead_status_t invalid = EINHEAD_INVALID_ARGUMENT;
  const char *first = "options.dimensions[0]",
             *second = "options.dimensions[1]";
  refused({}, 0, invalid, "needs the extent of 'b'", "options.dimensions");
  refused({{"b", 1}}, 0, invalid, "needs the extent of 'm'",
          "options.dimensions");
  refused({{"b", 1}, {"z", 1}}, 0, invalid, "no dimension 'z'", second);
  refused({{"b", 1}, {"b", 1}}, 0, invalid, "given twice", second);
  refused({{nullptr, 1}}, 0, invalid, "name is null", first);
  refused({{"b", 0}, {"m", 4}}, 0, invalid, "'b' is 0, wanted 1", first);
  refused({{"b", -1}, {"m", 4}}, 0, invalid, "'b' is -1", first);
  refused({{"b", INT64_MAX}, {"m", 4}}, 0, invalid, "wanted 1 to 2^48", first);
  refused({{"b", int64_t(1) << 30}, {"m", 4}}, 0, invalid, "a batch of",
          "options.dimensions");
  refused({{"b", 1 << 20}, {"m", int64_t(1) << 48}}, 0,
          EINHEAD_RESOURCE_EXHAUSTED, "overflows", "cache 'k'");
  refused({{"b", 1}, {"m", int64_t(1) << 47}}, 0, EINHEAD_RESOURCE_EXHAUSTED,
          "no memory for the 1125899906842624 bytes of cache 'k'", "cache 'k'");
  refused({{"b", 1}, {"m", 4}}, -1, invalid, "threads is -1",
          "options.threads");
  einhead_session_options_t options = {nullptr, 2, 0,       nullptr,
                                       nullptr, 0, nullptr, 0};
  einhead_session_t *session = nullptr;
  expectError(einhead_session_create(module.get(), &options, &session), invalid,
              "dimensions is null");
  expectError(einhead_session_create(module.get(), nullptr, &session), invalid,
              "needs the extent of 'b'");
  expectError(einhead_session_create(nullptr, &options, &session), invalid,
              "null", "module");
  expectError(einhead_session_create(module.get(), &options, nullptr), invalid,
              "null", "out_session");
}

TEST_F(SessionTest, FunctionsWithoutCachesNeedNoOptions) {
  Module plain = open(moduleFile(
      R"({"name": "add_one", "symbol": "entry_add_one", "arguments": [
          {"name": "x", "kind": "input", "type": "f32", "shape": ["n", 2]},
          {"name": "y", "kind": "output", "type": "f32", "shape": ["n", 2]}]})"));
  einhead_session_t *raw = nullptr;
  ASSERT_OK(einhead_session_create(plain.get(), nullptr, &raw));
  Session session(raw);
  for (int64_t n : {1, 5, 3}) {
    Tensor x(f32, {n, 2}), y(f32, {n, 2});
    EXPECT_OK(call(session, "add_one", {&x}, {&y}));
    EXPECT_EQ(y.data<float>()[2 * n - 1], 1.0f);
  }
  EXPECT_EQ(length(session), 0);
  // A dimension that the session fixes holds in every call.
  einhead_dimension_t n = {"n", 4};
  einhead_session_options_t options = {&n,      1, 1,       nullptr,
                                       nullptr, 0, nullptr, 0};
  ASSERT_OK(einhead_session_create(plain.get(), &options, &raw));
  Session fixed(raw);
  Tensor x(f32, {3, 2}), y(f32, {3, 2});
  expectError(call(fixed, "add_one", {&x}, {&y}), EINHEAD_INVALID_ARGUMENT,
              "extent 3, wanted 4 (n)");
}

TEST_F(SessionTest, KeepsItsModuleAlive) {
  Session session = create(1, 4);
  module.reset();
  Row x(1, 1, 1.0f);
  Tensor total(f32, {1});
  EXPECT_OK(call(session, "append", {&x}, {&total}));
  EXPECT_EQ(total.data<float>()[0], 2.0f);
}

TEST_F(SessionTest, LargeCachesAreZeroAndAligned) {
  Session session = create(1, 1 << 20); // 8 MiB
  DLTensor k;
  ASSERT_OK(einhead_session_cache(session.get(), "k", &k));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(k.data) % (2 << 20), 0u);
  const float *data = static_cast<float *>(k.data);
  EXPECT_EQ(data[0], 0.0f);
  EXPECT_EQ(data[(2 << 20) - 1], 0.0f);
}

TEST_F(SessionTest, ThreadsShareAModuleWithSessionsOfTheirOwn) {
  auto decode = [&](float seed, std::vector<float> &out) {
    Session session = create(1, 64, 1);
    Tensor total(f32, {1});
    for (int step = 0; step < 64; ++step) {
      Row x(1, 1, seed + static_cast<float>(step));
      EXPECT_OK(call(session, "append", {&x}, {&total}));
      out.push_back(total.data<float>()[0]);
    }
  };
  std::vector<float> alone[4], together[4];
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    decode(static_cast<float>(i), alone[i]);
  for (int i = 0; i < 4; ++i)
    threads.emplace_back(
        [&, i] { decode(static_cast<float>(i), together[i]); });
  for (std::thread &thread : threads)
    thread.join();
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(alone[i], together[i]);
  EXPECT_NE(alone[0], alone[1]);
}
