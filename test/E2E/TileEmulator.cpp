//===- TileEmulator.cpp - Matrix tiles on a CPU without ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "TileEmulator.h"
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstring>
#include <ucontext.h>

using namespace einhead::test;

#if defined(__x86_64__)
namespace {
constexpr int kTiles = 8, kRows = 16, kRowBytes = 64;

/// The tile registers of a thread, with the extents of each.
struct Tiles {
  uint8_t rows[kTiles] = {};
  uint16_t rowBytes[kTiles] = {};
  uint8_t data[kTiles][kRows][kRowBytes] = {};
};
thread_local Tiles tiles;
std::atomic<uint64_t> productCount{0};
struct sigaction before;

/// A VEX instruction of the map 0F38 with its operands.
class Instruction {
public:
  Instruction(const uint8_t *bytes, greg_t *registers)
      : registers(registers), next(bytes) {
    isKnown = bytes[0] == 0xc4 && (bytes[1] & 0x1f) == 2;
    if (!isKnown)
      return;
    prefix = bytes[2] & 3; // 0: none, 1: 66, 2: F3, 3: F2
    third = ~(bytes[2] >> 3) & 15;
    opcode = bytes[3];
    mod = bytes[4] >> 6;
    reg = bytes[4] >> 3 & 7;
    rm = bytes[4] & 7;
    next = bytes + 5;
    if (mod != 3)
      readAddress(~bytes[1] >> 6 & 1, ~bytes[1] >> 5 & 1);
  }

  bool isKnown;
  int prefix = 0, third = 0, opcode = 0, mod = 0, reg = 0, rm = 0;
  uint64_t address = 0, stride = 0;
  const uint8_t *after() const { return next; }

private:
  uint64_t value(int number) const {
    static const int order[] = {
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
        REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return static_cast<uint64_t>(registers[order[number]]);
  }

  int64_t displacement(int bytes) {
    int32_t wide = 0;
    int8_t narrow = 0;
    if (bytes == 4)
      std::memcpy(&wide, next, 4);
    else if (bytes == 1)
      std::memcpy(&narrow, next, 1);
    next += bytes;
    return bytes == 4 ? wide : narrow;
  }

  void readAddress(int highIndex, int highBase) {
    int base = rm | highBase << 3;
    bool hasBase = true, isRelative = mod == 0 && rm == 5;
    if (rm == 4) {
      uint8_t sib = *next++;
      int index = (sib >> 3 & 7) | highIndex << 3;
      if (index != 4)
        stride = value(index) << (sib >> 6);
      base = (sib & 7) | highBase << 3;
      hasBase = !(mod == 0 && (sib & 7) == 5);
    }
    int64_t offset = displacement(mod == 1                             ? 1
                                  : mod == 2 || isRelative || !hasBase ? 4
                                                                       : 0);
    if (isRelative)
      address = reinterpret_cast<uint64_t>(next) + offset;
    else
      address = (hasBase ? value(base) : 0) + offset;
  }

  greg_t *registers;
  const uint8_t *next;
};

void configure(const uint8_t *memory) {
  tiles = Tiles();
  for (int i = 0; i < kTiles; ++i) {
    std::memcpy(&tiles.rowBytes[i], memory + 16 + 2 * i, 2);
    tiles.rows[i] = memory[48 + i];
  }
}

void move(const Instruction &in, bool isLoad) {
  if (isLoad)
    std::memset(tiles.data[in.reg], 0, sizeof(tiles.data[in.reg]));
  for (int row = 0; row < tiles.rows[in.reg]; ++row) {
    auto *memory = reinterpret_cast<uint8_t *>(in.address + row * in.stride);
    uint8_t *tile = tiles.data[in.reg][row];
    std::memcpy(isLoad ? tile : memory, isLoad ? memory : tile,
                tiles.rowBytes[in.reg]);
  }
}

template <typename T> T element(int tile, int row, int column) {
  T value;
  std::memcpy(&value, &tiles.data[tile][row][column * sizeof(T)], sizeof(T));
  return value;
}

float bf16(int tile, int row, int column) {
  uint32_t bits = uint32_t(element<uint16_t>(tile, row, column)) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

/// Sums of the even and of the odd products, as the manual has them.
void multiply(int sum, int left, int right) {
  ++productCount;
  for (int m = 0; m < tiles.rows[sum]; ++m)
    for (int n = 0; n < tiles.rowBytes[sum] / 4; ++n) {
      float even = 0, odd = 0;
      for (int k = 0; k < tiles.rowBytes[left] / 4; ++k) {
        even = std::fma(bf16(left, m, 2 * k), bf16(right, k, 2 * n), even);
        odd =
            std::fma(bf16(left, m, 2 * k + 1), bf16(right, k, 2 * n + 1), odd);
      }
      float total = element<float>(sum, m, n) + (even + odd);
      std::memcpy(&tiles.data[sum][m][n * 4], &total, 4);
    }
}

/// False for an instruction that is none of these.
bool execute(const Instruction &in) {
  enum { None, P66, F3, F2 };
  bool isMemory = in.mod != 3;
  // A tile that was not configured traps on a CPU that has tiles, too.
  if (in.opcode != 0x49 && !tiles.rows[in.reg])
    return false;
  if (in.opcode == 0x5c && (!tiles.rows[in.rm] || !tiles.rows[in.third & 7]))
    return false;
  if (!in.isKnown)
    return false;
  if (in.opcode == 0x49 && in.prefix == None && isMemory && in.reg == 0)
    configure(reinterpret_cast<const uint8_t *>(in.address));
  else if (in.opcode == 0x49 && in.prefix == None && !isMemory)
    tiles = Tiles(); // release
  else if (in.opcode == 0x49 && in.prefix == F2 && !isMemory)
    std::memset(tiles.data[in.reg], 0, sizeof(tiles.data[in.reg]));
  else if (in.opcode == 0x4b && in.prefix == F2 && isMemory)
    move(in, /*isLoad=*/true);
  else if (in.opcode == 0x4b && in.prefix == F3 && isMemory)
    move(in, /*isLoad=*/false);
  else if (in.opcode == 0x5c && in.prefix == F3 && !isMemory)
    multiply(in.reg, in.rm, in.third & 7);
  else
    return false;
  return true;
}

void onTrap(int, siginfo_t *, void *context) {
  greg_t *registers = static_cast<ucontext_t *>(context)->uc_mcontext.gregs;
  Instruction in(reinterpret_cast<const uint8_t *>(registers[REG_RIP]),
                 registers);
  if (execute(in))
    registers[REG_RIP] = reinterpret_cast<greg_t>(in.after());
  else
    signal(SIGILL, SIG_DFL); // traps again, for good
}
} // namespace

TileEmulator::TileEmulator() {
  struct sigaction action = {};
  action.sa_sigaction = onTrap;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGILL, &action, &before);
}

TileEmulator::~TileEmulator() { sigaction(SIGILL, &before, nullptr); }

uint64_t TileEmulator::products() { return productCount; }
#else
TileEmulator::TileEmulator() = default;
TileEmulator::~TileEmulator() = default;
uint64_t TileEmulator::products() { return 0; }
#endif
