//===- Session.cpp - The runtime's objects, owned ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Session.h"
#include "Device.h"
#include "Gpu.h"
#include "Tool.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include <chrono>

namespace einhead::tool {

llvm::Error runtimeError(einhead_status_t status, const llvm::Twine &doing) {
  const einhead_error_t *last = einhead_last_error();
  Exit code = Exit::Internal;
  llvm::StringRef help;
  switch (status) {
  case EINHEAD_OK:
    return llvm::Error::success();
  case EINHEAD_INVALID_ARGUMENT:
  case EINHEAD_OUT_OF_RANGE:
    code = Exit::Usage;
    help = "'einhead inspect' shows what the module's functions take";
    break;
  case EINHEAD_FAILED_PRECONDITION:
  case EINHEAD_NOT_FOUND:
    code = Exit::Invalid;
    help = "'einhead inspect' lists functions and parameters; --parameters "
           "says where the parameters are";
    break;
  case EINHEAD_CORRUPT_ARTIFACT:
    code = Exit::Invalid;
    help = "compile the module again";
    break;
  case EINHEAD_INCOMPATIBLE_ARTIFACT:
  case EINHEAD_UNIMPLEMENTED:
    code = Exit::Unsupported;
    help = "compile the module for this machine, with this version";
    break;
  case EINHEAD_RESOURCE_EXHAUSTED:
  case EINHEAD_DEVICE_ERROR:
  case EINHEAD_DEVICE_LOST:
    code = Exit::Missing;
    break;
  case EINHEAD_BUSY:
  case EINHEAD_INTERNAL:
    break;
  }
  std::string where =
      last->where[0] ? " (" + std::string(last->where) + ")" : std::string();
  return failure(code, doing + ": " + llvm::Twine(last->text) + where, help);
}

llvm::Expected<Module> Module::open(llvm::StringRef path,
                                    llvm::StringRef parameters) {
  einhead_module_t *raw = nullptr;
  einhead_status_t status = einhead_module_open(
      path.str().c_str(),
      parameters.empty() ? nullptr : parameters.str().c_str(), &raw);
  Module module;
  module.module.reset(raw);
  if (status != EINHEAD_OK)
    return runtimeError(status, path);
  auto manifest = Manifest::parse(einhead_module_manifest(raw));
  if (!manifest)
    return manifest.takeError();
  module.contents = std::move(*manifest);
  return module;
}

Session::Session() = default;
Session::Session(Session &&) = default;
Session &Session::operator=(Session &&) = default;
Session::~Session() = default;

llvm::Expected<Session>
Session::create(const Module &module, const Bindings &dimensions, int threads) {
  std::vector<einhead_dimension_t> list;
  std::vector<std::string> names;
  for (const Function &function : module.manifest().functions)
    for (std::string &name : namesIn(function))
      names.push_back(std::move(name));
  for (const auto &[name, extent] : dimensions)
    if (llvm::is_contained(names, name))
      list.push_back({name.c_str(), extent});
  einhead_session_options_t options = {};
  options.dimensions = list.data();
  options.dimension_count = list.size();
  options.threads = threads;
  Session session;
  session.manifest = &module.manifest();
  if (!module.manifest().device.kind.empty()) {
    auto device = gpu();
    if (!device)
      return device.takeError();
    session.device = std::make_unique<DeviceTensors>(**device);
    options.device = (*device)->ordinal();
    options.stream = (*device)->stream();
  }
  einhead_session_t *raw = nullptr;
  einhead_status_t status =
      einhead_session_create(module.get(), &options, &raw);
  session.session.reset(raw);
  if (status != EINHEAD_OK)
    return runtimeError(status, "session");
  return session;
}

llvm::Error Session::call(const std::string &function,
                          llvm::ArrayRef<DLTensor> inputs,
                          llvm::ArrayRef<DLTensor> outputs) {
  return device ? callOnDevice(function, inputs, outputs)
                : callTimed(function, inputs, outputs);
}

llvm::Error Session::callTimed(const std::string &function,
                               llvm::ArrayRef<DLTensor> inputs,
                               llvm::ArrayRef<DLTensor> outputs) {
  auto begin = std::chrono::steady_clock::now();
  einhead_status_t status =
      einhead_session_call(session.get(), function.c_str(), inputs.data(),
                           inputs.size(), outputs.data(), outputs.size());
  if (status == EINHEAD_OK)
    status = einhead_session_synchronize(session.get());
  std::chrono::duration<double> passed =
      std::chrono::steady_clock::now() - begin;
  lastSeconds = passed.count();
  return runtimeError(status, "calling '" + function + "'");
}

llvm::Error Session::callOnDevice(const std::string &name,
                                  llvm::ArrayRef<DLTensor> inputs,
                                  llvm::ArrayRef<DLTensor> outputs) {
  auto function = manifest->function(name);
  if (!function)
    return function.takeError();
  auto placedInputs = device->inputs(**function, inputs);
  if (!placedInputs)
    return placedInputs.takeError();
  auto placedOutputs = device->outputs(outputs);
  if (!placedOutputs)
    return placedOutputs.takeError();
  if (llvm::Error error = callTimed(name, *placedInputs, *placedOutputs))
    return error;
  device->fetch(outputs);
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<CallTensors>>
CallTensors::create(const Function &function, const Bindings &bindings) {
  auto tensors = std::make_unique<CallTensors>();
  std::vector<std::string> missing;
  for (const Argument &argument : function.arguments) {
    bool isInput = argument.kind == "input";
    if (!isInput && argument.kind != "output")
      continue;
    std::vector<int64_t> extents = argument.extents(bindings, missing);
    if (!missing.empty())
      continue;
    (isInput ? tensors->inputArguments : tensors->outputArguments)
        .push_back(&argument);
    (isInput ? tensors->inputs : tensors->outputs)
        .emplace_back(argument.type, extents);
  }
  if (!missing.empty())
    return missingSizes(missing, function);
  for (HostTensor &tensor : tensors->inputs)
    tensors->inputViews.push_back(tensor.view());
  for (HostTensor &tensor : tensors->outputs)
    tensors->outputViews.push_back(tensor.view());
  return tensors;
}

std::vector<std::string> namesIn(const Function &function,
                                 llvm::StringRef kind) {
  std::vector<std::string> names;
  for (const Argument &argument : function.arguments)
    if (kind.empty() || argument.kind == kind)
      for (const Dimension &dimension : argument.shape)
        if (!dimension.name.empty() &&
            !llvm::is_contained(names, dimension.name))
          names.push_back(dimension.name);
  return names;
}

llvm::Error missingSizes(llvm::ArrayRef<std::string> names,
                         const Function &function) {
  return failure(
      Exit::Usage,
      "function '" + function.name +
          "' has dimensions without an extent: " + llvm::join(names, ", "),
      "give --size=" +
          llvm::join(llvm::map_range(
                         names, [](const std::string &n) { return n + "=N"; }),
                     ","));
}

llvm::Expected<Bindings> parseSizes(llvm::ArrayRef<std::string> entries) {
  Bindings sizes;
  for (llvm::StringRef entry : entries) {
    auto [name, extent] = entry.split('=');
    int64_t value;
    if (name.trim().empty() || extent.trim().getAsInteger(10, value) ||
        value < 0)
      return failure(Exit::Usage, "--size: '" + entry + "' is not name=extent",
                     "write for example --size=b=1,h=8");
    sizes[name.trim().str()] = value;
  }
  return sizes;
}

} // namespace einhead::tool
