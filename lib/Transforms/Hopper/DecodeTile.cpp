//===- DecodeTile.cpp - One tile of keys ------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Element e of column block n of an accumulator (m64nNk16, f32) is at row
// 16 * warp + lane / 4 + 8 * (e / 2) and column 8 * n + lane % 4 * 2 + e % 2.
// The products are transposed: rows are keys (or columns of V), columns are
// query rows.

#include "DecodeEmitter.h"

using namespace mlir;
using namespace einhead::hopper;

/// Scores beyond the reference maximum by more than this raise it.  exp2 of it
/// is far from overflow, and so is the sum over as many keys as there can be.
static constexpr double slack = 8;

/// Weights as f16 are up to 2^15, to have few that it has no exponent for.
double DecodeEmitter::headroom() const { return shape.byteKeys ? 7 : 0; }

/// What weights refer to where `max` is the largest score.
Value DecodeEmitter::reference(Value max) {
  return shape.byteKeys ? subF(max, f32(headroom())) : max;
}

Values Carried::pack() const {
  Values values = {unseen};
  llvm::append_range(values, sums);
  llvm::append_range(values, outputs);
  return values;
}

Carried Carried::unpack(ValueRange values, const DecodeShape &shape) {
  size_t sums = shape.paddedRows() / 8 * 2;
  return {values[0], Values(values.slice(1, sums)),
          Values(values.drop_front(1 + sums))};
}

/// Of bytes, even columns stand in the upper rows (DecodeBytes.cpp).
Value DecodeEmitter::columnOf(int64_t half) {
  Value first = mul(groupWarp, 16);
  return shape.byteKeys ? add(add(first, mul(laneRow, 2)), half)
                        : add(add(first, laneRow), half * 8);
}

