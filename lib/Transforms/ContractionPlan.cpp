//===- ContractionPlan.cpp - Which loops a contraction has ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Contraction.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace einhead;

/// Whether `value` is the block argument, widened or not.
static bool isArgument(Value value, BlockArgument argument) {
  if (auto widened = value.getDefiningOp<arith::ExtFOp>())
    value = widened.getIn();
  return value == argument;
}

bool einhead::isSumOfProducts(linalg::GenericOp op) {
  Block *block = op.getBlock();
  if (op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1)
    return false;
  auto sum =
      block->getTerminator()->getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!sum)
    return false;
  Value product = sum.getLhs();
  if (product == block->getArgument(2))
    product = sum.getRhs();
  else if (sum.getRhs() != block->getArgument(2))
    return false;
  auto mul = product.getDefiningOp<arith::MulFOp>();
  if (!mul)
    return false;
  auto both = [&](Value x, Value y) {
    return isArgument(x, block->getArgument(0)) &&
           isArgument(y, block->getArgument(1));
  };
  return both(mul.getLhs(), mul.getRhs()) || both(mul.getRhs(), mul.getLhs());
}

/// Whether neighbours in the last dimension are neighbours in memory.
static bool isContiguous(Value memref) {
  SmallVector<int64_t> strides;
  int64_t offset = 0;
  auto type = cast<MemRefType>(memref.getType());
  return type.getRank() > 0 &&
         succeeded(type.getStridesAndOffset(strides, offset)) &&
         strides.back() == 1;
}

static unsigned lastLoop(AffineMap map) {
  return map.getDimPosition(map.getNumResults() - 1);
}

/// The loops of `map`, in the order of the dimensions.
static SmallVector<unsigned> loopsOf(AffineMap map) {
  SmallVector<unsigned> loops;
  for (unsigned i = 0, e = map.getNumResults(); i < e; ++i)
    loops.push_back(map.getDimPosition(i));
  return loops;
}

bool ContractionPlan::assign(linalg::GenericOp op, unsigned weight) {
  x = op.getDpsInputs()[1 - weight];
  w = op.getDpsInputs()[weight];
  out = op.getDpsInits()[0];
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  xMap = maps[1 - weight];
  wMap = maps[weight];
  outMap = maps[2];
  extents = op.getStaticLoopRanges();
  roles.clear();
  for (unsigned loop = 0, e = extents.size(); loop < e; ++loop) {
    bool inX = xMap.isFunctionOfDim(loop), inW = wMap.isFunctionOfDim(loop);
    bool inOut = outMap.isFunctionOfDim(loop);
    if (!inX && !inW)
      return false;
    if (!inOut && !(inX && inW))
      return false; // a sum over one operand alone
    roles.push_back(!inOut ? Sum : !inX ? Column : !inW ? Row : Batch);
  }
  if (!isContiguous(w))
    return false;
  vector = lastLoop(wMap);
  sums = roles[vector] == Sum;
  if (sums)
    return isContiguous(x) && lastLoop(xMap) == vector;
  return roles[vector] == Column && isContiguous(out) &&
         lastLoop(outMap) == vector;
}

/// The loops in the order of w, around the rows of the stream.
bool ContractionPlan::order() {
  Role wanted = sums ? Column : Sum;
  SmallVector<unsigned> loops = loopsOf(wMap);
  loops.pop_back();
  auto last = llvm::find_if(llvm::reverse(loops), [&](unsigned loop) {
    return roles[loop] == wanted;
  });
  if (last == loops.rend())
    return false;
  stream = *last;
  auto place = last.base();
  outer.assign(loops.begin(), place - 1);
  for (unsigned loop : llvm::make_range(place, loops.end()))
    if (sums && roles[loop] == Batch)
      outer.push_back(loop); // sums are carried through those inside
    else
      inner.push_back(loop);
  auto count = [&](unsigned loop) {
    return ShapedType::isDynamic(extents[loop])
               ? std::numeric_limits<int64_t>::max()
               : extents[loop];
  };
  for (unsigned loop : loopsOf(xMap))
    if (roles[loop] == Row)
      rows.push_back(loop);
  llvm::stable_sort(
      rows, [&](unsigned x, unsigned y) { return count(x) < count(y); });
  return true;
}

std::optional<ContractionPlan> ContractionPlan::of(linalg::GenericOp op,
                                                   const TargetInfo &target) {
  if (!op.hasPureBufferSemantics() || !isSumOfProducts(op) ||
      !llvm::all_of(op.getIndexingMapsArray(), [](AffineMap map) {
        return map.isProjectedPermutation() && map.getNumResults() > 0;
      }))
    return std::nullopt;
  // The weight is the larger operand; the second, if that is not known.
  auto elements = [&](unsigned i) {
    auto type = cast<MemRefType>(op.getDpsInputs()[i].getType());
    int64_t count = 1;
    for (int64_t extent : type.getShape())
      count *= ShapedType::isDynamic(extent) ? 1 : extent;
    return count;
  };
  unsigned weight = elements(0) > elements(1) ? 0 : 1;
  ContractionPlan plan;
  if (!plan.assign(op, weight) && !plan.assign(op, 1 - weight))
    return std::nullopt;
  if (!plan.order())
    return std::nullopt;
  Type sum = plan.element();
  plan.lanes = target.vectorBits / sum.getIntOrFloatBitWidth();
  if ((!sum.isF32() && !sum.isF64()) || plan.lanes < 4)
    return std::nullopt;
  // The others hold what is loaded.
  plan.registers = target.vectorRegisters * 3 / 4;
  auto isBF16 = [](Value memref) {
    return cast<MemRefType>(memref.getType()).getElementType().isBF16();
  };
  plan.pairs = sum.isF32() && isBF16(plan.x) && isBF16(plan.w) &&
               target.dotRate > target.fmaRate && plan.lanes == 16;
  return plan;
}
