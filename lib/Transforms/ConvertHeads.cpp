//===- ConvertHeads.cpp - Pool the heads of keys and values -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Three steps.  Each softmax gives a chain from the scores einsum to the values
// einsum, and one letter of it the heads.  HeadTrace follows the heads of key
// and value up to parameters and caches.  Only when all of the module is found
// convertible it is changed: parameters are pooled, the types on the way get
// fewer heads, and the chain gets a row letter for the heads of one group.
//
//===----------------------------------------------------------------------===//

#include "HeadChain.h"
#include "HeadParameters.h"
#include "einhead/Analysis/Remark.h"
#include "einhead/IR/Attn.h"
#include "einhead/IR/ShapeNames.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

namespace einhead {
#define GEN_PASS_DEF_CONVERTHEADSPASS
#include "einhead/Transforms/Passes.h.inc"
} // namespace einhead

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

//===----------------------------------------------------------------------===//
// One function
//===----------------------------------------------------------------------===//

namespace {
class Conversion {
public:
  Conversion(func::FuncOp function, const PoolOptions &options)
      : function(function), options(options), parameters(options) {}

  /// Finds and checks everything; changes nothing.
  LogicalResult analyse();
  void apply();
  bool hasAttention() const { return seenAttention; }

private:
  LogicalResult checkUses();
  void shrinkTypes();
  void updateSignature();
  void respell(HeadChain &chain);
  /// `value` with its heads as [groups, heads of one]; uniform values are made
  /// anew, so that a scale is still seen to be one number.
  Value spread(OpBuilder &builder, Value value, unsigned dim) const;
  RankedTensorType spreadType(Type type, unsigned dim, int64_t heads) const;

  func::FuncOp function;
  PoolOptions options;
  HeadParameters parameters;
  HeadTrace trace;
  SmallVector<HeadChain> chains;
  bool seenAttention = false;
};
} // namespace

LogicalResult Conversion::checkUses() {
  for (const auto &[value, at] : trace.values)
    for (OpOperand &use : value.getUses()) {
      Operation *op = use.getOwner();
      if (trace.isFollowed(use))
        continue;
      if (isa<func::ReturnOp>(op) &&
          function.getResultAttr(use.getOperandNumber(), "attn.cache"))
        continue;
      if (auto dim = dyn_cast<tensor::DimOp>(op); dim && dim.getConstantIndex())
        continue;
      return op->emitError()
             << "uses keys or values besides the attention, as operand #"
             << use.getOperandNumber() << "; with fewer heads it would change";
    }
  return success();
}

LogicalResult Conversion::analyse() {
  auto fused = function.walk([](AttentionLike op) {
    op->emitError() << "heads are pooled before attention is recognised; put "
                       "--attn-convert-heads before --attn-raise";
    return WalkResult::interrupt();
  });
  if (fused.wasInterrupted())
    return failure();
  SmallVector<SoftmaxOp> anchors;
  function.walk([&](SoftmaxOp op) { anchors.push_back(op); });
  seenAttention = !anchors.empty();
  for (SoftmaxOp softmax : anchors) {
    FailureOr<HeadChain> chain = matchHeadChain(softmax);
    if (failed(chain))
      return failure();
    if (chain->heads % options.groups != 0)
      return softmax.emitError()
             << options.groups << " key/value heads do not divide the present "
             << chain->heads << "; it can be pooled into "
             << possibleGroups(chain->heads);
    if (chain->heads == options.groups &&
        options.method != HeadMethod::Random) {
      remarkMissed(softmax.getLoc(), "attn-convert-heads", "HeadsKept",
                   "there are " + std::to_string(chain->heads) +
                       " key/value heads already");
      continue;
    }
    for (HeadUse use : {chain->keyUse(), chain->valueUse()})
      if (failed(trace.follow(*use.use, use.at)))
        return failure();
    chains.push_back(*chain);
  }
  for (const HeadUse &parameter : trace.parameters)
    if (std::string why = parameters.refusal(parameter); !why.empty())
      return parameter.use->getOwner()->emitError()
             << "heads cannot be pooled: operand #"
             << parameter.use->getOperandNumber() << " " << why;
  return checkUses();
}

