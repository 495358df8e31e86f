//===- Call.cpp - One call of a session: checks, run, commit ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Session.h"

#include <cinttypes>
#include <cstdint>
#include <cstring>
#include <vector>

using namespace einhead::runtime;

namespace {
struct Tensors {
  const DLTensor *inputs;
  size_t inputCount;
  const DLTensor *outputs;
  size_t outputCount;
};

/// One call.  prepare() checks everything and writes only into the frame and
/// the scratch of the session; nothing of its state changes before commit().
class Call {
public:
  Call(einhead_session_t &session, const Function &function, Frame &frame)
      : session(session), manifest(session.module->manifest),
        function(function), frame(frame) {}

  einhead_status_t prepare(const Tensors &tensors, bool isCapturing);
  einhead_status_t run(einhead_entry_t entry);
  einhead_status_t commit(bool isCapturing);

private:
  einhead_status_t checkCounts(const Tensors &tensors);
  einhead_status_t checkTensors(ArgumentKind kind, const DLTensor *tensors);
  einhead_status_t checkOverlap();
  einhead_status_t checkCapacity();
  einhead_status_t fillLengths(bool isCapturing);
  einhead_status_t checkParameters();

  einhead_session_t &session;
  const Manifest &manifest;
  const Function &function;
  Frame &frame;
  int64_t advance = 0;
};
} // namespace

einhead_status_t Call::checkCounts(const Tensors &tensors) {
  if (tensors.inputCount != function.inputCount)
    return fail(EINHEAD_INVALID_ARGUMENT, "input_count",
                "'%.60s' takes %zu inputs, got %zu", function.name.c_str(),
                function.inputCount, tensors.inputCount);
  if (tensors.outputCount != function.outputCount)
    return fail(EINHEAD_INVALID_ARGUMENT, "output_count",
                "'%.60s' has %zu outputs, got %zu", function.name.c_str(),
                function.outputCount, tensors.outputCount);
  if (tensors.inputCount > 0 && !tensors.inputs)
    return fail(EINHEAD_INVALID_ARGUMENT, "inputs", "inputs is null");
  if (tensors.outputCount > 0 && !tensors.outputs)
    return fail(EINHEAD_INVALID_ARGUMENT, "outputs", "outputs is null");
  return EINHEAD_OK;
}

/// Checks the caller's tensors of one kind and writes them into the frame.
einhead_status_t Call::checkTensors(ArgumentKind kind,
                                    const DLTensor *tensors) {
  for (size_t a = 0; a < function.arguments.size(); ++a) {
    const Argument &argument = function.arguments[a];
    if (argument.kind != kind)
      continue;
    CheckedTensor checked;
    if (einhead_status_t status = checkTensor(
            manifest, argument, *tensors++, kind == ArgumentKind::Input,
            session.dlDevice(), session.bindings, checked))
      return status;
    session.ranges[a] = checked.range;
    int64_t *words = &frame.words[frame.starts[a]];
    if (argument.isScalar)
      std::memcpy(words, checked.data, elementSize(argument.type));
    else
      writeMemref(words, checked.data, checked.rank, checked.extents,
                  checked.strides);
  }
  return EINHEAD_OK;
}

/// Compiled code reads and writes in any order: what it writes must be apart
/// from everything else.
einhead_status_t Call::checkOverlap() {
  for (size_t a = 0; a < function.arguments.size(); ++a)
    if (function.arguments[a].kind == ArgumentKind::Cache)
      session.ranges[a] = session.caches[function.arguments[a].index].range();

  for (size_t a = 0; a < function.arguments.size(); ++a) {
    const Argument &written = function.arguments[a];
    if (written.kind != ArgumentKind::Output &&
        written.kind != ArgumentKind::Cache)
      continue;
    for (size_t b = 0; b < function.arguments.size(); ++b) {
      const Argument &other = function.arguments[b];
      bool isCallers = other.kind == ArgumentKind::Input ||
                       other.kind == ArgumentKind::Output;
      // A scalar is copied before anything runs.
      if (a == b || !isCallers || other.isScalar ||
          !session.ranges[a].overlaps(session.ranges[b]))
        continue;
      return fail(EINHEAD_INVALID_ARGUMENT,
                  at("argument '%.60s'", other.name.c_str()),
                  "the memory of '%.60s' overlaps that of '%.60s', which the "
                  "call writes",
                  other.name.c_str(), written.name.c_str());
    }
  }
  return EINHEAD_OK;
}

einhead_status_t Call::checkCapacity() {
  if (!evaluate(function.advance, session.bindings, advance))
    return fail(EINHEAD_INVALID_ARGUMENT, "advance",
                "'%.60s' advances by '%.60s', which no input says",
                function.name.c_str(),
                manifest.describe(function.advance).c_str());
  return session.checkRoom(advance);
}

einhead_status_t einhead_session_t::checkRoom(int64_t keys) const {
  for (size_t b = 0; b < lengths.size(); ++b)
    if (keys > capacity - lengths[b])
      return fail(EINHEAD_OUT_OF_RANGE, at("sequence %zu", b),
                  "the cache is full: sequence %zu has %" PRId64
                  " keys, the call adds %" PRId64 ", the capacity is %" PRId64,
                  b, lengths[b], keys, capacity);
  return EINHEAD_OK;
}

