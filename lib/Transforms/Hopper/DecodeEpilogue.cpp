//===- DecodeEpilogue.cpp - Join groups and parts, write --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "DecodeEmitter.h"

using namespace mlir;
using namespace einhead::hopper;

/// Threads work on so many columns of an output row at a time.
static constexpr int64_t step = 4;

/// The warp's part of a row's sum, to where the group finds it.
void DecodeEmitter::noteSum(int64_t n, int64_t e, Value sum) {
  for (int64_t distance : {4, 8, 16})
    sum = addF(sum, shuffleXor(sum, distance));
  ifThen(isEqual(laneRow, 0), [&] {
    Value column = add(mul(groupWarp, shape.paddedRows()), rowOf(n, e));
    storeShared(sum, add(reduction, mul(column, 4)));
  });
}

/// A row's outputs to `line` of [row][column].
void DecodeEmitter::spillRow(const Values &outputs, int64_t n, int64_t e,
                             Value row, Value line) {
  for (int64_t box = 0; box < shape.outputBlocks(); ++box)
    for (int64_t half = 0; half < 2; ++half) {
      Value column = add(columnOf(half), box * 64);
      ifThen(andOf(isLess(row, shape.rows), isLess(column, shape.width)), [&] {
        storeShared(outputs[(box * blocks() + n) * 4 + e + 2 * half],
                    add(mul(add(line, column), 4), shape.outputOffset()));
      });
    }
}

/// The group's maxima and sums, behind all outputs.
void DecodeEmitter::storeStates(bool hasSums) {
  int64_t rows = shape.rows, padded = shape.paddedRows();
  int64_t states = shape.statesOffset();
  loop(rem(thread, 128), i32(rows), i32(128), [&](Value row) {
    Value sum;
    for (int64_t w = 0; hasSums && w < 4; ++w) {
      Value part = loadShared(b.getF32Type(),
                              add(add(reduction, w * padded * 4), mul(row, 4)));
      sum = sum ? addF(sum, part) : part;
    }
    Value max = loadShared(b.getF32Type(), add(maxima, mul(row, 4)));
    Value offset = add(mul(add(mul(group, rows), row), 8), states);
    storeShared(max, offset);
    storeShared(sum ? sum : f32(0), add(offset, 4));
  });
}

/// A group's outputs to shared memory as [row][column], then its rows' maxima
/// and sums.
void DecodeEmitter::spill(const Carried &carried) {
  Values outputs = withoutUnit(carried.outputs);
  for (int64_t n = 0; n < blocks(); ++n)
    for (int64_t e = 0; e < 2; ++e) {
      noteSum(n, e, carried.sums[n * 2 + e]);
      Value row = rowOf(n, e);
      Value line = mul(add(mul(group, shape.rows), row), shape.width);
      spillRow(outputs, n, e, row, line);
    }
  syncGroup();
  storeStates();
}

/// Where this block keeps its state of the item: in the ring, which holds no
/// tile of use any more, if the other blocks of the unit can read it there.
Value DecodeEmitter::ownState(const Item &item) {
  return ifElse(
      isCluster,
      [&] {
        return Values{
            LLVM::AddrSpaceCastOp::create(b, pointerType(), sharedBase)};
      },
      [&] {
        Value first = mul64(widen(item.state), i64(shape.stateFloats()));
        return Values{at(p.partials, b.getF32Type(), first)};
      })[0];
}

/// The block of another team that has the same rows.
Value DecodeEmitter::blockOf(Value team) {
  return add(mul(team, shape.rowBlocks()), rank);
}

/// The state of a unit's part.
Value DecodeEmitter::stateOf(const Contributors &contributors, Value part) {
  return ifElse(
      isCluster,
      [&] {
        Value own = LLVM::AddrSpaceCastOp::create(b, pointerType(), sharedBase);
        return Values{
            NVVM::MapaOp::create(b, pointerType(), own, blockOf(part))};
      },
      [&] {
        Value state =
            mul(blockOf(add(contributors.first, part)), shape.statesPerBlock);
        state = add(state,
                    select(isEqual(part, 0), contributors.firstState, i32(0)));
        Value first = mul64(widen(state), i64(shape.stateFloats()));
        return Values{at(p.partials, b.getF32Type(), first)};
      })[0];
}

/// `step` columns of a row, normalised.  A row without keys is 0, its
/// log-sum-exp -inf.
void DecodeEmitter::writeOutput(const Item &item, Value row, Value column,
                                Value max, Value sum, ArrayRef<Value> values) {
  Value some = isGreaterF(sum, f32(0));
  Value factor = select(some, reciprocal(sum), f32(0));
  auto wide = VectorType::get({step}, b.getF32Type());
  Value vector = LLVM::UndefOp::create(b, wide);
  for (auto [i, value] : llvm::enumerate(values))
    vector =
        LLVM::InsertElementOp::create(b, vector, mulF(value, factor), i32(i));
  unsigned bytes = 4 * step;
  if (!shape.output.isF32()) {
    vector = LLVM::FPTruncOp::create(b, VectorType::get({step}, shape.output),
                                     vector);
    bytes /= 2;
  }
  auto put = [&] {
    store(vector, elementPointer(p.output, shape.output, item, row, column),
          bytes);
  };
  if (shape.totalRows % shape.rows == 0)
    put();
  else
    ifThen(hasRow(row), put);
  if (p.lse.base)
    ifThen(andOf(isEqual(column, 0), hasRow(row)),
           [&] { writeLse(item, row, max, sum); });
}

