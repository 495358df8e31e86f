//===- PtxBlock.h - Blocks, warps and threads -------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_TEST_RUNTIME_FAKECUDA_PTXBLOCK_H
#define EINHEAD_TEST_RUNTIME_FAKECUDA_PTXBLOCK_H

#include "Ptx.h"

#include <array>
#include <stdexcept>

namespace einhead::fake::ptx {

constexpr int warpLanes = 32;

struct Copy {
  size_t to;
  uint64_t from;
  size_t bytes, given; ///< what is not given is 0
};

struct Thread {
  std::vector<uint64_t> registers;
  size_t at = 0; ///< the next instruction
  bool isDone = false;
  bool isHeld = false; ///< until all of its warp are here
  unsigned x = 0, y = 0, z = 0;
  std::vector<std::vector<Copy>> groups{{}}; ///< of cp.async; the last is open
};

struct Warp {
  std::vector<Thread *> lanes;
  bool waits = false;   ///< at a barrier
  bool polls = false;   ///< has read what another block may write
  uint64_t barrier = 0; ///< that it waits at
  size_t expected = 0;  ///< threads there; 0: all
};

class Block {
public:
  Block(const Kernel &kernel, const LaunchSize &size,
        const std::vector<char> &parameters, const IsMapped &isMapped,
        const std::array<unsigned, 3> &number)
      : kernel(kernel), size(size), parameters(parameters), isMapped(isMapped),
        number(number), shared(size.sharedBytes, '\xff') {
    makeThreads();
  }
  /// Runs all warps until they end or poll; whether some are left.
  bool advance(bool isReversed);
  unsigned column() const { return number[0]; }

private:
  using Lanes = std::vector<Thread *>;

  void makeThreads();
  void runWarp(Warp &warp);
  bool holdTogether(Warp &warp, const Instruction &i, Lanes &active);
  /// Whether the warp goes on.
  bool step(Warp &warp, const Instruction &i, Lanes &active);
  bool wait(Warp &warp, const Instruction &i, Lanes &active);
  bool openBarriers();
  void vote(const Instruction &i, Lanes &lanes);
  void doThread(const Instruction &i, Thread &t);
  bool doWarp(const Instruction &i, Warp &warp, Lanes &active);

  uint64_t value(const Operand &operand, const Thread &t) const;
  uint64_t special(const std::string &name, const Thread &t) const;
  uint64_t address(const Operand &operand, const Thread &t) const {
    return operand.bits + (operand.reg < 0 ? 0 : t.registers[operand.reg]);
  }
  char *place(const Instruction &i, const Operand &operand, const Thread &t,
              size_t bytes);
  char *sharedAt(const Instruction &i, uint64_t at, size_t bytes);
  void load(const Instruction &i, Thread &t);
  void store(const Instruction &i, Thread &t);
  void move(const Instruction &i, Thread &t);
  void atomic(const Instruction &i, Thread &t);
  void copyAsync(const Instruction &i, Thread &t);
  void loadMatrices(const Instruction &i, Lanes &lanes);
  void multiplyMatrices(const Instruction &i, Lanes &lanes);
  void shuffle(const Instruction &i, Warp &warp, Lanes &lanes);
  [[noreturn]] void fail(const Instruction &i, const std::string &what) const {
    throw std::runtime_error("kernel " + kernel.name + ", line " +
                             std::to_string(i.line) + ": " + what);
  }

  const Kernel &kernel;
  const LaunchSize &size;
  const std::vector<char> &parameters;
  const IsMapped &isMapped;
  const std::array<unsigned, 3> &number;
  std::vector<char> shared;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
};

} // namespace einhead::fake::ptx

#endif // EINHEAD_TEST_RUNTIME_FAKECUDA_PTXBLOCK_H
