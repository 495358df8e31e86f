//===- AttnDialect.cpp - The attn dialect -----------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MaskNames.h"
#include "einhead/IR/Attn.h"
#include "einhead/IR/AttnLoopOps.h"
#include "einhead/IR/ShapeNames.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/IntegerSet.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace einhead::attn;

/// Sets in quotes ("(n, m) : (n - m >= 0)"), as attributes, or by name.
static ParseResult parseSets(AsmParser &parser,
                             llvm::SmallVector<IntegerSetAttr> &sets,
                             llvm::StringRef letters) {
  return parser.parseCommaSeparatedList([&]() -> ParseResult {
    std::string text;
    llvm::SMLoc loc = parser.getCurrentLocation();
    if (succeeded(parser.parseOptionalString(&text))) {
      IntegerSet set = parseIntegerSet(text, parser.getContext());
      if (!set)
        return parser.emitError(loc)
               << "expected an integer set, got \"" << text << "\"";
      sets.push_back(IntegerSetAttr::get(set));
      return success();
    }
    llvm::StringRef name;
    if (succeeded(parser.parseOptionalKeyword(
            &name, {"causal", "causal_upper_left", "window", "local", "prefix",
                    "sinks", "strided", "fixed", "documents"})))
      return parseNamedMask(parser, name, letters, sets);
    sets.emplace_back();
    return parser.parseAttribute(sets.back());
  });
}

static void printSets(AsmPrinter &printer, llvm::ArrayRef<IntegerSetAttr> sets,
                      llvm::StringRef) {
  llvm::interleaveComma(sets, printer, [&](IntegerSetAttr set) {
    printer << '"';
    set.getValue().print(printer.getStream());
    printer << '"';
  });
}

#include "einhead/IR/AttnDialect.cpp.inc"

#include "einhead/IR/AttnEnums.cpp.inc"
#include "einhead/IR/AttnInterfaces.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "einhead/IR/AttnAttrs.cpp.inc"

#define GET_OP_CLASSES
#include "einhead/IR/AttnOps.cpp.inc"

void AttnDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "einhead/IR/AttnOps.cpp.inc"
      , ReadAheadOp>();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "einhead/IR/AttnAttrs.cpp.inc"
      >();
  declarePromisedInterfaces<bufferization::BufferizableOpInterface,
                            PartialAttentionOp, MergeOp, AttentionOp>();
}

LogicalResult
MaskAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                 llvm::StringRef letters, llvm::ArrayRef<IntegerSetAttr> sets) {
  if (sets.empty())
    return emitError() << "a mask needs at least one set";
  for (auto [i, letter] : llvm::enumerate(letters))
    if (letters.find(letter) != i)
      return emitError() << "mask letter '" << letter << "' stands twice";
  for (IntegerSetAttr set : sets) {
    if (set.getValue().getNumDims() != letters.size())
      return emitError() << "a set over " << set.getValue().getNumDims()
                         << " dimensions for the letters \"" << letters << "\"";
    if (set.getValue().getNumSymbols() !=
        sets.front().getValue().getNumSymbols())
      return emitError() << "the sets of a mask have the same symbols";
  }
  return success();
}

LogicalResult
ScheduleAttr::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                     int64_t chunk, int64_t keyTile, int64_t rowTile,
                     int64_t lanes, int64_t prefetch, Products /*products*/,
                     bool /*packed*/) {
  if (chunk <= 0 || keyTile <= 0 || rowTile <= 0)
    return emitError() << "chunk, key_tile and row_tile are at least 1";
  if (prefetch < 0)
    return emitError() << "prefetch is at least 0, got " << prefetch;
  if (lanes <= 0 || (lanes & (lanes - 1)) || keyTile % lanes)
    return emitError() << "lanes is a power of two that divides key_tile, got "
                       << lanes << " and " << keyTile;
  if (chunk % keyTile)
    return emitError() << "chunk is a multiple of key_tile, got " << chunk
                       << " and " << keyTile;
  return success();
}

/// Checks `attn.shape` against the type of an argument or result.
static LogicalResult verifyShapeNames(Operation *op, llvm::StringRef which,
                                      Type type, Attribute value) {
  auto text = dyn_cast<StringAttr>(value);
  auto shaped = dyn_cast<ShapedType>(type);
  if (!text || !shaped || !shaped.hasRank())
    return op->emitOpError()
           << "attn.shape of " << which << " is a string on a ranked tensor";
  auto names = parseShapeNames(text.getValue());
  if (failed(names))
    return op->emitOpError()
           << "attn.shape of " << which << ": expected names, numbers or "
           << "name+number, got \"" << text.getValue() << "\"";
  if (static_cast<int64_t>(names->size()) != shaped.getRank())
    return op->emitOpError()
           << "attn.shape of " << which << " has " << names->size()
           << " entries for " << shaped.getRank() << " dimensions";
  return success();
}

static LogicalResult verifyAttribute(Operation *op, llvm::StringRef which,
                                     Type type, NamedAttribute attribute) {
  llvm::StringRef name = attribute.getName().getValue();
  if (name == "attn.shape")
    return verifyShapeNames(op, which, type, attribute.getValue());
  if (name == "attn.name" || name == "attn.parameter") {
    if (!isa<StringAttr>(attribute.getValue()))
      return op->emitOpError() << name << " of " << which << " is a string";
    return success();
  }
  if (name == "attn.cache" || name == "attn.length")
    return success();
  return op->emitOpError() << "unknown attribute " << name << " of " << which;
}

LogicalResult AttnDialect::verifyRegionArgAttribute(Operation *op,
                                                    unsigned region,
                                                    unsigned index,
                                                    NamedAttribute attribute) {
  return verifyAttribute(op, ("argument #" + llvm::Twine(index)).str(),
                         op->getRegion(region).getArgument(index).getType(),
                         attribute);
}

LogicalResult AttnDialect::verifyRegionResultAttribute(
    Operation *op, unsigned region, unsigned index, NamedAttribute attribute) {
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (!function)
    return op->emitOpError() << attribute.getName() << " belongs on a function";
  return verifyAttribute(op, ("result #" + llvm::Twine(index)).str(),
                         function.getResultTypes()[index], attribute);
}
