//===- Container.cpp - The sections of a module file ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Container.h"

#include <cinttypes>
#include <cstdint>
#include <cstring>
#include <string_view>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace einhead::runtime;

namespace {
constexpr size_t headerSize = 48;
constexpr size_t hashedHeaderSize = 32;
constexpr size_t entrySize = 48;
constexpr uint32_t maxSections = 64;
constexpr uint32_t formatMajor = 1;
constexpr uint32_t requiredFlag = 1;
constexpr size_t sectionAlignment = 64;
constexpr char magic[8] = {'E', 'I', 'N', 'H', 'E', 'A', 'D', 0};

enum SectionType : uint32_t {
  ManifestSection = 1,
  CPUCodeSection = 2,
  VariantSection = 3,
  DeviceImageSection = 4
};

struct Section {
  uint32_t type, flags;
  uint64_t offset, size;
  const uint8_t *hash;
};

uint32_t read32(const uint8_t *p) {
  return uint32_t(p[0]) | uint32_t(p[1]) << 8 | uint32_t(p[2]) << 16 |
         uint32_t(p[3]) << 24;
}

uint64_t read64(const uint8_t *p) {
  return uint64_t(read32(p)) | uint64_t(read32(p + 4)) << 32;
}

bool hasHash(XXH128_hash_t hash, const uint8_t *expected) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  return std::memcmp(canonical.digest, expected, sizeof(canonical.digest)) == 0;
}

class Parser {
public:
  Parser(const uint8_t *bytes, size_t size) : bytes(bytes), size(size) {}

  einhead_status_t parse(Container &container) {
    if (einhead_status_t status = checkHeader())
      return status;
    if (einhead_status_t status = readTable())
      return status;
    if (einhead_status_t status = checkHashes())
      return status;
    return pickSections(container);
  }

private:
  einhead_status_t checkHeader();
  einhead_status_t readTable();
  einhead_status_t checkHashes();
  einhead_status_t pickSections(Container &container);

  const uint8_t *bytes;
  size_t size;
  uint32_t sectionCount = 0;
  Section sections[maxSections];
};
} // namespace

einhead_status_t Parser::checkHeader() {
  if (size < headerSize)
    return fail(EINHEAD_CORRUPT_ARTIFACT, "header",
                "the file has %zu bytes, less than the header's %zu", size,
                headerSize);
  if (std::memcmp(bytes, magic, sizeof(magic)) != 0)
    return fail(EINHEAD_CORRUPT_ARTIFACT, "header, byte 0",
                "wrong magic: this is not an Einhead module");
  uint32_t major = read32(bytes + 8);
  if (major != formatMajor)
    return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, "header, byte 8",
                "format version %u, this runtime reads %u; compile the module "
                "again",
                major, formatMajor);
  uint64_t fileSize = read64(bytes + 16);
  if (fileSize != size)
    return fail(EINHEAD_CORRUPT_ARTIFACT, "header, byte 16",
                "the file has %zu bytes, its header says %" PRIu64
                ": it was truncated or appended to",
                size, fileSize);
  sectionCount = read32(bytes + 24);
  if (sectionCount > maxSections)
    return fail(EINHEAD_CORRUPT_ARTIFACT, "header, byte 24",
                "%u sections, at most %u are possible", sectionCount,
                maxSections);
  if (headerSize + entrySize * sectionCount > size)
    return fail(EINHEAD_CORRUPT_ARTIFACT, "header, byte 24",
                "a table of %u sections does not fit into %zu bytes",
                sectionCount, size);

  XXH3_state_t state;
  XXH3_INITSTATE(&state);
  XXH3_128bits_reset(&state);
  XXH3_128bits_update(&state, bytes, hashedHeaderSize);
  XXH3_128bits_update(&state, bytes + headerSize, entrySize * sectionCount);
  if (!hasHash(XXH3_128bits_digest(&state), bytes + hashedHeaderSize))
    return fail(EINHEAD_CORRUPT_ARTIFACT, "header, byte 32",
                "the header's hash does not match: the file is damaged");
  if (uint32_t flags = read32(bytes + 28))
    return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, "header, byte 28",
                "unknown flags 0x%x; a newer runtime may read this", flags);
  return EINHEAD_OK;
}

