//===- DropParts.cpp - Fewer ops, parts and arguments -----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reductions.h"
#include "einhead/IR/Attn.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace einhead::attn;
using namespace einhead::reducer;

/// The n-th op for which `holds`, or null; those nearest to the end first,
/// because what only they need goes with them.
static Operation *nth(func::FuncOp function, unsigned n,
                      llvm::function_ref<bool(Operation *)> holds) {
  for (Operation &op : llvm::reverse(function.front()))
    if (holds(&op) && n-- == 0)
      return &op;
  return nullptr;
}

static func::ReturnOp returnOf(func::FuncOp function) {
  return dyn_cast<func::ReturnOp>(function.front().getTerminator());
}

void einhead::reducer::eraseDeadOps(func::FuncOp function) {
  for (Operation &op :
       llvm::make_early_inc_range(llvm::reverse(function.front())))
    if (isOpTriviallyDead(&op))
      op.erase();
}

static Value operandOfResultType(Operation *op) {
  for (Value operand : op->getOperands())
    if (operand.getType() == op->getResult(0).getType())
      return operand;
  return nullptr;
}

bool einhead::reducer::bypassOp(func::FuncOp function, unsigned n) {
  Operation *op = nth(function, n, [](Operation *op) {
    return op->getNumResults() == 1 && !op->use_empty() &&
           isa<RankedTensorType>(op->getResult(0).getType()) &&
           operandOfResultType(op);
  });
  if (!op)
    return false;
  op->getResult(0).replaceAllUsesWith(operandOfResultType(op));
  op->erase();
  return true;
}

bool einhead::reducer::cutBeforeOp(func::FuncOp function, unsigned n) {
  // An op that is only returned would leave a function that does nothing.
  Operation *op = nth(function, n, [](Operation *op) {
    return op->getNumResults() == 1 && op->getNumOperands() > 0 &&
           isa<RankedTensorType>(op->getResult(0).getType()) &&
           llvm::any_of(op->getUsers(), [](Operation *user) {
             return !isa<func::ReturnOp>(user);
           });
  });
  if (!op)
    return false;
  if (failed(function.insertArgument(function.getNumArguments(),
                                     op->getResult(0).getType(), {},
                                     op->getLoc())))
    return false;
  op->getResult(0).replaceAllUsesWith(function.getArguments().back());
  op->erase();
  return true;
}

// Each drops the part that it names, if `op` has it and it is the n-th;
// otherwise it counts `n` down.
template <typename OpTy> static bool dropMask(OpTy op, unsigned &n) {
  if (!op.getMask() || n-- != 0)
    return false;
  op.getMaskSymbolsMutable().clear();
  op.removeMaskAttr();
  return true;
}

template <typename OpTy> static bool dropValid(OpTy op, unsigned &n) {
  if (!op.getValid() || n-- != 0)
    return false;
  op.getValidMutable().clear();
  return true;
}

template <typename OpTy> static bool dropBias(OpTy op, unsigned &n) {
  if (!op.getBias() || n-- != 0)
    return false;
  op.getBiasMutable().clear();
  op.removeBiasLettersAttr();
  return true;
}

template <typename OpTy> static bool dropSink(OpTy op, unsigned &n) {
  if (!op.getSink() || n-- != 0)
    return false;
  op.getSinkMutable().clear();
  op.removeSinkLettersAttr();
  return true;
}

template <typename OpTy> static bool dropBlocks(OpTy op, unsigned &n) {
  if (!op.getBlocks() || n-- != 0)
    return false;
  op.getBlocksMutable().clear();
  op.removeBlockLettersAttr();
  op.removeBlockSizeAttr();
  return true;
}

template <typename OpTy> static bool dropOffsets(OpTy op, unsigned &n) {
  if (!op.getOffsetLetters() || n-- != 0)
    return false;
  op.getOffsetsMutable().clear();
  op.removeOffsetLettersAttr();
  return true;
}

template <typename OpTy> static bool dropSchedule(OpTy op, unsigned &n) {
  if (!op.getSchedule() || n-- != 0)
    return false;
  op.removeScheduleAttr();
  return true;
}

static bool dropSharing(AttentionOp op, unsigned &n) {
  if (!op.getSharedKv() || n-- != 0)
    return false;
  op.setSharedKv(false);
  return true;
}

static bool dropSparse(PartialAttentionOp op, unsigned &n) {
  if (!op.getSparse() || n-- != 0)
    return false;
  op.setSparse(false);
  return true;
}

/// The keys are then those of K and V.
static bool dropKeys(PartialAttentionOp op, unsigned &n) {
  if (!op.getKeyMap() || n-- != 0)
    return false;
  op.getKeySymbolsMutable().clear();
  op.getKeyCountMutable().clear();
  op.removeKeyMapAttr();
  return true;
}

/// `op` with fewer results or without its region: neither goes in place.
static void rebuild(Operation *op, unsigned results, bool keepRegions) {
  OpBuilder builder(op);
  OperationState state(op->getLoc(), op->getName(), op->getOperands(),
                       op->getResults().take_front(results).getTypes(),
                       op->getDiscardableAttrDictionary().getValue());
  state.propertiesAttr = op->getPropertiesAsAttribute();
  for (Region &region : op->getRegions())
    if (keepRegions)
      state.addRegion()->takeBody(region);
  Operation *smaller = builder.create(state);
  for (unsigned i = 0; i < results; ++i)
    op->getResult(i).replaceAllUsesWith(smaller->getResult(i));
  op->erase();
}

