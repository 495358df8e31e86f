//===- DecodeWork.cpp - Which block computes which tiles --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Tiles are shared out in one of three ways, which the host chooses from the
// number of units and of blocks that run at the same time (DecodeShares.cpp):
//
//   parts   of each unit: team i has part i % parts of unit i / parts
//   whole   units, about as many for each team
//   runs    of equal length, over all units one after the other; a team may
//           begin in one unit and end in another
//
// A team is a block, or as many as there are blocks of rows: they read the same
// tiles at the same time, so that all but the first find them in the L2 cache.
//
// Lengths are read here, on the device; so the same launch serves a batch whose
// lengths have changed, and equal runs balance ragged ones.

#include "DecodeEmitter.h"

using namespace mlir;
using namespace einhead::hopper;

/// Tiles with a key that counts, but one at least: a unit without keys is
/// written too.
Value DecodeEmitter::tilesOf(Value limit) {
  Value end = div(add(limit, shape.keyTile - 1), shape.keyTile);
  if (p.mask)
    end = sub(end, div(p.mask->begin, shape.keyTile));
  return maxOf(end, i32(1));
}

/// How many keys the sequence `firstIndex` of the first batch letter has.
Value DecodeEmitter::limitOf(Value firstIndex) {
  if (!p.lengths)
    return p.keys;
  Type type = b.getI64Type();
  Value length = load(type, at(p.lengths, type, widen(firstIndex)));
  length = b.createOrFold<arith::MinSIOp>(length, widen(p.keys));
  length = b.createOrFold<arith::MaxSIOp>(length, i64(0));
  return arith::TruncIOp::create(b, b.getI32Type(), length);
}

//===----------------------------------------------------------------------===//
// Parts and whole units
//===----------------------------------------------------------------------===//

Run DecodeEmitter::partOfUnit() {
  Value unit = div(team, p.parts);
  Value part = sub(team, mul(unit, p.parts));
  Value tiles = tilesOf(limitOf(div(unit, p.unitsEach)));
  // A unit of few tiles has fewer parts.
  Value parts = minOf(p.parts, tiles);
  auto bound = [&](Value i) { return div(mul(tiles, i), parts); };
  Value exists = isLess(part, parts);
  return {unit, select(exists, bound(part), i32(0)), unit,
          select(exists, bound(add(part, 1)), i32(0)), i32(1)};
}

/// Teams take the units in turn: they read neighbouring memory at a time.
Run DecodeEmitter::wholeUnits() {
  return {team, i32(0), p.units, i32(0), teamCount};
}

//===----------------------------------------------------------------------===//
// Equal runs
//===----------------------------------------------------------------------===//

/// The first tile of a team, of all units' tiles.
Value DecodeEmitter::startOf(Value team) {
  return add(mul(team, tilesEach), minOf(team, longerRuns));
}

/// The team that has tile `tile` of all units' tiles.
Value DecodeEmitter::ownerOf(Value tile) {
  Value longer = add(tilesEach, 1), inLonger = mul(longerRuns, longer);
  Value most = maxOf(tilesEach, i32(1));
  return select(isLess(tile, inLonger), div(tile, longer),
                add(div(sub(tile, inLonger), most), longerRuns));
}

/// Without lengths all units have as many tiles.
Run DecodeEmitter::equalRun() {
  Value tiles = tilesOf(p.keys), total = mul(tiles, p.units);
  tilesEach = div(total, teamCount);
  longerRuns = rem(total, teamCount);
  Value start = startOf(team), end = startOf(add(team, 1));
  Value first = div(start, tiles), last = div(end, tiles);
  return {first, sub(start, mul(first, tiles)), last,
          sub(end, mul(last, tiles)), i32(1)};
}

/// With lengths, a warp adds up the tiles, and finds both ends of this team's
/// run; it leaves them in shared memory, six words.
void DecodeEmitter::findRun() {
  Value batch = p.batchExtents[0];
  auto tilesAt = [&](Value i) {
    Value exists = isLess(i, batch);
    Value tiles = tilesOf(limitOf(select(exists, i, i32(0))));
    return select(exists, mul(tiles, p.unitsEach), i32(0));
  };
  Values total =
      loop(lane, batch, i32(32), Values{i32(0)}, [&](Value i, ValueRange sum) {
        return Values{add(sum[0], tilesAt(i))};
      });
  for (int64_t distance : {1, 2, 4, 8, 16})
    total[0] = add(total[0], shuffleXor(total[0], distance));
  tilesEach = div(total[0], teamCount);
  longerRuns = rem(total[0], teamCount);
  Value start = startOf(team), end = startOf(add(team, 1));
  int64_t words = shape.reductionOffset();
  ifThen(isEqual(lane, 0), [&] {
    storeShared(tilesEach, i32(words + 16));
    storeShared(longerRuns, i32(words + 20));
    // The end of the last run is no tile's place, nor is an empty run's start.
    for (int64_t word : {0, 8}) {
      storeShared(p.units, i32(words + word));
      storeShared(i32(0), i32(words + word + 4));
    }
  });
  syncWarp();
  loop(i32(0), batch, i32(32), Values{i32(0)},
       [&](Value strip, ValueRange before) {
         Value i = add(strip, lane), tiles = tilesAt(i), upTo = tiles;
         for (int64_t distance : {1, 2, 4, 8, 16}) {
           Value other = shuffleUp(upTo, distance);
           upTo = add(upTo, select(isLess(lane, distance), i32(0), other));
         }
         Value begin = add(before[0], sub(upTo, tiles));
         auto place = [&](Value tile, int64_t word) {
           Value inside = sub(tile, begin);
           Value isHere = andOf(isLess(i32(-1), inside), isLess(inside, tiles));
           ifThen(isHere, [&] {
             Value each = div(tiles, p.unitsEach), unit = div(inside, each);
             storeShared(add(mul(i, p.unitsEach), unit), i32(words + word));
             storeShared(sub(inside, mul(unit, each)), i32(words + word + 4));
           });
         };
         place(start, 0);
         place(end, 8);
         return Values{add(before[0], shuffleFrom(upTo, 31))};
       });
}

