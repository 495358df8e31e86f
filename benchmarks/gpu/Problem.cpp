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
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

using namespace einhead::bench;
using namespace einhead;
using nlohmann::json;

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

static Request readRequest(const json &entry, const std::string &folder) {
  Request request;
  request.name = entry.at("name");
  request.module = folder + entry.at("module").get<std::string>();
  request.spec = entry.at("spec");
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
  Joiner(Problem &problem, const runtime::Manifest &manifest)
      : problem(problem), manifest(manifest) {}
  void join();

private:
  void readSpec(std::string (&terms)[4]);
  std::optional<Operand> find(const std::string &role, const std::string &term);
  Operand need(const std::string &role, const std::string &term);

  Problem &problem;
  const runtime::Manifest &manifest;
};
} // namespace

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
  for (const runtime::Argument &argument : problem.function->arguments) {
    if (argument.name != name)
      continue;
    Operand operand = {argument, term, {}};
    if (argument.shape.size() != term.size())
      throw std::runtime_error("'" + name + "' has rank " +
                               std::to_string(argument.shape.size()) +
                               ", its letters are '" + term + "'");
    for (const runtime::Dimension &dimension : argument.shape) {
      int64_t extent = dimension.offset;
      if (dimension.name >= 0) {
        const std::string &size = manifest.dimensionNames[dimension.name];
        auto given = problem.request.sizes.find(size);
        if (given == problem.request.sizes.end())
          throw std::runtime_error("give the size '" + size + "'");
        extent += given->second;
      }
      operand.extents.push_back(extent);
    }
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
  size_t f = manifest.find(problem.request.function);
  if (f == manifest.functions.size())
    throw std::runtime_error("the module has no function '" +
                             problem.request.function + "'");
  problem.function = &manifest.functions[f];
  if (!(problem.function->advance == runtime::Dimension()))
    throw std::runtime_error("'" + problem.request.function +
                             "' appends to its caches: each call would be "
                             "another one");
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

Problem Problem::create(const Request &request,
                        const runtime::Manifest &manifest) {
  Problem problem;
  problem.request = request;
  Joiner(problem, manifest).join();
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
