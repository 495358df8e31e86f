//===- HostTensor.cpp - Tensors in host memory ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HostTensor.h"
#include "Device.h"
#include "Tool.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace einhead::tool {

std::optional<DataType> parseDataType(llvm::StringRef name) {
  return llvm::StringSwitch<std::optional<DataType>>(name)
      .Case("f64", DataType::F64)
      .Case("f32", DataType::F32)
      .Case("f16", DataType::F16)
      .Case("bf16", DataType::BF16)
      .Case("f8e4m3", DataType::F8E4M3)
      .Cases({"i64", "index"}, DataType::I64)
      .Case("i32", DataType::I32)
      .Case("i8", DataType::I8)
      .Case("u8", DataType::U8)
      .Case("bool", DataType::Bool)
      .Default(std::nullopt);
}

llvm::StringRef nameOf(DataType type) {
  static const char *const names[] = {"f64", "f32", "f16", "bf16", "f8e4m3",
                                      "i64", "i32", "i8",  "u8",   "bool"};
  return names[static_cast<int>(type)];
}

size_t sizeOf(DataType type) {
  static const size_t sizes[] = {8, 4, 2, 2, 1, 8, 4, 1, 1, 1};
  return sizes[static_cast<int>(type)];
}

bool isFloat(DataType type) { return type <= DataType::F8E4M3; }

DLDataType toDLPack(DataType type) {
  uint8_t code = kDLInt;
  if (type == DataType::BF16)
    code = kDLBfloat;
  else if (type == DataType::F8E4M3)
    code = 10; // kDLFloat8_e4m3fn, which older headers lack
  else if (isFloat(type))
    code = kDLFloat;
  else if (type == DataType::U8)
    code = kDLUInt;
  else if (type == DataType::Bool)
    code = 6; // kDLBool, which older headers lack
  return {code, static_cast<uint8_t>(sizeOf(type) * 8), 1};
}

std::optional<DataType> fromDLPack(DLDataType type) {
  for (DataType known :
       {DataType::F64, DataType::F32, DataType::F16, DataType::BF16,
        DataType::F8E4M3, DataType::I64, DataType::I32, DataType::I8,
        DataType::U8, DataType::Bool}) {
    DLDataType have = toDLPack(known);
    if (have.code == type.code && have.bits == type.bits && type.lanes == 1)
      return known;
  }
  return std::nullopt;
}

template <typename Bits>
static double widened(const llvm::fltSemantics &semantics, Bits bits) {
  llvm::APFloat value(semantics, llvm::APInt(sizeof(Bits) * 8, bits));
  return value.convertToDouble();
}

template <typename Bits>
static Bits narrowed(const llvm::fltSemantics &semantics, double wide) {
  llvm::APFloat value(wide);
  bool losesInfo;
  value.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &losesInfo);
  return static_cast<Bits>(value.bitcastToAPInt().getZExtValue());
}

template <typename T> static T get(const void *data) {
  T value;
  std::memcpy(&value, data, sizeof value);
  return value;
}

template <typename T> static void put(void *data, T value) {
  std::memcpy(data, &value, sizeof value);
}

double loadElement(DataType type, const void *data) {
  switch (type) {
  case DataType::F64:
    return get<double>(data);
  case DataType::F32:
    return get<float>(data);
  case DataType::F16:
    return widened(llvm::APFloat::IEEEhalf(), get<uint16_t>(data));
  case DataType::BF16:
    return llvm::bit_cast<float>(uint32_t(get<uint16_t>(data)) << 16);
  case DataType::F8E4M3:
    return widened(llvm::APFloat::Float8E4M3FN(), get<uint8_t>(data));
  case DataType::I64:
    return static_cast<double>(get<int64_t>(data));
  case DataType::I32:
    return get<int32_t>(data);
  case DataType::I8:
    return get<int8_t>(data);
  case DataType::U8:
  case DataType::Bool:
    return get<uint8_t>(data);
  }
  llvm_unreachable("all types are listed");
}

void storeElement(DataType type, void *data, double value) {
  switch (type) {
  case DataType::F64:
    return put<double>(data, value);
  case DataType::F32:
    return put<float>(data, static_cast<float>(value));
  case DataType::F16:
    return put(data, narrowed<uint16_t>(llvm::APFloat::IEEEhalf(), value));
  case DataType::BF16:
    return put(data, narrowed<uint16_t>(llvm::APFloat::BFloat(), value));
  case DataType::F8E4M3: // there is no infinity: larger ones become the largest
    if (std::abs(value) > 448)
      value = std::copysign(448.0, value);
    return put(data, narrowed<uint8_t>(llvm::APFloat::Float8E4M3FN(), value));
  case DataType::I64:
    return put<int64_t>(data, static_cast<int64_t>(value));
  case DataType::I32:
    return put<int32_t>(data, static_cast<int32_t>(value));
  case DataType::I8:
    return put<int8_t>(data, static_cast<int8_t>(value));
  case DataType::U8:
    return put<uint8_t>(data, static_cast<uint8_t>(value));
  case DataType::Bool:
    return put<uint8_t>(data, value != 0);
  }
}

