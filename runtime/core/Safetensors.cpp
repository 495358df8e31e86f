//===- Safetensors.cpp - Parameters in safetensors files --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/Safetensors.h"
#include "core/Json.h"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstring>
#include <dirent.h>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <utility>
#include <vector>

using namespace einhead::runtime;

namespace {
constexpr uint64_t maxHeaderBytes = 100'000'000;
constexpr uint64_t lengthBytes = 8;

struct StoredType {
  const char *name;
  int64_t bytes;
  const char *elementType; // null: known to the format, unused by modules
};

const StoredType storedTypes[] = {
    {"F64", 8, "f64"},       {"F32", 4, "f32"},        {"F16", 2, "f16"},
    {"BF16", 2, "bf16"},     {"I64", 8, "i64"},        {"I32", 4, "i32"},
    {"I8", 1, "i8"},         {"U8", 1, "u8"},          {"I16", 2, nullptr},
    {"U16", 2, nullptr},     {"U32", 4, nullptr},      {"U64", 8, nullptr},
    {"BOOL", 1, nullptr},    {"F8_E4M3", 1, "f8e4m3"}, {"F8_E5M2", 1, nullptr},
    {"F8_E8M0", 1, nullptr},
};

/// Reads the table of one file.
class TableReader {
public:
  TableReader(const uint8_t *bytes, size_t size, const std::string &name)
      : bytes(bytes), size(size), name(name) {}

  einhead_status_t read(std::map<std::string, StoredTensor> &out);

private:
  einhead_status_t readEntry(const std::string &tensor, const json &entry,
                             StoredTensor &out);
  einhead_status_t readType(const std::string &tensor, const json &entry,
                            StoredTensor &out, int64_t &outBytes);
  einhead_status_t checkLayout();
  einhead_status_t corrupt(const std::string &tensor, const char *what) {
    return fail(EINHEAD_CORRUPT_ARTIFACT, at("%.60s", tensor.c_str()),
                "safetensors '%.200s': tensor '%.60s': %s", name.c_str(),
                tensor.c_str(), what);
  }
  einhead_status_t corruptFile(const Where &where, const char *what) {
    return fail(EINHEAD_CORRUPT_ARTIFACT, where, "safetensors '%.200s': %s",
                name.c_str(), what);
  }

  struct Range {
    uint64_t begin, end;
    std::string tensor;
  };

  const uint8_t *bytes;
  size_t size;
  const std::string &name;
  uint64_t dataStart = 0;
  std::vector<Range> ranges;
};
} // namespace

einhead_status_t TableReader::readType(const std::string &tensor,
                                       const json &entry, StoredTensor &out,
                                       int64_t &outBytes) {
  const json *type = member(entry, "dtype");
  const std::string *text =
      type ? type->get_ptr<const std::string *>() : nullptr;
  if (!text)
    return corrupt(tensor, "\"dtype\" is missing or not a string");
  for (const StoredType &known : storedTypes) {
    if (*text != known.name)
      continue;
    out.typeName = known.name;
    out.isSupported =
        known.elementType && parseElementType(known.elementType, out.type);
    outBytes = known.bytes;
    return EINHEAD_OK;
  }
  return corrupt(tensor, "unknown dtype");
}

einhead_status_t TableReader::readEntry(const std::string &tensor,
                                        const json &entry, StoredTensor &out) {
  if (!entry.is_object())
    return corrupt(tensor, "the entry is not an object");
  int64_t elementBytes = 0;
  if (einhead_status_t s = readType(tensor, entry, out, elementBytes))
    return s;
  const json *shape = member(entry, "shape");
  if (!shape || !shape->is_array())
    return corrupt(tensor, "\"shape\" is missing or not a list");
  for (const json &value : *shape) {
    int64_t extent = 0;
    if (!readInteger(value, 0, INT64_MAX, extent))
      return corrupt(tensor, "an extent is not a number from 0 up");
    out.shape.push_back(extent);
  }
  if (!countBytes(out.shape.data(), out.shape.size(), elementBytes, out.bytes))
    return corrupt(tensor, "the product of the extents overflows");

  const json *offsets = member(entry, "data_offsets");
  int64_t begin = 0, end = 0;
  if (!offsets || !offsets->is_array() || offsets->size() != 2 ||
      !readInteger((*offsets)[0], 0, INT64_MAX, begin) ||
      !readInteger((*offsets)[1], 0, INT64_MAX, end))
    return corrupt(tensor, "\"data_offsets\" is missing or not two numbers");
  if (begin > end)
    return corrupt(tensor, "the data ends before it begins");
  if (static_cast<uint64_t>(end) > size - dataStart)
    return corrupt(tensor, "the data reaches beyond the file");
  if (end - begin != out.bytes)
    return fail(EINHEAD_CORRUPT_ARTIFACT, at("%.60s", tensor.c_str()),
                "safetensors '%.200s': tensor '%.60s': %" PRId64
                " bytes of data, its shape and dtype need %" PRId64,
                name.c_str(), tensor.c_str(), end - begin, out.bytes);
  out.data = bytes + dataStart + begin;
  ranges.push_back(
      {static_cast<uint64_t>(begin), static_cast<uint64_t>(end), tensor});
  return EINHEAD_OK;
}

