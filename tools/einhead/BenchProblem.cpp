//===- BenchProblem.cpp - One attention to measure --------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BenchProblem.h"
#include "Session.h"
#include "Tool.h"
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

static llvm::Error parseMask(llvm::StringRef mask, BenchProblem &problem) {
  llvm::StringRef text = mask;
  if (text.consume_front("window=")) {
    if (text.getAsInteger(10, problem.window) || problem.window < 1)
      return failure(Exit::Usage, "--mask=" + mask + ": no number of keys",
                     "write for example --mask=window=128");
    problem.causal = problem.newTokenLetter() != 0;
  } else if (text == "causal") {
    problem.causal = true;
    if (!problem.newTokenLetter())
      return failure(Exit::Usage,
                     "--mask=causal needs a row letter n for the new tokens",
                     "one token a step sees all keys: leave --mask out, or "
                     "write --spec='bgrnk, bgmk, bgmv -> bgrnv'");
  } else if (text != "none") {
    return failure(Exit::Usage, "no mask '" + mask + "'",
                   "the masks are none, causal and window=W");
  }
  if (problem.isMasked() && problem.roles.key.size() != 1)
    return failure(Exit::Usage, "--mask needs exactly one key letter",
                   "leave --mask out");
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

int64_t BenchProblem::firstKey() const {
  char token = newTokenLetter();
  int64_t position = count(roles.key) - (token ? extent.at(token) : 1);
  return window ? std::max<int64_t>(position - window + 1, 0) : 0;
}

int64_t BenchProblem::leastBytes() const {
  int64_t keys = count(roles.key);
  return (count(roles.keyTerm) + count(roles.valueTerm)) / keys *
         (keys - firstKey()) * static_cast<int64_t>(sizeOf(type));
}

char BenchProblem::newTokenLetter() const {
  return llvm::StringRef(roles.row).contains('n') ? 'n' : 0;
}

bool BenchProblem::attends(int64_t n, int64_t m) const {
  int64_t keys = count(roles.key);
  char letter = newTokenLetter();
  int64_t position = keys - (letter ? extent.at(letter) : 1) + n;
  return (!causal || m <= position) && (!window || m > position - window);
}

/// "mask <"nm", affine_set<...>>(%p)" or nothing.
static std::string maskText(const BenchProblem &problem) {
  if (!problem.isMasked())
    return "";
  char token = problem.newTokenLetter();
  std::string key = problem.roles.key;
  std::string letters = (token ? std::string(1, token) : "") + key;
  std::string position = token ? std::string("p + ") + token : "p";
  std::string sets;
  if (problem.causal)
    sets = position + " - " + key + " >= 0";
  if (problem.window)
    sets += (sets.empty() ? "" : ", ") + key + " - (" + position + ") + " +
            std::to_string(problem.window - 1) + " >= 0";
  std::string dimensions = llvm::join(
      llvm::map_range(letters, [](char c) { return std::string(1, c); }), ", ");
  return " mask <\"" + letters + "\", affine_set<(" + dimensions + ")[p] : (" +
         sets + ")>>(%p)";
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
  char token = newTokenLetter();

  std::string text;
  llvm::raw_string_ostream os(text);
  os << "func.func @attention(%q: " << q << " {attn.name = \"query\"},\n"
     << "    %k: " << k << " {attn.name = \"key\"},\n"
     << "    %v: " << v << " {attn.name = \"value\"})\n"
     << "    -> (" << o << " {attn.name = \"output\"}) {\n";
  if (isMasked())
    os << "  %p = arith.constant "
       << count(roles.key) - (token ? extent.at(token) : 1) << " : index\n";
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
