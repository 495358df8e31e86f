//===- ShrinkExtents.cpp - Smaller extents and lengths ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ExtentClasses.h"
#include "Reductions.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace einhead::attn;
using namespace einhead::reducer;

namespace {
/// A length that is a number, the dimension whose rows it counts, and how many
/// rows are written there.
struct Length {
  OpOperand *operand;
  int64_t number;
  Value counted;
  int64_t dimension;
  int64_t written;
};
} // namespace

static std::vector<Length> lengthsOf(func::FuncOp function) {
  std::vector<Length> lengths;
  auto add = [&](OpOperand &operand, Value counted, int64_t dimension,
                 int64_t written = 0) {
    APInt number;
    if (operand.get().getType().isIndex() &&
        matchPattern(operand.get(), m_ConstantInt(&number)))
      lengths.push_back(
          {&operand, number.getSExtValue(), counted, dimension, written});
  };
  function.walk([&](Operation *op) {
    if (auto softmax = dyn_cast<SoftmaxOp>(op)) {
      for (OpOperand &valid : softmax.getValidMutable())
        add(valid, softmax.getInput(),
            indexOf(softmax.getLetters(), softmax.getOver().front()));
    } else if (auto append = dyn_cast<AppendOp>(op)) {
      EinsumSpec spec = *EinsumSpec::parse(append.getSpec());
      std::string rows = lettersWithout(spec.inputs[0], spec.output);
      auto type = cast<RankedTensorType>(append.getNewRows().getType());
      int64_t written =
          rows.empty() ? 1
                       : type.getDimSize(indexOf(spec.inputs[0], rows.front()));
      add(append.getPositionMutable(), append.getCache(),
          indexOf(spec.output,
                  lettersWithout(spec.output, spec.inputs[0]).front()),
          ShapedType::isDynamic(written) ? 0 : written);
    } else if (auto like = dyn_cast<AttentionLike>(op)) {
      AttentionRoles roles = rolesOf(like);
      for (OpOperand &operand : op->getOpOperands())
        if (operand.get() == like.getValid())
          add(operand, like.getKey(),
              indexOf(roles.keyTerm, roles.key.front()));
    }
  });
  return lengths;
}

static void setLength(const Length &length, int64_t number) {
  Operation *user = length.operand->getOwner();
  OpBuilder builder(user);
  length.operand->set(
      arith::ConstantIndexOp::create(builder, user->getLoc(), number));
}

bool einhead::reducer::shrinkExtent(func::FuncOp function, unsigned n) {
  ExtentClasses classes(function);
  for (auto [root, extent] : classes.shrinkable()) {
    int64_t previous = extent;
    for (int64_t smaller : {extent / 2, extent - extent / 4, extent - 1}) {
      if (smaller == extent || smaller == previous)
        continue;
      previous = smaller;
      if (n-- != 0)
        continue;
      for (const Length &length : lengthsOf(function))
        if (classes.has(root, length.counted, length.dimension)) {
          int64_t most = std::max<int64_t>(smaller - length.written, 0);
          if (length.number > most)
            setLength(length, most);
        }
      classes.resize(root, smaller);
      return true;
    }
  }
  return false;
}

bool einhead::reducer::shrinkLength(func::FuncOp function, unsigned n) {
  for (const Length &length : lengthsOf(function)) {
    if (length.number < 1 || n-- != 0)
      continue;
    setLength(length, length.number / 2);
    return true;
  }
  return false;
}