einhead_status_t Parser::readTable() {
  uint64_t end = headerSize + entrySize * sectionCount;
  for (uint32_t i = 0; i < sectionCount; ++i) {
    const size_t entryOffset = headerSize + entrySize * i;
    const uint8_t *entry = bytes + entryOffset;
    Section &section = sections[i];
    section = {read32(entry), read32(entry + 4), read64(entry + 8),
               read64(entry + 16), entry + 24};
    Where where = at("section %u, byte %zu", i, entryOffset);
    if (section.flags & ~requiredFlag)
      return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, where,
                  "unknown section flags 0x%x; a newer runtime may read this",
                  section.flags);
    if (read64(entry + 40) != 0)
      return fail(EINHEAD_CORRUPT_ARTIFACT, where,
                  "the last 8 bytes of the table entry are not zero");
    if (section.offset % sectionAlignment != 0)
      return fail(EINHEAD_CORRUPT_ARTIFACT, where,
                  "offset %" PRIu64 " is not a multiple of %zu", section.offset,
                  sectionAlignment);
    if (section.offset < end)
      return fail(EINHEAD_CORRUPT_ARTIFACT, where,
                  "offset %" PRIu64 " overlaps what ends at %" PRIu64,
                  section.offset, end);
    if (section.offset > size || section.size > size - section.offset)
      return fail(EINHEAD_CORRUPT_ARTIFACT, where,
                  "offset %" PRIu64 " and size %" PRIu64
                  " reach beyond the file's %zu bytes",
                  section.offset, section.size, size);
    for (uint64_t byte = end; byte < section.offset; ++byte)
      if (bytes[byte] != 0)
        return fail(EINHEAD_CORRUPT_ARTIFACT, at("byte %" PRIu64, byte),
                    "padding before section %u is not zero", i);
    end = section.offset + section.size;
  }
  if (end != size)
    return fail(EINHEAD_CORRUPT_ARTIFACT, at("byte %" PRIu64, end),
                "%" PRIu64 " bytes follow the last section",
                static_cast<uint64_t>(size) - end);
  return EINHEAD_OK;
}

einhead_status_t Parser::checkHashes() {
  for (uint32_t i = 0; i < sectionCount; ++i) {
    const Section &section = sections[i];
    if (!hasHash(XXH3_128bits(bytes + section.offset, section.size),
                 section.hash))
      return fail(EINHEAD_CORRUPT_ARTIFACT,
                  at("section %u, byte %" PRIu64, i, section.offset),
                  "the section's hash does not match: the file is damaged");
  }
  return EINHEAD_OK;
}

einhead_status_t Parser::pickSections(Container &container) {
  const Section *manifest = nullptr, *code = nullptr;
  for (uint32_t i = 0; i < sectionCount; ++i) {
    const Section &section = sections[i];
    if (section.type == VariantSection) {
      container.variants.push_back({bytes + section.offset, section.size});
      continue;
    }
    if (section.type == DeviceImageSection) {
      container.images.push_back({bytes + section.offset, section.size});
      continue;
    }
    const Section **slot = section.type == ManifestSection  ? &manifest
                           : section.type == CPUCodeSection ? &code
                                                            : nullptr;
    if (!slot && (section.flags & requiredFlag))
      return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, at("section %u", i),
                  "unknown required section of type %u; a newer runtime may "
                  "read this",
                  section.type);
    if (!slot)
      continue;
    if (*slot)
      return fail(EINHEAD_CORRUPT_ARTIFACT, at("section %u", i),
                  "a second section of type %u", section.type);
    *slot = &section;
  }
  if (!manifest)
    return fail(EINHEAD_CORRUPT_ARTIFACT, "section table",
                "the file has no manifest");
  if (!code)
    return fail(EINHEAD_CORRUPT_ARTIFACT, "section table",
                "the file has no code for the CPU");
  container.manifest = std::string_view(
      reinterpret_cast<const char *>(bytes + manifest->offset), manifest->size);
  container.code = {bytes + code->offset, code->size};
  return EINHEAD_OK;
}

einhead_status_t einhead::runtime::parseContainer(const uint8_t *bytes,
                                                  size_t size,
                                                  Container &outContainer) {
  return Parser(bytes, size).parse(outContainer);
}
