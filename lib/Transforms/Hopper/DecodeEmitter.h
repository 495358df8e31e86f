//===- DecodeEmitter.h - The stages of a decode kernel ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_LIB_TRANSFORMS_HOPPER_DECODEEMITTER_H
#define EINHEAD_LIB_TRANSFORMS_HOPPER_DECODEEMITTER_H

#include "DecodeKernel.h"

namespace einhead::hopper {

/// The tiles that a team takes: from tile `firstTile` of unit `firstUnit` up
/// to tile `endTile` of unit `endUnit`, of every `step`-th unit.
struct Run {
  mlir::Value firstUnit, firstTile, endUnit, endTile, step;
};

/// The teams that share a unit, and which of its states the first one's is.
struct Contributors {
  mlir::Value first, count, firstState;
};

/// A unit's tiles that this block takes.
struct Item {
  mlir::Value unit;
  mlir::Value counter;     ///< number of the counter of its merge
  Values batch;            ///< indices of the batch letters
  mlir::Value limit;       ///< no key from here on counts
  mlir::Value tiles;       ///< of the unit, at least 1
  mlir::Value firstOfUnit; ///< number of the unit's first tile in K
  mlir::Value begin, end;  ///< tiles of the unit
  mlir::Value isWhole;     ///< i1
  mlir::Value state;       ///< number of the block's state for it
};

/// Of the keys that a thread has in scores of a round.
struct Scales {
  Values keys, values;
};

/// Scores relative to what weights refer to, and the unit of their scales.
struct Related {
  Values scores;
  mlir::Value unit;
  mlir::Value grows; ///< i1: references were raised, or the unit lowered
};

/// What a warpgroup carries from tile to tile.
struct Carried {
  mlir::Value unseen; ///< i1: a row has had no key yet
  Values sums;        ///< per row, of this thread's keys
  Values outputs;     ///< [box][rows / 8][4], a wgmma's accumulators

  Values pack() const;
  static Carried unpack(mlir::ValueRange values, const DecodeShape &shape);
};

class DecodeEmitter : public KernelBuilder {
public:
  DecodeEmitter(mlir::OpBuilder &builder, mlir::Location loc,
                const DecodeShape &shape, const DecodeParameters &parameters)
      : KernelBuilder(builder, loc), shape(shape), p(parameters) {}
  virtual ~DecodeEmitter() = default;
  void run();

protected:
  // The whole (DecodeKernel.cpp).
  void setUp();
  void findPlace();
  void takeRun();
  void setRegisters(int64_t count, mlir::NVVM::SetMaxRegisterAction action);
  mlir::Value fullBarrier(mlir::Value stage, bool ofValue);
  mlir::Value emptyBarrier(mlir::Value stage, bool ofValue);
  std::pair<mlir::Value, mlir::Value>
  nextStage(mlir::Value stage, mlir::Value phase, int64_t step);
  virtual void initBarriers();
  int64_t arrivalsOf(int64_t fullBarrier) const;
  virtual void produce();
  void copyBoxes(const Item &item, mlir::Value firstKey, int64_t begin,
                 int64_t end, mlir::Value offset, mlir::Value full,
                 bool ofValue);
  void copyTile(const Item &item, mlir::Value tile, mlir::Value stage,
                mlir::Value phase, bool ofValue);
  virtual void consume();
  void setUpConsumer();
  void clearMaxima();
  mlir::Value loadQuery(const Item &item, mlir::Value i);
  void loadQueries(const Item &item);
  void syncConsumers() { barrier(i32(1), shape.consumers()); }
  void syncGroup() { barrier(groupBarrier, 128); }
  /// Whether the unit has that row: the last block may be short.
  mlir::Value hasRow(mlir::Value row);
  mlir::Value elementPointer(const Addressed &tensor, mlir::Type type,
                             const Item &item, mlir::Value row,
                             mlir::Value column);

  // Who computes what (DecodeWork.cpp).
  mlir::Value tilesOf(mlir::Value limit);
  mlir::Value limitOf(mlir::Value firstIndex);
  void shareOut();
  Run partOfUnit();
  Run wholeUnits();
  mlir::Value startOf(mlir::Value team);
  mlir::Value ownerOf(mlir::Value tile);
  Run equalRun();
  void findRun();
  Item itemAt(mlir::Value unit);
  Values
  overItems(mlir::ValueRange carried,
            llvm::function_ref<Values(const Item &, mlir::ValueRange)> body);
  Contributors contributorsOf(const Item &item);

