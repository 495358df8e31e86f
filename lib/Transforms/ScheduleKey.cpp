//===- ScheduleKey.cpp - Which problem a schedule is for --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Transforms/ScheduleFile.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/IntegerSet.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

namespace {
/// The letters of an attention by their roles.
class RoleNames {
public:
  explicit RoleNames(const AttentionRoles &roles) {
    name(roles.batch, "bcdefghij");
    name(roles.row, "rstuwxyzqnopla");
    name(roles.key, "m");
    name(roles.depth, "k");
    name(roles.value, "v");
  }

  char of(char letter) const { return names.lookup(letter); }
  bool contains(char letter) const { return names.count(letter); }
  std::string of(llvm::StringRef term) const {
    std::string result;
    for (char letter : term)
      result.push_back(of(letter));
    return result;
  }
  std::string spec(const AttentionRoles &roles) const {
    return of(roles.queryTerm) + ", " + of(roles.keyTerm) + ", " +
           of(roles.valueTerm) + " -> " + of(roles.outputTerm);
  }

private:
  /// Letters past those of their role are capitals.
  void name(llvm::StringRef letters, llvm::StringRef pool) {
    for (auto [i, letter] : llvm::enumerate(letters))
      names[letter] = i < pool.size() ? pool[i] : next++;
  }

  llvm::DenseMap<char, char> names;
  char next = 'A';
};

/// The first error that is emitted while it lives; none is printed.
class FirstMessage {
public:
  explicit FirstMessage(MLIRContext *context)
      : handler(context, [this](Diagnostic &diagnostic) {
          if (text.empty())
            text = diagnostic.str();
          return success();
        }) {}
  std::string text;

private:
  ScopedDiagnosticHandler handler;
};
} // namespace

static std::vector<std::string> describe(MaskAttr mask,
                                         const RoleNames &names) {
  std::vector<std::string> parts = {names.of(mask.getLetters())};
  for (IntegerSetAttr set : mask.getSets()) {
    parts.emplace_back();
    llvm::raw_string_ostream stream(parts.back());
    set.getValue().print(stream);
  }
  return parts;
}

ScheduleKey ScheduleKey::of(AttentionOp op, const TargetInfo &target) {
  auto like = cast<AttentionLike>(op.getOperation());
  AttentionRoles roles = rolesOf(like);
  RoleNames names(roles);
  ScheduleKey key;
  key.cpu = target.cpu;
  key.spec = names.spec(roles);
  for (llvm::StringRef letters :
       {roles.batch, roles.row, roles.key, roles.depth, roles.value})
    for (char letter : letters) {
      int64_t extent = staticExtent(like, letter);
      key.sizes[std::string(1, names.of(letter))] =
          ShapedType::isDynamic(extent) ? "?" : std::to_string(extent);
    }
  for (Value operand : {op.getQuery(), op.getKey(), op.getValue()}) {
    key.types.emplace_back();
    llvm::raw_string_ostream(key.types.back()) << getElementTypeOrSelf(operand);
  }
  if (std::optional<MaskAttr> mask = like.getMask())
    key.mask = describe(*mask, names);
  if (op.getBias())
    key.with.push_back("bias");
  if (op.getBlocks())
    key.with.push_back("blocks");
  if (!op.getScore().empty())
    key.with.push_back("score");
  key.isShared = op.getSharedKv();
  return key;
}

/// The mask that a list of letters and sets or names is; null with a reason.
static MaskAttr parseMask(llvm::ArrayRef<std::string> parts,
                          MLIRContext *context, std::string &why) {
  std::string text = "#attn.mask<\"" + parts.front() + "\"";
  for (llvm::StringRef set : parts.drop_front())
    text += (set.starts_with("(") ? ", \"" + set + "\"" : ", " + set).str();
  context->loadDialect<AttnDialect>();
  FirstMessage message(context);
  auto mask = dyn_cast_or_null<MaskAttr>(parseAttribute(text + ">", context));
  if (!mask)
    why = "mask: " + (message.text.empty() ? "not one" : message.text);
  return mask;
}

/// Each letter of the spec has a size, and nothing else has one.
static std::string renameSizes(std::map<std::string, std::string> &sizes,
                               const AttentionRoles &roles,
                               const RoleNames &names) {
  std::map<std::string, std::string> renamed;
  for (const auto &[letter, extent] : sizes) {
    if (letter.size() != 1 || !names.contains(letter[0]))
      return "sizes: no letter \"" + letter + "\" in the spec";
    int64_t number = 0;
    if (extent != "?" &&
        (llvm::StringRef(extent).getAsInteger(10, number) || number < 1))
      return "sizes: \"" + letter + "\" is " + extent +
             ", expected a number of at least 1, or \"?\"";
    renamed[std::string(1, names.of(letter[0]))] = extent;
  }
  for (char letter :
       roles.batch + roles.row + roles.key + roles.depth + roles.value)
    if (!sizes.count(std::string(1, letter)))
      return "sizes: letter \"" + std::string(1, letter) + "\" has none";
  sizes = std::move(renamed);
  return "";
}

