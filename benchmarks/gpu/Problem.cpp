//===- Problem.cpp - One attention to measure, as a file says it -*- C++
//-*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "Problem.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace einhead::bench;
using namespace einhead;
using nlohmann::json;

namespace {
struct ElementEntry {
  const char *name;
  DLDataType type;
};

/// DLPack's code of f8E4M3FN, which older headers lack.
constexpr uint8_t dlFloat8E4M3FN = 10;

/// In the order of Element.
const ElementEntry elements[] = {
    {"f32", {kDLFloat, 32, 1}},        {"f16", {kDLFloat, 16, 1}},
    {"bf16", {kDLBfloat, 16, 1}},      {"i64", {kDLInt, 64, 1}},
    {"i32", {kDLInt, 32, 1}},          {"i8", {kDLInt, 8, 1}},
    {"f8e4m3", {dlFloat8E4M3FN, 8, 1}}};

Element parseElement(const std::string &name) {
  for (size_t i = 0; i < std::size(elements); ++i)
    if (name == elements[i].name)
      return static_cast<Element>(i);
  throw std::runtime_error("no inputs of type " + name);
}

/// An extent of the manifest: a number, a name, or a name plus a number.
int64_t evaluate(const json &dimension,
                 const std::map<std::string, int64_t> &sizes) {
  if (dimension.is_number())
    return dimension;
  const std::string text = dimension;
  size_t plus = text.find('+');
  auto given = sizes.find(text.substr(0, plus));
  if (given == sizes.end())
    throw std::runtime_error("give the size '" + text.substr(0, plus) + "'");
  return given->second +
         (plus == std::string::npos ? 0 : std::stoll(text.substr(plus + 1)));
}
} // namespace

int64_t einhead::bench::sizeOf(Element type) { return toDLPack(type).bits / 8; }

DLDataType einhead::bench::toDLPack(Element type) {
  return elements[static_cast<int>(type)].type;
}

int64_t Operand::count() const {
  int64_t product = 1;
  for (int64_t extent : extents)
    product *= extent;
  return product;
}

int64_t Operand::stride(char letter) const {
  int64_t product = 1;
  for (size_t i = term.size(); i-- > 0; product *= extents[i])
    if (term[i] == letter)
      return product;
  return 0;
}

static StepOp readStep(const json &entry) {
  StepOp op;
  const std::pair<const char *, StepOp::Kind> kinds[] = {
      {"einsum", StepOp::Kind::Einsum},
      {"append", StepOp::Kind::Append},
      {"attention", StepOp::Kind::Attention}};
  for (const auto &[name, kind] : kinds)
    if (entry.contains(name)) {
      op.kind = kind;
      op.spec = entry.at(name);
    }
  if (op.spec.empty())
    throw std::runtime_error("a step is an einsum, an append or an attention");
  op.of = entry.at("of").get<std::vector<std::string>>();
  op.to = entry.at("to");
  op.isOfCache = entry.value("of_cache", false);
  return op;
}

static Request readRequest(const json &entry, const std::string &folder) {
  Request request;
  request.name = entry.at("name");
  request.module = folder + entry.at("module").get<std::string>();
  for (const json &step : entry.value("steps", json::array()))
    request.steps.push_back(readStep(step));
  if (request.steps.empty())
    request.spec = entry.at("spec");
  request.shifts = entry.value("shifts", request.shifts);
  request.published = entry.value("published", request.published);
  request.function = entry.value("function", request.function);
  request.mask = entry.value("mask", request.mask);
  request.scale = entry.value("scale", request.scale);
  request.sizes = entry.value("sizes", request.sizes);
  request.roles = entry.value("roles", request.roles);
  request.lengths = entry.value("lengths", request.lengths);
  return request;
}

std::vector<Request> einhead::bench::readList(const std::string &path) {
  std::ifstream stream(path);
  if (!stream)
    throw std::runtime_error("cannot read " + path);
  size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "" : path.substr(0, slash + 1);
  std::vector<Request> requests;
  for (const json &entry : json::parse(stream))
    requests.push_back(readRequest(entry, folder));
  return requests;
}

