//===- RuntimeTest.h - Module files by hand, and expectations ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_TEST_RUNTIME_RUNTIMETEST_H
#define EINHEAD_TEST_RUNTIME_RUNTIMETEST_H

#include "einhead/runtime.h"

#include <gtest/gtest.h>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace einhead::test {

struct Section {
  uint32_t type;
  uint32_t flags;
  std::string bytes;
};

/// Writes a container by docs/Module.md, independently of lib/Target.
std::string writeContainer(const std::vector<Section> &sections);

/// Makes the hash of the header (and of the sections, where asked) true again
/// after a test changed bytes, so that the check behind the hash is reached.
void reseal(std::string &file, bool withSections = false);

/// Overwrites a little-endian number.
void put32(std::string &file, size_t offset, uint32_t value);
void put64(std::string &file, size_t offset, uint64_t value);

std::string readText(const std::string &path);

/// The shared object that CMake compiled from fixture.c under this name.
std::string fixtureCode(const std::string &name = "fixture");

/// A manifest around the JSON text of its functions.
std::string manifestOf(const std::string &functions,
                       const std::string &parameters = "");

/// The functions of fixture.c.
extern const char *const fixtureFunctions;

/// A whole module file: the fixture with these functions.
std::string moduleFile(const std::string &functions = fixtureFunctions,
                       const std::string &parameters = "",
                       const std::string &code = fixtureCode());

/// A safetensors file with this table and that many zero bytes of data.
std::string safetensors(const std::string &table, const std::string &data);

/// Status, a part of the text and a part of `where` of the last error.
void expectError(einhead_status_t got, einhead_status_t wanted,
                 const std::string &text, const std::string &where = "");

/// OK, or the last error's text.
::testing::AssertionResult isOk(einhead_status_t status);
#define EXPECT_OK(call) EXPECT_TRUE(::einhead::test::isOk(call))
#define ASSERT_OK(call) ASSERT_TRUE(::einhead::test::isOk(call))

/// A tensor that owns its memory.
struct Tensor {
  std::vector<int64_t> shape, strides;
  std::vector<uint64_t> storage;
  size_t start = 0; // the first word at a multiple of 16 bytes
  DLTensor dl;

  Tensor(DLDataType type, std::vector<int64_t> extents);
  Tensor(const Tensor &) = delete;
  template <typename T> T *data() {
    return reinterpret_cast<T *>(storage.data() + start);
  }
  void setStrides(std::vector<int64_t> values) {
    strides = std::move(values);
    dl.strides = strides.data();
  }
};

constexpr DLDataType f32 = {kDLFloat, 32, 1};
constexpr DLDataType i64 = {kDLInt, 64, 1};
constexpr DLDataType i32 = {kDLInt, 32, 1};
constexpr DLDataType boolean = {6, 8, 1}; // kDLBool, which older headers lack
constexpr DLDataType f8e4m3 = {10, 8, 1}; // kDLFloat8_e4m3fn, likewise

struct ModuleRelease {
  void operator()(einhead_module_t *module) { einhead_module_release(module); }
};
struct SessionRelease {
  void operator()(einhead_session_t *session) {
    einhead_session_release(session);
  }
};
using Module = std::unique_ptr<einhead_module_t, ModuleRelease>;
using Session = std::unique_ptr<einhead_session_t, SessionRelease>;

/// A test with a folder of its own.
class RuntimeTest : public ::testing::Test {
protected:
  void SetUp() override;
  void TearDown() override;

  std::string path(const std::string &name) const { return folder + name; }
  std::string write(const std::string &name, const std::string &bytes) const;

  /// Opens a file's bytes; null where that fails.
  Module open(const std::string &bytes, const char *parameters = nullptr,
              einhead_status_t *outStatus = nullptr) const;
  /// Expects that these bytes are refused.
  void expectRefused(const std::string &bytes, einhead_status_t wanted,
                     const std::string &text, const std::string &where = "",
                     const char *parameters = nullptr) const;

  std::string folder;
};

/// The fixture, opened, and a session with batch b and capacity m.
class SessionTest : public RuntimeTest {
protected:
  void SetUp() override;
  Session create(int64_t b, int64_t m, int32_t threads = 2,
                 einhead_parallel_for_t parallelFor = nullptr,
                 void *user = nullptr);
  einhead_status_t call(const Session &session, const char *function,
                        std::initializer_list<Tensor *> inputs,
                        std::initializer_list<Tensor *> outputs);
  /// A hash of all that an error must leave alone: lengths and valid rows.
  uint64_t stateHash(const Session &session, int64_t b, int64_t m,
                     bool wholeCache = true);

  Module module;
};

} // namespace einhead::test

#endif // EINHEAD_TEST_RUNTIME_RUNTIMETEST_H
