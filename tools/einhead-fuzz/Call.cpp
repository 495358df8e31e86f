//===- Call.cpp - A compiled case, called once and checked ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Call.h"
#include "Oracle.h"
#include "Tool.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/xxhash.h"
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

using namespace einhead::tool;
using llvm::StringRef;

namespace einhead::fuzz {

const Operand *Call::operand(StringRef name) const {
  for (const Operand *operand : problem.arguments())
    if (operand->name == name)
      return operand;
  return nullptr;
}

/// NaN in the keys that do not count.
void Call::poisonKeys(HostTensor &tensor, const Operand &operand) {
  if (!problem.valid || problem.key.size() != 1 || !isFloat(tensor.type))
    return;
  size_t keyAt = operand.letters.find(problem.key[0]);
  if (keyAt == std::string::npos)
    return;
  const std::vector<int64_t> &lengths = problem.valid->values;
  size_t sequenceAt = lengths.size() > 1
                          ? operand.letters.find(problem.queryTerm[0])
                          : std::string::npos;
  int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  for (int64_t i = 0, e = tensor.elementCount(); i < e; ++i) {
    auto coordinate = [&](size_t dim) {
      return i / tensor.strides[dim] % tensor.shape[dim];
    };
    int64_t length = sequenceAt == std::string::npos
                         ? longest
                         : lengths[coordinate(sequenceAt)];
    if (coordinate(keyAt) >= length)
      tensor.set(i, std::numeric_limits<double>::quiet_NaN());
  }
}

HostTensor Call::filled(const Argument &argument) {
  std::vector<std::string> missing;
  HostTensor tensor(argument.type, argument.extents(sizes, missing));
  const Operand *from = operand(argument.name);
  int64_t count = tensor.elementCount();
  if (from && from->fill != Fill::Normal) {
    for (int64_t i = 0; i < count; ++i)
      tensor.set(i, static_cast<double>(from->values[i % from->values.size()]));
    return tensor;
  }
  Random random(problem.seed ^ llvm::xxh3_64bits(argument.name));
  double spread = argument.name == "q" ? problem.spread : 1;
  for (int64_t i = 0; i < count; ++i)
    tensor.set(i, isFloat(argument.type) ? random.normal() * spread
                  : argument.type == DataType::I8
                      ? double(random.range(-128, 127))
                      : double(random.range(0, 3)));
  bool isValue = argument.name == "v" || argument.name == "vscale";
  bool isKey = argument.name == "k" || argument.name == "kscale";
  // The appended keys count, and their scales are these.
  bool isOfNew = problem.append && StringRef(argument.name).ends_with("scale");
  if (from && (isValue || isKey) && !isOfNew &&
      poison >=
          (isValue || problem.valueIsKey ? Poison::KeyAndValue : Poison::Key))
    poisonKeys(tensor, *from);
  return tensor;
}

llvm::Error Call::setLengths() {
  const std::vector<int64_t> &lengths = problem.valid->values;
  for (size_t b = 0; b < lengths.size(); ++b)
    if (einhead_status_t status =
            einhead_session_set_length(session->get(), b, lengths[b]))
      return runtimeError(status, "setting a length");
  return llvm::Error::success();
}

llvm::Error Call::run() {
  auto found = module.manifest().function("");
  if (!found)
    return found.takeError();
  function = *found;
  for (const Operand *operand : problem.arguments())
    for (const Dim &dim : operand->dims)
      if (dim.dynamic)
        sizes.emplace(dim.name, dim.extent);
  // A result may leave open what all arguments say.
  for (char letter : problem.dynamic)
    sizes.emplace(std::string("x") + letter, problem.extentOf(letter));
  std::vector<std::string> missing;
  for (const Argument &argument : function->arguments)
    argument.extents(sizes, missing);
  if (!missing.empty())
    return missingSizes(missing, *function);
  auto made = CallTensors::create(*function, sizes);
  if (!made)
    return made.takeError();
  tensors = std::move(*made);
  auto created = Session::create(module, sizes, problem.threads);
  if (!created)
    return created.takeError();
  session = std::make_unique<Session>(std::move(*created));

  size_t input = 0;
  bool hasLength = false;
  for (const Argument &argument : function->arguments) {
    if (argument.kind == "output")
      continue;
    HostTensor &tensor =
        arguments.emplace(argument.name, filled(argument)).first->second;
    hasLength |= argument.kind == "length";
    if (argument.kind == "input") {
      copyInto(tensor, tensors->inputViews[input++]);
    } else if (argument.kind == "cache") {
      Cache cache = {&argument, {}};
      if (einhead_status_t status = einhead_session_cache(
              session->get(), argument.name.c_str(), &cache.view))
        return runtimeError(status, "cache '" + argument.name + "'");
      copyInto(tensor, cache.view);
      caches.push_back(cache);
    }
  }
  if (hasLength)
    if (llvm::Error error = setLengths())
      return error;
  return session->call(function->name, tensors->inputViews,
                       tensors->outputViews);
}

//===----------------------------------------------------------------------===//
// The check
//===----------------------------------------------------------------------===//

static reference::Tensor toReference(const HostTensor &tensor) {
  std::vector<double> values(tensor.elementCount());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = tensor.at(static_cast<int64_t>(i));
  return reference::Tensor(tensor.shape, std::move(values));
}

llvm::Expected<std::vector<reference::Tensor>>
Call::expected(mlir::ModuleOp graph) {
  auto op = graph.lookupSymbol<mlir::func::FuncOp>(function->name);
  if (!op)
    return llvm::createStringError("no function @" + function->name);
  std::vector<reference::Tensor> values;
  for (const Argument &argument : function->arguments)
    if (argument.kind != "output")
      values.push_back(toReference(arguments.at(argument.name)));
  try {
    return evaluate(op, values);
  } catch (const std::exception &exception) {
    return llvm::createStringError(exception.what());
  }
}

/// Moves one element out of its bound.
static bool plantError(std::vector<double> &actual,
                       const reference::Tensor &expected) {
  for (size_t i = actual.size(); i-- > 0;) {
    double bound = expected.bound[i];
    if (!std::isfinite(bound) || !std::isfinite(actual[i]))
      continue;
    actual[i] += 3 * bound + 1e-9;
    return true;
  }
  return false;
}

Outcome Call::check(mlir::ModuleOp graph, const ExecuteOptions &options) {
  Outcome outcome;
  auto finding = [&](const llvm::Twine &why) {
    outcome.kind = Outcome::Finding;
    outcome.why = why.str();
    return outcome;
  };
  auto results = expected(graph);
  if (!results)
    return finding("compiled and called, but " +
                   llvm::toString(results.takeError()));
  auto op = graph.lookupSymbol<mlir::func::FuncOp>(function->name);
  size_t output = 0;
  for (size_t i = 0; i < results->size(); ++i) {
    const reference::Tensor &want = (*results)[i];
    auto cacheName = op.getResultAttrOfType<mlir::StringAttr>(i, "attn.cache");
    HostTensor got;
    for (const Cache &cache : caches)
      if (cacheName && cache.argument->name == cacheName.getValue())
        got = copyOf(cache.view, cache.argument->type);
    if (!cacheName)
      got = tensors->outputs.at(output++);
    if (!got.buffer || got.shape != want.shape)
      return finding("result #" + llvm::Twine(i) + " has another shape");
    std::vector<double> actual = toReference(got).value;
    if (options.plant == Plant::Result && i == 0)
      plantError(actual, want);
    reference::Report report = reference::compare(actual, want);
    outcome.ratio = std::max(outcome.ratio, report.worstRatio);
    if (!report.pass)
      return finding("wrong result #" + llvm::Twine(i) + ": " +
                     report.message());
    if (options.twin && plantError(actual, want)) {
      outcome.twin = true;
      if (reference::compare(actual, want).pass)
        return finding("a planted error in result #" + llvm::Twine(i) +
                       " was not refused");
    }
  }
  return outcome;
}

} // namespace einhead::fuzz
