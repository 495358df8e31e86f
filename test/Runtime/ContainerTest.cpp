//===- ContainerTest.cpp - Module files that are damaged or lie -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Container.h"
#include "RuntimeTest.h"

#include <fcntl.h>
#include <functional>
#include <sys/stat.h>
#include <unistd.h>

using namespace einhead::test;

namespace {
class ContainerTest : public RuntimeTest {};

constexpr size_t headerSize = 48, entrySize = 48;

einhead_status_t openFile(const std::string &path) {
  einhead_module_t *module = nullptr;
  einhead_status_t status = einhead_module_open(path.c_str(), nullptr, &module);
  EXPECT_EQ(module != nullptr, status == EINHEAD_OK);
  einhead_module_release(module);
  return status;
}
} // namespace

TEST_F(ContainerTest, OpensAWholeFile) {
  Module module = open(moduleFile());
  ASSERT_TRUE(module);
  EXPECT_EQ(einhead_module_manifest(module.get()),
            manifestOf(fixtureFunctions));
}

TEST_F(ContainerTest, EveryTruncationIsRefused) {
  std::string file = moduleFile();
  std::string name = write("m", file);
  EXPECT_EQ(openFile(name), EINHEAD_OK);
  for (size_t size = file.size(); size-- > 0;) {
    ASSERT_EQ(truncate(name.c_str(), static_cast<off_t>(size)), 0);
    ASSERT_EQ(openFile(name), EINHEAD_CORRUPT_ARTIFACT) << size;
    const std::string text = einhead_last_error()->text;
    const char *wanted = size < headerSize ? "less than the header's 48"
                                           : "truncated or appended to";
    ASSERT_NE(text.find(wanted), std::string::npos) << size << ": " << text;
  }
}