HugeBuffer::HugeBuffer(size_t bytes) {
  constexpr size_t huge = size_t(2) << 20;
  size_t rounded = bytes < huge ? (bytes + 4096) & ~size_t(4095)
                                : (bytes + huge - 1) & ~(huge - 1);
  void *mapped = mmap(nullptr, rounded, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED)
    std::exit(static_cast<int>(report(
        failure(Exit::Missing,
                llvm::Twine("no memory for ") + llvm::Twine(bytes) + " bytes",
                "use smaller sizes, or free some memory"))));
  if (rounded >= huge)
    madvise(mapped, rounded, MADV_HUGEPAGE);
  memory =
      std::unique_ptr<char, Unmap>(static_cast<char *>(mapped), Unmap{rounded});
}

void Unmap::operator()(char *data) const { munmap(data, bytes); }

static std::vector<int64_t> rowMajor(llvm::ArrayRef<int64_t> shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= shape[i])
    strides[i] = stride;
  return strides;
}

HostTensor::HostTensor(DataType type, llvm::ArrayRef<int64_t> shape)
    : type(type), shape(shape), strides(rowMajor(shape)) {
  buffer = std::make_shared<HugeBuffer>(byteCount());
}

int64_t HostTensor::elementCount() const {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

DLTensor viewOf(void *data, DataType type, std::vector<int64_t> &shape) {
  DLTensor view = {};
  view.data = data;
  view.device = {kDLCPU, 0};
  view.dtype = toDLPack(type);
  view.ndim = static_cast<int32_t>(shape.size());
  view.shape = shape.data();
  return view;
}

DLTensor HostTensor::view() {
  DLTensor view = viewOf(data(), type, shape);
  view.strides = strides.data();
  return view;
}

/// Calls visit(offset in the view, index in row-major order), in elements.
static void forEachElement(const DLTensor &view,
                           llvm::function_ref<void(int64_t, int64_t)> visit) {
  std::vector<int64_t> strides =
      view.strides
          ? std::vector<int64_t>(view.strides, view.strides + view.ndim)
          : rowMajor(llvm::ArrayRef(view.shape, view.ndim));
  std::vector<int64_t> at(view.ndim, 0);
  int64_t count = 1;
  for (int d = 0; d < view.ndim; ++d)
    count *= view.shape[d];
  for (int64_t index = 0; index < count; ++index) {
    int64_t offset = 0;
    for (int d = 0; d < view.ndim; ++d)
      offset += at[d] * strides[d];
    visit(offset, index);
    for (int d = view.ndim; d-- > 0 && ++at[d] == view.shape[d];)
      at[d] = 0;
  }
}

HostTensor copyOf(const DLTensor &view, DataType type) {
  HostTensor copy(type, llvm::ArrayRef(view.shape, view.ndim));
  size_t size = sizeOf(type);
  if (view.device.device_type == kDLCUDA) { // a session's cache, which is dense
    copyFromDevice(copy.data(), view.data, copy.byteCount());
    return copy;
  }
  const char *from = static_cast<const char *>(view.data) + view.byte_offset;
  forEachElement(view, [&](int64_t offset, int64_t index) {
    std::memcpy(copy.data() + index * size, from + offset * size, size);
  });
  return copy;
}

void copyInto(const HostTensor &from, const DLTensor &view) {
  size_t size = sizeOf(from.type);
  if (view.device.device_type == kDLCUDA) {
    copyToDevice(view.data, from.data(), from.byteCount());
    return;
  }
  char *to = static_cast<char *>(view.data) + view.byte_offset;
  forEachElement(view, [&](int64_t offset, int64_t index) {
    std::memcpy(to + offset * size, from.data() + index * size, size);
  });
}

uint64_t nextRandom(uint64_t &state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

/// The sum of four uniform numbers, scaled to variance 1.
static double nextNormal(uint64_t &state) {
  uint64_t bits = nextRandom(state);
  double sum = 0;
  for (int i = 0; i < 4; ++i, bits >>= 16)
    sum += static_cast<double>(bits & 0xffff) / 65535.0;
  return (sum - 2.0) * std::sqrt(3.0);
}

void fillRandom(HostTensor &tensor, uint64_t seed) {
  uint64_t state = seed;
  uint64_t most = tensor.type == DataType::Bool ? 1 : 0xff;
  double least = tensor.type == DataType::I8 ? -128 : 0;
  for (int64_t i = 0, e = tensor.elementCount(); i < e; ++i)
    tensor.set(i, isFloat(tensor.type)
                      ? nextNormal(state)
                      : least + static_cast<double>(nextRandom(state) & most));
}

std::string describe(DataType type, llvm::ArrayRef<int64_t> shape) {
  std::string text = nameOf(type).str() + "[";
  llvm::raw_string_ostream os(text);
  llvm::interleave(shape, os, ",");
  os << "]";
  return text;
}

} // namespace einhead::tool
