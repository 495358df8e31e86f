//===- StateTraffic.cpp - Write down the K/V bytes that must be read ------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Analysis/Remark.h"
#include "einhead/Analysis/TrafficContract.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/IR/Builders.h"

namespace einhead {
#define GEN_PASS_DEF_STATETRAFFICPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// [argument, dimension, size, ...]
static SmallVector<int64_t> listed(const IndexEvaluator &at) {
  SmallVector<std::array<int64_t, 3>> entries;
  for (auto &[dim, size] : at.sizes)
    entries.push_back({dim.first.getArgNumber(), dim.second, size});
  llvm::sort(entries);
  SmallVector<int64_t> list;
  for (auto &entry : entries)
    list.append(entry.begin(), entry.end());
  return list;
}

/// Once for an attention, in a loop too.
static void reportMask(AttentionOp op, const IndexEvaluator &at,
                       llvm::DenseSet<Operation *> &reported) {
  if (!op.getMask() || !reported.insert(op).second)
    return;
  if (auto work = maskedWork(op, at))
    remarkAnalysis(op.getLoc(), "attn-state-traffic", "Masked",
                   "the mask keeps " + Twine(work->scores) + " of " +
                       Twine(work->allScores) + " scores, " +
                       Twine(work->operations) + " operations" +
                       exampleText(op->getParentOfType<func::FuncOp>()));
}

namespace {
struct StateTrafficPass final
    : einhead::impl::StateTrafficPassBase<StateTrafficPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    IndexEvaluator at = exampleSizes(function);
    int64_t bytes = 0, walked = 0;
    bool any = false;
    std::string why;
    llvm::DenseSet<Operation *> reported;
    Operation *stuck = at.run(function, [&](Operation *op) {
      auto attention = dyn_cast<AttentionOp>(op);
      if (!attention || !attention.getScheduleAttr())
        return;
      any = true;
      reportMask(attention, at, reported);
      ScheduleAttr schedule = attention.getScheduleAttr();
      auto stated = statedBytes(attention, at);
      auto blocks = rowBlocks(attention, schedule.getRowTile(), at);
      if (!stated || !blocks) {
        why = "the keys depend on what is in a tensor";
        return;
      }
      bytes += stated->least * *blocks;
      walked += stated->walked * *blocks;
    });
    if (!any)
      return;
    if (stuck)
      why = ("'" + stuck->getName().getStringRef() + "' is not run here").str();
    if (!why.empty()) {
      remarkAnalysis(function.getLoc(), "attn-state-traffic", "NotCounted",
                     "no traffic contract: " + why);
      return;
    }
    Builder b(&getContext());
    function->setAttr(
        "attn.traffic",
        b.getDictionaryAttr(
            {b.getNamedAttr("bytes", b.getI64IntegerAttr(bytes)),
             b.getNamedAttr("walked", b.getI64IntegerAttr(walked)),
             b.getNamedAttr("sizes", b.getDenseI64ArrayAttr(listed(at)))}));
  }
};
} // namespace