std::string ScheduleKey::canonicalize(MLIRContext *context) {
  FailureOr<AttentionRoles> roles = failure();
  {
    FirstMessage message(context);
    roles = AttentionRoles::get(
        spec, [&] { return emitError(UnknownLoc::get(context)); });
    if (failed(roles))
      return "spec \"" + spec + "\": " + message.text;
  }
  RoleNames names(*roles);
  if (std::string why = renameSizes(sizes, *roles, names); !why.empty())
    return why;
  if (types.size() != 3)
    return "types are those of query, key and value, got " +
           std::to_string(types.size());
  for (auto [i, type] : llvm::enumerate(types)) {
    bool isNarrow = i > 0 && (type == "i8" || type == "f8E4M3FN");
    if (type != "f32" && type != "f16" && type != "bf16" && !isNarrow)
      return "types are f32, f16 or bf16, of key and value f8E4M3FN or i8 too, "
             "got \"" +
             type + "\"";
  }
  llvm::sort(with);
  with.erase(std::unique(with.begin(), with.end()), with.end());
  for (const std::string &part : with)
    if (part != "bias" && part != "blocks" && part != "score")
      return "with: expected bias, blocks or score, got \"" + part + "\"";
  if (!mask.empty()) {
    for (char letter : mask.front())
      if (!names.contains(letter))
        return "mask: no letter \"" + std::string(1, letter) +
               "\" in the spec; its first entry is its letters";
    std::string why;
    MaskAttr parsed = parseMask(mask, context, why);
    if (!parsed)
      return why;
    mask = describe(parsed, names);
  }
  spec = names.spec(*roles);
  return "";
}

bool ScheduleKey::operator==(const ScheduleKey &other) const {
  return cpu == other.cpu && spec == other.spec && sizes == other.sizes &&
         types == other.types && mask == other.mask && with == other.with &&
         isShared == other.isShared;
}

std::string ScheduleKey::str() const {
  std::string extents;
  for (const auto &[letter, extent] : sizes)
    extents += (extents.empty() ? "" : ",") + letter + "=" + extent;
  std::string text =
      cpu + ", \"" + spec + "\", " + extents + ", " + llvm::join(types, "/");
  if (!mask.empty())
    text += ", mask \"" + mask.front() + "\" " +
            llvm::join(llvm::drop_begin(mask), " or ");
  if (!with.empty())
    text += ", with " + llvm::join(with, ", ");
  return text + (isShared ? "" : ", not shared");
}

ScheduleSizes ScheduleSizes::of(ScheduleAttr schedule) {
  return {schedule.getChunk(),    schedule.getKeyTile(),  schedule.getRowTile(),
          schedule.getPrefetch(), schedule.getProducts(), schedule.getPacked()};
}

ScheduleAttr ScheduleSizes::attribute(MLIRContext *context,
                                      int64_t lanes) const {
  return ScheduleAttr::get(context, chunk, keyTile, rowTile, lanes, prefetch,
                           products, packed);
}

std::string ScheduleSizes::whyNot(const ScheduleKey &key,
                                  const TargetInfo &target) const {
  // Tiles of keys live on the stack of a thread.
  constexpr int64_t most = 1 << 20;
  if (chunk < 1 || keyTile < 1 || rowTile < 1 || prefetch < 0)
    return "chunk, key_tile and row_tile are at least 1, prefetch at least 0";
  if (std::max({keyTile, rowTile, prefetch}) > most)
    return "key_tile, row_tile and prefetch are at most " +
           std::to_string(most);
  int64_t lanes = target.f32Lanes();
  if (keyTile % lanes)
    return "key_tile is " + std::to_string(keyTile) + ", not a multiple of " +
           target.cpu + "'s " + std::to_string(lanes) + " lanes";
  if (chunk % keyTile)
    return "chunk is " + std::to_string(chunk) +
           ", not a multiple of key_tile, " + std::to_string(keyTile);
  if (!key.isShared && rowTile != 1)
    return "row_tile is 1 where rows do not share loads";
  if (products == Products::FMA)
    return "";
  if (llvm::any_of(key.types, [](auto &type) { return type != "bf16"; }))
    return "products by " + stringifyProducts(products).str() +
           " are of bf16, the operands are " + llvm::join(key.types, "/");
  double rate = products == Products::Dot ? target.dotRate : target.tileRate;
  if (rate <= 0)
    return target.cpu + " has no products by " +
           stringifyProducts(products).str();
  constexpr int64_t tileKeys = 32; // of a matrix tile of bf16
  if (products == Products::Tiles && (!packed || keyTile % tileKeys))
    return "products by tiles are of packed tiles, of a multiple of " +
           std::to_string(tileKeys) + " keys";
  return "";
}

bool ScheduleSizes::operator==(const ScheduleSizes &other) const {
  return chunk == other.chunk && keyTile == other.keyTile &&
         rowTile == other.rowTile && prefetch == other.prefetch &&
         products == other.products && packed == other.packed;
}

std::string ScheduleSizes::str() const {
  return "chunk=" + std::to_string(chunk) +
         " key_tile=" + std::to_string(keyTile) +
         " row_tile=" + std::to_string(rowTile) +
         " prefetch=" + std::to_string(prefetch) + " " +
         stringifyProducts(products).str() + (packed ? " packed" : "");
}