/// lse = ln(2) * (max + log2(sum))
void DecodeEmitter::writeLse(const Item &item, Value row, Value max,
                             Value sum) {
  Value logarithm = mulF(addF(max, log2(sum)), f32(0.6931471805599453));
  Value some = isGreaterF(sum, f32(0));
  store(select(some, logarithm, negativeInfinity()),
        elementPointer(p.lse, b.getF32Type(), item, row, Value()), 4);
}

/// The states of the groups of this block become the output, or the state of
/// this part.
void DecodeEmitter::joinGroups(const Item &item) {
  int64_t rows = shape.rows, width = shape.width;
  int64_t states = shape.statesOffset();
  auto four = VectorType::get({step}, b.getF32Type());
  Value state = ownState(item);
  loop(thread, i32(rows * width / step), i32(shape.consumers()), [&](Value i) {
    Value row = div(i, width / step);
    Value column = mul(sub(i, mul(row, width / step)), step);
    Values maxes, sums;
    Value max = negativeInfinity();
    for (int64_t g = 0; g < shape.groups; ++g) {
      Value offset = add(mul(row, 8), states + g * rows * 8);
      maxes.push_back(loadShared(b.getF32Type(), offset));
      sums.push_back(loadShared(b.getF32Type(), add(offset, 4)));
      max = maxF(max, maxes.back());
    }
    Value shift = select(isEqualF(max, negativeInfinity()), f32(0), max);
    Value sum = f32(0);
    Values values(step, f32(0));
    for (int64_t g = 0; g < shape.groups; ++g) {
      Value factor = exp2(subF(maxes[g], shift));
      sum = fma(factor, sums[g], sum);
      int64_t place = g - (shape.groups - shape.outputGroups());
      if (place < 0)
        continue;
      int64_t outputs = shape.outputOffset() + place * rows * width * 4;
      Value part = loadShared(four, add(mul(i, 16), outputs));
      for (int64_t k = 0; k < step; ++k)
        values[k] = fma(factor, LLVM::ExtractElementOp::create(b, part, i32(k)),
                        values[k]);
    }
    ifElse(
        item.isWhole,
        [&] {
          writeOutput(item, row, column, max, sum, values);
          return Values();
        },
        [&] {
          ifThen(isEqual(column, 0), [&] {
            store(max, at(state, b.getF32Type(), widen(row)));
            store(sum, at(state, b.getF32Type(), widen(add(row, rows))));
          });
          Value vector = LLVM::UndefOp::create(b, four);
          for (int64_t k = 0; k < step; ++k)
            vector =
                LLVM::InsertElementOp::create(b, vector, values[k], i32(k));
          Value place = widen(add(mul(i, step), 4 * rows));
          store(vector, at(state, b.getF32Type(), place), 16);
          return Values();
        });
  });
}

//===----------------------------------------------------------------------===//
// The parts of a unit
//===----------------------------------------------------------------------===//

/// Joins the states of a unit's parts for a share of the outputs: the threads
/// make teams, each of which joins every so many parts; then the teams are
/// joined.
void DecodeEmitter::mergeShare(const Item &item,
                               const Contributors &contributors, Value share) {
  int64_t rows = shape.rows, width = shape.width;
  int64_t threads = shape.consumers(), scratch = shape.outputOffset();
  auto four = VectorType::get({step}, b.getF32Type());
  Type f32Type = b.getF32Type();
  int64_t elements = rows * width / step;
  Value each =
      div(sub(add(contributors.count, elements), i32(1)), contributors.count);
  Value begin = minOf(mul(share, each), i32(elements));
  Value end = minOf(add(begin, each), i32(elements));
  loop(begin, end, i32(threads), [&](Value base) {
    Value count = minOf(sub(end, base), i32(threads));
    Value teams = div(i32(threads), count);
    Value team = div(thread, count);
    Value i = add(base, sub(thread, mul(team, count)));
    Value row = div(i, width / step);
    Value column = mul(sub(i, mul(row, width / step)), step);
    auto joined = [&](ValueRange a, ValueRange c) {
      Value max = maxF(a[0], c[0]);
      Value shift = select(isEqualF(max, negativeInfinity()), f32(0), max);
      Value fa = exp2(subF(a[0], shift)), fc = exp2(subF(c[0], shift));
      Values result = {max};
      for (int64_t k = 1; k < step + 2; ++k)
        result.push_back(fma(fc, c[k], mulF(fa, a[k])));
      return result;
    };
    Values state = {negativeInfinity(), f32(0)};
    state.append(step, f32(0));
    Value stop = select(isLess(team, teams), contributors.count, i32(0));
    state = loop(team, stop, teams, state, [&](Value part, ValueRange now) {
      Value other = stateOf(contributors, part);
      auto read = [&](Type type, Value place) {
        return load(type, at(other, f32Type, widen(place)),
                    type == f32Type ? 4 : 16);
      };
      Value vector = read(four, add(mul(i, step), 4 * rows));
      Values next = {read(f32Type, row), read(f32Type, add(row, rows))};
      for (int64_t k = 0; k < step; ++k)
        next.push_back(LLVM::ExtractElementOp::create(b, vector, i32(k)));
      return joined(now, next);
    });
    for (int64_t k = 0; k < step + 2; ++k)
      storeShared(state[k], add(mul(thread, 4), scratch + k * threads * 4));
    syncConsumers();
    ifThen(isEqual(team, 0), [&] {
      Values all =
          loop(i32(1), teams, i32(1), state, [&](Value t, ValueRange now) {
            Value from = mul(add(thread, mul(t, count)), 4);
            Values next;
            for (int64_t k = 0; k < step + 2; ++k)
              next.push_back(
                  loadShared(f32Type, add(from, scratch + k * threads * 4)));
            return joined(now, next);
          });
      writeOutput(item, row, column, all[0], all[1],
                  ArrayRef<Value>(all).drop_front(2));
    });
    syncConsumers();
  });
}

