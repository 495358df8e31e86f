//===- Schedule.cpp - Choose tile sizes -------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TensorCores/WarpPlan.h"
#include "TileBuilder.h"
#include "einhead/Analysis/MaskReport.h"
#include "einhead/Analysis/Remark.h"
#include "einhead/IR/Tile.h"
#include "einhead/Target/TargetInfo.h"
#include "einhead/Transforms/Passes.h"
#include "einhead/Transforms/ScheduleFile.h"
#include "einhead/Transforms/Transforms.h"
#include "mlir/IR/TypeUtilities.h"

namespace einhead {
#define GEN_PASS_DEF_SCHEDULEPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

std::string einhead::whyNotTiled(AttentionOp op) {
  auto like = cast<AttentionLike>(op.getOperation());
  AttentionRoles roles = rolesOf(like);
  auto one = [](llvm::StringRef role, llvm::StringRef letters) {
    return letters.size() == 1
               ? ""
               : ("it has " + llvm::Twine(letters.size()) + " " + role +
                  " letters (\"" + letters + "\"), the tiled loops take one")
                     .str();
  };
  for (auto [role, letters] :
       {std::pair<llvm::StringRef, llvm::StringRef>{"key", roles.key},
        {"depth", roles.depth},
        {"value", roles.value}})
    if (std::string why = one(role, letters); !why.empty())
      return why;
  for (auto [what, term, letter] :
       {std::tuple{"key", llvm::StringRef(roles.keyTerm), roles.depth[0]},
        std::tuple{"value", llvm::StringRef(roles.valueTerm),
                   roles.value[0]}}) {
    if (term.back() != letter)
      return ("letter '" + llvm::Twine(letter) + "' is not the last of the " +
              what + " (\"" + term + "\"), so its rows are not contiguous")
          .str();
    if (ShapedType::isDynamic(staticExtent(like, letter)))
      return ("the extent of '" + llvm::Twine(letter) +
              "' is dynamic; give it (--attn-specialize)")
          .str();
  }
  for (Value operand :
       {op.getQuery(), op.getKey(), op.getValue(), op.getBias()}) {
    Type element = operand ? getElementTypeOrSelf(operand) : Type();
    // A verified key or value of integers is i8 with a scale.
    if (element && !isa<Float32Type, Float16Type, BFloat16Type,
                        Float8E4M3FNType, IntegerType>(element))
      return "its operands are not f32, f16 or bf16";
  }
  // Loops over lists read K from its first row on.
  if (op.getBlocks() && offsetOf(like, roles.key[0]))
    return "its lists of blocks count from a key before its first, offset '" +
           roles.key + "'";
  if (roles.outputTerm.back() != roles.value[0])
    return "the output's last letter is not the value letter '" + roles.value +
           "'";
  return "";
}

/// Rows of a matrix tile, and how many of them it is not worth turning.
static constexpr int64_t tileRows = 16, fewTileRows = 2;

/// The fastest products that the operands allow.  A tile takes as long for one
/// row as for 16; pairs spare few rows what f32 needs, conversions.
static Products chooseProducts(AttentionOp op, const TargetInfo &target,
                               int64_t rows) {
  bool isBF16 = llvm::all_of(
      ValueRange{op.getQuery(), op.getKey(), op.getValue()},
      [](Value operand) { return getElementTypeOrSelf(operand).isBF16(); });
  if (!isBF16 || std::max(target.tileRate, target.dotRate) <= target.fmaRate)
    return Products::FMA;
  bool hasTiles = target.tileRate > target.dotRate;
  return hasTiles && rows > fewTileRows ? Products::Tiles : Products::Dot;
}

/// Small tiles follow memory evenly; with many rows, whose results go through
/// memory for each tile, large ones do more with them, as long as the keys and
/// values of a tile, `keyBytes` a key, stay in the first cache.
static int64_t chooseKeyTile(Products products, int64_t rows, int64_t keyBytes,
                             int64_t width) {
  constexpr int64_t usual = 64, firstCache = 32 << 10, fewRows = 4;
  constexpr int64_t narrow = 64; // values that MatrixTile takes early
  if (products != Products::Tiles)
    return rows > fewRows && 2 * usual * keyBytes <= firstCache ? 2 * usual
                                                                : usual;
  if (rows <= tileRows)
    return usual / 2;
  return rows <= 4 * tileRows || width <= narrow ? usual : 2 * usual;
}

/// Rows that share a tile, up to `most`.
static int64_t sharingRows(AttentionLike op, int64_t most) {
  int64_t rows = 1;
  for (char letter : rolesOf(op).row)
    rows *= std::max<int64_t>(1, rowTileOf(staticExtent(op, letter),
                                           std::max<int64_t>(1, most / rows)));
  return rows;
}

/// Packing a tile costs shuffles, and stores, which stop the products; it
/// spares the sum over lanes of each score, and conversions in each block of 4
/// rows. Measured on Zen 4: level at 8 rows for each vector of K's depth.
static bool isPackingWorth(int64_t rows, int64_t depth, int64_t lanes,
                           Products products) {
  int64_t each = products == Products::FMA ? 1 : 2;
  int64_t vectors = llvm::divideCeil(depth, lanes * each);
  return rows > 8 * vectors;
}

/// The chunk is a fixed number of keys, so that neither batch nor threads
/// change a row's bits.  512 keys of K and V are long enough runs for the
/// prefetchers. But the states of a chunk go through memory three times (they
/// are fetched to be written, and read by the merge), and where tiles make
/// products cheap, that is what is left: twice the keys as long as threads find
/// chunks enough, and with states that are large beside the keys as long as two
/// threads do.  Without tiles, twice as long while sixteen threads find one
/// each, for a chunk costs about a microsecond, or four of them where a state
/// is large: it goes from one core's caches to another's.
static int64_t chooseChunk(AttentionOp attention, Products products,
                           int64_t rows) {
  constexpr int64_t least = 512, visits = 3, largeState = 8 << 10;
  auto op = cast<AttentionLike>(attention.getOperation());
  AttentionRoles roles = rolesOf(op);
  int64_t keys = staticExtent(op, roles.key.front()), heads = 1;
  // Of the keys a mask may leave few.
  if (ShapedType::isDynamic(keys) ||
      (products != Products::Tiles && attention.getMask()))
    return least;
  // Sequences and heads; a batch of any size is at least one.
  for (char letter : roles.batch)
    heads *= std::max<int64_t>(1, staticExtent(op, letter));
  int64_t depth = staticExtent(op, roles.depth.front());
  int64_t width = staticExtent(op, roles.value.front());
  int64_t stateBytes = visits * rows * width * 4;
  int64_t keyBytes = (depth + width) * 2, chunk = least;
  for (int64_t next : {2 * least, 4 * least}) {
    bool isLarge = 4 * stateBytes > chunk * keyBytes;
    int64_t chunks = heads * llvm::divideCeil(keys, next);
    if (products != Products::Tiles) {
      chunk =
          chunks >= (stateBytes >= visits * largeState ? 4 : 16) ? next : chunk;
      continue;
    }
    bool isEnough = chunks >= (isLarge ? 2 : 4);
    if (isEnough && (isLarge || chunk == least))
      chunk = next;
  }
  return chunk;
}

/// Few rows whose K and V are read as they lie, where the hardware follows what
/// is read in order: K and V take turns by two pages each, which is long enough
/// a run and short enough a pause of the other.  Up to two rows are done with a
/// line sooner than it comes, and ask for lines ahead; with more the hardware's
/// prefetchers are ahead by themselves, and requests only stand in their way.
/// One row has so little to do for a tile that a larger one is better.
static void followMemory(AttentionOp op, const TargetInfo &target, int64_t rows,
                         int64_t rowBits, int64_t &keyTile, int64_t &prefetch) {
  constexpr int64_t line = 64, mostRows = 4, fewRows = 2;
  constexpr int64_t twoPages = 2 * 4096;
  auto like = cast<AttentionLike>(op.getOperation());
  if (target.followedBytes <= line || op.getBlocks() || rows == 1 ||
      rows > mostRows || !rowsAdjoin(rolesOf(like)))
    return;
  int64_t keys = llvm::bit_floor<uint64_t>(twoPages * 8 / rowBits);
  keyTile = std::clamp(keys, target.f32Lanes(), keyTile);
  prefetch = rows <= fewRows ? keyTile : 0;
}

/// Sizes for the vector path.
ScheduleAttr einhead::chooseSchedule(AttentionOp op, const TargetInfo &target) {
  constexpr int64_t sharedRows = 128;
  auto like = cast<AttentionLike>(op.getOperation());
  int64_t depth = staticExtent(like, rolesOf(like).depth.front());
  int64_t rowBits =
      depth * getElementTypeOrSelf(op.getKey()).getIntOrFloatBitWidth();
  int64_t rowTile = op.getSharedKv() ? sharedRows : 1;
  int64_t rows = sharingRows(like, rowTile), lanes = target.f32Lanes();
  Products products = chooseProducts(op, target, rows);
  bool packed = products == Products::Tiles ||
                isPackingWorth(rows, depth, lanes, products);
  int64_t width = staticExtent(like, rolesOf(like).value.front());
  int64_t keyBytes = (depth + width) * (products == Products::FMA ? 4 : 2);
  int64_t keyTile = chooseKeyTile(products, rows, keyBytes, width);
  // Requests come at an even pace, the rows of a tile at once when it begins.
  // A tile ahead is enough, then; without tiles the rows of one are few.
  int64_t prefetch = std::max(keyTile, target.prefetchBytes * 8 / rowBits);
  if (products == Products::Tiles)
    prefetch = keyTile;
  else
    followMemory(op, target, rows, rowBits, keyTile, prefetch);
  // Queries, weights and the turned tile live on the stack of a thread.
  constexpr int64_t mostDepth = 1024;
  if (packed && products == Products::FMA && depth * rowTile > mostDepth * 64)
    rowTile = std::max<int64_t>(1, mostDepth * 64 / depth);
  // So do the sums of matrix tiles.
  if (products == Products::Tiles &&
      (depth + width) * rowTile > mostDepth * 256)
    rowTile = std::max<int64_t>(1, mostDepth * 256 / (depth + width));
  int64_t chunk = chooseChunk(op, products, rows);
  return ScheduleAttr::get(op.getContext(), chunk, keyTile, rowTile, lanes,
                           prefetch, products, packed);
}

/// What the mask makes the loops visit, and what a cache may forget.
static void reportMask(AttentionOp op) {
  if (!op.getMask())
    return;
  for (const std::string &line : describeKeys(op))
    remarkAnalysis(op.getLoc(), "attn-schedule", "Keys", line);
  auto like = cast<AttentionLike>(op.getOperation());
  remarkAnalysis(op.getLoc(), "attn-schedule", "Cache",
                 CachePolicy::of(like).str());
}

namespace {
struct SchedulePass final : einhead::impl::SchedulePassBase<SchedulePass> {
  using SchedulePassBase::SchedulePassBase;

