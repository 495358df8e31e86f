//===- Listing.cpp - A listing, compiled and called -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Listing.h"
#include "einhead/Compiler.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/raw_ostream.h"
#include <random>
#include <stdexcept>

using namespace einhead::test;

static void check(einhead_status_t status, const std::string &doing) {
  if (status != EINHEAD_OK)
    throw std::runtime_error(doing + ": " + einhead_last_error()->text);
}

Array::Array(std::vector<int64_t> extents) : shape(std::move(extents)) {
  size_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  data.resize(count);
}

static std::vector<int64_t> extentsOf(const std::string &letters,
                                      const Sizes &sizes) {
  std::vector<int64_t> shape;
  for (char letter : letters)
    shape.push_back(sizes.at(std::string(1, letter)));
  return shape;
}

Array::Array(const std::string &letters, const Sizes &sizes)
    : Array(extentsOf(letters, sizes)) {}

Array &&Array::random(unsigned seed, float scale) && {
  std::mt19937 numbers(seed);
  for (float &x : data)
    x = scale * (static_cast<float>(numbers()) / 2147483648.0f - 1.0f);
  return std::move(*this);
}

DLTensor Array::view() {
  DLTensor tensor = {};
  tensor.data = data.data();
  tensor.device = {kDLCPU, 0};
  tensor.ndim = static_cast<int>(shape.size());
  tensor.dtype = {kDLFloat, 32, 1};
  tensor.shape = shape.data();
  return tensor;
}

/// The bytes of the listing's module file.
static std::string compileListing(const std::string &name, const Sizes &fixed) {
  mlir::DialectRegistry registry;
  einhead::registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  mlir::OwningOpRef<mlir::ModuleOp> source =
      mlir::parseSourceFile<mlir::ModuleOp>(
          EINHEAD_LISTINGS "/" + name + ".mlir", &context);
  if (!source)
    throw std::runtime_error(name + " does not parse");
  einhead::CompileOptions options;
  options.requireFused = true;
  for (const auto &[letter, extent] : fixed)
    options.sizes.push_back({letter, extent});
  llvm::Expected<std::string> bytes =
      einhead::compile(*source, einhead::EmitKind::Module, options);
  if (!bytes)
    throw std::runtime_error(name + ": " + llvm::toString(bytes.takeError()));
  return *bytes;
}

Listing::Listing(const std::string &name, const Sizes &fixed,
                 const Sizes &dimensions)
    : name(name), module(nullptr, einhead_module_release),
      session(nullptr, einhead_session_release) {
  std::string bytes = compileListing(name, fixed);
  llvm::SmallString<128> path;
  int file;
  if (llvm::sys::fs::createTemporaryFile(name, "einhead", file, path))
    throw std::runtime_error("no temporary file");
  llvm::FileRemover remove(path);
  llvm::raw_fd_ostream(file, /*shouldClose=*/true) << bytes;

  einhead_module_t *opened = nullptr;
  check(einhead_module_open(path.c_str(), nullptr, &opened), "opening " + name);
  module.reset(opened);
  std::vector<einhead_dimension_t> extents;
  for (const auto &[letter, extent] : dimensions)
    extents.push_back({letter.c_str(), extent});
  einhead_session_options_t options = {};
  options.dimensions = extents.data();
  options.dimension_count = extents.size();
  options.threads = 2;
  einhead_session_t *created = nullptr;
  check(einhead_session_create(opened, &options, &created),
        "a session of " + name);
  session.reset(created);
}

void Listing::call(const std::vector<Array *> &inputs, Array &output) {
  std::vector<DLTensor> views;
  for (Array *input : inputs)
    views.push_back(input->view());
  DLTensor result = output.view();
  check(einhead_session_call(session.get(), name.c_str(), views.data(),
                             views.size(), &result, 1),
        "calling " + name);
}

float &Listing::cacheElement(const std::string &cache,
                             const std::vector<int64_t> &index) {
  DLTensor view;
  check(einhead_session_cache(session.get(), cache.c_str(), &view),
        "cache " + cache);
  int64_t at = 0;
  for (size_t i = 0; i < index.size(); ++i)
    at = view.strides ? at + index[i] * view.strides[i]
                      : at * view.shape[i] + index[i];
  return reinterpret_cast<float *>(static_cast<char *>(view.data) +
                                   view.byte_offset)[at];
}

int64_t Listing::length(int64_t sequence) {
  int64_t result = 0;
  check(einhead_session_length(session.get(), sequence, &result), "length");
  return result;
}
