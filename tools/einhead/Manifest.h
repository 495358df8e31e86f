//===- Manifest.h - The manifest of a module file ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_MANIFEST_H
#define EINHEAD_TOOLS_MANIFEST_H

#include "HostTensor.h"
#include <map>

namespace einhead::tool {

/// A number (no name), a name, or a name plus a number.
struct Dimension {
  std::string name;
  int64_t extent = 0;
  std::string str() const;
};

/// Extents by name.
using Bindings = std::map<std::string, int64_t>;

struct Argument {
  std::string name, kind;
  DataType type = DataType::F32;
  std::vector<Dimension> shape;
  bool scalar = false;
  int append = -1; ///< the dimension of a cache that grows

  /// "b, g, m+1"
  std::string shapeText() const;
  /// Names that `bindings` lacks are added to `missing`.
  std::vector<int64_t> extents(const Bindings &bindings,
                               std::vector<std::string> &missing) const;
};

/// Bytes that one call reads from K and V: the product of the coefficient and
/// the dimensions, of which "valid" is the number of valid keys.
struct TrafficTerm {
  int64_t bytes = 0;
  std::vector<std::string> dimensions;
};

struct Function {
  std::string name, symbol;
  int64_t advance = 0;
  std::vector<Argument> arguments;
  std::vector<TrafficTerm> traffic;
};

/// What code is for.
struct ManifestTarget {
  std::string triple, cpu;
  std::vector<std::string> features;
};

/// Kernels, in the forms that the module's images have.
struct ManifestDevice {
  struct Image {
    std::string format, chip;
  };
  std::string kind, chip; ///< "" where there is none
  std::vector<Image> images;
  std::vector<std::string> kernels;
};

struct Manifest {
  std::string version;
  ManifestTarget target;
  ManifestDevice device;
  /// Of further code, each better than the one before.
  std::vector<ManifestTarget> variants;
  std::vector<std::string> parameters;
  std::vector<Function> functions;

  static llvm::Expected<Manifest> parse(llvm::StringRef json);

  /// The function of that name; "" stands for the only one, or one called
  /// "step" or "main".
  llvm::Expected<const Function *> function(llvm::StringRef name) const;
};

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_MANIFEST_H
