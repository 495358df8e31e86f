//===- ShrinkExtents.cpp - Smaller extents and lengths ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reductions.h"
#include "einhead/Analysis/ExtentClasses.h"
#include "einhead/IR/ShapeNames.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace einhead;
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

/// A class of static extents above 1 that can be changed.
struct Shrinkable {
  unsigned root;
  int64_t extent;
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

/// In order of appearance.
static std::vector<Shrinkable> shrinkable(ExtentClasses &classes) {
  std::vector<Shrinkable> all;
  llvm::DenseSet<unsigned> seen;
  for (const ExtentClasses::Point &point : classes.points()) {
    int64_t extent = point.extent();
    if (classes.isPinned(point.root) || ShapedType::isDynamic(extent) ||
        extent < 2)
      continue;
    if (seen.insert(point.root).second)
      all.push_back({point.root, extent});
  }
  return all;
}

/// `attn.shape` with the extents of `type` where numbers stand, or null.
static StringAttr renamed(StringAttr text, Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto names = parseShapeNames(text ? text.getValue() : "");
  if (!text || !tensor || failed(names))
    return nullptr;
  std::string all;
  for (auto [name, extent] : llvm::zip(*names, tensor.getShape())) {
    if (name.name.empty() && !ShapedType::isDynamic(extent))
      name.offset = extent;
    all += (all.empty() ? "" : ", ") + name.str();
  }
  return StringAttr::get(text.getContext(), all);
}

static void rename(func::FuncOp function) {
  constexpr llvm::StringLiteral key = "attn.shape";
  for (auto [i, type] : llvm::enumerate(function.getArgumentTypes()))
    if (StringAttr text =
            renamed(function.getArgAttrOfType<StringAttr>(i, key), type))
      function.setArgAttr(i, key, text);
  for (auto [i, type] : llvm::enumerate(function.getResultTypes()))
    if (StringAttr text =
            renamed(function.getResultAttrOfType<StringAttr>(i, key), type))
      function.setResultAttr(i, key, text);
}

/// Gives a class another extent: types, splats, numbers in `attn.shape`.
static void resize(func::FuncOp function, ExtentClasses &classes, unsigned root,
                   int64_t extent) {
  for (const ExtentClasses::Point &point : classes.points()) {
    Value value = point.value;
    auto type = cast<RankedTensorType>(value.getType());
    if (point.root != root || type.isDynamicDim(point.dimension))
      continue;
    SmallVector<int64_t> shape(type.getShape());
    shape[point.dimension] = extent;
    value.setType(type.clone(shape));
    if (auto constant = value.getDefiningOp<arith::ConstantOp>())
      constant.setValueAttr(
          cast<SplatElementsAttr>(constant.getValue())
              .resizeSplat(cast<ShapedType>(value.getType())));
  }
  SmallVector<Type> inputs(function.getBody().getArgumentTypes());
  SmallVector<Type> results(function.getResultTypes());
  if (auto end = dyn_cast<func::ReturnOp>(function.front().getTerminator()))
    results.assign(end.getOperandTypes().begin(), end.getOperandTypes().end());
  function.setType(FunctionType::get(function.getContext(), inputs, results));
  rename(function);
}

bool einhead::reducer::shrinkExtent(func::FuncOp function, unsigned n) {
  ExtentClasses classes(function);
  for (auto [root, extent] : shrinkable(classes)) {
    int64_t previous = extent;
    for (int64_t smaller : {extent / 2, extent - extent / 4, extent - 1}) {
      if (smaller == extent || smaller == previous)
        continue;
      previous = smaller;
      if (n-- != 0)
        continue;
      for (const Length &length : lengthsOf(function))
        if (classes.rootOf(length.counted, length.dimension) == root) {
          int64_t most = std::max<int64_t>(smaller - length.written, 0);
          if (length.number > most)
            setLength(length, most);
        }
      resize(function, classes, root, smaller);
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