  LogicalResult initialize(MLIRContext *context) override {
    if (file.empty())
      return success();
    FailureOr<ScheduleFile> loaded = ScheduleFile::load(file, context);
    if (failed(loaded))
      return failure();
    measured = std::make_shared<const ScheduleFile>(std::move(*loaded));
    return success();
  }

  void runOnOperation() override {
    llvm::Expected<TargetInfo> target = TargetInfo::get(cpu);
    if (!target) {
      getOperation().emitError() << llvm::toString(target.takeError());
      return signalPassFailure();
    }
    getOperation().walk([&](AttentionOp op) { schedule(op, *target); });
  }

  void schedule(AttentionOp op, const TargetInfo &target) {
    if (std::string why = whyNotTiled(op); !why.empty()) {
      remarkMissed(op.getLoc(), "attn-schedule", "NotTiled",
                   "not tiled: " + why);
      if (requireFused) {
        op.emitOpError() << "is not tiled: " << why;
        signalPassFailure();
      }
      return;
    }
    reportMask(op);
    if (!op.getScheduleAttr() && !chip.empty() && takeTensorCores(op))
      return;
    std::string origin;
    if (!op.getScheduleAttr())
      origin = takeMeasured(op, target);
    if (!op.getScheduleAttr())
      op.setScheduleAttr(chooseSchedule(op, target));
    ScheduleAttr schedule = op.getScheduleAttr();
    remarkPassed(op.getLoc(), "attn-schedule", "Scheduled",
                 "chunks of " + llvm::Twine(schedule.getChunk()) +
                     " keys, tiles of " + llvm::Twine(schedule.getKeyTile()) +
                     " keys by up to " + llvm::Twine(schedule.getRowTile()) +
                     " rows, " + llvm::Twine(schedule.getLanes()) + " lanes (" +
                     target.cpu + "), " + llvm::Twine(schedule.getPrefetch()) +
                     " keys prefetched, products by " +
                     stringifyProducts(schedule.getProducts()) +
                     (schedule.getPacked() ? " of packed tiles" : "") + origin);
  }

