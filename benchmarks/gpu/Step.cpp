//===- Step.cpp - Checks and times a step of a layer ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A step appends to the caches of its session.  So that each call sees the
/// same keys, the lengths are set back before it, outside of what is timed.
///
//===----------------------------------------------------------------------===//
#include "Data.h"
#include "Measure.h"
#include "StepCheck.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace einhead::bench;
using namespace einhead;

namespace {
/// A session with its caches, and the tensors of a call.
class StepSet {
public:
  StepSet(Gpu &gpu, const Request &request, const Signature &signature,
          einhead_module_t *module, uint64_t seed);

  /// As many keys as before each call.
  void restart();
  void call();
  void willReplay() {
    check(einhead_session_will_replay(session.get(), request.function.c_str(),
                                      1));
  }
  cuda::Address address(const Operand &operand) const {
    return addresses.at(operand.name);
  }
  /// The bytes of all outputs.
  std::vector<char> outputs() const;
  void clearOutputs();
  void synchronize() { check(einhead_session_synchronize(session.get())); }

private:
  void place(const Operand &operand, uint64_t seed);

  Gpu &gpu;
  const Request &request;
  const Signature &signature;
  std::shared_ptr<einhead_session_t> session;
  std::vector<Memory> memory;
  std::map<std::string, cuda::Address> addresses;
  std::vector<DLTensor> given, made;
  int64_t sequences = 0;
};

class StepMeasurement {
public:
  StepMeasurement(Gpu &gpu, const Request &request,
                  const MeasureOptions &options)
      : gpu(gpu), request(request), options(options) {
    einhead_module_t *opened = nullptr;
    einhead::bench::check(
        einhead_module_open(request.module.c_str(), nullptr, &opened));
    module.reset(opened, einhead_module_release);
    signature = readSignature(request, einhead_module_manifest(opened));
  }
  Result run();

private:
  int64_t leastBytes() const;
  int64_t operations() const;
  void compare();
  void compareSequence(StepCheck &check, int64_t sequence,
                       const StepCheck::Tensors &expected);
  void rerun();
  void timeGraph();

  Gpu &gpu;
  const Request &request;
  const MeasureOptions &options;
  std::shared_ptr<einhead_module_t> module;
  Signature signature;
  std::vector<std::unique_ptr<StepSet>> sets;
  std::vector<std::vector<char>> eager;
  Result result;
};
} // namespace

/// Keys before the call; of a step without caches nobody asks.
static int64_t lengthOf(const Request &request) {
  if (request.lengths.size() > 1)
    throw std::runtime_error("a step has one length for all sequences");
  return request.lengths.empty() ? 0 : request.lengths[0];
}

StepSet::StepSet(Gpu &gpu, const Request &request, const Signature &signature,
                 einhead_module_t *module, uint64_t seed)
    : gpu(gpu), request(request), signature(signature) {
  std::vector<einhead_dimension_t> dimensions;
  for (const auto &[name, extent] : request.sizes)
    dimensions.push_back({name.c_str(), extent});
  einhead_session_options_t settings = {};
  settings.dimensions = dimensions.data();
  settings.dimension_count = dimensions.size();
  settings.device = gpu.ordinal();
  settings.stream = gpu.stream();
  einhead_session_t *opened = nullptr;
  check(einhead_session_create(module, &settings, &opened));
  session.reset(opened, einhead_session_release);
  for (const Operand &argument : signature.arguments) {
    if (argument.kind == "length")
      sequences = argument.count();
    else
      place(argument, seed += uint64_t(1) << 36);
  }
  for (const Operand &argument : signature.arguments) {
    if (argument.kind != "input" && argument.kind != "output")
      continue;
    DLTensor tensor = {reinterpret_cast<void *>(address(argument)),
                       {kDLCUDA, gpu.ordinal()},
                       static_cast<int>(argument.extents.size()),
                       toDLPack(argument.type),
                       const_cast<int64_t *>(argument.extents.data()),
                       nullptr,
                       0};
    (argument.kind == "input" ? given : made).push_back(tensor);
  }
  gpu.synchronize();
}

