//===- MoveScales.cpp - Scales off the keys and values ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A cache is often kept unscaled, and each step multiplies all of it by factors
// for each channel: one more pass over the memory that decoding waits for.
// Scores are linear in the key, and a factor whose letters all stand in the
// query can as well be multiplied there, once a row and not once a key:
//
//   attention(q, K * w, V)  ->  attention(q * w, K, V)
//
// In the same way a factor on the value, all of whose letters stand in the
// output, can be multiplied into the result.
//
//===----------------------------------------------------------------------===//

#include "MoveScales.h"
#include "einhead/Analysis/Remark.h"
#include "einhead/IR/Attn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

static constexpr StringRef passName = "move-scales";

namespace {
/// A product of a tensor and factors over some of its letters.
struct Scaled {
  Value tensor, factors;
  /// The factors' letters, as the attention names them.
  std::string letters;
};
} // namespace

/// Reads `value`, which has the letters of `term` in the attention.
static std::optional<Scaled> scaledOf(Value value, StringRef term) {
  auto einsum = value.getDefiningOp<EinsumOp>();
  if (!einsum || einsum.getInputs().size() != 2)
    return std::nullopt;
  EinsumSpec spec = *EinsumSpec::parse(einsum.getSpec());
  for (unsigned i : {0, 1}) {
    if (spec.inputs[i] != spec.output)
      continue;
    // The einsum has letters of its own: only where they stand counts.
    std::string letters;
    for (char letter : spec.inputs[1 - i])
      if (int64_t at = indexOf(spec.output, letter); at >= 0)
        letters += term[at];
    if (letters.size() == spec.inputs[1 - i].size())
      return Scaled{einsum.getInputs()[i], einsum.getInputs()[1 - i], letters};
  }
  return std::nullopt;
}

/// Whether the factors of `operand` can be multiplied into a tensor with the
/// letters of `term`.
static bool canMove(AttentionOp op, StringRef what, Value operand,
                    const Scaled &scaled, StringRef term) {
  std::string lacking = lettersWithout(scaled.letters, term);
  if (!lacking.empty()) {
    remarkMissed(op.getLoc(), passName, "Letter",
                 "the scale of the " + what + " varies along '" + lacking +
                     "', which \"" + term + "\" lacks");
    return false;
  }
  if (!operand.hasOneUse()) {
    remarkMissed(op.getLoc(), passName, "Used",
                 "the scaled " + what +
                     " is used elsewhere, so it must be "
                     "stored");
    return false;
  }
  remarkPassed(op.getLoc(), passName, "Moved",
               "the scale of the " + what + " moves to \"" + term + "\"");
  return true;
}

/// `tensor` times the factors, in the letters of `term`.
static Value multiply(OpBuilder &builder, Location loc, Value tensor,
                      StringRef term, const Scaled &scaled) {
  EinsumSpec spec;
  spec.inputs = {term.str(), scaled.letters};
  spec.output = term.str();
  return EinsumOp::create(builder, loc, tensor.getType(), spec.str(),
                          ValueRange{tensor, scaled.factors});
}

static void moveScales(AttentionOp op) {
  AttentionRoles roles = rolesOf(cast<AttentionLike>(op.getOperation()));
  OpBuilder builder(op);
  if (auto scaled = scaledOf(op.getKey(), roles.keyTerm))
    if (canMove(op, "key", op.getKey(), *scaled, roles.queryTerm)) {
      op.getQueryMutable().assign(multiply(builder, op.getLoc(), op.getQuery(),
                                           roles.queryTerm, *scaled));
      op.getKeyMutable().assign(scaled->tensor);
    }
  if (auto scaled = scaledOf(op.getValue(), roles.valueTerm))
    if (canMove(op, "value", op.getValue(), *scaled, roles.outputTerm)) {
      op.getValueMutable().assign(scaled->tensor);
      builder.setInsertionPointAfter(op);
      Value result = op.getResults()[0];
      Value product =
          multiply(builder, op.getLoc(), result, roles.outputTerm, *scaled);
      result.replaceAllUsesExcept(product, product.getDefiningOp());
    }
}

namespace {
struct MoveScalesPass final
    : PassWrapper<MoveScalesPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(MoveScalesPass)

  StringRef getArgument() const override { return passName; }
  StringRef getDescription() const override {
    return "Multiply queries and results, not keys and values";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<AttnDialect>();
  }

  void runOnOperation() override {
    getOperation().walk([](AttentionOp op) {
      // On buffers there is no result to multiply.
      if (op->getNumResults() == 1)
        moveScales(op);
    });
  }
};
} // namespace

void registerMoveScalesPass() { PassRegistration<MoveScalesPass>(); }
