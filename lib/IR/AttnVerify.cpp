//===- AttnVerify.cpp - Constraints of the attn ops -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Each check carries the label that docs/Spec.md gives it: einsum_c4 is (C4) of
// attn.einsum.

#include "einhead/IR/Tile.h"
#include "mlir/IR/IntegerSet.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace einhead::attn;

namespace {
/// Binds letters to static extents and reports the first contradiction.
class LetterExtents {
public:
  explicit LetterExtents(Operation *op) : op(op) {}

  /// Checks rank and extents of `value` against `term`.
  LogicalResult bind(llvm::StringRef what, llvm::StringRef term, Type type) {
    auto shaped = cast<ShapedType>(type);
    if (shaped.getRank() != static_cast<int64_t>(term.size()))
      return op->emitOpError() << "the rank of " << what << " is "
                               << shaped.getRank() << ", its term \"" << term
                               << "\" has " << term.size() << " letters";
    for (auto [letter, extent] : llvm::zip(term, shaped.getShape()))
      if (failed(bind(what, letter, extent)))
        return failure();
    return success();
  }

private:
  LogicalResult bind(llvm::StringRef what, char letter, int64_t extent) {
    if (ShapedType::isDynamic(extent))
      return success();
    auto [at, isNew] = extents.try_emplace(letter, extent, what.str());
    if (isNew || at->second.first == extent)
      return success();
    return op->emitOpError()
           << "letter '" << letter << "' is " << extent << " in " << what
           << " but " << at->second.first << " in " << at->second.second;
  }

  Operation *op;
  llvm::DenseMap<char, std::pair<int64_t, std::string>> extents;
};
} // namespace

static auto errorOf(Operation *op) {
  return [op]() { return op->emitOpError(); };
}

LogicalResult EinsumOp::verify() {
  // einsum_c1, einsum_c5
  FailureOr<EinsumSpec> spec = EinsumSpec::parse(getSpec(), errorOf(*this));
  if (failed(spec))
    return failure();
  if (spec->inputs.size() != getInputs().size()) // einsum_c2
    return emitOpError() << "the spec has " << spec->inputs.size()
                         << " input terms for " << getInputs().size()
                         << " operands";
  LetterExtents extents(*this); // einsum_c3, einsum_c4
  for (auto [i, input] : llvm::enumerate(getInputs()))
    if (failed(extents.bind(("operand #" + llvm::Twine(i)).str(),
                            spec->inputs[i], input.getType())))
      return failure();
  if (failed(extents.bind("the result", spec->output, getType())))
    return failure();
  for (char letter : spec->output) // einsum_c6
    if (llvm::none_of(spec->inputs, [&](llvm::StringRef term) {
          return term.contains(letter);
        }))
      return emitOpError() << "letter '" << letter
                           << "' of the result stands in no operand";
  return success();
}

/// A length of rank 1 has the extent of the first letter of `term`.
static LogicalResult verifyLength(Operation *op, llvm::StringRef what,
                                  Value length, llvm::StringRef term,
                                  Type type) {
  auto shaped = length ? dyn_cast<ShapedType>(length.getType()) : ShapedType();
  if (!shaped)
    return success();
  if (term.empty())
    return op->emitOpError() << what << " of rank 1 needs a first letter";
  int64_t want = cast<ShapedType>(type).getDimSize(0),
          got = shaped.getDimSize(0);
  if (!ShapedType::isDynamic(want) && !ShapedType::isDynamic(got) &&
      want != got)
    return op->emitOpError() << what << " has " << got << " entries, letter '"
                             << term.front() << "' is " << want;
  return success();
}

static LogicalResult verifyMask(Operation *op, std::optional<MaskAttr> mask,
                                llvm::StringRef allowed, size_t symbols) {
  if (!mask)
    return success();
  for (char letter : mask->getLetters())
    if (!allowed.contains(letter))
      return op->emitOpError() << "mask letter '" << letter << "' is none of \""
                               << allowed << "\"";
  unsigned want = mask->getSets().front().getValue().getNumSymbols();
  if (want != symbols)
    return op->emitOpError() << "the mask has " << want << " symbols, got "
                             << symbols << " values";
  return success();
}

