//===- DecodeShares.cpp - How many blocks, and of what ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DecodeLauncher.h"
#include "einhead/IR/KeyTile.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;
using namespace einhead::hopper;

/// How many teams' blocks can be one cluster, and merge in shared memory: every
/// GPU with clusters has room for eight blocks in one.
int64_t Launcher::clusterTeams() const {
  constexpr int64_t mostClusterBlocks = 8;
  if (shape.warps) // for chips of before clusters
    return 1;
  int64_t teams = mostClusterBlocks / shape.rowBlocks();
  return shape.stateFitsRing() ? std::max<int64_t>(teams, 1) : 1;
}

/// The keys that rows attend between the first and the last one; those that all
/// rows attend; the mask's sets.
void Launcher::measureMask() {
  TileKeys keysOfMask = TileKeys::get(b, like, *op.getMask(), LetterTile());
  KeyRange hull = hullOf(b, like, keysOfMask);
  KeyRange full{hull.begin, hull.begin};
  if (std::optional<KeyRange> found = fullKeysOf(b, like, keysOfMask, hull))
    full = *found;
  keyCount = hull.end;
  maskBegin = number(hull.begin, 32);
  fullBegin = number(full.begin, 32);
  fullEnd = number(full.end, 32);
  for (Value symbol : op.getMaskSymbols())
    maskSymbols.push_back(number(symbol, 32));
  Value first =
      b.createOrFold<arith::DivUIOp>(hull.begin, index(shape.keyTile));
  Value end =
      b.createOrFold<arith::CeilDivUIOp>(hull.end, index(shape.keyTile));
  tileCount = b.createOrFold<arith::SubIOp>(end, first);
}

/// How many clusters of `size` blocks run at the same time: what the driver
/// says, since GPUs of one name differ in the groups of multiprocessors that
/// clusters stay in.
Value Launcher::clustersAtOnce(Value size) {
  auto module = op->getParentOfType<ModuleOp>();
  return call("einhead_host_clusters", b.getIndexType(),
              {nameOfKernel(b, b.getLoc(), module, kernelName), size,
               index(shape.threads()), index(shape.sharedBytes())});
}

Value Launcher::times(Value x, int64_t factor) {
  return b.createOrFold<arith::MulIOp>(x, index(factor));
}

Value Launcher::compare(arith::CmpIPredicate how, Value x, Value y) {
  return b.createOrFold<arith::CmpIOp>(how, x, y);
}

Value Launcher::select(Value condition, Value x, Value y) {
  return b.createOrFold<arith::SelectOp>(condition, x, y);
}

/// Units, and how many of them have the same index of the first batch letter,
/// which is the one that lengths are by.
Value Launcher::countUnits() {
  Value each = index(1);
  for (size_t i = 1; i < roles.batch.size(); ++i)
    each = b.createOrFold<arith::MulIOp>(each, extentOf(roles.batch[i]));
  unitsEach = number(each, 32);
  if (roles.batch.empty())
    return each;
  return b.createOrFold<arith::MulIOp>(each, extentOf(roles.batch[0]));
}

/// Parts of a unit: as many as give each multiprocessor one block (`processors`
/// and `places` count teams of blocks); where that leaves three of ten idle, as
/// many as fit.  Parts of a few tiles are not worth more than a cluster, whose
/// blocks merge without global memory.
Value Launcher::countParts(Value unitCount, Value tiles, Value processors,
                           Value places) {
  const int64_t shortTiles = clusterTeams() > 1 ? 32 : 0;
  constexpr int64_t longTiles = 16;
  using Is = arith::CmpIPredicate;
  Value parts = b.createOrFold<arith::DivUIOp>(processors, unitCount);
  Value filled = b.createOrFold<arith::MulIOp>(unitCount, parts);
  Value isFull = compare(Is::uge, times(filled, 10), times(processors, 7));
  Value all = b.createOrFold<arith::DivUIOp>(places, unitCount);
  // One block does not convert bytes as fast as memory has them.
  Value isShort = compare(Is::ult, tiles, times(all, longTiles));
  if (shape.byteKeys)
    isFull = b.createOrFold<arith::AndIOp>(isFull, isShort);
  parts = select(isFull, parts, all);
  Value most = select(compare(Is::ule, tiles, index(shortTiles)),
                      index(clusterTeams()), tiles);
  parts = b.createOrFold<arith::MinUIOp>(parts, most);
  parts = b.createOrFold<arith::MinUIOp>(parts, tiles);
  return b.createOrFold<arith::MaxUIOp>(parts, index(1));
}