  // A tile (DecodeTile.cpp; relate, weigh: DecodeWeights.cpp).
  Carried tile(const Item &item, mlir::Value tileIndex, mlir::Value stage,
               mlir::Value phase, Carried carried);
  Carried round(const Item &item, mlir::Value firstKey, int64_t start,
                mlir::Value stage, mlir::Value phase, Carried carried);
  Related relate(llvm::ArrayRef<mlir::Value> raw, const Scales &scales,
                 Carried &carried);
  Values weigh(const Related &related, const Scales &scales, Carried &carried);
  Values roundScores(mlir::Value keyOffset);
  Values scores(mlir::Value keyOffset);
  Values maskScores(const Item &item, Values scores, mlir::Value firstKey);
  mlir::Value isPartial(const Item &item, mlir::Value firstKey);
  mlir::Value isLive(llvm::ArrayRef<mlir::Value> rowLetters, mlir::Value key);
  mlir::Value evaluate(mlir::AffineExpr expression,
                       llvm::ArrayRef<mlir::Value> rowLetters, mlir::Value key);
  Values relative(llvm::ArrayRef<mlir::Value> scores,
                  llvm::ArrayRef<mlir::Value> references);
  mlir::Value exceedsSlack(llvm::ArrayRef<mlir::Value> scores);
  mlir::Value largest(llvm::ArrayRef<mlir::Value> values);
  void storeMaxima(llvm::ArrayRef<mlir::Value> scores);
  std::pair<Values, Carried> raiseMaxima(llvm::ArrayRef<mlir::Value> scores,
                                         llvm::ArrayRef<mlir::Value> references,
                                         Carried carried);
  void scaleRow(Values &outputs, int64_t row, mlir::Value factor);
  mlir::Value reference(mlir::Value max);
  double headroom() const;
  Values rowScales();
  Values rowValues(mlir::Value offset);
  int64_t weightsAt(int64_t step) const;
  void storeWeights(llvm::ArrayRef<mlir::Value> weights);
  void clearValues(const Item &item, mlir::Value valueOffset,
                   mlir::Value firstKey);
  void addValues(mlir::Value valueOffset, Values &outputs);
  mlir::Value wgmma(mlir::Value accumulators, mlir::Value a,
                    mlir::Value bMatrix, int64_t columns, bool accumulate,
                    bool turnedA = false, bool turnedB = false);
  mlir::Value pairOf(mlir::Value low, mlir::Value high);
  mlir::Value packPair(mlir::Value low, mlir::Value high);
  std::pair<mlir::Value, mlir::Value> rounded(mlir::Value low,
                                              mlir::Value high);
  mlir::Value toStruct(llvm::ArrayRef<mlir::Value> values);
  Values fromStruct(mlir::Value value);
  /// The first column of `half` of the accumulators' elements.
  mlir::Value columnOf(int64_t half);
  /// The row (in the unit) of accumulator element `e` of column block `n`.
  mlir::Value rowOf(int64_t n, int64_t e);
  /// Which of the thread's rows element `i` of scores or weights is of.
  int64_t rowIndex(int64_t i) const { return i / 4 % blocks() * 2 + i % 2; }

  // Key and value of bytes (DecodeBytes.cpp).
  void loadScaledQueries(const Item &item);
  mlir::Value loadChunk(const Item &item, mlir::Value row, mlir::Value chunk);
  Values widenChunk(mlir::Value words, mlir::Value row, mlir::Value chunk);
  void storeQueryFactor(mlir::Value row, mlir::Value exponent,
                        mlir::Value isFirst);
  void storeQueryChunk(llvm::ArrayRef<mlir::Value> values, mlir::Value factor,
                       mlir::Value row, mlir::Value chunk);
  void scaleQueries(const Item &item, int64_t firstStep, int64_t endStep);
  mlir::Value queryRow(int64_t step);
  Values loadFragments(mlir::Value offset, bool turned);
  mlir::Value toHalves(mlir::Value bytes, bool high);
  mlir::Value integersToHalves(mlir::Value bytes, bool high);
  void wgmmaFromRegisters(llvm::MutableArrayRef<mlir::Value> accumulators,
                          llvm::ArrayRef<mlir::Value> a, mlir::Value bMatrix,
                          bool accumulate);
  void streamProducts(
      int64_t pairs, llvm::function_ref<Values(int64_t)> loadPair,
      llvm::function_ref<Values(llvm::ArrayRef<mlir::Value>)> convert,
      llvm::function_ref<void(int64_t, llvm::ArrayRef<mlir::Value>)> multiply,
      llvm::ArrayRef<mlir::Value> ahead = {});
  Values convertKeys(llvm::ArrayRef<mlir::Value> words);
  Values convertValues(llvm::ArrayRef<mlir::Value> words);
  bool streamsProducts(int64_t steps) const;
  Values streamScores(mlir::Value keyOffset);
  Values loadValuePair(mlir::Value valueOffset, int64_t pair);
  Values firstValues(mlir::Value valueOffset);
  void streamValues(mlir::Value valueOffset, llvm::ArrayRef<mlir::Value> ahead,
                    Values &outputs);
  Values byteScores(mlir::Value keyOffset);
  void addByteValues(mlir::Value valueOffset, Values &outputs);

