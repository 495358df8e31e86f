//===- MemoryTest.cpp - Workspace, and what happens without memory --------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Memory.h"
#include "RuntimeTest.h"
#include "SmallAllocations.h"

#include <memory>

using namespace einhead::test;
using einhead::runtime::Arena;
using einhead::runtime::Pages;
using einhead::runtime::setAllocationHook;

namespace {
/// Large allocations fail after this many more.
struct Budget {
  int left;
  int asked = 0;
  explicit Budget(int left) : left(left) {
    setAllocationHook(
        [](void *user, size_t) {
          auto *budget = static_cast<Budget *>(user);
          ++budget->asked;
          return budget->left-- > 0;
        },
        this);
  }
  ~Budget() { setAllocationHook(nullptr, nullptr); }
};

class MemoryTest : public SessionTest {
protected:
  einhead_status_t hungry(const Session &session, int64_t bytes, int64_t count,
                          int64_t alignment) {
    Tensor b(i64, {}), c(i64, {}), a(i64, {}), report(i64, {2});
    b.data<int64_t>()[0] = bytes;
    c.data<int64_t>()[0] = count;
    a.data<int64_t>()[0] = alignment;
    report.data<int64_t>()[0] = report.data<int64_t>()[1] = -1;
    einhead_status_t status = call(session, "hungry", {&b, &c, &a}, {&report});
    if (status == EINHEAD_OK) {
      EXPECT_EQ(report.data<int64_t>()[0], 0) << "misaligned";
      EXPECT_EQ(report.data<int64_t>()[1], 0) << "overlapping";
    }
    return status;
  }
};
} // namespace

TEST_F(MemoryTest, WorkspaceIsAlignedAndApart) {
  Session session = create(1, 64);
  for (int64_t alignment : {1, 8, 64, 4096, 1 << 21})
    for (int64_t bytes : {0, 1, 63, 64, 1000, 300000, 3000000})
      EXPECT_OK(hungry(session, bytes, 3, alignment)) << bytes;
}

TEST_F(MemoryTest, RunningOutEndsTheCallAndNothingElse) {
  Session session = create(1, 64);
  ASSERT_OK(hungry(session, 100, 2, 64));
  for (int64_t bytes : {int64_t(-1), INT64_MIN, INT64_MAX, int64_t(1) << 46,
                        int64_t(1) << 62}) {
    uint64_t before = stateHash(session, 1, 64, /*wholeCache=*/false);
    expectError(hungry(session, bytes, 1, 64), EINHEAD_RESOURCE_EXHAUSTED,
                "of workspace of 'hungry'", "workspace");
    EXPECT_EQ(stateHash(session, 1, 64, /*wholeCache=*/false), before);
  }
  for (int64_t alignment : {3, -64, 1 << 30})
    expectError(hungry(session, 64, 1, alignment), EINHEAD_RESOURCE_EXHAUSTED,
                "workspace");
  EXPECT_OK(hungry(session, 100, 2, 64));
  int64_t length = 0;
  EXPECT_OK(einhead_session_length(session.get(), 0, &length));
  EXPECT_EQ(length, 2); // of the two calls that succeeded
}

TEST_F(MemoryTest, EachLargeAllocationMayFailOnce) {
  for (int allowed = 0; allowed < 40; ++allowed) {
    Session session = create(1, 64);
    einhead_status_t status;
    uint64_t before = stateHash(session, 1, 64, /*wholeCache=*/false);
    {
      Budget budget(allowed);
      status = hungry(session, 3 << 20, 4, 64);
    }
    if (status == EINHEAD_OK) {
      EXPECT_GE(allowed, 2) << "no allocation failed";
      return;
    }
    expectError(status, EINHEAD_RESOURCE_EXHAUSTED, "workspace");
    EXPECT_EQ(stateHash(session, 1, 64, /*wholeCache=*/false), before);
    EXPECT_OK(hungry(session, 3 << 20, 4, 64));
  }
  FAIL() << "the call never succeeded";
}

TEST_F(MemoryTest, ASteadyStreamOfCallsAllocatesNothing) {
  Session session = create(1, 64);
  ASSERT_OK(hungry(session, 1 << 20, 5, 64));
  ASSERT_OK(hungry(session, 1 << 20, 5, 64)); // the chunks became one
  Tensor x(f32, {1, 1}), y(f32, {1, 1});
  DLTensor in = x.dl, out = y.dl;
  Budget budget(0);
  EXPECT_OK(hungry(session, 1 << 20, 5, 64));
  setSmallBudget(0);
  einhead_status_t status =
      einhead_session_call(session.get(), "add_one", &in, 1, &out, 1);
  setSmallBudget(-1);
  EXPECT_OK(status);
  EXPECT_EQ(budget.asked, 0);
}

TEST_F(MemoryTest, SessionsWithoutMemoryAreRefused) {
  einhead_dimension_t dimensions[] = {{"b", 1}, {"m", 64}};
  einhead_session_options_t options = {dimensions, 2, 1,       nullptr,
                                       nullptr,    0, nullptr, 0};
  auto *session = reinterpret_cast<einhead_session_t *>(16);
  {
    Budget budget(0);
    expectError(einhead_session_create(module.get(), &options, &session),
                EINHEAD_RESOURCE_EXHAUSTED, "no memory for the 512 bytes",
                "cache 'k'");
    EXPECT_EQ(session, nullptr);
  }
  // Each small allocation fails once; the last round has enough.
  long allowed = 0;
  einhead_status_t status = EINHEAD_INTERNAL;
  for (; allowed < 1000 && status != EINHEAD_OK; ++allowed) {
    setSmallBudget(allowed);
    status = einhead_session_create(module.get(), &options, &session);
    setSmallBudget(-1);
    if (status != EINHEAD_OK) {
      expectError(status, EINHEAD_RESOURCE_EXHAUSTED, "out of memory");
      EXPECT_EQ(session, nullptr);
    }
  }
  EXPECT_EQ(status, EINHEAD_OK);
  EXPECT_GT(allowed, 10);
  einhead_session_release(session);
}

TEST(Memory, PagesAreZeroAndAligned) {
  for (size_t bytes : {0, 1, 64, 100000, 2 << 20, (2 << 20) + 1, 9 << 20}) {
    Pages pages;
    ASSERT_TRUE(pages.allocate(bytes));
    EXPECT_EQ(pages.size(), bytes);
    size_t alignment = bytes >= (2 << 20) ? 2 << 20 : 64;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pages.data()) % alignment, 0u);
    for (size_t i = 0; i < bytes; i += 97)
      ASSERT_EQ(pages.data()[i], 0);
    Pages moved = std::move(pages);
    EXPECT_EQ(moved.size(), bytes);
    EXPECT_EQ(pages.data(), nullptr);
  }
  Pages pages;
  EXPECT_FALSE(pages.allocate(~size_t(0)));
  EXPECT_FALSE(pages.allocate(size_t(1) << 60));
  EXPECT_EQ(pages.data(), nullptr);
}

TEST(Memory, AnArenaBecomesOneChunk) {
  Arena arena;
  EXPECT_EQ(arena.capacity(), 0u);
  for (int i = 0; i < 100; ++i)
    ASSERT_NE(arena.allocate(100000, 64), nullptr);
  arena.reset();
  size_t capacity = arena.capacity();
  EXPECT_GE(capacity, 10000000u);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100; ++i)
      ASSERT_NE(arena.allocate(100000, 64), nullptr);
    arena.reset();
    EXPECT_EQ(arena.capacity(), capacity);
  }
}
