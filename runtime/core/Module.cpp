//===- Module.cpp - A module file, opened -----------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Module.h"
#include "core/Container.h"
#include "cpu/Targets.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

using namespace einhead::runtime;

namespace {
std::string shapeText(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

einhead_status_t bindParameter(const Argument &wanted,
                               const ParameterFiles &files,
                               BoundParameter &out) {
  const char *name = wanted.name.c_str();
  Where where = at("parameter '%.100s'", name);
  const StoredTensor *stored = files.find(wanted.name);
  if (!stored)
    return fail(EINHEAD_FAILED_PRECONDITION, where,
                "the parameter '%.100s' is in none of the %zu safetensors "
                "files",
                name, files.fileCount());
  if (stored->isAmbiguous)
    return fail(EINHEAD_FAILED_PRECONDITION, where,
                "the parameter '%.100s' is in several safetensors files; name "
                "one file",
                name);
  // `index` is a type of the compiler; files hold i64.
  ElementType type =
      wanted.type == ElementType::Index ? ElementType::I64 : wanted.type;
  if (!stored->isSupported || stored->type != type)
    return fail(EINHEAD_INVALID_ARGUMENT, where,
                "the parameter '%.100s' has type %s, wanted %s", name,
                stored->typeName.c_str(), elementTypeName(type));
  std::vector<int64_t> shape;
  for (const Dimension &dimension : wanted.shape)
    shape.push_back(dimension.offset);
  if (stored->shape != shape)
    return fail(EINHEAD_INVALID_ARGUMENT, where,
                "the parameter '%.100s' has shape %s, wanted %s", name,
                shapeText(stored->shape).c_str(), shapeText(shape).c_str());
  out.data = stored->data;
  if (reinterpret_cast<uintptr_t>(out.data) % elementSize(type) == 0)
    return EINHEAD_OK;
  if (!out.copy.allocate(static_cast<size_t>(stored->bytes)))
    return fail(EINHEAD_RESOURCE_EXHAUSTED, where,
                "no memory to align the parameter '%.100s'", name);
  std::memcpy(out.copy.data(), stored->data, stored->bytes);
  out.data = out.copy.data();
  return EINHEAD_OK;
}

einhead_status_t bindParameters(const std::string &path,
                                const char *parametersPath,
                                einhead_module_t &module) {
  const Manifest &manifest = module.manifest;
  if (parametersPath) {
    if (einhead_status_t status = module.files.addPath(parametersPath))
      return status;
  } else {
    for (const std::string &file : manifest.parameterFiles) {
      bool isAbsolute = file[0] == '/';
      if (einhead_status_t status =
              module.files.addPath(isAbsolute ? file : folderOf(path) + file))
        return status;
    }
  }
  // With no file at all, functions without parameters still work; the others
  // say at their call what they miss.
  if (module.files.fileCount() == 0)
    return EINHEAD_OK;
  module.parameters.resize(manifest.parameters.size());
  for (size_t i = 0; i < manifest.parameters.size(); ++i)
    if (einhead_status_t status = bindParameter(
            manifest.parameters[i], module.files, module.parameters[i]))
      return status;
  return EINHEAD_OK;
}

/// The code that this machine runs.
einhead_status_t pickCode(const Container &container, const Manifest &manifest,
                          Container::Code &out) {
  if (container.variants.size() != manifest.variants.size())
    return fail(EINHEAD_CORRUPT_ARTIFACT, "manifest, variants",
                "manifest: %zu variants, and the file has code for %zu",
                manifest.variants.size(), container.variants.size());
  size_t variant = 0;
  if (einhead_status_t status = pickTarget(manifest, Machine::here(), variant))
    return status;
  out = variant ? container.variants[variant - 1] : container.code;
  return EINHEAD_OK;
}

/// Joins the device's images to what the manifest says of them.
einhead_status_t takeImages(const Container &container, Manifest &manifest) {
  std::vector<DeviceImage> &images = manifest.device.images;
  if (container.images.size() != images.size())
    return fail(EINHEAD_CORRUPT_ARTIFACT, "manifest, device",
                "manifest: %zu device images, and the file has %zu",
                images.size(), container.images.size());
  for (size_t i = 0; i < images.size(); ++i) {
    const Container::Code &code = container.images[i];
    images[i].bytes.assign(reinterpret_cast<const char *>(code.bytes),
                           code.size);
  }
  return manifest.device.kind.empty() ? EINHEAD_OK
                                      : checkDeviceImages(manifest.device);
}

einhead_status_t openModule(const std::string &path, const char *parametersPath,
                            einhead_module_t &module) {
  std::vector<uint8_t> bytes;
  if (einhead_status_t status = readFile(path, bytes))
    return status;
  Container container;
  if (einhead_status_t status =
          parseContainer(bytes.data(), bytes.size(), container))
    return status;
  if (einhead_status_t status =
          parseManifest(container.manifest, module.manifest))
    return status;
  if (einhead_status_t status = takeImages(container, module.manifest))
    return status;
  Container::Code code;
  if (einhead_status_t status = pickCode(container, module.manifest, code))
    return status;
  if (einhead_status_t status =
          module.code.load(code.bytes, code.size, module.manifest))
    return status;
  module.manifestText = std::string(container.manifest);
  return bindParameters(path, parametersPath, module);
}
} // namespace

einhead_status_t einhead_module_open(const char *path,
                                     const char *parameters_path,
                                     einhead_module_t **out_module) {
  if (out_module)
    *out_module = nullptr;
  return guarded([&]() -> einhead_status_t {
    if (!path || !out_module)
      return fail(EINHEAD_INVALID_ARGUMENT, path ? "out_module" : "path",
                  "a required pointer is null");
    auto module = std::make_unique<einhead_module_t>();
    if (einhead_status_t status = openModule(path, parameters_path, *module))
      return status;
    *out_module = module.release();
    return EINHEAD_OK;
  });
}

void einhead_module_release(einhead_module_t *module) {
  if (module)
    module->release();
}

const char *einhead_module_manifest(const einhead_module_t *module) {
  return module ? module->manifestText.c_str() : "";
}
