//===- DeviceLaunch.cpp - Host code around kernels --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DeviceLaunch.h"
#include "einhead/Target/DeviceCode.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
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

LLVM::LLVMFuncOp einhead::createKernel(ImplicitLocOpBuilder &b,
                                       gpu::GPUModuleOp kernels, StringRef name,
                                       ValueRange operands, int64_t threads,
                                       int64_t blocksEach) {
  b.setInsertionPointToEnd(kernels.getBody());
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(b.getContext()),
                                  llvm::to_vector(operands.getTypes()));
  auto function = LLVM::LLVMFuncOp::create(b, name, type);
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), b.getUnitAttr());
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(),
                    b.getUnitAttr());
  function->setAttr(
      NVVM::NVVMDialect::getMaxntidAttrName(),
      b.getDenseI32ArrayAttr({static_cast<int32_t>(threads), 1, 1}));
  function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                    b.getI32IntegerAttr(static_cast<int32_t>(blocksEach)));
  function.setPassthroughAttr(
      b.getArrayAttr(b.getStringAttr(asWrittenAttribute)));
  b.setInsertionPointToStart(function.addEntryBlock(b));
  return function;
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

Value einhead::nameOfKernel(OpBuilder &b, Location loc, ModuleOp module,
                            StringRef kernel) {
  std::string symbol = ("einhead_kernel_" + kernel).str();
  auto global = module.lookupSymbol<LLVM::GlobalOp>(symbol);
  if (!global) {
    OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
    std::string text = kernel.str() + '\0';
    auto type = LLVM::LLVMArrayType::get(top.getI8Type(), text.size());
    global = LLVM::GlobalOp::create(top, loc, type, /*isConstant=*/true,
                                    LLVM::Linkage::Internal, symbol,
                                    top.getStringAttr(text));
  }
  return LLVM::AddressOfOp::create(b, loc, global);
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