  // Scales of keys and values (DecodeScales.cpp).
  void copyScales(const Item &item, const Addressed &scales,
                  mlir::Value firstKey, mlir::Value to);
  void copyTileScales(const Item &item, mlir::Value firstKey, mlir::Value stage,
                      mlir::Value full);
  Scales loadScales(mlir::Value stage, int64_t start);
  void scaleScores(Values &scores, const Scales &scales);
  void scaleWeights(Values &weights, const Scales &scales, mlir::Value unit);
  mlir::Value bitsOf(mlir::Value x);
  mlir::Value magnitudeBits(mlir::Value x);
  mlir::Value exceedsUnit(const Scales &scales, mlir::Value unit);
  mlir::Value inverseOf(mlir::Value unit);
  mlir::Value unitOf(mlir::Value ofGroup);
  void clearUnits();
  mlir::Value lowerUnit(const Scales &scales, mlir::Value unit);
  void changeUnit(Values &outputs, mlir::Value from, mlir::Value to);
  Values withoutUnit(const Values &outputs);
  /// Which of the thread's keys of a round element `i` of scores is of.
  int64_t keyIndex(int64_t i) const { return i / 4 / blocks() * 2 + i % 4 / 2; }

  // The end of an item (DecodeEpilogue.cpp).
  void finish(const Item &item, const Carried &carried);
  void spill(const Carried &carried);
  void noteSum(int64_t n, int64_t e, mlir::Value sum);
  void spillRow(const Values &outputs, int64_t n, int64_t e, mlir::Value row,
                mlir::Value line);
  void storeStates(bool hasSums = true);
  void joinGroups(const Item &item);
  void announce(const Item &item);
  void mergeParts();
  void mergeUnit(const Item &item);
  void mergeShare(const Item &item, const Contributors &contributors,
                  mlir::Value share);
  Values rowLetters(mlir::Value row);
  void writeOutput(const Item &item, mlir::Value row, mlir::Value column,
                   mlir::Value max, mlir::Value sum,
                   llvm::ArrayRef<mlir::Value> values);
  void writeLse(const Item &item, mlir::Value row, mlir::Value max,
                mlir::Value sum);
  mlir::Value stateOf(const Contributors &contributors, mlir::Value part);
  mlir::Value ownState(const Item &item);
  mlir::Value blockOf(mlir::Value team);

  int64_t blocks() const { return shape.paddedRows() / 8; }

  const DecodeShape &shape;
  const DecodeParameters &p;
  mlir::Value thread, warp, lane, block;
  mlir::Value team, rank, teamCount; ///< the block's place in its team
  mlir::Value firstRow;              ///< of the block, among all rows
  mlir::Value isCluster;             ///< i1: the blocks of a unit are a cluster
  Run mine;
  mlir::Value tilesEach, longerRuns; ///< of equal runs
  // Of a consumer: its group and warp in it; of the lane, the row of 8 that it
  // has in an accumulator and twice the column pair.
  mlir::Value group, groupWarp, laneRow, lanePair, groupBarrier;
  mlir::Value weightsOffset, maxima, references, reduction;
};

/// The body of a kernel whose shape is `wide` (DecodeWide.cpp).
void runWideEmitter(mlir::OpBuilder &builder, mlir::Location loc,
                    const DecodeShape &shape,
                    const DecodeParameters &parameters, mlir::Value sharedBase);

/// The body of a kernel whose shape is `split` (DecodeSplit.cpp).
void runSplitEmitter(mlir::OpBuilder &builder, mlir::Location loc,
                     const DecodeShape &shape,
                     const DecodeParameters &parameters,
                     mlir::Value sharedBase);

/// The body of a kernel of warps (TensorCores/WarpDecode.cpp).
void runWarpEmitter(mlir::OpBuilder &builder, mlir::Location loc,
                    const DecodeShape &shape,
                    const DecodeParameters &parameters, mlir::Value sharedBase);

} // namespace einhead::hopper

#endif // EINHEAD_LIB_TRANSFORMS_HOPPER_DECODEEMITTER_H