/// The unit's counter goes up by one for each stored state, and again for each
/// merged share; the last one sets it to 0 for the next launch.
static Value increment(KernelBuilder &k, Value counter) {
  return LLVM::AtomicRMWOp::create(k.b, LLVM::AtomicBinOp::add, counter,
                                   k.i32(1), LLVM::AtomicOrdering::monotonic,
                                   "device");
}

/// Says that this block's state of the unit is stored.
void DecodeEmitter::announce(const Item &item) {
  syncConsumers();
  ifThen(isEqual(thread, 0), [&] {
    // The barrier orders the block's stores before the fence, and the fence
    // before the counter's change.
    LLVM::FenceOp::create(b, LLVM::AtomicOrdering::acq_rel, "device");
    increment(*this, at(p.counters, b.getI32Type(), widen(item.counter)));
  });
}

/// Waits for the others' states, and merges this block's share.
void DecodeEmitter::mergeUnit(const Item &item) {
  Type i32Type = b.getI32Type();
  Contributors contributors = contributorsOf(item);
  Value counter = at(p.counters, i32Type, widen(item.counter));
  ifThen(isEqual(thread, 0), [&] {
    whileLoop(
        Values{i32(0)},
        [&](ValueRange seen) { return isLess(seen[0], contributors.count); },
        [&](ValueRange) {
          auto now = LLVM::LoadOp::create(b, i32Type, counter, 4);
          now.setOrdering(LLVM::AtomicOrdering::acquire);
          now.setSyncscope("device");
          return Values{now};
        });
    LLVM::FenceOp::create(b, LLVM::AtomicOrdering::acq_rel, "device");
  });
  syncConsumers();
  mergeShare(item, contributors, sub(team, contributors.first));
  ifThen(isEqual(thread, 0), [&] {
    Value before = increment(*this, counter);
    Value last = sub(mul(contributors.count, 2), i32(1));
    ifThen(isEqual(before, last), [&] { store(i32(0), counter, 4); });
  });
}

/// The units that this block shares with others: its first and its last one.
/// All blocks run at the same time, and each has stored its states before it
/// waits for those of others.
void DecodeEmitter::mergeParts() {
  auto ifShared = [&](Value unit, llvm::function_ref<void(const Item &)> body) {
    Item item = itemAt(unit);
    Value some = isLess(item.begin, item.end);
    ifThen(andOf(some, xorOf(item.isWhole, i1(true))), [&] { body(item); });
  };
  ifElse(
      isCluster,
      [&] {
        syncCluster(); // the others' states are in place
        ifShared(mine.firstUnit, [&](const Item &item) {
          mergeShare(item, contributorsOf(item),
                     sub(team, mul(item.unit, p.parts)));
        });
        syncCluster(); // nobody reads this block's any more
        return Values();
      },
      [&] {
        auto merge = [&](const Item &item) { mergeUnit(item); };
        ifThen(isLess(mine.firstUnit, p.units),
               [&] { ifShared(mine.firstUnit, merge); });
        Value isOther = andOf(isLess(mine.firstUnit, mine.endUnit),
                              isLess(i32(0), mine.endTile));
        ifThen(isOther, [&] { ifShared(mine.endUnit, merge); });
        return Values();
      });
}

void DecodeEmitter::finish(const Item &item, const Carried &carried) {
  syncConsumers(); // queries and weights become the outputs' place
  spill(carried);
  syncConsumers();
  joinGroups(item);
  Value isPart = xorOf(item.isWhole, i1(true));
  ifThen(andOf(isPart, xorOf(isCluster, i1(true))), [&] { announce(item); });
}
