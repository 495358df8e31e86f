//===- FuseSharedKV.cpp - Share K/V loads between rows ---*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Analysis/Traffic.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/IR/Remarks.h"

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
  auto remark = remark::passed(op.getLoc(), remark::RemarkOpts::name("SharedKV")
                                                .category("attn-fuse-shared-kv"));
  if (roles.row.empty())
    remark << "every row has its own K/V (no row letter): nothing to share; ";
  else
    remark << "row letters \"" << roles.row << "\" share each K/V load; ";
  remark << "K/V bytes: " << toString(traffic.kvBytes) << " (walked row by row: "
         << toString(traffic.kvBytesUnshared)
         << "); operations: " << toString(traffic.operations);
}

namespace {
struct FuseSharedKVPass final
    : einhead::impl::FuseSharedKVPassBase<FuseSharedKVPass> {
  void runOnOperation() override {
    getOperation().walk([](AttentionOp op) {
      op.setSharedKv(true);
      report(cast<AttentionLike>(op.getOperation()));
    });
  }
};
} // namespace