Value DecodeEmitter::rowOf(int64_t n, int64_t e) {
  return add(lanePair, n * 8 + e);
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

Value DecodeEmitter::toStruct(ArrayRef<Value> values) {
  SmallVector<Type> types(values.size(), b.getF32Type());
  Value result = LLVM::UndefOp::create(
      b, LLVM::LLVMStructType::getLiteral(b.getContext(), types));
  for (auto [i, value] : llvm::enumerate(values))
    result = LLVM::InsertValueOp::create(b, result, value, i);
  return result;
}

Values DecodeEmitter::fromStruct(Value value) {
  Values values;
  auto type = cast<LLVM::LLVMStructType>(value.getType());
  for (size_t i = 0; i < type.getBody().size(); ++i)
    values.push_back(LLVM::ExtractValueOp::create(b, value, i));
  return values;
}

/// One m64nNk16 step, n = `columns`.  `turnedA`: A lies with its 64 rows
/// contiguous; `turnedB`: B lies with its columns contiguous.
Value DecodeEmitter::wgmma(Value accumulators, Value a, Value bMatrix,
                           int64_t columns, bool accumulate, bool turnedA,
                           bool turnedB) {
  MLIRContext *context = b.getContext();
  auto element =
      shape.element.isBF16() ? NVVM::WGMMATypes::bf16 : NVVM::WGMMATypes::f16;
  return NVVM::WgmmaMmaAsyncOp::create(
      b, accumulators.getType(), accumulators, a, bMatrix,
      NVVM::MMAShapeAttr::get(context, 64, columns, 16), element, element,
      NVVM::WGMMATypes::f32,
      accumulate ? NVVM::WGMMAScaleOut::one : NVVM::WGMMAScaleOut::zero,
      NVVM::WGMMAScaleIn::one, NVVM::WGMMAScaleIn::one,
      turnedA ? NVVM::MMALayout::col : NVVM::MMALayout::row,
      turnedB ? NVVM::MMALayout::row : NVVM::MMALayout::col,
      NVVM::MMAIntOverflowAttr());
}

/// S^T = K Q^T of a round, whose keys stand from `keyOffset` on.
Values DecodeEmitter::roundScores(Value keyOffset) {
  int64_t steps = llvm::divideCeil(shape.depth, 16) * shape.keyBlocks;
  if (shape.byteKeys && streamsProducts(steps))
    return streamScores(keyOffset);
  Values raw;
  for (int64_t i = 0; i < shape.keyBlocks; ++i)
    llvm::append_range(raw, scores(add(keyOffset, i * 8192)));
  wgmmaCommit();
  wgmmaWait();
  pin(raw);
  return raw;
}

/// Starts S^T = K Q^T of 64 keys, which stand from `keyOffset` on.
Values DecodeEmitter::scores(Value keyOffset) {
  if (shape.byteKeys)
    return byteScores(keyOffset);
  int64_t rows = shape.paddedRows();
  SmallVector<Type> types(blocks() * 4, b.getF32Type());
  Value sums = LLVM::UndefOp::create(
      b, LLVM::LLVMStructType::getLiteral(b.getContext(), types));
  wgmmaFence();
  for (int64_t k = 0; k < llvm::divideCeil(shape.depth, 16); ++k) {
    int64_t box = k / 4, step = k % 4 * 32;
    Value keys = descriptor(add(keyOffset, box * shape.keyTile * 128 + step));
    Value queries =
        descriptor(i32(shape.queryOffset() + box * rows * 128 + step));
    sums = wgmma(sums, keys, queries, rows, /*accumulate=*/k > 0);
  }
  return fromStruct(sums);
}

/// O^T += V^T P^T of a round's keys, whose values stand from `valueOffset` on.
void DecodeEmitter::addValues(Value valueOffset, Values &outputs) {
  if (shape.byteKeys)
    return addByteValues(valueOffset, outputs);
  int64_t perBox = blocks() * 4, boxes = shape.widthBoxes();
  pin(outputs);
  wgmmaFence();
  Values sums;
  for (int64_t box = 0; box < boxes; ++box)
    sums.push_back(
        toStruct(ArrayRef<Value>(outputs).slice(box * perBox, perBox)));
  for (int64_t k = 0; k < 4 * shape.keyBlocks; ++k) {
    Value weights = descriptor(add(weightsOffset, weightsAt(k)));
    for (int64_t box = 0; box < boxes; ++box) {
      Value values =
          descriptor(add(valueOffset, box * shape.keyTile * 128 + k * 2048));
      sums[box] = wgmma(sums[box], values, weights, shape.paddedRows(),
                        /*accumulate=*/true, /*turnedA=*/true);
    }
  }
  wgmmaCommit();
  wgmmaWait();
  outputs.clear();
  for (Value sum : sums)
    llvm::append_range(outputs, fromStruct(sum));
  pin(outputs);
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

/// Whether some row of the unit leaves out some of the round's keys.
Value DecodeEmitter::isPartial(const Item &item, Value firstKey) {
  Value end = add(firstKey, shape.roundKeys());
  Value result = isLess(item.limit, end);
  if (p.mask) {
    result = orOf(result, isLess(firstKey, p.mask->fullBegin));
    result = orOf(result, isLess(p.mask->fullEnd, end));
  }
  return result;
}

Value DecodeEmitter::evaluate(AffineExpr expression, ArrayRef<Value> rowLetters,
                              Value key) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expression))
    return i32(constant.getValue());
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expression))
    return p.mask->symbols[symbol.getPosition()];
  if (auto dim = dyn_cast<AffineDimExpr>(expression)) {
    int64_t letter = p.mask->dims[dim.getPosition()];
    return letter < 0 ? key : rowLetters[letter];
  }
  auto binary = cast<AffineBinaryOpExpr>(expression);
  Value x = evaluate(binary.getLHS(), rowLetters, key);
  Value y = evaluate(binary.getRHS(), rowLetters, key);
  switch (expression.getKind()) {
  case AffineExprKind::Add:
    return add(x, y);
  case AffineExprKind::Mul:
    return mul(x, y);
  case AffineExprKind::FloorDiv:
    return b.createOrFold<arith::FloorDivSIOp>(x, y);
  case AffineExprKind::CeilDiv:
    return b.createOrFold<arith::CeilDivSIOp>(x, y);
  default: // Mod: of a positive number, with its sign
    return sub(x, mul(b.createOrFold<arith::FloorDivSIOp>(x, y), y));
  }
}

