//===- DecodeLauncher.cpp - Tensor maps and the launch ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DecodeLauncher.h"
#include "einhead/IR/Tile.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;
using namespace einhead::hopper;

Value Launcher::call(StringRef name, TypeRange results, ValueRange operands) {
  return callHost(b, op->getParentOfType<ModuleOp>(), name, results, operands);
}

size_t Launcher::parameter(Value operand) {
  operands.push_back(operand);
  return operands.size() - 1;
}

Number Launcher::number(OpFoldResult value, unsigned bits) {
  if (std::optional<int64_t> constant = getConstantIntValue(value))
    return {constant, 0};
  Value operand =
      arith::IndexCastOp::create(b, b.getIntegerType(bits), cast<Value>(value));
  return {std::nullopt, parameter(operand)};
}

Value Launcher::extentOf(char letter) {
  return getValueOrCreateConstantIndexOp(b, b.getLoc(),
                                         letterExtent(b, like, letter));
}

Strided Launcher::strided(Value memref, StringRef term) {
  Strided result;
  result.base = parameter(einhead::pointerTo(b, memref));
  auto metadata = memref::ExtractStridedMetadataOp::create(b, memref);
  SmallVector<OpFoldResult> strides = metadata.getConstifiedMixedStrides();
  for (char letter : roles.batch)
    result.batch.push_back(number(strides[term.find(letter)], 64));
  for (char letter : roles.row)
    result.row.push_back(number(strides[term.find(letter)], 64));
  return result;
}

Strided Launcher::stridedKeys(Value memref, StringRef term, Number &stride) {
  Strided result;
  result.base = parameter(einhead::pointerTo(b, memref));
  auto metadata = memref::ExtractStridedMetadataOp::create(b, memref);
  SmallVector<OpFoldResult> strides = metadata.getConstifiedMixedStrides();
  for (char letter : roles.batch) {
    size_t place = term.find(letter);
    result.batch.push_back(
        place == StringRef::npos ? Number{0, 0} : number(strides[place], 64));
  }
  stride = number(strides[term.find(roles.key[0])], 64);
  return result;
}

/// A scale for each key and batch index.
Strided Launcher::scales(Value memref, StringRef term) {
  Number stride;
  Strided result = stridedKeys(memref, term, stride);
  result.row.push_back(stride);
  return result;
}

/// Numbers in the host's memory.
Value Launcher::array(ArrayRef<Value> values) {
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  Value count = LLVM::ConstantOp::create(b, b.getI64Type(), values.size());
  Value memory = LLVM::AllocaOp::create(b, pointer, b.getI64Type(), count);
  for (auto [i, value] : llvm::enumerate(values)) {
    Value slot = LLVM::GEPOp::create(b, pointer, b.getI64Type(), memory,
                                     ArrayRef<LLVM::GEPArg>{int32_t(i)});
    LLVM::StoreOp::create(b, toI64(value), slot);
  }
  return memory;
}

/// A tensor map of K or V: boxes of 128 bytes of columns by a tile of keys.
size_t Launcher::tensorMap(Value memref, StringRef term, char column,
                           SmallVectorImpl<int64_t> &letters) {
  auto metadata = memref::ExtractStridedMetadataOp::create(b, memref);
  auto extent = [&](char letter) -> Value {
    return getValueOrCreateConstantIndexOp(
        b, b.getLoc(), metadata.getConstifiedMixedSizes()[term.find(letter)]);
  };
  Value bytes = index(shape.byteKeys ? 1 : 2);
  SmallVector<Value> sizes = {extent(column), extent(roles.key[0])}, strides,
                     box = {index(shape.boxColumns()),
                            index(shape.stageKeys())};
  auto addStride = [&](char letter) {
    Value stride = getValueOrCreateConstantIndexOp(
        b, b.getLoc(), metadata.getConstifiedMixedStrides()[term.find(letter)]);
    strides.push_back(b.createOrFold<arith::MulIOp>(stride, bytes));
  };
  addStride(roles.key[0]);
  for (char letter : llvm::reverse(term)) {
    if (letter == column || letter == roles.key[0])
      continue;
    letters.push_back(roles.batch.find(letter));
    sizes.push_back(extent(letter));
    addStride(letter);
    box.push_back(index(1));
  }
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  Value count = LLVM::ConstantOp::create(b, b.getI64Type(), tensorMapBytes);
  Value map = LLVM::AllocaOp::create(b, pointer, b.getI8Type(), count,
                                     tensorMapAlignment);
  auto i64 = [&](int64_t value) -> Value {
    return arith::ConstantIntOp::create(b, value, 64);
  };
  // Codes of element types: runtime.h.
  int64_t code = shape.byteKeys ? 0 : shape.element.isF16() ? 1 : 2;
  call("einhead_host_tensor_map", {},
       {map, einhead::pointerTo(b, memref), i64(code), i64(sizes.size()),
        array(sizes), array(strides), array(box), i64(128)});
  size_t result = parameter(map);
  maps.insert(result);
  return result;
}

