//===- RuntimeTest.cpp - Module files by hand, and expectations -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "RuntimeTest.h"

#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace einhead::test;

static constexpr size_t headerSize = 48, entrySize = 48;

void einhead::test::put32(std::string &file, size_t offset, uint32_t value) {
  for (int i = 0; i < 4; ++i)
    file[offset + i] = static_cast<char>(value >> (8 * i));
}

void einhead::test::put64(std::string &file, size_t offset, uint64_t value) {
  put32(file, offset, static_cast<uint32_t>(value));
  put32(file, offset + 4, static_cast<uint32_t>(value >> 32));
}

static uint64_t get64(const std::string &file, size_t offset) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i)
    value = value << 8 | static_cast<unsigned char>(file[offset + i]);
  return value;
}

static void putHash(std::string &file, size_t offset,
                    const std::string &bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical,
                           XXH3_128bits(bytes.data(), bytes.size()));
  std::memcpy(&file[offset], canonical.digest, 16);
}

void einhead::test::reseal(std::string &file, bool withSections) {
  uint32_t count = static_cast<unsigned char>(file[24]);
  for (uint32_t i = 0; withSections && i < count; ++i) {
    size_t entry = headerSize + entrySize * i;
    putHash(file, entry + 24,
            file.substr(get64(file, entry + 8), get64(file, entry + 16)));
  }
  putHash(file, 32,
          file.substr(0, 32) + file.substr(headerSize, entrySize * count));
}

std::string
einhead::test::writeContainer(const std::vector<Section> &sections) {
  std::string file(headerSize + entrySize * sections.size(), '\0');
  std::memcpy(&file[0], "EINHEAD", 8);
  put32(file, 8, 1);
  put32(file, 24, static_cast<uint32_t>(sections.size()));
  for (size_t i = 0; i < sections.size(); ++i) {
    size_t entry = headerSize + entrySize * i;
    file.resize((file.size() + 63) / 64 * 64, '\0');
    put32(file, entry, sections[i].type);
    put32(file, entry + 4, sections[i].flags);
    put64(file, entry + 8, file.size());
    put64(file, entry + 16, sections[i].bytes.size());
    file += sections[i].bytes;
  }
  put64(file, 16, file.size());
  reseal(file, /*withSections=*/true);
  return file;
}

std::string einhead::test::readText(const std::string &path) {
  std::ifstream stream(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

std::string einhead::test::fixtureCode(const std::string &name) {
  return readText(std::string(EINHEAD_FIXTURE_FOLDER) + "/" + name + ".so");
}

std::string einhead::test::manifestOf(const std::string &functions,
                                      const std::string &parameters) {
  return R"({"einhead": "0.1.0", "target": {"triple": "x86_64-pc-linux-gnu",
    "cpu": "x86-64", "features": ["sse2"]}, "parameters": [)" +
         parameters + "], \"functions\": [" + functions + "]}";
}

const char *const einhead::test::fixtureFunctions = R"(
 {"name": "add_one", "symbol": "entry_add_one", "arguments": [
  {"name": "x", "kind": "input", "type": "f32", "shape": ["n", "p"]},
  {"name": "y", "kind": "output", "type": "f32", "shape": ["n", "p"]}]},
 {"name": "keep", "symbol": "entry_keep", "arguments": [
  {"name": "keep", "kind": "input", "type": "bool", "shape": ["n", "p"]},
  {"name": "x", "kind": "input", "type": "f32", "shape": ["n", "p"]},
  {"name": "y", "kind": "output", "type": "f32", "shape": ["n", "p"]}]},
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
 {"name": "scale", "symbol": "entry_scale", "arguments": [
  {"name": "x", "kind": "input", "type": "f32", "shape": ["n"]},
  {"name": "scale", "kind": "input", "type": "f32", "scalar": true},
  {"name": "shift", "kind": "input", "type": "i32", "shape": [], "scalar": true},
  {"name": "y", "kind": "output", "type": "f32", "shape": ["n"]}]},
 {"name": "hungry", "symbol": "entry_hungry", "advance": 1, "arguments": [
  {"name": "bytes", "kind": "input", "type": "index", "scalar": true},
  {"name": "count", "kind": "input", "type": "index", "scalar": true},
  {"name": "alignment", "kind": "input", "type": "index", "scalar": true},
  {"name": "k", "kind": "cache", "type": "f32", "shape": ["b", "m", 2]},
  {"name": "length", "kind": "length", "type": "i64", "shape": ["b"]},
  {"name": "report", "kind": "output", "type": "i64", "shape": [2]}]},
 {"name": "parallel", "symbol": "entry_parallel", "arguments": [
  {"name": "seen", "kind": "output", "type": "i32", "shape": ["count"]},
  {"name": "nested", "kind": "output", "type": "i32", "shape": ["count"]}]},
 {"name": "lengths", "symbol": "entry_lengths", "arguments": [
  {"name": "length", "kind": "length", "type": "index", "scalar": true},
  {"name": "lengths", "kind": "length", "type": "i32", "shape": ["b"]},
  {"name": "k", "kind": "cache", "type": "f32", "shape": ["b", "m", 2]},
  {"name": "one", "kind": "output", "type": "i64", "shape": [1]},
  {"name": "all", "kind": "output", "type": "i32", "shape": ["b"]}]},
 {"name": "grow", "symbol": "entry_grow", "arguments": [
  {"name": "x", "kind": "input", "type": "i64", "shape": ["q+1"]},
  {"name": "y", "kind": "output", "type": "i64", "shape": ["q+2"]}]})";

