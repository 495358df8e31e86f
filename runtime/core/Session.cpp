//===- Session.cpp - Makes sessions ---------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Session.h"

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

using namespace einhead::runtime;

namespace {
constexpr int maxThreads = 4096;
constexpr int64_t maxBatch = int64_t(1) << 24;

/// Builds one session from its module and options.
class SessionBuilder {
public:
  explicit SessionBuilder(einhead_session_t &session)
      : session(session), manifest(session.module->manifest) {}

  einhead_status_t build(const einhead_session_options_t &options) {
    if (einhead_status_t status = bindDimensions(options))
      return status;
    if (!manifest.device.kind.empty())
      if (einhead_status_t status =
              openDevice(*session.module, options, session.device))
        return status;
    if (einhead_status_t status = setThreads(options))
      return status;
    if (einhead_status_t status = countSequences())
      return status;
    for (size_t i = 0; i < manifest.caches.size(); ++i)
      if (einhead_status_t status = makeCache(i))
        return status;
    size_t tensors = 0;
    session.frames.resize(manifest.functions.size());
    for (size_t f = 0; f < manifest.functions.size(); ++f) {
      makeFrame(manifest.functions[f], session.frames[f]);
      tensors = std::max(tensors, manifest.functions[f].arguments.size());
    }
    session.bindings = session.fixedBindings;
    session.ranges.resize(tensors);
    // The caller may look at the caches from any stream.
    return session.device ? session.device->synchronize() : EINHEAD_OK;
  }

private:
  einhead_status_t bindDimensions(const einhead_session_options_t &options);
  einhead_status_t setThreads(const einhead_session_options_t &options);
  einhead_status_t countSequences();
  einhead_status_t evaluateFixed(const Argument &argument, size_t dimension,
                                 int64_t &out);
  einhead_status_t allocateCache(const Argument &argument, Cache &cache);
  einhead_status_t makeCache(size_t index);
  void makeFrame(const Function &function, Frame &frame);
  void fillFixed(const Function &function, Frame &frame);

  einhead_session_t &session;
  const Manifest &manifest;
};
} // namespace

einhead_status_t
SessionBuilder::bindDimensions(const einhead_session_options_t &options) {
  const std::vector<std::string> &names = manifest.dimensionNames;
  session.fixedBindings.assign(names.size(), -1);
  if (options.dimension_count > 0 && !options.dimensions)
    return fail(EINHEAD_INVALID_ARGUMENT, "options.dimensions",
                "dimension_count is %zu, but dimensions is null",
                options.dimension_count);
  for (size_t i = 0; i < options.dimension_count; ++i) {
    const einhead_dimension_t &given = options.dimensions[i];
    Where where = at("options.dimensions[%zu]", i);
    if (!given.name)
      return fail(EINHEAD_INVALID_ARGUMENT, where, "the name is null");
    size_t n = 0;
    while (n < names.size() && names[n] != given.name)
      ++n;
    if (n == names.size())
      return fail(EINHEAD_INVALID_ARGUMENT, where,
                  "the module has no dimension '%.100s'", given.name);
    if (session.fixedBindings[n] >= 0)
      return fail(EINHEAD_INVALID_ARGUMENT, where,
                  "the dimension '%.100s' is given twice", given.name);
    if (given.extent < 1 || given.extent > maxExtent)
      return fail(EINHEAD_INVALID_ARGUMENT, where,
                  "the dimension '%.100s' is %" PRId64 ", wanted 1 to 2^48",
                  given.name, given.extent);
    session.fixedBindings[n] = given.extent;
  }
  return EINHEAD_OK;
}

einhead_status_t
SessionBuilder::setThreads(const einhead_session_options_t &options) {
  if (options.threads < 0 || options.threads > maxThreads)
    return fail(EINHEAD_INVALID_ARGUMENT, "options.threads",
                "threads is %d, wanted 0 (all) to %d", options.threads,
                maxThreads);
  CallContext &context = session.context;
  context.arena = &session.arena;
  context.device = session.device.get();
  context.threads = options.threads > 0 ? options.threads : availableThreads();
  context.parallelFor = options.parallel_for;
  context.parallelForUser = options.parallel_for_user;
  return EINHEAD_OK;
}

/// The extent of a cache's or length's dimension: only options may bind it.
einhead_status_t SessionBuilder::evaluateFixed(const Argument &argument,
                                               size_t dimension, int64_t &out) {
  const Dimension &wanted = argument.shape[dimension];
  if (evaluate(wanted, session.fixedBindings, out))
    return EINHEAD_OK;
  return fail(EINHEAD_INVALID_ARGUMENT, "options.dimensions",
              "the session needs the extent of '%.100s', dimension %zu of "
              "'%.100s'; give it in the options",
              manifest.dimensionNames[wanted.name].c_str(), dimension,
              argument.name.c_str());
}

/// The batch is the extent of the length tensors, 1 where there is none.
einhead_status_t SessionBuilder::countSequences() {
  int64_t batch = -1;
  for (const Function &function : manifest.functions)
    for (const Argument &argument : function.arguments) {
      if (argument.kind != ArgumentKind::Length || argument.isScalar)
        continue;
      int64_t extent = 0;
      if (einhead_status_t status = evaluateFixed(argument, 0, extent))
        return status;
      if (batch >= 0 && extent != batch)
        return fail(EINHEAD_INVALID_ARGUMENT, "options.dimensions",
                    "'%.60s' of function '%.60s' has %" PRId64
                    " sequences, another function has %" PRId64,
                    argument.name.c_str(), function.name.c_str(), extent,
                    batch);
      batch = extent;
    }
  if (batch < 0)
    batch = 1;
  if (batch < 1 || batch > maxBatch)
    return fail(EINHEAD_INVALID_ARGUMENT, "options.dimensions",
                "a batch of %" PRId64 " sequences, wanted 1 to 2^24", batch);
  session.lengths.assign(static_cast<size_t>(batch), 0);
  return session.device ? session.device->makeLengths(session.lengths.size())
                        : EINHEAD_OK;
}

