//===- TensorCheck.cpp - A caller's tensor against the manifest -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "core/TensorCheck.h"

#include <cinttypes>
#include <cstdint>
#include <cstring>
#include <string>

using namespace einhead::runtime;

namespace {
/// Offsets beyond this are mistakes; a sum of three of them does not overflow.
constexpr uint64_t maxByteOffset = uint64_t(1) << 60;

std::string typeText(DLDataType type) {
  for (ElementType named : {ElementType::Bool, ElementType::F8E4M3}) {
    DLDataType known = elementDLType(named);
    if (type.code == known.code && type.bits == 8 && type.lanes == 1)
      return elementTypeName(named);
  }
  const char *kind = type.code == kDLInt      ? "i"
                     : type.code == kDLUInt   ? "u"
                     : type.code == kDLFloat  ? "f"
                     : type.code == kDLBfloat ? "bf"
                                              : nullptr;
  std::string text = kind ? kind + std::to_string(type.bits)
                          : "DLPack code " + std::to_string(type.code) +
                                " with " + std::to_string(type.bits) + " bits";
  if (type.lanes != 1)
    text += "x" + std::to_string(type.lanes);
  return text;
}

Where argumentAt(const Argument &argument, int dimension = -1) {
  if (dimension < 0)
    return at("argument '%.60s'", argument.name.c_str());
  return at("argument '%.60s', dimension %d", argument.name.c_str(), dimension);
}

/// One tensor's checks; `name` is the argument's, for messages.
class Checker {
public:
  Checker(const Manifest &manifest, const Argument &argument,
          const DLTensor &tensor)
      : manifest(manifest), argument(argument), tensor(tensor),
        name(argument.name.c_str()) {}

  einhead_status_t checkDevice(const DLDevice &wanted);
  einhead_status_t checkKind();
  einhead_status_t checkExtents(bool mayBind, Bindings &bindings,
                                CheckedTensor &out);
  einhead_status_t checkStrides(CheckedTensor &out);
  einhead_status_t checkData(CheckedTensor &out);
  einhead_status_t checkVectors(const CheckedTensor &out);
  einhead_status_t checkBooleans(const CheckedTensor &tensor, size_t dimension,
                                 const uint8_t *data);

private:
  const Manifest &manifest;
  const Argument &argument;
  const DLTensor &tensor;
  const char *name;
};
} // namespace

einhead_status_t Checker::checkDevice(const DLDevice &wanted) {
  // A plain int: the caller's value may be outside of DLPack's enum.
  int device = static_cast<int>(tensor.device.device_type);
  if (wanted.device_type == kDLCPU || argument.isScalar) {
    if (device == kDLCPU || device == kDLCUDAHost)
      return EINHEAD_OK;
    return fail(EINHEAD_UNIMPLEMENTED, argumentAt(argument),
                "'%.60s' is on DLPack device %d, wanted the CPU (1)%s; copy it "
                "there first",
                name, device, argument.isScalar ? " for a scalar" : "");
  }
  // Memory that the GPU reaches at the same address: managed, or locked pages.
  if (device == kDLCUDAManaged || device == kDLCUDAHost)
    return EINHEAD_OK;
  if (device != wanted.device_type)
    return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument),
                "'%.60s' is on DLPack device %d, wanted GPU %d (DLPack device "
                "%d); copy it there first",
                name, device, wanted.device_id,
                static_cast<int>(wanted.device_type));
  if (tensor.device.device_id != wanted.device_id)
    return fail(
        EINHEAD_INVALID_ARGUMENT, argumentAt(argument),
        "'%.60s' is on GPU %d, the session on GPU %d; copy it there, or "
        "make the session with another device",
        name, tensor.device.device_id, wanted.device_id);
  return EINHEAD_OK;
}

einhead_status_t Checker::checkKind() {
  DLDataType wanted = elementDLType(argument.type), got = tensor.dtype;
  if (got.code != wanted.code || got.bits != wanted.bits || got.lanes != 1)
    return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument),
                "'%.60s' has element type %s, wanted %s", name,
                typeText(got).c_str(), elementTypeName(argument.type));
  if (tensor.ndim < 0 ||
      static_cast<size_t>(tensor.ndim) != argument.shape.size())
    return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument),
                "'%.60s' has rank %d, wanted %zu", name, tensor.ndim,
                argument.shape.size());
  if (tensor.ndim > 0 && !tensor.shape)
    return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument),
                "'%.60s' has no shape (null)", name);
  return EINHEAD_OK;
}

