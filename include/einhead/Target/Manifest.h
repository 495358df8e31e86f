//===- Manifest.h - What a module says of itself ----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TARGET_MANIFEST_H
#define EINHEAD_TARGET_MANIFEST_H

#include "einhead/Analysis/Traffic.h"
#include "einhead/Target/DeviceCode.h"
#include "einhead/Target/TargetInfo.h"
#include "mlir/IR/BuiltinOps.h"

namespace einhead {

/// A sum of products of named dimensions; "valid" is the number of valid keys.
struct DimensionProduct {
  int64_t coefficient;
  std::vector<std::string> dimensions;
};

/// One argument, as docs/Module.md has it.
struct ManifestArgument {
  std::string name, kind, type;
  /// A number, a name or "name+number" for each dimension.
  std::vector<std::string> shape;
  bool scalar = false;
  /// The dimension along which the cache grows, or -1.
  int64_t append = -1;
};

struct ManifestFunction {
  std::string name;
  std::vector<ManifestArgument> arguments;
  /// How many rows a call appends to each cache.
  int64_t advance = 0;
  std::vector<DimensionProduct> kvBytes, operations;
};

/// The manifest is read off the graph, in two steps, before lowering: the
/// signatures and appends, then what attention moves.
class Manifest {
public:
  /// Reads the signatures (level 0).  Errors are at the function.
  mlir::LogicalResult collect(mlir::ModuleOp module);
  /// Adds the traffic of each function's attentions (level 2).
  void addTraffic(mlir::ModuleOp module);
  /// Whether both describe one signature; traffic is left aside.
  bool sameSignatures(const Manifest &other) const;
  /// The functions as an attribute `einhead.manifest` of the module, so that a
  /// level past which nothing can be read off still tells them.
  void attach(mlir::ModuleOp module) const;
  /// Takes them from there and removes the attribute; false where there is
  /// none.  An error where it is damaged.
  mlir::FailureOr<bool> detach(mlir::ModuleOp module);
  bool hasTraffic() const;
  /// The first function that reads parameters, or "".
  llvm::StringRef readerOfParameters() const;
  /// The JSON text, of code for one target or for several, the least first, and
  /// of kernels for a device.
  std::string json(llvm::ArrayRef<TargetInfo> targets,
                   llvm::ArrayRef<std::string> parameterFiles,
                   const DeviceCode *device = nullptr) const;

private:
  std::vector<ManifestFunction> functions;
};

} // namespace einhead

#endif // EINHEAD_TARGET_MANIFEST_H
