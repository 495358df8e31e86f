//===- ScaledRows.cpp - Read keys and values of 8 bits ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// A quantised cache stands in the graph as it is computed with:
//
//   %wide = arith.sitofp %rows : tensor<...xi8> to tensor<...xf32>
//   %key = attn.einsum "bgmk, bgm -> bgmk"(%wide, %scales)
//
// (with rows of f8E4M3FN arith.extf, or nothing: an einsum takes them.)
// An attention to that product reads the rows of 8 bits instead and takes the
// scales as operands.  The letters of both may stand in another order than
// those of the product; those of the scales are the letters of the rows but the
// depth's or the value's, since that is what the attention takes.  A slice of
// the product is the product of slices.

#include "einhead/Analysis/Remark.h"
#include "einhead/IR/Attn.h"
#include "einhead/Transforms/Transforms.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

namespace {
/// Rows of 8 bits and the scales that they are multiplied with.
struct ScaledRows {
  tensor::ExtractSliceOp slice; ///< of the product, or null
  EinsumOp product;
  Value rows, scales;
  std::string term; ///< of the rows, in the attention's letters
};
} // namespace

static bool isFloat8(Value value) {
  return isa<Float8E4M3FNType>(getElementTypeOrSelf(value));
}

/// The tensor of 8 bits that `value` is as floats, or null.
static Value narrowOf(Value value) {
  if (isFloat8(value))
    return value;
  if (auto widened = value.getDefiningOp<arith::ExtFOp>())
    return isFloat8(widened.getIn()) ? widened.getIn() : Value();
  auto widened = value.getDefiningOp<arith::SIToFPOp>();
  if (!widened || !getElementTypeOrSelf(widened.getIn()).isInteger(8))
    return nullptr;
  return widened.getIn();
}

static std::string typeOf(Value rows) {
  std::string text;
  llvm::raw_string_ostream(text) << getElementTypeOrSelf(rows);
  return text;
}

static std::string sorted(std::string letters) {
  llvm::sort(letters);
  return letters;
}

/// `text`, in which the letters `from` become those of `to`.
static std::string renamed(llvm::StringRef text, llvm::StringRef from,
                           llvm::StringRef to) {
  std::string result;
  for (char letter : text)
    result.push_back(to[from.find(letter)]);
  return result;
}

/// Fills in what `operand`, with the letters `term`, is a product of; the
/// first reason why it is none of rows and scales, or "".  Where it is not even
/// one of 8 bits, `found` has no rows.
static std::string match(Value operand, llvm::StringRef term,
                         llvm::StringRef columns, ScaledRows &found) {
  found.slice = operand.getDefiningOp<tensor::ExtractSliceOp>();
  if (found.slice && found.slice.getDroppedDims().none())
    operand = found.slice.getSource();
  found.product = operand.getDefiningOp<EinsumOp>();
  if (!found.product || found.product.getInputs().size() != 2)
    return "";
  unsigned at = narrowOf(found.product.getInputs()[0]) ? 0 : 1;
  found.rows = narrowOf(found.product.getInputs()[at]);
  if (!found.rows)
    return "";
  found.scales = found.product.getInputs()[1 - at];
  EinsumSpec spec = *EinsumSpec::parse(found.product.getSpec());
  if (!lettersWithout(spec.letters(), spec.output).empty())
    return "its product with the scale sums over \"" +
           lettersWithout(spec.letters(), spec.output) + "\"";
  for (Value value : {Value(found.product.getResult()), found.scales})
    if (!getElementTypeOrSelf(value).isF32())
      return "scale and product must be f32: rounding them is part of the "
             "graph";
  found.term = renamed(spec.inputs[at], spec.output, term);
  std::string scales = renamed(spec.inputs[1 - at], spec.output, term);
  if (sorted(found.term) != sorted(term.str()))
    return "it lacks letters of \"" + term.str() +
           "\", over which it would be repeated";
  std::string wanted = lettersWithout(found.term, columns);
  if (scales != wanted)
    return "its scale is by \"" + scales + "\", which has to be \"" + wanted +
           "\", a number for each row, in the order of the " +
           typeOf(found.rows) + " tensor";
  return "";
}

