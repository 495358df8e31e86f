//===- SafetensorsTest.cpp - Parameters, good and malformed -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Safetensors.h"
#include "RuntimeTest.h"

#include <cstring>
#include <sys/stat.h>

using namespace einhead::test;
using namespace einhead::runtime;

namespace {
class SafetensorsTest : public RuntimeTest {
protected:
  const std::string norm =
      R"({"name": "norm", "symbol": "entry_norm", "arguments": [
          {"name": "x", "kind": "input", "type": "f32", "shape": [3]},
          {"name": "w", "kind": "parameter", "type": "f32", "shape": [3]},
          {"name": "s", "kind": "parameter", "type": "i8", "shape": [1]},
          {"name": "y", "kind": "output", "type": "f32", "shape": [3]}]})";

  /// w = 1, 2, 4 and s = 5; `first` says which stands first in the file: with
  /// "s" there, w is not aligned.
  std::string parameters(char first) const {
    const float w[3] = {1, 2, 4};
    std::string data(reinterpret_cast<const char *>(w), sizeof(w));
    if (first == 'w')
      return safetensors(
          R"({"__metadata__":{"format":"pt"},)"
          R"("w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},)"
          R"("s":{"dtype":"I8","shape":[1],"data_offsets":[12,13]}}   )",
          data + '\5');
    return safetensors(
        R"({"s":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},)"
        R"("w":{"dtype":"F32","shape":[3],"data_offsets":[1,13]}})",
        '\5' + data);
  }

  void expectRuns(const Module &module) {
    ASSERT_TRUE(module);
    einhead_session_t *session = nullptr;
    ASSERT_OK(einhead_session_create(module.get(), nullptr, &session));
    Tensor x(f32, {3}), y(f32, {3});
    for (int i = 0; i < 3; ++i)
      x.data<float>()[i] = 10.0f;
    EXPECT_OK(einhead_session_call(session, "norm", &x.dl, 1, &y.dl, 1));
    EXPECT_EQ(y.data<float>()[0], 15.0f);
    EXPECT_EQ(y.data<float>()[1], 25.0f);
    EXPECT_EQ(y.data<float>()[2], 45.0f);
    einhead_session_release(session);
  }
};

einhead_status_t parse(const std::string &file) {
  std::map<std::string, StoredTensor> tensors;
  // A copy of its own: sanitizers see reads behind its end.
  std::vector<uint8_t> bytes(file.begin(), file.end());
  return parseSafetensors(bytes.data(), bytes.size(), "p", tensors);
}
} // namespace

TEST_F(SafetensorsTest, BindsAlignedAndUnalignedParameters) {
  for (char first : {'w', 's'}) {
    std::string file = write("p.safetensors", parameters(first));
    expectRuns(open(moduleFile(norm), file.c_str()));
  }
}

TEST_F(SafetensorsTest, FindsTheFilesThatTheManifestNames) {
  std::string module = moduleFile(norm, "\"p.safetensors\"");
  expectRefused(module, EINHEAD_NOT_FOUND, "p.safetensors");
  write("p.safetensors", parameters('w'));
  expectRuns(open(module));
  // A path given by the caller comes instead.
  expectRefused(module, EINHEAD_NOT_FOUND, "other", "", path("other").c_str());
}

TEST_F(SafetensorsTest, FindsTheFilesOfAFolder) {
  ASSERT_EQ(mkdir(path("d").c_str(), 0700), 0);
  const std::string d = path("d");
  expectRefused(moduleFile(norm), EINHEAD_NOT_FOUND, "no *.safetensors file",
                "", d.c_str());
  write("d/a.safetensors",
        safetensors(R"({"s":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}})",
                    "\5"));
  expectRefused(moduleFile(norm), EINHEAD_FAILED_PRECONDITION,
                "'w' is in none of the 1", "parameter 'w'", d.c_str());
  write("d/b.safetensors", parameters('w'));
  expectRefused(moduleFile(norm), EINHEAD_FAILED_PRECONDITION,
                "'s' is in several", "parameter 's'", d.c_str());
  // An index says which files count.
  auto index = [&](const std::string &text) {
    write("d/model.safetensors.index.json", text);
  };
  index(R"({"metadata": {}, "weight_map": {"w": "b.safetensors",
            "s": "b.safetensors"}})");
  expectRuns(open(moduleFile(norm), d.c_str()));
  auto refused = [&](const std::string &text, einhead_status_t status,
                     const char *words) {
    index(text);
    expectRefused(moduleFile(norm), status, words, "", d.c_str());
  };
  refused("{", EINHEAD_CORRUPT_ARTIFACT, "not JSON");
  refused("{}", EINHEAD_CORRUPT_ARTIFACT, "\"weight_map\"");
  refused(R"({"weight_map": {"w": 1}})", EINHEAD_CORRUPT_ARTIFACT, "a shard");
  refused(R"({"weight_map": {"w": "../b.safetensors"}})",
          EINHEAD_CORRUPT_ARTIFACT, "a shard");
  refused(R"({"weight_map": {"w": "c.safetensors"}})", EINHEAD_NOT_FOUND,
          "c.safetensors");
  refused(R"({"weight_map": {"w": "a.safetensors"}})", EINHEAD_CORRUPT_ARTIFACT,
          "none of the shards");
  write("d/x.safetensors.index.json", "{}");
  expectRefused(moduleFile(norm), EINHEAD_INVALID_ARGUMENT, "several", "",
                d.c_str());
}

