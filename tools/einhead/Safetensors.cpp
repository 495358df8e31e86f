//===- Safetensors.cpp - Tensors by name from safetensors files -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Safetensors.h"
#include "Tool.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"
#include <cstring>

namespace einhead::tool {

static llvm::Error bad(llvm::StringRef path, const llvm::Twine &why) {
  return failure(Exit::Invalid, path + ": " + why,
                 "a whole safetensors file is needed");
}

llvm::Error Safetensors::add(llvm::StringRef path) {
  if (!llvm::sys::fs::is_directory(path))
    return addFile(path);
  std::error_code error;
  bool found = false;
  for (llvm::sys::fs::directory_iterator it(path, error), end;
       it != end && !error; it.increment(error)) {
    if (llvm::sys::path::extension(it->path()) != ".safetensors")
      continue;
    found = true;
    if (llvm::Error failed = addFile(it->path()))
      return failed;
  }
  return found ? llvm::Error::success()
               : bad(path, "no *.safetensors in this folder");
}

llvm::Error Safetensors::addFile(llvm::StringRef path) {
  auto file = readFile(path);
  if (!file)
    return file.takeError();
  llvm::StringRef bytes = (*file)->getBuffer();
  if (bytes.size() < 8)
    return bad(path, "too short");
  uint64_t headerSize = llvm::support::endian::read64le(bytes.data());
  if (headerSize > bytes.size() - 8)
    return bad(path, "the header is longer than the file");
  auto header = llvm::json::parse(bytes.substr(8, headerSize));
  if (!header)
    return bad(path, llvm::toString(header.takeError()));
  llvm::StringRef data = bytes.substr(8 + headerSize);
  const llvm::json::Object *object = header->getAsObject();
  if (!object)
    return bad(path, "the header is not an object");
  for (const auto &[name, value] : *object) {
    if (name == "__metadata__")
      continue;
    const llvm::json::Object *fields = value.getAsObject();
    const llvm::json::Array *shape =
        fields ? fields->getArray("shape") : nullptr;
    const llvm::json::Array *range =
        fields ? fields->getArray("data_offsets") : nullptr;
    if (!shape || !range || range->size() != 2)
      return bad(path, "bad entry '" + llvm::StringRef(name).str() + "'");
    uint64_t begin = (*range)[0].getAsInteger().value_or(-1);
    uint64_t end = (*range)[1].getAsInteger().value_or(-1);
    if (begin > end || end > data.size())
      return bad(path,
                 "'" + llvm::StringRef(name).str() + "' is outside the file");
    Entry entry;
    entry.type = fields->getString("dtype").value_or("").str();
    entry.file = path.str();
    for (const llvm::json::Value &extent : *shape)
      entry.shape.push_back(extent.getAsInteger().value_or(-1));
    entry.bytes = data.slice(begin, end);
    entries[llvm::StringRef(name).str()] = std::move(entry);
  }
  files.push_back(std::move(*file));
  return llvm::Error::success();
}

llvm::Expected<HostTensor> Safetensors::get(const std::string &name) const {
  auto found = entries.find(name);
  if (found == entries.end())
    return failure(Exit::Invalid, "no tensor '" + name + "' in the parameters",
                   "--parameters names the safetensors files");
  const Entry &entry = found->second;
  std::optional<DataType> type =
      parseDataType(llvm::StringRef(entry.type).lower());
  uint64_t count = 1;
  for (int64_t extent : entry.shape)
    count =
        extent < 0 || count > (uint64_t(1) << 40) ? UINT64_MAX : count * extent;
  if (!type || count != entry.bytes.size() / sizeOf(*type) ||
      entry.bytes.size() % sizeOf(*type))
    return bad(entry.file, "'" + name + "' has type " + entry.type + " and " +
                               llvm::Twine(entry.bytes.size()) + " bytes");
  HostTensor tensor(*type, entry.shape);
  std::memcpy(tensor.data(), entry.bytes.data(), entry.bytes.size());
  return tensor;
}

} // namespace einhead::tool