/// A log-sum-exp that is used stays.
template <typename OpTy> static bool dropLse(OpTy op, unsigned &n) {
  bool used = op->getNumResults() == 2 && !op->getResult(1).use_empty();
  if (!op.getLse() || used || n-- != 0)
    return false;
  op.getLseMutable().clear();
  rebuild(op, op->getNumResults() == 0 ? 0 : 1, /*keepRegions=*/true);
  return true;
}

/// Whole, or one op of it that another score can stand for.
static bool dropScore(AttentionLike op, unsigned &n) {
  Block *score = scoreOf(op);
  if (!score)
    return false;
  if (n-- == 0) {
    rebuild(op, op->getNumResults(), /*keepRegions=*/false);
    return true;
  }
  for (Operation &step : llvm::reverse(score->without_terminator())) {
    if (step.getNumResults() != 1)
      continue;
    Value result = step.getResult(0);
    auto same = llvm::find_if(step.getOperands(), [&](Value operand) {
      return operand.getType() == result.getType();
    });
    if (same == step.operand_end() || n-- != 0)
      continue;
    result.replaceAllUsesWith(*same);
    for (Operation &dead : llvm::make_early_inc_range(llvm::reverse(*score)))
      if (isOpTriviallyDead(&dead))
        dead.erase();
    return true;
  }
  return false;
}

static bool dropPartOf(Operation *op, unsigned &n) {
  if (auto softmax = dyn_cast<SoftmaxOp>(op))
    return dropMask(softmax, n) || dropValid(softmax, n) ||
           dropSink(softmax, n);
  if (auto merge = dyn_cast<MergeOp>(op))
    return dropLse(merge, n);
  if (auto attention = dyn_cast<AttentionOp>(op))
    return dropMask(attention, n) || dropValid(attention, n) ||
           dropBias(attention, n) || dropOffsets(attention, n) ||
           dropBlocks(attention, n) || dropSink(attention, n) ||
           dropSchedule(attention, n) || dropSharing(attention, n) ||
           dropLse(attention, n) || dropScore(attention, n);
  if (auto partial = dyn_cast<PartialAttentionOp>(op))
    return dropSparse(partial, n) || dropMask(partial, n) ||
           dropValid(partial, n) || dropBias(partial, n) ||
           dropOffsets(partial, n) || dropBlocks(partial, n) ||
           dropKeys(partial, n) || dropSchedule(partial, n) ||
           dropScore(partial, n);
  return false;
}

bool einhead::reducer::dropPart(func::FuncOp function, unsigned n) {
  WalkResult walk = function.walk([&](Operation *op) {
    return dropPartOf(op, n) ? WalkResult::interrupt() : WalkResult::advance();
  });
  return walk.wasInterrupted();
}

bool einhead::reducer::dropResult(func::FuncOp function, unsigned n) {
  func::ReturnOp end = returnOf(function);
  if (!end || function.getNumResults() < 2 || n >= function.getNumResults())
    return false;
  end->eraseOperand(n);
  return succeeded(function.eraseResult(n));
}

bool einhead::reducer::dropArgument(func::FuncOp function, unsigned n) {
  for (BlockArgument argument : function.getArguments())
    if (argument.use_empty() && n-- == 0)
      return succeeded(function.eraseArgument(argument.getArgNumber()));
  return false;
}

bool einhead::reducer::dropAttribute(func::FuncOp function, unsigned n) {
  for (unsigned i = 0, e = function.getNumArguments(); i < e; ++i)
    if (DictionaryAttr attributes = function.getArgAttrDict(i))
      for (NamedAttribute attribute : attributes)
        if (n-- == 0) {
          function.removeArgAttr(i, attribute.getName());
          return true;
        }
  for (unsigned i = 0, e = function.getNumResults(); i < e; ++i)
    if (DictionaryAttr attributes = function.getResultAttrDict(i))
      for (NamedAttribute attribute : attributes)
        if (n-- == 0) {
          function.removeResultAttr(i, attribute.getName());
          return true;
        }
  return false;
}

bool einhead::reducer::returnOperand(func::FuncOp function, unsigned n) {
  func::ReturnOp end = returnOf(function);
  for (OpOperand &returned :
       end ? end->getOpOperands() : MutableArrayRef<OpOperand>()) {
    Operation *op = returned.get().getDefiningOp();
    for (Value operand : op ? op->getOperands() : ValueRange()) {
      if (!isa<RankedTensorType>(operand.getType()) || n-- != 0)
        continue;
      unsigned index = returned.getOperandNumber();
      returned.set(operand);
      SmallVector<Type> results(end.getOperandTypes());
      function.setType(FunctionType::get(function.getContext(),
                                         function.getArgumentTypes(), results));
      // What they say is said of another value.
      function.setResultAttrs(index, DictionaryAttr());
      return true;
    }
  }
  return false;
}
