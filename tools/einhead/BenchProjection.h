//===- BenchProjection.h - Projections to measure ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_BENCHPROJECTION_H
#define EINHEAD_TOOLS_BENCHPROJECTION_H

#include "BenchTiming.h"
#include "HostTensor.h"
#include "einhead/IR/EinsumSpec.h"
#include <map>

namespace einhead::tool {

class BenchFlags;

/// Einsums of one activation, the first operand of each, and a weight; with
/// static extents.
struct ProjectionProblem {
  std::vector<attn::EinsumSpec> specs;
  std::map<char, int64_t> extent;
  DataType type = DataType::F32; ///< of activation and weights

  /// "bd, dhk -> bhk; bd, dgk -> bgk" and entries "b=1".
  static llvm::Expected<ProjectionProblem>
  create(llvm::StringRef spec, llvm::ArrayRef<std::string> sizes,
         llvm::StringRef type);

  DataType resultType() const {
    return type == DataType::F64 ? DataType::F64 : DataType::F32;
  }
  std::vector<int64_t> shape(llvm::StringRef term) const;
  int64_t count(llvm::StringRef term) const;
  int64_t weightBytes() const;
  int64_t operations() const;
  std::string spec() const;
  std::string sizes() const;
  /// The function @project at level 0, as MLIR text.
  std::string graph() const;
};

/// Checks and times one problem as `einhead bench` does.
class ProjectionBench {
public:
  ProjectionBench(const ProjectionProblem &problem, const BenchFlags &flags)
      : problem(problem), flags(flags) {}
  llvm::Error measure(llvm::StringRef module, Measurement &result);
  void print(const Measurement &result) const;
  void printJSON(const Measurement &result, bool fuse) const;

private:
  llvm::Error check(const char *x, const char *weights,
                    std::vector<HostTensor> &results, Measurement &result);

  const ProjectionProblem &problem;
  const BenchFlags &flags;
};

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_BENCHPROJECTION_H