/// Whether the row attends the key, as far as the mask says.
Value DecodeEmitter::isLive(ArrayRef<Value> rowLetters, Value key) {
  Value any;
  for (IntegerSet set : p.mask->sets) {
    Value all = arith::ConstantIntOp::create(b, 1, 1);
    for (unsigned i = 0; i < set.getNumConstraints(); ++i) {
      Value value = evaluate(set.getConstraint(i), rowLetters, key);
      all =
          andOf(all, set.isEq(i) ? isEqual(value, 0) : isLess(i32(-1), value));
    }
    any = any ? orOf(any, all) : all;
  }
  return any;
}

/// -inf for keys that do not count.
Values DecodeEmitter::maskScores(const Item &item, Values scores,
                                 Value firstKey) {
  Value none = negativeInfinity();
  Value lower = add(add(firstKey, mul(groupWarp, 16)), laneRow);
  Values keys, valid;
  for (int64_t i = 0; i < 2 * shape.keyBlocks; ++i) {
    keys.push_back(add(lower, i / 2 * 64 + i % 2 * 8));
    valid.push_back(isLess(keys.back(), item.limit));
  }
  for (int64_t n = 0; n < blocks(); ++n)
    for (int64_t e = 0; e < 2; ++e) {
      Values letters;
      if (p.mask)
        letters = rowLetters(rowOf(n, e));
      for (auto [i, key] : llvm::enumerate(keys)) {
        Value counts = valid[i];
        if (p.mask)
          counts = andOf(counts, isLive(letters, key));
        Value &score = scores[(i / 2 * blocks() + n) * 4 + i % 2 * 2 + e];
        score = select(counts, score, none);
      }
    }
  return scores;
}

/// What a row's scores are multiplied by, into units of log2.
Values DecodeEmitter::rowScales() {
  double scale = shape.scale * 1.4426950408889634;
  return shape.byteKeys ? rowValues(i32(shape.factorOffset()))
                        : Values(blocks() * 2, f32(scale));
}

/// A number for each row that the thread has, of those in shared memory.
Values DecodeEmitter::rowValues(Value offset) {
  Values result;
  auto pair = VectorType::get({2}, b.getF32Type());
  for (int64_t n = 0; n < blocks(); ++n) {
    Value both = loadShared(pair, add(offset, mul(rowOf(n, 0), 4)));
    for (int64_t e = 0; e < 2; ++e)
      result.push_back(LLVM::ExtractElementOp::create(b, both, i32(e)));
  }
  return result;
}

/// Scores in units of log2, less what the weights of their row refer to: its
/// maximum so far, or 0.
Values DecodeEmitter::relative(ArrayRef<Value> scores,
                               ArrayRef<Value> references) {
  Values scales = rowScales(), result;
  for (auto [i, score] : llvm::enumerate(scores))
    result.push_back(
        fma(score, scales[rowIndex(i)], negF(references[rowIndex(i)])));
  return result;
}

Value DecodeEmitter::largest(ArrayRef<Value> values) {
  if (values.size() == 1)
    return values.front();
  size_t half = values.size() / 2;
  return maxF(largest(values.take_front(half)),
              largest(values.drop_front(half)));
}

/// Whether a score exceeds what its row's weights refer to by more than slack.
/// Positive numbers are in the order of their bits, above the negative ones;
/// and the maximum of three integers is one instruction.
Value DecodeEmitter::exceedsSlack(ArrayRef<Value> scores) {
  auto bits = [&](Value x) -> Value {
    return LLVM::BitcastOp::create(b, b.getI32Type(), x);
  };
  Value most[2];
  for (auto [i, score] : llvm::enumerate(scores)) {
    Value &max = most[i / 2 % 2];
    max = max ? maxOf(max, bits(score)) : bits(score);
  }
  Value max = most[1] ? maxOf(most[0], most[1]) : most[0];
  return isLess(bits(f32(slack + headroom())), max);
}

/// Each warp's largest scores of its keys, to where the group finds them.
void DecodeEmitter::storeMaxima(ArrayRef<Value> scores) {
  for (int64_t row = 0; row < blocks() * 2; ++row) {
    Values ofRow;
    for (auto [i, score] : llvm::enumerate(scores))
      if (rowIndex(i) == row)
        ofRow.push_back(score);
    Value max = largest(ofRow);
    for (int64_t distance : {4, 8, 16})
      max = maxF(max, shuffleXor(max, distance));
    ifThen(isEqual(laneRow, 0), [&] {
      Value column =
          add(mul(groupWarp, shape.paddedRows()), rowOf(row / 2, row % 2));
      storeShared(max, add(reduction, mul(column, 4)));
    });
  }
}