/// Code sees a copy of the lengths, of the width it wants; on a device, those
/// that are there.
einhead_status_t Call::fillLengths(bool isCapturing) {
  const std::vector<int64_t> &lengths = session.lengths;
  int64_t *copy = frame.lengths.data();
  for (size_t a = 0; a < function.arguments.size(); ++a) {
    const Argument &argument = function.arguments[a];
    if (argument.kind != ArgumentKind::Length)
      continue;
    bool isOnDevice = session.device && !argument.isScalar;
    if (argument.isScalar && isCapturing)
      return fail(EINHEAD_FAILED_PRECONDITION,
                  at("argument '%.60s'", argument.name.c_str()),
                  "'%.60s' takes its length as a value, which would be the "
                  "same in each launch of the graph; compile it with lengths "
                  "as a tensor, or call it without capturing",
                  function.name.c_str());
    size_t count = argument.isScalar ? 1 : lengths.size();
    for (size_t b = 1; argument.isScalar && b < lengths.size(); ++b)
      if (lengths[b] != lengths[0])
        return fail(EINHEAD_FAILED_PRECONDITION,
                    at("argument '%.60s'", argument.name.c_str()),
                    "'%.60s' takes one length for all sequences, but sequence "
                    "0 has %" PRId64 " and sequence %zu has %" PRId64,
                    function.name.c_str(), lengths[0], b, lengths[b]);
    char *to = reinterpret_cast<char *>(
        argument.isScalar ? &frame.words[frame.starts[a]] : copy);
    for (size_t b = 0; b < count; ++b) {
      if (isOnDevice && argument.type != ElementType::I32)
        break;
      if (argument.type != ElementType::I32) {
        std::memcpy(to + b * sizeof(int64_t), &lengths[b], sizeof(int64_t));
        continue;
      }
      if (lengths[b] > INT32_MAX)
        return fail(EINHEAD_OUT_OF_RANGE,
                    at("argument '%.60s'", argument.name.c_str()),
                    "length %" PRId64 " does not fit into 32 bits", lengths[b]);
      int32_t narrow = static_cast<int32_t>(lengths[b]);
      if (!isOnDevice)
        std::memcpy(to + b * sizeof(narrow), &narrow, sizeof(narrow));
    }
    if (!argument.isScalar && !isOnDevice)
      copy += lengths.size();
  }
  return EINHEAD_OK;
}

einhead_status_t Call::checkParameters() {
  if (!session.module->parameters.empty())
    return EINHEAD_OK; // all were bound when the module was opened
  for (const Argument &argument : function.arguments)
    if (argument.kind == ArgumentKind::Parameter)
      return fail(EINHEAD_FAILED_PRECONDITION,
                  at("parameter '%.100s'", argument.name.c_str()),
                  "'%.60s' needs the parameter '%.100s', but the module was "
                  "opened without a safetensors file",
                  function.name.c_str(), argument.name.c_str());
  return EINHEAD_OK;
}

einhead_status_t Call::prepare(const Tensors &tensors, bool isCapturing) {
  if (einhead_status_t status = checkCounts(tensors))
    return status;
  session.bindings = session.fixedBindings; // same size: no allocation
  if (einhead_status_t status =
          checkTensors(ArgumentKind::Input, tensors.inputs))
    return status;
  if (einhead_status_t status =
          checkTensors(ArgumentKind::Output, tensors.outputs))
    return status;
  if (einhead_status_t status = checkOverlap())
    return status;
  if (einhead_status_t status = checkParameters())
    return status;
  if (einhead_status_t status = checkCapacity())
    return status;
  return fillLengths(isCapturing);
}

einhead_status_t Call::run(einhead_entry_t entry) {
  session.arena.reset();
  session.context.function = function.name.c_str();
  return callEntry(entry, frame.arguments.data(), session.context);
}

einhead_status_t Call::commit(bool isCapturing) {
  if (session.device)
    if (einhead_status_t status = session.device->advance(advance))
      return status;
  if (isCapturing) {
    // Nothing ran; einhead_session_will_replay() does this part.
    int64_t &captured = frame.capturedAdvance;
    captured = captured == -1 || captured == advance ? advance : -2;
    return EINHEAD_OK;
  }
  for (int64_t &length : session.lengths)
    length += advance;
  return EINHEAD_OK;
}

einhead_status_t
einhead_session_call(einhead_session_t *session, const char *function,
                     const DLTensor *inputs, size_t input_count,
                     const DLTensor *outputs, size_t output_count) {
  return guarded([&]() -> einhead_status_t {
    if (!session || !function)
      return fail(EINHEAD_INVALID_ARGUMENT, session ? "function" : "session",
                  "a required pointer is null");
    SessionGuard guard(session);
    if (einhead_status_t status = guard.status())
      return status;
    const einhead_module_t &module = *session->module;
    const std::vector<Function> &functions = module.manifest.functions;
    size_t f = 0;
    if (einhead_status_t status = module.manifest.require(function, f))
      return status;
    DeviceCall device(session->device.get());
    if (einhead_status_t status = device.begin())
      return status;
    Call call(*session, functions[f], session->frames[f]);
    if (einhead_status_t status = call.prepare(
            {inputs, input_count, outputs, output_count}, device.isCapturing()))
      return status;
    if (einhead_status_t status = call.run(module.code.entry(f)))
      return status;
    return call.commit(device.isCapturing());
  });
}