/// Memory with random numbers; of a cache, NaN past the length.
void StepSet::place(const Operand &operand, uint64_t seed) {
  bool isCache = operand.kind == "cache";
  if (isCache) {
    DLTensor view;
    check(einhead_session_cache(session.get(), operand.name.c_str(), &view));
    addresses[operand.name] = reinterpret_cast<uintptr_t>(view.data);
  } else {
    memory.emplace_back(gpu, operand.bytes());
    addresses[operand.name] = memory.back().address();
  }
  if (operand.kind == "output")
    return;
  auto shift = request.shifts.find(operand.name);
  gpu.fill(
      address(operand), operand.count(), seed, fillKind(operand),
      shift == request.shifts.end() ? 0 : static_cast<unsigned>(shift->second));
  if (!isCache)
    return;
  // The dimension that grows is the last but one.
  std::vector<int64_t> lengths = {lengthOf(request)};
  memory.emplace_back(gpu, sizeof(int64_t));
  Padding padding;
  padding.lengths = memory.back().address();
  gpu.copyToDevice(padding.lengths, lengths.data(), sizeof(int64_t));
  size_t rank = operand.extents.size();
  if (rank < 2)
    throw std::runtime_error("the cache '" + operand.name + "' has no rows");
  padding.keyStride = operand.extents[rank - 1];
  padding.keys = operand.extents[rank - 2];
  gpu.poison(address(operand), operand.count(), operand.elementBytes(),
             poisonBits(operand.type), padding);
}

void StepSet::restart() {
  for (int64_t b = 0; b < sequences; ++b)
    check(einhead_session_set_length(session.get(), b, lengthOf(request)));
}

void StepSet::call() {
  check(einhead_session_call(session.get(), request.function.c_str(),
                             given.data(), given.size(), made.data(),
                             made.size()));
}

std::vector<char> StepSet::outputs() const {
  std::vector<char> bytes;
  for (const Operand &argument : signature.arguments)
    if (argument.kind == "output") {
      size_t first = bytes.size();
      bytes.resize(first + argument.bytes());
      gpu.copyToHost(bytes.data() + first, address(argument), argument.bytes());
    }
  return bytes;
}

void StepSet::clearOutputs() {
  for (const Operand &argument : signature.arguments)
    if (argument.kind == "output")
      gpu.zero(address(argument), argument.bytes());
}

/// Of the einsums: a multiplication and an addition for each point of all
/// letters.
int64_t StepMeasurement::operations() const {
  std::map<char, int64_t> extents;
  int64_t sum = 0;
  for (const StepOp &op : request.steps) {
    reference::Spec spec = reference::Spec::parse(op.spec);
    for (size_t i = 0; i < spec.inputs.size(); ++i)
      for (const Operand &argument : signature.arguments)
        if (i < op.of.size() && argument.name == op.of[i])
          for (size_t k = 0; k < spec.inputs[i].size(); ++k)
            extents[spec.inputs[i][k]] = argument.extents.at(k);
    if (op.kind != StepOp::Kind::Einsum)
      continue;
    std::string letters = spec.output;
    for (const std::string &input : spec.inputs)
      for (char letter : input)
        if (letters.find(letter) == std::string::npos)
          letters += letter;
    int64_t points = 2;
    for (char letter : letters)
      points *= extents.at(letter);
    sum += points;
  }
  return sum;
}

/// What a step must read and write: inputs and outputs once, of caches the rows
/// that count.
int64_t StepMeasurement::leastBytes() const {
  int64_t bytes = 0;
  for (const Operand &argument : signature.arguments) {
    if (argument.kind == "cache") {
      int64_t rows = argument.extents.at(argument.extents.size() - 2);
      bytes += argument.bytes() / rows * (lengthOf(request) + 1);
    } else if (argument.kind != "length") {
      bytes += argument.bytes();
    }
  }
  return bytes;
}

