//===- PtxRun.cpp - Blocks, warps and threads -------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "PtxBlock.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>

using namespace einhead::fake::ptx;

void Block::makeThreads() {
  size_t count = size_t(size.block[0]) * size.block[1] * size.block[2];
  threads.resize(count);
  for (size_t i = 0; i < count; ++i) {
    Thread &t = threads[i];
    // Registers hold anything before they are written.
    t.registers.assign(kernel.registers, 0xDEADBEEFDEADBEEF);
    t.x = static_cast<unsigned>(i % size.block[0]);
    t.y = static_cast<unsigned>(i / size.block[0] % size.block[1]);
    t.z = static_cast<unsigned>(i / size.block[0] / size.block[1]);
    if (i % warpLanes == 0)
      warps.emplace_back();
    warps.back().lanes.push_back(&t);
  }
}

static bool isAlive(const Warp &warp) {
  return std::any_of(warp.lanes.begin(), warp.lanes.end(),
                     [](const Thread *t) { return !t->isDone; });
}

bool Block::advance(bool isReversed) {
  for (Warp &warp : warps)
    warp.polls = false;
  while (true) {
    bool isMoving = false;
    for (size_t i = 0; i < warps.size(); ++i) {
      Warp &warp = warps[isReversed ? warps.size() - 1 - i : i];
      if (!isAlive(warp) || warp.waits || warp.polls)
        continue;
      runWarp(warp);
      isMoving = true;
    }
    if (openBarriers() || isMoving)
      continue;
    bool isAny = false, isPolling = false;
    for (const Warp &warp : warps) {
      isAny |= isAlive(warp);
      isPolling |= warp.polls;
    }
    if (isAny && !isPolling)
      throw std::runtime_error("kernel " + kernel.name +
                               ": threads wait at barriers for ever");
    return isAny;
  }
}

/// Lets those go on who are all at one barrier; whether there were some.
bool Block::openBarriers() {
  std::map<uint64_t, size_t> arrived;
  size_t alive = 0;
  for (const Warp &warp : warps) {
    if (!isAlive(warp))
      continue;
    alive += warp.lanes.size();
    if (warp.waits)
      arrived[warp.barrier] += warp.lanes.size();
  }
  bool isAny = false;
  for (Warp &warp : warps) {
    size_t expected = warp.expected ? warp.expected : alive;
    if (!warp.waits || !isAlive(warp) || arrived[warp.barrier] < expected)
      continue;
    warp.waits = false;
    isAny = true;
  }
  return isAny;
}

/// The threads that are furthest behind go, until the warp waits or ends.
void Block::runWarp(Warp &warp) {
  Lanes active;
  while (true) {
    size_t at = SIZE_MAX;
    bool isAny = false;
    for (Thread *t : warp.lanes) {
      isAny |= !t->isDone;
      if (!t->isDone && !t->isHeld)
        at = std::min(at, t->at);
    }
    if (!isAny)
      return;
    if (at == SIZE_MAX) { // all are held: they go together
      for (Thread *t : warp.lanes)
        t->isHeld = false;
      continue;
    }
    if (at >= kernel.body.size())
      throw std::runtime_error("kernel " + kernel.name + " has no end");
    const Instruction &i = kernel.body[at];
    active.clear();
    for (Thread *t : warp.lanes) {
      if (t->isDone || t->at != at)
        continue;
      ++t->at;
      if (i.predicate < 0 || (t->registers[i.predicate] & 1) != i.isNegated)
        active.push_back(t);
    }
    if (!active.empty() && holdTogether(warp, i, active))
      continue;
    if (!active.empty() && !step(warp, i, active))
      return;
    if (warp.polls)
      return;
  }
}

/// Code that branches is laid out anyhow: threads of a warp that come to a
/// barrier or a product first wait for the others.
bool Block::holdTogether(Warp &warp, const Instruction &i, Lanes &active) {
  if (i.op != "bar" && i.op != "barrier" && i.op != "ldmatrix" &&
      i.op != "mma" && i.op != "shfl" && i.op != "vote")
    return false;
  bool isAnyElsewhere = false;
  for (Thread *t : warp.lanes)
    isAnyElsewhere |= !t->isDone && !t->isHeld && t->at != active[0]->at;
  if (!isAnyElsewhere)
    return false;
  for (Thread *t : active) {
    --t->at;
    t->isHeld = true;
  }
  return true;
}

bool Block::step(Warp &warp, const Instruction &i, Lanes &active) {
  if (i.op == "bra") {
    for (Thread *t : active)
      t->at = static_cast<size_t>(i.target);
    return true;
  }
  if (i.op == "ret" || i.op == "exit") {
    for (Thread *t : active)
      t->isDone = true;
    return true;
  }
  if ((i.op == "bar" || i.op == "barrier") && !i.has("warp"))
    return wait(warp, i, active);
  if (i.op == "bar") // the threads of a warp are together
    return true;
  // Another block is to write it: it may have its turn.
  if (i.op == "ld" && i.has("acquire"))
    warp.polls = true;
  if (doWarp(i, warp, active))
    return true;
  for (Thread *t : active)
    doThread(i, *t);
  return true;
}

