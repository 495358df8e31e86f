//===- Manifest.cpp - What a module says of itself --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Target/Manifest.h"
#include "ManifestText.h"
#include "einhead/IR/ShapeNames.h"
#include "einhead/Target/Codegen.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SmallSet.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

/// The manifest's name of an element type, or "".
static StringRef typeName(Type type) {
  if (type.isF64())
    return "f64";
  if (type.isF32())
    return "f32";
  if (type.isF16())
    return "f16";
  if (type.isBF16())
    return "bf16";
  if (isa<Float8E4M3FNType>(type))
    return "f8e4m3";
  if (type.isIndex())
    return "index";
  if (type.isSignlessInteger(64))
    return "i64";
  if (type.isSignlessInteger(32))
    return "i32";
  if (type.isSignlessInteger(8))
    return "i8";
  if (type.isUnsignedInteger(8))
    return "u8";
  if (type.isSignlessInteger(1))
    return "bool";
  return "";
}

/// The names of the dimensions of a function argument or result.
static SmallVector<ShapeName> shapeNames(DictionaryAttr attributes) {
  auto text = attributes ? attributes.getAs<StringAttr>("attn.shape") : nullptr;
  if (!text)
    return {};
  FailureOr<SmallVector<ShapeName>> names = parseShapeNames(text.getValue());
  return failed(names) ? SmallVector<ShapeName>() : *names;
}

static std::string nameOf(DictionaryAttr attributes, StringRef key,
                          const Twine &otherwise) {
  auto name = attributes ? attributes.getAs<StringAttr>(key) : nullptr;
  return name && !name.empty() ? name.str() : otherwise.str();
}

/// Fills type and shape.  `which` is "argument #2".
static LogicalResult describeType(func::FuncOp function, const Twine &which,
                                  Type type, DictionaryAttr attributes,
                                  ManifestArgument &argument) {
  Type element = type;
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (tensor)
    element = tensor.getElementType();
  argument.type = typeName(element).str();
  if (argument.type.empty())
    return function.emitOpError()
           << which << " has type " << type << "; a module takes tensors and "
           << "numbers of f64, f32, f16, bf16, f8E4M3FN, i64, i32, i8, ui8, i1 "
           << "or index";
  if (!tensor) {
    argument.scalar = true;
    return success();
  }
  SmallVector<ShapeName> names = shapeNames(attributes);
  for (auto [d, extent] : llvm::enumerate(tensor.getShape())) {
    if (!ShapedType::isDynamic(extent)) {
      argument.shape.push_back(std::to_string(extent));
      continue;
    }
    if (d >= names.size() || names[d].name.empty())
      return function.emitOpError()
             << which << " has a dynamic extent (dimension " << d
             << ") without a name; give attn.shape";
    argument.shape.push_back(names[d].str());
  }
  return success();
}

static LogicalResult describeArgument(func::FuncOp function, unsigned index,
                                      ManifestArgument &argument) {
  DictionaryAttr attributes = function.getArgAttrDict(index);
  auto has = [&](StringRef name) {
    return attributes && attributes.contains(name);
  };
  argument.name = nameOf(attributes, "attn.name", "arg" + Twine(index));
  argument.kind = has("attn.cache")       ? "cache"
                  : has("attn.length")    ? "length"
                  : has("attn.parameter") ? "parameter"
                                          : "input";
  std::string which = ("argument #" + Twine(index)).str();
  if (failed(describeType(function, which, function.getArgumentTypes()[index],
                          attributes, argument)))
    return failure();
  if (argument.kind == "cache" && argument.scalar)
    return function.emitOpError() << which << " is a cache but no tensor";
  if (argument.kind != "parameter")
    return success();
  argument.name = nameOf(attributes, "attn.parameter", argument.name);
  auto tensor = dyn_cast<RankedTensorType>(function.getArgumentTypes()[index]);
  if (!tensor || !tensor.hasStaticShape())
    return function.emitOpError()
           << which << " is a parameter; its extents must be numbers";
  return success();
}

static LogicalResult describeResults(func::FuncOp function,
                                     ManifestFunction &entry) {
  for (unsigned i = 0, e = function.getNumResults(); i < e; ++i) {
    DictionaryAttr attributes = function.getResultAttrDict(i);
    if (attributes && attributes.contains("attn.cache"))
      continue;
    ManifestArgument output;
    output.kind = "output";
    output.name = nameOf(attributes, "attn.name", "result" + Twine(i));
    if (failed(describeType(function, "result #" + Twine(i),
                            function.getResultTypes()[i], attributes, output)))
      return failure();
    // A number comes back in a tensor of rank 0.
    output.scalar = false;
    entry.arguments.push_back(std::move(output));
  }
  return success();
}

