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
static llvm::Error parseMask(llvm::StringRef mask, BenchProblem &problem) {
  if (mask == "none")
    return llvm::Error::success();
  if (problem.roles.key.size() != 1)
    return failure(Exit::Usage, "--mask needs exactly one key letter",
                   "leave --mask out");
  llvm::StringRef width = mask;
  problem.mask = width.consume_front("window=") ? "window(" + width.str() + ")"
                                                : mask.str();
  char token = problem.newTokenLetter();
  problem.maskLetters =
      (token ? std::string(1, token) : "") + problem.roles.key;
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
      "#attn.mask<\"" + problem.maskLetters + "\", " + problem.mask + ">",
      &parsed->context));
  if (!parsed->mask)
    return failure(Exit::Usage, "--mask=" + mask + message,
                   "write none or a mask of docs/Generated/AttnOps.md, for "
                   "example --mask='window(128)'");
  problem.maskSymbols =
      parsed->mask.getSets().front().getValue().getNumSymbols();
  if (problem.maskSymbols > 1)
    return failure(Exit::Usage,
                   "--mask=" + mask + " needs more than a position",
                   "give its sizes as numbers, for example "
                   "--mask='window(128)'");
  problem.holds = [parsed, symbolCount = problem.maskSymbols](
                      llvm::ArrayRef<int64_t> point, int64_t position) {
    llvm::SmallVector<int64_t> symbols(symbolCount, position);
    return attn::contains(parsed->mask, point, symbols);
  };
  return llvm::Error::success();
}

static llvm::Error bindSizes(llvm::ArrayRef<std::string> entries,
                             BenchProblem &problem) {
  auto sizes = parseSizes(entries);
  if (!sizes)
    return sizes.takeError();
  const attn::AttentionRoles &roles = problem.roles;
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
    problem.extent[letter] = size->second;
  }
  if (!missing.empty())
    return failure(Exit::Usage, "letters of --spec without an extent",
                   "give --size=" + llvm::join(missing, ","));
  for (const auto &[name, extent] : *sizes)
    if (name.size() != 1 || !llvm::StringRef(letters).contains(name))
      return failure(Exit::Usage, "--size: no letter '" + name + "' in --spec",
                     "the letters are " + letters);
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
  if (llvm::Error error = bindSizes(request.sizes, problem))
    return error;
  std::optional<DataType> type = parseDataType(request.type);
  if (!type || !isFloat(*type))
    return failure(Exit::Usage, "no type '" + request.type + "'",
                   "the types are f32, f16, bf16 and f64");
  problem.type = *type;
  problem.scale = static_cast<float>(
      request.scale ? request.scale
                    : 1.0 / std::sqrt(static_cast<double>(
                                problem.count(problem.roles.depth))));
  if (llvm::Error error = parseMask(request.mask, problem))
    return error;
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

int64_t BenchProblem::position() const {
  char token = newTokenLetter();
  return count(roles.key) - (token ? extent.at(token) : 1);
}

std::vector<int64_t> BenchProblem::attendedKeys() const {
  char token = newTokenLetter();
  int64_t tokens = token ? extent.at(token) : 1;
  std::vector<int64_t> result;
  for (int64_t m = 0, keys = count(roles.key); m < keys; ++m)
    for (int64_t n = 0; n < tokens; ++n)
      if (attends(n, m)) {
        result.push_back(m);
        break;
      }
  return result;
}

int64_t BenchProblem::firstKey() const {
  return isMasked() && !attendedKeys().empty() ? attendedKeys().front() : 0;
}

int64_t BenchProblem::leastBytes() const {
  int64_t keys = count(roles.key);
  int64_t attended =
      isMasked() ? static_cast<int64_t>(attendedKeys().size()) : keys;
  return (count(roles.keyTerm) + count(roles.valueTerm)) / keys * attended *
         static_cast<int64_t>(sizeOf(type));
}

char BenchProblem::newTokenLetter() const {
  return llvm::StringRef(roles.row).contains('n') ? 'n' : 0;
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

std::string BenchProblem::graph() const {
  auto tensor = [&](llvm::StringRef term, DataType of) {
    std::string text = "tensor<";
    for (int64_t dimension : shape(term))
      text += std::to_string(dimension) + "x";
    return text + nameOf(of).str() + ">";
  };
  DataType wide = type == DataType::F64 ? DataType::F64 : DataType::F32;
  std::string q = tensor(roles.queryTerm, type);
  std::string k = tensor(roles.keyTerm, type);
  std::string v = tensor(roles.valueTerm, type);
  std::string o = tensor(roles.outputTerm, wide);
  std::string scores = roles.scores(), s = tensor(scores, wide);

  std::string text;
  llvm::raw_string_ostream os(text);
  os << "func.func @attention(%q: " << q << " {attn.name = \"query\"},\n"
     << "    %k: " << k << " {attn.name = \"key\"},\n"
     << "    %v: " << v << " {attn.name = \"value\"})\n"
     << "    -> (" << o << " {attn.name = \"output\"}) {\n";
  if (isMasked())
    os << "  %p = arith.constant " << position() << " : index\n";
  os << "  %scores = attn.einsum \"" << roles.queryTerm << ", " << roles.keyTerm
     << " -> " << scores << "\"(%q, %k) : (" << q << ", " << k << ") -> " << s
     << "\n"
     << "  %scale = arith.constant dense<" << llvm::format("%.9e", scale)
     << "> : " << s << "\n"
     << "  %scaled = arith.mulf %scores, %scale : " << s << "\n";
  os << "  %weights = attn.softmax \"" << scores << "\" over \"" << roles.key
     << "\"(%scaled)" << maskText(*this) << " : " << s << "\n";
  os << "  %output = attn.einsum \"" << scores << ", " << roles.valueTerm
     << " -> " << roles.outputTerm << "\"(%weights, %v) : (" << s << ", " << v
     << ") -> " << o << "\n"
     << "  return %output : " << o << "\n}\n";
  return text;
}

} // namespace einhead::tool
