//===- ValueInKey.cpp - Values that are columns of the keys -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Analysis/ValueInKey.h"
#include "einhead/Analysis/Remark.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// a + b where that needs no code, or null.
static OpFoldResult sumOf(OpFoldResult a, OpFoldResult b) {
  if (isConstantIntValue(a, 0))
    return b;
  if (isConstantIntValue(b, 0))
    return a;
  std::optional<int64_t> x = getConstantIntValue(a);
  std::optional<int64_t> y = getConstantIntValue(b);
  if (!x || !y)
    return nullptr;
  MLIRContext *context = isa<Attribute>(a) ? cast<Attribute>(a).getContext()
                                           : cast<Value>(a).getContext();
  return Builder(context).getIndexAttr(*x + *y);
}

/// The window one slice further up, or failure where offsets do not add up.
static FailureOr<SliceWindow> throughSlice(const SliceWindow &window,
                                           tensor::ExtractSliceOp slice) {
  if (!slice.hasUnitStride())
    return failure();
  llvm::SmallBitVector dropped = slice.getDroppedDims();
  SliceWindow wider{slice.getSource(), slice.getMixedOffsets(), {}};
  SmallVector<int64_t> kept;
  for (int64_t i = 0, e = slice.getSourceType().getRank(); i < e; ++i)
    if (!dropped.test(i))
      kept.push_back(i);
  for (auto [i, dim] : llvm::enumerate(kept)) {
    wider.offsets[dim] = sumOf(wider.offsets[dim], window.offsets[i]);
    if (!wider.offsets[dim])
      return failure();
  }
  for (int64_t dim : window.dims)
    wider.dims.push_back(kept[dim]);
  return wider;
}

SliceWindow SliceWindow::of(Value value) {
  SliceWindow window;
  window.base = value;
  int64_t rank = cast<ShapedType>(value.getType()).getRank();
  window.offsets.assign(rank, Builder(value.getContext()).getIndexAttr(0));
  window.dims = llvm::to_vector(llvm::seq(rank));
  while (Operation *op = window.base.getDefiningOp()) {
    if (auto cast = dyn_cast<tensor::CastOp>(op)) {
      window.base = cast.getSource();
      continue;
    }
    auto slice = dyn_cast<tensor::ExtractSliceOp>(op);
    if (!slice)
      break;
    FailureOr<SliceWindow> wider = throughSlice(window, slice);
    if (failed(wider))
      break;
    window = *wider;
  }
  return window;
}

/// Why the rows of the value are not those of the key, or "".
static std::string otherRows(const SliceWindow &key, const SliceWindow &value,
                             llvm::StringRef letters) {
  if (key.dims != value.dims)
    return "they keep different dimensions of their tensor";
  for (int64_t dim = 0, e = key.offsets.size(); dim < e; ++dim) {
    if (dim == key.dims.back() ||
        isEqualConstantIntOrValue(key.offsets[dim], value.offsets[dim]))
      continue;
    auto *at = llvm::find(key.dims, dim);
    if (at == key.dims.end())
      return "they are different slices of dimension " + std::to_string(dim) +
             " of their tensor";
    return std::string("they start at different places of letter '") +
           letters[at - key.dims.begin()] + "'";
  }
  return "";
}

/// Where the value's columns lie in the key's; `text` is a reason where they
/// do not.
static bool columnsInside(const SliceWindow &key, const SliceWindow &value,
                          int64_t keyColumns, int64_t valueColumns,
                          std::string &text) {
  OpFoldResult keyStart = key.offsets[key.dims.back()];
  OpFoldResult valueStart = value.offsets[value.dims.back()];
  int64_t start = 0;
  if (!isEqualConstantIntOrValue(keyStart, valueStart)) {
    std::optional<int64_t> x = getConstantIntValue(keyStart);
    std::optional<int64_t> y = getConstantIntValue(valueStart);
    if (!x || !y) {
      text = "the columns where they start are not constants";
      return false;
    }
    start = *y - *x;
  }
  if (ShapedType::isDynamic(keyColumns) ||
      ShapedType::isDynamic(valueColumns)) {
    text = "their numbers of columns are not constants";
    return false;
  }
  std::string columns =
      std::to_string(start) + " to " + std::to_string(start + valueColumns - 1);
  bool inside = start >= 0 && start + valueColumns <= keyColumns;
  text = inside ? "the value is columns " + columns + " of the key's " +
                      std::to_string(keyColumns)
                : "the value is columns " + columns + ", the key has 0 to " +
                      std::to_string(keyColumns - 1);
  return inside;
}

ValueInKey ValueInKey::of(AttentionLike op) {
  ValueInKey result;
  Value key = op.getKey(), value = op.getValue();
  auto keyType = dyn_cast<RankedTensorType>(key.getType());
  auto valueType = dyn_cast<RankedTensorType>(value.getType());
  if (!keyType || !valueType || keyType.getRank() == 0) {
    result.holds = key == value;
    return result;
  }
  AttentionRoles roles = rolesOf(op);
  SliceWindow keys = SliceWindow::of(key), values = SliceWindow::of(value);
  result.sliced = keys.base != key || values.base != value;
  if (key == value) {
    result.holds = true;
    result.text = "key and value are one tensor";
    return result;
  }
  if (keys.base != values.base) {
    result.text = "it is a slice of another tensor";
    return result;
  }
  llvm::StringRef letters = roles.keyTerm;
  if (letters.drop_back() != llvm::StringRef(roles.valueTerm).drop_back())
    result.text = ("their letters stand in different places (\"" + letters +
                   "\" and \"" + roles.valueTerm + "\")")
                      .str();
  else
    result.text = otherRows(keys, values, letters);
  if (!result.text.empty())
    return result;
  result.holds = columnsInside(keys, values, keyType.getShape().back(),
                               valueType.getShape().back(), result.text);
  return result;
}

void einhead::remarkValueInKey(AttentionLike op, llvm::StringRef pass) {
  ValueInKey found = ValueInKey::of(op);
  if (found.holds)
    remarkPassed(op.getLoc(), pass, "ValueInKey",
                 found.text + ": K alone is read");
  else if (found.sliced)
    remarkMissed(op.getLoc(), pass, "ValueInKey",
                 "the value is read besides the key: " + found.text);
}
