//===- ThreadsTest.cpp - parallel_for, and one session at a time ----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "RuntimeTest.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

using namespace einhead::test;

namespace {
class ThreadsTest : public SessionTest {
protected:
  Session createParallel(int64_t count, int32_t threads,
                         einhead_parallel_for_t parallelFor = nullptr,
                         void *user = nullptr) {
    einhead_dimension_t dimensions[] = {{"b", 1}, {"m", 4}, {"count", count}};
    einhead_session_options_t options = {dimensions, 3, threads, parallelFor,
                                         user,       0, nullptr, 0};
    einhead_session_t *session = nullptr;
    EXPECT_OK(einhead_session_create(module.get(), &options, &session));
    return Session(session);
  }
  void expectEachOnce(const Session &session, int64_t count) {
    Tensor seen(i32, {count}), nested(i32, {count});
    ASSERT_OK(call(session, "parallel", {}, {&seen, &nested}));
    for (int64_t i = 0; i < count; ++i) {
      ASSERT_EQ(seen.data<int32_t>()[i], 1) << i << " of " << count;
      ASSERT_EQ(nested.data<int32_t>()[i], 3) << i << " of " << count;
    }
  }
};

struct Host {
  std::atomic<int> calls{0};
  std::atomic<int64_t> items{0};
};

/// A host's parallel_for: one range per two items, on a thread of its own.
void hostParallelFor(void *user, int64_t count,
                     void (*body)(void *, int64_t, int64_t), void *context) {
  auto *host = static_cast<Host *>(user);
  ++host->calls;
  host->items += count;
  std::thread other([=] {
    for (int64_t i = 0; i < count / 2; i += 2)
      body(context, i, i + 2 < count / 2 ? i + 2 : count / 2);
  });
  for (int64_t i = count / 2; i < count; ++i)
    body(context, i, i + 1);
  other.join();
}

/// A host that holds a call until it is told to go on.
struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool isInside = false, mayLeave = false;
};

void gatedParallelFor(void *user, int64_t count,
                      void (*body)(void *, int64_t, int64_t), void *context) {
  auto *gate = static_cast<Gate *>(user);
  {
    std::unique_lock<std::mutex> lock(gate->mutex);
    gate->isInside = true;
    gate->changed.notify_all();
    gate->changed.wait(lock, [=] { return gate->mayLeave; });
  }
  body(context, 0, count);
}
} // namespace

TEST_F(ThreadsTest, ParallelForCoversEachIndexOnce) {
  for (int32_t threads = 1; threads <= 4; ++threads)
    for (int64_t count : {1, 2, 3, 7, 64, 129, 1000, 5000})
      expectEachOnce(createParallel(count, threads), count);
  expectEachOnce(createParallel(100, 0), 100);
}

TEST_F(ThreadsTest, TheHostsParallelForIsUsed) {
  Host host;
  Session session = createParallel(101, 3, hostParallelFor, &host);
  expectEachOnce(session, 101);
  // One from the entry, and nested ones from bodies on the calling thread.
  EXPECT_GE(host.calls, 1 + 51);
  EXPECT_GE(host.items, 101);
  Host unused;
  expectEachOnce(createParallel(101, 3), 101);
  EXPECT_EQ(unused.calls, 0);
}

TEST_F(ThreadsTest, ASecondCallerIsTurnedAway) {
  Gate gate;
  Session session = createParallel(4, 1, gatedParallelFor, &gate);
  std::thread first([&] { expectEachOnce(session, 4); });
  {
    std::unique_lock<std::mutex> lock(gate.mutex);
    gate.changed.wait(lock, [&] { return gate.isInside; });
  }
  einhead_session_t *s = session.get();
  Tensor x(f32, {1, 1}), y(f32, {1, 1});
  expectError(einhead_session_call(s, "add_one", &x.dl, 1, &y.dl, 1),
              EINHEAD_BUSY, "another call uses this session", "session");
  int64_t length = 7;
  expectError(einhead_session_length(s, 0, &length), EINHEAD_BUSY, "another");
  EXPECT_EQ(length, 0);
  expectError(einhead_session_set_length(s, 0, 1), EINHEAD_BUSY, "another");
  DLTensor view;
  expectError(einhead_session_cache(s, "k", &view), EINHEAD_BUSY, "another");
  // Another session of the module is free.
  Session other = createParallel(4, 1);
  EXPECT_OK(call(other, "add_one", {&x}, {&y}));
  {
    std::lock_guard<std::mutex> lock(gate.mutex);
    gate.mayLeave = true;
    gate.changed.notify_all();
  }
  first.join();
  EXPECT_OK(einhead_session_length(s, 0, &length));
  EXPECT_OK(einhead_session_call(s, "add_one", &x.dl, 1, &y.dl, 1));
}

namespace {
struct Nested {
  einhead_session_t *inner = nullptr;
  int64_t bytes = 64; // of workspace, that the inner call asks for
  einhead_status_t status = EINHEAD_INTERNAL;
  int calls = 0;
};

/// A host whose loop steps another session before it runs the body.
void nestedParallelFor(void *user, int64_t count,
                       void (*body)(void *, int64_t, int64_t), void *context) {
  auto *nested = static_cast<Nested *>(user);
  if (nested->calls++ == 0) {
    Tensor bytes(i64, {}), count(i64, {}), alignment(i64, {}), report(i64, {2});
    bytes.data<int64_t>()[0] = nested->bytes;
    count.data<int64_t>()[0] = 1;
    alignment.data<int64_t>()[0] = 64;
    const DLTensor inputs[] = {bytes.dl, count.dl, alignment.dl};
    nested->status =
        einhead_session_call(nested->inner, "hungry", inputs, 3, &report.dl, 1);
  }
  body(context, 0, count);
}
} // namespace

TEST_F(ThreadsTest, AHostsLoopMayStepAnotherSession) {
  Session inner = createParallel(4, 1);
  Nested nested;
  Session outer = createParallel(4, 1, nestedParallelFor, &nested);
  auto step = [&](einhead_session_t *session, int64_t bytes) {
    nested = {session, bytes, EINHEAD_INTERNAL, 0};
    expectEachOnce(outer, 4);
    // The entry's loop and the four inside its bodies: after the inner call,
    // however it ended, the thread is back in the outer one.
    EXPECT_EQ(nested.calls, 5);
    return nested.status;
  };
  EXPECT_EQ(step(inner.get(), 64), EINHEAD_OK);
  EXPECT_EQ(step(inner.get(), -1), EINHEAD_RESOURCE_EXHAUSTED);
  // Its own session is in use.
  EXPECT_EQ(step(outer.get(), 64), EINHEAD_BUSY);
}