/// How tiles are shared out (DecodeWork.cpp), for as many blocks as run at the
/// same time.  Lengths are on the device: what is chosen here follows from the
/// capacity.
///
/// Parts of units, as many as fit; a block for each unit, where they are more;
/// short units, and wide ones, are taken in turn by the blocks that fit. Ragged
/// lengths are cut into equal runs, where there is enough for each block.
void Launcher::shareOut() {
  constexpr int64_t shortTiles = 8, longRun = 8;
  using Is = arith::CmpIPredicate;
  Value one = index(1), no = arith::ConstantIntOp::create(b, 0, 1);
  Value unitCount = b.createOrFold<arith::MaxSIOp>(countUnits(), one);
  Value tiles = b.createOrFold<arith::MaxSIOp>(tileCount, one);
  Value multiprocessors =
      call("einhead_host_multiprocessors", b.getIndexType(), {});
  // Of teams, each of which is a block for each block of rows.
  Value team = index(shape.rowBlocks());
  Value processors = b.createOrFold<arith::DivUIOp>(multiprocessors, team);
  Value places = b.createOrFold<arith::DivUIOp>(
      times(multiprocessors, shape.blocksPerSM), team);
  Value most = countParts(unitCount, tiles, processors, places);
  Value total = b.createOrFold<arith::MulIOp>(unitCount, tiles);
  auto both = [&](Value x, Value y) {
    return b.createOrFold<arith::AndIOp>(x, y);
  };
  Value some = compare(Is::ugt, places, index(0)); // for a team, at least
  Value takesRuns = no;
  if (lengths)
    takesRuns = both(some, compare(Is::uge, total, times(places, longRun)));
  Value takesUnits = both(some, compare(Is::ugt, unitCount, places));
  if (shape.wide) // states are large beside a tile: many units stay whole
    takesRuns = both(takesRuns, compare(Is::ult, unitCount, places));
  else
    takesUnits = both(takesUnits, compare(Is::ult, tiles, index(shortTiles)));
  Value blocks = b.createOrFold<arith::MulIOp>(unitCount, most);
  Value teams = select(takesRuns, b.createOrFold<arith::MinUIOp>(places, total),
                       select(takesUnits, places, blocks));
  grid = times(teams, shape.rowBlocks());
  parts = number(
      select(takesRuns, index(-1), select(takesUnits, index(0), most)), 32);
  units = number(unitCount, 32);

  Value takesParts = select(b.createOrFold<arith::OrIOp>(takesRuns, takesUnits),
                            no, compare(Is::ugt, most, one));
  // Blocks of a cluster read each other's shared memory.  Others that wait for
  // each other must all run at the same time: 0 asks for that.
  Value isCut = b.createOrFold<arith::OrIOp>(takesRuns, takesParts);
  Value size = times(most, shape.rowBlocks());
  Value fits = b.createOrFold<arith::AndIOp>(
      takesParts, compare(Is::ule, most, index(clusterTeams())));
  if (clusterTeams() > 1)
    fits = b.createOrFold<arith::AndIOp>(
        fits, compare(Is::ule, unitCount, clustersAtOnce(size)));
  cluster = select(fits, size, select(isCut, index(0), one));
  addWorkspace(unitCount, isCut);
}

/// Memory for the states of all blocks, where units are cut, and a counter for
/// each unit and block of rows.
void Launcher::addWorkspace(Value unitCount, Value isCut) {
  Value states = times(grid, DecodeShape::statesPerBlock * shape.stateFloats());
  auto type = MemRefType::get({ShapedType::kDynamic}, b.getF32Type());
  Value memory = memref::AllocOp::create(
      b, type, ValueRange{select(isCut, states, index(1))});
  partials = parameter(einhead::pointerTo(b, memory));
  counters = parameter(call("einhead_host_zeroed",
                            LLVM::LLVMPointerType::get(b.getContext()),
                            times(unitCount, 4 * shape.rowBlocks())));
}