static LogicalResult checkNames(func::FuncOp function,
                                const ManifestFunction &entry) {
  llvm::SmallSet<std::string, 16> names;
  for (const ManifestArgument &argument : entry.arguments) {
    if (argument.kind == "parameter" || argument.kind == "length")
      continue;
    if (!names.insert(argument.name).second)
      return function.emitOpError() << "has two arguments or results named \""
                                    << argument.name << "\"; give attn.name";
  }
  return success();
}

/// The argument of the function whose buffer `value` lives in, or null.
static BlockArgument rootArgument(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto append = dyn_cast<AppendOp>(op))
      value = append.getCache();
    else if (auto cast = dyn_cast<tensor::CastOp>(op))
      value = cast.getSource();
    else
      return nullptr;
  }
  auto argument = cast<BlockArgument>(value);
  return isa<func::FuncOp>(argument.getOwner()->getParentOp()) ? argument
                                                               : nullptr;
}

/// Where and by how many rows an append grows its cache.
static LogicalResult addAppend(AppendOp op, ManifestArgument &cache,
                               int64_t &rows) {
  auto spec = EinsumSpec::parse(op.getSpec());
  StringRef from = spec->inputs[0], to = spec->output;
  cache.append = indexOf(to, lettersWithout(to, from).front());
  std::string newLetter = lettersWithout(from, to);
  int64_t count = 1;
  if (!newLetter.empty())
    count = cast<RankedTensorType>(op.getNewRows().getType())
                .getDimSize(indexOf(from, newLetter.front()));
  if (ShapedType::isDynamic(count))
    return op.emitOpError() << "appends a dynamic number of rows; give the "
                            << "extent of '" << newLetter << "'";
  rows += count;
  return success();
}

static LogicalResult collectAppends(func::FuncOp function,
                                    ManifestFunction &entry) {
  llvm::SmallDenseMap<unsigned, int64_t> rows;
  WalkResult walk = function.walk([&](AppendOp op) {
    BlockArgument root = rootArgument(op.getCache());
    if (!root || entry.arguments[root.getArgNumber()].kind != "cache")
      return WalkResult::advance();
    unsigned i = root.getArgNumber();
    return failed(addAppend(op, entry.arguments[i], rows[i]))
               ? WalkResult::interrupt()
               : WalkResult::advance();
  });
  if (walk.wasInterrupted())
    return failure();
  // Without a length the session does not count.
  bool counted = llvm::any_of(entry.arguments, [](const ManifestArgument &a) {
    return a.kind == "length";
  });
  if (!counted || rows.empty())
    return success();
  entry.advance = rows.begin()->second;
  for (auto [index, count] : rows)
    if (count != entry.advance)
      return function.emitOpError()
             << "appends " << entry.advance << " rows to one cache and "
             << count << " to another";
  return success();
}

LogicalResult Manifest::collect(ModuleOp module) {
  for (func::FuncOp function : module.getOps<func::FuncOp>()) {
    if (!function.isPublic() || function.isExternal())
      continue;
    ManifestFunction entry;
    entry.name = function.getName().str();
    for (unsigned i = 0, e = function.getNumArguments(); i < e; ++i)
      if (failed(describeArgument(function, i, entry.arguments.emplace_back())))
        return failure();
    if (failed(collectAppends(function, entry)) ||
        failed(describeResults(function, entry)) ||
        failed(checkNames(function, entry)))
      return failure();
    functions.push_back(std::move(entry));
  }
  if (functions.empty())
    return module.emitError("the module has no public function");
  return success();
}

/// The name of the dimension that a letter stands for: as some argument has it,
/// or else the letter.
static std::string dimensionOf(AttentionLike op, const AttentionRoles &roles,
                               char letter) {
  if (op.getValid() && StringRef(roles.key).contains(letter))
    return "valid";
  for (auto [term, operand] :
       {std::pair<StringRef, Value>(roles.keyTerm, op.getKey()),
        {roles.valueTerm, op.getValue()},
        {roles.queryTerm, op.getQuery()}}) {
    int64_t at = indexOf(term, letter);
    BlockArgument root = at < 0 ? nullptr : rootArgument(operand);
    if (!root)
      continue;
    auto function = cast<func::FuncOp>(root.getOwner()->getParentOp());
    SmallVector<ShapeName> names =
        shapeNames(function.getArgAttrDict(root.getArgNumber()));
    if (at < static_cast<int64_t>(names.size()) && !names[at].name.empty())
      return names[at].str();
  }
  return std::string(1, letter);
}

