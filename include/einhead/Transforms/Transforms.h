//===- Transforms.h - The steps of the pipeline as functions ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a pass does to each op that it finds, and what an op of the transform
// dialect does to each op that it is given: the same function.
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TRANSFORMS_TRANSFORMS_H
#define EINHEAD_TRANSFORMS_TRANSFORMS_H

#include "einhead/IR/Attn.h"
#include "einhead/Target/TargetInfo.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/PatternMatch.h"

namespace einhead {

/// Replaces the einsum behind `softmax` by the attention that the chain is.
/// Where it is none, nothing changes and `why` says the first reason.  What
/// the chain needed before is left behind, without uses.
mlir::FailureOr<attn::AttentionOp> raiseAttention(mlir::RewriterBase &rewriter,
                                                  attn::SoftmaxOp softmax,
                                                  std::string &why);

/// Lets `op` read i8 keys and values with their scales, where what it reads now
/// is the product of both.  The remarks are those of `pass`, with `saysWhyNot`
/// also of what looks like such a product and is none.
void readScaledRows(mlir::RewriterBase &rewriter, attn::AttentionOp op,
                    llvm::StringRef pass, bool saysWhyNot);

/// Brings the attentions of a function into the form in which one K/V tile
/// serves all rows.
mlir::LogicalResult fuseSharedKV(mlir::func::FuncOp function);

/// Why the tiled loops cannot take this attention, or "".
std::string whyNotTiled(attn::AttentionOp op);

/// The schedule that the target's numbers ask for; whyNotTiled() must be "".
attn::ScheduleAttr chooseSchedule(attn::AttentionOp op,
                                  const TargetInfo &target);

/// Replaces a scheduled attention by partial attentions over chunks of its
/// keys, each continuing the states of the one before, and the merge that is
/// returned.
mlir::FailureOr<attn::MergeOp> splitKeys(mlir::RewriterBase &rewriter,
                                         attn::AttentionOp op);

/// Replaces chunked partial attentions, in the order of the program, by loops
/// over chunks, batch letters and row blocks, and over the keys of each tile.
/// Those that continue one another share their outer loop.
mlir::FailureOr<llvm::SmallVector<mlir::scf::ForallOp>>
tileDecode(mlir::RewriterBase &rewriter,
           llvm::ArrayRef<attn::PartialAttentionOp> partials);

/// Makes a merge one task for each state but those along the last letter; null
/// where there is one letter alone, and the merge stays.
mlir::FailureOr<mlir::scf::ForallOp> tileMerge(mlir::RewriterBase &rewriter,
                                               attn::MergeOp op);

/// Replaces a partial attention on one chunk by loops over tiles of `key_tile`
/// keys.  Tiles that the mask holds everywhere carry no mask; tiles where it
/// holds nowhere are not visited.
mlir::LogicalResult tileKeys(mlir::RewriterBase &rewriter,
                             attn::PartialAttentionOp op);

} // namespace einhead

#endif // EINHEAD_TRANSFORMS_TRANSFORMS_H
