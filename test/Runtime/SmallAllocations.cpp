//===- SmallAllocations.cpp - Makes operator new fail ---------------------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
// In a file of its own, so that no compiler sees only one half of a pair of new
// and delete.
#include "SmallAllocations.h"

#include <cstdlib>
#include <new>

thread_local long einhead::test::smallBudget = -1;

void *operator new(size_t size) {
  long &budget = einhead::test::smallBudget;
  if (budget == 0)
    throw std::bad_alloc();
  if (budget > 0)
    --budget;
  if (void *memory = std::malloc(size ? size : 1))
    return memory;
  throw std::bad_alloc();
}

void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }
