//===- Specialize.cpp - Give named dimensions their extents -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Analysis/ExtentClasses.h"
#include "einhead/IR/Attn.h"
#include "einhead/IR/ShapeNames.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/StringMap.h"

namespace einhead {
#define GEN_PASS_DEF_SPECIALIZEPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

using Extents = llvm::StringMap<int64_t>;

namespace {
/// One function: its classes of dimensions, and the types that they imply.
class Specializer {
public:
  Specializer(func::FuncOp function, const Extents &given, bool isCalled)
      : function(function), given(given), isCalled(isCalled),
        classes(function) {}

  LogicalResult run();

private:
  struct Known {
    int64_t extent;
    Location loc;
  };
  struct Named {
    std::string name, where;
  };

  LogicalResult seedSizes();
  LogicalResult seedTypes();
  LogicalResult know(unsigned root, int64_t extent, Location loc);
  LogicalResult checkNames();
  LogicalResult checkNames(llvm::StringRef which, Value value, StringAttr text);
  SmallVector<ShapeName> namesOf(StringAttr text, Type type);
  bool follows(Value value);
  Type impliedType(Value value);
  void retype(Operation *op);
  void dropSizes(Operation *op, RankedTensorType before);
  void castOperands(Operation *op);

  func::FuncOp function;
  const Extents &given;
  /// Then callers know the types of the function, which stay as they are.
  bool isCalled;
  ExtentClasses classes;
  llvm::DenseMap<unsigned, Known> known;
  llvm::DenseMap<unsigned, Named> names;
  llvm::DenseMap<Value, Type> before;
};
} // namespace

SmallVector<ShapeName> Specializer::namesOf(StringAttr text, Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto parsed = parseShapeNames(text ? text.getValue() : "");
  if (!text || !tensor || failed(parsed))
    return {};
  return *parsed;
}

/// The extents of dimensions that have a given name.
LogicalResult Specializer::seedSizes() {
  for (BlockArgument argument : function.getArguments()) {
    unsigned index = argument.getArgNumber();
    auto text = function.getArgAttrOfType<StringAttr>(index, "attn.shape");
    for (auto [d, name] : llvm::enumerate(namesOf(text, argument.getType()))) {
      auto size = given.find(name.name);
      if (name.name.empty() || size == given.end())
        continue;
      int64_t extent = size->second + name.offset;
      int64_t own = cast<ShapedType>(argument.getType()).getDimSize(d);
      if (!ShapedType::isDynamic(own) && own != extent)
        return function.emitError()
               << "argument #" << index << ": dimension '" << name.str()
               << "' is " << own << ", not " << extent;
      if (failed(know(*classes.rootOf(argument, d), extent, argument.getLoc())))
        return failure();
    }
  }
  return success();
}

LogicalResult Specializer::know(unsigned root, int64_t extent, Location loc) {
  auto [at, isNew] = known.try_emplace(root, Known{extent, loc});
  if (isNew || at->second.extent == extent)
    return success();
  InFlightDiagnostic diagnostic =
      emitError(loc) << "a dimension of extent " << extent
                     << " must have the extent " << at->second.extent
                     << ": letters and ops make it one with another";
  diagnostic.attachNote(at->second.loc) << "which has that extent here";
  return diagnostic;
}

/// The extents that some type says.
LogicalResult Specializer::seedTypes() {
  for (const ExtentClasses::Point &point : classes.points())
    if (!ShapedType::isDynamic(point.extent()) &&
        failed(know(point.root, point.extent(), point.value.getLoc())))
      return failure();
  return success();
}

LogicalResult Specializer::checkNames(llvm::StringRef which, Value value,
                                      StringAttr text) {
  for (auto [d, name] : llvm::enumerate(namesOf(text, value.getType()))) {
    std::optional<unsigned> root = classes.rootOf(value, d);
    if (name.name.empty() || !root || known.contains(*root))
      continue;
    auto [at, isNew] = names.try_emplace(*root, Named{name.str(), which.str()});
    if (!isNew && at->second.name != name.str())
      return function.emitError()
             << "dimension '" << name.str() << "' of " << which
             << " and dimension '" << at->second.name << "' of "
             << at->second.where
             << " have one extent, and a call could give them two: give them "
                "one name in attn.shape";
  }
  return success();
}

/// The runtime compares extents by name: where the code takes two for one, they
/// must have one name.
LogicalResult Specializer::checkNames() {
  if (!function.isPublic())
    return success();
  for (BlockArgument argument : function.getArguments()) {
    unsigned index = argument.getArgNumber();
    if (failed(checkNames(
            ("argument #" + llvm::Twine(index)).str(), argument,
            function.getArgAttrOfType<StringAttr>(index, "attn.shape"))))
      return failure();
  }
  auto end = dyn_cast<func::ReturnOp>(function.front().getTerminator());
  for (unsigned i = 0; end && i < end.getNumOperands(); ++i)
    if (failed(checkNames(
            ("result #" + llvm::Twine(i)).str(), end.getOperand(i),
            function.getResultAttrOfType<StringAttr>(i, "attn.shape"))))
      return failure();
  return success();
}

/// Whether the type of `value` can be changed: its op does with any extents.
bool Specializer::follows(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return !isCalled &&
           cast<BlockArgument>(value).getOwner() == &function.getBody().front();
  return isa<EinsumOp, SoftmaxOp, AppendOp, AttentionLike, MergeOp,
             linalg::LinalgOp, tensor::CastOp, tensor::EmptyOp,
             tensor::SplatOp>(op) ||
         op->hasTrait<OpTrait::Elementwise>();
}

/// The type of `value` with all extents that are known.
Type Specializer::impliedType(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return value.getType();
  SmallVector<int64_t> shape(type.getShape());
  for (auto [d, extent] : llvm::enumerate(shape)) {
    std::optional<unsigned> root = classes.rootOf(value, d);
    auto at = root ? known.find(*root) : known.end();
    if (at != known.end())
      extent = at->second.extent;
  }
  return type.clone(shape);
}

/// tensor.empty and tensor.splat say the sizes that the type leaves open.
void Specializer::dropSizes(Operation *op, RankedTensorType old) {
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  unsigned at = op->getNumOperands() - old.getNumDynamicDims();
  for (int64_t d = 0; d < old.getRank(); ++d) {
    if (!old.isDynamicDim(d))
      continue;
    if (type.isDynamicDim(d))
      ++at;
    else
      op->eraseOperand(at);
  }
}

void Specializer::retype(Operation *op) {
  for (Value result : op->getResults()) {
    Type type = follows(result) ? impliedType(result) : result.getType();
    if (type == result.getType())
      continue;
    auto old = cast<RankedTensorType>(result.getType());
    before[result] = old;
    result.setType(type);
    if (isa<tensor::EmptyOp, tensor::SplatOp>(op))
      dropSizes(op, old);
  }
}

/// An op whose types follow gets the implied ones, any other what it had.
void Specializer::castOperands(Operation *op) {
  // They take any extents.
  if (isa<tensor::DimOp, tensor::ExtractOp>(op))
    return;
  bool all = (op->getNumResults() && follows(op->getResult(0))) ||
             (isa<func::ReturnOp>(op) && !isCalled);
  OpBuilder builder(op);
  for (OpOperand &operand : op->getOpOperands()) {
    Value value = operand.get();
    auto old = before.find(value);
    Type type = all                   ? impliedType(value)
                : old != before.end() ? old->second
                                      : value.getType();
    if (type != value.getType())
      operand.set(tensor::CastOp::create(builder, op->getLoc(), type, value));
  }
}

LogicalResult Specializer::run() {
  if (failed(seedSizes()) || failed(seedTypes()) || failed(checkNames()))
    return failure();
  for (BlockArgument argument : function.getArguments()) {
    Type type = follows(argument) ? impliedType(argument) : argument.getType();
    if (type == argument.getType())
      continue;
    before[argument] = argument.getType();
    argument.setType(type);
  }
  SmallVector<Operation *> ops;
  function.getBody().walk([&](Operation *op) { ops.push_back(op); });
  for (Operation *op : ops)
    retype(op);
  for (Operation *op : ops)
    castOperands(op);
  SmallVector<Type> results(function.getResultTypes());
  function.walk([&](func::ReturnOp op) {
    for (auto [i, value] : llvm::enumerate(op.getOperands()))
      results[i] = value.getType();
  });
  function.setType(FunctionType::get(
      function.getContext(), function.getBody().getArgumentTypes(), results));
  return success();
}

namespace {
struct SpecializePass final
    : einhead::impl::SpecializePassBase<SpecializePass> {
  using SpecializePassBase::SpecializePassBase;

  void runOnOperation() override {
    Extents extents;
    for (llvm::StringRef pair : sizes) {
      auto [name, text] = pair.split('=');
      int64_t extent;
      if (text.getAsInteger(10, extent) || extent < 0) {
        getOperation().emitError()
            << "expected name=extent in sizes, got \"" << pair << "\"";
        return signalPassFailure();
      }
      extents[name] = extent;
    }
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal())
        continue;
      auto uses = SymbolTable::getSymbolUses(function.getSymNameAttr(),
                                             &getOperation().getBodyRegion());
      bool isCalled = !uses || !uses->empty();
      if (failed(Specializer(function, extents, isCalled).run()))
        return signalPassFailure();
    }
  }
};
} // namespace
