//===- EmitEntryPoints.cpp - What the runtime calls -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Transforms/Passes.h"
#include "einhead/runtime.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"

namespace einhead {
#define GEN_PASS_DEF_EMITENTRYPOINTSPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;

/// What convert-func-to-llvm calls the form of @f whose tensors are pointers.
static constexpr StringLiteral pointerFormPrefix = "_mlir_ciface_";
static constexpr StringLiteral entryPrefix = "einhead_entry_";
static constexpr StringLiteral hostName = "einhead_module_host";
static constexpr StringLiteral abiName = "einhead_module_abi";

static Type pointerType(OpBuilder &b) {
  return LLVM::LLVMPointerType::get(b.getContext());
}

static LLVM::GlobalOp hostVariable(ModuleOp module, OpBuilder &b) {
  if (auto global = module.lookupSymbol<LLVM::GlobalOp>(hostName))
    return global;
  return LLVM::GlobalOp::create(b, module.getLoc(), pointerType(b),
                                /*isConstant=*/false, LLVM::Linkage::External,
                                hostName, LLVM::ZeroAttr::get(b.getContext()));
}

/// `void einhead_entry_f(void **arguments)`: tensors pass as they come,
/// numbers are loaded.
static void createEntry(OpBuilder &b, LLVM::LLVMFuncOp pointerForm,
                        StringRef name) {
  Location loc = pointerForm.getLoc();
  auto type = LLVM::LLVMFunctionType::get(
      LLVM::LLVMVoidType::get(b.getContext()), {pointerType(b)});
  auto entry = LLVM::LLVMFuncOp::create(b, loc, (entryPrefix + name).str(),
                                        type, LLVM::Linkage::External);
  OpBuilder::InsertionGuard guard(b);
  Block *block = entry.addEntryBlock(b);
  b.setInsertionPointToStart(block);
  SmallVector<Value> arguments;
  for (auto [i, wanted] :
       llvm::enumerate(pointerForm.getFunctionType().getParams())) {
    Value slot = LLVM::GEPOp::create(
        b, loc, pointerType(b), pointerType(b), block->getArgument(0),
        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(i)});
    Value argument = LLVM::LoadOp::create(b, loc, pointerType(b), slot);
    if (!isa<LLVM::LLVMPointerType>(wanted))
      argument = LLVM::LoadOp::create(b, loc, wanted, argument);
    arguments.push_back(argument);
  }
  LLVM::CallOp::create(b, loc, pointerForm, arguments);
  LLVM::ReturnOp::create(b, loc, ValueRange());
}

/// The body of an allocation function: what the host's `allocate` returns.
static void callAllocate(OpBuilder &b, LLVM::LLVMFuncOp function,
                         LLVM::GlobalOp host, Value bytes, Value alignment) {
  Location loc = function.getLoc();
  Value variable = LLVM::AddressOfOp::create(b, loc, host);
  Value table = LLVM::LoadOp::create(b, loc, pointerType(b), variable);
  Value slot = LLVM::GEPOp::create(b, loc, pointerType(b), pointerType(b),
                                   table, ArrayRef<LLVM::GEPArg>{1});
  Value allocate = LLVM::LoadOp::create(b, loc, pointerType(b), slot);
  auto type = LLVM::LLVMFunctionType::get(pointerType(b),
                                          {b.getI64Type(), b.getI64Type()});
  auto call = LLVM::CallOp::create(b, loc, type,
                                   ValueRange{allocate, bytes, alignment});
  LLVM::ReturnOp::create(b, loc, call.getResults());
}

/// Defines the functions that finalize-memref-to-llvm declared, through the
/// host.  The workspace is an arena, so that freeing does nothing.
static void defineAllocation(ModuleOp module, OpBuilder &b) {
  auto declared = [&](StringRef name) -> LLVM::LLVMFuncOp {
    auto function = module.lookupSymbol<LLVM::LLVMFuncOp>(name);
    return function && function.isExternal() ? function : nullptr;
  };
  OpBuilder::InsertionGuard guard(b);
  if (auto function = declared("_mlir_memref_to_llvm_alloc")) {
    LLVM::GlobalOp host = hostVariable(module, b);
    Block *block = function.addEntryBlock(b);
    b.setInsertionPointToStart(block);
    Value alignment = LLVM::ConstantOp::create(
        b, function.getLoc(), b.getI64Type(), b.getI64IntegerAttr(64));
    callAllocate(b, function, host, block->getArgument(0), alignment);
    b.setInsertionPointToEnd(module.getBody());
  }
  if (auto function = declared("_mlir_memref_to_llvm_aligned_alloc")) {
    LLVM::GlobalOp host = hostVariable(module, b);
    Block *block = function.addEntryBlock(b);
    b.setInsertionPointToStart(block);
    callAllocate(b, function, host, block->getArgument(1),
                 block->getArgument(0));
    b.setInsertionPointToEnd(module.getBody());
  }
  if (auto function = declared("_mlir_memref_to_llvm_free")) {
    b.setInsertionPointToStart(function.addEntryBlock(b));
    LLVM::ReturnOp::create(b, function.getLoc(), ValueRange());
  }
}

/// Only entries and the two variables leave the module.
static void hideOthers(ModuleOp module) {
  for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
    if (function.isExternal() || function.getName().starts_with(entryPrefix))
      continue;
    function.setLinkage(LLVM::Linkage::Internal);
    function->removeAttr("llvm.emit_c_interface");
  }
  for (auto global : module.getOps<LLVM::GlobalOp>())
    if (global.getName() != hostName && global.getName() != abiName &&
        (global.getValueOrNull() || global.getInitializerBlock()))
      global.setLinkage(LLVM::Linkage::Internal);
}

/// A body that threads run is called in two places: keep one copy of it.
static void keepBodiesApart(ModuleOp module) {
  module.walk([&](LLVM::AddressOfOp op) {
    auto function = module.lookupSymbol<LLVM::LLVMFuncOp>(op.getGlobalName());
    if (function)
      function.setNoInline(true);
  });
}

namespace {
struct EmitEntryPointsPass final
    : einhead::impl::EmitEntryPointsPassBase<EmitEntryPointsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
    hostVariable(module, b);
    if (!module.lookupSymbol(abiName))
      LLVM::GlobalOp::create(b, module.getLoc(), b.getI32Type(),
                             /*isConstant=*/true, LLVM::Linkage::External,
                             abiName, b.getI32IntegerAttr(EINHEAD_MODULE_ABI));
    SmallVector<LLVM::LLVMFuncOp> pointerForms;
    for (auto function : module.getOps<LLVM::LLVMFuncOp>())
      if (!function.isExternal() &&
          function.getName().starts_with(pointerFormPrefix))
        pointerForms.push_back(function);
    for (LLVM::LLVMFuncOp function : pointerForms) {
      if (!isa<LLVM::LLVMVoidType>(
              function.getFunctionType().getReturnType())) {
        function.emitOpError("has results; make them destinations first "
                             "(attn-destination-results)");
        return signalPassFailure();
      }
      createEntry(b, function,
                  function.getName().drop_front(pointerFormPrefix.size()));
    }
    defineAllocation(module, b);
    keepBodiesApart(module);
    hideOthers(module);
  }
};
} // namespace
