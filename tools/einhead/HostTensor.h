//===- HostTensor.h - Tensors in host memory --------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TOOLS_HOSTTENSOR_H
#define EINHEAD_TOOLS_HOSTTENSOR_H

#include "dlpack/dlpack.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace einhead::tool {

enum class DataType { F64, F32, F16, BF16, F8E4M3, I64, I32, I8, U8, Bool };

/// By the manifest's name ("f32", "index", ...).
std::optional<DataType> parseDataType(llvm::StringRef name);
llvm::StringRef nameOf(DataType type);
size_t sizeOf(DataType type);
bool isFloat(DataType type);
DLDataType toDLPack(DataType type);
std::optional<DataType> fromDLPack(DLDataType type);

/// One element at `data`, widened; the nearest representable value on the way
/// back.
double loadElement(DataType type, const void *data);
void storeElement(DataType type, void *data, double value);

struct Unmap {
  size_t bytes = 0;
  void operator()(char *data) const;
};

/// Memory of whole huge pages, zero-filled; ends the process where there is
/// none left.
class HugeBuffer {
public:
  HugeBuffer() = default;
  explicit HugeBuffer(size_t bytes);
  char *data() const { return memory.get(); }

private:
  std::unique_ptr<char, Unmap> memory;
};

/// A row-major tensor that owns its elements.
struct HostTensor {
  DataType type = DataType::F32;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides; ///< row-major, for views
  std::shared_ptr<HugeBuffer> buffer;

  HostTensor() = default;
  HostTensor(DataType type, llvm::ArrayRef<int64_t> shape);

  int64_t elementCount() const;
  size_t byteCount() const { return elementCount() * sizeOf(type); }
  char *data() const { return buffer->data(); }
  double at(int64_t index) const {
    return loadElement(type, data() + index * sizeOf(type));
  }
  void set(int64_t index, double value) {
    storeElement(type, data() + index * sizeOf(type), value);
  }
  /// Valid while this tensor is neither moved nor destroyed.
  DLTensor view();
};

/// Row-major memory; valid while both last.
DLTensor viewOf(void *data, DataType type, std::vector<int64_t> &shape);

/// A copy of what a view shows, whatever its strides.
HostTensor copyOf(const DLTensor &view, DataType type);
/// The other way round; the shapes agree.
void copyInto(const HostTensor &from, const DLTensor &view);

/// Fills with values whose distribution is near normal (0, 1); integers with
/// 0 to 255, i8 with -128 to 127, booleans with 0 and 1.  The same seed gives
/// the same values.
void fillRandom(HostTensor &tensor, uint64_t seed);

/// The next number of a splitmix64 generator.
uint64_t nextRandom(uint64_t &state);

/// "f32[1,8,128]"
std::string describe(DataType type, llvm::ArrayRef<int64_t> shape);

/// Numpy's file format, version 1: f2 f4 f8 i4 i8 i1 u1 b1, little-endian, C
/// order.
llvm::Expected<HostTensor> readNpy(llvm::StringRef path);
llvm::Error writeNpy(llvm::StringRef path, const HostTensor &tensor);

} // namespace einhead::tool

#endif // EINHEAD_TOOLS_HOSTTENSOR_H