TEST_F(SafetensorsTest, ReadsFloat8) {
  std::string narrow = norm;
  narrow.replace(narrow.find("\"i8\""), 4, "\"f8e4m3\"");
  const float w[3] = {1, 2, 4};
  std::string data(reinterpret_cast<const char *>(w), sizeof(w));
  auto file = [&](const char *dtype) {
    return write("p.safetensors",
                 safetensors(R"({"w":{"dtype":"F32","shape":[3],)"
                             R"("data_offsets":[0,12]},"s":{"dtype":")" +
                                 std::string(dtype) +
                                 R"(","shape":[1],"data_offsets":[12,13]}})",
                             data + '\5'));
  };
  expectRuns(open(moduleFile(narrow), file("F8_E4M3").c_str()));
  expectRefused(moduleFile(narrow), EINHEAD_INVALID_ARGUMENT,
                "has type F8_E5M2, wanted f8e4m3", "parameter 's'",
                file("F8_E5M2").c_str());
}

TEST_F(SafetensorsTest, RefusesOtherTypesAndShapes) {
  auto refused = [&](const std::string &table, size_t bytes,
                     einhead_status_t status, const char *words) {
    std::string file =
        write("p.safetensors", safetensors(table, std::string(bytes, 0)));
    expectRefused(moduleFile(norm), status, words, "parameter 'w'",
                  file.c_str());
  };
  refused(R"({"v":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", 12,
          EINHEAD_FAILED_PRECONDITION, "'w' is in none");
  refused(R"({"w":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}})", 6,
          EINHEAD_INVALID_ARGUMENT, "has type BF16, wanted f32");
  refused(R"({"w":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,3]}})", 3,
          EINHEAD_INVALID_ARGUMENT, "has type F8_E4M3, wanted f32");
  refused(R"({"w":{"dtype":"U32","shape":[3],"data_offsets":[0,12]}})", 12,
          EINHEAD_INVALID_ARGUMENT, "has type U32, wanted f32");
  refused(R"({"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 16,
          EINHEAD_INVALID_ARGUMENT, "has shape [4], wanted [3]");
  refused(R"({"w":{"dtype":"F32","shape":[3,1],"data_offsets":[0,12]}})", 12,
          EINHEAD_INVALID_ARGUMENT, "has shape [3, 1], wanted [3]");
}

TEST_F(SafetensorsTest, WithoutFilesOnlyFunctionsWithParametersFail) {
  Module module = open(moduleFile(norm + "," + fixtureFunctions));
  einhead_dimension_t dimensions[] = {{"b", 1}, {"m", 4}};
  einhead_session_options_t options = {dimensions, 2, 1,       nullptr,
                                       nullptr,    0, nullptr, 0};
  einhead_session_t *session = nullptr;
  ASSERT_OK(einhead_session_create(module.get(), &options, &session));
  Tensor x(f32, {3}), y(f32, {3});
  expectError(einhead_session_call(session, "norm", &x.dl, 1, &y.dl, 1),
              EINHEAD_FAILED_PRECONDITION, "opened without a safetensors file",
              "parameter 'w'");
  Tensor a(f32, {1, 1}), b(f32, {1, 1});
  EXPECT_OK(einhead_session_call(session, "add_one", &a.dl, 1, &b.dl, 1));
  einhead_session_release(session);
}