einhead_status_t Checker::checkExtents(bool mayBind, Bindings &bindings,
                                       CheckedTensor &out) {
  out.rank = argument.shape.size();
  for (size_t i = 0; i < out.rank; ++i) {
    const Dimension &dimension = argument.shape[i];
    int64_t got = tensor.shape[i], wanted = 0;
    int d = static_cast<int>(i);
    if (got < 0 || got > maxExtent)
      return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument, d),
                  "'%.60s' dimension %d has extent %" PRId64
                  ", wanted 0 to 2^48",
                  name, d, got);
    if (!evaluate(dimension, bindings, wanted)) {
      const char *letter = manifest.dimensionNames[dimension.name].c_str();
      if (!mayBind)
        return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument, d),
                    "'%.60s' dimension %d is '%.60s', which no input says; "
                    "give it when creating the session",
                    name, d, letter);
      if (got < dimension.offset)
        return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument, d),
                    "'%.60s' dimension %d has extent %" PRId64
                    ", wanted at least %" PRId64 " (%s)",
                    name, d, got, dimension.offset,
                    manifest.describe(dimension).c_str());
      bindings[dimension.name] = got - dimension.offset;
    } else if (got != wanted) {
      std::string text = manifest.describe(dimension);
      return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument, d),
                  "'%.60s' dimension %d has extent %" PRId64 ", wanted %" PRId64
                  "%s%.80s%s",
                  name, d, got, wanted, dimension.name < 0 ? "" : " (",
                  dimension.name < 0 ? "" : text.c_str(),
                  dimension.name < 0 ? "" : ")");
    }
    out.extents[i] = got;
  }
  int64_t bytes = 0;
  if (!countBytes(out.extents, out.rank, elementSize(argument.type), bytes))
    return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument),
                "the product of the extents of '%.60s' overflows", name);
  return EINHEAD_OK;
}

/// Row-major order with any outer strides: from the inside out, each stride is
/// at least what the dimensions inside it span.
einhead_status_t Checker::checkStrides(CheckedTensor &out) {
  bool isEmpty = false;
  for (size_t i = 0; i < out.rank; ++i)
    isEmpty |= out.extents[i] == 0;
  rowMajorStrides(out.extents, out.rank, out.strides);
  int64_t lastElement = 0; // offset of the last element, in elements
  if (isEmpty || !tensor.strides) {
    for (size_t i = 0; i < out.rank && !isEmpty; ++i)
      lastElement += (out.extents[i] - 1) * out.strides[i];
  } else {
    int64_t span = 1; // elements from the first one to behind the last one
    for (size_t i = out.rank; i-- > 0;) {
      int64_t extent = out.extents[i], stride = tensor.strides[i];
      int d = static_cast<int>(i);
      if (extent == 1) {
        out.strides[i] = span;
        continue;
      }
      if (i + 1 == out.rank && stride != 1)
        return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument, d),
                    "'%.60s' dimension %d has stride %" PRId64
                    ", wanted 1 in the last dimension; make it contiguous",
                    name, d, stride);
      if (stride < span)
        return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument, d),
                    "'%.60s' dimension %d has stride %" PRId64
                    ", wanted at least %" PRId64
                    " (row-major); make it contiguous",
                    name, d, stride, span);
      int64_t distance = 0;
      if (__builtin_mul_overflow(stride, extent - 1, &distance) ||
          __builtin_add_overflow(lastElement, distance, &lastElement) ||
          lastElement >= maxExtent)
        return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument, d),
                    "'%.60s' dimension %d has stride %" PRId64
                    ", which reaches beyond any memory",
                    name, d, stride);
      out.strides[i] = stride;
      span = lastElement + 1;
    }
  }
  int64_t bytes = isEmpty ? 0 : (lastElement + 1) * elementSize(argument.type);
  out.range = {0, static_cast<uintptr_t>(bytes)};
  return EINHEAD_OK;
}

einhead_status_t Checker::checkData(CheckedTensor &out) {
  uintptr_t bytes = out.range.end;
  if (bytes > 0 && !tensor.data)
    return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument),
                "'%.60s' has no data (null)", name);
  if (tensor.byte_offset > maxByteOffset)
    return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument),
                "'%.60s' has byte offset %" PRIu64
                ", which reaches beyond any memory",
                name, tensor.byte_offset);
  uintptr_t start = reinterpret_cast<uintptr_t>(tensor.data);
  if (bytes > 0 && start + tensor.byte_offset + bytes < start)
    return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument),
                "'%.60s' reaches beyond the address space", name);
  uintptr_t begin = bytes > 0 ? start + tensor.byte_offset : start;
  int64_t size = elementSize(argument.type);
  if (begin % static_cast<uintptr_t>(size) != 0)
    return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument),
                "the data of '%.60s' is not aligned to its element's %" PRId64
                " bytes",
                name, size);
  out.data = reinterpret_cast<void *>(begin);
  out.range = {begin, begin + bytes};
  return EINHEAD_OK;
}