/// Letters only, each once: what is looked up in the text as it stands.
static LogicalResult verifyLetters(Operation *op, llvm::StringRef what,
                                   llvm::StringRef letters) {
  for (auto [i, letter] : llvm::enumerate(letters)) {
    if (!llvm::isAlpha(letter))
      return op->emitOpError()
             << what << " \"" << letters << "\" may hold letters only";
    if (letters.find(letter) != i)
      return op->emitOpError() << "letter '" << letter << "' stands twice in "
                               << what << " \"" << letters << "\"";
  }
  return success();
}

/// An optional operand with its letters, which stand in `allowed`.
static LogicalResult verifyOperand(Operation *op, llvm::StringRef what,
                                   Value value,
                                   std::optional<llvm::StringRef> letters,
                                   llvm::StringRef allowed,
                                   LetterExtents &extents) {
  if (static_cast<bool>(value) != letters.has_value())
    return op->emitOpError() << what << " and its letters come together";
  if (!value)
    return success();
  if (failed(verifyLetters(op, (what + "'s letters").str(), *letters)))
    return failure();
  if (!lettersWithout(*letters, allowed).empty())
    return op->emitOpError() << what << "'s letters \"" << *letters
                             << "\" must be among \"" << allowed << "\"";
  return extents.bind(what, *letters, value.getType());
}

LogicalResult SoftmaxOp::verify() {
  LetterExtents extents(*this); // softmax_c1
  if (failed(verifyLetters(*this, "letters", getLetters())) ||
      failed(extents.bind("the input", getLetters(), getType())))
    return failure();
  if (getOver().size() != 1 || !getLetters().contains(getOver())) // softmax_c2
    return emitOpError() << "expected one letter of \"" << getLetters()
                         << "\" after 'over', got \"" << getOver() << "\"";
  if (failed(verifyLength(*this, "valid", getValid(), getLetters(),
                          getType()))) // softmax_c3
    return failure();
  if (failed(verifyMask(*this, getMask(), getLetters(), // softmax_c4, c5
                        getMaskSymbols().size())))
    return failure();
  if (getSink() && !getElementTypeOrSelf(getSink()).isF32()) // softmax_c6
    return emitOpError() << "the sink is f32, got "
                         << getElementTypeOrSelf(getSink());
  return verifyOperand(*this, "the sink", getSink(), getSinkLetters(), // c6
                       lettersWithout(getLetters(), getOver()), extents);
}

LogicalResult AppendOp::verify() {
  FailureOr<EinsumSpec> spec = EinsumSpec::parse(getSpec(), errorOf(*this));
  if (failed(spec)) // append_c1
    return failure();
  if (spec->inputs.size() != 1)
    return emitOpError() << "expected one term for the new rows, got "
                         << spec->inputs.size();
  LetterExtents extents(*this); // append_c1, append_c4
  if (failed(extents.bind("the new rows", spec->inputs[0],
                          getNewRows().getType())) ||
      failed(extents.bind("the cache", spec->output, getCache().getType())))
    return failure();
  std::string grown = lettersWithout(spec->output, spec->inputs[0]);
  if (grown.size() != 1) // append_c2
    return emitOpError() << "the cache must have one letter that the new rows "
                            "lack, got \""
                         << grown << "\"";
  std::string added = lettersWithout(spec->inputs[0], spec->output);
  if (added.size() > 1) // append_c3
    return emitOpError() << "the new rows may have one letter that the cache "
                            "lacks, got \""
                         << added << "\"";
  if (failed(verifyLength(*this, "position", getPosition(), spec->output,
                          getCache().getType()))) // append_c5
    return failure();
  if (isa<ShapedType>(getPosition().getType()) &&
      spec->output.front() == grown.front())
    return emitOpError() << "positions for each sequence need a cache whose "
                            "first letter is not the appended '"
                         << grown << "'";
  if (getElementTypeOrSelf(getNewRows()) != // append_c6
      getElementTypeOrSelf(getCache()))
    return emitOpError() << "the new rows are "
                         << getElementTypeOrSelf(getNewRows())
                         << ", the cache is "
                         << getElementTypeOrSelf(getCache());
  return success();
}

