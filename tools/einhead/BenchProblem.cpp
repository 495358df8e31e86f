//===- BenchProblem.cpp - One attention to measure --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BenchProblem.h"
#include "Session.h"
#include "Tool.h"
#include "einhead/IR/Mask.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <algorithm>
#include <cmath>

namespace einhead::tool {

static llvm::Expected<attn::AttentionRoles> parseRoles(llvm::StringRef spec) {
  mlir::MLIRContext context;
  std::string message;
  mlir::ScopedDiagnosticHandler capture(&context,
                                        [&](mlir::Diagnostic &diagnostic) {
                                          if (message.empty())
                                            message = diagnostic.str();
                                          return mlir::success();
                                        });
  auto roles = attn::AttentionRoles::get(
      spec, [&] { return mlir::emitError(mlir::UnknownLoc::get(&context)); });
  if (mlir::failed(roles))
    return failure(Exit::Usage, "--spec='" + spec + "': " + message,
                   "write query, key, value -> output, for example "
                   "--spec='bgrk, bgmk, bgmv -> bgrv'");
  return *roles;
}

/// The key letters right after the leading batch letters: "bgmk" -> "bmgk".
static std::string tokenMajor(llvm::StringRef term,
                              const attn::AttentionRoles &roles) {
  std::string first, rest;
  for (char letter : attn::lettersWithout(term, roles.key))
    (rest.empty() && letter == 'b' ? first : rest).push_back(letter);
  return first + roles.key + rest;
}

/// Keeps the context in which a mask was parsed alive.
struct ParsedMask {
  mlir::MLIRContext context;
  attn::MaskAttr mask;
};

/// Any mask that has a name (docs/Spec.md), with its sizes as numbers:
/// "strided(128)".  `window=W` is `window(W)`.
llvm::Error BenchProblem::parseMask(llvm::StringRef text) {
  if (text == "none")
    return llvm::Error::success();
  if (roles.key.size() != 1)
    return failure(Exit::Usage, "--mask needs exactly one key letter",
                   "leave --mask out");
  llvm::StringRef width = text;
  mask = width.consume_front("window=") ? "window(" + width.str() + ")"
                                        : text.str();
  char token = newTokenLetter();
  maskLetters = (token ? std::string(1, token) : "") + roles.key;
  auto parsed = std::make_shared<ParsedMask>();
  parsed->context.loadDialect<attn::AttnDialect>();
  std::string message;
  mlir::ScopedDiagnosticHandler capture(&parsed->context,
                                        [&](mlir::Diagnostic &diagnostic) {
                                          if (message.empty())
                                            message = ": " + diagnostic.str();
                                          return mlir::success();
                                        });
  parsed->mask = mlir::dyn_cast_or_null<attn::MaskAttr>(mlir::parseAttribute(
      "#attn.mask<\"" + maskLetters + "\", " + mask + ">", &parsed->context));
  if (!parsed->mask)
    return failure(Exit::Usage, "--mask=" + text + message,
                   "write none or a mask of docs/Generated/AttnOps.md, for "
                   "example --mask='window(128)'");
  maskSymbols = parsed->mask.getSets().front().getValue().getNumSymbols();
  if (maskSymbols > 1)
    return failure(Exit::Usage,
                   "--mask=" + text + " needs more than a position",
                   "give its sizes as numbers, for example "
                   "--mask='window(128)'");
  holds = [parsed, symbolCount = maskSymbols](llvm::ArrayRef<int64_t> point,
                                              int64_t position) {
    llvm::SmallVector<int64_t> symbols(symbolCount, position);
    return attn::contains(parsed->mask, point, symbols);
  };
  return llvm::Error::success();
}

llvm::Error BenchProblem::bindSizes(llvm::ArrayRef<std::string> entries) {
  auto sizes = parseSizes(entries);
  if (!sizes)
    return sizes.takeError();
  std::string letters =
      roles.batch + roles.row + roles.key + roles.depth + roles.value;
  std::vector<std::string> missing;
  for (char letter : letters) {
    auto size = sizes->find(std::string(1, letter));
    if (size == sizes->end()) {
      missing.push_back(std::string(1, letter) + "=N");
      continue;
    }
    if (size->second < 1)
      return failure(Exit::Usage,
                     "--size: letter '" + llvm::Twine(letter) + "' is " +
                         llvm::Twine(size->second),
                     "extents are at least 1");
    extent[letter] = size->second;
  }
  if (!missing.empty())
    return failure(Exit::Usage, "letters of --spec without an extent",
                   "give --size=" + llvm::join(missing, ","));
  for (const auto &[name, given] : *sizes)
    if (name.size() != 1 || !llvm::StringRef(letters).contains(name))
      return failure(Exit::Usage, "--size: no letter '" + name + "' in --spec",
                     "the letters are " + letters);
  return llvm::Error::success();
}

/// The first letter of query and output, which must be one and a batch letter.
llvm::Error BenchProblem::setLengths(llvm::ArrayRef<int64_t> given) {
  if (given.empty())
    return llvm::Error::success();
  char letter = roles.queryTerm.front();
  if (roles.key.size() != 1 || roles.outputTerm.front() != letter ||
      !llvm::StringRef(roles.batch).contains(letter))
    return failure(Exit::Usage,
                   "--lengths needs one key letter, and a batch letter that "
                   "leads query and output",
                   "write for example --spec='bgrk, bgmk, bgmv -> bgrv'");
  int64_t sequences = extent.at(letter), keys = count(roles.key);
  if (static_cast<int64_t>(given.size()) != sequences)
    return failure(Exit::Usage,
                   "--lengths has " + llvm::Twine(given.size()) + " numbers, " +
                       llvm::Twine(letter) + " is " + llvm::Twine(sequences),
                   "give one length for each sequence");
  for (int64_t length : given)
    if (length < 0 || length > keys)
      return failure(Exit::Usage,
                     "--lengths: " + llvm::Twine(length) + " valid keys of " +
                         llvm::Twine(keys),
                     "lengths are from 0 to the extent of '" +
                         llvm::Twine(roles.key) + "'");
  if (llvm::all_of(given, [](int64_t length) { return length == 0; }))
    return failure(Exit::Usage, "--lengths: no sequence has a key",
                   "there is nothing to measure");
  if (maskSymbols > 0)
    return failure(Exit::Usage,
                   "--lengths and --mask=" + llvm::Twine(mask) +
                       ": the new tokens of a mask stand at one position, "
                       "whatever the sequence",
                   "leave one of them out");
  lengths.assign(given.begin(), given.end());
  return llvm::Error::success();
}

llvm::Error BenchProblem::setValueInKey() {
  std::string wanted = roles.keyTerm;
  if (roles.depth.size() == 1 && roles.value.size() == 1)
    std::replace(wanted.begin(), wanted.end(), roles.depth[0], roles.value[0]);
  if (wanted == roles.keyTerm || wanted != roles.valueTerm ||
      count(roles.value) > count(roles.depth))
    return failure(Exit::Usage,
                   "--value-in-key: the value '" + roles.valueTerm +
                       "' is not columns of the key '" + roles.keyTerm + "'",
                   "name both alike but for one letter, whose extent in the "
                   "value is the smaller one, for example 'bhk, bmk, bmv -> "
                   "bhv' with k=576,v=512");
  valueInKey = true;
  return llvm::Error::success();
}

llvm::Expected<BenchProblem> BenchProblem::create(const Request &request) {
  BenchProblem problem;
  auto roles = parseRoles(request.spec);
  if (!roles)
    return roles.takeError();
  problem.roles = *roles;
  if (request.layout == "token-major") {
    problem.roles.keyTerm = tokenMajor(roles->keyTerm, *roles);
    problem.roles.valueTerm = tokenMajor(roles->valueTerm, *roles);
  } else if (request.layout != "head-major") {
    return failure(Exit::Usage, "no layout '" + request.layout + "'",
                   "the layouts are head-major (as in --spec) and token-major");
  }
  if (llvm::Error error = problem.bindSizes(request.sizes))
    return error;
  if (request.valueInKey)
    if (llvm::Error error = problem.setValueInKey())
      return error;
  std::optional<DataType> type = parseDataType(request.type);
  if (!type || (!isFloat(*type) && *type != DataType::I8))
    return failure(Exit::Usage, "no type '" + request.type + "'",
                   "the types are f32, f16, bf16, f64, f8e4m3 and i8");
  problem.type = *type;
  std::optional<DataType> outputType = request.outputType.empty()
                                           ? problem.wideType()
                                           : parseDataType(request.outputType);
  if (!outputType ||
      !llvm::is_contained({problem.wideType(), DataType::F16, DataType::BF16},
                          *outputType))
    return failure(Exit::Usage, "no output type '" + request.outputType + "'",
                   "it is f16, bf16 or f32 (f64 where --type is)");
  problem.outputType = *outputType;
  problem.scale = static_cast<float>(
      request.scale ? request.scale
                    : 1.0 / std::sqrt(static_cast<double>(
                                problem.count(problem.roles.depth))));
  if (llvm::Error error = problem.parseMask(request.mask))
    return error;
  if (llvm::Error error = problem.setLengths(request.lengths))
    return error;
  int64_t tokens = problem.tokens();
  problem.attending.assign(problem.count(problem.roles.key), tokens);
  if (problem.isMasked())
    for (size_t m = 0; m < problem.attending.size(); ++m) {
      problem.attending[m] = 0;
      for (int64_t n = 0; n < tokens; ++n)
        problem.attending[m] += problem.attends(n, m);
    }
  return problem;
}

std::string BenchProblem::spec() const {
  return roles.queryTerm + ", " + roles.keyTerm + ", " + roles.valueTerm +
         " -> " + roles.outputTerm;
}

std::vector<int64_t> BenchProblem::shape(llvm::StringRef term) const {
  std::vector<int64_t> shape;
  for (char letter : term)
    shape.push_back(extent.at(letter));
  return shape;
}

int64_t BenchProblem::count(llvm::StringRef letters) const {
  int64_t product = 1;
  for (char letter : letters)
    product *= extent.at(letter);
  return product;
}

int64_t BenchProblem::tokens() const {
  char token = newTokenLetter();
  return token ? extent.at(token) : 1;
}

int64_t BenchProblem::position() const { return count(roles.key) - tokens(); }

bool BenchProblem::isRead(int64_t sequence, int64_t m) const {
  if (attending[m] == 0)
    return false;
  if (lengths.empty())
    return true;
  return m < (sequence < 0 ? *std::max_element(lengths.begin(), lengths.end())
                           : lengths[sequence]);
}

std::vector<BenchTensor> BenchProblem::tensors() const {
  std::vector<BenchTensor> result = {{"key", roles.keyTerm, type}};
  if (!valueInKey)
    result.push_back({"value", roles.valueTerm, type});
  if (isScaled())
    result.push_back({"key_scale", roles.keyScale(), DataType::F32});
  if (isScaled() && !valueInKey)
    result.push_back({"value_scale", roles.valueScale(), DataType::F32});
  return result;
}

int64_t BenchProblem::leastBytes() const {
  int64_t keys = count(roles.key), bytes = 0;
  for (const auto &[name, term, type] : tensors()) {
    // A tensor without the sequences' letter is read by all of them at once.
    bool isOfSequence =
        sequenceLetter() && llvm::StringRef(term).contains(sequenceLetter());
    int64_t sequences = isOfSequence ? extent.at(sequenceLetter()) : 1;
    int64_t row = count(term) / keys / sequences * sizeOf(type);
    for (int64_t sequence = 0; sequence < sequences; ++sequence)
      for (int64_t m = 0; m < keys; ++m)
        bytes += isRead(isOfSequence ? sequence : -1, m) ? row : 0;
  }
  return bytes;
}

int64_t BenchProblem::operations() const {
  int64_t sequences = lengths.empty() ? 1 : lengths.size(), pairs = 0;
  for (int64_t sequence = 0; sequence < sequences; ++sequence)
    for (int64_t m = 0, keys = count(roles.key); m < keys; ++m)
      pairs += isRead(lengths.empty() ? -1 : sequence, m) ? attending[m] : 0;
  return 2 * pairs * count(roles.batch + roles.row) / sequences / tokens() *
         (count(roles.depth) + count(roles.value));
}

char BenchProblem::newTokenLetter() const {
  return llvm::StringRef(roles.row).contains('n') ? 'n' : 0;
}

char BenchProblem::sequenceLetter() const {
  return lengths.empty() ? 0 : roles.queryTerm.front();
}

bool BenchProblem::attends(int64_t n, int64_t m) const {
  if (!isMasked())
    return true;
  if (newTokenLetter())
    return holds({n, m}, position());
  return holds({m}, position());
}

/// "mask <"nm", causal>(%p)" or nothing.
static std::string maskText(const BenchProblem &problem) {
  if (!problem.isMasked())
    return "";
  return " mask <\"" + problem.maskLetters + "\", " + problem.mask + ">(" +
         (problem.maskSymbols ? "%p" : "") + ")";
}

/// "tensor<1x8x128xbf16>"
static std::string typeText(llvm::ArrayRef<int64_t> shape, DataType type) {
  std::string text = "tensor<";
  for (int64_t dimension : shape)
    text += std::to_string(dimension) + "x";
  return text + (type == DataType::F8E4M3 ? "f8E4M3FN" : nameOf(type).str()) +
         ">";
}

/// "0, 0, 0": the same number for each dimension.
static std::string repeated(int64_t number, size_t rank) {
  return llvm::join(std::vector<std::string>(rank, std::to_string(number)),
                    ", ");
}

/// What the graph computes with: `name` and its type, or, where there are
/// scales, the product with those, whose ops are printed.
static std::pair<std::string, std::string>
widened(const BenchProblem &problem, llvm::StringRef name,
        llvm::StringRef scale, llvm::StringRef term, llvm::StringRef scaleTerm,
        llvm::raw_ostream &os) {
  std::string stored = typeText(problem.shape(term), problem.type);
  if (!problem.isScaled())
    return {name.str(), stored};
  std::string wide = typeText(problem.shape(term), DataType::F32);
  os << "  " << name << "_wide = arith.sitofp " << name << " : " << stored
     << " to " << wide << "\n  " << name << "_scaled = attn.einsum \"" << term
     << ", " << scaleTerm << " -> " << term << "\"(" << name << "_wide, "
     << scale << ") : (" << wide << ", "
     << typeText(problem.shape(scaleTerm), DataType::F32) << ") -> " << wide
     << "\n";
  return {name.str() + "_scaled", wide};
}

std::string BenchProblem::graph() const {
  DataType wide = wideType();
  std::string q = typeText(shape(roles.queryTerm), queryType());
  std::string k = typeText(shape(roles.keyTerm), type);
  std::string v = typeText(shape(roles.valueTerm), type);
  std::string o = typeText(shape(roles.outputTerm), outputType);
  std::string scores = roles.scores(), s = typeText(shape(scores), wide);
  std::string lengthType =
      typeText({static_cast<int64_t>(lengths.size())}, DataType::I64);

  std::string text;
  llvm::raw_string_ostream os(text);
  os << "func.func @attention(%q: " << q << " {attn.name = \"query\"},\n"
     << "    %k: " << k << " {attn.name = \"key\"}";
  if (!valueInKey)
    os << ",\n    %v: " << v << " {attn.name = \"value\"}";
  if (isScaled())
    for (const auto &[name, term, element] : tensors())
      if (element == DataType::F32)
        os << ",\n    %" << name << ": " << typeText(shape(term), element)
           << " {attn.name = \"" << name << "\"}";
  if (!lengths.empty())
    os << ",\n    %valid: " << lengthType << " {attn.name = \"lengths\"}";
  os << ")\n    -> (" << o << " {attn.name = \"output\"}) {\n";
  if (valueInKey) {
    std::vector<std::string> sizes;
    for (int64_t dimension : shape(roles.valueTerm))
      sizes.push_back(std::to_string(dimension));
    os << "  %v = tensor.extract_slice %k[" << repeated(0, sizes.size())
       << "] [" << llvm::join(sizes, ", ") << "] [" << repeated(1, sizes.size())
       << "] : " << k << " to " << v << "\n";
  }
  if (isMasked())
    os << "  %p = arith.constant " << position() << " : index\n";
  auto [key, keyType] =
      widened(*this, "%k", "%key_scale", roles.keyTerm, roles.keyScale(), os);
  auto [value, valueType] =
      widened(*this, "%v", valueInKey ? "%key_scale" : "%value_scale",
              roles.valueTerm, roles.valueScale(), os);
  os << "  %scores = attn.einsum \"" << roles.queryTerm << ", " << roles.keyTerm
     << " -> " << scores << "\"(%q, " << key << ") : (" << q << ", " << keyType
     << ") -> " << s << "\n"
     << "  %scale = arith.constant dense<" << llvm::format("%.9e", scale)
     << "> : " << s << "\n"
     << "  %scaled = arith.mulf %scores, %scale : " << s << "\n";
  os << "  %weights = attn.softmax \"" << scores << "\" over \"" << roles.key
     << "\"(%scaled)";
  if (!lengths.empty())
    os << " valid(%valid : " << lengthType << ")";
  os << maskText(*this) << " : " << s << "\n";
  os << "  %output = attn.einsum \"" << scores << ", " << roles.valueTerm
     << " -> " << roles.outputTerm << "\"(%weights, " << value << ") : (" << s
     << ", " << valueType << ") -> " << o << "\n"
     << "  return %output : " << o << "\n}\n";
  return text;
}

} // namespace einhead::tool
