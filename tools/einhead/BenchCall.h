//===- BenchCall.h - A compiled attention, ready to be called ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_BENCHCALL_H
#define EINHEAD_TOOLS_BENCHCALL_H

#include "BenchBuffers.h"
#include "File.h"
#include "Session.h"

namespace einhead::tool {

/// A module file of a problem's graph, opened, with its own output.
class BenchCall {
public:
  /// Query and buffers outlive it.
  static llvm::Expected<std::unique_ptr<BenchCall>>
  open(const BenchProblem &problem, const BenchBuffers &buffers,
       HostTensor &query, llvm::StringRef moduleBytes, int threads);

  /// On one set of buffers.
  llvm::Error evaluate(int set);
  HostTensor &output() { return result; }
  const std::string &cpu() const { return module.manifest().target.cpu; }

private:
  BenchCall(const BenchProblem &problem, const BenchBuffers &buffers,
            HostTensor &query, TemporaryFile file, Module module,
            Session session);

  const BenchBuffers &buffers;
  HostTensor &query;
  std::vector<BenchTensor> tensors;
  std::vector<std::vector<int64_t>> shapes;
  bool hasLengths;
  HostTensor valid; ///< the lengths of the sequences, if there are any
  TemporaryFile file;
  Module module;
  Session session;
  HostTensor result;
};

/// The query of a problem, filled with random numbers.
HostTensor randomQuery(const BenchProblem &problem);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_BENCHCALL_H