/// What the slice of a product, whose letters are `term`, takes of one of its
/// operands.
static Value sliced(RewriterBase &rewriter, const ScaledRows &found,
                    llvm::StringRef term, Value operand,
                    llvm::StringRef letters) {
  tensor::ExtractSliceOp slice = found.slice;
  if (!slice)
    return operand;
  SmallVector<OpFoldResult> offsets, sizes, strides;
  for (char letter : letters) {
    int64_t dim = indexOf(term, letter);
    offsets.push_back(slice.getMixedOffsets()[dim]);
    sizes.push_back(slice.getMixedSizes()[dim]);
    strides.push_back(slice.getMixedStrides()[dim]);
  }
  OpBuilder::InsertionGuard guard(rewriter);
  rewriter.setInsertionPoint(slice);
  return rewriter.createOrFold<tensor::ExtractSliceOp>(slice.getLoc(), operand,
                                                       offsets, sizes, strides);
}

/// Extents of the product are those of its rows, so that it can go.
static void readExtentsOfRows(RewriterBase &rewriter, const ScaledRows &found,
                              llvm::StringRef term) {
  EinsumOp product = found.product;
  if (tensor::ExtractSliceOp slice = found.slice; slice && slice->use_empty())
    rewriter.eraseOp(slice);
  for (Operation *user : llvm::make_early_inc_range(product->getUsers())) {
    auto dim = dyn_cast<tensor::DimOp>(user);
    std::optional<int64_t> index = dim ? dim.getConstantIndex() : std::nullopt;
    if (!index)
      continue;
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(dim);
    rewriter.replaceOpWithNewOp<tensor::DimOp>(
        dim, found.rows, indexOf(found.term, term[*index]));
  }
  unsigned at = narrowOf(product.getInputs()[0]) ? 0 : 1;
  auto *widened = product.getInputs()[at] == found.rows
                      ? nullptr
                      : product.getInputs()[at].getDefiningOp();
  if (!product->use_empty())
    return;
  rewriter.eraseOp(product);
  if (widened && widened->use_empty())
    rewriter.eraseOp(widened);
}

void einhead::readScaledRows(RewriterBase &rewriter, AttentionOp op,
                             llvm::StringRef pass, bool saysWhyNot) {
  for (bool isKey : {true, false}) {
    AttentionRoles roles = rolesOf(cast<AttentionLike>(op.getOperation()));
    OpOperand &operand = isKey ? op.getKeyMutable() : op.getValueMutable();
    std::string &term = isKey ? roles.keyTerm : roles.valueTerm;
    std::string name = isKey ? "key" : "value", old = term;
    ScaledRows found;
    std::string why =
        match(operand.get(), term, isKey ? roles.depth : roles.value, found);
    if (!why.empty() && saysWhyNot)
      remarkMissed(op.getLoc(), pass, "ScaledRows",
                   "the " + name + " is " + typeOf(found.rows) +
                       ", but multiplied in memory first: " + why);
    if (!why.empty() || !found.rows)
      continue;
    term = found.term;
    Value rows = sliced(rewriter, found, old, found.rows, term);
    Value scales =
        sliced(rewriter, found, old, found.scales,
               lettersWithout(term, isKey ? roles.depth : roles.value));
    rewriter.modifyOpInPlace(op, [&] {
      op.setSpec(roles.queryTerm + ", " + roles.keyTerm + ", " +
                 roles.valueTerm + " -> " + roles.outputTerm);
      operand.set(rows);
      (isKey ? op.getKeyScaleMutable() : op.getValueScaleMutable())
          .assign(scales);
    });
    readExtentsOfRows(rewriter, found, old);
    remarkPassed(op.getLoc(), pass, "ScaledRows",
                 "the " + name + " is read as " + typeOf(rows) + " \"" + term +
                     "\" and multiplied by its scale where it is used");
  }
}
