//===- TuneSearch.cpp - Which schedules to try ------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TuneSearch.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using einhead::attn::Products;

namespace einhead::tool {

TuneSearch::TuneSearch(ScheduleKey key, TargetInfo target, int64_t keys,
                       int64_t rows, const ScheduleSizes &model)
    : key(std::move(key)), target(std::move(target)), keys(keys), rows(rows),
      fastest(model) {
  candidates.push_back(model);
  given = 1;
  addKinds();
}

void TuneSearch::add(const ScheduleSizes &schedule) {
  if (!llvm::is_contained(candidates, schedule) &&
      schedule.whyNot(key, target).empty())
    candidates.push_back(schedule);
}

void TuneSearch::addKinds() {
  for (Products products : {Products::FMA, Products::Dot, Products::Tiles})
    for (bool packed : {false, true}) {
      ScheduleSizes other = fastest;
      other.products = products;
      other.packed = packed;
      add(other);
    }
}

void TuneSearch::addNeighbours() {
  constexpr int64_t mostKeys = 256, leastChunk = 64, mostPrefetch = 4096;
  center = fastest;
  auto change = [&](int64_t ScheduleSizes::*size, int64_t value) {
    ScheduleSizes other = fastest;
    other.*size = value;
    // A chunk is whole tiles.
    other.chunk = llvm::alignTo(other.chunk, other.keyTile);
    add(other);
  };
  if (fastest.chunk < keys)
    change(&ScheduleSizes::chunk, 2 * fastest.chunk);
  if (fastest.chunk / 2 >= std::max(leastChunk, fastest.keyTile))
    change(&ScheduleSizes::chunk, fastest.chunk / 2);
  if (2 * fastest.keyTile <= std::min(mostKeys, 2 * keys))
    change(&ScheduleSizes::keyTile, 2 * fastest.keyTile);
  change(&ScheduleSizes::keyTile, fastest.keyTile / 2);
  if (fastest.rowTile < rows)
    change(&ScheduleSizes::rowTile, 2 * fastest.rowTile);
  // Half of what there is: a tile of more rows than that holds all of them.
  int64_t half = static_cast<int64_t>(
                     llvm::PowerOf2Ceil(std::min(fastest.rowTile, rows))) /
                 2;
  if (half >= 1)
    change(&ScheduleSizes::rowTile, half);
  if (2 * fastest.prefetch <= mostPrefetch)
    change(&ScheduleSizes::prefetch,
           std::max<int64_t>(8, 2 * fastest.prefetch));
  change(&ScheduleSizes::prefetch, fastest.prefetch / 2);
  addKinds();
}

std::optional<ScheduleSizes> TuneSearch::next() {
  if (given == candidates.size() && !(center && *center == fastest))
    addNeighbours();
  if (given == candidates.size())
    return std::nullopt;
  return candidates[given++];
}

void TuneSearch::report(const ScheduleSizes &schedule, double ratio) {
  if (ratio >= worth * fastestRatio)
    return;
  fastest = schedule;
  fastestRatio = ratio;
}

} // namespace einhead::tool
