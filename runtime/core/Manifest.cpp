//===- Manifest.cpp - What a module says about its functions ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Manifest.h"
#include "core/Json.h"

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace einhead::runtime;

namespace {
constexpr size_t maxNameLength = 512;
constexpr size_t maxManifestBytes = size_t(256) << 20;

struct TypeEntry {
  const char *name;
  DLDataType type;
};

/// DLPack's codes of booleans and of f8E4M3FN, which older headers lack.
constexpr uint8_t dlBool = 6, dlFloat8E4M3FN = 10;

/// In the order of ElementType.
const TypeEntry typeEntries[] = {
    {"f64", {kDLFloat, 64, 1}},
    {"f32", {kDLFloat, 32, 1}},
    {"f16", {kDLFloat, 16, 1}},
    {"bf16", {kDLBfloat, 16, 1}},
    {"f8e4m3", {dlFloat8E4M3FN, 8, 1}},
    {"i64", {kDLInt, 64, 1}},
    {"i32", {kDLInt, 32, 1}},
    {"i8", {kDLInt, 8, 1}},
    {"u8", {kDLUInt, 8, 1}},
    {"bool", {dlBool, 8, 1}},
    {"index", {kDLInt, 64, 1}},
};

const char *const kindNames[] = {"input", "output", "length", "cache",
                                 "parameter"};

/// All errors of a manifest: what is missing or wrong, and where in the JSON.
einhead_status_t corrupt(const Where &where, const char *what) {
  return fail(EINHEAD_CORRUPT_ARTIFACT, where, "manifest: %s", what);
}

class Reader {
public:
  explicit Reader(Manifest &manifest) : manifest(manifest) {}
  einhead_status_t read(const json &root);

private:
  einhead_status_t readString(const json &object, const char *key,
                              const Where &where, std::string &out);
  einhead_status_t readStrings(const json &object, const char *key,
                               const Where &where,
                               std::vector<std::string> &out);
  einhead_status_t readTarget(const json *object, const Where &where,
                              Target &out);
  einhead_status_t readVariants(const json &root);
  einhead_status_t readDevice(const json &root);
  einhead_status_t readDimension(const json &value, const Where &where,
                                 Dimension &out);
  einhead_status_t readFunction(const json &object, size_t f);
  einhead_status_t readArgument(const json &object, const Where &where,
                                Argument &out);
  einhead_status_t readShape(const json &object, const Where &where,
                             Argument &out);
  einhead_status_t checkArgument(const Where &where, const Argument &argument);
  einhead_status_t share(const Where &where, std::vector<Argument> &all,
                         Argument &argument);
  int dimensionName(const std::string &name);

  Manifest &manifest;
};
} // namespace

const char *einhead::runtime::elementTypeName(ElementType type) {
  return typeEntries[static_cast<int>(type)].name;
}

int64_t einhead::runtime::elementSize(ElementType type) {
  return elementDLType(type).bits / 8;
}

DLDataType einhead::runtime::elementDLType(ElementType type) {
  return typeEntries[static_cast<int>(type)].type;
}

bool einhead::runtime::parseElementType(std::string_view name,
                                        ElementType &outType) {
  int index = 0;
  for (const TypeEntry &entry : typeEntries) {
    if (name == entry.name) {
      outType = static_cast<ElementType>(index);
      return true;
    }
    ++index;
  }
  return false;
}

bool einhead::runtime::countBytes(const int64_t *extents, size_t rank,
                                  int64_t elementBytes, int64_t &outBytes) {
  int64_t bytes = elementBytes;
  for (size_t i = 0; i < rank; ++i)
    if (extents[i] < 0 || __builtin_mul_overflow(bytes, extents[i], &bytes))
      return false;
  outBytes = bytes;
  return true;
}

size_t Manifest::find(std::string_view function) const {
  size_t f = 0;
  while (f < functions.size() && functions[f].name != function)
    ++f;
  return f;
}

einhead_status_t Manifest::require(const char *function, size_t &out) const {
  out = find(function);
  if (out < functions.size())
    return EINHEAD_OK;
  return fail(EINHEAD_NOT_FOUND, "function",
              "the module has no function '%.100s'", function);
}

std::string Manifest::describe(const Dimension &dimension) const {
  if (dimension.name < 0)
    return std::to_string(dimension.offset);
  std::string text = dimensionNames[dimension.name];
  if (dimension.offset != 0)
    text += "+" + std::to_string(dimension.offset);
  return text;
}

