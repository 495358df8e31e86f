//===- ContainerTest.cpp - Module files, byte by byte -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Target/Container.h"
#include "gtest/gtest.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t number(const std::string &file, size_t at, int bytes) {
  uint64_t value = 0;
  for (int i = bytes; i-- > 0;)
    value = value << 8 | static_cast<uint8_t>(file[at + i]);
  return value;
}

static std::string hash(const std::string &bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical,
                           XXH3_128bits(bytes.data(), bytes.size()));
  return std::string(reinterpret_cast<char *>(canonical.digest),
                     sizeof(canonical.digest));
}

TEST(Container, IsWhatTheDocumentSays) {
  std::string manifest = "{}", code(100, 'c');
  std::string file = einhead::writeContainer(manifest, code);
  EXPECT_EQ(file.substr(0, 8), std::string("EINHEAD\0", 8));
  EXPECT_EQ(number(file, 8, 4), 1u);
  EXPECT_EQ(number(file, 12, 4), 0u);
  EXPECT_EQ(number(file, 16, 8), file.size());
  EXPECT_EQ(number(file, 24, 4), 2u);
  EXPECT_EQ(number(file, 28, 4), 0u);
  EXPECT_EQ(file.substr(32, 16),
            hash(file.substr(0, 32) + file.substr(48, 96)));
  for (auto [i, bytes] :
       {std::pair<size_t, std::string>{0, manifest}, {1, code}}) {
    size_t entry = 48 + 48 * i, offset = number(file, entry + 8, 8);
    EXPECT_EQ(number(file, entry, 4), i + 1);
    EXPECT_EQ(number(file, entry + 4, 4), 1u);
    EXPECT_EQ(offset % 64, 0u);
    EXPECT_EQ(number(file, entry + 16, 8), bytes.size());
    EXPECT_EQ(file.substr(offset, bytes.size()), bytes);
    EXPECT_EQ(file.substr(entry + 24, 16), hash(bytes));
    EXPECT_EQ(number(file, entry + 40, 8), 0u);
  }
  EXPECT_EQ(number(file, 96 + 8, 8) + code.size(), file.size());
}

TEST(Container, HasDeviceImagesInOrder) {
  std::vector<einhead::DeviceImage> images = {
      {"cubin", "sm_90a", std::string(70, 'm')}, {"ptx", "sm_90a", "text"}};
  std::string code(100, 'c');
  std::string file = einhead::writeContainer("{}", code, {}, images);
  EXPECT_EQ(number(file, 12, 4), 2u);
  EXPECT_EQ(number(file, 24, 4), 4u);
  for (size_t i = 0; i < images.size(); ++i) {
    size_t entry = 48 + 48 * (2 + i), offset = number(file, entry + 8, 8);
    EXPECT_EQ(number(file, entry, 4), 4u);
    // A runtime that does not know it must refuse the file.
    EXPECT_EQ(number(file, entry + 4, 4), 1u);
    EXPECT_EQ(offset % 64, 0u);
    EXPECT_EQ(file.substr(offset, number(file, entry + 16, 8)),
              images[i].bytes);
    EXPECT_EQ(file.substr(entry + 24, 16), hash(images[i].bytes));
  }
}
