//===- IncrementalTest.cpp - Steps against the whole sequence at once -----===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Shazeer's incremental listings, stepped 64 times, give row for row what the
// batched ones give at once under a causal mask, with X = M.
//
//===----------------------------------------------------------------------===//

#include "Listing.h"
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

using namespace einhead::test;

namespace {

constexpr int64_t steps = 64;

struct Case {
  std::string heads; ///< "multihead" or "multiquery"
  int64_t b, d, h, k, v;
};

void PrintTo(const Case &c, std::ostream *os) {
  *os << c.heads << " b=" << c.b << " d=" << c.d << " h=" << c.h << " k=" << c.k
      << " v=" << c.v;
}

class Incremental : public testing::TestWithParam<Case> {
protected:
  Incremental()
      : sizes{{"b", GetParam().b}, {"d", GetParam().d}, {"h", GetParam().h},
              {"k", GetParam().k}, {"v", GetParam().v}, {"n", steps},
              {"m", steps}},
        fixed{{"d", GetParam().d},
              {"h", GetParam().h},
              {"k", GetParam().k},
              {"v", GetParam().v}},
        heads(GetParam().heads == "multihead" ? "h" : ""),
        // Scores of a few units: weights that are neither flat nor one-hot.
        scale(2.0f / std::sqrt(static_cast<float>(GetParam().d))),
        input(Array("bnd", sizes).random(1, 1.5f)),
        queries(Array("hdk", sizes).random(2, scale)),
        keys(Array(heads + "dk", sizes).random(3, scale)),
        values(Array(heads + "dv", sizes).random(4, scale)),
        outputs(Array("hdv", sizes).random(5, scale)) {}

  /// All rows at once.
  Array batched() {
    Listing listing(GetParam().heads + "_attention_batched", fixed, {});
    Array mask("bhnm", sizes), result("bnd", sizes);
    for (size_t i = 0; i < mask.data.size(); ++i) {
      size_t m = i % steps, n = i / steps % steps;
      mask.data[i] = m <= n ? 0.0f : -std::numeric_limits<float>::infinity();
    }
    listing.call({&input, &input, &mask, &queries, &keys, &values, &outputs},
                 result);
    return result;
  }

  /// Step by step.  A key in the cache is moved by `perturbation` after the
  /// step `perturbed`.
  Array stepped(int64_t perturbed = -1, float perturbation = 0) {
    Listing listing(GetParam().heads + "_self_attention_incremental", fixed,
                    {{"b", GetParam().b}, {"m", steps}});
    Array x("bd", sizes), y("bd", sizes), result("bnd", sizes);
    int64_t b = GetParam().b, d = GetParam().d;
    for (int64_t n = 0; n < steps; ++n) {
      EXPECT_EQ(listing.length(0), n);
      for (int64_t i = 0; i < b; ++i)
        std::copy_n(&input.data[(i * steps + n) * d], d, &x.data[i * d]);
      listing.call({&x, &queries, &keys, &values, &outputs}, y);
      for (int64_t i = 0; i < b; ++i)
        std::copy_n(&y.data[i * d], d, &result.data[(i * steps + n) * d]);
      if (n == perturbed) {
        std::vector<int64_t> first(heads.empty() ? 3 : 4, 0);
        listing.cacheElement("K", first) += perturbation;
      }
    }
    return result;
  }

  /// The largest difference of a row, in units of its largest element.
  double difference(const Array &got, const Array &want, int64_t b, int64_t n) {
    int64_t d = GetParam().d;
    double largest = 0, off = 0;
    for (int64_t i = (b * steps + n) * d; i < (b * steps + n + 1) * d; ++i) {
      largest = std::max(largest, std::fabs(double(want.data[i])));
      double now = std::fabs(double(got.data[i]) - want.data[i]);
      off = now <= off ? off : now; // NaN stays
    }
    return off / largest;
  }

  Sizes sizes, fixed;
  std::string heads;
  float scale;
  Array input, queries, keys, values, outputs;
};

/// Both take the same sums in f32 in different orders; each of the four in a
/// row rounds some hundred times.
constexpr double tolerance = 1e-5;

TEST_P(Incremental, EqualsTheBatchedListing) {
  Array want = batched(), got = stepped();
  for (int64_t b = 0; b < GetParam().b; ++b)
    for (int64_t n = 0; n < steps; ++n)
      EXPECT_LE(difference(got, want, b, n), tolerance)
          << "sequence " << b << ", step " << n;
}

/// The twin: one number of one key, changed after step 10, is seen in later
/// rows of its sequence (in those that give that key some weight), and nowhere
/// else.
TEST_P(Incremental, SeesOneWrongKey) {
  constexpr int64_t perturbed = 10;
  Array want = batched(), got = stepped(perturbed, 2.0f);
  int64_t seen = 0;
  for (int64_t b = 0; b < GetParam().b; ++b)
    for (int64_t n = 0; n < steps; ++n) {
      bool differs = !(difference(got, want, b, n) <= tolerance);
      if (b == 0 && n > perturbed)
        seen += differs;
      else
        EXPECT_FALSE(differs) << "sequence " << b << ", step " << n;
    }
  EXPECT_GE(seen, (steps - perturbed) / 2);
}

std::string nameOf(const testing::TestParamInfo<Case> &info) {
  const Case &c = info.param;
  return c.heads + "_b" + std::to_string(c.b) + "_h" + std::to_string(c.h) +
         "_k" + std::to_string(c.k);
}

// Odd sizes, and the paper's proportions d = h k at an eighth of its width.
INSTANTIATE_TEST_SUITE_P(Listings, Incremental,
                         testing::Values(Case{"multihead", 1, 11, 3, 7, 5},
                                         Case{"multihead", 3, 11, 3, 7, 5},
                                         Case{"multihead", 3, 128, 8, 16, 16},
                                         Case{"multiquery", 1, 11, 3, 7, 5},
                                         Case{"multiquery", 3, 11, 3, 7, 5},
                                         Case{"multiquery", 3, 128, 8, 16, 16}),
                         nameOf);

} // namespace