einhead_status_t Reader::readString(const json &object, const char *key,
                                    const Where &where, std::string &out) {
  const json *value = member(object, key);
  if (!value || !value->is_string())
    return fail(EINHEAD_CORRUPT_ARTIFACT, where,
                "manifest: \"%s\" is missing or not a string", key);
  out = *value->get_ptr<const std::string *>();
  if (out.empty() || out.size() > maxNameLength ||
      out.find('\0') != std::string::npos)
    return fail(EINHEAD_CORRUPT_ARTIFACT, where,
                "manifest: \"%s\" is empty, longer than %zu bytes or has a "
                "zero byte",
                key, maxNameLength);
  return EINHEAD_OK;
}

einhead_status_t Reader::readStrings(const json &object, const char *key,
                                     const Where &where,
                                     std::vector<std::string> &out) {
  const json *list = member(object, key);
  if (!list)
    return EINHEAD_OK; // an absent list is an empty one
  if (!list->is_array())
    return fail(EINHEAD_CORRUPT_ARTIFACT, where,
                "manifest: \"%s\" is not a list of strings", key);
  for (const json &value : *list) {
    const std::string *text = value.get_ptr<const std::string *>();
    if (!text || text->empty() || text->find('\0') != std::string::npos)
      return fail(EINHEAD_CORRUPT_ARTIFACT, where,
                  "manifest: \"%s\" is not a list of strings", key);
    out.push_back(*text);
  }
  return EINHEAD_OK;
}

int Reader::dimensionName(const std::string &name) {
  std::vector<std::string> &names = manifest.dimensionNames;
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == name)
      return static_cast<int>(i);
  names.push_back(name);
  return static_cast<int>(names.size() - 1);
}

einhead_status_t Reader::readDimension(const json &value, const Where &where,
                                       Dimension &out) {
  const char *wanted =
      "an extent is a number from 0 to 2^48, a name, or a name "
      "plus a number (\"m+1\")";
  if (readInteger(value, 0, maxExtent, out.offset))
    return EINHEAD_OK;
  const std::string *text = value.get_ptr<const std::string *>();
  if (!text)
    return corrupt(where, wanted);
  size_t plus = text->find('+');
  std::string name = text->substr(0, plus);
  bool isName = !name.empty() && name.size() <= maxNameLength &&
                !(name[0] >= '0' && name[0] <= '9');
  for (char c : name)
    isName &= (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9') || c == '_';
  if (!isName)
    return corrupt(where, wanted);
  out.offset = 0;
  if (plus != std::string::npos) {
    std::string digits = text->substr(plus + 1);
    if (digits.empty() || digits.size() > 14)
      return corrupt(where, wanted);
    for (char c : digits) {
      if (c < '0' || c > '9')
        return corrupt(where, wanted);
      out.offset = out.offset * 10 + (c - '0');
    }
  }
  out.name = dimensionName(name);
  return EINHEAD_OK;
}

einhead_status_t Reader::readShape(const json &object, const Where &where,
                                   Argument &out) {
  const json *shape = member(object, "shape");
  if (!shape && out.isScalar)
    return EINHEAD_OK;
  if (!shape || !shape->is_array() || shape->size() > maxRank)
    return corrupt(where, "\"shape\" is not a list of at most 16 extents");
  int64_t bytes = elementSize(out.type);
  for (const json &value : *shape) {
    Dimension dimension;
    if (einhead_status_t status = readDimension(value, where, dimension))
      return status;
    if (dimension.name < 0 &&
        __builtin_mul_overflow(bytes, dimension.offset, &bytes))
      return corrupt(where, "the product of the extents overflows");
    out.shape.push_back(dimension);
  }
  return EINHEAD_OK;
}

einhead_status_t Reader::readArgument(const json &object, const Where &where,
                                      Argument &out) {
  if (!object.is_object())
    return corrupt(where, "an argument is not an object");
  std::string kind, type;
  if (einhead_status_t status = readString(object, "name", where, out.name))
    return status;
  if (einhead_status_t status = readString(object, "kind", where, kind))
    return status;
  if (einhead_status_t status = readString(object, "type", where, type))
    return status;
  int k = 0;
  while (k < 5 && kind != kindNames[k])
    ++k;
  if (k == 5)
    return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, where,
                "manifest: unknown kind '%.60s' of argument '%.60s'; a newer "
                "runtime may know it",
                kind.c_str(), out.name.c_str());
  out.kind = static_cast<ArgumentKind>(k);
  if (!parseElementType(type, out.type))
    return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, where,
                "manifest: unknown type '%.60s' of argument '%.60s'; a newer "
                "runtime may know it",
                type.c_str(), out.name.c_str());
  if (const json *scalar = member(object, "scalar")) {
    if (!scalar->is_boolean())
      return corrupt(where, "\"scalar\" is not true or false");
    out.isScalar = *scalar->get_ptr<const bool *>();
  }
  if (einhead_status_t status = readShape(object, where, out))
    return status;
  if (const json *append = member(object, "append")) {
    int64_t value = 0;
    if (!readInteger(*append, 0, int64_t(out.shape.size()) - 1, value))
      return corrupt(where, "\"append\" is not one of the dimensions");
    out.append = static_cast<int>(value);
  }
  return checkArgument(where, out);
}

