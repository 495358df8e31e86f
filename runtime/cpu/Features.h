//===- Features.h - What the CPU of this machine can do ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CPU_FEATURES_H
#define EINHEAD_RUNTIME_CPU_FEATURES_H

#include <string_view>

namespace einhead::runtime {

/// What is asked of a machine before it runs code.  Tests put another one in
/// the place of this one.
class Machine {
public:
  enum class Support { Present, Absent, Unknown };

  virtual ~Machine() = default;
  /// The first part of LLVM's triples: "x86_64-".
  virtual std::string_view architecture() const = 0;
  /// By LLVM's name.  Unknown: this runtime does not know the name.
  virtual Support feature(std::string_view name) const = 0;
  /// Asks the system for the tile registers, which stay this process's then.
  virtual bool grantTiles() const = 0;

  static const Machine &here();
};

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CPU_FEATURES_H