  /// One kernel of tensor cores, where a kernel takes the attention.
  bool takeTensorCores(AttentionOp op) {
    llvm::Expected<GPUInfo> gpu = GPUInfo::get(chip);
    if (!gpu) {
      llvm::consumeError(gpu.takeError()); // who writes the code says it
      return false;
    }
    std::string why;
    if (auto shape = tensorcores::planTensorCores(op, *gpu, why)) {
      setTensorCores(op, *shape);
      return true;
    }
    remarkMissed(op.getLoc(), "attn-schedule", "NoTensorCores",
                 "no tensor cores: " + why);
    return false;
  }

  void setTensorCores(AttentionOp op, const hopper::DecodeShape &shape) {
    op.setScheduleAttr(ScheduleAttr::get(
        op.getContext(), /*chunk=*/shape.keyTile, shape.keyTile, shape.rows,
        /*lanes=*/32, /*prefetch=*/shape.stages * shape.keyTile,
        Products::WGMMA, /*packed=*/false));
    std::string groups = (llvm::Twine(shape.groups) + " warpgroups, ").str();
    if (shape.warps)
      groups = (llvm::Twine(shape.groups) + " groups of keys, " +
                llvm::Twine(shape.warps->rowWarps) + " warps of rows, ")
                   .str();
    remarkPassed(
        op.getLoc(), "attn-schedule", "Scheduled",
        llvm::Twine("one kernel of ") + (shape.warps ? "mma.sync" : "wgmma") +
            " (" + chip.getValue() + "), tiles of " +
            llvm::Twine(shape.keyTile) + " keys by " + llvm::Twine(shape.rows) +
            " rows padded to " + llvm::Twine(shape.paddedRows()) + ", " +
            llvm::Twine(shape.stages) + " stages, " + groups +
            llvm::Twine(shape.blocksPerSM) + " blocks on an SM");
  }

  /// Takes the schedule of the file; what the remark says of it, or "".
  std::string takeMeasured(AttentionOp op, const TargetInfo &target) {
    if (!measured)
      return "";
    ScheduleKey key = ScheduleKey::of(op, target);
    const StoredSchedule *entry = measured->find(key);
    if (!entry) {
      remarkAnalysis(op.getLoc(), "attn-schedule", "NotMeasured",
                     file + " has no schedule for " + key.str());
      return "";
    }
    op.setScheduleAttr(
        entry->schedule.attribute(op.getContext(), target.f32Lanes()));
    return ", as stored in " + file;
  }

  /// What `file` holds; null without one.
  std::shared_ptr<const ScheduleFile> measured;
};
} // namespace
