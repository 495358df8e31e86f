//===- Elf.cpp - What an ELF shared object asks for and offers --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Elf.h"

#include <cstdint>
#include <cstring>
#include <elf.h>
#include <string_view>
#include <vector>

using namespace einhead::runtime;

namespace {
#if defined(__x86_64__)
constexpr uint16_t hostMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t hostMachine = EM_AARCH64;
#endif

const char *const allowedImports[] = {EINHEAD_MODULE_IMPORTS};
const char *const allowedLibraries[] = {"libc.so.6", "libm.so.6"};
/// What a C compiler's start files refer to weakly.
const char *const allowedWeakImports[] = {"__cxa_finalize", "__gmon_start__",
                                          "_ITM_registerTMCloneTable",
                                          "_ITM_deregisterTMCloneTable"};
constexpr uint64_t largestImage = uint64_t(4) << 30;

template <size_t N>
bool contains(const char *const (&list)[N], std::string_view name) {
  for (const char *entry : list)
    if (name == entry)
      return true;
  return false;
}

einhead_status_t corrupt(const char *what) {
  return fail(EINHEAD_CORRUPT_ARTIFACT, "code", "code: %s", what);
}

class ElfReader {
public:
  ElfReader(const uint8_t *bytes, size_t size) : bytes(bytes), size(size) {}

  einhead_status_t read(ElfSymbols &symbols) {
    if (einhead_status_t status = readHeader())
      return status;
    if (einhead_status_t status = readSegments())
      return status;
    return readSections(symbols);
  }

private:
  einhead_status_t readHeader();
  einhead_status_t readSegments();
  einhead_status_t readSections(ElfSymbols &symbols);
  einhead_status_t readStrings(const Elf64_Shdr &section,
                               std::string_view &out);
  einhead_status_t checkLibraries(const Elf64_Shdr &dynamic);
  einhead_status_t readSymbols(const Elf64_Shdr &table, ElfSymbols &symbols);

  bool inFile(uint64_t offset, uint64_t bytes) const {
    return offset <= size && bytes <= size - offset;
  }
  template <typename T> T load(uint64_t offset) const {
    T value;
    std::memcpy(&value, bytes + offset, sizeof(T));
    return value;
  }
  bool isWritable(uint64_t address, uint64_t length) const;

  const uint8_t *bytes;
  size_t size;
  Elf64_Ehdr header;
  std::vector<Elf64_Phdr> segments;
  std::vector<Elf64_Shdr> sections;
};
} // namespace

einhead_status_t ElfReader::readHeader() {
  if (size < sizeof(Elf64_Ehdr))
    return corrupt("shorter than an ELF header");
  header = load<Elf64_Ehdr>(0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return corrupt("not an ELF file");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_type != ET_DYN)
    return corrupt("not a 64-bit little-endian shared object");
  if (header.e_machine != hostMachine)
    return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, "code",
                "the code is for ELF machine %u, this machine is %u",
                header.e_machine, hostMachine);
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 ||
      !inFile(header.e_phoff, uint64_t(header.e_phnum) * sizeof(Elf64_Phdr)))
    return corrupt("the program headers are not in the file");
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shnum == 0 ||
      !inFile(header.e_shoff, uint64_t(header.e_shnum) * sizeof(Elf64_Shdr)))
    return corrupt("the section headers are not in the file");
  return EINHEAD_OK;
}

einhead_status_t ElfReader::readSegments() {
  for (size_t i = 0; i < header.e_phnum; ++i) {
    auto segment = load<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr));
    if (segment.p_type == PT_GNU_STACK && (segment.p_flags & PF_X))
      return corrupt("it asks for an executable stack");
    if (segment.p_type == PT_LOAD) {
      if (!inFile(segment.p_offset, segment.p_filesz) ||
          segment.p_filesz > segment.p_memsz ||
          segment.p_memsz > largestImage || segment.p_vaddr > largestImage)
        return corrupt("a segment is not in the file or too large");
      if ((segment.p_flags & PF_W) && (segment.p_flags & PF_X))
        return corrupt("a segment is both writable and executable");
    }
    segments.push_back(segment);
  }
  return EINHEAD_OK;
}

