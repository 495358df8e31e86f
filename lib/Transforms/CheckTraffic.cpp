//===- CheckTraffic.cpp - Hold the loops to the K/V bytes stated ----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Analysis/Remark.h"
#include "einhead/Analysis/TrafficContract.h"
#include "einhead/Transforms/Passes.h"

namespace einhead {
#define GEN_PASS_DEF_CHECKTRAFFICPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;

namespace {
struct CheckTrafficPass final
    : einhead::impl::CheckTrafficPassBase<CheckTrafficPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    auto contract = function->getAttrOfType<DictionaryAttr>("attn.traffic");
    if (!contract)
      return;
    function->removeAttr("attn.traffic");
    auto stated = contract.getAs<IntegerAttr>("bytes");
    auto sizes = contract.getAs<DenseI64ArrayAttr>("sizes");
    if (!stated || !sizes || sizes.size() % 3) {
      function.emitError("attn.traffic holds bytes and sizes (argument, "
                         "dimension, size)");
      return signalPassFailure();
    }
    IndexEvaluator at;
    for (int64_t i = 0; i < sizes.size(); i += 3) {
      if (sizes[i] < 0 || sizes[i] >= function.getNumArguments()) {
        function.emitError() << "attn.traffic: no argument #" << sizes[i];
        return signalPassFailure();
      }
      at.sizes[{function.getArgument(sizes[i]),
                static_cast<unsigned>(sizes[i + 1])}] = sizes[i + 2];
    }
    // A mask whose keys lie apart in no list is walked with those between.
    auto walked = contract.getAs<IntegerAttr>("walked");
    int64_t most =
        std::max(stated.getInt(), walked ? walked.getInt() : stated.getInt());
    check(function, stated.getInt(), most, loopBytes(function, at));
  }

  void check(func::FuncOp function, int64_t stated, int64_t most,
             const LoopBytes &loops) {
    if (loops.stuck) {
      remarkAnalysis(function.getLoc(), "attn-check-traffic", "NotCounted",
                     "K/V bytes of the loops are not counted: '" +
                         loops.stuck->getName().getStringRef() +
                         "' is not run here");
      return;
    }
    if (loops.bytes > most + loops.padding) {
      auto error = function.emitError()
                   << "the loops read " << loops.bytes
                   << " bytes of K and V, the letters and masks need "
                   << stated;
      if (most > stated)
        error << ", " << most << " with the keys between";
      error << " (and " << loops.padding
            << " of padding): something is loaded again";
      return signalPassFailure();
    }
    remarkAnalysis(function.getLoc(), "attn-check-traffic", "Counted",
                   "K/V bytes" + exampleText(function) + ": " + Twine(stated) +
                       " at least, " + Twine(loops.bytes) +
                       " read by the loops" +
                       (loops.bytes > stated + loops.padding
                            ? ": keys of the mask lie apart in no list, and "
                              "those between are read too"
                            : ""));
  }
};
} // namespace