bool Block::wait(Warp &warp, const Instruction &i, Lanes &active) {
  if (!i.has("sync"))
    fail(i, "this barrier is not run here");
  size_t alive = 0;
  for (Thread *t : warp.lanes)
    alive += !t->isDone;
  if (alive != active.size())
    fail(i, "a barrier that not all threads of a warp come to");
  warp.waits = true;
  warp.barrier = i.operands.empty() ? 0 : value(i.operands[0], *active[0]);
  warp.expected = i.operands.size() < 2 ? 0 : value(i.operands[1], *active[0]);
  return false;
}

uint64_t Block::special(const std::string &name, const Thread &t) const {
  auto dimension = [&](const unsigned (&values)[3]) -> uint64_t {
    return values[name.back() - 'x'];
  };
  if (name.compare(0, 5, "%tid.") == 0)
    return dimension({t.x, t.y, t.z});
  if (name.compare(0, 6, "%ntid.") == 0)
    return dimension(size.block);
  if (name.compare(0, 7, "%ctaid.") == 0)
    return number[name.back() - 'x'];
  if (name.compare(0, 8, "%nctaid.") == 0)
    return dimension(size.grid);
  if (name == "%laneid")
    return static_cast<size_t>(&t - threads.data()) % warpLanes;
  throw std::runtime_error("PTX: " + name + " is not known here");
}

uint64_t Block::value(const Operand &operand, const Thread &t) const {
  switch (operand.kind) {
  case Operand::Register:
    return t.registers[operand.reg];
  case Operand::Special:
    return special(operand.name, t);
  default:
    return operand.bits;
  }
}

char *Block::sharedAt(const Instruction &i, uint64_t at, size_t bytes) {
  if (at % bytes != 0)
    fail(i, "an address of shared memory that is not aligned");
  if (at > shared.size() || bytes > shared.size() - at)
    fail(i, "an address past shared memory: " + std::to_string(at));
  return shared.data() + at;
}

char *Block::place(const Instruction &i, const Operand &operand,
                   const Thread &t, size_t bytes) {
  uint64_t at = address(operand, t);
  if (i.has("shared"))
    return sharedAt(i, at, bytes);
  if (i.has("param")) {
    if (at + bytes > parameters.size())
      fail(i, "past the parameters");
    return const_cast<char *>(parameters.data()) + at;
  }
  if (at % bytes != 0)
    fail(i, "an address of memory that is not aligned");
  if (!isMapped(at, bytes))
    fail(i, "an address that is no memory of the device");
  return reinterpret_cast<char *>(at);
}

void Block::load(const Instruction &i, Thread &t) {
  const Operand &to = i.operands.at(0);
  size_t bytes = i.type().bytes();
  size_t count = to.kind == Operand::Vector ? to.parts.size() : 1;
  const char *from = place(i, i.operands.at(1), t, bytes * count);
  for (size_t k = 0; k < count; ++k) {
    uint64_t bits = 0;
    std::memcpy(&bits, from + k * bytes, bytes);
    if (i.type().kind == Type::Signed && bytes < 8)
      bits = static_cast<uint64_t>(
          static_cast<int64_t>(bits << (64 - 8 * bytes)) >> (64 - 8 * bytes));
    const Operand &one =
        count > 1 || to.kind == Operand::Vector ? to.parts[k] : to;
    if (one.kind == Operand::Register)
      t.registers[one.reg] = bits;
  }
}

void Block::store(const Instruction &i, Thread &t) {
  const Operand &from = i.operands.at(1);
  size_t bytes = i.type().bytes();
  bool isVector = from.kind == Operand::Vector;
  size_t count = isVector ? from.parts.size() : 1;
  char *to = place(i, i.operands.at(0), t, bytes * count);
  for (size_t k = 0; k < count; ++k) {
    uint64_t bits = value(isVector ? from.parts[k] : from, t);
    std::memcpy(to + k * bytes, &bits, bytes);
  }
}

/// Between a register and its parts.
void Block::move(const Instruction &i, Thread &t) {
  const Operand &to = i.operands[0], &from = i.operands[1];
  if (to.kind == Operand::Vector) {
    unsigned bits = i.type().bits / static_cast<unsigned>(to.parts.size());
    for (size_t k = 0; k < to.parts.size(); ++k)
      if (to.parts[k].kind == Operand::Register)
        t.registers[to.parts[k].reg] =
            value(from, t) >> (bits * k) & ((uint64_t(1) << bits) - 1);
    return;
  }
  unsigned bits = i.type().bits / static_cast<unsigned>(from.parts.size());
  uint64_t whole = 0;
  for (size_t k = 0; k < from.parts.size(); ++k)
    whole |= (value(from.parts[k], t) & ((uint64_t(1) << bits) - 1))
             << (bits * k);
  t.registers[to.reg] = whole;
}

