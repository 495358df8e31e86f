//===- DeviceTest.cpp - Modules with device code, on a fake GPU -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "DeviceTest.h"

#include <cstdlib>
#include <cstring>
#include <elf.h>

using namespace einhead::test;
using namespace einhead;

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

static void appendKernel(const fake::Launch &launch) {
  const float *x = launch.get<const float *>(0);
  const int64_t *length = launch.get<const int64_t *>(1);
  float *k = launch.get<float *>(2), *total = launch.get<float *>(3);
  int64_t steps = launch.get<int64_t>(4), stride = launch.get<int64_t>(5);
  for (unsigned b = 0; b < launch.grid[0]; ++b) {
    float *row = k + b * stride;
    for (int64_t i = 0; i < steps * 2; ++i)
      row[length[b] * 2 + i] = x[b * steps * 2 + i];
    total[b] = 0;
    for (int64_t i = 0; i < (length[b] + steps) * 2; ++i)
      total[b] += row[i];
  }
}

static void probeKernel(const fake::Launch &launch) {
  int64_t *report = launch.get<int64_t *>(0);
  int64_t zeros = launch.get<int64_t>(4);
  bool isZero = true;
  for (int i : {2, 3}) {
    char *bytes = launch.get<char *>(i);
    for (int64_t b = 0; b < zeros; ++b)
      isZero &= bytes[b] == 0;
    std::memset(bytes, 1, zeros); // in use
    std::memset(bytes, 0, zeros); // as each kernel leaves it
  }
  report[0] = launch.get<int64_t>(1);
  report[1] = launch.get<int64_t>(2);
  report[2] = launch.get<int64_t>(3);
  report[3] = isZero;
  report[4] = launch.get<int64_t>(5);
  report[5] = launch.get<int64_t>(6);
}

static void mapKernel(const fake::Launch &launch) {
  launch.get<float *>(1)[0] = static_cast<float>(launch.get<uint64_t>(0));
}

static void lengthsKernel(const fake::Launch &launch) {
  for (int64_t b = 0; b < launch.get<int64_t>(4); ++b)
    launch.get<int64_t *>(3)[b] = launch.get<int64_t>(0) +
                                  launch.get<const int32_t *>(1)[b] +
                                  launch.get<const int64_t *>(2)[b];
}

static void normKernel(const fake::Launch &launch) {
  for (int i = 0; i < 3; ++i)
    launch.get<float *>(2)[i] =
        launch.get<const float *>(0)[i] * launch.get<const float *>(1)[i];
}

static void defineKernels() {
  fake::define("append", {8, 8, 8, 8, 8, 8}, appendKernel);
  fake::define("probe", {8, 8, 8, 8, 8, 8, 8}, probeKernel);
  fake::define("map", {128, 8}, mapKernel);
  fake::define("lengths", {8, 8, 8, 8, 8}, lengthsKernel);
  fake::define("norm", {8, 8, 8}, normKernel);
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

const char *const einhead::test::deviceFunctions = R"(
 {"name": "append", "symbol": "entry_append", "advance": 1, "arguments": [
  {"name": "x", "kind": "input", "type": "f32", "shape": ["b", 1, 2]},
  {"name": "length", "kind": "length", "type": "i64", "shape": ["b"]},
  {"name": "k", "kind": "cache", "type": "f32", "shape": ["b", "m", 2], "append": 1},
  {"name": "total", "kind": "output", "type": "f32", "shape": ["b"]}]},
 {"name": "append_n", "symbol": "entry_append", "advance": "t", "arguments": [
  {"name": "x", "kind": "input", "type": "f32", "shape": ["b", "t", 2]},
  {"name": "length", "kind": "length", "type": "i64", "shape": ["b"]},
  {"name": "k", "kind": "cache", "type": "f32", "shape": ["b", "m", 2], "append": 1},
  {"name": "total", "kind": "output", "type": "f32", "shape": ["b"]}]},
 {"name": "probe", "symbol": "entry_probe", "advance": 1, "arguments": [
  {"name": "bytes", "kind": "input", "type": "index", "scalar": true},
  {"name": "alignment", "kind": "input", "type": "index", "scalar": true},
  {"name": "zeros", "kind": "input", "type": "index", "scalar": true},
  {"name": "blocks", "kind": "input", "type": "index", "scalar": true},
  {"name": "threads", "kind": "input", "type": "index", "scalar": true},
  {"name": "cluster", "kind": "input", "type": "index", "scalar": true},
  {"name": "shared", "kind": "input", "type": "index", "scalar": true},
  {"name": "report", "kind": "output", "type": "i64", "shape": [6]}]},
 {"name": "map", "symbol": "entry_map", "arguments": [
  {"name": "type", "kind": "input", "type": "index", "scalar": true},
  {"name": "swizzle", "kind": "input", "type": "index", "scalar": true},
  {"name": "x", "kind": "input", "type": "f32", "shape": ["n", "p"]},
  {"name": "y", "kind": "output", "type": "f32", "shape": [1]}]},
 {"name": "lengths", "symbol": "entry_lengths", "arguments": [
  {"name": "length", "kind": "length", "type": "index", "scalar": true},
  {"name": "narrow", "kind": "length", "type": "i32", "shape": ["b"]},
  {"name": "wide", "kind": "length", "type": "i64", "shape": ["b"]},
  {"name": "all", "kind": "output", "type": "i64", "shape": ["b"]}]},
 {"name": "unknown", "symbol": "entry_unknown", "arguments": [
  {"name": "y", "kind": "output", "type": "f32", "shape": [1]}]})";

