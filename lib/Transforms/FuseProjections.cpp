//===- FuseProjections.cpp - One pass over x for all its weights ----------===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// The block sizes follow from the extents, never from the threads, and no block
// cuts a sum: bits depend on neither.  The blocks of a result are written where
// they belong, so that a body allocates nothing.

#include "EinsumLoops.h"
#include "einhead/Analysis/Remark.h"
#include "einhead/Analysis/Traffic.h"
#include "einhead/IR/Attn.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"

namespace einhead {
#define GEN_PASS_DEF_FUSEPROJECTIONSPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// Rows of x that one block takes: with a block of columns of the weights they
/// stay in the second cache.
static constexpr int64_t rowBlock = 32;
/// The most blocks of columns: enough to keep threads even, few enough to fork.
static constexpr int64_t maxBlocks = 64;
/// Columns that are next to each other stay together: runs that prefetchers
/// follow, and a few vectors for each element of x.
static constexpr int64_t runElements = 64;
/// Rows of x that share a row of the weight while it is in the first cache.  A
/// power of two as the distance of rows puts them all into one set of it, so
/// they are fewer than its ways.
static constexpr int64_t sharingRows = 4;

namespace {
/// One einsum of the activation and a weight.
struct Projection {
  EinsumOp op;
  EinsumSpec spec;
  unsigned activation = 0; // which operand
  /// The letter whose blocks the loop goes over, and the size of a block.
  char column = 0;
  int64_t extent = 0, block = 0;

