//===- TensorFile.h - Tensors between two machines --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TEST_TARGET_CROSS_TENSORFILE_H
#define EINHEAD_TEST_TARGET_CROSS_TENSORFILE_H

#include <cstdint>
#include <dlpack/dlpack.h>
#include <fstream>
#include <string>
#include <vector>

namespace einhead::test {

/// A tensor in a file: type, rank, extents, data, as both machines (64-bit,
/// little-endian) have them in memory.
struct TensorFile {
  DLDataType type = {};
  std::vector<int64_t> shape;
  std::vector<char> data;

  size_t bytes() const {
    size_t count = type.bits / 8;
    for (int64_t extent : shape)
      count *= static_cast<size_t>(extent);
    return count;
  }

  void write(const std::string &path) const {
    std::ofstream file(path, std::ios::binary);
    int64_t rank = static_cast<int64_t>(shape.size());
    file.write(reinterpret_cast<const char *>(&type), sizeof(type));
    file.write(reinterpret_cast<const char *>(&rank), sizeof(rank));
    file.write(reinterpret_cast<const char *>(shape.data()),
               static_cast<std::streamsize>(rank * sizeof(int64_t)));
    file.write(data.data(), static_cast<std::streamsize>(data.size()));
  }

  /// False where the file does not hold a whole tensor.
  bool read(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    int64_t rank = 0;
    file.read(reinterpret_cast<char *>(&type), sizeof(type));
    file.read(reinterpret_cast<char *>(&rank), sizeof(rank));
    if (!file || rank < 0 || rank > 16)
      return false;
    shape.resize(static_cast<size_t>(rank));
    file.read(reinterpret_cast<char *>(shape.data()),
              static_cast<std::streamsize>(rank * sizeof(int64_t)));
    data.resize(file ? bytes() : 0);
    file.read(data.data(), static_cast<std::streamsize>(data.size()));
    return static_cast<bool>(file);
  }

  /// A view of the data, valid as long as this is.
  DLTensor view() {
    DLTensor tensor = {};
    tensor.data = data.data();
    tensor.device = {kDLCPU, 0};
    tensor.ndim = static_cast<int32_t>(shape.size());
    tensor.dtype = type;
    tensor.shape = shape.data();
    return tensor;
  }
};

} // namespace einhead::test

#endif // EINHEAD_TEST_TARGET_CROSS_TENSORFILE_H