/// Lists of blocks: one more dimension than letters.
static LogicalResult verifyBlocks(AttentionLike op, const AttentionRoles &roles,
                                  LetterExtents &extents) {
  Value blocks = op.getBlocks();
  if (!blocks)
    return success();
  std::string letters = op.getBlockLetters().value_or("").str();
  if (failed(verifyLetters(op, "block letters", letters)))
    return failure();
  if (!lettersWithout(letters, roles.state()).empty())
    return op->emitOpError()
           << "block letters \"" << letters
           << "\" must be batch or row letters: \"" << roles.state() << "\"";
  if (!getElementTypeOrSelf(blocks).isInteger(64))
    return op->emitOpError()
           << "blocks are i64, got " << getElementTypeOrSelf(blocks);
  if (roles.key.size() != 1)
    return op->emitOpError()
           << "blocks need one key letter, got \"" << roles.key << "\"";
  // The accessor's type is unsigned, the attribute may be negative.
  auto size = static_cast<int64_t>(op.getBlockSize().value_or(0));
  if (size < 1)
    return op->emitOpError() << "a block has at least one key, got " << size;
  // The loops count the keys of all blocks of a list.
  if (size > std::numeric_limits<int32_t>::max())
    return op->emitOpError()
           << "a block has fewer than 2^31 keys, got " << size;
  // The list's dimension is no letter, nor a state's leading one ('#').
  return extents.bind("the block lists", letters + "*", blocks.getType());
}

/// `score` maps a score and its indices to a score, and does nothing else.
static LogicalResult verifyScore(AttentionLike op,
                                 const AttentionRoles &roles) {
  if (op.getScore().empty())
    return success();
  if (op.getScore().size() != 1 || !op.getScore().front().hasOneBlock())
    return op->emitOpError("score is one region with one block");
  Block &block = op.getScore().front().front();
  bool fits = block.getNumArguments() == roles.scores().size() + 1 &&
              block.getArgument(0).getType().isF32();
  for (BlockArgument index : block.getArguments().drop_front())
    fits &= index.getType().isIndex();
  if (!fits)
    return op->emitOpError() << "score takes f32 and an index for each of \""
                             << roles.scores() << "\"";
  if (block.empty() || !isa<YieldOp>(block.back()))
    return op->emitOpError("score ends in attn.yield");
  for (Operation &inner : block.without_terminator())
    if (!isMemoryEffectFree(&inner) && !hasEffect<MemoryEffects::Read>(&inner))
      return inner.emitOpError("stands in the score of an attention, where "
                               "ops have no effects but reads");
  return success();
}

/// What every operand may be of; keys and values may be narrower.
static bool isWideFloat(Type element) {
  return isa<Float64Type, Float32Type, Float16Type, BFloat16Type>(element);
}

/// Keys or values, with a scale for each row where they are i8, and maybe where
/// they are f8E4M3FN.
static LogicalResult verifyScaled(AttentionLike op, llvm::StringRef name,
                                  Value rows, Value scale,
                                  llvm::StringRef letters,
                                  LetterExtents &extents) {
  Type element = getElementTypeOrSelf(rows);
  if (!scale && element.isInteger(8))
    return op->emitOpError()
           << "the " << name << " is i8 and has no " << name
           << "_scale, which says what its numbers are multiplied by";
  bool isNarrow = isa<Float8E4M3FNType>(element);
  if (!scale && !isNarrow && !isWideFloat(element))
    return op->emitOpError()
           << "takes a " << name
           << " of f64, f32, f16, bf16 or f8E4M3FN, or of i8 with a scale, got "
           << element;
  if (!scale)
    return success();
  if (!element.isInteger(8) && !isNarrow)
    return op->emitOpError()
           << "a " << name << "_scale is of an i8 or f8E4M3FN " << name
           << ", this one is of " << element;
  if (!getElementTypeOrSelf(scale).isF32())
    return op->emitOpError() << "the " << name << "_scale is f32, got "
                             << getElementTypeOrSelf(scale);
  return extents.bind(("the " + name + "_scale").str(), letters,
                      scale.getType());
}

static LogicalResult verifyBias(AttentionLike op, const AttentionRoles &roles,
                                LetterExtents &extents) {
  if (static_cast<bool>(op.getBias()) != op.getBiasLetters().has_value())
    return op->emitOpError("a bias and its letters come together");
  if (!op.getBias())
    return success();
  llvm::StringRef letters = *op.getBiasLetters();
  if (failed(verifyLetters(op, "bias letters", letters)))
    return failure();
  if (!lettersWithout(letters, roles.scores()).empty())
    return op->emitOpError() << "bias letters \"" << letters
                             << "\" must be batch, row or key letters: \""
                             << roles.scores() << "\"";
  return extents.bind("the bias", letters, op.getBias().getType());
}

