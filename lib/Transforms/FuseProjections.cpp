//===- FuseProjections.cpp - One pass over x for all its weights ----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The block sizes follow from the extents, never from the threads, and parts of
// a sum are added in their order: bits do not depend on threads.  The blocks of
// a result are written where they belong, so that a body allocates nothing.
//
// A block should be memory in one piece, or long runs of it: short runs cost
// half of the bandwidth, since what is fetched ahead past their ends is not
// used.  So columns are cut by the weight's first letter; where that one is
// summed, so are the sums, and columns only where their runs stay long.

#include "ProjectionLoop.h"
#include "einhead/Analysis/Remark.h"
#include "einhead/Analysis/Traffic.h"
#include "einhead/IR/Attn.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"

namespace einhead {
#define GEN_PASS_DEF_FUSEPROJECTIONSPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// The most blocks of columns: enough to keep threads even, few enough to fork.
static constexpr int64_t maxBlocks = 64;
/// Columns that are next to each other stay together: runs that prefetchers
/// follow, and a few vectors for each element of x.
static constexpr int64_t runElements = 64;
/// Blocks of the weight's first letter that are enough for the threads.
static constexpr int64_t enoughBlocks = 16;
/// Rows of the weight in one part of a sum: many enough that adding the parts
/// is little beside reading the weight.
static constexpr int64_t partRows = 256;
/// Bytes of a run that may be cut in two.
static constexpr int64_t longRunBytes = 8 << 10;

/// Bytes of a static tensor, or -1.
static int64_t bytesOf(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  if (!type.hasStaticShape())
    return -1;
  return type.getNumElements() * (type.getElementTypeBitWidth() / 8);
}

/// The dimensions of x that are summed with the weight.
static SmallVector<int64_t> summedDims(const Projection &projection) {
  SmallVector<int64_t> dims;
  for (auto [i, letter] : llvm::enumerate(projection.xTerm()))
    if (indexOf(projection.spec.output, letter) < 0 &&
        indexOf(projection.weightTerm(), letter) >= 0)
      dims.push_back(i);
  return dims;
}

/// Picks the first letter of the weight's columns that gives enough blocks, or
/// the one that gives most.
static int64_t chooseColumn(Projection &projection) {
  auto type = cast<RankedTensorType>(projection.weight().getType());
  llvm::StringRef term = projection.weightTerm();
  int64_t most = 0;
  for (auto [i, letter] : llvm::enumerate(term)) {
    if (!hasLetter(projection.spec.output, letter) ||
        hasLetter(projection.xTerm(), letter) || type.isDynamicDim(i))
      continue;
    int64_t extent = type.getDimSize(i);
    int64_t blocks =
        i + 1 == term.size() ? llvm::divideCeil(extent, runElements) : extent;
    if (blocks <= most || most >= enoughBlocks)
      continue;
    most = blocks;
    projection.column = letter;
    projection.extent = extent;
  }
  return most;
}

static int64_t extentOf(Projection &projection, char letter) {
  return cast<RankedTensorType>(projection.weight().getType())
      .getDimSize(indexOf(projection.weightTerm(), letter));
}

/// Cuts the sums of all members by the letter that leads every weight, where
/// its columns are contiguous.
static void chooseParts(ProjectionGroup &group) {
  Projection &first = group.members.front();
  char letter = first.weightTerm().front();
  int64_t rows = 1;
  for (Projection &member : group.members) {
    if (member.weightTerm().front() != letter ||
        hasLetter(member.spec.output, letter) ||
        !hasLetter(member.xTerm(), letter) ||
        !hasLetter(member.spec.output, member.weightTerm().back()))
      return;
    if (bytesOf(member.weight()) < 0)
      return;
  }
  for (char other : first.weightTerm().drop_front())
    if (!hasLetter(first.spec.output, other))
      rows *= extentOf(first, other);
  int64_t extent = extentOf(first, letter);
  int64_t part = std::max<int64_t>(partRows / rows, 1);
  if (part >= extent)
    return;
  group.summed = indexOf(first.xTerm(), letter);
  group.part = part;
  group.splits = llvm::divideCeil(extent, part);
}

/// The most blocks whose runs are long.
static int64_t blocksOfRuns(Projection &projection) {
  int64_t bytes = bytesOf(projection.weight());
  for (char letter : projection.weightTerm())
    if (!hasLetter(projection.spec.output, letter))
      bytes /= extentOf(projection, letter);
  return llvm::divideCeil(bytes, longRunBytes);
}

/// As many blocks as the largest weight gives (a smaller one has none in the
/// last iterations), and rows where x has many.
static std::string chooseBlocks(ProjectionGroup &group) {
  chooseParts(group);
  for (Projection &member : group.members) {
    int64_t blocks = chooseColumn(member);
    if (blocks == 0)
      return "no letter of the weight's columns has a known extent";
    if (group.summed >= 0)
      blocks = std::min(blocks, blocksOfRuns(member));
    group.blocks = std::max(group.blocks, std::min(blocks, maxBlocks));
  }
  for (Projection &member : group.members) {
    member.block = llvm::divideCeil(member.extent, group.blocks);
    if (member.column == member.weightTerm().back() && group.blocks > 1)
      member.block = llvm::alignTo(member.block, runElements);
  }
  Projection &first = group.members.front();
  auto type = cast<RankedTensorType>(first.x().getType());
  int64_t most = projectionRows;
  for (int64_t i = 0; i < type.getRank(); ++i) {
    bool isRow = llvm::all_of(group.members, [&](const Projection &member) {
      return hasLetter(member.spec.output, member.xTerm()[i]) &&
             !hasLetter(member.weightTerm(), member.xTerm()[i]);
    });
    if (isRow && !type.isDynamicDim(i) && type.getDimSize(i) > most) {
      most = type.getDimSize(i);
      group.rows = i;
    }
  }
  bool one = group.blocks == 1 && group.rows < 0 && group.summed < 0;
  return one ? "its results cannot be cut into blocks" : "";
}

//===----------------------------------------------------------------------===//
// Which einsums go together
//===----------------------------------------------------------------------===//

/// The ops after `place` that `value` needs; false where one cannot be moved
/// there, with the member of `group` or else null in `obstacle`.
static bool collectBefore(Value value, Operation *place,
                          ArrayRef<Projection> group,
                          SetVector<Operation *> &ops, Operation *&obstacle) {
  Operation *op = value.getDefiningOp();
  if (!op || op->getBlock() != place->getBlock() ||
      op->isBeforeInBlock(place) || ops.contains(op))
    return true;
  obstacle = op;
  if (llvm::any_of(group,
                   [&](const Projection &member) { return member.op == op; }))
    return false;
  if (!isMemoryEffectFree(op) || op->getNumRegions() != 0)
    return false;
  for (Value operand : op->getOperands())
    if (!collectBefore(operand, place, group, ops, obstacle))
      return false;
  ops.insert(op);
  return true;
}

/// Brings what `next` needs before the group's first einsum; why not, or "".
static std::string joinGroup(ProjectionGroup &group, Projection &next) {
  Operation *place = group.members.front().op;
  SetVector<Operation *> ops;
  Operation *obstacle = nullptr;
  if (!collectBefore(next.weight(), place, group.members, ops, obstacle)) {
    bool member = isa<EinsumOp>(obstacle);
    return member ? "its weight depends on the result of another one"
                  : ("its weight depends on '" +
                     obstacle->getName().getStringRef() +
                     "', which stands after the first of them")
                        .str();
  }
  for (Operation *op : ops)
    op->moveBefore(place);
  group.members.push_back(next);
  return "";
}

static Projection projectionOf(EinsumOp op, unsigned activation) {
  return {op, *EinsumSpec::parse(op.getSpec()), activation};
}

/// Whether the loop over the group is worth a fork and a join.
static bool isLarge(ProjectionGroup &group, int64_t minBytes) {
  int64_t total = 0;
  for (Projection &member : group.members) {
    int64_t bytes = bytesOf(member.weight());
    if (bytes < 0)
      return true;
    total += bytes;
  }
  return total >= minBytes;
}

//===----------------------------------------------------------------------===//
// Remarks and the pass
//===----------------------------------------------------------------------===//

static std::string quoted(const Projection &projection) {
  return "\"" + projection.spec.str() + "\"";
}

/// "16384", or "8192*b" where b is dynamic.
static std::string bytesText(Projection &projection, int64_t times) {
  auto type = cast<RankedTensorType>(projection.x().getType());
  LetterProduct product{times * type.getElementTypeBitWidth() / 8, ""};
  for (auto [letter, extent] : llvm::zip(projection.xTerm(), type.getShape()))
    if (ShapedType::isDynamic(extent))
      product.letters.push_back(letter);
    else
      product.coefficient *= extent;
  return product.str();
}

static void report(ProjectionGroup &group) {
  Projection &first = group.members.front();
  std::string text;
  for (Projection &member : group.members)
    text += (text.empty() ? "" : ", ") + quoted(member);
  size_t count = group.members.size();
  if (count == 1)
    text += " is one parallel loop of ";
  else
    text += " read one activation: one parallel loop of ";
  text += std::to_string(group.blocks) + " blocks of columns";
  if (group.rows >= 0)
    text += " and blocks of " + std::to_string(projectionRows) + " rows";
  if (group.summed >= 0)
    text += ", whose sums are in " + std::to_string(group.splits) + " parts";
  if (count > 1)
    text += ", which saves " + std::to_string(count - 1) +
            (count == 2 ? " loop" : " loops") + " and reading " +
            bytesText(first, count - 1) + " bytes";
  else
    text += "; no other einsum sums the same letters of its activation";
  remarkPassed(first.op.getLoc(), "attn-fuse-projections", "Projections", text);
}

namespace {
struct FuseProjectionsPass final
    : einhead::impl::FuseProjectionsPassBase<FuseProjectionsPass> {
  using FuseProjectionsPassBase::FuseProjectionsPassBase;

  void runOnOperation() override {
    SmallVector<EinsumOp> ops;
    getOperation().walk([&](EinsumOp op) {
      if (op.getInputs().size() == 2 && !op->getParentOfType<scf::ForallOp>())
        ops.push_back(op);
    });
    llvm::SmallPtrSet<Operation *, 8> done;
    for (size_t i = 0; i < ops.size(); ++i) {
      if (done.contains(ops[i]))
        continue;
      ProjectionGroup group = groupOf(ops, i, done);
      if (!isLarge(group, minBytes))
        continue;
      if (std::string why = chooseBlocks(group); !why.empty()) {
        remarkMissed(ops[i].getLoc(), "attn-fuse-projections", "NotParallel",
                     quoted(group.members.front()) +
                         " stays on one thread: " + why);
        continue;
      }
      for (Projection &member : group.members)
        done.insert(member.op);
      report(group);
      createProjectionLoop(group);
    }
  }

  /// The einsums from `ops[at]` on that go with it.
  static ProjectionGroup
  groupOf(ArrayRef<EinsumOp> ops, size_t at,
          const llvm::SmallPtrSetImpl<Operation *> &done) {
    ProjectionGroup best;
    for (unsigned activation : {0u, 1u}) {
      ProjectionGroup group;
      group.members.push_back(projectionOf(ops[at], activation));
      Projection first = group.members.front();
      SmallVector<int64_t> summed = summedDims(first);
      if (summed.empty())
        continue;
      for (EinsumOp op : ops.drop_front(at + 1))
        if (!done.contains(op) && op->getBlock() == ops[at]->getBlock())
          tryJoin(group, op, first.x(), summed);
      // Alone: the weight is the larger operand, or the last.
      bool larger = bytesOf(first.weight()) >= bytesOf(first.x());
      if (best.members.empty() || group.members.size() > best.members.size() ||
          (group.members.size() == 1 && best.members.size() == 1 && larger &&
           bytesOf(best.members[0].weight()) < bytesOf(best.members[0].x())))
        best = std::move(group);
    }
    if (best.members.empty())
      best.members.push_back(projectionOf(ops[at], 0));
    return best;
  }

  static void tryJoin(ProjectionGroup &group, EinsumOp op, Value x,
                      ArrayRef<int64_t> summed) {
    for (unsigned activation : {0u, 1u}) {
      if (op.getInputs()[activation] != x)
        continue;
      Projection next = projectionOf(op, activation);
      if (next.weight() == x)
        continue;
      std::string why;
      if (summedDims(next) != summed)
        why = "it sums other letters of it";
      else
        why = joinGroup(group, next);
      if (why.empty())
        return;
      remarkMissed(op.getLoc(), "attn-fuse-projections", "NotFused",
                   quoted(next) + " reads the activation of " +
                       quoted(group.members.front()) +
                       ", but does not go with it: " + why);
    }
  }
};
} // namespace
