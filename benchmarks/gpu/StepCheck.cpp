//===- StepCheck.cpp - A step of a layer in fp64 ----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "StepCheck.h"
#include "Data.h"

#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace einhead::bench;
using namespace einhead;

StepCheck::StepCheck(Gpu &gpu, const Request &request,
                     const std::vector<Operand> &arguments, int64_t length,
                     std::function<cuda::Address(const Operand &)> address)
    : gpu(gpu), request(request), arguments(arguments), length(length),
      address(std::move(address)) {
  findSequences();
}

void StepCheck::findSequences() {
  const char letter =
      reference::Spec::parse(request.steps.at(0).spec).inputs.at(0).at(0);
  auto note = [&](const std::string &name, const std::string &term) {
    size_t at = term.find(letter);
    if (at == std::string::npos)
      return;
    if (at != 0)
      throw std::runtime_error("the letter of the sequences must lead '" +
                               name + "'");
    ofSequence[name] = true;
  };
  for (const StepOp &op : request.steps) {
    reference::Spec spec = reference::Spec::parse(op.spec);
    // An append reads the cache that it makes.
    if (op.kind == StepOp::Kind::Append)
      spec.inputs.push_back(spec.output);
    if (spec.inputs.size() != op.of.size())
      throw std::runtime_error("the step '" + op.spec + "' has other operands");
    for (size_t i = 0; i < op.of.size(); ++i)
      note(op.of[i], spec.inputs[i]);
    note(op.to, spec.output);
  }
}

reference::Tensor StepCheck::read(const Operand &operand, int64_t sequence) {
  std::vector<int64_t> shape = operand.extents;
  size_t bytes = operand.bytes(), first = 0;
  if (isOfSequence(operand.name)) {
    bytes /= shape.at(0);
    first = bytes * sequence;
    shape[0] = 1;
  }
  std::vector<char> data(bytes);
  gpu.copyToHost(data.data(), address(operand) + first, bytes);
  reference::Tensor result(shape);
  for (int64_t i = 0; i < result.size(); ++i)
    result.value[i] =
        loadElement(operand.type, data.data() + i * operand.elementBytes());
  return result;
}

reference::Tensor
StepCheck::apply(const StepOp &op,
                 const std::vector<reference::Tensor> &operands) const {
  // Everything that a step makes is stored in bf16; inputs are random, so that
  // errors are independent.
  constexpr reference::Type stored = reference::Type::BF16;
  switch (op.kind) {
  case StepOp::Kind::Append:
    return reference::append(op.spec, operands.at(0), operands.at(1), {length});
  case StepOp::Kind::Einsum: {
    reference::EinsumOptions options;
    options.output = stored;
    options.independentErrors = true;
    return reference::einsum(op.spec, operands, options);
  }
  case StepOp::Kind::Attention:
    break;
  }
  reference::AttentionOptions options;
  options.output = options.weights = stored;
  options.independentErrors = true;
  options.keysPerBlock = 64;
  options.splits = (operands.at(1).shape.at(1) + 255) / 256;
  if (op.isOfCache)
    options.valid = {length + 1};
  return reference::attention(op.spec, operands.at(0), operands.at(1),
                              operands.at(2), options)
      .output;
}

/// The arguments that the steps read: those of the sequence, and those of all,
/// which are read once.
StepCheck::Tensors StepCheck::readInputs(int64_t sequence) {
  Tensors known;
  for (const Operand &argument : arguments) {
    if (argument.kind == "output" || argument.kind == "length")
      continue;
    if (isOfSequence(argument.name))
      known[argument.name] = read(argument, sequence);
    else if (!shared.count(argument.name))
      shared[argument.name] = read(argument, sequence);
  }
  return known;
}

void StepCheck::evaluate(Tensors &known) const {
  for (const StepOp &op : request.steps) {
    std::vector<reference::Tensor> operands;
    for (const std::string &name : op.of) {
      auto other = shared.find(name);
      auto own = known.find(name);
      if (own == known.end() && other == shared.end())
        throw std::runtime_error("nothing before makes '" + name + "'");
      operands.push_back(own == known.end() ? other->second : own->second);
    }
    known[op.to] = apply(op, operands);
  }
}

std::vector<StepCheck::Tensors>
StepCheck::evaluate(const std::vector<int64_t> &sequences) {
  std::vector<Tensors> results;
  for (int64_t sequence : sequences)
    results.push_back(readInputs(sequence));
  std::vector<std::exception_ptr> errors(results.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < results.size(); ++i)
    threads.emplace_back([&, i] {
      try {
        evaluate(results[i]);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  for (const std::exception_ptr &error : errors)
    if (error)
      std::rethrow_exception(error);
  return results;
}
