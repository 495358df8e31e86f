//===- Manifest.h - What a module says about its functions ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_RUNTIME_CORE_MANIFEST_H
#define EINHEAD_RUNTIME_CORE_MANIFEST_H

#include "core/Status.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace einhead::runtime {

enum class ElementType {
  F64,
  F32,
  F16,
  BF16,
  F8E4M3,
  I64,
  I32,
  I8,
  U8,
  Bool,
  Index
};

/// The name in a manifest.
const char *elementTypeName(ElementType type);
/// Bytes of one element.
int64_t elementSize(ElementType type);
/// The type as DLPack says it; `index` is a 64-bit integer, `bool` a byte that
/// is 0 or 1.
DLDataType elementDLType(ElementType type);
/// Finds a type by its name in a manifest.
bool parseElementType(std::string_view name, ElementType &outType);

/// An extent: a number, a name, or a name plus a number.
struct Dimension {
  int name = -1; // index into Manifest::dimensionNames, -1: none
  int64_t offset = 0;

  bool operator==(const Dimension &other) const {
    return name == other.name && offset == other.offset;
  }
};

enum class ArgumentKind { Input, Output, Length, Cache, Parameter };

struct Argument {
  std::string name;
  ArgumentKind kind = ArgumentKind::Input;
  ElementType type = ElementType::F32;
  std::vector<Dimension> shape;
  bool isScalar = false;
  int append = -1; // the growing dimension of a cache, -1: none
  int index = -1;  // into Manifest::caches or Manifest::parameters
};

struct Function {
  std::string name;
  std::string symbol;
  Dimension advance;
  std::vector<Argument> arguments;
  size_t inputCount = 0;
  size_t outputCount = 0;
};

struct Target {
  std::string triple;
  std::string cpu;
  std::vector<std::string> features;
};

/// Code for a GPU: what the manifest says, and the section's bytes once they
/// are joined to it.
struct DeviceImage {
  std::string format; // "cubin", "ptx"; others are for newer runtimes
  std::string chip;   // "sm_90a"
  std::string bytes;
};

struct DeviceCode {
  std::string kind; // "cuda", or "" where there is none
  std::string chip;
  std::vector<DeviceImage> images;
  std::vector<std::string> kernels;
};

struct Manifest {
  Target target;
  DeviceCode device;
  /// What further code is for, each better than the one before.
  std::vector<Target> variants;
  std::vector<std::string> parameterFiles;
  std::vector<std::string> dimensionNames;
  std::vector<Function> functions;
  /// Each cache and each parameter once, whichever functions use it.
  std::vector<Argument> caches;
  std::vector<Argument> parameters;

  /// The function of this name, or functions.size().
  size_t find(std::string_view function) const;
  /// NOT_FOUND where there is none of this name.
  einhead_status_t require(const char *function, size_t &out) const;
  /// "m + 1" as text, for messages.
  std::string describe(const Dimension &dimension) const;
};

constexpr size_t maxRank = 16;
/// Larger extents are mistakes; sums of a few of them cannot overflow.
constexpr int64_t maxExtent = int64_t(1) << 48;

/// Reads and checks a manifest.  Any bytes are safe.
einhead_status_t parseManifest(std::string_view text, Manifest &outManifest);

/// extents[0] * ... * elementBytes, or false where that overflows.
bool countBytes(const int64_t *extents, size_t rank, int64_t elementBytes,
                int64_t &outBytes);

} // namespace einhead::runtime

#endif // EINHEAD_RUNTIME_CORE_MANIFEST_H