einhead_status_t Reader::checkArgument(const Where &where,
                                       const Argument &argument) {
  ArgumentKind kind = argument.kind;
  if (argument.append >= 0 && kind != ArgumentKind::Cache)
    return corrupt(where, "\"append\" on an argument that is not a cache");
  if (argument.isScalar && !argument.shape.empty())
    return corrupt(where, "a scalar has a shape");
  if (argument.isScalar &&
      (kind == ArgumentKind::Output || kind == ArgumentKind::Cache))
    return corrupt(where, "an output or a cache cannot be a scalar");
  if (kind == ArgumentKind::Length) {
    if (argument.type != ElementType::I64 &&
        argument.type != ElementType::I32 &&
        argument.type != ElementType::Index)
      return corrupt(where, "a length is of type i64, i32 or index");
    if (!argument.isScalar && argument.shape.size() != 1)
      return corrupt(where, "a length is a scalar or has one dimension");
  }
  if (kind == ArgumentKind::Parameter)
    for (const Dimension &dimension : argument.shape)
      if (dimension.name >= 0)
        return corrupt(where, "the extents of a parameter must be numbers");
  return EINHEAD_OK;
}

/// Finds or adds the cache or parameter of this name; all functions must agree
/// on what it is.
einhead_status_t Reader::share(const Where &where, std::vector<Argument> &all,
                               Argument &argument) {
  for (size_t i = 0; i < all.size(); ++i) {
    Argument &known = all[i];
    if (known.name != argument.name)
      continue;
    bool agree = known.type == argument.type && known.shape == argument.shape &&
                 (known.append < 0 || argument.append < 0 ||
                  known.append == argument.append);
    if (!agree)
      return fail(EINHEAD_CORRUPT_ARTIFACT, where,
                  "manifest: '%.60s' has another type, shape or append "
                  "dimension elsewhere",
                  argument.name.c_str());
    if (argument.append >= 0)
      known.append = argument.append;
    argument.index = static_cast<int>(i);
    return EINHEAD_OK;
  }
  argument.index = static_cast<int>(all.size());
  all.push_back(argument);
  return EINHEAD_OK;
}

einhead_status_t Reader::readFunction(const json &object, size_t f) {
  Where where = at("manifest, functions[%zu]", f);
  if (!object.is_object())
    return corrupt(where, "a function is not an object");
  Function function;
  if (einhead_status_t s = readString(object, "name", where, function.name))
    return s;
  if (einhead_status_t s = readString(object, "symbol", where, function.symbol))
    return s;
  for (const Function &other : manifest.functions)
    if (other.name == function.name)
      return corrupt(where, "two functions of one name");
  if (const json *advance = member(object, "advance"))
    if (einhead_status_t s = readDimension(*advance, where, function.advance))
      return s;
  const json *arguments = member(object, "arguments");
  if (!arguments || !arguments->is_array())
    return corrupt(where, "\"arguments\" is missing or not a list");
  std::set<std::string> names;
  for (size_t a = 0; a < arguments->size(); ++a) {
    Where place = at("manifest, functions[%zu].arguments[%zu]", f, a);
    Argument argument;
    if (einhead_status_t s = readArgument((*arguments)[a], place, argument))
      return s;
    function.inputCount += argument.kind == ArgumentKind::Input;
    function.outputCount += argument.kind == ArgumentKind::Output;
    // A parameter may be passed twice (tied embeddings); what is written or
    // named by the caller may not.
    if (argument.kind != ArgumentKind::Parameter &&
        argument.kind != ArgumentKind::Length &&
        !names.insert(argument.name).second)
      return corrupt(place, "two arguments of one name");
    einhead_status_t status = EINHEAD_OK;
    if (argument.kind == ArgumentKind::Cache)
      status = share(place, manifest.caches, argument);
    if (argument.kind == ArgumentKind::Parameter)
      status = share(place, manifest.parameters, argument);
    if (status)
      return status;
    function.arguments.push_back(std::move(argument));
  }
  manifest.functions.push_back(std::move(function));
  return EINHEAD_OK;
}

