//===- DecodeEntry.cpp - The kernel as a function ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DecodeLauncher.h"
#include "einhead/IR/Tile.h"
#include "einhead/Target/DeviceCode.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;
using namespace einhead::hopper;

Value Launcher::given(KernelBuilder &kernel, Block *body, const Number &number,
                      unsigned bits) {
  if (!number.constant)
    return body->getArgument(number.parameter);
  return bits == 32 ? kernel.i32(*number.constant)
                    : kernel.i64(*number.constant);
}

Addressed Launcher::addressed(KernelBuilder &kernel, Block *body,
                              const Strided &strided) {
  Addressed result;
  result.base = body->getArgument(strided.base);
  for (const Number &stride : strided.batch)
    result.batchStrides.push_back(given(kernel, body, stride, 64));
  for (const Number &stride : strided.row)
    result.rowStrides.push_back(given(kernel, body, stride, 64));
  return result;
}

KeyMask Launcher::keyMask(KernelBuilder &kernel, Block *body) {
  MaskAttr mask = *op.getMask();
  KeyMask result;
  for (IntegerSetAttr set : mask.getSets())
    result.sets.push_back(set.getValue());
  for (char letter : mask.getLetters()) {
    size_t place = roles.row.find(letter);
    result.dims.push_back(place == std::string::npos ? -1 : int64_t(place));
  }
  for (const Number &symbol : maskSymbols)
    result.symbols.push_back(given(kernel, body, symbol, 32));
  result.begin = given(kernel, body, maskBegin, 32);
  result.fullBegin = given(kernel, body, fullBegin, 32);
  result.fullEnd = given(kernel, body, fullEnd, 32);
  return result;
}

void Launcher::buildKernel(StringRef name) {
  OpBuilder::InsertionGuard guard(b);
  LLVM::LLVMFuncOp function = createKernel(b, kernels, name, operands,
                                           shape.threads(), shape.blocksPerSM);
  for (size_t map : maps) {
    function.setArgAttr(
        map, LLVM::LLVMDialect::getByValAttrName(),
        TypeAttr::get(LLVM::LLVMArrayType::get(b.getI8Type(), tensorMapBytes)));
    function.setArgAttr(map, LLVM::LLVMDialect::getAlignAttrName(),
                        b.getI64IntegerAttr(tensorMapAlignment));
    function.setArgAttr(map, NVVM::NVVMDialect::getGridConstantAttrName(),
                        b.getUnitAttr());
  }
  Block *body = &function.getBody().front();
  KernelBuilder kernel(b, b.getLoc());
  DecodeParameters p;
  if (shape.warps) {
    p.key = addressed(kernel, body, key);
    p.aligned = given(kernel, body, aligned, 32);
    p.keyStride = given(kernel, body, keyStride, 64);
    if (!shape.valueInKey) {
      p.value = addressed(kernel, body, value);
      p.valueStride = given(kernel, body, valueStride, 64);
    }
  } else {
    p.keyMap = body->getArgument(keyMap);
    p.valueMap = body->getArgument(valueMap);
    p.keyLetters = keyLetters;
    p.valueLetters = valueLetters;
  }
  p.query = addressed(kernel, body, query);
  p.output = addressed(kernel, body, output);
  if (op.getLse())
    p.lse = addressed(kernel, body, lse);
  if (op.getKeyScale())
    p.keyScale = addressed(kernel, body, keyScale);
  if (op.getValueScale())
    p.valueScale = addressed(kernel, body, valueScale);
  p.partials = body->getArgument(partials);
  p.counters = body->getArgument(counters);
  if (lengths)
    p.lengths = body->getArgument(*lengths);
  p.keys = given(kernel, body, keys, 32);
  p.parts = given(kernel, body, parts, 32);
  p.units = given(kernel, body, units, 32);
  p.unitsEach = given(kernel, body, unitsEach, 32);
  if (op.getMask())
    p.mask = keyMask(kernel, body);
  for (const Number &extent : extents)
    p.batchExtents.push_back(given(kernel, body, extent, 32));
  for (char letter : roles.row)
    p.rowExtents.push_back(staticExtent(like, letter));
  Value sharedBase = dynamicSharedMemory(b, kernels);
  buildDecodeKernel(b, b.getLoc(), shape, p, sharedBase);
  LLVM::ReturnOp::create(b, ValueRange());
}