bool ElfReader::isWritable(uint64_t address, uint64_t length) const {
  bool writable = false;
  for (const Elf64_Phdr &segment : segments) {
    bool inside = address >= segment.p_vaddr &&
                  address - segment.p_vaddr < segment.p_memsz &&
                  length <= segment.p_memsz - (address - segment.p_vaddr);
    if (segment.p_type == PT_LOAD && inside && (segment.p_flags & PF_W))
      writable = true;
    if (segment.p_type == PT_GNU_RELRO && inside)
      return false;
  }
  return writable;
}

einhead_status_t ElfReader::readStrings(const Elf64_Shdr &section,
                                        std::string_view &out) {
  if (section.sh_link >= sections.size())
    return corrupt("a section without its strings");
  const Elf64_Shdr &strings = sections[section.sh_link];
  if (strings.sh_type != SHT_STRTAB || strings.sh_size == 0 ||
      !inFile(strings.sh_offset, strings.sh_size) ||
      bytes[strings.sh_offset + strings.sh_size - 1] != 0)
    return corrupt("a string table is not in the file or does not end");
  out = std::string_view(
      reinterpret_cast<const char *>(bytes + strings.sh_offset),
      strings.sh_size);
  return EINHEAD_OK;
}

einhead_status_t ElfReader::checkLibraries(const Elf64_Shdr &dynamic) {
  std::string_view strings;
  if (einhead_status_t status = readStrings(dynamic, strings))
    return status;
  for (uint64_t i = 0; i < dynamic.sh_size / sizeof(Elf64_Dyn); ++i) {
    auto entry = load<Elf64_Dyn>(dynamic.sh_offset + i * sizeof(Elf64_Dyn));
    if (entry.d_tag != DT_NEEDED)
      continue;
    if (entry.d_un.d_val >= strings.size())
      return corrupt("the name of a needed library is not in the file");
    const char *library = strings.data() + entry.d_un.d_val;
    if (!contains(allowedLibraries, library))
      return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, "code",
                  "the code needs the library '%.100s'; modules may need only "
                  "libc.so.6 and libm.so.6",
                  library);
  }
  return EINHEAD_OK;
}

einhead_status_t ElfReader::readSymbols(const Elf64_Shdr &table,
                                        ElfSymbols &symbols) {
  std::string_view strings;
  if (einhead_status_t status = readStrings(table, strings))
    return status;
  // The first entry is null by definition.
  for (uint64_t i = 1; i < table.sh_size / sizeof(Elf64_Sym); ++i) {
    auto symbol = load<Elf64_Sym>(table.sh_offset + i * sizeof(Elf64_Sym));
    if (symbol.st_name >= strings.size())
      return corrupt("the name of a symbol is not in the file");
    const char *name = strings.data() + symbol.st_name;
    if (symbol.st_shndx != SHN_UNDEF) {
      symbols.defined[name] = {symbol.st_value, symbol.st_size,
                               isWritable(symbol.st_value, sizeof(void *))};
      continue;
    }
    bool isWeak = ELF64_ST_BIND(symbol.st_info) == STB_WEAK;
    if (*name && !contains(allowedImports, name) &&
        !(isWeak && contains(allowedWeakImports, name)))
      return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, "code",
                  "the code calls '%.100s', which this runtime does not offer "
                  "to modules",
                  name);
  }
  return EINHEAD_OK;
}

einhead_status_t ElfReader::readSections(ElfSymbols &symbols) {
  for (size_t i = 0; i < header.e_shnum; ++i)
    sections.push_back(
        load<Elf64_Shdr>(header.e_shoff + i * sizeof(Elf64_Shdr)));
  bool hasDynamic = false, hasSymbols = false;
  for (const Elf64_Shdr &section : sections) {
    if (section.sh_type != SHT_DYNAMIC && section.sh_type != SHT_DYNSYM)
      continue;
    if (!inFile(section.sh_offset, section.sh_size))
      return corrupt("a section is not in the file");
    einhead_status_t status = section.sh_type == SHT_DYNAMIC
                                  ? checkLibraries(section)
                                  : readSymbols(section, symbols);
    if (status)
      return status;
    (section.sh_type == SHT_DYNAMIC ? hasDynamic : hasSymbols) = true;
  }
  if (!hasDynamic || !hasSymbols)
    return corrupt("no dynamic section or no dynamic symbols");
  return EINHEAD_OK;
}

einhead_status_t einhead::runtime::checkElf(const uint8_t *bytes, size_t size,
                                            ElfSymbols &outSymbols) {
  return ElfReader(bytes, size).read(outSymbols);
}
