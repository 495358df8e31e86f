//===- Npy.cpp - Numpy's file format ----------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "File.h"
#include "HostTensor.h"
#include "Tool.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include <cstring>

namespace einhead::tool {

static llvm::Error bad(llvm::StringRef path, const llvm::Twine &why) {
  return failure(Exit::Invalid, path + ": " + why,
                 "an .npy file of version 1 in C order, little-endian, is "
                 "needed: numpy.save(name, numpy.ascontiguousarray(x))");
}

/// The value of 'key' in the header's Python dictionary, up to its end.
static llvm::StringRef headerValue(llvm::StringRef header,
                                   llvm::StringRef key) {
  size_t at = header.find(("'" + key + "'").str());
  if (at == llvm::StringRef::npos)
    return "";
  return header.substr(at + key.size() + 2).ltrim(": ");
}

static std::optional<DataType> parseDescriptor(llvm::StringRef text) {
  return llvm::StringSwitch<std::optional<DataType>>(text)
      .Case("<f8", DataType::F64)
      .Case("<f4", DataType::F32)
      .Case("<f2", DataType::F16)
      .Case("<i8", DataType::I64)
      .Case("<i4", DataType::I32)
      .Cases({"|i1", "<i1"}, DataType::I8)
      .Cases({"|u1", "<u1"}, DataType::U8)
      .Case("|b1", DataType::Bool)
      .Default(std::nullopt);
}

llvm::Expected<HostTensor> readNpy(llvm::StringRef path) {
  auto file = readFile(path);
  if (!file)
    return file.takeError();
  llvm::StringRef bytes = (*file)->getBuffer();
  if (bytes.size() < 10 || !bytes.starts_with("\x93NUMPY"))
    return bad(path, "not an .npy file");
  size_t headerSize = llvm::support::endian::read16le(bytes.data() + 8);
  if (bytes[6] != 1 || bytes.size() < 10 + headerSize)
    return bad(path, "an .npy version other than 1, or a short file");
  llvm::StringRef header = bytes.substr(10, headerSize);
  llvm::StringRef data = bytes.substr(10 + headerSize);

  llvm::StringRef descriptor =
      headerValue(header, "descr").ltrim("'").split('\'').first;
  std::optional<DataType> type = parseDescriptor(descriptor);
  if (!type)
    return bad(path, "element type '" + descriptor + "' is not supported");
  if (headerValue(header, "fortran_order").starts_with("True"))
    return bad(path, "Fortran order is not supported");
  llvm::SmallVector<llvm::StringRef> extents;
  headerValue(header, "shape")
      .ltrim("(")
      .split(')')
      .first.split(extents, ',', -1, false);
  std::vector<int64_t> shape;
  uint64_t count = 1;
  for (llvm::StringRef extent : extents) {
    uint64_t value;
    if (extent.trim().empty())
      continue;
    if (extent.trim().getAsInteger(10, value) || value > (uint64_t(1) << 40) ||
        count > (uint64_t(1) << 40))
      return bad(path, "bad shape");
    shape.push_back(static_cast<int64_t>(value));
    count *= value;
  }
  if (data.size() != count * sizeOf(*type))
    return bad(path, llvm::Twine(data.size()) + " bytes of data, but " +
                         describe(*type, shape) + " has " +
                         llvm::Twine(count * sizeOf(*type)));
  HostTensor tensor(*type, shape);
  std::memcpy(tensor.data(), data.data(), data.size());
  return tensor;
}

llvm::Error writeNpy(llvm::StringRef path, const HostTensor &tensor) {
  static const char *const descriptors[] = {
      "<f8", "<f4", "<f2", nullptr, nullptr, "<i8", "<i4", "|i1", "|u1", "|b1"};
  HostTensor widened = tensor;
  if (!descriptors[static_cast<int>(tensor.type)]) { // numpy has no bf16, f8
    widened = HostTensor(DataType::F32, tensor.shape);
    for (int64_t i = 0, e = tensor.elementCount(); i < e; ++i)
      widened.set(i, tensor.at(i));
  }
  std::string header = "{'descr': '";
  header += descriptors[static_cast<int>(widened.type)];
  header += "', 'fortran_order': False, 'shape': (";
  for (int64_t extent : widened.shape)
    header += std::to_string(extent) + ", ";
  header += "), }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';

  std::string bytes = "\x93NUMPY";
  bytes += '\x01';
  bytes += '\0';
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  bytes.append(widened.data(), widened.byteCount());
  return writeFile(path, bytes);
}

} // namespace einhead::tool