/// Constraints C1 to C12 and C15, which both attention ops share.
static LogicalResult verifyAttention(AttentionLike op, LetterExtents &extents,
                                     AttentionRoles &roles) {
  FailureOr<AttentionRoles> parsed = // attention_c1, c2, c3, c5
      AttentionRoles::get(op.getSpec(), errorOf(op));
  if (failed(parsed))
    return failure();
  roles = *parsed;
  bool tensors = isa<TensorType>(op.getQuery().getType());
  for (Value operand : op->getOperands()) {
    auto shaped = dyn_cast<ShapedType>(operand.getType());
    if (shaped && isa<TensorType>(shaped) != tensors)
      return op->emitOpError("mixes tensors and buffers");
    bool isRow = operand == op.getKey() || operand == op.getValue();
    if (shaped && !isRow && operand != op.getValid() &&
        operand != op.getBlocks() && !isWideFloat(shaped.getElementType()))
      return op->emitOpError() // attention_c20
             << "is on f64, f32, f16 or bf16, got " << shaped.getElementType()
             << "; only key and value may have 8 bits";
  }
  if (failed(extents.bind("the query", roles.queryTerm,
                          op.getQuery().getType())) || // attention_c1, c4
      failed(extents.bind("the key", roles.keyTerm, op.getKey().getType())) ||
      failed(
          extents.bind("the value", roles.valueTerm, op.getValue().getType())))
    return failure();
  if (failed(verifyScaled(op, "key", op.getKey(), op.getKeyScale(),
                          roles.keyScale(), extents)) || // attention_c15
      failed(verifyScaled(op, "value", op.getValue(), op.getValueScale(),
                          roles.valueScale(), extents)))
    return failure();
  if (failed(verifyBias(op, roles, extents))) // attention_c6
    return failure();
  if (Value valid = op.getValid()) { // attention_c7, attention_c8
    if (failed(verifyLength(op, "valid", valid, roles.queryTerm,
                            op.getQuery().getType())))
      return failure();
    if (isa<ShapedType>(valid.getType()) &&
        indexOf(roles.batch, roles.queryTerm.front()) < 0)
      return op->emitOpError() << "valid of rank 1 needs a batch letter first "
                                  "in the query, got '"
                               << roles.queryTerm.front() << "'";
    if (roles.key.size() != 1)
      return op->emitOpError()
             << "valid needs one key letter, got \"" << roles.key << "\"";
  }
  if (failed(verifyMask(op, op.getMask(), roles.scores(), // attention_c9
                        op.getMaskSymbols().size())))
    return failure();
  size_t offsets = op.getOffsetLetters() ? op.getOffsetLetters()->size() : 0;
  if (offsets != op.getOffsets().size()) // attention_c10
    return op->emitOpError() << offsets << " offset letters for "
                             << op.getOffsets().size() << " offsets";
  llvm::StringRef letters = op.getOffsetLetters().value_or("");
  for (char letter : letters)
    if (indexOf(roles.scores(), letter) < 0)
      return op->emitOpError() << "offset letter '" << letter
                               << "' is none of \"" << roles.scores() << "\"";
  if (failed(verifyLetters(op, "offset letters", letters)) ||
      failed(verifyBlocks(op, roles, extents))) // attention_c11
    return failure();
  return verifyScore(op, roles); // attention_c12
}

LogicalResult AttentionOp::verify() {
  LetterExtents extents(*this);
  AttentionRoles roles;
  if (failed(
          verifyAttention(cast<AttentionLike>(getOperation()), extents, roles)))
    return failure();
  if (failed(extents.bind("the output", roles.outputTerm,
                          getOutput().getType())) ||
      failed(verifyOperand(*this, "the sink", getSink(), getSinkLetters(),
                           roles.state(), extents))) // attention_c13
    return failure();
  for (Value value : {getSink(), getLse()}) // attention_c13, attention_c14
    if (value && !getElementTypeOrSelf(value).isF32())
      return emitOpError() << "sink and lse are f32, got "
                           << getElementTypeOrSelf(value);
  if (!getLse())
    return success();
  return extents.bind("lse", roles.state(), getLse().getType());
}

