//===- StepCheck.h - A step of a layer in fp64 ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_BENCHMARKS_GPU_STEPCHECK_H
#define EINHEAD_BENCHMARKS_GPU_STEPCHECK_H

#include "Gpu.h"
#include "Problem.h"
#include "Reference.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace einhead::bench {

/// Evaluates the ops of a step for one sequence of the batch, op by op, with
/// the bounds of docs/Numerics.md.  The sequence's letter, the first one of the
/// first op, leads each tensor that has it.
class StepCheck {
public:
  /// `address` says where an argument is; its rows past `length` are not read.
  StepCheck(Gpu &gpu, const Request &request,
            const std::vector<Operand> &arguments, int64_t length,
            std::function<cuda::Address(const Operand &)> address);

  using Tensors = std::map<std::string, reference::Tensor>;

  /// What each name is for each of these sequences.
  std::vector<Tensors> evaluate(const std::vector<int64_t> &sequences);

  /// A part of an argument: what belongs to this sequence, or all of it.
  reference::Tensor read(const Operand &operand, int64_t sequence);
  bool isOfSequence(const std::string &name) const {
    return ofSequence.count(name) != 0;
  }

private:
  void findSequences();
  Tensors readInputs(int64_t sequence);
  void evaluate(Tensors &known) const;
  reference::Tensor apply(const StepOp &op,
                          const std::vector<reference::Tensor> &operands) const;

  Gpu &gpu;
  const Request &request;
  const std::vector<Operand> &arguments;
  int64_t length;
  std::function<cuda::Address(const Operand &)> address;
  std::map<std::string, bool> ofSequence; ///< names with the sequence's letter
  std::map<std::string, reference::Tensor> shared; ///< arguments without it
};

} // namespace einhead::bench

#endif // EINHEAD_BENCHMARKS_GPU_STEPCHECK_H
