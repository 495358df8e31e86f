//===- FuseSharedKV.cpp - Share K/V loads between rows ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "SharedKV/SharedKV.h"
#include "einhead/Analysis/Remark.h"
#include "einhead/Analysis/Traffic.h"
#include "einhead/Analysis/ValueInKey.h"
#include "einhead/Transforms/Passes.h"
#include "einhead/Transforms/Transforms.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace einhead {
#define GEN_PASS_DEF_FUSESHAREDKVPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;
using namespace einhead::shared_kv;

/// Says what is shared, and what that saves.
static void report(AttentionLike op) {
  AttentionRoles roles = rolesOf(op);
  AttentionTraffic traffic = AttentionTraffic::of(op);
  std::string rows =
      roles.row.empty()
          ? "every row has its own K/V (no row letter): nothing to share"
          : "row letters \"" + roles.row + "\" share each K/V load";
  remarkPassed(op.getLoc(), passFlag, "SharedKV",
               rows + "; K/V bytes: " + toString(traffic.kvBytes) +
                   " (walked row by row: " + toString(traffic.kvBytesUnshared) +
                   "); operations: " + toString(traffic.operations));
}

/// Says what looks like sharing and is none.
static void reportMissed(AttentionOp op) {
  for (auto [name, why] :
       {std::pair("RepeatedKV", whyNotRepeatedKV(op)),
        std::pair("PrefixSuffix", whyNotPrefixSuffix(op)),
        std::pair("SiblingAttention", whyNotSiblingAttention(op))})
    if (!why.empty())
      remarkMissed(op.getLoc(), passFlag, name, why);
}

LogicalResult einhead::fuseSharedKV(func::FuncOp function) {
  // Siblings first: they are found by the elements of K and V, before those
  // are read from elsewhere.
  for (bool siblings : {true, false}) {
    RewritePatternSet patterns(function.getContext());
    if (siblings) {
      populateSiblingAttentionPatterns(patterns);
    } else {
      populatePrefixSuffixPatterns(patterns);
      populateRepeatedKVPatterns(patterns);
    }
    GreedyRewriteConfig config;
    config.setUseTopDownTraversal().enableFolding(false).enableConstantCSE(
        false);
    if (failed(applyPatternsGreedily(function, std::move(patterns), config)))
      return failure();
  }
  SmallVector<AttentionOp> ops;
  function.walk([&](AttentionOp op) { ops.push_back(op); });
  IRRewriter rewriter(function.getContext());
  for (AttentionOp op : ops) {
    // What was repeated after the product with its scales is read before it.
    readScaledRows(rewriter, op, passFlag, /*saysWhyNot=*/false);
    reportMissed(op);
    op.setSharedKv(true);
    report(cast<AttentionLike>(op.getOperation()));
    remarkValueInKey(cast<AttentionLike>(op.getOperation()),
                     "attn-fuse-shared-kv");
  }
  return success();
}

namespace {
struct FuseSharedKVPass final
    : einhead::impl::FuseSharedKVPassBase<FuseSharedKVPass> {
  void runOnOperation() override {
    if (failed(fuseSharedKV(getOperation())))
      signalPassFailure();
  }
};
} // namespace
