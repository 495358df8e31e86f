//===- FinishInterfaces.cpp - Public functions on buffers ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"

using namespace mlir;

/// All results of a public function are arguments by now: destinations always,
/// and caches where the update happens in place.
static LogicalResult checkResults(func::FuncOp function) {
  if (function.getNumResults() == 0)
    return success();
  auto name = function.getResultAttrOfType<StringAttr>(0, "attn.cache");
  Operation *returnOp = function.front().getTerminator();
  Location loc = returnOp->getOperand(0).getLoc();
  if (!name)
    return emitError(loc) << "a result of @" << function.getName()
                          << " is not written to its destination";
  InFlightDiagnostic diagnostic = emitError(loc)
                                  << "cache \"" << name.getValue()
                                  << "\" is not updated in place";
  diagnostic.attachNote(function.getLoc())
      << "the new state must come from the argument by attn.append or "
         "tensor.insert_slice, and the old one must not be used afterwards";
  return diagnostic;
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
        if (failed(checkResults(function)))
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
  registerPass(createLinalgReductionsToLoopsPass);
}