void Launcher::launch(StringRef name) {
  auto symbol =
      SymbolRefAttr::get(b.getContext(), kernels.getSymName(),
                         {FlatSymbolRefAttr::get(b.getContext(), name)});
  Value one = index(1);
  Value sharedBytes = arith::ConstantIntOp::create(b, shape.sharedBytes(), 32);
  gpu::LaunchFuncOp::create(b, symbol, gpu::KernelDim3{grid, one, one},
                            gpu::KernelDim3{index(shape.threads()), one, one},
                            sharedBytes, operands, /*asyncTokenType=*/Type(),
                            /*asyncDependencies=*/ValueRange(),
                            gpu::KernelDim3{cluster, one, one});
}

/// Whether its rows begin at multiples of 16 bytes.
Value Launcher::isAligned(Value memref) {
  auto metadata = memref::ExtractStridedMetadataOp::create(b, memref);
  Value bits = einhead::addressOf(b, memref);
  SmallVector<OpFoldResult> strides = metadata.getConstifiedMixedStrides();
  for (OpFoldResult stride : ArrayRef(strides).drop_back()) {
    Value bytes =
        times(getValueOrCreateConstantIndexOp(b, b.getLoc(), stride), 2);
    bits = b.createOrFold<arith::OrIOp>(bits, bytes);
  }
  bits = b.createOrFold<arith::AndIOp>(bits, index(15));
  return compare(arith::CmpIPredicate::eq, bits, index(0));
}

/// Where K and V are.
void Launcher::passKeys() {
  if (shape.warps) {
    key = stridedKeys(op.getKey(), roles.keyTerm, keyStride);
    if (!shape.valueInKey)
      value = stridedKeys(op.getValue(), roles.valueTerm, valueStride);
    Value bits = index(0);
    Value memrefs[] = {op.getKey(), op.getValue(), op.getQuery()};
    for (auto [i, memref] : llvm::enumerate(memrefs))
      bits = b.createOrFold<arith::AddIOp>(
          bits, select(isAligned(memref), index(1 << i), index(0)));
    aligned = number(bits, 32);
    return;
  }
  keyMap = tensorMap(op.getKey(), roles.keyTerm, roles.depth[0], keyLetters);
  if (!shape.valueInKey)
    valueMap =
        tensorMap(op.getValue(), roles.valueTerm, roles.value[0], valueLetters);
}

void Launcher::run(StringRef name) {
  kernelName = name;
  b.setInsertionPoint(op);
  keyCount = extentOf(roles.key[0]);
  if (Value valid = op.getValid(); valid && valid.getType().isIndex()) {
    Value zero = index(0);
    Value length = b.createOrFold<arith::MaxSIOp>(valid, zero);
    keyCount = b.createOrFold<arith::MinSIOp>(length, keyCount);
  } else if (valid) {
    lengths = parameter(einhead::pointerTo(b, valid));
  }
  passKeys();
  query = strided(op.getQuery(), roles.queryTerm);
  output = strided(op.getOutput(), roles.outputTerm);
  if (op.getLse())
    lse = strided(op.getLse(), roles.state());
  if (op.getKeyScale())
    keyScale = scales(op.getKeyScale(), roles.keyScale());
  if (op.getValueScale())
    valueScale = scales(op.getValueScale(), roles.valueScale());
  tileCount =
      b.createOrFold<arith::CeilDivUIOp>(keyCount, index(shape.keyTile));
  if (op.getMask())
    measureMask();
  keys = number(keyCount, 32);
  for (char letter : roles.batch)
    extents.push_back(number(extentOf(letter), 32));
  shareOut();
  launch(name);
  buildKernel(name);
  op.erase();
}