einhead_status_t TableReader::checkLayout() {
  std::sort(ranges.begin(), ranges.end(), [](const Range &a, const Range &b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  uint64_t end = 0;
  for (const Range &range : ranges) {
    if (range.begin < end)
      return corrupt(range.tensor, "the data overlaps another tensor's");
    if (range.begin > end)
      return corrupt(range.tensor, "a gap before the data");
    end = range.end;
  }
  if (end != size - dataStart)
    return corruptFile(at("byte %" PRIu64, dataStart + end),
                       "bytes follow the last tensor");
  return EINHEAD_OK;
}

einhead_status_t TableReader::read(std::map<std::string, StoredTensor> &out) {
  if (size < lengthBytes)
    return corruptFile("byte 0", "shorter than the 8 bytes of a length");
  uint64_t header = 0;
  for (int i = 7; i >= 0; --i)
    header = header << 8 | bytes[i];
  if (header > maxHeaderBytes)
    return corruptFile("byte 0", "a header of more than 100 MB");
  if (header > size - lengthBytes)
    return corruptFile("byte 0", "the header reaches beyond the file");
  dataStart = lengthBytes + header;
  const char *text = reinterpret_cast<const char *>(bytes + lengthBytes);
  if (header == 0 || text[0] != '{')
    return corruptFile("byte 8", "the header does not begin with '{'");
  json root;
  if (const char *problem = parseJson(std::string_view(text, header), root))
    return corruptFile("byte 8", problem);
  for (const auto &[tensor, entry] : root.items()) {
    if (tensor == "__metadata__") {
      if (!entry.is_object())
        return corruptFile("__metadata__", "the metadata is not an object");
      continue;
    }
    StoredTensor stored;
    if (einhead_status_t s = readEntry(tensor, entry, stored))
      return s;
    auto [place, isNew] = out.emplace(tensor, stored);
    // Of two files with one name, neither is chosen silently.
    if (!isNew)
      place->second.isAmbiguous = true;
  }
  return checkLayout();
}

einhead_status_t
einhead::runtime::parseSafetensors(const uint8_t *bytes, size_t size,
                                   const std::string &name,
                                   std::map<std::string, StoredTensor> &out) {
  return TableReader(bytes, size, name).read(out);
}

einhead_status_t ParameterFiles::addFile(const std::string &path) {
  MappedFile file;
  if (einhead_status_t s = file.open(path))
    return s;
  if (einhead_status_t s =
          parseSafetensors(file.data(), file.size(), path, tensors))
    return s;
  files.push_back(std::move(file));
  return EINHEAD_OK;
}

einhead_status_t ParameterFiles::addPath(const std::string &path) {
  struct stat information;
  if (stat(path.c_str(), &information) == 0 && S_ISDIR(information.st_mode))
    return addFolder(path.empty() || path.back() == '/' ? path : path + "/");
  return addFile(path);
}

/// Hugging Face's index of a sharded checkpoint: tensor name to file name.
einhead_status_t ParameterFiles::addIndex(const std::string &folder,
                                          const std::string &name) {
  std::vector<uint8_t> bytes;
  std::string path = folder + name;
  if (einhead_status_t s = readFile(path, bytes))
    return s;
  auto corrupt = [&](const char *what) {
    return fail(EINHEAD_CORRUPT_ARTIFACT, "weight_map", "index '%.200s': %s",
                path.c_str(), what);
  };
  json root;
  std::string_view text(reinterpret_cast<const char *>(bytes.data()),
                        bytes.size());
  if (const char *problem = parseJson(text, root))
    return corrupt(problem);
  const json *map = member(root, "weight_map");
  if (!map || !map->is_object())
    return corrupt("\"weight_map\" is missing or not an object");
  std::set<std::string> shards;
  for (const auto &[tensor, file] : map->items()) {
    const std::string *shard = file.get_ptr<const std::string *>();
    if (!shard || shard->empty() || shard->find('/') != std::string::npos ||
        shard->find('\0') != std::string::npos)
      return corrupt("a shard is not the name of a file in the same folder");
    shards.insert(*shard);
  }
  for (const std::string &shard : shards)
    if (einhead_status_t s = addFile(folder + shard))
      return s;
  for (const auto &[tensor, file] : map->items())
    if (!find(tensor))
      return corrupt("a tensor is in none of the shards");
  return EINHEAD_OK;
}

einhead_status_t ParameterFiles::addFolder(const std::string &folder) {
  std::unique_ptr<DIR, int (*)(DIR *)> directory(opendir(folder.c_str()),
                                                 closedir);
  if (!directory)
    return fail(EINHEAD_FAILED_PRECONDITION, "", "cannot list '%s': %s",
                folder.c_str(), std::strerror(errno));
  std::vector<std::string> found, indices;
  auto endsWith = [](const std::string &text, std::string_view end) {
    return text.size() > end.size() &&
           text.compare(text.size() - end.size(), end.size(), end) == 0;
  };
  while (const dirent *entry = readdir(directory.get())) {
    std::string name = entry->d_name;
    if (endsWith(name, ".safetensors"))
      found.push_back(name);
    if (endsWith(name, ".safetensors.index.json"))
      indices.push_back(name);
  }
  if (indices.size() > 1)
    return fail(EINHEAD_INVALID_ARGUMENT, "",
                "'%s' holds several *.safetensors.index.json files; name one "
                "*.safetensors file instead",
                folder.c_str());
  if (indices.size() == 1)
    return addIndex(folder, indices[0]);
  if (found.empty())
    return fail(EINHEAD_NOT_FOUND, "", "no *.safetensors file in '%s'",
                folder.c_str());
  std::sort(found.begin(), found.end());
  for (const std::string &name : found)
    if (einhead_status_t s = addFile(folder + name))
      return s;
  return EINHEAD_OK;
}

const StoredTensor *ParameterFiles::find(const std::string &name) const {
  auto it = tensors.find(name);
  return it == tensors.end() ? nullptr : &it->second;
}