/// Letters of `text` that are in none of the others, each once.
static std::string without(const std::string &text,
                           std::initializer_list<std::string> others) {
  std::string result;
  for (char c : text) {
    bool isElsewhere = result.find(c) != std::string::npos;
    for (const std::string &other : others)
      isElsewhere |= other.find(c) != std::string::npos;
    if (!isElsewhere)
      result += c;
  }
  return result;
}

static std::string common(const std::string &x, const std::string &y) {
  return without(x, {without(x, {y})});
}

namespace {
/// Joins a request to the manifest.
class Joiner {
public:
  explicit Joiner(Problem &problem) : problem(problem) {}
  void join();

private:
  void readSpec(std::string (&terms)[4]);
  std::optional<Operand> find(const std::string &role, const std::string &term);
  Operand need(const std::string &role, const std::string &term);

  Problem &problem;
};
} // namespace

Signature einhead::bench::readSignature(const Request &request,
                                        const char *manifest) {
  const json parsed = json::parse(manifest); // outlives the loop over it
  for (const json &function : parsed.at("functions")) {
    if (function.at("name") != request.function)
      continue;
    Signature signature;
    signature.advance = function.value("advance", int64_t(0));
    for (const json &argument : function.at("arguments")) {
      Operand operand;
      operand.name = argument.at("name");
      operand.kind = argument.at("kind");
      operand.type = parseElement(argument.at("type"));
      for (const json &dimension : argument.value("shape", json::array()))
        operand.extents.push_back(evaluate(dimension, request.sizes));
      signature.arguments.push_back(std::move(operand));
    }
    return signature;
  }
  throw std::runtime_error("the module has no function '" + request.function +
                           "'");
}

void Joiner::readSpec(std::string (&terms)[4]) {
  std::string text = problem.request.spec;
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  size_t arrow = text.find("->"), first = text.find(','),
         second = text.find(',', first + 1);
  if (arrow == std::string::npos || second == std::string::npos ||
      second > arrow)
    throw std::runtime_error("the spec '" + problem.request.spec +
                             "' is not query, key, value -> output");
  terms[0] = text.substr(0, first);
  terms[1] = text.substr(first + 1, second - first - 1);
  terms[2] = text.substr(second + 1, arrow - second - 1);
  terms[3] = text.substr(arrow + 2);
  problem.spec =
      terms[0] + ", " + terms[1] + ", " + terms[2] + " -> " + terms[3];
}

/// The argument of this role, if the function has one.
std::optional<Operand> Joiner::find(const std::string &role,
                                    const std::string &term) {
  auto named = problem.request.roles.find(role);
  const std::string name =
      named == problem.request.roles.end() ? role : named->second;
  for (Operand operand : problem.arguments) {
    if (operand.name != name)
      continue;
    operand.term = term;
    if (operand.extents.size() != term.size())
      throw std::runtime_error("'" + name + "' has rank " +
                               std::to_string(operand.extents.size()) +
                               ", its letters are '" + term + "'");
    return operand;
  }
  return std::nullopt;
}

Operand Joiner::need(const std::string &role, const std::string &term) {
  std::optional<Operand> operand = find(role, term);
  if (!operand)
    throw std::runtime_error("the function has no argument '" + role +
                             "'; name it in \"roles\"");
  for (size_t i = 0; i < term.size(); ++i) {
    auto [known, isNew] = problem.extent.emplace(term[i], operand->extents[i]);
    if (!isNew && known->second != operand->extents[i])
      throw std::runtime_error("the letter '" + std::string(1, term[i]) +
                               "' has two extents");
  }
  return *operand;
}