/// Scales a row's outputs, as far as the group has some.
void DecodeEmitter::scaleRow(Values &outputs, int64_t row, Value factor) {
  size_t first = row / 2 * 4 + row % 2, block = blocks() * 4;
  for (; first < outputs.size(); first += block)
    for (int64_t half : {0, 2})
      outputs[first + half] = mulF(outputs[first + half], factor);
}

/// Rare: raises the maxima to those of this round's relative scores, and
/// rescales what was summed with the old ones.  A row without a key keeps -inf
/// and counts from 0.
std::pair<Values, Carried>
DecodeEmitter::raiseMaxima(ArrayRef<Value> scores, ArrayRef<Value> references,
                           Carried carried) {
  int64_t rows = shape.paddedRows();
  Value none = negativeInfinity();
  Values oldMaxima = rowValues(maxima), changes;
  storeMaxima(scores);
  syncGroup();
  Value first = andOf(isEqual(groupWarp, 0), isEqual(laneRow, 0));
  Value unseen = arith::ConstantIntOp::create(b, 0, 1);
  for (int64_t i = 0; i < blocks() * 2; ++i) {
    Value column = mul(rowOf(i / 2, i % 2), 4);
    Values ofWarps;
    for (int64_t w = 0; w < 4; ++w)
      ofWarps.push_back(loadShared(b.getF32Type(),
                                   add(add(reduction, w * rows * 4), column)));
    Value max =
        maxF(oldMaxima[i], reference(addF(largest(ofWarps), references[i])));
    Value empty = isEqualF(max, none);
    unseen = orOf(unseen, empty);
    Value shift = select(empty, f32(0), max);
    ifThen(first, [&] {
      storeShared(max, add(maxima, column));
      storeShared(shift, add(this->references, column));
    });
    changes.push_back(subF(references[i], shift));
    Value factor = exp2(subF(oldMaxima[i], shift));
    carried.sums[i] = mulF(carried.sums[i], factor);
    scaleRow(carried.outputs, i, factor);
  }
  carried.unseen = warpAny(unseen);
  Values result;
  for (auto [i, score] : llvm::enumerate(scores))
    result.push_back(addF(score, changes[rowIndex(i)]));
  return {std::move(result), std::move(carried)};
}

Value DecodeEmitter::pairOf(Value low, Value high) {
  auto pair = VectorType::get({2}, b.getF32Type());
  Value both = LLVM::UndefOp::create(b, pair);
  both = LLVM::InsertElementOp::create(b, both, low, i32(0));
  return LLVM::InsertElementOp::create(b, both, high, i32(1));
}

/// Two f32 rounded to the element type, in an i32.
Value DecodeEmitter::packPair(Value low, Value high) {
  Value both = LLVM::FPTruncOp::create(b, VectorType::get({2}, shape.element),
                                       pairOf(low, high));
  return LLVM::BitcastOp::create(b, b.getI32Type(), both);
}

/// Both numbers as `packPair` rounds them.  Sums are of what is multiplied, so
/// that its rounding moves a row towards some of its keys, but not towards 0.
std::pair<Value, Value> DecodeEmitter::rounded(Value low, Value high) {
  Value bits = packPair(low, high);
  auto f32Type = b.getF32Type();
  if (shape.element.isBF16())
    return {LLVM::BitcastOp::create(b, f32Type,
                                    arith::ShLIOp::create(b, bits, i32(16))),
            LLVM::BitcastOp::create(
                b, f32Type, arith::AndIOp::create(b, bits, i32(0xffff0000)))};
  Value halves =
      LLVM::BitcastOp::create(b, VectorType::get({2}, shape.element), bits);
  auto widened = [&](int64_t i) -> Value {
    Value half = LLVM::ExtractElementOp::create(b, halves, i32(i));
    return LLVM::FPExtOp::create(b, f32Type, half);
  };
  return {widened(0), widened(1)};
}

/// Where the weights of 16 keys stand, of a group's.
int64_t DecodeEmitter::weightsAt(int64_t step) const {
  return step / 4 * shape.paddedRows() * 128 + step % 4 * 32;
}

