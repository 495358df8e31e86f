//===- DecodeBytes.cpp - Keys and values of 8 bits --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// K and V of f8E4M3FN become f16 on their way from shared memory to registers,
// which is exact, and multiply as the operand A of a wgmma, which may stand in
// registers: rows are as in an accumulator (DecodeTile.cpp), a lane has four
// pairs along k:
//
//   a0 (row r, k 2c and 2c + 1)       r = lane / 4, c = lane % 4
//   a1 (row r + 8, the same)          a2, a3 (the same rows, k + 8)
//
// A matrix of ldmatrix is 8 rows of 16 bytes, four bytes a lane.  As they are,
// these are bytes 4c to 4c + 3 of key r: the first two are taken for k 2c and
// 2c + 1, the others for k + 8, and the queries are stored in that order.
// Turned, they are columns 2r and 2r + 1 of keys 2c and 2c + 1: even columns
// are taken for rows r, odd ones for rows r + 8, and outputs are written so.
//
// A copy of the tile as f16 in shared memory would be written and read there at
// four bytes an element, and with the queries for each wgmma take more than the
// 128 bytes a clock that there are.

#include "DecodeEmitter.h"

using namespace mlir;
using namespace einhead::hopper;

//===----------------------------------------------------------------------===//
// Queries
//===----------------------------------------------------------------------===//

// A row of queries is multiplied by a power of two that brings its largest
// magnitude to [2^14, 2^15), and its scores are multiplied by the inverse: f16
// has fewer exponents than bf16.

static constexpr int64_t largestExponent = 14, exponentBias = 127;

// All loads of a warp are asked for before the first is waited for: as many
// lanes have a row as it has chunks of 8 columns.

namespace {
/// How the lanes of a warp take queries.
struct QueryLanes {
  explicit QueryLanes(const DecodeShape &shape)
      : chunks(shape.queryBoxes() * 8),
        each(std::min<int64_t>(32, llvm::PowerOf2Ceil(chunks))),
        perLane(llvm::divideCeil(chunks, each)),
        rowsAtOnce(shape.groups * 4 * (32 / each)),
        steps(llvm::divideCeil(shape.paddedRows(), rowsAtOnce)) {}

  int64_t chunks;     ///< of a row
  int64_t each;       ///< lanes of a row
  int64_t perLane;    ///< chunks
  int64_t rowsAtOnce; ///< of all warps
  int64_t steps;
};
} // namespace

/// Eight columns of a row, or of another one where there is none.
Value DecodeEmitter::loadChunk(const Item &item, Value row, Value chunk) {
  auto words = VectorType::get({4}, b.getI32Type());
  Value last =
      minOf(sub(i32(shape.totalRows - 1), firstRow), i32(shape.rows - 1));
  chunk = minOf(chunk, i32(shape.depth / 8 - 1));
  return load(words,
              elementPointer(p.query, shape.query, item, minOf(row, last),
                             mul(chunk, 8)),
              16);
}

/// As f32, 0 where there is no row or column.
Values DecodeEmitter::widenChunk(Value words, Value row, Value chunk) {
  Value exists = andOf(hasRow(row), isLess(chunk, shape.depth / 8));
  Value halves =
      LLVM::BitcastOp::create(b, VectorType::get({8}, shape.query), words);
  Value wide =
      LLVM::FPExtOp::create(b, VectorType::get({8}, b.getF32Type()), halves);
  Values result;
  for (int64_t i = 0; i < 8; ++i) {
    Value value = LLVM::ExtractElementOp::create(b, wide, i32(i));
    result.push_back(select(exists, value, f32(0)));
  }
  return result;
}

/// Lane `isFirst` of a row says what its scores are multiplied by.
void DecodeEmitter::storeQueryFactor(Value row, Value exponent, Value isFirst) {
  Value inverse = b.createOrFold<arith::ShLIOp>(
      sub(exponent, i32(largestExponent)), i32(23));
  inverse = LLVM::BitcastOp::create(b, b.getF32Type(), inverse);
  Value factor = mulF(inverse, f32(shape.scale * 1.4426950408889634));
  ifThen(isFirst,
         [&] { storeShared(factor, add(mul(row, 4), shape.factorOffset())); });
}