/// The keys as a list.
static LogicalResult verifyKeyList(PartialAttentionOp op,
                                   const AttentionRoles &roles) {
  if (!hasKeyList(cast<AttentionLike>(op.getOperation())))
    return success();
  if (roles.key.size() != 1)
    return op.emitOpError() << "a list of keys needs one key letter, got \""
                            << roles.key << "\"";
  if (op.getBlocks() && (op.getKeyMap() || op.getSparse()))
    return op.emitOpError("takes its keys from blocks or from a map");
  if (op.getSparse() && !(op.getMask() && op.getChunk()))
    return op.emitOpError("sparse needs a mask and a chunk");
  std::optional<AffineMap> map = op.getKeyMap();
  size_t symbols = map ? map->getNumSymbols() : 0;
  if (map && (map->getNumDims() != 1 || map->getNumResults() != 1))
    return op.emitOpError() << "a key map takes one index to one key, got "
                            << AffineMapAttr::get(*map);
  if (symbols != op.getKeySymbols().size())
    return op.emitOpError() << "the key map has " << symbols << " symbols, got "
                            << op.getKeySymbols().size() << " values";
  if (!op.getKeyCount() && !op.getBlocks() && !op.getSparse())
    return op.emitOpError("a key map needs a count");
  if (op.getKeyCount() && !map && !op.getBlocks())
    return op.emitOpError("a count needs blocks or a key map");
  return success();
}

LogicalResult PartialAttentionOp::verify() {
  LetterExtents extents(*this);
  AttentionRoles roles;
  if (failed(
          verifyAttention(cast<AttentionLike>(getOperation()), extents, roles)))
    return failure();
  // The accessor's type is unsigned, the attribute may be negative.
  auto chunk = static_cast<int64_t>(getChunk().value_or(1));
  if (chunk < 1 || (getChunk() && roles.key.size() != 1))
    return emitOpError() << "chunk needs one key letter and at least one key, "
                         << "got \"" << roles.key << "\" and " << chunk;
  // A chunked state's leading dimension is no letter: '#' stands for it.
  std::string split = getChunk() ? "#" : "";
  if (failed(extents.bind("max", split + roles.state(), getMax().getType())) ||
      failed(extents.bind("sum", split + roles.state(), getSum().getType())) ||
      failed(extents.bind("the accumulator", split + roles.outputTerm,
                          getAccumulator().getType()))) // attention_c16
    return failure();
  for (Value state : {getMax(), getSum(), getAccumulator()})
    if (!getElementTypeOrSelf(state).isF32()) // attention_c17
      return emitOpError() << "states are f32, got "
                           << getElementTypeOrSelf(state);
  return verifyKeyList(*this, roles); // attention_c18
}

LogicalResult MergeOp::verify() {
  FailureOr<EinsumSpec> spec = EinsumSpec::parse(getSpec(), errorOf(*this));
  if (failed(spec)) // merge_c1
    return failure();
  if (spec->inputs.size() != 2 || spec->inputs[1] != spec->output)
    return emitOpError() << "expected \"state, accumulator -> accumulator\"";
  std::string values = lettersWithout(spec->inputs[1], spec->inputs[0]);
  if (lettersWithout(spec->inputs[1], values) != spec->inputs[0])
    return emitOpError() << "the state's letters stand in the accumulator in "
                            "the same order";
  LetterExtents extents(*this); // merge_c2
  if (failed(extents.bind("max", "#" + spec->inputs[0], getMax().getType())) ||
      failed(extents.bind("sum", "#" + spec->inputs[0], getSum().getType())) ||
      failed(extents.bind("the accumulator", "#" + spec->inputs[1],
                          getAccumulator().getType())) ||
      failed(extents.bind("the output", spec->output, getOutput().getType())))
    return failure();
  for (Value state : {getMax(), getSum(), getAccumulator()})
    if (!getElementTypeOrSelf(state).isF32())
      return emitOpError() << "states are f32, got "
                           << getElementTypeOrSelf(state);
  if (getLse() && !getElementTypeOrSelf(getLse()).isF32())
    return emitOpError() << "lse is f32, got "
                         << getElementTypeOrSelf(getLse());
  return getLse() ? extents.bind("lse", spec->inputs[0], getLse().getType())
                  : success();
}