TEST_F(ContainerTest, EveryFlippedBitOfEveryByteIsRefused) {
  std::string file = moduleFile();
  std::string name = write("m", file);
  EXPECT_EQ(openFile(name), EINHEAD_OK);
  int fd = ::open(name.c_str(), O_WRONLY);
  ASSERT_GE(fd, 0);
  for (size_t i = 0; i < file.size(); ++i) {
    char flipped = static_cast<char>(file[i] ^ (1 << (i % 8)));
    ASSERT_EQ(pwrite(fd, &flipped, 1, static_cast<off_t>(i)), 1);
    einhead_status_t status = openFile(name);
    ASSERT_TRUE(status == EINHEAD_CORRUPT_ARTIFACT ||
                status == EINHEAD_INCOMPATIBLE_ARTIFACT)
        << "byte " << i << ": " << einhead_status_name(status);
    ASSERT_EQ(pwrite(fd, &file[i], 1, static_cast<off_t>(i)), 1);
  }
  close(fd);
  EXPECT_EQ(openFile(name), EINHEAD_OK);

  // All bits, without the file system in between.
  using namespace einhead::runtime;
  auto *bytes = reinterpret_cast<uint8_t *>(file.data());
  Container container;
  ASSERT_EQ(parseContainer(bytes, file.size(), container), EINHEAD_OK);
  for (size_t bit = 0; bit < 8 * file.size(); ++bit) {
    bytes[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    ASSERT_NE(parseContainer(bytes, file.size(), container), EINHEAD_OK) << bit;
    bytes[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
  }
}

TEST_F(ContainerTest, RefusesFilesThatAreNotModules) {
  expectRefused("", EINHEAD_CORRUPT_ARTIFACT, "the file has 0 bytes", "header");
  expectRefused(std::string(4096, '\0'), EINHEAD_CORRUPT_ARTIFACT,
                "wrong magic", "byte 0");
  expectRefused(fixtureCode(), EINHEAD_CORRUPT_ARTIFACT, "wrong magic");
  expectRefused(moduleFile() + "x", EINHEAD_CORRUPT_ARTIFACT,
                "truncated or appended to", "byte 16");
}

TEST_F(ContainerTest, RefusesWhatTheHeaderMustNotSay) {
  const std::string good = moduleFile();
  std::string file = good;
  put32(file, 8, 2);
  expectRefused(file, EINHEAD_INCOMPATIBLE_ARTIFACT, "format version 2",
                "byte 8");
  file = good;
  put32(file, 24, 65);
  expectRefused(file, EINHEAD_CORRUPT_ARTIFACT, "65 sections, at most 64",
                "byte 24");
  file = good.substr(0, 64);
  put64(file, 16, 64);
  expectRefused(file, EINHEAD_CORRUPT_ARTIFACT, "does not fit", "byte 24");
  file = good;
  file[32] ^= 1;
  expectRefused(file, EINHEAD_CORRUPT_ARTIFACT, "header's hash", "byte 32");
  file = good;
  put32(file, 28, 4);
  reseal(file);
  expectRefused(file, EINHEAD_INCOMPATIBLE_ARTIFACT, "unknown flags 0x4",
                "byte 28");
}

TEST_F(ContainerTest, RefusesTablesThatLie) {
  const std::string good = moduleFile();
  const size_t second = headerSize + entrySize;
  struct Case {
    const char *text;
    einhead_status_t status;
    std::function<void(std::string &)> change;
  };
  const Case cases[] = {
      {"unknown section flags 0x2", EINHEAD_INCOMPATIBLE_ARTIFACT,
       [](std::string &f) { put32(f, headerSize + 4, 2); }},
      {"last 8 bytes", EINHEAD_CORRUPT_ARTIFACT,
       [](std::string &f) { put64(f, headerSize + 40, 1); }},
      {"not a multiple of 64", EINHEAD_CORRUPT_ARTIFACT,
       [](std::string &f) { put64(f, headerSize + 8, 193); }},
      {"overlaps", EINHEAD_CORRUPT_ARTIFACT,
       [](std::string &f) { put64(f, headerSize + 8, 64); }},
      {"overlaps", EINHEAD_CORRUPT_ARTIFACT,
       [=](std::string &f) { put64(f, second + 8, 192); }},
      {"reach beyond", EINHEAD_CORRUPT_ARTIFACT,
       [=](std::string &f) { put64(f, second + 16, f.size()); }},
      {"reach beyond", EINHEAD_CORRUPT_ARTIFACT, // offset + size overflows
       [=](std::string &f) { put64(f, second + 16, ~uint64_t(0) - 32); }},
      {"reach beyond", EINHEAD_CORRUPT_ARTIFACT,
       [=](std::string &f) { put64(f, second + 8, ~uint64_t(63)); }},
      {"padding", EINHEAD_CORRUPT_ARTIFACT,
       [](std::string &f) { f[headerSize + 2 * entrySize] = 1; }},
      {"follow the last section", EINHEAD_CORRUPT_ARTIFACT,
       [](std::string &f) {
         f += "abc";
         put64(f, 16, f.size());
       }},
  };
  for (const Case &c : cases) {
    std::string file = good;
    c.change(file);
    reseal(file);
    expectRefused(file, c.status, c.text);
  }
  std::string file = good;
  file.back() ^= 1;
  expectRefused(file, EINHEAD_CORRUPT_ARTIFACT, "section's hash", "section 1");
  reseal(file, /*withSections=*/true); // now only the code itself is different
  EXPECT_TRUE(open(file));
}

TEST_F(ContainerTest, KnowsWhichSectionsItNeeds) {
  std::string manifest = manifestOf(fixtureFunctions), code = fixtureCode();
  EXPECT_TRUE(
      open(writeContainer({{1, 1, manifest}, {2, 1, code}, {77, 0, "new"}})));
  EXPECT_TRUE(
      open(writeContainer({{77, 0, ""}, {1, 0, manifest}, {2, 1, code}})));
  std::string newer = moduleFile();
  put32(newer, 12, 9);
  reseal(newer);
  EXPECT_TRUE(open(newer));
  expectRefused(
      writeContainer({{1, 1, manifest}, {2, 1, code}, {77, 1, "new"}}),
      EINHEAD_INCOMPATIBLE_ARTIFACT, "required section of type 77",
      "section 2");
  expectRefused(writeContainer({{1, 1, manifest}, {2, 1, code}, {2, 1, code}}),
                EINHEAD_CORRUPT_ARTIFACT, "second section of type 2");
  expectRefused(writeContainer({{1, 1, manifest}}), EINHEAD_CORRUPT_ARTIFACT,
                "no code");
  expectRefused(writeContainer({{2, 1, code}}), EINHEAD_CORRUPT_ARTIFACT,
                "no manifest");
  expectRefused(writeContainer({}), EINHEAD_CORRUPT_ARTIFACT, "no manifest");
}

TEST_F(ContainerTest, AnswersForPathsThatAreNoFiles) {
  einhead_module_t *module = nullptr;
  auto openPath = [&](const std::string &name) {
    return einhead_module_open(name.c_str(), nullptr, &module);
  };
  expectError(openPath(path("missing")), EINHEAD_NOT_FOUND, "missing");
  expectError(openPath(""), EINHEAD_NOT_FOUND, "cannot open");
  expectError(openPath(folder), EINHEAD_INVALID_ARGUMENT, "a directory");
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  expectError(openPath(path("fifo")), EINHEAD_INVALID_ARGUMENT, "pipe");
  ASSERT_EQ(symlink("loop", path("loop").c_str()), 0);
  expectError(openPath(path("loop")), EINHEAD_FAILED_PRECONDITION, "loop");
  expectError(openPath("/dev/zero"), EINHEAD_INVALID_ARGUMENT, "device");
  expectError(openPath(write("m", "") + "/below"), EINHEAD_NOT_FOUND, "below");
  expectError(einhead_module_open(nullptr, nullptr, &module),
              EINHEAD_INVALID_ARGUMENT, "null", "path");
  expectError(einhead_module_open("m", nullptr, nullptr),
              EINHEAD_INVALID_ARGUMENT, "null", "out_module");
  // A sparse file of a terabyte is refused before memory is asked for it.
  ASSERT_EQ(truncate(write("huge", "").c_str(), off_t(1) << 40), 0);
  expectError(openPath(path("huge")), EINHEAD_RESOURCE_EXHAUSTED,
              "more than a module");
}
