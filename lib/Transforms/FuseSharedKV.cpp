//===- FuseSharedKV.cpp - Share K/V loads between rows ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Analysis/Remark.h"
#include "einhead/Analysis/Traffic.h"
#include "einhead/Transforms/Passes.h"
#include "einhead/Transforms/Transforms.h"

namespace einhead {
#define GEN_PASS_DEF_FUSESHAREDKVPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// Says what is shared, and what that saves.
static void report(AttentionLike op) {
  AttentionRoles roles = rolesOf(op);
  AttentionTraffic traffic = AttentionTraffic::of(op);
  std::string rows =
      roles.row.empty()
          ? "every row has its own K/V (no row letter): nothing to share"
          : "row letters \"" + roles.row + "\" share each K/V load";
  remarkPassed(op.getLoc(), "attn-fuse-shared-kv", "SharedKV",
               rows + "; K/V bytes: " + toString(traffic.kvBytes) +
                   " (walked row by row: " + toString(traffic.kvBytesUnshared) +
                   "); operations: " + toString(traffic.operations));
}

LogicalResult einhead::fuseSharedKV(func::FuncOp function) {
  function.walk([](AttentionOp op) {
    op.setSharedKv(true);
    report(cast<AttentionLike>(op.getOperation()));
  });
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