  Value x() { return op.getInputs()[activation]; }
  Value weight() { return op.getInputs()[1 - activation]; }
  llvm::StringRef xTerm() const { return spec.inputs[activation]; }
  llvm::StringRef weightTerm() const { return spec.inputs[1 - activation]; }
};

/// Einsums that read one activation.
struct Group {
  SmallVector<Projection> members;
  int64_t blocks = 1;
  /// The dimension of x whose rows are taken in blocks, or -1.
  int64_t rows = -1;
};
} // namespace

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

static bool contains(llvm::StringRef term, char letter) {
  return indexOf(term, letter) >= 0;
}

/// Picks the letter of the weight's columns that gives most blocks.
static int64_t chooseColumn(Projection &projection) {
  auto type = cast<RankedTensorType>(projection.weight().getType());
  llvm::StringRef term = projection.weightTerm();
  int64_t most = 0;
  for (auto [i, letter] : llvm::enumerate(term)) {
    if (!contains(projection.spec.output, letter) ||
        contains(projection.xTerm(), letter) || type.isDynamicDim(i))
      continue;
    int64_t extent = type.getDimSize(i);
    int64_t blocks =
        i + 1 == term.size() ? llvm::divideCeil(extent, runElements) : extent;
    if (blocks <= most)
      continue;
    most = blocks;
    projection.column = letter;
    projection.extent = extent;
  }
  return most;
}

/// As many blocks as the largest weight gives (a smaller one has none in the
/// last iterations), and rows where x has many.
static std::string chooseBlocks(Group &group) {
  for (Projection &member : group.members) {
    int64_t blocks = chooseColumn(member);
    if (blocks == 0)
      return "no letter of the weight's columns has a known extent";
    group.blocks = std::max(group.blocks, std::min(blocks, maxBlocks));
  }
  for (Projection &member : group.members) {
    member.block = llvm::divideCeil(member.extent, group.blocks);
    if (member.column == member.weightTerm().back())
      member.block = llvm::alignTo(member.block, runElements);
  }
  Projection &first = group.members.front();
  auto type = cast<RankedTensorType>(first.x().getType());
  int64_t most = rowBlock;
  for (int64_t i = 0; i < type.getRank(); ++i) {
    bool isRow = llvm::all_of(group.members, [&](const Projection &member) {
      return contains(member.spec.output, member.xTerm()[i]) &&
             !contains(member.weightTerm(), member.xTerm()[i]);
    });
    if (isRow && !type.isDynamicDim(i) && type.getDimSize(i) > most) {
      most = type.getDimSize(i);
      group.rows = i;
    }
  }
  bool one = group.blocks == 1 && group.rows < 0;
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
static std::string joinGroup(Group &group, Projection &next) {
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
static bool isLarge(Group &group, int64_t minBytes) {
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
// The loop
//===----------------------------------------------------------------------===//

/// Columns, then sums, rows and at last what is contiguous in the weight: a row
/// of the weight that has been loaded serves all rows of x.
static std::string loopOrder(const Projection &projection) {
  char inner = projection.weightTerm().back();
  bool sums = !contains(projection.spec.output, inner);
  std::string columns, rows, summed;
  for (char letter : projection.spec.letters()) {
    if (letter == inner)
      continue;
    if (!contains(projection.spec.output, letter))
      summed.push_back(letter);
    else if (contains(projection.weightTerm(), letter))
      columns.push_back(letter);
    else
      rows.push_back(letter);
  }
  return (sums ? columns + rows + summed : columns + summed + rows) + inner;
}

namespace {
/// Where the block of one member starts in each letter, and its size.
struct Block2D {
  char row = 0, column = 0;
  OpFoldResult rowOffset, rowSize, columnOffset, columnSize;

  void place(char letter, OpFoldResult &offset, OpFoldResult &size) const {
    if (letter == column) {
      offset = columnOffset;
      size = columnSize;
    } else if (letter == row) {
      offset = rowOffset;
      size = rowSize;
    }
  }
};
} // namespace

/// min(block, extent - offset).
static OpFoldResult sizeOf(OpBuilder &b, Location loc, OpFoldResult offset,
                           int64_t extent, int64_t block) {
  AffineExpr at = b.getAffineDimExpr(0);
  auto map = AffineMap::get(
      1, 0, {b.getAffineConstantExpr(block), extent - at}, b.getContext());
  return affine::makeComposedFoldedAffineMin(b, loc, map, {offset});
}

/// min(index * block, extent): blocks past the last one are empty.
static OpFoldResult offsetOf(OpBuilder &b, Location loc, Value index,
                             int64_t extent, int64_t block, int64_t blocks) {
  AffineExpr at = b.getAffineDimExpr(0) * block;
  if ((blocks - 1) * block < extent)
    return affine::makeComposedFoldedAffineApply(
        b, loc, AffineMap::get(1, 0, at), {OpFoldResult(index)});
  auto map = AffineMap::get(1, 0, {at, b.getAffineConstantExpr(extent)},
                            b.getContext());
  return affine::makeComposedFoldedAffineMin(b, loc, map,
                                             {OpFoldResult(index)});
}

/// Takes a few rows of x at a time, and the columns that are no run one by one,
/// so that a row of the weight is read from memory once for those rows.
static Value tileRows(OpBuilder &b, const Projection &member,
                      linalg::GenericOp op, llvm::StringRef loops) {
  if (!contains(member.spec.output, member.weightTerm().back()))
    return op.getResult(0);
  SmallVector<int64_t> extents = op.getStaticLoopRanges(), sizes;
  bool rows = false;
  for (auto [letter, extent] : llvm::reverse(llvm::zip(loops, extents))) {
    bool isRow = contains(member.spec.output, letter) &&
                 !contains(member.weightTerm(), letter);
    bool isColumn = contains(member.spec.output, letter) && !isRow;
    int64_t size = isRow && !rows ? sharingRows : 1;
    if ((!isRow && !isColumn) || sizes.empty() ||
        (!ShapedType::isDynamic(extent) && extent <= size))
      size = 0;
    rows |= isRow && size > 1;
    sizes.push_back(size);
  }
  if (!rows)
    return op.getResult(0);
  std::reverse(sizes.begin(), sizes.end());
  IRRewriter rewriter(b);
  rewriter.setInsertionPoint(op);
  scf::SCFTilingOptions options;
  options.setTileSizes(getAsIndexOpFoldResult(b.getContext(), sizes));
  auto tiled = scf::tileUsingSCF(
      rewriter, cast<TilingInterface>(op.getOperation()), options);
  if (failed(tiled))
    return op.getResult(0);
  rewriter.replaceOp(op, tiled->replacements);
  return tiled->replacements.front();
}

/// One block of one result, written into `output`.
static void createBlock(OpBuilder &b, scf::ForallOp forall, Projection &member,
                        const Block2D &where, Value output) {
  Location loc = member.op.getLoc();
  std::string loops = loopOrder(member);
  auto slice = [&](Value tensor, llvm::StringRef term) {
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, tensor);
    SmallVector<OpFoldResult> offsets(sizes.size(), b.getIndexAttr(0));
    SmallVector<OpFoldResult> ones(sizes.size(), b.getIndexAttr(1));
    for (auto [i, letter] : llvm::enumerate(term))
      where.place(letter, offsets[i], sizes[i]);
    return tensor::ExtractSliceOp::create(b, loc, tensor, offsets, sizes, ones);
  };
  SmallVector<Value> inputs;
  for (auto [input, term] : llvm::zip(member.op.getInputs(), member.spec.inputs))
    inputs.push_back(slice(input, term));
  auto target = slice(output, member.spec.output);
  Type type = getElementTypeOrSelf(output);
  Value zero = arith::ConstantOp::create(b, loc, b.getFloatAttr(type, 0.0));
  Value init =
      linalg::FillOp::create(b, loc, zero, target.getResult()).getResult(0);
  Value block = tileRows(
      b, member, createSumOfProducts(b, loc, member.spec, loops, inputs, init),
      loops);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(forall.getTerminator().getBody());
  tensor::ParallelInsertSliceOp::create(b, loc, block, output,
                                        target.getMixedOffsets(),
                                        target.getMixedSizes(),
                                        target.getMixedStrides());
}

static scf::ForallOp createLoop(OpBuilder &b, Group &group) {
  Projection &first = group.members.front();
  Location loc = first.op.getLoc();
  SmallVector<Value> outputs;
  for (Projection &member : group.members) {
    ReifiedRankedShapedTypeDims shapes;
    (void)member.op.reifyResultShapes(b, shapes);
    Type type = sumType(b, member.op.getType().getElementType());
    outputs.push_back(tensor::EmptyOp::create(b, loc, shapes[0], type));
  }
  int64_t rows = 0;
  SmallVector<OpFoldResult> lower = {b.getIndexAttr(0)}, steps, upper;
  if (group.rows >= 0) {
    rows = cast<RankedTensorType>(first.x().getType()).getDimSize(group.rows);
    lower.push_back(b.getIndexAttr(0));
    upper.push_back(b.getIndexAttr(rows));
    steps.push_back(b.getIndexAttr(rowBlock));
  }
  upper.push_back(b.getIndexAttr(group.blocks));
  steps.push_back(b.getIndexAttr(1));
  auto forall = scf::ForallOp::create(b, loc, lower, upper, steps, outputs,
                                      /*mapping=*/std::nullopt);
  b.setInsertionPoint(forall.getTerminator());
  Value index = forall.getInductionVars().back();
  for (auto [member, output] :
       llvm::zip(group.members, forall.getRegionIterArgs())) {
    Block2D where;
    where.column = member.column;
    where.columnOffset = offsetOf(b, loc, index, member.extent, member.block,
                                  group.blocks);
    where.columnSize = member.block * group.blocks == member.extent
                           ? OpFoldResult(b.getIndexAttr(member.block))
                           : sizeOf(b, loc, where.columnOffset, member.extent,
                                    member.block);
    if (group.rows >= 0) {
      where.row = member.xTerm()[group.rows];
      where.rowOffset = forall.getInductionVars().front();
      where.rowSize = rows % rowBlock == 0
                          ? OpFoldResult(b.getIndexAttr(rowBlock))
                          : sizeOf(b, loc, where.rowOffset, rows, rowBlock);
    }
    createBlock(b, forall, member, where, output);
  }
  return forall;
}

static void replaceGroup(Group &group) {
  OpBuilder b(group.members.front().op);
  scf::ForallOp forall = createLoop(b, group);
  b.setInsertionPointAfter(forall);
  for (auto [member, result] : llvm::zip(group.members, forall.getResults())) {
    Value value = result;
    if (value.getType() != member.op.getType())
      value = arith::TruncFOp::create(b, member.op.getLoc(), member.op.getType(),
                                      value);
    member.op.getResult().replaceAllUsesWith(value);
  }
  for (Projection &member : group.members)
    member.op->erase();
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

static void report(Group &group) {
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
    text += " and blocks of " + std::to_string(rowBlock) + " rows";
  if (count > 1)
    text += ", which saves " + std::to_string(count - 1) +
            " loops and reading " + bytesText(first, count - 1) + " bytes";
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
      Group group = groupOf(ops, i, done);
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
      replaceGroup(group);
    }
  }

  /// The einsums from `ops[at]` on that go with it.
  static Group groupOf(ArrayRef<EinsumOp> ops, size_t at,
                       const llvm::SmallPtrSetImpl<Operation *> &done) {
    Group best;
    for (unsigned activation : {0u, 1u}) {
      Group group;
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
      if (best.members.empty() ||
          group.members.size() > best.members.size() ||
          (group.members.size() == 1 && best.members.size() == 1 && larger &&
           bytesOf(best.members[0].weight()) < bytesOf(best.members[0].x())))
        best = std::move(group);
    }
    if (best.members.empty())
      best.members.push_back(projectionOf(ops[at], 0));
    return best;
  }

  static void tryJoin(Group &group, EinsumOp op, Value x,
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
