//===- SmallAllocations.h - Makes operator new fail -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_TEST_RUNTIME_SMALLALLOCATIONS_H
#define EINHEAD_TEST_RUNTIME_SMALLALLOCATIONS_H

namespace einhead::test {

/// Calls of operator new on this thread fail after this many more; negative:
/// never.
void setSmallBudget(long calls);

} // namespace einhead::test

#endif // EINHEAD_TEST_RUNTIME_SMALLALLOCATIONS_H
