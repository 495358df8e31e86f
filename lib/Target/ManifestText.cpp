//===- ManifestText.cpp - A manifest that travels with the IR ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ManifestText.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace einhead;

static constexpr StringRef attributeName = "einhead.manifest";

static std::string textOf(ArrayRef<ManifestFunction> functions) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::json::OStream out(stream);
  writeFunctions(out, functions);
  return text;
}

void Manifest::attach(ModuleOp module) const {
  module->setDiscardableAttr(
      attributeName, StringAttr::get(module.getContext(), textOf(functions)));
}

bool Manifest::sameSignatures(const Manifest &other) const {
  auto signatures = [](std::vector<ManifestFunction> functions) {
    for (ManifestFunction &function : functions) {
      function.kvBytes.clear();
      function.operations.clear();
    }
    return textOf(functions);
  };
  return signatures(functions) == signatures(other.functions);
}

bool Manifest::hasTraffic() const {
  return llvm::any_of(functions, [](const ManifestFunction &function) {
    return !function.kvBytes.empty();
  });
}

StringRef Manifest::readerOfParameters() const {
  for (const ManifestFunction &function : functions)
    for (const ManifestArgument &argument : function.arguments)
      if (argument.kind == "parameter")
        return function.name;
  return "";
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace llvm::json {
static bool fromJSON(const Value &value, ManifestArgument &argument,
                     Path path) {
  ObjectMapper map(value, path);
  const Array *shape =
      value.getAsObject() ? value.getAsObject()->getArray("shape") : nullptr;
  if (!map || !map.map("name", argument.name) ||
      !map.map("kind", argument.kind) || !map.map("type", argument.type) ||
      !map.mapOptional("scalar", argument.scalar) ||
      !map.mapOptional("append", argument.append))
    return false;
  if (!shape) {
    path.field("shape").report("expected an array");
    return false;
  }
  for (const Value &extent : *shape) {
    if (std::optional<int64_t> number = extent.getAsInteger())
      argument.shape.push_back(std::to_string(*number));
    else if (std::optional<StringRef> name = extent.getAsString())
      argument.shape.push_back(name->str());
    else {
      path.field("shape").report("expected numbers and names");
      return false;
    }
  }
  return true;
}

static bool mapProducts(const Object &object, StringLiteral key,
                        StringLiteral coefficient,
                        std::vector<DimensionProduct> &products, Path path) {
  const Array *entries = object.getArray(key);
  if (!entries)
    return true;
  for (const Value &entry : *entries) {
    DimensionProduct &product = products.emplace_back();
    ObjectMapper map(entry, path.field(key));
    if (!map || !map.map(coefficient, product.coefficient) ||
        !map.map("dims", product.dimensions))
      return false;
  }
  return true;
}

static bool fromJSON(const Value &value, ManifestFunction &function,
                     Path path) {
  ObjectMapper map(value, path);
  return map && map.map("name", function.name) &&
         map.mapOptional("advance", function.advance) &&
         map.map("arguments", function.arguments) &&
         mapProducts(*value.getAsObject(), "kv", "bytes", function.kvBytes,
                     path) &&
         mapProducts(*value.getAsObject(), "operations", "count",
                     function.operations, path);
}
} // namespace llvm::json

FailureOr<bool> Manifest::detach(ModuleOp module) {
  Attribute attribute = module->removeDiscardableAttr(attributeName);
  if (!attribute)
    return false;
  auto text = dyn_cast<StringAttr>(attribute);
  auto parsed = llvm::json::parse<std::vector<ManifestFunction>>(
      text ? text.getValue() : StringRef());
  if (!parsed)
    return module.emitError()
           << attributeName
           << " is damaged: " << llvm::toString(parsed.takeError());
  functions = std::move(*parsed);
  return true;
}
