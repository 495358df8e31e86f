//===- ScheduleFile.h - Measured schedules in a file ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `einhead tune` measures which schedule of an attention is the fastest on a
// CPU; a JSON file keeps it for the compiler (docs/CommandLine.md shows one).
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_SCHEDULEFILE_H
#define EINHEAD_TRANSFORMS_SCHEDULEFILE_H

#include "einhead/IR/Attn.h"
#include "einhead/Target/TargetInfo.h"
#include <map>
#include <optional>

namespace einhead {

/// What a measured schedule holds for: a CPU and a problem.  Letters are named
/// by their roles, so that spelling does not matter: b, c, ... batch, r, s, ...
/// row, m key, k depth, v value.
///
/// How many keys are valid, the scale and a sink's value are no part of it: the
/// loops are the same.
struct ScheduleKey {
  std::string cpu;
  /// The layout: "bcrk, bcmk, bcmv -> bcrv".
  std::string spec;
  /// The extent of each letter, "?" where it is dynamic.
  std::map<std::string, std::string> sizes;
  /// Element types of query, key and value.
  std::vector<std::string> types;
  /// The letters of the mask, then its sets; empty without a mask.
  std::vector<std::string> mask;
  /// What else the attention has, in this order: bias, blocks, score.
  std::vector<std::string> with;
  /// Whether rows share the loads of K and V.
  bool isShared = true;

  static ScheduleKey of(attn::AttentionOp op, const TargetInfo &target);

  /// Renames the letters by their roles, and writes the mask as its sets.  The
  /// reason where something is no part of an attention, or "".
  std::string canonicalize(mlir::MLIRContext *context);

  bool operator==(const ScheduleKey &other) const;
  std::string str() const;
};

/// The numbers of an `#attn.schedule`; lanes are those of the target.
struct ScheduleSizes {
  int64_t chunk = 0, keyTile = 0, rowTile = 0, prefetch = 0;
  attn::Products products = attn::Products::FMA;
  bool packed = false;

  static ScheduleSizes of(attn::ScheduleAttr schedule);
  attn::ScheduleAttr attribute(mlir::MLIRContext *context, int64_t lanes) const;
  /// Why no attention with this key on a CPU of these numbers can have this
  /// schedule, or "".
  std::string whyNot(const ScheduleKey &key, const TargetInfo &target) const;

  bool operator==(const ScheduleSizes &other) const;
  std::string str() const;
};

/// One entry.
struct StoredSchedule {
  ScheduleKey key;
  ScheduleSizes schedule;
  /// How it was measured: medians in microseconds of this schedule and of the
  /// cost model's, by that many threads.
  std::optional<double> medianMicroseconds, modelMicroseconds;
  std::optional<int64_t> threads;
};

/// The entries of a file, one for a key.
class ScheduleFile {
public:
  /// What is wrong with the text goes to the context's diagnostics, at its
  /// place in the file.
  static mlir::FailureOr<ScheduleFile> load(llvm::StringRef path,
                                            mlir::MLIRContext *context);
  static mlir::FailureOr<ScheduleFile>
  parse(llvm::StringRef text, llvm::StringRef path, mlir::MLIRContext *context);

  /// The entry of this key, or null.
  const StoredSchedule *find(const ScheduleKey &key) const;
  /// In place of the one with the same key, or as the last.
  void store(StoredSchedule entry);
  std::string json() const;

private:
  std::vector<StoredSchedule> entries;
};

} // namespace einhead

#endif // EINHEAD_TRANSFORMS_SCHEDULEFILE_H