std::string einhead::test::moduleFile(const std::string &functions,
                                      const std::string &parameters,
                                      const std::string &code) {
  return writeContainer(
      {{1, 1, manifestOf(functions, parameters)}, {2, 1, code}});
}

std::string einhead::test::safetensors(const std::string &table,
                                       const std::string &data) {
  std::string file(8, '\0');
  put64(file, 0, table.size());
  return file + table + data;
}

void einhead::test::expectError(einhead_status_t got, einhead_status_t wanted,
                                const std::string &text,
                                const std::string &where) {
  const einhead_error_t *error = einhead_last_error();
  EXPECT_STREQ(einhead_status_name(got), einhead_status_name(wanted))
      << error->text;
  EXPECT_EQ(error->status, got);
  EXPECT_NE(std::string(error->text).find(text), std::string::npos)
      << "got the text: " << error->text << "\nwanted in it: " << text;
  EXPECT_NE(std::string(error->where).find(where), std::string::npos)
      << "got the place: " << error->where << "\nwanted in it: " << where;
}

::testing::AssertionResult einhead::test::isOk(einhead_status_t status) {
  if (status == EINHEAD_OK)
    return ::testing::AssertionSuccess();
  const einhead_error_t *error = einhead_last_error();
  return ::testing::AssertionFailure() << einhead_status_name(status) << " ("
                                       << error->where << "): " << error->text;
}

Tensor::Tensor(DLDataType type, std::vector<int64_t> extents)
    : shape(std::move(extents)) {
  size_t bytes = type.bits / 8;
  for (int64_t extent : shape)
    bytes *= static_cast<size_t>(extent);
  storage.assign(bytes / 8 + 3, 0);
  start = reinterpret_cast<uintptr_t>(storage.data()) % 16 / 8;
  dl = {storage.data() + start,
        {kDLCPU, 0},
        static_cast<int>(shape.size()),
        type,
        shape.data(),
        nullptr,
        0};
}

void RuntimeTest::SetUp() {
  std::string pattern = ::testing::TempDir() + "einhead-test-XXXXXX";
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  folder = pattern + "/";
}

void RuntimeTest::TearDown() {
  // Tests write plain files, at most one folder deep.
  std::string command = "rm -rf '" + folder + "'";
  EXPECT_EQ(std::system(command.c_str()), 0);
}

std::string RuntimeTest::write(const std::string &name,
                               const std::string &bytes) const {
  std::ofstream stream(path(name), std::ios::binary | std::ios::trunc);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  EXPECT_TRUE(stream.good());
  return path(name);
}

Module RuntimeTest::open(const std::string &bytes, const char *parameters,
                         einhead_status_t *outStatus) const {
  // Never null before the call, to see that a failure clears it.
  einhead_module_t *module = reinterpret_cast<einhead_module_t *>(16);
  einhead_status_t status = einhead_module_open(
      write("module.einhead", bytes).c_str(), parameters, &module);
  EXPECT_EQ(module != nullptr, status == EINHEAD_OK);
  if (outStatus)
    *outStatus = status;
  else
    EXPECT_OK(status);
  return Module(module);
}

void RuntimeTest::expectRefused(const std::string &bytes,
                                einhead_status_t wanted,
                                const std::string &text,
                                const std::string &where,
                                const char *parameters) const {
  einhead_status_t status = EINHEAD_OK;
  Module module = open(bytes, parameters, &status);
  expectError(status, wanted, text, where);
}

void SessionTest::SetUp() {
  RuntimeTest::SetUp();
  module = open(moduleFile());
  ASSERT_TRUE(module);
}

Session SessionTest::create(int64_t b, int64_t m, int32_t threads,
                            einhead_parallel_for_t parallelFor, void *user) {
  einhead_dimension_t dimensions[] = {{"b", b}, {"m", m}};
  einhead_session_options_t options = {dimensions, 2, threads, parallelFor,
                                       user,       0, nullptr, 0};
  einhead_session_t *session = nullptr;
  EXPECT_OK(einhead_session_create(module.get(), &options, &session));
  return Session(session);
}

einhead_status_t SessionTest::call(const Session &session, const char *function,
                                   std::initializer_list<Tensor *> inputs,
                                   std::initializer_list<Tensor *> outputs) {
  std::vector<DLTensor> in, out;
  for (Tensor *tensor : inputs)
    in.push_back(tensor->dl);
  for (Tensor *tensor : outputs)
    out.push_back(tensor->dl);
  return einhead_session_call(session.get(), function, in.data(), in.size(),
                              out.data(), out.size());
}

uint64_t SessionTest::stateHash(const Session &session, int64_t b, int64_t m,
                                bool wholeCache) {
  DLTensor k;
  EXPECT_OK(einhead_session_cache(session.get(), "k", &k));
  uint64_t hash = 0;
  for (int64_t i = 0; i < b; ++i) {
    int64_t length = -1;
    EXPECT_OK(einhead_session_length(session.get(), i, &length));
    int64_t rows = wholeCache ? m : length;
    hash = XXH3_64bits_withSeed(&length, sizeof(length), hash);
    hash = XXH3_64bits_withSeed(static_cast<float *>(k.data) + i * m * 2,
                                static_cast<size_t>(rows) * 8, hash);
  }
  return hash;
}
