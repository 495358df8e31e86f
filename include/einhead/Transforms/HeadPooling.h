//===- HeadPooling.h - Fewer key/value heads, in numbers --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What becomes of the numbers of a key or value projection when its heads are
// pooled into groups (Ainslie et al. 2023, section 2.1).  Files and IR are
// others' concern: `einhead convert-heads` and `--attn-convert-heads` both call
// this.
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_HEADPOOLING_H
#define EINHEAD_TRANSFORMS_HEADPOOLING_H

#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <optional>
#include <string>

namespace einhead {

enum class HeadMethod {
  Mean,  ///< the mean of the heads of each group
  First, ///< the first head of each group
  Random ///< new numbers
};

std::optional<HeadMethod> parseHeadMethod(llvm::StringRef name);
/// "mean, first, random"
llvm::StringRef headMethodNames();

enum class HeadElement { F64, F32, F16, BF16 };

size_t sizeOf(HeadElement type);

/// A row-major tensor seen as [outer, heads, inner], and how many groups of
/// consecutive heads it shall have.
struct HeadAxis {
  int64_t outer = 1, heads = 1, groups = 1, inner = 1;

  int64_t perGroup() const { return heads / groups; }
  int64_t resultCount() const { return outer * groups * inner; }
};

/// All counts of groups that `heads` can be pooled into: "1, 2, 4, 8".
std::string possibleGroups(int64_t heads);

/// Writes [outer, groups, inner]: the mean, rounded once to nearest even (a
/// mean of f64: at each step), or the first head.  Groups of one head keep
/// their bits.
void poolHeads(HeadMethod method, HeadElement type, const HeadAxis &axis,
               const char *from, char *to);

/// Writes `count` numbers from a normal distribution around 0.  They depend on
/// the seed and the parameter's name alone, so neither the order of parameters
/// nor their files matter.
void drawNormal(HeadElement type, int64_t count, double deviation,
                uint64_t seed, llvm::StringRef name, char *to);

} // namespace einhead

#endif // EINHEAD_TRANSFORMS_HEADPOOLING_H