void Conversion::shrinkTypes() {
  OpBuilder builder(function.getContext());
  for (const HeadUse &shape : trace.shapes) {
    // Others may use it in its old shape.
    Operation *op = shape.use->get().getDefiningOp();
    builder.setInsertionPointAfter(op);
    Operation *smaller = builder.clone(*op);
    Value result = smaller->getResult(0);
    auto type = withHeads(result.getType(), shape.at, options.groups);
    result.setType(type);
    if (auto constant = dyn_cast<arith::ConstantOp>(smaller))
      constant.setValueAttr(
          cast<DenseElementsAttr>(constant.getValue()).resizeSplat(type));
    shape.use->set(result);
  }
  for (auto [value, at] : trace.values) {
    // The number of heads elsewhere in the graph is what it was.
    for (OpOperand &use : llvm::make_early_inc_range(value.getUses()))
      if (auto dim = dyn_cast<tensor::DimOp>(use.getOwner()))
        if (dim.getConstantIndex() == int64_t(at.dim)) {
          builder.setInsertionPoint(dim);
          dim.replaceAllUsesWith(Value(arith::ConstantIndexOp::create(
              builder, dim.getLoc(), at.heads * at.inner)));
          dim.erase();
        }
    value.setType(withHeads(value.getType(), at, options.groups));
    if (auto expand = value.getDefiningOp<tensor::ExpandShapeOp>())
      expand.setStaticOutputShape(expand.getResultType().getShape());
  }
}

/// The text of an `attn.shape` with another extent in one dimension.
static StringAttr renameDim(StringAttr text, unsigned dim, int64_t extent) {
  auto names = *parseShapeNames(text.getValue());
  names[dim] = ShapeName{"", extent};
  std::string joined;
  for (const ShapeName &name : names)
    joined += (joined.empty() ? "" : ", ") + name.str();
  return StringAttr::get(text.getContext(), joined);
}

void Conversion::updateSignature() {
  constexpr const char *key = "attn.shape";
  for (auto [value, at] : trace.values)
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      unsigned index = argument.getArgNumber();
      if (auto text = function.getArgAttrOfType<StringAttr>(index, key))
        function.setArgAttr(index, key,
                            renameDim(text, at.dim, options.groups * at.inner));
    }
  SmallVector<Type> results;
  func::ReturnOp exit;
  function.walk([&](func::ReturnOp op) { exit = op; });
  for (auto [index, value] : llvm::enumerate(exit.getOperands())) {
    results.push_back(value.getType());
    auto *known = trace.values.find(value);
    auto text = function.getResultAttrOfType<StringAttr>(index, key);
    if (text && known != trace.values.end())
      function.setResultAttr(index, key,
                             renameDim(text, known->second.dim,
                                       options.groups * known->second.inner));
  }
  function.setType(FunctionType::get(
      function.getContext(), function.getBody().getArgumentTypes(), results));
}

RankedTensorType Conversion::spreadType(Type type, unsigned dim,
                                        int64_t heads) const {
  auto tensor = cast<RankedTensorType>(type);
  SmallVector<int64_t> shape(tensor.getShape());
  shape[dim] = options.groups;
  shape.insert(shape.begin() + dim + 1, heads / options.groups);
  return tensor.clone(shape);
}

static SmallVector<ReassociationIndices> spreadParts(int64_t rank,
                                                     int64_t dim) {
  SmallVector<ReassociationIndices> parts;
  int64_t next = 0;
  for (int64_t i = 0; i < rank; ++i) {
    parts.push_back({next++});
    if (i == dim)
      parts.back().push_back(next++);
  }
  return parts;
}

Value Conversion::spread(OpBuilder &builder, Value value, unsigned dim) const {
  auto type = cast<RankedTensorType>(value.getType());
  RankedTensorType wide = spreadType(type, dim, type.getDimSize(dim));
  if (auto splat = value.getDefiningOp<tensor::SplatOp>())
    return tensor::SplatOp::create(builder, splat.getLoc(), wide,
                                   splat.getInput(), splat.getDynamicSizes());
  DenseElementsAttr dense;
  if (matchPattern(value, m_Constant(&dense)) && dense.isSplat())
    return arith::ConstantOp::create(
        builder, value.getLoc(),
        dense.resizeSplat(cast<ShapedType>(Type(wide))));
  return tensor::ExpandShapeOp::create(builder, value.getLoc(), wide, value,
                                       spreadParts(type.getRank(), dim));
}

/// A letter for the heads of one group that is not in `taken`.
static char rowLetter(const std::string &taken) {
  for (char letter :
       llvm::StringRef("rstuvwxyzabcdefghijklmnopqRSTUVWXYZABCDEFG"
                       "HIJKLMNOPQ"))
    if (taken.find(letter) == std::string::npos)
      return letter;
  llvm_unreachable("an attention has fewer than 52 letters");
}

/// `term` with `row` behind `head`.
static void insertRow(std::string &term, char head, char row) {
  term.insert(indexOf(term, head) + 1, 1, row);
}

