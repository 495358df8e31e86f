//===- TwinTest.cpp - Implementations with a bug are refused ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cases.h"

#include <gtest/gtest.h>

using namespace einhead;
using namespace einhead::reference;
using namespace einhead::test;

namespace {

bool isRefused(const Case &c, Bug bug) {
  return !compare(c.implementation(bug).blocked(), c.expected()).pass;
}

/// Tries a bug on all depths and the given numbers of keys.
void expectRefused(Bug bug, const std::vector<int64_t> &keyCounts) {
  for (int64_t depth : kDepths)
    for (int64_t keys : keyCounts)
      for (int source : {0, 1}) {
        Case c(kSources[source], 4, keys, depth, 7 * keys + depth);
        EXPECT_TRUE(isRefused(c, bug)) << kSources[source].name << ", " << keys
                                       << " keys of depth " << depth;
      }
}

const std::vector<int64_t> kSmall = {2, 3, 17, 63, 64, 65, 130};
const std::vector<int64_t> kAll = {2, 3, 17, 63, 64, 65, 130, 257, 1025, 4097};

TEST(Twin, LastKeyDropped) { expectRefused(Bug::LastKeyDropped, kAll); }

TEST(Twin, OnlyKeyDropped) { expectRefused(Bug::LastKeyDropped, {1}); }

TEST(Twin, LastDepthDropped) { expectRefused(Bug::LastDepthDropped, kAll); }

TEST(Twin, ScaleOfPaddedDepth) { expectRefused(Bug::ScaleOfPaddedDepth, kAll); }

TEST(Twin, StaleValueRow) { expectRefused(Bug::StaleValueRow, kAll); }

TEST(Twin, PaddingLaneUnmasked) {
  expectRefused(Bug::PaddingLaneUnmasked, kSmall);
}

TEST(Twin, HalfAccumulator) { expectRefused(Bug::HalfAccumulator, kAll); }

TEST(Twin, MissingRescale) {
  int shown = 0;
  for (int64_t depth : kDepths)
    for (int64_t keys : {65, 130, 257, 1025}) {
      Case c(kSources[0], 8, keys, depth, keys + depth);
      Float32Attention twin = c.implementation(Bug::MissingRescale);
      std::vector<float> actual = twin.blocked();
      if (!twin.rescaled)
        continue;
      ++shown;
      EXPECT_FALSE(compare(actual, c.expected()).pass)
          << keys << " keys of depth " << depth;
    }
  EXPECT_GT(shown, 30);
}

// What the usual tolerances of 16-bit results do not see.
TEST(Twin, NarrowOutputs) {
  for (Bug bug : {Bug::LastKeyDropped, Bug::StaleValueRow,
                  Bug::LastDepthDropped, Bug::HalfAccumulator})
    for (int64_t keys : {257, 1025, 4097}) {
      Case c(kSources[0], 8, keys, 64, keys);
      c.options.output = Type::F16;
      std::vector<float> actual = c.implementation(bug).blocked();
      for (float &x : actual)
        x = static_cast<float>(roundTo(x, Type::F16));
      EXPECT_FALSE(compare(actual, c.expected()).pass)
          << static_cast<int>(bug) << ", " << keys << " keys";
    }
}

} // namespace
