//===- Data.h - Inputs and outputs of an attention on a GPU -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_BENCHMARKS_GPU_DATA_H
#define EINHEAD_BENCHMARKS_GPU_DATA_H

#include "Gpu.h"
#include "Problem.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace einhead::bench {

/// The session and the tensors of one call; several of them are more than any
/// cache holds.
class InputSet {
public:
  InputSet(Gpu &gpu, const Problem &problem,
           std::shared_ptr<einhead_session_t> session, uint64_t seed);

  void call();
  cuda::Address address(const Operand &operand) const {
    return addresses.at(operand.name);
  }
  std::vector<char> output() const;
  void clearOutput();
  const std::shared_ptr<einhead_session_t> &session() const { return owner; }

private:
  void place(const Operand &operand);
  void makeInputs(uint64_t seed);
  void fill(const Operand &operand, uint64_t seed);
  void poison(const Operand &operand);

  Gpu &gpu;
  const Problem &problem;
  std::shared_ptr<einhead_session_t> owner;
  std::vector<Memory> memory;
  std::map<std::string, cuda::Address> addresses;
  std::vector<std::vector<int64_t>> shapes;
  std::vector<DLTensor> inputs, outputs;
  cuda::Address paddingLengths = 0;
};

/// A session for the caches (if any) of one set.
std::shared_ptr<einhead_session_t> makeSession(Gpu &gpu, const Problem &problem,
                                               einhead_module_t *module);

/// Whether each set needs a session of its own.
bool hasCaches(const Problem &problem);

/// What random elements an argument gets.
Fill fillKind(const Operand &operand);

/// Bits that spoil whatever they meet: NaN, or the largest integer.
uint32_t poisonBits(Element type);

/// An element of this type as a number.
double loadElement(Element type, const char *data);

} // namespace einhead::bench

#endif // EINHEAD_BENCHMARKS_GPU_DATA_H
