//===- Ptx.h - PTX on a CPU -------------------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Runs the instructions that the compiler's kernels have, thread by thread,
/// and keeps to what a GPU promises and to nothing more.  A warp's threads go
/// together.  Between two barriers each warp runs to the end before the next
/// one starts, the first to the last in every other block and the last to the
/// first in the others.  The blocks of a cooperative launch take turns where
/// one reads what another may write (ld.acquire).  Shared memory is NaN at
/// first.  What cp.async copies is NaN from its start to its wait, which reads
/// memory.  So a barrier or a wait that is missing gives wrong numbers, and an
/// access past all memory of the device is an error.  Left out: TMA, wgmma and
/// mbarriers.
///
//===----------------------------------------------------------------------===//
#ifndef EINHEAD_TEST_RUNTIME_FAKECUDA_PTX_H
#define EINHEAD_TEST_RUNTIME_FAKECUDA_PTX_H

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace einhead::fake::ptx {

/// "f32": kind f, 32 bits.  Pairs of 16-bit floats are kinds of their own.
struct Type {
  enum Kind {
    None,
    Bits,
    Unsigned,
    Signed,
    Float,
    BFloat,
    Predicate
  } kind = None;
  unsigned bits = 0;
  unsigned lanes = 1;
  unsigned bytes() const { return bits / 8; }
};

struct Operand {
  enum Kind { Register, Immediate, Vector, Address, Special } kind = Immediate;
  int reg = -1;         ///< Register; Address: the base, or -1
  uint64_t bits = 0;    ///< Immediate; Address: added to the base
  bool isFloat = false; ///< Immediate: written as a float
  std::string name;     ///< Special
  std::vector<Operand> parts;
};

struct Instruction {
  std::string op;
  std::vector<std::string> modifiers;
  int predicate = -1;
  bool isNegated = false;
  std::vector<Operand> operands;
  std::vector<Type> types; ///< of the modifiers, in their order
  int target = -1;         ///< of a branch
  int line = 0;
  int code = 0; ///< Machine's

  bool has(const char *modifier) const;
  Type type() const { return types.empty() ? Type() : types.back(); }
};

struct Kernel {
  std::string name;
  std::vector<size_t> offsets, sizes; ///< of parameters
  std::vector<Instruction> body;
  int registers = 0;
  std::string error; ///< what in it is not known
};

/// The kernels of a text.  With `lost`, "cp.async.wait_group:0", that
/// instruction of each kernel, counted from 0, is not there.
std::map<std::string, Kernel> parse(const std::string &text,
                                    const std::string &lost = "");

struct LaunchSize {
  unsigned grid[3] = {1, 1, 1}, block[3] = {1, 1, 1};
  size_t sharedBytes = 0;
  bool isCooperative = false; ///< blocks may wait for each other
};

/// Whether these bytes are memory of the device.
using IsMapped = std::function<bool(uint64_t, size_t)>;

/// The bytes of a kernel's parameters, as Kernel::offsets says.
std::vector<char> pack(const Kernel &kernel, void **arguments);

/// Runs all blocks; `parameters` are from pack().  Throws
/// std::runtime_error with the line of what goes wrong.
void run(const Kernel &kernel, const LaunchSize &size,
         const std::vector<char> &parameters, const IsMapped &isMapped);

/// What an instruction without memory and control makes of its operands;
/// `code` is codeOf(instruction).
int codeOf(const Instruction &instruction);
uint64_t compute(const Instruction &instruction, const uint64_t *x);

// Numbers.
float halfToFloat(uint16_t bits, bool isBF16);
uint16_t floatToHalf(float x, bool isBF16);

} // namespace einhead::fake::ptx

#endif // EINHEAD_TEST_RUNTIME_FAKECUDA_PTX_H