/// Kernels take 16 bytes at a time where the extents let them.
einhead_status_t Checker::checkVectors(const CheckedTensor &out) {
  constexpr int64_t vector = 16;
  uintptr_t begin = reinterpret_cast<uintptr_t>(out.data);
  if (out.range.begin < out.range.end && begin % vector != 0)
    return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument),
                "the data of '%.60s' start at %p, wanted a multiple of %" PRId64
                " bytes on a GPU; copy it to such a place",
                name, out.data, vector);
  int64_t dense[maxRank], size = elementSize(argument.type);
  rowMajorStrides(out.extents, out.rank, dense);
  for (size_t i = 0; i < out.rank; ++i)
    if (out.extents[i] > 1 && out.strides[i] != dense[i] &&
        out.strides[i] * size % vector != 0)
      return fail(EINHEAD_INVALID_ARGUMENT,
                  argumentAt(argument, static_cast<int>(i)),
                  "'%.60s' dimension %zu has a stride of %" PRId64
                  " bytes, wanted a multiple of %" PRId64
                  " on a GPU; make it contiguous",
                  name, i, out.strides[i] * size, vector);
  return EINHEAD_OK;
}

/// Compiled code takes a boolean's byte for 0 or 1, and does anything with
/// another one.
einhead_status_t Checker::checkBooleans(const CheckedTensor &tensor,
                                        size_t dimension, const uint8_t *data) {
  if (dimension + 1 < tensor.rank) {
    for (int64_t i = 0; i < tensor.extents[dimension]; ++i)
      if (einhead_status_t status = checkBooleans(
              tensor, dimension + 1, data + i * tensor.strides[dimension]))
        return status;
    return EINHEAD_OK;
  }
  int64_t count = tensor.rank == 0 ? 1 : tensor.extents[dimension];
  uint8_t seen = 0;
  for (int64_t i = 0; i < count; ++i)
    seen |= data[i];
  if (seen <= 1)
    return EINHEAD_OK;
  while (*data <= 1)
    ++data;
  return fail(EINHEAD_INVALID_ARGUMENT, argumentAt(argument),
              "'%.60s' has a byte %d, wanted 0 or 1 in a bool", name, *data);
}

einhead_status_t
einhead::runtime::checkTensor(const Manifest &manifest,
                              const Argument &argument, const DLTensor &tensor,
                              bool mayBind, const DLDevice &device,
                              Bindings &bindings, CheckedTensor &out) {
  Checker checker(manifest, argument, tensor);
  if (einhead_status_t status = checker.checkDevice(device))
    return status;
  if (einhead_status_t status = checker.checkKind())
    return status;
  if (einhead_status_t status = checker.checkExtents(mayBind, bindings, out))
    return status;
  if (einhead_status_t status = checker.checkStrides(out))
    return status;
  if (einhead_status_t status = checker.checkData(out))
    return status;
  if (device.device_type != kDLCPU && !argument.isScalar)
    if (einhead_status_t status = checker.checkVectors(out))
      return status;
  // An input, where this can read it.
  bool isRead = mayBind && device.device_type == kDLCPU;
  if (argument.type != ElementType::Bool || !isRead ||
      out.range.begin == out.range.end)
    return EINHEAD_OK;
  return checker.checkBooleans(out, 0, static_cast<const uint8_t *>(out.data));
}

void einhead::runtime::rowMajorStrides(const int64_t *extents, size_t rank,
                                       int64_t *strides) {
  int64_t stride = 1;
  for (size_t i = rank; i-- > 0;) {
    strides[i] = stride;
    // Tensors that are empty or too large are never addressed: keep their
    // strides positive.
    int64_t next = 0;
    if (extents[i] > 0 && !__builtin_mul_overflow(stride, extents[i], &next))
      stride = next;
  }
}

void einhead::runtime::writeMemref(int64_t *words, void *data, size_t rank,
                                   const int64_t *extents,
                                   const int64_t *strides) {
  static_assert(sizeof(void *) == sizeof(int64_t), "a memref is of words");
  std::memcpy(&words[0], &data, sizeof(data)); // allocated
  std::memcpy(&words[1], &data, sizeof(data)); // aligned
  words[2] = 0;                                // offset
  for (size_t i = 0; i < rank; ++i) {
    words[3 + i] = extents[i];
    words[3 + rank + i] = strides[i];
  }
}
