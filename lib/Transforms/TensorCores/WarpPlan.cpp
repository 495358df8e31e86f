//===- WarpPlan.cpp - Sizes of a decode kernel of warps ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WarpPlan.h"
#include "einhead/IR/KeySet.h"
#include "einhead/IR/Tile.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;
using namespace einhead::hopper;
using namespace einhead::tensorcores;

/// Rows of 16 by columns of 8 have four f32 in each thread.  What ptxas takes
/// without spilling.
static constexpr int64_t mostRegisters = 236;
/// Keys that a warp computes with at a time: operand A of the second product.
static constexpr int64_t warpKeys = 16;
/// More stages do not keep more of the memory busy.
static constexpr int64_t mostStages = 6;

/// Registers of a thread: outputs, scores, weights, sums and maxima of its
/// rows; operands and addresses; queries, where they stay.
static int64_t registersFor(const DecodeShape &shape, int64_t rowTiles,
                            bool keepsQueries) {
  int64_t each = shape.width / 8 * 4 + warpKeys / 8 * 4 + 6;
  if (keepsQueries)
    each += llvm::divideCeil(shape.depth, 16) * 4;
  return rowTiles * each + 56;
}

/// The most rows of 16 that a warp has registers for, 0 if there is not one.
static int64_t mostRowTiles(const DecodeShape &shape) {
  int64_t most = 0;
  while (registersFor(shape, most + 1, false) <= mostRegisters)
    ++most;
  return most;
}

/// As many stages as there is room for; whether there are enough to fill one
/// while another is read.
static bool takeStages(DecodeShape &shape, const GPUInfo &gpu) {
  constexpr int64_t reserved = 1 << 10;
  int64_t budget = std::min(gpu.sharedBytes / shape.blocksPerSM - reserved,
                            gpu.sharedBytesPerBlock);
  for (shape.stages = 1;
       shape.stages <= mostStages && shape.sharedBytes() <= budget;)
    ++shape.stages;
  --shape.stages;
  return shape.stages >= 2;
}

/// Warps of a block, for these rows: groups that split the keys, warps of a
/// group that split the rows.
static void cutRows(DecodeShape &shape, int64_t rows) {
  WarpShape &warps = *shape.warps;
  int64_t tiles = llvm::divideCeil(rows, 16), most = mostRowTiles(shape);
  for (warps.rowWarps = 1; warps.rowWarps * most < tiles;)
    warps.rowWarps *= 2;
  warps.rowTiles = llvm::divideCeil(tiles, warps.rowWarps);
  warps.keepsQueries =
      registersFor(shape, warps.rowTiles, true) <= mostRegisters;
}

/// The first of some ways to cut that fits into shared memory; false if none
/// does.  Measured on an H200: eight warps of one block; where keys are few,
/// small blocks that overlap their ends.
static bool takeGroups(DecodeShape &shape, const GPUInfo &gpu, bool isShort) {
  constexpr int64_t mostWarps = 8;
  int64_t rowWarps = shape.warps->rowWarps;
  auto takes = [&](int64_t warps, int64_t blocks) {
    shape.groups = std::max<int64_t>(warps / rowWarps, 1);
    shape.blocksPerSM = blocks;
    shape.keyTile = shape.groups * warpKeys;
    return rowWarps <= warps && takeStages(shape, gpu);
  };
  if (isShort && rowWarps == 1 && shape.warps->rowTiles == 1)
    for (int64_t blocks : {3, 2})
      if (takes(mostWarps / 2, blocks))
        return true;
  for (int64_t warps = mostWarps; warps >= 1; warps /= 2)
    if (takes(warps, 1))
      return true;
  return false;
}

/// Blocks of rows, as few as there can be.
static bool plan(DecodeShape &shape, const GPUInfo &gpu, bool isShort) {
  constexpr int64_t mostRowWarps = 4;
  shape.warps.emplace();
  int64_t most = mostRowTiles(shape) * mostRowWarps * 16;
  if (!most)
    return false;
  int64_t blocks = llvm::divideCeil(shape.totalRows, most);
  for (;; ++blocks) {
    shape.rows = llvm::divideCeil(shape.totalRows, blocks);
    cutRows(shape, shape.rows);
    if (takeGroups(shape, gpu, isShort))
      return true;
    if (shape.rows <= 16)
      return false;
  }
}

static bool hasFewKeys(AttentionOp op) {
  constexpr int64_t fewKeys = 512;
  auto like = cast<AttentionLike>(op.getOperation());
  int64_t keys = staticExtent(like, rolesOf(like).key[0]);
  return !ShapedType::isDynamic(keys) && keys <= fewKeys;
}

static std::string whyNotLayout(AttentionOp op, const AttentionRoles &roles) {
  if (roles.keyTerm.back() != roles.depth[0])
    return "depth is not the last letter of the key";
  if (roles.valueTerm.back() != roles.value[0])
    return "the value's columns are not its last letter";
  return "";
}

/// Keys from a first to a last one, the same for all units.
static std::string whyNotMask(MaskAttr mask, const AttentionRoles &roles) {
  for (char letter : otherLetters(mask, roles.key[0]))
    if (roles.row.find(letter) == std::string::npos)
      return std::string("its mask differs along '") + letter +
             "', which is no row letter";
  if (isSparse(mask, roles.key[0]) || disjointMasks(mask).size() != 1)
    return "the keys of its mask lie apart";
  return "";
}

/// "" where the kernel of warps takes it.
static std::string whyNotWarpKernel(AttentionOp op) {
  if (std::string why = whyNotDecodeKernel(op); !why.empty())
    return why;
  AttentionRoles roles = rolesOf(cast<AttentionLike>(op.getOperation()));
  if (getElementTypeOrSelf(op.getKey()) != getElementTypeOrSelf(op.getQuery()))
    return "mma.sync takes keys and values of the query's type alone";
  if (std::string why = whyNotLayout(op, roles); !why.empty())
    return why;
  if (op.getKeyScale() || op.getValueScale() || op.getSink())
    return "mma.sync takes neither scales of keys and values nor a sink";
  return op.getMask() ? whyNotMask(*op.getMask(), roles) : "";
}

std::optional<DecodeShape>
einhead::tensorcores::planTensorCores(AttentionOp op, const GPUInfo &gpu,
                                      std::string &why) {
  if (gpu.chip == "sm_90a") {
    why = whyNotDecodeKernel(op);
    return why.empty() ? std::optional(planDecodeKernel(op)) : std::nullopt;
  }
  why = whyNotWarpKernel(op);
  if (!why.empty())
    return std::nullopt;
  DecodeShape shape =
      shapeOf(op, rolesOf(cast<AttentionLike>(op.getOperation())));
  if (plan(shape, gpu, hasFewKeys(op)))
    return shape;
  why = (Twine("rows of ") + Twine(shape.depth) + " and " + Twine(shape.width) +
         " columns are too wide for the registers of a warp or the shared "
         "memory of " +
         gpu.chip)
            .str();
  return std::nullopt;
}
