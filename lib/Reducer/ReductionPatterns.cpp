//===- ReductionPatterns.cpp - Reductions under a tester --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The extents of one letter stand in arguments, ops and results at once, so
// that a step is a step of a whole function.  Patterns without a tester apply
// until nothing changes and are judged by the end; these ask after each step.
//
//===----------------------------------------------------------------------===//

#include "Reductions.h"
#include "einhead/IR/Attn.h"
#include "einhead/Reducer/Reducer.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Reducer/ReductionPatternInterface.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::reducer;

/// Ops first: each that goes saves the steps on its parts and extents.
static constexpr Reduction reductions[] = {
    dropResult,   returnOperand, cutBeforeOp,  bypassOp,      dropPart,
    dropArgument, shrinkExtent,  shrinkLength, dropAttribute,
};

namespace {
class ReduceFunction final : public OpRewritePattern<func::FuncOp> {
public:
  ReduceFunction(MLIRContext *context, Tester &tester)
      : OpRewritePattern(context), tester(tester) {}

  LogicalResult matchAndRewrite(func::FuncOp function,
                                PatternRewriter &rewriter) const override {
    if (function.isExternal())
      return failure();
    bool changed = false, progress = true;
    while (progress) {
      progress = false;
      for (Reduction reduction : reductions)
        progress |= reduce(function, reduction, rewriter);
      changed |= progress;
    }
    return success(changed);
  }

private:
  /// Takes every chance of one kind.
  bool reduce(func::FuncOp function, Reduction reduction,
              PatternRewriter &rewriter) const {
    auto module = function->getParentOfType<ModuleOp>();
    bool changed = false;
    for (unsigned n = 0;;) {
      OwningOpRef<ModuleOp> trial(module.clone());
      auto copy = trial->lookupSymbol<func::FuncOp>(function.getName());
      if (!copy || !reduction(copy, n))
        return changed;
      eraseDeadOps(copy);
      if (!isInteresting(*trial)) {
        ++n;
        continue;
      }
      changed = true;
      rewriter.modifyOpInPlace(function, [&] {
        function.getBody().takeBody(copy.getBody());
        // setAttrs would keep an attribute that the copy has no more.
        function->copyProperties(copy->getPropertiesStorage());
        function->setDiscardableAttrs(copy->getDiscardableAttrDictionary());
      });
    }
  }

  /// The tree of variants comes to the same modules again and again.
  bool isInteresting(ModuleOp module) const {
    ScopedDiagnosticHandler silence(module.getContext(), [](Diagnostic &) {});
    if (failed(verify(module)))
      return false;
    std::string text;
    llvm::raw_string_ostream(text) << module;
    auto [at, isNew] = known.try_emplace(text, false);
    if (isNew)
      at->second =
          tester.isInteresting(module).first == Tester::Interestingness::True;
    return at->second;
  }

  Tester &tester;
  mutable llvm::StringMap<bool> known;
};

struct AttnReductions final : DialectReductionPatternInterface {
  explicit AttnReductions(Dialect *dialect)
      : DialectReductionPatternInterface(dialect) {}

  void populateReductionPatterns(RewritePatternSet &) const override {}
  void populateReductionPatternsWithTester(RewritePatternSet &patterns,
                                           Tester &tester) const override {
    patterns.add<ReduceFunction>(patterns.getContext(), tester);
  }
};
} // namespace

void einhead::registerReductionPatterns(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *, attn::AttnDialect *dialect) {
    dialect->addInterfaces<AttnReductions>();
  });
}