void Joiner::join() {
  std::string terms[4];
  readSpec(terms);
  const std::string keyLetters =
      without(common(terms[1], terms[2]), {terms[0], terms[3]});
  if (keyLetters.size() != 1)
    throw std::runtime_error("one letter must be in key and value alone");
  problem.key = keyLetters[0];
  problem.sequence = terms[0][0];
  problem.depth = without(common(terms[0], terms[1]), {terms[3]});
  problem.valueLetters = without(terms[3], {terms[0]});
  problem.batch = common(common(terms[0], terms[3]), terms[1]);
  problem.row = without(common(terms[0], terms[3]), {terms[1]});
  problem.query = need("query", terms[0]);
  problem.keys = need("key", terms[1]);
  problem.output = need("output", terms[3]);
  if (find("value", terms[2]))
    problem.values = need("value", terms[2]);
  problem.keyScale = find("key_scale", without(terms[1], {problem.depth}));
  problem.valueScale =
      find("value_scale", without(terms[2], {problem.valueLetters}));
  problem.lengths = find("lengths", std::string(1, problem.sequence));
  problem.scale =
      problem.request.scale != 0
          ? problem.request.scale
          : static_cast<float>(1 /
                               std::sqrt(double(problem.count(problem.depth))));
  if (!problem.request.lengths.empty() && !problem.lengths)
    throw std::runtime_error("lengths are given, the function has none");
}

Problem Problem::create(const Request &request, const char *manifest) {
  Problem problem;
  problem.request = request;
  Signature signature = readSignature(request, manifest);
  if (signature.advance != 0)
    throw std::runtime_error("'" + request.function +
                             "' appends to its caches: each call would be "
                             "another one; say its \"steps\"");
  problem.arguments = std::move(signature.arguments);
  Joiner(problem).join();
  size_t given = request.lengths.size();
  if (given > 1 &&
      static_cast<int64_t>(given) != problem.extent.at(problem.sequence))
    throw std::runtime_error("give one length, or one for each sequence");
  return problem;
}

int64_t Problem::count(const std::string &letters) const {
  int64_t product = 1;
  for (char letter : letters)
    product *= extent.at(letter);
  return product;
}

int64_t Problem::length(int64_t at) const {
  if (request.lengths.empty())
    return extent.at(key);
  return request.lengths.size() == 1 ? request.lengths[0] : request.lengths[at];
}

bool Problem::attends(int64_t n, int64_t m) const {
  int64_t tokens = extent.count('n') ? extent.at('n') : 1;
  int64_t position = extent.at(key) - tokens + n;
  if (request.mask == "none")
    return true;
  if (request.mask == "causal")
    return m <= position;
  if (request.mask.compare(0, 7, "window(") == 0)
    return m <= position && m > position - std::stoll(request.mask.substr(7));
  throw std::runtime_error("the masks are none, causal and window(W)");
}

std::vector<const Operand *> Problem::cached() const {
  std::vector<const Operand *> result = {&keys};
  for (const std::optional<Operand> *some : {&values, &keyScale, &valueScale})
    if (*some)
      result.push_back(&**some);
  return result;
}

int64_t Problem::leastBytes() const {
  int64_t tokens = extent.count('n') ? extent.at('n') : 1, bytes = 0;
  for (const Operand *operand : cached()) {
    bool isOfSequence = operand->has(sequence);
    int64_t sequences = isOfSequence ? extent.at(sequence) : 1;
    int64_t row = operand->bytes() / extent.at(key) / sequences;
    for (int64_t b = 0; b < sequences; ++b)
      for (int64_t m = 0; m < length(b); ++m)
        // The last token sees most, and the first one the oldest of a window.
        bytes += attends(0, m) || attends(tokens - 1, m) ? row : 0;
  }
  return bytes;
}

int64_t Problem::operations() const {
  int64_t tokens = extent.count('n') ? extent.at('n') : 1,
          sequences = extent.at(sequence);
  int64_t pairs = 0; // of a token and a key, of one head
  for (int64_t b = 0; b < sequences; ++b)
    for (int64_t n = 0; n < tokens; ++n)
      for (int64_t m = 0; m < length(b); ++m)
        pairs += attends(n, m);
  int64_t heads = count(batch) * count(row) / tokens / sequences;
  return 2 * pairs * heads * (count(depth) + count(valueLetters));
}
