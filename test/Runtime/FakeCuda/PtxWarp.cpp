//===- PtxWarp.cpp - What the threads of a warp do together -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "PtxBlock.h"

#include <cstring>

using namespace einhead::fake::ptx;

/// Row r of matrix k lies where lane 8 k + r says.
void Block::loadMatrices(const Instruction &i, Lanes &lanes) {
  const std::vector<Operand> &to = i.operands.at(0).parts;
  bool isTurned = i.has("trans");
  uint16_t matrix[8][8];
  for (size_t k = 0; k < to.size(); ++k) {
    for (size_t row = 0; row < 8; ++row)
      std::memcpy(matrix[row],
                  sharedAt(i, address(i.operands[1], *lanes[8 * k + row]), 16),
                  16);
    for (size_t lane = 0; lane < warpLanes; ++lane) {
      size_t row = lane / 4, column = lane % 4 * 2;
      uint32_t low = isTurned ? matrix[column][row] : matrix[row][column];
      uint32_t high =
          isTurned ? matrix[column + 1][row] : matrix[row][column + 1];
      lanes[lane]->registers[to[k].reg] = low | high << 16;
    }
  }
}

/// m16n8k16 with sums in f32.
void Block::multiplyMatrices(const Instruction &i, Lanes &lanes) {
  if (!i.has("m16n8k16") || i.types.size() != 4)
    fail(i, "this product of matrices is not run here");
  bool isBF16 = i.types[1].kind == Type::BFloat;
  float x[16][16], y[16][8];
  auto element = [&](const Operand &operand, size_t lane, int half) {
    uint64_t bits = value(operand, *lanes[lane]);
    return halfToFloat(static_cast<uint16_t>(bits >> (16 * half)), isBF16);
  };
  for (size_t lane = 0; lane < warpLanes; ++lane) {
    size_t group = lane / 4, pair = lane % 4 * 2;
    for (size_t half = 0; half < 2; ++half) {
      for (size_t k = 0; k < 4; ++k)
        x[group + k % 2 * 8][pair + half + k / 2 * 8] =
            element(i.operands[1].parts[k], lane, static_cast<int>(half));
      for (size_t k = 0; k < 2; ++k)
        y[pair + half + k * 8][group] =
            element(i.operands[2].parts[k], lane, static_cast<int>(half));
    }
  }
  for (size_t lane = 0; lane < warpLanes; ++lane)
    for (size_t k = 0; k < 4; ++k) {
      size_t row = lane / 4 + k / 2 * 8, column = lane % 4 * 2 + k % 2;
      uint32_t bits =
          static_cast<uint32_t>(value(i.operands[3].parts[k], *lanes[lane]));
      float sum;
      std::memcpy(&sum, &bits, 4);
      for (size_t s = 0; s < 16; ++s)
        sum += x[row][s] * y[s][column];
      std::memcpy(&bits, &sum, 4);
      lanes[lane]->registers[i.operands[0].parts[k].reg] = bits;
    }
}

void Block::shuffle(const Instruction &i, Warp &warp, Lanes &lanes) {
  std::vector<uint64_t> given;
  for (Thread *t : warp.lanes)
    given.push_back(value(i.operands.at(1), *t));
  for (Thread *t : lanes) {
    auto lane = static_cast<unsigned>((t - threads.data()) % warpLanes);
    auto by = static_cast<unsigned>(value(i.operands.at(2), *t));
    unsigned from = i.has("bfly")  ? lane ^ by
                    : i.has("up")  ? (lane >= by ? lane - by : lane)
                    : i.has("idx") ? by
                                   : warpLanes;
    if (from >= given.size())
      fail(i, "this shuffle is not run here");
    t->registers[i.operands[0].reg] = given[from];
  }
}

void Block::vote(const Instruction &i, Lanes &lanes) {
  bool isAny = false;
  for (Thread *t : lanes)
    isAny |= (value(i.operands.at(1), *t) & 1) != 0;
  if (!i.has("any"))
    fail(i, "this vote is not run here");
  for (Thread *t : lanes)
    t->registers[i.operands[0].reg] = isAny;
}

/// What the threads of a warp do together; false where it is something else.
bool Block::doWarp(const Instruction &i, Warp &warp, Lanes &active) {
  bool isMatrix = i.op == "ldmatrix" || i.op == "mma";
  if (i.op == "vote") {
    vote(i, active);
    return true;
  }
  if (!isMatrix && i.op != "shfl")
    return false;
  if (active.size() != warpLanes && isMatrix)
    fail(i, "not all threads of the warp are here");
  if (i.op == "ldmatrix")
    loadMatrices(i, active);
  else if (i.op == "mma")
    multiplyMatrices(i, active);
  else
    shuffle(i, warp, active);
  return true;
}