/// Eight columns as f16: of 16, chunk 0 has 0, 1, 4, 5, 8, 9 and so on.
void DecodeEmitter::storeQueryChunk(ArrayRef<Value> values, Value factor,
                                    Value row, Value chunk) {
  auto pairs = VectorType::get({4}, b.getF16Type());
  for (int64_t i = 0; i < 2; ++i) {
    Value vector = LLVM::UndefOp::create(b, pairs);
    for (int64_t k = 0; k < 4; ++k) {
      Value scaled = mulF(values[k / 2 * 4 + i * 2 + k % 2], factor);
      vector = LLVM::InsertElementOp::create(
          b, vector, LLVM::FPTruncOp::create(b, b.getF16Type(), scaled),
          i32(k));
    }
    Value to = add(mul(div(rem(chunk, 8), 2), 2), i);
    Value swizzled = mul(xorOf(to, rem(row, 8)), 16);
    Value offset =
        add(mul(div(chunk, 8), shape.paddedRows() * 128), mul(row, 128));
    offset = add(add(offset, swizzled), mul(rem(chunk, 2), 8));
    storeShared(vector, add(offset, shape.queryOffset()), 8);
  }
}

/// The row that a lane has a share of.
Value DecodeEmitter::queryRow(int64_t step) {
  QueryLanes lanes(shape);
  Value inWarp = div(lane, lanes.each);
  return add(add(mul(warp, 32 / lanes.each), inWarp), step * lanes.rowsAtOnce);
}

/// Some of the rows.  The exponent is that of the largest magnitude, as f32
/// stores it, as far as there is a factor for it.
void DecodeEmitter::scaleQueries(const Item &item, int64_t firstStep,
                                 int64_t endStep) {
  QueryLanes lanes(shape);
  Value firstChunk = rem(lane, lanes.each);
  Values words;
  for (int64_t step = firstStep; step < endStep; ++step)
    for (int64_t i = 0; i < lanes.perLane; ++i)
      words.push_back(
          loadChunk(item, queryRow(step), add(firstChunk, i * lanes.each)));
  for (int64_t step = firstStep; step < endStep; ++step) {
    Value row = queryRow(step), most = i32(0);
    SmallVector<Values> chunks;
    for (int64_t i = 0; i < lanes.perLane; ++i) {
      chunks.push_back(widenChunk(words[(step - firstStep) * lanes.perLane + i],
                                  row, add(firstChunk, i * lanes.each)));
      for (Value value : chunks.back())
        most =
            maxOf(most, andOf(LLVM::BitcastOp::create(b, b.getI32Type(), value),
                              i32(0x7FFFFFFF)));
    }
    for (int64_t distance = 1; distance < lanes.each; distance *= 2)
      most = maxOf(most, shuffleXor(most, distance));
    Value exponent = b.createOrFold<arith::ShRUIOp>(most, i32(23));
    exponent = minOf(maxOf(exponent, i32(largestExponent + 1)), i32(254));
    Value factor = b.createOrFold<arith::ShLIOp>(
        sub(i32(largestExponent + 2 * exponentBias), exponent), i32(23));
    factor = LLVM::BitcastOp::create(b, b.getF32Type(), factor);
    auto put = [&] {
      storeQueryFactor(row, exponent, isEqual(firstChunk, 0));
      for (auto [i, values] : llvm::enumerate(chunks)) {
        Value chunk = add(firstChunk, i * lanes.each);
        ifThen(isLess(chunk, lanes.chunks),
               [&] { storeQueryChunk(values, factor, row, chunk); });
      }
    };
    ifThen(isLess(row, shape.paddedRows()), put);
  }
}

