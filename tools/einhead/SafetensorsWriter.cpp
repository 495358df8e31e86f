//===- SafetensorsWriter.cpp - Safetensors files from others ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SafetensorsWriter.h"
#include "Tool.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>

namespace einhead::tool {

/// The header's text, padded so that the data starts at a multiple of 8.
static std::string headerText(llvm::ArrayRef<OutgoingTensor> tensors,
                              llvm::StringRef metadata) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::json::OStream json(stream);
  json.objectBegin();
  if (!metadata.empty())
    json.attributeBegin("__metadata__"), json.rawValue(metadata),
        json.attributeEnd();
  int64_t begin = 0;
  for (const OutgoingTensor &tensor : tensors) {
    json.attributeObject(tensor.name, [&] {
      json.attribute("dtype", tensor.from->dtype);
      json.attribute("shape", llvm::json::Array(tensor.shape));
      json.attribute("data_offsets",
                     llvm::json::Array{begin, begin + tensor.bytes});
    });
    begin += tensor.bytes;
  }
  json.objectEnd();
  stream.flush();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

static llvm::Error writeTensor(llvm::raw_fd_ostream &os,
                               const OutgoingTensor &tensor,
                               llvm::StringRef bytes, Advance advance) {
  if (tensor.convert) {
    std::vector<char> converted(tensor.bytes);
    tensor.convert(bytes.data(), converted.data());
    os.write(converted.data(), converted.size());
    return advance(tensor.from->bytes);
  }
  constexpr size_t piece = size_t(16) << 20;
  for (; !bytes.empty() && !os.has_error();
       bytes = bytes.drop_front(std::min(piece, bytes.size()))) {
    llvm::StringRef next = bytes.take_front(piece);
    os << next;
    if (llvm::Error error = advance(next.size()))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error writeSafetensors(llvm::StringRef path, llvm::StringRef input,
                             std::vector<OutgoingTensor> tensors,
                             llvm::StringRef metadata, Advance advance) {
  auto file = llvm::MemoryBuffer::getFile(input, /*IsText=*/false,
                                          /*RequiresNullTerminator=*/false);
  if (!file)
    return failure(Exit::Invalid,
                   "cannot read '" + input + "': " + file.getError().message(),
                   "check the name and the permissions of the file");
  std::sort(tensors.begin(), tensors.end(),
            [](const OutgoingTensor &a, const OutgoingTensor &b) {
              // Empty tensors may share a place.
              return std::tie(a.from->offset, a.from->bytes, a.name) <
                     std::tie(b.from->offset, b.from->bytes, b.name);
            });
  std::error_code code;
  llvm::raw_fd_ostream os(path, code);
  auto refuse = [&] {
    std::string why = code.message();
    os.clear_error();
    return failure(Exit::Invalid, "cannot write '" + path + "': " + why,
                   "check the folder's permissions and the free space");
  };
  if (code)
    return refuse();
  std::string header = headerText(tensors, metadata);
  char size[8];
  llvm::support::endian::write64le(size, header.size());
  os.write(size, sizeof size);
  os << header;
  for (const OutgoingTensor &tensor : tensors) {
    const importer::TensorInfo &from = *tensor.from;
    llvm::StringRef bytes =
        (*file)->getBuffer().substr(from.offset, from.bytes);
    if (int64_t(bytes.size()) != from.bytes)
      return failure(Exit::Invalid,
                     "'" + input + "' became shorter while it was read",
                     "fetch it whole, then try again");
    if (llvm::Error error = writeTensor(os, tensor, bytes, advance))
      return error;
  }
  os.close();
  code = os.error();
  return code ? refuse() : llvm::Error::success();
}

} // namespace einhead::tool
