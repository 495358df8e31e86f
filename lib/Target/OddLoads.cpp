//===- OddLoads.cpp - Loads that LLVM cannot legalize -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// LLVM makes a short copy, of a row of 9 bf16 into a padded one, a load of
// <9 x bfloat>.  Where the CPU has instructions for bf16, LLVM 22 splits that
// in <8 x bfloat> and <1 x bfloat> and ends the process: it has no scalar bf16.
// Loads of as many i16 it splits well, and no other instruction on such vectors
// needs a split: so the same bits are loaded as i16, widened to a power of two
// and taken for bf16 there.

#include "einhead/Target/Codegen.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;

/// The vector type of a load that LLVM may fail on; null for others.
static FixedVectorType *oddType(const Instruction &instruction) {
  auto *load = dyn_cast<LoadInst>(&instruction);
  auto *type = load ? dyn_cast<FixedVectorType>(load->getType()) : nullptr;
  bool isOdd = type && type->getElementType()->isBFloatTy() &&
               !isPowerOf2_32(type->getNumElements());
  return isOdd ? type : nullptr;
}

static void loadAsIntegers(LoadInst &load, FixedVectorType *type) {
  IRBuilder<> builder(&load);
  unsigned count = type->getNumElements(), wide = PowerOf2Ceil(count);
  auto *integers = FixedVectorType::get(builder.getInt16Ty(), count);
  LoadInst *bits = builder.CreateAlignedLoad(
      integers, load.getPointerOperand(), load.getAlign(), load.isVolatile());
  bits->copyMetadata(load);
  SmallVector<int> places = to_vector<32>(seq<int>(0, count));
  places.resize(wide, PoisonMaskElem);
  Value *value = builder.CreateShuffleVector(bits, places);
  value = builder.CreateBitCast(
      value, FixedVectorType::get(type->getElementType(), wide));
  places.truncate(count);
  value = builder.CreateShuffleVector(value, places);
  value->takeName(&load);
  load.replaceAllUsesWith(value);
  load.eraseFromParent();
}

void einhead::widenOddLoads(Module &module) {
  for (Function &function : module)
    for (Instruction &instruction :
         make_early_inc_range(instructions(function)))
      if (FixedVectorType *type = oddType(instruction))
        loadAsIntegers(cast<LoadInst>(instruction), type);
}
