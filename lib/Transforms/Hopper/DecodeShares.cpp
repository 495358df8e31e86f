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

/// Every GPU with clusters has room for so many blocks in one.
static constexpr int64_t mostClusterBlocks = 8;

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
  Value each = index(shape.rowBlocks());
  for (size_t i = 1; i < roles.batch.size(); ++i)
    each = b.createOrFold<arith::MulIOp>(each, extentOf(roles.batch[i]));
  unitsEach = number(each, 32);
  if (roles.batch.empty())
    return each;
  return b.createOrFold<arith::MulIOp>(each, extentOf(roles.batch[0]));
}

/// Parts of a unit: as many as give each multiprocessor one block; where that
/// leaves three of ten idle, as many as fit.  Parts of a few tiles are not
/// worth more than a cluster, whose blocks merge without global memory.
Value Launcher::countParts(Value unitCount, Value tiles, Value processors,
                           Value places) {
  constexpr int64_t shortTiles = 32;
  using Is = arith::CmpIPredicate;
  Value parts = b.createOrFold<arith::DivUIOp>(processors, unitCount);
  Value filled = b.createOrFold<arith::MulIOp>(unitCount, parts);
  Value isFull = compare(Is::uge, times(filled, 10), times(processors, 7));
  parts =
      select(isFull, parts, b.createOrFold<arith::DivUIOp>(places, unitCount));
  Value most = select(compare(Is::ule, tiles, index(shortTiles)),
                      index(mostClusterBlocks), tiles);
  parts = b.createOrFold<arith::MinUIOp>(parts, most);
  parts = b.createOrFold<arith::MinUIOp>(parts, tiles);
  return b.createOrFold<arith::MaxUIOp>(parts, index(1));
}

/// How tiles are shared out (DecodeWork.cpp), for as many blocks as run at the
/// same time.  Lengths are on the device: what is chosen here follows from the
/// capacity.
///
/// Parts of units, as many as fit; a block for each unit, where they are more;
/// short units are taken in turn by the blocks that fit.  Ragged lengths are
/// cut into equal runs, where there is enough for each block.
void Launcher::shareOut() {
  constexpr int64_t shortTiles = 8, longRun = 8;
  using Is = arith::CmpIPredicate;
  Value one = index(1), no = arith::ConstantIntOp::create(b, 0, 1);
  Value unitCount = b.createOrFold<arith::MaxSIOp>(countUnits(), one);
  Value tiles = b.createOrFold<arith::MaxSIOp>(tileCount, one);
  Value processors = call("einhead_host_multiprocessors", b.getIndexType(), {});
  Value places = times(processors, shape.blocksPerSM);
  Value most = countParts(unitCount, tiles, processors, places);
  Value total = b.createOrFold<arith::MulIOp>(unitCount, tiles);
  Value takesRuns =
      lengths ? compare(Is::uge, total, times(places, longRun)) : no;
  Value takesUnits =
      b.createOrFold<arith::AndIOp>(compare(Is::ugt, unitCount, places),
                                    compare(Is::ult, tiles, index(shortTiles)));
  Value blocks = b.createOrFold<arith::MulIOp>(unitCount, most);
  grid = select(takesRuns, b.createOrFold<arith::MinUIOp>(places, total),
                select(takesUnits, places, blocks));
  parts = number(
      select(takesRuns, index(-1), select(takesUnits, index(0), most)), 32);
  units = number(unitCount, 32);

  Value takesParts = select(b.createOrFold<arith::OrIOp>(takesRuns, takesUnits),
                            no, compare(Is::ugt, most, one));
  // Blocks of a cluster read each other's shared memory.  Others that wait for
  // each other must all run at the same time: 0 asks for that.
  Value isCut = b.createOrFold<arith::OrIOp>(takesRuns, takesParts);
  Value fits = b.createOrFold<arith::AndIOp>(
      takesParts, compare(Is::ule, most, index(mostClusterBlocks)));
  cluster = select(fits, most, select(isCut, index(0), one));
  addWorkspace(unitCount, isCut);
}

/// Memory for the states of all blocks, where units are cut, and a counter for
/// each unit.
void Launcher::addWorkspace(Value unitCount, Value isCut) {
  Value states = times(grid, DecodeShape::statesPerBlock * shape.stateFloats());
  auto type = MemRefType::get({ShapedType::kDynamic}, b.getF32Type());
  Value memory = memref::AllocOp::create(
      b, type, ValueRange{select(isCut, states, index(1))});
  partials = parameter(einhead::pointerTo(b, memory));
  counters = parameter(call("einhead_host_zeroed",
                            LLVM::LLVMPointerType::get(b.getContext()),
                            times(unitCount, 4)));
}