/// The queries of the unit as `loadQueries` stores them, but for their factors
/// and the order of columns.
void DecodeEmitter::loadScaledQueries(const Item &item) {
  constexpr int64_t mostChunks = 8; // of a lane, for registers
  QueryLanes lanes(shape);
  int64_t batch = std::max<int64_t>(1, mostChunks / lanes.perLane);
  for (int64_t step = 0; step < lanes.steps; step += batch)
    scaleQueries(item, step, std::min(step + batch, lanes.steps));
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

// Operands of products that are under way take registers: those of a few steps
// (of 16 keys or columns) are all converted in batches, of more three pairs of
// steps are there at a time.

static constexpr int64_t fewSteps = 8;

/// Four matrices, each of 8 rows of 16 bytes, whose rows the lanes point at.
Values DecodeEmitter::loadFragments(Value offset, bool turned) {
  MLIRContext *context = b.getContext();
  SmallVector<Type> words(4, b.getI32Type());
  Value all = NVVM::LdMatrixOp::create(
      b, LLVM::LLVMStructType::getLiteral(context, words), shared(offset), 4,
      turned ? NVVM::MMALayout::col : NVVM::MMALayout::row,
      NVVM::LdStMatrixShapeAttr::get(context, 8, 8),
      NVVM::LdStMatrixEltType::B16);
  Values result;
  for (int64_t i = 0; i < 4; ++i)
    result.push_back(LLVM::ExtractValueOp::create(b, all, i));
  return result;
}

/// Two of four i8 as f16: with 128 added they are the last 8 bits of a number
/// from 1024 on.
Value DecodeEmitter::integersToHalves(Value bytes, bool high) {
  auto pair = VectorType::get({2}, b.getF16Type());
  Value above = xorOf(bytes, i32(0x80808080));
  Value words =
      LLVM::CallIntrinsicOp::create(
          b, b.getI32Type(), b.getStringAttr("llvm.nvvm.prmt"),
          ValueRange{above, i32(0x64646464), i32(high ? 0x4342 : 0x4140)})
          .getResult(0);
  Value halves = LLVM::BitcastOp::create(b, pair, words);
  Value bias = LLVM::BitcastOp::create(b, pair, i32(0x64806480)); // 1152
  halves = arith::SubFOp::create(b, halves, bias);
  return LLVM::BitcastOp::create(b, b.getI32Type(), halves);
}

/// Two of four bytes as f16, in 32 bits.
Value DecodeEmitter::toHalves(Value bytes, bool high) {
  if (shape.integers)
    return integersToHalves(bytes, high);
  if (high)
    bytes = b.createOrFold<arith::ShRUIOp>(bytes, i32(16));
  Value two = LLVM::TruncOp::create(b, b.getI16Type(), bytes);
  auto pair = VectorType::get({2}, b.getF16Type());
  Value halves = LLVM::CallIntrinsicOp::create(
                     b, pair, b.getStringAttr("llvm.nvvm.e4m3x2.to.f16x2.rn"),
                     ValueRange{two})
                     .getResult(0);
  return LLVM::BitcastOp::create(b, b.getI32Type(), halves);
}

/// One m64nNk16 step whose operand A is the four words `a`.
void DecodeEmitter::wgmmaFromRegisters(MutableArrayRef<Value> accumulators,
                                       ArrayRef<Value> a, Value bMatrix,
                                       bool accumulate) {
  size_t count = accumulators.size();
  std::string results, constraints, tied;
  for (size_t i = 0; i < count; ++i) {
    results += (i ? ", $" : "$") + std::to_string(i);
    constraints += "=f,";
    tied += std::to_string(i) + ",";
  }
  auto operand = [&](size_t i) { return "$" + std::to_string(2 * count + i); };
  std::string text =
      "{\n.reg .pred %adds;\nsetp.ne.b32 %adds, " + std::to_string(accumulate) +
      ", 0;\nwgmma.mma_async.sync.aligned.m64n" +
      std::to_string(shape.paddedRows()) + "k16.f32.f16.f16 {" + results +
      "}, {" + operand(0) + ", " + operand(1) + ", " + operand(2) + ", " +
      operand(3) + "}, " + operand(4) + ", %adds, 1, 1, 0;\n}";
  Values operands(accumulators);
  llvm::append_range(operands, a);
  operands.push_back(bMatrix);
  SmallVector<Type> types(count, b.getF32Type());
  auto op =
      inlineAssembly(b, LLVM::LLVMStructType::getLiteral(b.getContext(), types),
                     operands, text, constraints + tied + "r,r,r,r,l");
  for (size_t i = 0; i < count; ++i)
    accumulators[i] = LLVM::ExtractValueOp::create(b, op.getResult(0), i);
}

/// Products of many pairs of steps, which one ldmatrix serves.  Three of them
/// are in registers: one is multiplied, one waits for its turn, and one is
/// converted.  `ahead` has the first two, if they were converted before.
void DecodeEmitter::streamProducts(
    int64_t pairs, llvm::function_ref<Values(int64_t)> loadPair,
    llvm::function_ref<Values(ArrayRef<Value>)> convert,
    llvm::function_ref<void(int64_t, ArrayRef<Value>)> multiply,
    ArrayRef<Value> ahead) {
  SmallVector<Values> operands;
  for (int64_t pair = 0; pair < std::min<int64_t>(2, pairs); ++pair)
    operands.push_back(ahead.empty() ? convert(loadPair(pair))
                                     : Values(ahead.slice(pair * 8, 8)));
  Values words = pairs > 2 ? loadPair(2) : Values();
  for (int64_t pair = 0; pair < pairs; ++pair) {
    wgmmaFence();
    multiply(pair, operands[pair]);
    wgmmaCommit();
    if (pair + 2 >= pairs)
      continue;
    if (pair > 0)
      wgmmaWait(1);
    operands.push_back(convert(words));
    if (pair + 3 < pairs)
      words = loadPair(pair + 3);
  }
}

/// Of keys: rows are keys, words go on along k.
Values DecodeEmitter::convertKeys(ArrayRef<Value> words) {
  Values operands;
  for (int64_t i : {0, 2})
    for (bool high : {false, true})
      for (int64_t lower : {0, 1})
        operands.push_back(toHalves(words[i + lower], high));
  return operands;
}

/// Of values: two columns of two keys in a word.
Values DecodeEmitter::convertValues(ArrayRef<Value> words) {
  Values operands;
  for (Value word : words) {
    Value columns = LLVM::CallIntrinsicOp::create(
                        b, b.getI32Type(), b.getStringAttr("llvm.nvvm.prmt"),
                        ValueRange{word, word, i32(0x3120)})
                        .getResult(0);
    for (bool odd : {false, true})
      operands.push_back(toHalves(columns, odd));
  }
  return operands;
}

/// Whether products are too many for their operands to stand in registers all
/// at a time.
bool DecodeEmitter::streamsProducts(int64_t steps) const {
  return steps > fewSteps;
}

/// S^T = K Q^T of a round, whose keys stand from `keyOffset` on; done when it
/// returns.
Values DecodeEmitter::streamScores(Value keyOffset) {
  int64_t rows = shape.paddedRows(), each = blocks() * 4;
  int64_t pairs = llvm::divideCeil(shape.depth, 32);
  Values sums(each * shape.keyBlocks, LLVM::UndefOp::create(b, b.getF32Type()));
  Value key = add(mul(groupWarp, 16), rem(lane, 16));
  Value chunk = xorOf(div(lane, 16), rem(lane, 8));
  Value inBox = orOf(mul(key, 128), mul(chunk, 16));
  auto loadPair = [&](int64_t i) {
    int64_t k = i % pairs * 2;
    Value box = add(keyOffset, k / 8 * shape.keyTile * 128 + i / pairs * 8192);
    return loadFragments(add(box, xorOf(inBox, i32(k % 8 * 16))),
                         /*turned=*/false);
  };
  auto multiply = [&](int64_t i, ArrayRef<Value> operands) {
    for (int64_t half = 0; half < 2; ++half) {
      int64_t k = i % pairs * 2 + half;
      if (k * 16 >= shape.depth)
        continue;
      int64_t queries = shape.queryOffset() + k / 4 * rows * 128 + k % 4 * 32;
      wgmmaFromRegisters(
          MutableArrayRef<Value>(sums).slice(i / pairs * each, each),
          operands.slice(half * 4, 4), descriptor(i32(queries)),
          /*accumulate=*/k > 0);
    }
  };
  streamProducts(
      pairs * shape.keyBlocks, loadPair,
      [&](ArrayRef<Value> words) { return convertKeys(words); }, multiply);
  wgmmaWait();
  pin(sums);
  return sums;
}

/// The pair's values: 32 keys of 16 columns for each warp, of a block of 64
/// columns and 64 keys after the other.
Values DecodeEmitter::loadValuePair(Value valueOffset, int64_t pair) {
  int64_t block = pair / 2 / shape.keyBlocks, half = pair / 2 % shape.keyBlocks;
  // 64 columns are half a box; each warp has a chunk of 16.
  Value chunk = xorOf(add(groupWarp, block % 2 * 4), rem(lane, 8));
  Value first = add(valueOffset, block / 2 * shape.keyTile * 128);
  first = add(add(first, mul(lane, 128)), mul(chunk, 16));
  return loadFragments(add(first, half * 8192 + pair % 2 * 4096),
                       /*turned=*/true);
}

/// The first two pairs, converted.
Values DecodeEmitter::firstValues(Value valueOffset) {
  Values operands;
  for (int64_t pair : {0, 1})
    llvm::append_range(operands,
                       convertValues(loadValuePair(valueOffset, pair)));
  return operands;
}

/// O^T += V^T P^T as `addByteValues`, up to the wait.
void DecodeEmitter::streamValues(Value valueOffset, ArrayRef<Value> ahead,
                                 Values &outputs) {
  int64_t perBlock = blocks() * 4;
  auto multiply = [&](int64_t pair, ArrayRef<Value> operands) {
    int64_t block = pair / 2 / shape.keyBlocks;
    int64_t step = pair / 2 % shape.keyBlocks * 4 + pair % 2 * 2;
    for (int64_t half = 0; half < 2; ++half)
      wgmmaFromRegisters(
          MutableArrayRef<Value>(outputs).slice(block * perBlock, perBlock),
          operands.slice(half * 4, 4),
          descriptor(add(weightsOffset, weightsAt(step + half))),
          /*accumulate=*/true);
  };
  streamProducts(
      shape.outputBlocks() * shape.keyBlocks * 2,
      [&](int64_t pair) { return loadValuePair(valueOffset, pair); },
      [&](ArrayRef<Value> words) { return convertValues(words); }, multiply,
      ahead);
}

/// Starts S^T = K Q^T of 64 keys, which stand from `keyOffset` on.
Values DecodeEmitter::byteScores(Value keyOffset) {
  constexpr int64_t batch = 4; // steps that are converted at a time
  int64_t rows = shape.paddedRows(), steps = llvm::divideCeil(shape.depth, 16);
  Values sums(blocks() * 4, LLVM::UndefOp::create(b, b.getF32Type()));
  // Lanes 0 to 15 point at 16 keys' bytes of a step, the others at the next's.
  Value key = add(mul(groupWarp, 16), rem(lane, 16));
  Value chunk = xorOf(div(lane, 16), rem(lane, 8));
  Value inBox = orOf(mul(key, 128), mul(chunk, 16));
  for (int64_t first = 0; first < steps; first += batch) {
    Values operands;
    for (int64_t k = first; k < std::min(first + batch, steps); k += 2) {
      Value box = add(keyOffset, k / 8 * shape.keyTile * 128);
      llvm::append_range(operands, convertKeys(loadFragments(
                                       add(box, xorOf(inBox, i32(k % 8 * 16))),
                                       /*turned=*/false)));
    }
    wgmmaFence();
    for (int64_t k = first; k < std::min(first + batch, steps); ++k) {
      Value queries = descriptor(
          i32(shape.queryOffset() + k / 4 * rows * 128 + k % 4 * 32));
      wgmmaFromRegisters(sums,
                         ArrayRef<Value>(operands).slice((k - first) * 4, 4),
                         queries, /*accumulate=*/k > 0);
    }
  }
  return sums;
}

/// O^T += V^T P^T of a round's keys, whose values stand from `valueOffset` on.
void DecodeEmitter::addByteValues(Value valueOffset, Values &outputs) {
  int64_t perBlock = blocks() * 4;
  int64_t batches = shape.outputBlocks() * shape.keyBlocks;
  pin(outputs);
  if (streamsProducts(batches * 4)) {
    streamValues(valueOffset, {}, outputs);
    batches = 0;
  }
  for (int64_t i = 0; i < batches; ++i) {
    int64_t block = i / shape.keyBlocks, half = i % shape.keyBlocks;
    Values operands;
    for (int64_t pair : {0, 1})
      llvm::append_range(
          operands, convertValues(loadValuePair(valueOffset, i * 2 + pair)));
    wgmmaFence();
    for (int64_t k = 0; k < 4; ++k)
      wgmmaFromRegisters(
          MutableArrayRef<Value>(outputs).slice(block * perBlock, perBlock),
          ArrayRef<Value>(operands).slice(k * 4, 4),
          descriptor(add(weightsOffset, weightsAt(half * 4 + k))),
          /*accumulate=*/true);
  }
  if (batches > 0)
    wgmmaCommit();
  wgmmaWait();
  pin(outputs);
}
