//===- DeviceLaunch.cpp - Host code around kernels --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DeviceLaunch.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

static constexpr StringLiteral kernelsName = "kernels", sharedName = "shared";

gpu::GPUModuleOp einhead::kernelsOf(ModuleOp module) {
  if (auto found = module.lookupSymbol<gpu::GPUModuleOp>(kernelsName))
    return found;
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(),
                  builder.getUnitAttr());
  return gpu::GPUModuleOp::create(builder, module.getLoc(), kernelsName);
}

Value einhead::dynamicSharedMemory(ImplicitLocOpBuilder &b,
                                   gpu::GPUModuleOp kernels) {
  constexpr unsigned alignment = 1024, space = 3;
  if (!kernels.lookupSymbol(sharedName)) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(kernels.getBody());
    LLVM::GlobalOp::create(b, LLVM::LLVMArrayType::get(b.getI8Type(), 0),
                           /*isConstant=*/false, LLVM::Linkage::External,
                           sharedName, Attribute(), alignment, space);
  }
  return LLVM::AddressOfOp::create(
      b, LLVM::LLVMPointerType::get(b.getContext(), space), sharedName);
}

Value einhead::callHost(ImplicitLocOpBuilder &b, ModuleOp module,
                        StringRef name, TypeRange results,
                        ValueRange operands) {
  if (!module.lookupSymbol(name)) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(module.getBody());
    auto function = func::FuncOp::create(
        b, name, b.getFunctionType(operands.getTypes(), results));
    function.setPrivate();
  }
  auto call = func::CallOp::create(b, name, results, operands);
  return results.empty() ? Value() : call.getResult(0);
}

Value einhead::addressOf(ImplicitLocOpBuilder &b, Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  auto metadata = memref::ExtractStridedMetadataOp::create(b, memref);
  Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, memref);
  Value bytes =
      arith::ConstantIndexOp::create(b, type.getElementTypeBitWidth() / 8);
  Value offset = b.createOrFold<arith::MulIOp>(metadata.getOffset(), bytes);
  return b.createOrFold<arith::AddIOp>(address, offset);
}

Value einhead::pointerTo(ImplicitLocOpBuilder &b, Value memref) {
  Value address =
      arith::IndexCastOp::create(b, b.getI64Type(), addressOf(b, memref));
  return LLVM::IntToPtrOp::create(b, LLVM::LLVMPointerType::get(b.getContext()),
                                  address);
}