void Block::atomic(const Instruction &i, Thread &t) {
  if (!i.has("add") || i.type().bits != 32)
    fail(i, "this atomic operation is not run here");
  bool hasResult = i.op == "atom";
  char *to = place(i, i.operands.at(hasResult), t, 4);
  uint32_t before = 0;
  std::memcpy(&before, to, 4);
  uint32_t after =
      before + static_cast<uint32_t>(value(i.operands.at(hasResult + 1), t));
  std::memcpy(to, &after, 4);
  if (hasResult && i.operands[0].kind == Operand::Register)
    t.registers[i.operands[0].reg] = before;
}

void Block::copyAsync(const Instruction &i, Thread &t) {
  if (i.has("commit_group")) {
    t.groups.emplace_back();
    return;
  }
  if (i.has("wait_group") || i.has("wait_all")) {
    size_t left = i.has("wait_all") ? 0 : value(i.operands.at(0), t);
    while (t.groups.size() - 1 > left) {
      for (const Copy &copy : t.groups.front()) {
        std::memset(shared.data() + copy.to, 0, copy.bytes);
        std::memcpy(shared.data() + copy.to,
                    reinterpret_cast<const void *>(copy.from), copy.given);
      }
      t.groups.erase(t.groups.begin());
    }
    return;
  }
  Copy copy;
  copy.bytes = value(i.operands.at(2), t);
  copy.given = i.operands.size() > 3 ? value(i.operands[3], t) : copy.bytes;
  copy.to = address(i.operands[0], t);
  copy.from = address(i.operands[1], t);
  std::memset(sharedAt(i, copy.to, copy.bytes), 0xff, copy.bytes);
  if (copy.from % copy.bytes != 0)
    fail(i, "an address of memory that is not aligned");
  if (copy.given && !isMapped(copy.from, copy.given))
    fail(i, "an address that is no memory of the device");
  t.groups.back().push_back(copy);
}

void Block::doThread(const Instruction &i, Thread &t) {
  if (i.op == "ld")
    return load(i, t);
  if (i.op == "st")
    return store(i, t);
  if (i.op == "fence" || i.op == "membar")
    return;
  if (i.op == "cp")
    return copyAsync(i, t);
  if (i.op == "atom" || i.op == "red")
    return atomic(i, t);
  if (i.op == "mov" && (i.operands.at(0).kind == Operand::Vector ||
                        i.operands.at(1).kind == Operand::Vector))
    return move(i, t);
  uint64_t x[4] = {};
  for (size_t k = 1; k < i.operands.size() && k <= 4; ++k)
    x[k - 1] = value(i.operands[k], t);
  uint64_t result = compute(i, x);
  t.registers[i.operands.at(0).reg] = result;
}

std::vector<char> einhead::fake::ptx::pack(const Kernel &kernel,
                                           void **arguments) {
  std::vector<char> parameters;
  for (size_t i = 0; i < kernel.sizes.size(); ++i) {
    parameters.resize(kernel.offsets[i] + kernel.sizes[i]);
    std::memcpy(parameters.data() + kernel.offsets[i], arguments[i],
                kernel.sizes[i]);
  }
  return parameters;
}

void einhead::fake::ptx::run(const Kernel &kernel, const LaunchSize &size,
                             const std::vector<char> &parameters,
                             const IsMapped &isMapped) {
  if (!kernel.error.empty())
    throw std::runtime_error(kernel.error);
  unsigned at[3];
  std::vector<std::unique_ptr<Block>> blocks;
  std::vector<std::array<unsigned, 3>> numbers(size_t(size.grid[0]) *
                                               size.grid[1] * size.grid[2]);
  size_t count = 0;
  for (at[2] = 0; at[2] < size.grid[2]; ++at[2])
    for (at[1] = 0; at[1] < size.grid[1]; ++at[1])
      for (at[0] = 0; at[0] < size.grid[0]; ++at[0])
        numbers[count++] = {at[0], at[1], at[2]};
  auto make = [&](const std::array<unsigned, 3> &number) {
    return std::make_unique<Block>(kernel, size, parameters, isMapped, number);
  };
  if (!size.isCooperative) {
    for (const auto &number : numbers)
      if (make(number)->advance(number[0] % 2 == 1))
        throw std::runtime_error("kernel " + kernel.name +
                                 ": a block waits for another one, which need "
                                 "not run at the same time");
    return;
  }
  // All of them run, in turns.
  for (const auto &number : numbers)
    blocks.push_back(make(number));
  constexpr int mostTurns = 10000;
  for (int turn = 0; !blocks.empty(); ++turn) {
    if (turn == mostTurns)
      throw std::runtime_error("kernel " + kernel.name +
                               ": blocks wait for each other for ever");
    for (auto &block : blocks)
      if (!block->advance(block->column() % 2 == 1))
        block.reset();
    blocks.erase(std::remove(blocks.begin(), blocks.end(), nullptr),
                 blocks.end());
  }
}
