//===- Data.cpp - Inputs and outputs of an attention on a GPU ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Data.h"
#include "Reference.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace einhead::bench;
using namespace einhead;

Fill einhead::bench::fillKind(const Operand &operand) {
  switch (operand.type) {
  case Element::BF16:
    return Fill::BF16;
  case Element::F16:
    return Fill::F16;
  case Element::F32:
    return operand.name.find("scale") == std::string::npos ? Fill::F32
                                                           : Fill::Scale;
  case Element::F8E4M3:
    return Fill::E4M3;
  case Element::I8:
    return Fill::I8;
  default:
    throw std::runtime_error("no random elements of the type of '" +
                             operand.name + "'");
  }
}

uint32_t einhead::bench::poisonBits(Element type) {
  return type == Element::BF16  ? 0x7fc0
         : type == Element::F16 ? 0x7e00
         : type == Element::F32 ? 0x7fc00000
                                : 0x7f;
}

double einhead::bench::loadElement(Element type, const char *data) {
  uint16_t half = 0;
  float single = 0;
  uint8_t byte = static_cast<uint8_t>(*data);
  switch (type) {
  case Element::BF16:
    std::memcpy(&half, data, sizeof(half));
    return reference::fromBF16(half);
  case Element::F16:
    std::memcpy(&half, data, sizeof(half));
    return reference::fromF16(half);
  case Element::F32:
    std::memcpy(&single, data, sizeof(single));
    return single;
  case Element::I8:
    return static_cast<int8_t>(byte);
  case Element::F8E4M3:
    return reference::fromE4M3(byte);
  default:
    throw std::runtime_error("no number of this type");
  }
}

bool einhead::bench::hasCaches(const Problem &problem) {
  for (const Operand &argument : problem.arguments)
    if (argument.kind == "cache" || argument.kind == "length")
      return true;
  return false;
}

std::shared_ptr<einhead_session_t>
einhead::bench::makeSession(Gpu &gpu, const Problem &problem,
                            einhead_module_t *module) {
  std::vector<einhead_dimension_t> dimensions;
  for (const auto &[name, extent] : problem.request.sizes)
    dimensions.push_back({name.c_str(), extent});
  einhead_session_options_t options = {};
  options.dimensions = dimensions.data();
  options.dimension_count = dimensions.size();
  options.device = gpu.ordinal();
  options.stream = gpu.stream();
  einhead_session_t *session = nullptr;
  check(einhead_session_create(module, &options, &session));
  std::shared_ptr<einhead_session_t> owner(session, einhead_session_release);
  if (hasCaches(problem))
    for (int64_t b = 0; b < problem.extent.at(problem.sequence); ++b)
      check(einhead_session_set_length(session, b, problem.length(b)));
  return owner;
}

InputSet::InputSet(Gpu &gpu, const Problem &problem,
                   std::shared_ptr<einhead_session_t> session, uint64_t seed)
    : gpu(gpu), problem(problem), owner(std::move(session)) {
  std::vector<int64_t> lengths;
  for (int64_t b = 0; b < problem.extent.at(problem.sequence); ++b)
    lengths.push_back(problem.length(b));
  memory.emplace_back(gpu, lengths.size() * sizeof(int64_t));
  paddingLengths = memory.back().address();
  gpu.copyToDevice(paddingLengths, lengths.data(), memory.back().size());
  makeInputs(seed);
  gpu.synchronize();
}

/// The argument's memory: the caller's, or a cache of the session.
void InputSet::place(const Operand &operand) {
  if (operand.kind == "cache") {
    DLTensor view;
    check(einhead_session_cache(owner.get(), operand.name.c_str(), &view));
    addresses[operand.name] = reinterpret_cast<uintptr_t>(view.data);
    return;
  }
  memory.emplace_back(gpu, operand.bytes());
  addresses[operand.name] = memory.back().address();
}

void InputSet::fill(const Operand &operand, uint64_t seed) {
  gpu.fill(address(operand), operand.count(), seed, fillKind(operand));
}

/// What lies past the lengths is never read: it is NaN.
void InputSet::poison(const Operand &operand) {
  Padding padding;
  padding.lengths = paddingLengths;
  if (operand.has(problem.sequence)) {
    padding.sequenceStride = operand.stride(problem.sequence);
    padding.sequences = problem.extent.at(problem.sequence);
  }
  padding.keyStride = operand.stride(problem.key);
  padding.keys = problem.extent.at(problem.key);
  gpu.poison(address(operand), operand.count(), operand.elementBytes(),
             poisonBits(operand.type), padding);
}

void InputSet::makeInputs(uint64_t seed) {
  std::vector<const Operand *> operands = problem.cached();
  place(problem.query);
  fill(problem.query, seed);
  for (const Operand *operand : operands) {
    place(*operand);
    fill(*operand, seed += uint64_t(1) << 36);
    if (!problem.request.lengths.empty())
      poison(*operand);
  }
  place(problem.output);
  operands.push_back(&problem.query);
  operands.push_back(&problem.output);
  if (problem.lengths) {
    place(*problem.lengths);
    std::vector<int64_t> wide;
    std::vector<int32_t> narrow;
    for (int64_t b = 0; b < problem.lengths->count(); ++b) {
      wide.push_back(problem.length(b));
      narrow.push_back(static_cast<int32_t>(problem.length(b)));
    }
    bool isWide = problem.lengths->elementBytes() == 8;
    gpu.copyToDevice(address(*problem.lengths),
                     isWide ? static_cast<void *>(wide.data())
                            : static_cast<void *>(narrow.data()),
                     problem.lengths->bytes());
    operands.push_back(&*problem.lengths);
  }
  shapes.reserve(operands.size()); // tensors point into it
  for (const Operand &argument : problem.arguments) {
    if (argument.kind != "input" && argument.kind != "output")
      continue;
    const Operand *operand = nullptr;
    for (const Operand *candidate : operands)
      if (candidate->name == argument.name)
        operand = candidate;
    if (!operand)
      throw std::runtime_error("no role for the argument '" + argument.name +
                               "'");
    shapes.push_back(operand->extents);
    DLTensor tensor = {reinterpret_cast<void *>(address(*operand)),
                       {kDLCUDA, gpu.ordinal()},
                       static_cast<int>(shapes.back().size()),
                       toDLPack(argument.type),
                       shapes.back().data(),
                       nullptr,
                       0};
    (argument.kind == "input" ? inputs : outputs).push_back(tensor);
  }
}

void InputSet::call() {
  check(einhead_session_call(owner.get(), problem.request.function.c_str(),
                             inputs.data(), inputs.size(), outputs.data(),
                             outputs.size()));
}

std::vector<char> InputSet::output() const {
  std::vector<char> bytes(problem.output.bytes());
  gpu.copyToHost(bytes.data(), address(problem.output), bytes.size());
  return bytes;
}

void InputSet::clearOutput() {
  gpu.zero(address(problem.output), problem.output.bytes());
}
