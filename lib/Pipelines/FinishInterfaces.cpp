//===- FinishInterfaces.cpp - Public functions on buffers -------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;

/// The argument whose buffer `value` is, or null.
static BlockArgument rootArgument(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto castOp = dyn_cast<memref::CastOp>(op))
      value = castOp.getSource();
    else if (auto loop = dyn_cast<scf::ForOp>(op))
      // Bufferization lets loops yield nothing but the buffer they began with.
      value = loop.getTiedLoopInit(cast<OpResult>(value))->get();
    else
      return nullptr;
  }
  auto argument = cast<BlockArgument>(value);
  return isa<func::FuncOp>(argument.getOwner()->getParentOp()) ? argument
                                                               : nullptr;
}

/// Whether result `index` is in the buffer where the caller looks for it: the
/// cache of that name, or a destination.
static LogicalResult checkResult(func::FuncOp function, unsigned index,
                                 Value value) {
  auto cache = function.getResultAttrOfType<StringAttr>(index, "attn.cache");
  BlockArgument root = rootArgument(value);
  if (root && !cache)
    return success();
  if (root && function.getArgAttrOfType<StringAttr>(root.getArgNumber(),
                                                    "attn.name") == cache)
    return success();
  if (!cache)
    return emitError(value.getLoc()) << "a result of @" << function.getName()
                                     << " is not written to its destination";
  InFlightDiagnostic diagnostic = emitError(value.getLoc())
                                  << "cache \"" << cache.getValue()
                                  << "\" is not updated in place";
  diagnostic.attachNote(function.getLoc())
      << "the new state must come from the argument by attn.append or "
         "tensor.insert_slice, and the old one must not be used afterwards";
  return diagnostic;
}

/// Results of public functions are arguments by now.  Upstream's
/// drop-equivalent-buffer-results leaves public functions as they are.
static LogicalResult dropResults(func::FuncOp function) {
  Operation *returnOp = function.front().getTerminator();
  for (auto [i, value] : llvm::enumerate(returnOp->getOperands()))
    if (failed(checkResult(function, i, value)))
      return failure();
  returnOp->setOperands({});
  return function.eraseResults(llvm::BitVector(function.getNumResults(), true));
}

/// The attributes describe whole tensors; the LLVM dialect splits arguments.
static void dropAttributes(func::FuncOp function) {
  auto keep = [](DictionaryAttr attributes) {
    NamedAttrList kept;
    for (NamedAttribute attribute : attributes)
      if (attribute.getNameDialect() == nullptr ||
          attribute.getNameDialect()->getNamespace() != "attn")
        kept.push_back(attribute);
    return kept.getDictionary(attributes.getContext());
  };
  for (unsigned i = 0, e = function.getNumArguments(); i < e; ++i)
    if (DictionaryAttr attributes = function.getArgAttrDict(i))
      function.setArgAttrs(i, keep(attributes));
  for (unsigned i = 0, e = function.getNumResults(); i < e; ++i)
    if (DictionaryAttr attributes = function.getResultAttrDict(i))
      function.setResultAttrs(i, keep(attributes));
}

namespace {
struct FinishInterfacesPass final
    : PassWrapper<FinishInterfacesPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FinishInterfacesPass)

  StringRef getArgument() const override { return "einhead-finish-interfaces"; }
  StringRef getDescription() const override {
    return "Check that results are written in place, and drop what describes "
           "them";
  }

  void runOnOperation() override {
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>()) {
      if (function.isPublic() && !function.isExternal()) {
        if (failed(dropResults(function)))
          return signalPassFailure();
        function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                          UnitAttr::get(&getContext()));
      }
      dropAttributes(function);
    }
    getOperation()->removeDiscardableAttr("attn.parameters");
  }
};
} // namespace

std::unique_ptr<Pass> einhead::createFinishInterfacesPass() {
  return std::make_unique<FinishInterfacesPass>();
}

void einhead::registerPipelinePasses() {
  PassRegistration<FinishInterfacesPass>();
  registerPass(createFuseElementwisePass);
  registerPass([] { return createContractionsToVectorPass(); });
  registerPass([] { return createContractionsToGPUPass(); });
  registerPass(createOwnFillsPass);
  registerPass(createLinalgReductionsToLoopsPass);
  registerPass(createNameKernelsPass);
  registerPass(createCheckHostMemoryPass);
  registerPass(createKernelsToNVVMPass);
}
