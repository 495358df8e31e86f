//===- MachineCaches.h - The caches of a core -------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_MACHINECACHES_H
#define EINHEAD_TOOLS_MACHINECACHES_H

#include <cstddef>

namespace einhead::tool {

/// One cache, and how many hardware threads share it.
struct CacheLevel {
  size_t bytes = 0; ///< 0 where the system does not say
  size_t sharers = 1;
};

/// The data cache of that level which the first core uses.
CacheLevel cacheLevel(int level);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_MACHINECACHES_H