void Conversion::respell(HeadChain &chain) {
  EinsumSpec scores = chain.scoresSpec(), values = chain.valuesSpec();
  std::string letters = chain.softmax.getLetters().str();
  char row = rowLetter(scores.letters() + values.letters() + letters);
  OpBuilder builder(chain.scores);

  // The query's heads become groups of rows; the key has the groups.
  unsigned query = 1 - chain.key;
  int64_t queryDim = indexOf(scores.inputs[query], chain.scoresHead());
  chain.scores->setOperand(
      query, spread(builder, chain.scores.getInputs()[query], queryDim));
  insertRow(scores.inputs[query], chain.scoresHead(), row);
  char valuesHead = chain.valuesHead();
  insertRow(scores.output, chain.scoresHead(), row);
  insertRow(letters, letters[chain.headDim], row);
  chain.scores.setSpec(scores.str());
  auto widen = [&](Value value, unsigned dim) {
    value.setType(spreadType(value.getType(), dim, chain.heads));
  };
  widen(chain.scores.getResult(), chain.headDim);
  Value last = chain.scores.getResult();
  for (Operation *op : chain.between) {
    builder.setInsertionPoint(op);
    for (OpOperand &operand : op->getOpOperands())
      if (isElementwise(op) && operand.get() != last &&
          isa<RankedTensorType>(operand.get().getType()))
        operand.set(spread(builder, operand.get(), chain.headDim));
    last = op->getResult(0);
    widen(last, chain.headDim);
  }
  chain.softmax.setLetters(letters);

  // The result's groups of rows become heads again.
  Value result = chain.values.getResult();
  Type oldType = result.getType();
  unsigned resultDim = indexOf(values.output, valuesHead);
  insertRow(values.inputs[chain.weights], valuesHead, row);
  insertRow(values.output, valuesHead, row);
  chain.values.setSpec(values.str());
  widen(result, resultDim);
  builder.setInsertionPointAfter(chain.values);
  auto heads = tensor::CollapseShapeOp::create(
      builder, chain.values.getLoc(), oldType, result,
      spreadParts(cast<RankedTensorType>(oldType).getRank(), resultDim));
  result.replaceAllUsesExcept(heads, heads);
}

void Conversion::apply() {
  if (chains.empty())
    return;
  llvm::SmallSetVector<Value, 8> roots;
  for (const HeadUse &parameter : trace.parameters) {
    roots.insert(parameterRoot(parameter.use->get()));
    parameters.replace(parameter);
  }
  shrinkTypes();
  updateSignature();
  for (HeadChain &chain : chains) {
    if (chain.heads != options.groups)
      respell(chain);
    static const char *const methods[] = {
        "the mean of each group", "the first of each group", "random numbers"};
    remarkPassed(chain.softmax.getLoc(), "attn-convert-heads", "HeadsPooled",
                 "key/value heads: " + std::to_string(chain.heads) + " -> " +
                     std::to_string(options.groups) + ", " +
                     methods[int(options.method)] + "; scores \"" +
                     chain.scores.getSpec() + "\"");
  }
  IRRewriter rewriter(function.getContext());
  (void)runRegionDCE(rewriter, function->getRegions());
  // A parameter that nothing reads any more need not be in the files.
  for (Value root : roots)
    if (auto argument = dyn_cast<BlockArgument>(root))
      if (argument.use_empty())
        (void)function.eraseArgument(argument.getArgNumber());
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct ConvertHeadsPass final
    : einhead::impl::ConvertHeadsPassBase<ConvertHeadsPass> {
  using ConvertHeadsPassBase::ConvertHeadsPassBase;

  FailureOr<PoolOptions> poolOptions() {
    PoolOptions options;
    options.groups = kvHeads;
    options.seed = seed;
    options.deviation = deviation;
    if (kvHeads < 1) {
      getOperation().emitError()
          << "--attn-convert-heads needs kv-heads of at least 1, got "
          << kvHeads.getValue();
      return failure();
    }
    std::optional<HeadMethod> known = parseHeadMethod(method);
    if (!known) {
      getOperation().emitError() << "no method \"" << method
                                 << "\"; the methods are " << headMethodNames();
      return failure();
    }
    options.method = *known;
    return options;
  }

  void runOnOperation() override {
    FailureOr<PoolOptions> options = poolOptions();
    if (failed(options))
      return signalPassFailure();
    std::vector<Conversion> conversions;
    bool seenAttention = false;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      conversions.emplace_back(function, *options);
      if (failed(conversions.back().analyse()))
        return signalPassFailure();
      seenAttention |= conversions.back().hasAttention();
      if (conversions.back().hasAttention() &&
          !SymbolTable::symbolKnownUseEmpty(function, getOperation())) {
        function.emitError() << "is called in the module; its types cannot "
                                "change, inline it first";
        return signalPassFailure();
      }
    }
    if (!seenAttention) {
      getOperation().emitError() << "no softmax: no attention to convert";
      return signalPassFailure();
    }
    for (Conversion &conversion : conversions)
      conversion.apply();
  }
};
} // namespace