/// What this block computes, known to all of its threads: after the barrier
/// that follows `findRun`.
void DecodeEmitter::shareOut() {
  int64_t words = shape.reductionOffset();
  auto asValues = [](const Run &run) {
    return Values{run.firstUnit, run.firstTile, run.endUnit, run.endTile,
                  run.step};
  };
  Values result = ifElse(
      isLess(i32(0), p.parts),
      [&] {
        Values part = asValues(partOfUnit());
        part.append({i32(0), i32(0)});
        return part;
      },
      [&] {
        return ifElse(
            isEqual(p.parts, 0),
            [&] {
              Values whole = asValues(wholeUnits());
              whole.append({i32(0), i32(0)});
              return whole;
            },
            [&] {
              if (!p.lengths) {
                Values equal = asValues(equalRun());
                equal.append({tilesEach, longerRuns});
                return equal;
              }
              Values found;
              for (int64_t word = 0; word < 6; ++word)
                found.push_back(
                    loadShared(b.getI32Type(), i32(words + word * 4)));
              found.insert(found.begin() + 4, i32(1));
              return found;
            });
      });
  mine = {result[0], result[1], result[2], result[3], result[4]};
  tilesEach = result[5];
  longerRuns = result[6];
}

//===----------------------------------------------------------------------===//
// Items
//===----------------------------------------------------------------------===//

Item DecodeEmitter::itemAt(Value unit) {
  Item item;
  item.unit = unit;
  item.counter = add(mul(unit, shape.rowBlocks()), rank);
  Value rest = unit;
  item.batch.resize(p.batchExtents.size());
  for (size_t i = p.batchExtents.size(); i-- > 1;) {
    Value outer = div(rest, p.batchExtents[i]);
    item.batch[i] = sub(rest, mul(outer, p.batchExtents[i]));
    rest = outer;
  }
  if (!item.batch.empty())
    item.batch[0] = rest;
  item.limit = limitOf(rest);
  item.tiles = tilesOf(item.limit);
  item.firstOfUnit = p.mask ? div(p.mask->begin, shape.keyTile) : i32(0);
  Value isFirst = isEqual(unit, mine.firstUnit);
  item.begin = select(isFirst, mine.firstTile, i32(0));
  item.end = select(isEqual(unit, mine.endUnit), mine.endTile, item.tiles);
  item.isWhole = andOf(isEqual(item.begin, 0), isEqual(item.end, item.tiles));
  item.state =
      add(mul(block, shape.statesPerBlock), select(isFirst, i32(0), i32(1)));
  return item;
}

Values DecodeEmitter::overItems(
    ValueRange carried,
    llvm::function_ref<Values(const Item &, ValueRange)> body) {
  Value end =
      select(isLess(i32(0), mine.endTile), add(mine.endUnit, 1), mine.endUnit);
  return loop(
      mine.firstUnit, end, mine.step, carried,
      [&](Value unit, ValueRange inner) { return body(itemAt(unit), inner); });
}

/// The teams that have tiles of the unit.
Contributors DecodeEmitter::contributorsOf(const Item &item) {
  Values result = ifElse(
      isLess(i32(0), p.parts),
      [&] {
        return Values{mul(item.unit, p.parts), minOf(p.parts, item.tiles),
                      i32(0)};
      },
      [&] {
        // The unit's first tile, of all: this team's run begins in it, or
        // ends.
        Value isFirst = isEqual(item.unit, mine.firstUnit);
        Value base = select(isFirst, sub(startOf(team), mine.firstTile),
                            sub(startOf(add(team, 1)), mine.endTile));
        Value first = ownerOf(base);
        Value last = ownerOf(sub(add(base, item.tiles), i32(1)));
        Value state = select(isLess(startOf(first), base), i32(1), i32(0));
        return Values{first, add(sub(last, first), 1), state};
      });
  return {result[0], result[1], result[2]};
}