/// P^T as [64 keys][query row][key], rows of 128 bytes with swizzled chunks.
void DecodeEmitter::storeWeights(ArrayRef<Value> weights) {
  MLIRContext *context = b.getContext();
  Value matrix = div(lane, 8), row = rem(lane, 8);
  Value chunk = add(mul(groupWarp, 2), rem(matrix, 2));
  Value inRow = add(mul(row, 128), mul(xorOf(chunk, row), 16));
  for (int64_t n = 0; n < blocks() * shape.keyBlocks; n += 2) {
    bool two = n + 1 < blocks() * shape.keyBlocks;
    Values sources;
    for (int64_t i = n; i < n + (two ? 2 : 1); ++i) {
      sources.push_back(packPair(weights[i * 4], weights[i * 4 + 1]));
      sources.push_back(packPair(weights[i * 4 + 2], weights[i * 4 + 3]));
    }
    Value offset = add(add(weightsOffset, inRow), n * 1024);
    // Lanes 16 to 31 say where the matrices of the second block go.
    if (two)
      offset = add(offset, mul(div(matrix, 2), 1024));
    NVVM::StMatrixOp::create(b, shared(offset), sources, NVVM::MMALayout::col,
                             NVVM::LdStMatrixShapeAttr::get(context, 8, 8),
                             NVVM::LdStMatrixEltType::B16);
  }
}

/// What stands in rows of V that no row attends may be NaN, and 0 * NaN is no
/// 0.
void DecodeEmitter::clearValues(const Item &item, Value valueOffset,
                                Value firstKey) {
  auto chunkType = VectorType::get({4}, b.getI32Type());
  Value zero = arith::ConstantOp::create(
      b, DenseElementsAttr::get(chunkType, b.getI32IntegerAttr(0)));
  int64_t keys = shape.roundKeys(), boxBytes = shape.stageKeys() * 128;
  loop(rem(thread, 128), i32(keys * 8 * shape.widthBoxes()), i32(128),
       [&](Value i) {
         Value row = rem(div(i, 8), keys), box = div(i, keys * 8);
         Value key = add(firstKey, row);
         Value isOut = isLess(item.limit, add(key, 1));
         if (p.mask)
           isOut = orOf(isOut, isLess(key, p.mask->begin));
         ifThen(isOut, [&] {
           Value offset = add(mul(box, boxBytes), mul(row, 128));
           offset = add(add(offset, mul(rem(i, 8), 16)), valueOffset);
           storeShared(zero, offset, 16);
         });
       });
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

Carried DecodeEmitter::round(const Item &item, Value firstKey, int64_t start,
                             Value stage, Value phase, Carried carried) {
  bool isLast = start + shape.roundKeys() == shape.keyTile;
  auto release = [&](bool ofValue) {
    if (isLast)
      ifThen(isEqual(lane, 0), [&] { arrive(emptyBarrier(stage, ofValue)); });
  };
  Value keyOffset = add(mul(stage, shape.stageBytes()), i32(start * 128));
  Values raw = roundScores(keyOffset);
  Scales scales = loadScales(stage, start);
  scaleScores(raw, scales);
  if (!shape.valueInKey)
    release(false);
  Value partial = isPartial(item, firstKey);
  raw = ifElse(
      partial, [&] { return maskScores(item, raw, firstKey); },
      [&] { return raw; });

  Related related = relate(raw, scales, carried);
  storeWeights(weigh(related, scales, carried));
  if (!shape.valueInKey)
    wait(fullBarrier(stage, true), phase);
  Value valueOffset = add(keyOffset, shape.valueInKey ? 0 : shape.keyBytes());
  ifThen(partial, [&] { clearValues(item, valueOffset, firstKey); });
  fenceAsync();
  syncGroup();
  addValues(valueOffset, carried.outputs);
  release(!shape.valueInKey);
  return carried;
}

Carried DecodeEmitter::tile(const Item &item, Value tileIndex, Value stage,
                            Value phase, Carried carried) {
  Value firstKey = mul(add(item.firstOfUnit, tileIndex), shape.keyTile);
  wait(fullBarrier(stage, false), phase);
  for (int64_t start = 0; start < shape.keyTile; start += shape.roundKeys())
    carried = round(item, add(firstKey, start), start, stage, phase,
                    std::move(carried));
  return carried;
}