void StepMeasurement::compareSequence(StepCheck &check, int64_t sequence,
                                      const StepCheck::Tensors &expected) {
  for (const Operand &argument : signature.arguments) {
    if (argument.kind != "output" && argument.kind != "cache")
      continue;
    reference::Tensor actual = check.read(argument, sequence);
    auto it = expected.find(argument.name);
    if (it == expected.end())
      throw std::runtime_error("no step makes '" + argument.name + "'");
    if (options.spoil && argument.kind == "output" && sequence == 0)
      actual.value[0] = -1.5 * actual.value[0] + 1;
    reference::Report report = reference::compare(actual.value, it->second);
    if (!report.pass)
      throw WrongResult("wrong result in '" + argument.name + "' of sequence " +
                        std::to_string(sequence) + ": " + report.message());
    if (argument.kind == "output")
      result.worstRatio = std::max(result.worstRatio, report.worstRatio);
    ++result.rows;
  }
}

/// The first, a middle and the last sequence.
void StepMeasurement::compare() {
  StepCheck check(
      gpu, request, signature.arguments, lengthOf(request),
      [&](const Operand &operand) { return sets.front()->address(operand); });
  int64_t last = 0;
  for (const Operand &argument : signature.arguments)
    if (check.isOfSequence(argument.name))
      last = argument.extents.at(0) - 1;
  std::vector<int64_t> sequences = {0, last / 3, last};
  sequences.erase(std::unique(sequences.begin(), sequences.end()),
                  sequences.end());
  std::vector<StepCheck::Tensors> expected = check.evaluate(sequences);
  for (size_t i = 0; i < sequences.size(); ++i)
    compareSequence(check, sequences[i], expected[i]);
}

void StepMeasurement::rerun() {
  for (int i = 0; i < options.reruns; ++i) {
    sets[0]->restart();
    sets[0]->clearOutputs();
    sets[0]->call();
    if (sets[0]->outputs() != eager[0])
      throw WrongResult("call " + std::to_string(i + 2) +
                        " of one input gives other bits than the first");
  }
}

void StepMeasurement::timeGraph() {
  for (const std::unique_ptr<StepSet> &set : sets)
    set->restart();
  Graph graph(gpu, [&] {
    for (const std::unique_ptr<StepSet> &set : sets)
      set->call();
  });
  auto prepare = [&] {
    for (const std::unique_ptr<StepSet> &set : sets) {
      set->restart();
      set->willReplay();
    }
  };
  for (const std::unique_ptr<StepSet> &set : sets)
    set->clearOutputs();
  std::vector<double> times;
  for (int i = -4; i < options.replays; ++i) {
    prepare();
    double time = gpu.time([&] { graph.launch(); });
    if (i >= 0)
      times.push_back(time / result.sets);
  }
  for (size_t i = 0; i < sets.size(); ++i)
    if (sets[i]->outputs() != eager[i])
      throw WrongResult("the replayed graph gives other bits than the eager "
                        "call, set " +
                        std::to_string(i));
  result.microseconds = median(times);
  result.least = *std::min_element(times.begin(), times.end());
}

Result StepMeasurement::run() {
  result.bytes = leastBytes();
  result.operations = operations();
  result.sets = setCount(gpu, result.bytes, options);
  for (const Operand &argument : signature.arguments)
    if (argument.kind == "length")
      result.tokens = argument.count();
  for (int i = 0; i < result.sets; ++i) {
    sets.push_back(std::make_unique<StepSet>(
        gpu, request, signature, module.get(), uint64_t(i + 1) << 40));
    StepSet &set = *sets.back();
    set.restart();
    set.clearOutputs();
    set.call();
    set.synchronize();
    eager.push_back(set.outputs());
  }
  if (options.check)
    compare();
  rerun();
  timeGraph();
  return result;
}

Result einhead::bench::measureStep(Gpu &gpu, const Request &request,
                                   const MeasureOptions &options) {
  return StepMeasurement(gpu, request, options).run();
}