einhead_status_t SessionBuilder::allocateCache(const Argument &argument,
                                               Cache &cache) {
  Where where = at("cache '%.100s'", argument.name.c_str());
  if (session.device)
    return session.device->allocate(cache.bytes, where, cache.data);
  if (!cache.pages.allocate(cache.bytes))
    return fail(EINHEAD_RESOURCE_EXHAUSTED, where,
                "no memory for the %zu bytes of cache '%.100s'", cache.bytes,
                argument.name.c_str());
  cache.data = cache.pages.data();
  return EINHEAD_OK;
}

einhead_status_t SessionBuilder::makeCache(size_t index) {
  const Argument &argument = manifest.caches[index];
  session.caches.emplace_back();
  Cache &cache = session.caches.back();
  size_t rank = argument.shape.size();
  cache.extents.resize(rank);
  cache.strides.resize(rank);
  for (size_t i = 0; i < rank; ++i)
    if (einhead_status_t status = evaluateFixed(argument, i, cache.extents[i]))
      return status;
  int64_t bytes = 0;
  if (!countBytes(cache.extents.data(), rank, elementSize(argument.type),
                  bytes))
    return fail(EINHEAD_RESOURCE_EXHAUSTED,
                at("cache '%.100s'", argument.name.c_str()),
                "the size of cache '%.100s' overflows", argument.name.c_str());
  rowMajorStrides(cache.extents.data(), rank, cache.strides.data());
  cache.bytes = static_cast<size_t>(bytes);
  if (einhead_status_t status = allocateCache(argument, cache))
    return status;
  if (argument.append >= 0)
    session.capacity =
        std::min(session.capacity, cache.extents[argument.append]);
  return EINHEAD_OK;
}

void SessionBuilder::makeFrame(const Function &function, Frame &frame) {
  size_t words = 0, lengthTensors = 0;
  for (const Argument &argument : function.arguments) {
    frame.starts.push_back(words);
    words += argument.isScalar ? 2 : 3 + 2 * argument.shape.size();
    lengthTensors += argument.kind == ArgumentKind::Length &&
                     !argument.isScalar && !session.device;
  }
  frame.words.assign(words, 0);
  frame.lengths.assign(lengthTensors * session.lengths.size(), 0);
  for (size_t start : frame.starts)
    frame.arguments.push_back(&frame.words[start]);
  fillFixed(function, frame);
}

/// Caches, parameters and lengths stay where they are for the session's life.
void SessionBuilder::fillFixed(const Function &function, Frame &frame) {
  const std::vector<BoundParameter> &parameters = session.module->parameters;
  int64_t batch = static_cast<int64_t>(session.lengths.size());
  int64_t *lengths = frame.lengths.data();
  for (size_t a = 0; a < function.arguments.size(); ++a) {
    const Argument &argument = function.arguments[a];
    int64_t *words = &frame.words[frame.starts[a]];
    size_t rank = argument.shape.size();
    if (argument.kind == ArgumentKind::Cache) {
      Cache &cache = session.caches[argument.index];
      writeMemref(words, cache.data, rank, cache.extents.data(),
                  cache.strides.data());
    } else if (argument.kind == ArgumentKind::Parameter &&
               !parameters.empty()) {
      // Code takes pointers to non-const; parameters are mapped read-only.
      auto *data = const_cast<uint8_t *>(parameters[argument.index].data);
      if (argument.isScalar) {
        frame.arguments[a] = data;
        continue;
      }
      void *place =
          session.device ? session.device->parameter(argument.index) : data;
      int64_t extents[maxRank], strides[maxRank];
      for (size_t i = 0; i < rank; ++i)
        extents[i] = argument.shape[i].offset;
      rowMajorStrides(extents, rank, strides);
      writeMemref(words, place, rank, extents, strides);
    } else if (argument.kind == ArgumentKind::Length && !argument.isScalar) {
      const int64_t one = 1;
      void *place = lengths;
      if (session.device && argument.type == ElementType::I32)
        place = session.device->narrowLengths();
      else if (session.device)
        place = session.device->lengths();
      else
        lengths += batch;
      writeMemref(words, place, 1, &batch, &one);
    }
  }
}

einhead_status_t
einhead_session_create(einhead_module_t *module,
                       const einhead_session_options_t *options,
                       einhead_session_t **out_session) {
  if (out_session)
    *out_session = nullptr;
  return guarded([&]() -> einhead_status_t {
    if (!module || !out_session)
      return fail(EINHEAD_INVALID_ARGUMENT, module ? "out_session" : "module",
                  "a required pointer is null");
    auto session = std::make_unique<einhead_session_t>();
    module->retain();
    session->module = module;
    const einhead_session_options_t defaults = {};
    SessionBuilder builder(*session);
    if (einhead_status_t status = builder.build(options ? *options : defaults))
      return status;
    *out_session = session.release();
    return EINHEAD_OK;
  });
}

void einhead_session_release(einhead_session_t *session) { delete session; }
