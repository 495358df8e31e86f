//===- Manifest.cpp - The manifest of a module file -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Manifest.h"
#include "Tool.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"

namespace json = llvm::json;

namespace einhead::tool {

std::string Dimension::str() const {
  if (name.empty())
    return std::to_string(extent);
  return extent ? name + "+" + std::to_string(extent) : name;
}

std::string Argument::shapeText() const {
  return llvm::join(
      llvm::map_range(shape, [](const Dimension &d) { return d.str(); }), ", ");
}

std::vector<int64_t>
Argument::extents(const Bindings &bindings,
                  std::vector<std::string> &missing) const {
  std::vector<int64_t> extents;
  for (const Dimension &dimension : shape) {
    int64_t extent = dimension.extent;
    if (!dimension.name.empty()) {
      auto bound = bindings.find(dimension.name);
      if (bound != bindings.end())
        extent += bound->second;
      else if (!llvm::is_contained(missing, dimension.name))
        missing.push_back(dimension.name);
    }
    extents.push_back(extent);
  }
  return extents;
}

static llvm::Error bad(const llvm::Twine &what) {
  return failure(Exit::Invalid, "manifest: " + what,
                 "compile the module again with this version of einhead");
}

static llvm::Expected<Dimension> parseDimension(const json::Value &value) {
  Dimension dimension;
  if (auto number = value.getAsInteger()) {
    dimension.extent = *number;
    return dimension;
  }
  auto text = value.getAsString();
  if (!text)
    return bad("a dimension is neither a number nor a name");
  auto [name, plus] = text->split('+');
  dimension.name = name.trim().str();
  if (!plus.empty() && plus.trim().getAsInteger(10, dimension.extent))
    return bad("bad dimension '" + *text + "'");
  return dimension;
}

static llvm::Expected<Argument> parseArgument(const json::Object &object) {
  Argument argument;
  argument.name = object.getString("name").value_or("").str();
  argument.kind = object.getString("kind").value_or("").str();
  llvm::StringRef typeName = object.getString("type").value_or("");
  std::optional<DataType> type = parseDataType(typeName);
  if (!type)
    return bad("argument '" + argument.name + "' has type '" + typeName + "'");
  argument.type = *type;
  argument.scalar = object.getBoolean("scalar").value_or(false);
  argument.append = static_cast<int>(object.getInteger("append").value_or(-1));
  if (const json::Array *shape = object.getArray("shape"))
    for (const json::Value &value : *shape) {
      auto dimension = parseDimension(value);
      if (!dimension)
        return dimension.takeError();
      argument.shape.push_back(std::move(*dimension));
    }
  return argument;
}

static llvm::Expected<Function> parseFunction(const json::Object &object) {
  Function function;
  function.name = object.getString("name").value_or("").str();
  function.symbol = object.getString("symbol").value_or("").str();
  function.advance = object.getInteger("advance").value_or(0);
  const json::Array *arguments = object.getArray("arguments");
  if (!arguments)
    return bad("function '" + function.name + "' has no arguments");
  for (const json::Value &value : *arguments) {
    const json::Object *entry = value.getAsObject();
    if (!entry)
      return bad("function '" + function.name + "': bad argument");
    auto argument = parseArgument(*entry);
    if (!argument)
      return argument.takeError();
    function.arguments.push_back(std::move(*argument));
  }
  if (const json::Array *traffic = object.getArray("kv"))
    for (const json::Value &value : *traffic) {
      const json::Object *entry = value.getAsObject();
      if (!entry)
        continue;
      TrafficTerm term;
      term.bytes = entry->getInteger("bytes").value_or(0);
      if (const json::Array *names = entry->getArray("dims"))
        for (const json::Value &name : *names)
          term.dimensions.push_back(name.getAsString().value_or("").str());
      function.traffic.push_back(std::move(term));
    }
  return function;
}

static std::vector<std::string> strings(const json::Array *array) {
  std::vector<std::string> result;
  if (array)
    for (const json::Value &value : *array)
      result.push_back(value.getAsString().value_or("").str());
  return result;
}

static ManifestTarget parseTarget(const json::Object &object) {
  return {object.getString("triple").value_or("").str(),
          object.getString("cpu").value_or("").str(),
          strings(object.getArray("features"))};
}

static ManifestDevice parseDevice(const json::Object &object) {
  ManifestDevice device{object.getString("kind").value_or("").str(),
                        object.getString("chip").value_or("").str(),
                        {},
                        strings(object.getArray("kernels"))};
  if (const json::Array *images = object.getArray("images"))
    for (const json::Value &entry : *images)
      if (const json::Object *image = entry.getAsObject())
        device.images.push_back({image->getString("format").value_or("").str(),
                                 image->getString("chip").value_or("").str()});
  return device;
}

llvm::Expected<Manifest> Manifest::parse(llvm::StringRef text) {
  auto value = json::parse(text);
  if (!value)
    return bad(llvm::toString(value.takeError()));
  const json::Object *object = value->getAsObject();
  if (!object)
    return bad("not an object");
  Manifest manifest;
  manifest.version = object->getString("einhead").value_or("").str();
  if (const json::Object *target = object->getObject("target"))
    manifest.target = parseTarget(*target);
  if (const json::Array *variants = object->getArray("variants"))
    for (const json::Value &entry : *variants)
      if (const json::Object *target = entry.getAsObject())
        manifest.variants.push_back(parseTarget(*target));
  if (const json::Object *device = object->getObject("device"))
    manifest.device = parseDevice(*device);
  manifest.parameters = strings(object->getArray("parameters"));
  if (const json::Array *functions = object->getArray("functions"))
    for (const json::Value &entry : *functions) {
      const json::Object *fields = entry.getAsObject();
      if (!fields)
        return bad("bad function");
      auto function = parseFunction(*fields);
      if (!function)
        return function.takeError();
      manifest.functions.push_back(std::move(*function));
    }
  return manifest;
}

llvm::Expected<const Function *>
Manifest::function(llvm::StringRef name) const {
  for (const Function &function : functions)
    if (function.name == name ||
        (name.empty() && (functions.size() == 1 || function.name == "step" ||
                          function.name == "main")))
      return &function;
  std::string names = llvm::join(
      llvm::map_range(functions, [](const Function &f) { return f.name; }),
      ", ");
  if (functions.empty())
    return failure(Exit::Invalid, "the module has no public function",
                   "a function is public unless it is marked 'private'");
  if (name.empty())
    return failure(Exit::Usage, "the module has several functions",
                   "choose one with --function=NAME: " + names);
  return failure(Exit::Usage, "no function '" + name + "' in the module",
                 "it has: " + names);
}

} // namespace einhead::tool