std::string einhead::test::ptx(const std::string &extra) {
  return ".version 8.0\n.entry append()\n.entry probe()\n.entry map()\n.entry "
         "lengths()\n.entry norm()\n" +
         extra;
}

std::string einhead::test::cubin(const std::string &extra) {
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_machine = 190;
  return std::string(reinterpret_cast<char *>(&header), sizeof(header)) +
         ptx(extra);
}

std::string einhead::test::deviceManifest(const std::vector<Image> &images,
                                          const std::string &functions,
                                          const std::string &parameters) {
  std::string list;
  for (const Image &image : images)
    list += (list.empty() ? "" : ", ") + std::string("{\"format\": \"") +
            image.format + "\", \"chip\": \"" + image.chip + "\"}";
  std::string manifest = manifestOf(functions, parameters);
  return "{\"device\": {\"kind\": \"cuda\", \"chip\": \"sm_90a\", \"images\": "
         "[" +
         list +
         "], \"kernels\": [\"append\", \"probe\", \"map\", \"lengths\", "
         "\"norm\"]}, " +
         manifest.substr(1);
}

std::string einhead::test::deviceModule(const std::vector<Image> &images,
                                        const std::string &functions,
                                        const std::string &parameters) {
  std::vector<Section> sections = {
      {1, 1, deviceManifest(images, functions, parameters)},
      {2, 1, fixtureCode("device_fixture")}};
  for (const Image &image : images)
    sections.push_back({4, 1, image.bytes});
  std::string file = writeContainer(sections);
  put32(file, 12, 2); // the format's minor version
  reseal(file);
  return file;
}

//===----------------------------------------------------------------------===//
// Sessions
//===----------------------------------------------------------------------===//

void DeviceTest::SetUp() {
  RuntimeTest::SetUp();
  set("EINHEAD_CUDA_LIBRARY", EINHEAD_FAKE_CUDA);
  fake::reset();
  defineKernels();
  module = open(deviceModule({{"cubin", "sm_90a", cubin("the cubin")},
                              {"ptx", "sm_90a", ptx("the PTX")}}));
  ASSERT_TRUE(module);
}

void DeviceTest::TearDown() {
  // Whatever a test did, the driver gets everything back but from a context
  // that is lost.
  module.reset();
  unsetenv("FAKE_CUDA_FAIL");
  EXPECT_EQ(fake::depth(), 0);
  EXPECT_EQ(fake::record().contexts, 0);
  EXPECT_EQ(fake::record().buffers, 0);
  EXPECT_EQ(fake::record().modules, 0);
  fake::reset();
  for (const std::string &name : variables)
    unsetenv(name.c_str());
  RuntimeTest::TearDown();
}

void DeviceTest::set(const char *name, const std::string &value) {
  setenv(name, value.c_str(), 1);
  variables.push_back(name);
}

void DeviceTest::failAt(const std::string &function, int call, int result) {
  int seen = fake::record().calls[function];
  set("FAKE_CUDA_FAIL", function + ":" + std::to_string(seen + call) + "=" +
                            std::to_string(result));
}

einhead_status_t DeviceTest::tryCreate(int64_t b, int64_t m, Session &out,
                                       void *stream, int32_t device,
                                       int64_t workspaceLimit) {
  einhead_dimension_t dimensions[] = {{"b", b}, {"m", m}};
  einhead_session_options_t options = {};
  options.dimensions = dimensions;
  options.dimension_count = 2;
  options.device = device;
  options.stream = stream;
  options.workspace_limit = workspaceLimit;
  auto *session = reinterpret_cast<einhead_session_t *>(16);
  einhead_status_t status =
      einhead_session_create(module.get(), &options, &session);
  EXPECT_EQ(session != nullptr, status == EINHEAD_OK);
  out.reset(session);
  return status;
}

Session DeviceTest::create(int64_t b, int64_t m, void *stream) {
  Session session;
  EXPECT_OK(tryCreate(b, m, session, stream));
  return session;
}

int64_t DeviceTest::length(const Session &session, int64_t b) {
  int64_t value = -1;
  EXPECT_OK(einhead_session_length(session.get(), b, &value));
  return value;
}

int64_t DeviceTest::deviceLength(const Session &session, int64_t b) {
  GPUTensor all(i64, {b + 1});
  DLTensor k;
  EXPECT_OK(einhead_session_cache(session.get(), "k", &k));
  GPUTensor lengths(i64, {k.shape[0]});
  EXPECT_OK(call(session, "lengths", {}, {&lengths}));
  // The scalar is the host's, the tensors are the device's in both widths.
  int64_t sum = lengths.data<int64_t>()[b], host = length(session, 0);
  EXPECT_EQ((sum - host) % 2, 0);
  return (sum - host) / 2;
}

einhead_status_t DeviceTest::append(const Session &session, int64_t b,
                                    float value, float *outTotal) {
  GPUTensor x(f32, {b, 1, 2}), total(f32, {b});
  for (int64_t i = 0; i < 2 * b; ++i)
    x.data<float>()[i] = value;
  einhead_status_t status = call(session, "append", {&x}, {&total});
  if (outTotal)
    *outTotal = total.data<float>()[0];
  return status;
}

einhead_status_t DeviceTest::probe(const Session &session, int64_t bytes,
                                   int64_t alignment, int64_t zeros,
                                   int64_t blocks, int64_t threads,
                                   int64_t cluster, int64_t shared) {
  Scalar s[] = {Scalar(bytes),  Scalar(alignment), Scalar(zeros),
                Scalar(blocks), Scalar(threads),   Scalar(cluster),
                Scalar(shared)};
  return call(session, "probe",
              {&s[0], &s[1], &s[2], &s[3], &s[4], &s[5], &s[6]}, {&report});
}
