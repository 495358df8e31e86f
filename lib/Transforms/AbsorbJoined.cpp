//===- AbsorbJoined.cpp - Keys of a projected and a rotary part -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// key = [latent . weight ; rotary part, the same for all heads].  The scores of
// such a key are those of its parts added up, which is the form that is
// absorbed.
//
//===----------------------------------------------------------------------===//

#include "Absorb.h"
#include "SharedKV/View.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;
using namespace einhead::shared_kv;

/// What lies before changes of type; notes the casts.
static Value uncast(Value value, SmallVectorImpl<Operation *> &casts) {
  while (auto cast = value.getDefiningOp<tensor::CastOp>()) {
    casts.push_back(cast);
    value = cast.getSource();
  }
  return value;
}

std::optional<JoinedKey> JoinedKey::of(const EinsumSpec &scores, unsigned at,
                                       Value key, char over) {
  llvm::StringRef term = scores.inputs[at];
  JoinedKey joined;
  key = uncast(key, joined.ops);
  std::optional<Pieces> pieces = Pieces::of(key);
  if (!pieces || pieces->parts.size() != 2 || pieces->reduced)
    return std::nullopt;
  SmallVector<Operation *> casts[2];
  for (int i = 0; i < 2; ++i)
    pieces->parts[i] = uncast(pieces->parts[i], casts[i]);
  joined.depth = term[pieces->dim];
  bool first = isProjected(pieces->parts[0], term, over);
  if (indexOf(scores.output, joined.depth) >= 0 ||
      indexOf(scores.inputs[1 - at], joined.depth) < 0 ||
      first == isProjected(pieces->parts[1], term, over) ||
      ShapedType::isDynamic(pieces->extent(0)) ||
      ShapedType::isDynamic(pieces->extent(1)))
    return std::nullopt;
  joined.projectedFirst = first;
  joined.projected = pieces->parts[first ? 0 : 1];
  joined.rotary = pieces->parts[first ? 1 : 0];
  joined.ops.push_back(key.getDefiningOp());
  // Two insertions, where it is no concatenation.
  if (auto last = key.getDefiningOp<tensor::InsertSliceOp>())
    joined.ops.push_back(last.getDest().getDefiningOp());
  joined.ops.append(casts[first ? 0 : 1]);
  return joined;
}

bool JoinedKey::isUsedElsewhere() const {
  return !llvm::all_of(ops, [](Operation *op) { return op->hasOneUse(); });
}

/// The letters of a view's source where the view takes all of it; "" otherwise.
static std::string wholeTerm(const View &view, llvm::StringRef term) {
  auto extents = cast<RankedTensorType>(view.source.getType()).getShape();
  auto own = cast<RankedTensorType>(view.value.getType()).getShape();
  std::optional<SmallVector<SourceIndex>> forms = view.forms();
  if (!forms)
    return "";
  std::string result;
  for (auto [form, extent] : llvm::zip(*forms, extents)) {
    if (form.kind != SourceIndex::Same || form.offset ||
        own[form.dim] != extent)
      return "";
    result.push_back(term[form.dim]);
  }
  return result;
}

RotaryScores einhead::rotaryOfJoined(const LatentChain &chain, char column) {
  auto renamed = [&](std::string term) {
    std::replace(term.begin(), term.end(), chain.joined->depth, column);
    return term;
  };
  RotaryScores rotary;
  rotary.query = chain.query; // to be cut
  rotary.queryTerm = renamed(chain.queryTerm);
  rotary.key = chain.joined->rotary;
  rotary.keyTerm = renamed(chain.keys.term);
  std::string wanted = chain.keys.latentTerm;
  wanted.back() = column;
  // No further up than the repetition goes: latent and rotary key may be slices
  // of one cache.
  for (const View &view : viewsOf(rotary.key))
    if (wholeTerm(view, rotary.keyTerm) == wanted) {
      rotary.key = view.source;
      rotary.keyTerm = wanted;
      break;
    }
  return rotary;
}

void einhead::cutQuery(OpBuilder &builder, LatentChain &chain) {
  Value query = chain.query;
  Location loc = query.getLoc();
  int64_t dim = indexOf(chain.queryTerm, chain.joined->depth);
  int64_t extents[] = {chain.extents.lookup(chain.joined->depth),
                       chain.extents.lookup(chain.rotary->column)};
  if (!chain.joined->projectedFirst)
    std::swap(extents[0], extents[1]);
  Value parts[2];
  std::optional<Pieces> pieces = Pieces::of(query);
  bool isJoined = pieces && pieces->parts.size() == 2 && !pieces->reduced &&
                  pieces->dim == dim && pieces->extent(0) == extents[0];
  auto type = cast<RankedTensorType>(query.getType());
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, loc, query);
  SmallVector<OpFoldResult> offsets(sizes.size(), builder.getIndexAttr(0));
  SmallVector<OpFoldResult> ones(sizes.size(), builder.getIndexAttr(1));
  for (int i = 0; i < 2; ++i) {
    SmallVector<int64_t> shape(type.getShape());
    shape[dim] = extents[i];
    sizes[dim] = builder.getIndexAttr(extents[i]);
    offsets[dim] = builder.getIndexAttr(i ? extents[0] : 0);
    parts[i] =
        isJoined
            ? pieces->parts[i]
            : tensor::ExtractSliceOp::create(builder, loc, type.clone(shape),
                                             query, offsets, sizes, ones);
  }
  chain.query = parts[chain.joined->projectedFirst ? 0 : 1];
  chain.rotary->query = parts[chain.joined->projectedFirst ? 1 : 0];
}
