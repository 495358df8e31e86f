//===- FunctionRun.cpp - Calls a function once ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FunctionRun.h"
#include "ReadFloor.h"
#include "Tool.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <limits>

namespace einhead::tool {

/// Splits "name=what" and finds the argument of that name.
static llvm::Expected<std::pair<const Argument *, llvm::StringRef>>
splitEntry(llvm::StringRef flag, llvm::StringRef entry,
           const Function &function, llvm::StringRef kind) {
  auto [name, what] = entry.split('=');
  std::vector<std::string> names;
  for (const Argument &argument : function.arguments) {
    if (argument.kind != kind)
      continue;
    if (argument.name == name && !what.empty())
      return std::make_pair(&argument, what);
    names.push_back(argument.name);
  }
  return failure(Exit::Usage,
                 flag + "=" + entry + ": no " + kind + " '" + name + "'",
                 "write " + flag + "=name=...; the " + kind +
                     "s are: " + llvm::join(names, ", "));
}

llvm::Error FunctionRun::readInputFiles() {
  for (llvm::StringRef entry : options.inputs) {
    auto split = splitEntry("--input", entry, *function, "input");
    if (!split)
      return split.takeError();
    auto [argument, what] = *split;
    if (what == "zeros" || what.starts_with("random:"))
      continue;
    auto tensor = readNpy(what);
    if (!tensor)
      return tensor.takeError();
    bool fits = tensor->shape.size() == argument->shape.size();
    for (size_t d = 0; fits && d < tensor->shape.size(); ++d) {
      const Dimension &dimension = argument->shape[d];
      int64_t extent = tensor->shape[d] - dimension.extent;
      if (dimension.name.empty())
        fits = extent == 0;
      else
        fits = sizes.emplace(dimension.name, extent).first->second == extent;
    }
    if (!fits)
      return failure(Exit::Usage,
                     what + " is " + describe(tensor->type, tensor->shape) +
                         ", but '" + argument->name + "' is " +
                         nameOf(argument->type) + "[" + argument->shapeText() +
                         "]",
                     "give a file of that shape");
    files[argument->name] = std::move(*tensor);
  }
  return llvm::Error::success();
}

llvm::Error FunctionRun::makeInputs() {
  auto made = CallTensors::create(*function, sizes);
  if (!made)
    return made.takeError();
  tensors = std::move(*made);
  for (size_t i = 0; i < tensors->inputs.size(); ++i) {
    HostTensor &tensor = tensors->inputs[i];
    const std::string &name = tensors->inputArguments[i]->name;
    uint64_t seed = options.seed * 1000 + i;
    bool isZero = false;
    for (llvm::StringRef entry : options.inputs) {
      auto [given, what] = entry.split('=');
      if (given != name)
        continue;
      isZero = what == "zeros";
      if (what.consume_front("random:") && what.getAsInteger(10, seed))
        return failure(Exit::Usage, "--input=" + entry + ": no seed",
                       "write --input=" + name + "=random:1");
    }
    auto file = files.find(name);
    if (file != files.end())
      for (int64_t j = 0, e = tensor.elementCount(); j < e; ++j)
        tensor.set(j, file->second.at(j));
    else if (!isZero)
      fillRandom(tensor, seed);
  }
  return llvm::Error::success();
}

llvm::Error FunctionRun::setLengths() {
  for (size_t b = 0; b < lengths.size(); ++b)
    if (einhead_status_t status =
            einhead_session_set_length(session->get(), b, lengths[b]))
      return runtimeError(status,
                          "setting the length to " + llvm::Twine(lengths[b]));
  return llvm::Error::success();
}

llvm::Error FunctionRun::makeState() {
  auto created = Session::create(module, sizes, options.threads);
  if (!created)
    return created.takeError();
  session = std::make_unique<Session>(std::move(*created));

  int64_t capacity = std::numeric_limits<int64_t>::max(), batch = 1;
  bool hasLength = false, isScalar = false;
  uint64_t random = options.seed * 1000 + 500;
  std::vector<std::string> missing;
  for (const Argument &argument : function->arguments) {
    std::vector<int64_t> extents = argument.extents(sizes, missing);
    if (argument.kind == "length") {
      hasLength = true;
      isScalar |= argument.scalar || extents.empty();
      if (!extents.empty())
        batch = extents[0];
    }
    if (argument.kind != "cache")
      continue;
    if (argument.append >= 0)
      capacity = std::min(capacity, extents[argument.append]);
    CacheState cache = {&argument, {}, HostTensor(argument.type, extents)};
    fillRandom(cache.before, nextRandom(random));
    if (einhead_status_t status = einhead_session_cache(
            session->get(), argument.name.c_str(), &cache.view))
      return runtimeError(status, "cache '" + argument.name + "'");
    caches.push_back(std::move(cache));
  }
  if (!hasLength && caches.empty())
    return llvm::Error::success();
  int64_t most = caches.empty() ? 0 : capacity - function->advance;
  if (caches.empty() && !options.length)
    return failure(Exit::Usage,
                   "function '" + function->name + "' needs a length",
                   "give --length=N, the number of valid keys");
  for (int64_t b = 0; b < batch; ++b)
    lengths.push_back(options.length ? *options.length
                                     : static_cast<int64_t>(
                                           nextRandom(random) %
                                           (std::max<int64_t>(most, 0) + 1)));
  if (isScalar)
    lengths.assign(batch, lengths[0]);
  return setLengths();
}

/// Marks the rows of a cache that no call has written.
static void poisonRows(HostTensor &cache, int append,
                       llvm::ArrayRef<int64_t> lengths) {
  if (append < 0 || !isFloat(cache.type))
    return;
  int64_t perSequence = cache.elementCount() / cache.shape[0];
  for (int64_t i = 0, e = cache.elementCount(); i < e; ++i) {
    int64_t row = i / cache.strides[append] % cache.shape[append];
    int64_t b = append == 0 || lengths.size() == 1 ? 0 : i / perSequence;
    if (row >= lengths[b])
      cache.set(i, std::numeric_limits<double>::quiet_NaN());
  }
}

llvm::Error FunctionRun::time() {
  std::vector<double> samples;
  for (int i = 0; i < options.repeat; ++i) {
    if (llvm::Error error = setLengths())
      return error;
    if (llvm::Error error = session->call(function->name, tensors->inputViews,
                                          tensors->outputViews))
      return error;
    samples.push_back(session->seconds());
  }
  if (!samples.empty())
    llvm::outs() << llvm::format("  median of %d calls: %.1f us\n",
                                 options.repeat, median(samples) * 1e6);
  return llvm::Error::success();
}

llvm::Error FunctionRun::writeOutputs() {
  for (llvm::StringRef entry : options.outputs) {
    auto split = splitEntry("--output", entry, *function, "output");
    if (!split)
      return split.takeError();
    for (size_t i = 0; i < tensors->outputs.size(); ++i)
      if (tensors->outputArguments[i] == split->first)
        if (llvm::Error error = writeNpy(split->second, tensors->outputs[i]))
          return error;
  }
  return llvm::Error::success();
}

llvm::Error FunctionRun::run(mlir::ModuleOp graph) {
  auto found = module.manifest().function(options.function);
  if (!found)
    return found.takeError();
  function = *found;
  sizes = options.sizes;
  for (const std::string &entry : options.outputs) {
    auto split = splitEntry("--output", entry, *function, "output");
    if (!split)
      return split.takeError();
  }
  if (llvm::Error error = readInputFiles())
    return error;
  std::vector<std::string> missing;
  for (const Argument &argument : function->arguments)
    argument.extents(sizes, missing);
  if (!missing.empty())
    return missingSizes(missing, *function);
  if (llvm::Error error = makeInputs())
    return error;
  if (llvm::Error error = makeState())
    return error;
  for (CacheState &cache : caches) {
    if (options.poison)
      poisonRows(cache.before, cache.argument->append, lengths);
    copyInto(cache.before, cache.view);
  }

  llvm::outs() << "@" << function->name;
  if (!lengths.empty())
    llvm::outs() << ", length "
                 << llvm::join(llvm::map_range(
                                   lengths,
                                   [](int64_t n) { return std::to_string(n); }),
                               ",");
  llvm::outs() << "\n";
  if (llvm::Error error = session->call(function->name, tensors->inputViews,
                                        tensors->outputViews))
    return error;
  if (options.perturb != 0 && !tensors->outputs.empty()) {
    HostTensor &first = tensors->outputs[0];
    int64_t last = first.elementCount() - 1;
    first.set(last, first.at(last) + options.perturb);
  }
  if (llvm::Error error = writeOutputs())
    return error;
  if (graph)
    if (llvm::Error error = check(graph))
      return error;
  return time();
}

} // namespace einhead::tool