einhead_status_t Reader::readTarget(const json *object, const Where &where,
                                    Target &out) {
  if (!object || !object->is_object())
    return corrupt(where,
                   "\"target\" is missing, or a target is not an object");
  if (einhead_status_t s = readString(*object, "triple", where, out.triple))
    return s;
  if (member(*object, "cpu"))
    if (einhead_status_t s = readString(*object, "cpu", where, out.cpu))
      return s;
  return readStrings(*object, "features", where, out.features);
}

einhead_status_t Reader::readVariants(const json &root) {
  const json *variants = member(root, "variants");
  if (!variants)
    return EINHEAD_OK;
  if (!variants->is_array())
    return corrupt("manifest", "\"variants\" is not a list of targets");
  for (size_t i = 0; i < variants->size(); ++i) {
    Target target;
    if (einhead_status_t s = readTarget(
            &(*variants)[i], at("manifest, variants[%zu]", i), target))
      return s;
    manifest.variants.push_back(std::move(target));
  }
  return EINHEAD_OK;
}

einhead_status_t Reader::readDevice(const json &root) {
  const json *device = member(root, "device");
  if (!device)
    return EINHEAD_OK;
  Where where = "manifest, device";
  if (!device->is_object())
    return corrupt(where, "\"device\" is not an object");
  DeviceCode &out = manifest.device;
  if (einhead_status_t s = readString(*device, "kind", where, out.kind))
    return s;
  if (out.kind != "cuda")
    return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, where,
                "manifest: unknown kind of device '%.60s'; a newer runtime may "
                "know it",
                out.kind.c_str());
  if (einhead_status_t s = readString(*device, "chip", where, out.chip))
    return s;
  const json *images = member(*device, "images");
  if (!images || !images->is_array() || images->empty())
    return corrupt(where, "\"images\" is missing, not a list, or empty");
  for (size_t i = 0; i < images->size(); ++i) {
    Where place = at("manifest, device.images[%zu]", i);
    DeviceImage image;
    if (!(*images)[i].is_object())
      return corrupt(place, "an image is not an object");
    if (einhead_status_t s =
            readString((*images)[i], "format", place, image.format))
      return s;
    if (einhead_status_t s =
            readString((*images)[i], "chip", place, image.chip))
      return s;
    out.images.push_back(std::move(image));
  }
  if (einhead_status_t s = readStrings(*device, "kernels", where, out.kernels))
    return s;
  std::set<std::string> names(out.kernels.begin(), out.kernels.end());
  if (names.size() != out.kernels.size())
    return corrupt(where, "two kernels of one name");
  return EINHEAD_OK;
}

einhead_status_t Reader::read(const json &root) {
  if (!root.is_object())
    return corrupt("manifest", "not a JSON object");
  std::string version;
  if (einhead_status_t s = readString(root, "einhead", "manifest", version))
    return s;
  if (einhead_status_t s = readTarget(member(root, "target"),
                                      "manifest, target", manifest.target))
    return s;
  if (einhead_status_t s = readVariants(root))
    return s;
  if (einhead_status_t s = readDevice(root))
    return s;
  if (einhead_status_t s =
          readStrings(root, "parameters", "manifest", manifest.parameterFiles))
    return s;
  const json *functions = member(root, "functions");
  if (!functions || !functions->is_array() || functions->empty())
    return corrupt("manifest",
                   "\"functions\" is missing, not a list, or empty");
  for (size_t f = 0; f < functions->size(); ++f)
    if (einhead_status_t s = readFunction((*functions)[f], f))
      return s;
  return EINHEAD_OK;
}

einhead_status_t einhead::runtime::parseManifest(std::string_view text,
                                                 Manifest &outManifest) {
  if (text.size() > maxManifestBytes)
    return corrupt("manifest", "larger than 256 MiB");
  json root;
  if (const char *problem = parseJson(text, root))
    return corrupt("manifest", problem);
  return Reader(outManifest).read(root);
}
