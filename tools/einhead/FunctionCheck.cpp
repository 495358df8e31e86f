//===- FunctionCheck.cpp - Compares a call with the oracle ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FunctionRun.h"
#include "Oracle.h"
#include "Reference.h"
#include "Safetensors.h"
#include "Tool.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <stdexcept>

namespace einhead::tool {

static reference::Tensor toReference(const HostTensor &tensor) {
  std::vector<double> values(tensor.elementCount());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = tensor.at(static_cast<int64_t>(i));
  return reference::Tensor(tensor.shape, std::move(values));
}

static std::vector<double> toDoubles(const HostTensor &tensor) {
  return toReference(tensor).value;
}

/// Prints one result's line; true where it passed.
static bool printReport(const std::string &name, const HostTensor &actual,
                        const reference::Tensor &expected) {
  if (expected.shape != actual.shape) {
    llvm::outs() << "  " << name << "  " << describe(actual.type, actual.shape)
                 << "  FAIL, the oracle has "
                 << describe(DataType::F64, expected.shape) << "\n";
    return false;
  }
  reference::Report report = reference::compare(toDoubles(actual), expected);
  llvm::outs() << "  " << name << "  " << describe(actual.type, actual.shape)
               << "  " << report.message() << "\n";
  return report.pass;
}

llvm::Error FunctionRun::check(mlir::ModuleOp graph) {
  try {
    return checkResults(graph);
  } catch (const std::exception &e) {
    return failure(Exit::Internal, llvm::Twine("reference: ") + e.what(),
                   "--check=false runs without a check");
  }
}

llvm::Expected<std::vector<reference::Tensor>> FunctionRun::graphArguments() {
  std::vector<reference::Tensor> arguments;
  Safetensors parameters;
  bool hasParameters = false;
  size_t input = 0, cache = 0;
  for (const Argument &argument : function->arguments) {
    if (argument.kind == "input") {
      arguments.push_back(toReference(tensors->inputs[input++]));
    } else if (argument.kind == "cache") {
      arguments.push_back(toReference(caches[cache++].before));
    } else if (argument.kind == "length") {
      std::vector<double> values(lengths.begin(), lengths.end());
      std::vector<int64_t> shape;
      if (!argument.scalar && !argument.shape.empty())
        shape = {static_cast<int64_t>(lengths.size())};
      values.resize(shape.empty() ? 1 : lengths.size());
      arguments.push_back(reference::Tensor(shape, std::move(values)));
    } else if (argument.kind == "parameter") {
      for (const std::string &path : options.parameterPaths)
        if (!hasParameters)
          if (llvm::Error error = parameters.add(path))
            return error;
      hasParameters = true;
      auto tensor = parameters.get(argument.name);
      if (!tensor)
        return tensor.takeError();
      arguments.push_back(toReference(*tensor));
    }
  }
  return arguments;
}

llvm::Error FunctionRun::checkResults(mlir::ModuleOp graph) {
  auto op = graph.lookupSymbol<mlir::func::FuncOp>(function->name);
  if (!op)
    return failure(Exit::Internal, "no function @" + function->name);
  auto arguments = graphArguments();
  if (!arguments)
    return arguments.takeError();
  if (arguments->size() != op.getNumArguments())
    return failure(Exit::Internal, "@" + function->name + " takes " +
                                       llvm::Twine(op.getNumArguments()) +
                                       " arguments, the manifest has " +
                                       llvm::Twine(arguments->size()));
  auto expected = evaluate(op, *arguments);
  if (!expected)
    return failure(Exit::Unsupported, llvm::toString(expected.takeError()),
                   "--check=false runs without a check");

  bool pass = true;
  size_t output = 0;
  for (size_t i = 0; i < expected->size(); ++i) {
    auto name = op.getResultAttrOfType<mlir::StringAttr>(i, "attn.cache");
    if (!name) {
      if (output >= tensors->outputs.size())
        return failure(Exit::Internal,
                       "@" + function->name + " has more results than outputs");
      pass &= printReport(tensors->outputArguments[output]->name,
                          tensors->outputs[output], (*expected)[i]);
      ++output;
      continue;
    }
    for (const CacheState &state : caches)
      if (state.argument->name == name.getValue())
        pass &= printReport(state.argument->name,
                            copyOf(state.view, state.argument->type),
                            (*expected)[i]);
  }
  return pass ? llvm::Error::success()
              : failure(Exit::Wrong, "wrong result in @" + function->name);
}

} // namespace einhead::tool
