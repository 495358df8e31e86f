//===- Container.cpp - Writes module files ----------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Target/Container.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/xxhash.h"

using namespace llvm;

namespace {
enum SectionType : uint32_t {
  ManifestSection = 1,
  CPUCodeSection = 2,
  VariantSection = 3,
  DeviceSection = 4
};
/// A runtime that knows minor version 0 skips the variants; one that knows 1
/// refuses device images, which are required.
constexpr uint32_t formatMajor = 1, formatMinor = 0, minorOfVariants = 1,
                   minorOfDevices = 2;
constexpr uint32_t requiredFlag = 1;
constexpr size_t headerSize = 48, entrySize = 48;
constexpr size_t alignment = 64;

struct Section {
  SectionType type;
  uint32_t flags;
  StringRef bytes;
};
} // namespace

template <typename T> static void put(std::string &out, T value) {
  char bytes[sizeof(T)];
  support::endian::write<T, endianness::little>(bytes, value);
  out.append(bytes, sizeof(T));
}

/// XXH3-128 in its canonical form: big-endian, high half first.
static void putHash(std::string &out, StringRef bytes) {
  XXH128_hash_t hash = xxh3_128bits(arrayRefFromStringRef(bytes));
  char canonical[16];
  support::endian::write64be(canonical, hash.high64);
  support::endian::write64be(canonical + 8, hash.low64);
  out.append(canonical, sizeof(canonical));
}

std::string einhead::writeContainer(StringRef manifest, StringRef code,
                                    ArrayRef<std::string> variants,
                                    ArrayRef<DeviceImage> images) {
  SmallVector<Section> sections = {{ManifestSection, requiredFlag, manifest},
                                   {CPUCodeSection, requiredFlag, code}};
  for (const std::string &variant : variants)
    sections.push_back({VariantSection, 0, variant});
  for (const DeviceImage &image : images)
    sections.push_back({DeviceSection, requiredFlag, image.bytes});
  std::string table;
  uint64_t offset = headerSize + entrySize * sections.size();
  for (const Section &section : sections) {
    offset = alignTo(offset, alignment);
    put<uint32_t>(table, section.type);
    put<uint32_t>(table, section.flags);
    put<uint64_t>(table, offset);
    put<uint64_t>(table, section.bytes.size());
    putHash(table, section.bytes);
    put<uint64_t>(table, 0);
    offset += section.bytes.size();
  }

  std::string file("EINHEAD\0", 8);
  put<uint32_t>(file, formatMajor);
  put<uint32_t>(file, !images.empty()     ? minorOfDevices
                      : !variants.empty() ? minorOfVariants
                                          : formatMinor);
  put<uint64_t>(file, offset);
  put<uint32_t>(file, sections.size());
  put<uint32_t>(file, 0);
  putHash(file, file + table);
  file += table;
  for (const Section &section : sections) {
    file.resize(alignTo(file.size(), alignment), '\0');
    file += section.bytes;
  }
  return file;
}
