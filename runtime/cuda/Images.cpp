//===- Images.cpp - Which device code fits a GPU ----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "cuda/Images.h"
#include "core/Device.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <elf.h>
#include <string>
#include <vector>

using namespace einhead::runtime;
using namespace einhead::runtime::cuda;

bool Chip::parse(const std::string &text, Chip &out) {
  if (text.compare(0, 3, "sm_") != 0 || text.size() < 5)
    return false;
  std::string digits = text.substr(3);
  out.suffix = 0;
  if (digits.back() == 'a' || digits.back() == 'f') {
    out.suffix = digits.back();
    digits.pop_back();
  }
  if (digits.size() < 2 || digits.size() > 3)
    return false;
  int number = 0;
  for (char c : digits) {
    if (c < '0' || c > '9')
      return false;
    number = number * 10 + (c - '0');
  }
  out.major = number / 10;
  out.minor = number % 10;
  return true;
}

/// Machine code runs on later chips of its major number, PTX on all later ones,
/// but for what was compiled for one chip or one family.
static bool fits(const Chip &chip, bool isPTX, ComputeCapability gpu) {
  if (chip.suffix == 'a')
    return chip.major == gpu.major && chip.minor == gpu.minor;
  if (chip.major == gpu.major)
    return chip.minor <= gpu.minor;
  return isPTX && chip.suffix == 0 && chip.major < gpu.major;
}

std::vector<size_t>
einhead::runtime::cuda::fittingImages(const std::vector<DeviceImage> &images,
                                      ComputeCapability gpu) {
  struct Candidate {
    int score;
    size_t index;
  };
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < images.size(); ++i) {
    Chip chip;
    bool isPTX = images[i].format == "ptx";
    if ((!isPTX && images[i].format != "cubin") ||
        !Chip::parse(images[i].chip, chip) || !fits(chip, isPTX, gpu))
      continue;
    int score = (isPTX ? 0 : 100000) + chip.major * 1000 + chip.minor * 10 +
                (chip.suffix == 'a'   ? 2
                 : chip.suffix == 'f' ? 1
                                      : 0);
    candidates.push_back({score, i});
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate &a, const Candidate &b) {
              return a.score != b.score ? a.score > b.score : a.index < b.index;
            });
  std::vector<size_t> order;
  for (const Candidate &candidate : candidates)
    order.push_back(candidate.index);
  return order;
}

/// Sections and segments of a cubin must lie inside of it.
static bool isWholeCubin(const std::string &bytes) {
  constexpr int machineCUDA = 190;
  Elf64_Ehdr header;
  if (bytes.size() < sizeof(header))
    return false;
  std::memcpy(&header, bytes.data(), sizeof(header));
  auto isInside = [&](uint64_t offset, uint64_t size) {
    return offset <= bytes.size() && size <= bytes.size() - offset;
  };
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_machine != machineCUDA ||
      (header.e_shnum > 0 && header.e_shentsize != sizeof(Elf64_Shdr)) ||
      (header.e_phnum > 0 && header.e_phentsize != sizeof(Elf64_Phdr)) ||
      !isInside(header.e_shoff, header.e_shnum * sizeof(Elf64_Shdr)) ||
      !isInside(header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr)))
    return false;
  for (size_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    std::memcpy(&section, bytes.data() + header.e_shoff + i * sizeof(section),
                sizeof(section));
    if (section.sh_type != SHT_NOBITS &&
        !isInside(section.sh_offset, section.sh_size))
      return false;
  }
  return true;
}

/// What the driver does not check: it is given no size.
einhead_status_t einhead::runtime::checkDeviceImages(const DeviceCode &device) {
  for (size_t i = 0; i < device.images.size(); ++i) {
    const DeviceImage &image = device.images[i];
    if (image.format == "cubin" && !isWholeCubin(image.bytes))
      return fail(EINHEAD_CORRUPT_ARTIFACT, at("device image %zu", i),
                  "the image is not the cubin that the manifest says");
    if (image.format == "ptx" &&
        (image.bytes.find(".version") == std::string::npos ||
         image.bytes.find('\0') != std::string::npos))
      return fail(EINHEAD_CORRUPT_ARTIFACT, at("device image %zu", i),
                  "the image is not the PTX that the manifest says");
  }
  return EINHEAD_OK;
}

/// Whether another image may do better.
static bool isOfTheImage(Result result) {
  return result == InvalidImage || result == NoBinaryForGPU ||
         result == InvalidPTX || result == UnsupportedPTXVersion ||
         result == JITCompilerNotFound || result == JITDisabled ||
         result == InvalidSource;
}

static einhead_status_t noImage(Context &context,
                                const std::vector<DeviceImage> &images) {
  std::string list;
  for (const DeviceImage &image : images)
    list += (list.empty() ? "" : ", ") + image.format + " for " + image.chip;
  ComputeCapability gpu = context.capability();
  return fail(EINHEAD_INCOMPATIBLE_ARTIFACT, "device",
              "GPU %d has compute capability %d.%d, the module has %.200s; "
              "compile it with --chip=sm_%d%d",
              context.ordinal(), gpu.major, gpu.minor, list.c_str(), gpu.major,
              gpu.minor);
}

einhead_status_t
einhead::runtime::cuda::loadImages(Context &context,
                                   const std::vector<DeviceImage> &images,
                                   Handle &outModule) {
  std::vector<size_t> order = fittingImages(images, context.capability());
  if (order.empty())
    return noImage(context, images);
  for (size_t i = 0; i < order.size(); ++i) {
    const DeviceImage &image = images[order[i]];
    char log[4096] = "";
    int options[] = {ErrorLog, ErrorLogBytes};
    void *values[] = {log, reinterpret_cast<void *>(sizeof(log))};
    Result result = context.driver().loadModule(&outModule, image.bytes.c_str(),
                                                2, options, values);
    if (result == Success)
      return EINHEAD_OK;
    log[sizeof(log) - 1] = '\0';
    if (!isOfTheImage(result))
      return context.check(result, at("device image %zu", order[i]),
                           "cuModuleLoadDataEx");
    if (i + 1 == order.size())
      return fail(
          EINHEAD_INCOMPATIBLE_ARTIFACT, at("device image %zu", order[i]),
          "the driver does not take the %s for %s: %.80s%s%.300s",
          image.format.c_str(), image.chip.c_str(),
          context.driver().describe(result).c_str(), *log ? ": " : "", log);
  }
  return noImage(context, images);
}