TEST_F(SafetensorsTest, RefusesMalformedTables) {
  struct Case {
    const char *text;
    std::string file;
  };
  auto table = [](const std::string &entry) {
    return safetensors("{\"w\":" + entry + "}", std::string(12, 0));
  };
  std::string beyond(8, '\0'), huge(8, '\0');
  put64(beyond, 0, 3);
  put64(huge, 0, ~uint64_t(0));
  const Case cases[] = {
      {"shorter than the 8 bytes", ""},
      {"shorter than the 8 bytes", "1234567"},
      {"more than 100 MB", huge + "{}"},
      {"beyond the file", beyond + "{}"},
      {"does not begin with '{'", safetensors("", "")},
      {"does not begin with '{'", safetensors("[]", "")},
      {"does not begin with '{'", safetensors(" {}", "")},
      {"not JSON", safetensors("{", "")},
      {"not JSON", safetensors("{\"\xff\": 1}", "")},
      {"stands twice",
       safetensors(R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                   R"("w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
                   "")},
      {"nested deeper", safetensors("{\"w\":" + std::string(100000, '['), "")},
      {"the metadata", safetensors(R"({"__metadata__":[]})", "")},
      {"not an object", table("[]")},
      {"\"dtype\"", table(R"({"shape":[3],"data_offsets":[0,12]})")},
      {"\"dtype\"", table(R"({"dtype":7,"shape":[3],"data_offsets":[0,12]})")},
      {"unknown dtype",
       table(R"({"dtype":"F33","shape":[3],"data_offsets":[0,12]})")},
      {"\"shape\"", table(R"({"dtype":"F32","data_offsets":[0,12]})")},
      {"\"shape\"",
       table(R"({"dtype":"F32","shape":3,"data_offsets":[0,12]})")},
      {"an extent",
       table(R"({"dtype":"F32","shape":[-3],"data_offsets":[0,12]})")},
      {"an extent",
       table(R"({"dtype":"F32","shape":[3.0],"data_offsets":[0,12]})")},
      {"overflows", table(R"({"dtype":"F32","shape":[4294967296,4294967296],)"
                          R"("data_offsets":[0,12]})")},
      {"overflows", table(R"({"dtype":"F32","shape":[9223372036854775807],)"
                          R"("data_offsets":[0,12]})")},
      {"\"data_offsets\"", table(R"({"dtype":"F32","shape":[3]})")},
      {"\"data_offsets\"",
       table(R"({"dtype":"F32","shape":[3],"data_offsets":[0]})")},
      {"\"data_offsets\"",
       table(R"({"dtype":"F32","shape":[3],"data_offsets":[0,12,13]})")},
      {"\"data_offsets\"",
       table(R"({"dtype":"F32","shape":[3],"data_offsets":[-12,0]})")},
      {"ends before it begins",
       table(R"({"dtype":"F32","shape":[3],"data_offsets":[12,0]})")},
      {"beyond the file",
       table(R"({"dtype":"F32","shape":[3],"data_offsets":[4,16]})")},
      {"beyond the file", table(R"({"dtype":"F32","shape":[3],)"
                                R"("data_offsets":[0,9223372036854775807]})")},
      {"its shape and dtype need 8",
       table(R"({"dtype":"F32","shape":[2],"data_offsets":[0,12]})")},
      {"a gap", table(R"({"dtype":"F32","shape":[2],"data_offsets":[4,12]})")},
      {"follow the last tensor",
       table(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})")},
      {"overlaps",
       safetensors(R"({"w":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
                   R"("v":{"dtype":"U8","shape":[8],"data_offsets":[4,12]}})",
                   std::string(12, 0))},
  };
  EXPECT_OK(
      parse(table(R"({"dtype":"F32","shape":[3],"data_offsets":[0,12]})")));
  EXPECT_OK(parse(safetensors("{}", "")));
  for (const Case &c : cases)
    expectError(parse(c.file), EINHEAD_CORRUPT_ARTIFACT, c.text);
  // And through a module, as a user meets it.
  std::string file = write("p.safetensors", cases[3].file);
  expectRefused(moduleFile(norm), EINHEAD_CORRUPT_ARTIFACT, "beyond the file",
                "byte 0", file.c_str());
}

TEST_F(SafetensorsTest, EveryTruncationIsRefused) {
  const std::string file = parameters('w');
  EXPECT_OK(parse(file));
  for (size_t size = 0; size < file.size(); ++size)
    ASSERT_EQ(parse(file.substr(0, size)), EINHEAD_CORRUPT_ARTIFACT) << size;
}
