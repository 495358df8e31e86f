//===- StatusTest.cpp - Statuses and messages -------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Status.h"
#include "RuntimeTest.h"

#include <set>
#include <thread>

using namespace einhead::test;
using einhead::runtime::at;
using einhead::runtime::fail;

TEST(Status, NamesEveryStatusOnce) {
  std::set<std::string> names;
  for (int status = EINHEAD_OK; status <= EINHEAD_INTERNAL; ++status) {
    std::string name = einhead_status_name(einhead_status_t(status));
    EXPECT_EQ(name.rfind("EINHEAD_", 0), 0u) << name;
    names.insert(name);
  }
  EXPECT_EQ(names.size(), 13u);
  EXPECT_STREQ(einhead_status_name(EINHEAD_BUSY), "EINHEAD_BUSY");
  EXPECT_STREQ(einhead_status_name(einhead_status_t(99)), "an unknown status");
}

TEST(Status, KeepsLongTextsShortAndWhole) {
  std::string umlauts;
  for (int i = 0; i < 600; ++i)
    umlauts += "\xc3\xa4";
  for (const char *prefix : {"", "a"}) {
    fail(EINHEAD_INTERNAL, at("%s%s", prefix, umlauts.c_str()), "%s%s", prefix,
         umlauts.c_str());
    std::string text = einhead_last_error()->text;
    EXPECT_GE(text.size(), 508u);
    EXPECT_LE(text.size(), 511u);
    // Whole characters only: an even number of bytes behind the prefix.
    EXPECT_EQ((text.size() - std::string(prefix).size()) % 2, 0u);
    EXPECT_EQ(std::string(einhead_last_error()->where).size() % 2,
              std::string(prefix).size());
  }
}

TEST(Status, BelongsToTheThread) {
  fail(EINHEAD_BUSY, "here", "mine");
  std::thread([] {
    EXPECT_EQ(einhead_last_error()->status, EINHEAD_OK);
    fail(EINHEAD_INTERNAL, "there", "yours");
  }).join();
  expectError(einhead_last_error()->status, EINHEAD_BUSY, "mine", "here");
}

TEST(Status, ExceptionsStopAtTheBoundary) {
  using einhead::runtime::guarded;
  expectError(guarded([]() -> einhead_status_t { throw std::bad_alloc(); }),
              EINHEAD_RESOURCE_EXHAUSTED, "out of memory");
  expectError(guarded([]() -> einhead_status_t { throw 1; }), EINHEAD_INTERNAL,
              "exception");
  EXPECT_EQ(guarded([] { return EINHEAD_OK; }), EINHEAD_OK);
  EXPECT_EQ(einhead_last_error()->status, EINHEAD_OK);
  EXPECT_STREQ(einhead_last_error()->text, "");
}
