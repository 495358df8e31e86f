//===- Compare.cpp - Is a result within its bound? --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Loops.h"

#include <cmath>
#include <sstream>

using namespace einhead::reference;

namespace {

/// Error in units of the bound; infinite where no error is allowed.
double ratio(double got, double expected, double bound) {
  if (std::isnan(expected) || std::isnan(got))
    return std::isnan(expected) && std::isnan(got) ? 0 : HUGE_VAL;
  if (std::isinf(expected) || std::isinf(got))
    return got == expected ? 0 : HUGE_VAL;
  double error = std::fabs(got - expected);
  return error == 0 ? 0 : error / bound;
}

std::vector<int64_t> indexOf(const std::vector<int64_t> &shape, int64_t at) {
  std::vector<int64_t> index(shape.size());
  for (size_t i = shape.size(); i-- > 0; at /= shape[i])
    index[i] = at % shape[i];
  return index;
}

template <typename Float>
Report compareElements(const std::vector<Float> &actual,
                       const Tensor &expected) {
  require(static_cast<int64_t>(actual.size()) == expected.size(),
          "as many results as expected");
  Report report;
  int64_t worst = actual.empty() ? -1 : 0;
  for (int64_t i = 0; i < expected.size(); ++i) {
    if (!std::isfinite(expected.bound[i])) {
      ++report.unbounded;
      continue;
    }
    double off = ratio(actual[i], expected.value[i], expected.bound[i]);
    if (!(off <= 1))
      ++report.failures;
    if (off > report.worstRatio) {
      report.worstRatio = off;
      worst = i;
    }
  }
  report.pass = report.failures == 0;
  if (worst < 0)
    return report;
  report.index = indexOf(expected.shape, worst);
  report.got = actual[worst];
  report.expected = expected.value[worst];
  report.bound = expected.bound[worst];
  return report;
}

} // namespace

Report einhead::reference::compare(const std::vector<float> &actual,
                                   const Tensor &expected) {
  return compareElements(actual, expected);
}

Report einhead::reference::compare(const std::vector<double> &actual,
                                   const Tensor &expected) {
  return compareElements(actual, expected);
}

std::string Report::message() const {
  std::ostringstream text;
  text.precision(9);
  text << (pass ? "pass" : "FAIL") << ", worst " << worstRatio
       << " of the bound at [";
  for (size_t i = 0; i < index.size(); ++i)
    text << (i ? ", " : "") << index[i];
  text << "]: got " << got << ", expected " << expected << " +- " << bound;
  if (failures)
    text << ", " << failures << " failed";
  if (unbounded)
    text << ", " << unbounded << " without a bound";
  return text.str();
}
