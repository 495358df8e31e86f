//===- SmallAllocations.cpp - Makes operator new fail -----------*- C++ -*-===//
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

static thread_local long smallBudget = -1;

void einhead::test::setSmallBudget(long calls) { smallBudget = calls; }

void *operator new(size_t size) {
  if (smallBudget == 0)
    throw std::bad_alloc();
  if (smallBudget > 0)
    --smallBudget;
  if (void *memory = std::malloc(size ? size : 1))
    return memory;
  throw std::bad_alloc();
}

void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }
