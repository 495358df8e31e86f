//===- ImportCheckpoint.cpp - The tensors of a model directory --*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// safetensors: the size of the header (u64, little-endian), the header (a JSON
// object from names to dtype, shape and data_offsets), the data.
//
//===----------------------------------------------------------------------===//

#include "ImportCheckpoint.h"
#include "ImportJSON.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <optional>

using namespace llvm;
using namespace einhead::importer;

/// Bits of an element, 0 for a name that safetensors does not have.
static int64_t bitsOf(StringRef dtype) {
  return StringSwitch<int64_t>(dtype)
      .Cases({"F64", "I64", "U64", "C64"}, 64)
      .Cases({"F32", "I32", "U32"}, 32)
      .Cases({"F16", "BF16", "I16", "U16"}, 16)
      .Cases({"BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2", "F8_E8M0"}, 8)
      .Cases({"F6_E2M3", "F6_E3M2"}, 6)
      .Case("F4", 4)
      .Default(0);
}

StringRef einhead::importer::elementType(StringRef dtype) {
  return StringSwitch<StringRef>(dtype)
      .Case("F32", "f32")
      .Case("F16", "f16")
      .Case("BF16", "bf16")
      .Default("");
}

std::string einhead::importer::shapeText(ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (int64_t extent : shape)
    text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

Expected<const TensorInfo *> Checkpoint::find(StringRef name,
                                              ArrayRef<int64_t> shape) const {
  auto it = tensors.find(name);
  if (it == tensors.end())
    return createStringError("'" + source + "': tensor '" + name +
                             "' is missing; the config.json beside it asks for "
                             "it. Are both of one model?");
  const TensorInfo &tensor = it->second;
  if (ArrayRef<int64_t>(tensor.shape) != shape)
    return createStringError("'" + tensor.file + "': tensor '" + name +
                             "' has shape " + shapeText(tensor.shape) +
                             ", and config.json implies " + shapeText(shape) +
                             ". Are both of one model?");
  if (elementType(tensor.dtype).empty())
    return createStringError("'" + tensor.file + "': tensor '" + name +
                             "' has dtype " + tensor.dtype +
                             "; F32, F16 and BF16 are imported. Convert the "
                             "weights to one of them");
  return &tensor;
}

namespace {

/// One safetensors file while it is read.
class SafetensorsReader {
public:
  SafetensorsReader(std::string path, Checkpoint &checkpoint)
      : path(std::move(path)), checkpoint(checkpoint) {}

  Error read();

private:
  Error error(const Twine &text) const {
    return createStringError("'" + path + "' " + text);
  }
  Error readHeader(std::string &header);
  Error addTensor(StringRef name, const json::Value &value);
  Error readShape(StringRef name, const json::Object &object,
                  TensorInfo &tensor) const;
  Error readExtent(StringRef name, const json::Object &object,
                   TensorInfo &tensor);
  Error checkExtents();

  /// Where the data of a tensor stands.
  struct Extent {
    int64_t begin, end;
    std::string name;
  };

  std::string path;
  Checkpoint &checkpoint;
  int64_t dataBegin = 0, dataSize = 0;
  std::vector<Extent> extents;
};

} // namespace

static constexpr const char *downloadAgain =
    "; it is damaged or not fully downloaded, fetch it again";

Error SafetensorsReader::readHeader(std::string &header) {
  uint64_t size = 0;
  if (std::error_code code = sys::fs::file_size(path, size))
    return error("cannot be read: " + code.message());
  if (size < 8)
    return error("has " + Twine(size) +
                 " bytes, less than the 8 of a safetensors header's size" +
                 downloadAgain);
  auto prefix = MemoryBuffer::getFileSlice(path, 8, 0);
  if (!prefix)
    return error("cannot be read: " + prefix.getError().message());
  uint64_t headerSize =
      support::endian::read64le((*prefix)->getBuffer().data());
  // The limit is the format's own.
  if (headerSize > 100000000)
    return error("says that its header has " + Twine(headerSize) +
                 " bytes, more than safetensors allows; is it a safetensors "
                 "file?");
  if (headerSize > size - 8)
    return error("is truncated: its header has " + Twine(headerSize) +
                 " bytes, the file " + Twine(size) + downloadAgain);
  if (headerSize == 0)
    return error("has an empty header; is it a safetensors file?");
  dataBegin = int64_t(8 + headerSize);
  dataSize = int64_t(size) - dataBegin;
  auto text = MemoryBuffer::getFileSlice(path, headerSize, 8);
  if (!text)
    return error("cannot be read: " + text.getError().message());
  header = (*text)->getBuffer().str();
  return Error::success();
}

Error SafetensorsReader::readShape(StringRef name, const json::Object &object,
                                   TensorInfo &tensor) const {
  const json::Array *shape = object.getArray("shape");
  if (!shape)
    return error("gives tensor '" + name + "' no shape" + downloadAgain);
  for (const json::Value &value : *shape) {
    std::optional<int64_t> extent = value.getAsInteger();
    if (!extent || *extent < 0)
      return error("gives tensor '" + name +
                   "' a shape of something else than whole numbers" +
                   downloadAgain);
    tensor.shape.push_back(*extent);
  }
  return Error::success();
}

Error SafetensorsReader::readExtent(StringRef name, const json::Object &object,
                                    TensorInfo &tensor) {
  const json::Array *offsets = object.getArray("data_offsets");
  std::optional<int64_t> begin, end;
  if (offsets && offsets->size() == 2) {
    begin = (*offsets)[0].getAsInteger();
    end = (*offsets)[1].getAsInteger();
  }
  if (!begin || !end || *begin < 0 || *end < *begin)
    return error("gives tensor '" + name +
                 "' no valid data_offsets (two whole numbers, begin <= end)" +
                 downloadAgain);
  if (*end > dataSize)
    return error("is truncated: tensor '" + name + "' ends at byte " +
                 Twine(*end) + " of the data, which has " + Twine(dataSize) +
                 downloadAgain);
  int64_t bits = bitsOf(tensor.dtype);
  bool overflow = false;
  for (int64_t extent : tensor.shape)
    overflow |= bool(MulOverflow(bits, extent, bits));
  if (overflow || bits % 8 != 0 || bits / 8 != *end - *begin)
    return error("gives tensor '" + name + "' of " + tensor.dtype + " " +
                 shapeText(tensor.shape) + " " + Twine(*end - *begin) +
                 " bytes" + downloadAgain);
  extents.push_back({*begin, *end, name.str()});
  tensor.offset = dataBegin + *begin;
  tensor.bytes = *end - *begin;
  return Error::success();
}

Error SafetensorsReader::addTensor(StringRef name, const json::Value &value) {
  const json::Object *object = value.getAsObject();
  if (!object)
    return error("describes tensor '" + name +
                 "' by something else than an object" + downloadAgain);
  TensorInfo tensor;
  tensor.file = path;
  tensor.dtype = object->getString("dtype").value_or("").str();
  if (bitsOf(tensor.dtype) == 0)
    return error("gives tensor '" + name + "' the unknown dtype '" +
                 tensor.dtype + "'; convert the weights to F32, F16 or BF16");
  if (Error e = readShape(name, *object, tensor))
    return e;
  if (Error e = readExtent(name, *object, tensor))
    return e;
  auto [it, isNew] = checkpoint.tensors.try_emplace(name, tensor);
  if (!isNew)
    return error("holds tensor '" + name + "', and so does '" +
                 it->second.file + "'; remove one of them");
  return Error::success();
}

/// The tensors stand one after the other and fill the data.
Error SafetensorsReader::checkExtents() {
  std::sort(extents.begin(), extents.end(),
            [](const Extent &a, const Extent &b) {
              return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
            });
  int64_t end = 0;
  for (const Extent &extent : extents) {
    if (extent.begin != end)
      return error("has tensor '" + extent.name + "' at byte " +
                   Twine(extent.begin) +
                   " of the data, and the one before it "
                   "ends at byte " +
                   Twine(end) + downloadAgain);
    end = extent.end;
  }
  if (end != dataSize)
    return error("has " + Twine(dataSize) +
                 " bytes of data, and its tensors "
                 "end at byte " +
                 Twine(end) + downloadAgain);
  return Error::success();
}

Error SafetensorsReader::read() {
  std::string header;
  if (Error e = readHeader(header))
    return e;
  Expected<json::Value> value = parseJSON(header);
  if (!value)
    return error("has a header that is not valid JSON: " +
                 toString(value.takeError()) + downloadAgain);
  const json::Object *object = value->getAsObject();
  if (!object)
    return error(Twine("has a header that is not a JSON object") +
                 downloadAgain);
  for (const auto &[name, member] : *object) {
    if (StringRef(name) == "__metadata__")
      raw_string_ostream(checkpoint.metadata[path]) << member;
    else if (Error e = addTensor(name, member))
      return e;
  }
  return checkExtents();
}

/// The members of an index's "weight_map": names of tensors and their files.
static Expected<std::vector<std::pair<std::string, std::string>>>
readIndex(const std::string &path) {
  auto error = [&](const Twine &text) {
    return createStringError("'" + path + "' " + text);
  };
  ErrorOr<std::unique_ptr<MemoryBuffer>> buffer = MemoryBuffer::getFile(path);
  if (!buffer)
    return error("cannot be read: " + buffer.getError().message());
  Expected<json::Value> value = parseJSON((*buffer)->getBuffer());
  if (!value)
    return error("is not valid JSON: " + toString(value.takeError()) +
                 downloadAgain);
  const json::Object *object = value->getAsObject();
  const json::Object *map = object ? object->getObject("weight_map") : nullptr;
  if (!map || map->empty())
    return error(Twine("has no 'weight_map' from tensors to files") +
                 downloadAgain);
  std::vector<std::pair<std::string, std::string>> entries;
  for (const auto &[name, member] : *map) {
    std::optional<StringRef> file = member.getAsString();
    if (!file || file->empty() || *file == ".." || *file == "." ||
        sys::path::filename(*file) != *file)
      return error("maps tensor '" + StringRef(name) +
                   "' to something else than a file beside it" + downloadAgain);
    entries.emplace_back(StringRef(name).str(), file->str());
  }
  return entries;
}

static Error readShards(StringRef directory, Checkpoint &checkpoint) {
  auto entries = readIndex(checkpoint.source);
  if (!entries)
    return entries.takeError();
  auto pathOf = [&](StringRef file) {
    SmallString<128> path(directory);
    sys::path::append(path, file);
    return std::string(path);
  };
  for (const auto &[name, file] : *entries)
    checkpoint.files.push_back(pathOf(file));
  std::sort(checkpoint.files.begin(), checkpoint.files.end());
  checkpoint.files.erase(
      std::unique(checkpoint.files.begin(), checkpoint.files.end()),
      checkpoint.files.end());
  for (const std::string &file : checkpoint.files)
    if (Error e = SafetensorsReader(file, checkpoint).read())
      return e;
  for (const auto &[name, file] : *entries) {
    auto it = checkpoint.tensors.find(name);
    if (it == checkpoint.tensors.end() || it->second.file != pathOf(file))
      return createStringError("'" + checkpoint.source +
                               "' says that tensor '" + name + "' is in '" +
                               file + "', which lacks it; fetch both again");
  }
  return Error::success();
}

Expected<Checkpoint> einhead::importer::readCheckpoint(StringRef directory) {
  SmallString<128> single(directory), index(directory);
  sys::path::append(single, "model.safetensors");
  sys::path::append(index, "model.safetensors.index.json");
  Checkpoint checkpoint;
  // As Hugging Face: a single file goes before an index.
  if (sys::fs::exists(single)) {
    checkpoint.source = std::string(single);
    checkpoint.files.push_back(checkpoint.source);
    if (Error e = SafetensorsReader(checkpoint.source, checkpoint).read())
      return e;
    return checkpoint;
  }
  if (!sys::fs::exists(index))
    return createStringError(
        "'" + directory +
        "' holds neither model.safetensors nor "
        "model.safetensors.index.json; convert the weights to safetensors "
        "(save_pretrained writes them)");
  checkpoint.source = std::string(index);
  if (Error e = readShards(directory, checkpoint))
    return e;
  return checkpoint;
}
