//===- BenchCheck.cpp - Is the measured result right ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BenchCheck.h"
#include "Tool.h"
#include <algorithm>
#include <stdexcept>

namespace einhead::tool {

static Sample sampleRows(const BenchProblem &problem) {
  // Products that the reference forms, in fp64, without any blocking.
  constexpr double budget = 6e7;
  const attn::AttentionRoles &roles = problem.roles;
  std::string letters = roles.batch + roles.row;
  std::map<char, int64_t> counts;
  double cost = static_cast<double>(problem.count(roles.key)) *
                (problem.count(roles.depth) + problem.count(roles.value));
  for (char letter : letters) {
    counts[letter] = problem.extent.at(letter);
    cost *= counts[letter];
  }
  while (cost > budget) {
    auto largest = std::max_element(
        counts.begin(), counts.end(),
        [](const auto &x, const auto &y) { return x.second < y.second; });
    if (largest == counts.end() || largest->second == 1)
      break;
    int64_t half = largest->second / 2;
    cost = cost / largest->second * half;
    largest->second = half;
  }
  Sample sample;
  uint64_t random = 7;
  for (char letter : letters) {
    int64_t count = counts[letter], extent = problem.extent.at(letter);
    for (int64_t i = 0; i < count; ++i)
      sample[letter].push_back(
          count == 1 ? static_cast<int64_t>(nextRandom(random) % extent)
                     : i * (extent - 1) / (count - 1));
  }
  return sample;
}

/// Calls visit(offset in the whole tensor) for each sampled element of a term,
/// in row-major order of the sample.  `stored` has the letters of the tensor
/// that the elements lie in, from its first element on.
static void forEachSampled(const BenchProblem &problem, const Sample &sample,
                           llvm::StringRef term, llvm::StringRef stored,
                           llvm::function_ref<void(int64_t)> visit) {
  auto extentOf = [&](char letter) {
    auto some = sample.find(letter);
    return some == sample.end() ? problem.extent.at(letter)
                                : static_cast<int64_t>(some->second.size());
  };
  std::vector<int64_t> at(term.size(), 0);
  while (true) {
    int64_t offset = 0;
    for (size_t d = 0; d < term.size(); ++d) {
      auto some = sample.find(term[d]);
      offset = offset * problem.extent.at(stored[d]) +
               (some == sample.end() ? at[d] : some->second[at[d]]);
    }
    visit(offset);
    size_t d = term.size();
    while (d > 0 && ++at[d - 1] == extentOf(term[d - 1]))
      at[--d] = 0;
    if (d == 0)
      return;
  }
}

static reference::Tensor gather(const BenchProblem &problem,
                                const Sample &sample, llvm::StringRef term,
                                llvm::StringRef stored, DataType type,
                                const char *data) {
  std::vector<int64_t> shape;
  for (char letter : term) {
    auto some = sample.find(letter);
    shape.push_back(some == sample.end()
                        ? problem.extent.at(letter)
                        : static_cast<int64_t>(some->second.size()));
  }
  std::vector<double> values;
  size_t size = sizeOf(type);
  forEachSampled(problem, sample, term, stored, [&](int64_t offset) {
    values.push_back(loadElement(type, data + offset * size));
  });
  return reference::Tensor(shape, std::move(values));
}

static reference::Type referenceType(DataType type) {
  switch (type) {
  case DataType::F64:
    return reference::Type::F64;
  case DataType::F16:
    return reference::Type::F16;
  case DataType::BF16:
    return reference::Type::BF16;
  default:
    return reference::Type::F32;
  }
}

static reference::AttentionOptions referenceOptions(const BenchProblem &problem,
                                                    const Sample &sample,
                                                    bool fused) {
  int64_t keys = problem.count(problem.roles.key);
  reference::AttentionOptions options;
  options.scale = problem.scale;
  options.output = referenceType(problem.outputType);
  options.weights = fused && (problem.type == DataType::BF16 ||
                              problem.type == DataType::F8E4M3)
                        ? reference::Type::BF16
                        : referenceType(problem.wideType());
  options.independentErrors = true; // the data are random
  options.keysPerBlock = fused ? 64 : keys;
  options.splits = fused ? (keys + 255) / 256 : 1;
  if (!problem.lengths.empty())
    for (int64_t sequence : sample.at(problem.sequenceLetter()))
      options.valid.push_back(problem.lengths[sequence]);
  if (!problem.isMasked())
    return options;
  char token = problem.newTokenLetter();
  options.mask.letters =
      (token ? std::string(1, token) : "") + problem.roles.key;
  std::vector<int64_t> tokens =
      token ? sample.at(token) : std::vector<int64_t>{};
  options.mask.holds = [&problem, tokens](const std::vector<int64_t> &at) {
    return problem.attends(tokens.empty() ? 0 : tokens[at[0]], at.back());
  };
  return options;
}

llvm::Expected<RowCheck> RowCheck::create(const BenchProblem &problem,
                                          const BenchInputs &inputs,
                                          bool fused) {
  RowCheck check;
  check.problem = &problem;
  check.sample = sampleRows(problem);
  auto part = [&](llvm::StringRef term, llvm::StringRef stored, DataType type,
                  const char *data) {
    return gather(problem, check.sample, term, stored, type, data);
  };
  const attn::AttentionRoles &roles = problem.roles;
  try {
    reference::AttentionOptions options =
        referenceOptions(problem, check.sample, fused);
    if (problem.isScaled()) {
      std::string key = roles.keyScale(), value = roles.valueScale();
      options.keyScale = part(key, key, DataType::F32, inputs.keyScale);
      options.valueScale = part(value, value, DataType::F32, inputs.valueScale);
    }
    check.expected =
        reference::attention(
            problem.spec(),
            part(roles.queryTerm, roles.queryTerm, problem.queryType(),
                 inputs.query),
            part(roles.keyTerm, roles.keyTerm, problem.type, inputs.key),
            part(roles.valueTerm,
                 problem.valueInKey ? roles.keyTerm : roles.valueTerm,
                 problem.type, inputs.value),
            options)
            .output;
  } catch (const std::exception &e) {
    return failure(Exit::Internal, llvm::Twine("reference: ") + e.what());
  }
  return check;
}

int64_t RowCheck::first() const {
  int64_t first = -1;
  const std::string &term = problem->roles.outputTerm;
  forEachSampled(*problem, sample, term, term,
                 [&](int64_t offset) { first = first < 0 ? offset : first; });
  return first;
}

reference::Report RowCheck::compare(const char *output) const {
  DataType type = problem->outputType;
  std::vector<double> actual;
  const std::string &term = problem->roles.outputTerm;
  forEachSampled(*problem, sample, term, term, [&](int64_t offset) {
    actual.push_back(loadElement(type, output + offset * sizeOf(type)));
  });
  return reference::compare(actual, expected);
}

} // namespace einhead::tool
