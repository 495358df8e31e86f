//===- TensorCheck.h - A caller's tensor against the manifest ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CORE_TENSORCHECK_H
#define EINHEAD_RUNTIME_CORE_TENSORCHECK_H

#include "core/Manifest.h"

#include <cstdint>
#include <vector>

namespace einhead::runtime {

/// The extent of each dimension name, -1 while it is unbound.
using Bindings = std::vector<int64_t>;

/// The extent of a dimension; false while its name is unbound.
inline bool evaluate(const Dimension &dimension, const Bindings &bindings,
                     int64_t &outExtent) {
  outExtent = dimension.offset;
  if (dimension.name < 0)
    return true;
  if (bindings[dimension.name] < 0)
    return false;
  outExtent += bindings[dimension.name];
  return true;
}

/// The bytes a tensor touches.
struct ByteRange {
  uintptr_t begin = 0, end = 0;

  bool overlaps(const ByteRange &other) const {
    return begin < end && other.begin < other.end && begin < other.end &&
           other.begin < end;
  }
};

/// A tensor that passed its checks, as compiled code takes it.  Strides of
/// dimensions that hold at most one element are row-major ones, whatever the
/// caller wrote there.
struct CheckedTensor {
  void *data = nullptr;
  size_t rank = 0;
  int64_t extents[maxRank];
  int64_t strides[maxRank];
  ByteRange range;
};

/// Checks device, type, rank, extents, strides, data and alignment.  Names that
/// are unbound are bound where `mayBind`, and are an error otherwise.
/// `device` is the session's; scalars are on the CPU whatever it is.
einhead_status_t checkTensor(const Manifest &manifest, const Argument &argument,
                             const DLTensor &tensor, bool mayBind,
                             const DLDevice &device, Bindings &bindings,
                             CheckedTensor &out);

/// Strides of a dense row-major tensor.
void rowMajorStrides(const int64_t *extents, size_t rank, int64_t *strides);

/// Writes an einhead_memref_t into 3 + 2 * rank words.
void writeMemref(int64_t *words, void *data, size_t rank,
                 const int64_t *extents, const int64_t *strides);

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CORE_TENSORCHECK_H