static void addProducts(AttentionLike op, ArrayRef<LetterProduct> products,
                        std::vector<DimensionProduct> &sum) {
  AttentionRoles roles = rolesOf(op);
  for (const LetterProduct &product : products) {
    DimensionProduct term{product.coefficient, {}};
    for (char letter : product.letters)
      term.dimensions.push_back(dimensionOf(op, roles, letter));
    auto same = llvm::find_if(sum, [&](const DimensionProduct &other) {
      return other.dimensions == term.dimensions;
    });
    if (same != sum.end())
      same->coefficient += term.coefficient;
    else
      sum.push_back(std::move(term));
  }
}

void Manifest::addTraffic(ModuleOp module) {
  for (ManifestFunction &entry : functions) {
    auto function = module.lookupSymbol<func::FuncOp>(entry.name);
    if (!function)
      continue;
    function.walk([&](AttentionOp op) {
      auto like = cast<AttentionLike>(op.getOperation());
      AttentionTraffic traffic = AttentionTraffic::of(like);
      addProducts(like,
                  op.getSharedKv() ? traffic.kvBytes : traffic.kvBytesUnshared,
                  entry.kvBytes);
      addProducts(like, traffic.operations, entry.operations);
    });
  }
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

static void writeStrings(llvm::json::OStream &out, StringRef key,
                         ArrayRef<std::string> values) {
  out.attributeArray(key, [&] {
    for (const std::string &value : values)
      out.value(value);
  });
}

static void writeArgument(llvm::json::OStream &out,
                          const ManifestArgument &argument) {
  out.object([&] {
    out.attribute("name", argument.name);
    out.attribute("kind", argument.kind);
    out.attribute("type", argument.type);
    out.attributeArray("shape", [&] {
      for (const std::string &extent : argument.shape) {
        int64_t number = 0;
        if (StringRef(extent).getAsInteger(10, number))
          out.value(extent);
        else
          out.value(number);
      }
    });
    if (argument.scalar)
      out.attribute("scalar", true);
    if (argument.append >= 0)
      out.attribute("append", argument.append);
  });
}

static void writeProducts(llvm::json::OStream &out, StringRef key,
                          StringRef coefficient,
                          ArrayRef<DimensionProduct> products) {
  if (products.empty())
    return;
  out.attributeArray(key, [&] {
    for (const DimensionProduct &product : products)
      out.object([&] {
        out.attribute(coefficient, product.coefficient);
        writeStrings(out, "dims", product.dimensions);
      });
  });
}

static void writeFunction(llvm::json::OStream &out,
                          const ManifestFunction &function) {
  out.object([&] {
    out.attribute("name", function.name);
    out.attribute("symbol", "einhead_entry_" + function.name);
    if (function.advance)
      out.attribute("advance", function.advance);
    out.attributeArray("arguments", [&] {
      for (const ManifestArgument &argument : function.arguments)
        writeArgument(out, argument);
    });
    writeProducts(out, "kv", "bytes", function.kvBytes);
    writeProducts(out, "operations", "count", function.operations);
  });
}

void einhead::writeFunctions(llvm::json::OStream &out,
                             ArrayRef<ManifestFunction> functions) {
  out.array([&] {
    for (const ManifestFunction &function : functions)
      writeFunction(out, function);
  });
}

static void writeTarget(llvm::json::OStream &out, const TargetInfo &target) {
  out.attribute("triple", target.triple);
  out.attribute("cpu", target.cpu);
  writeStrings(out, "features", codeFeatures(target));
}

static void writeDevice(llvm::json::OStream &out, const DeviceCode &device) {
  out.attribute("kind", device.kind);
  out.attribute("chip", device.chip);
  out.attributeArray("images", [&] {
    for (const DeviceImage &image : device.images)
      out.object([&] {
        out.attribute("format", image.format);
        out.attribute("chip", image.chip);
      });
  });
  writeStrings(out, "kernels", device.kernels);
}

std::string Manifest::json(ArrayRef<TargetInfo> targets,
                           ArrayRef<std::string> parameterFiles,
                           const DeviceCode *device) const {
  std::string text;
  llvm::raw_string_ostream stream(text);
  llvm::json::OStream out(stream);
  out.object([&] {
    out.attribute("einhead", EINHEAD_VERSION);
    out.attributeObject("target", [&] { writeTarget(out, targets.front()); });
    if (targets.size() > 1)
      out.attributeArray("variants", [&] {
        for (const TargetInfo &target : targets.drop_front())
          out.object([&] { writeTarget(out, target); });
      });
    if (device)
      out.attributeObject("device", [&] { writeDevice(out, *device); });
    writeStrings(out, "parameters", parameterFiles);
    out.attributeBegin("functions");
    writeFunctions(out, functions);
    out.attributeEnd();
  });
  return text;
}
