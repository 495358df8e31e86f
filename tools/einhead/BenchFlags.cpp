//===- BenchFlags.cpp - The options that say which attention ----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BenchFlags.h"
#include "ReadFloor.h"
#include "Tool.h"

namespace cl = llvm::cl;

namespace einhead::tool {

BenchFlags::BenchFlags(cl::SubCommand &command, double seconds,
                       llvm::StringRef secondsText)
    : spec{command, "spec", "einsum",
           "query, key, value -> output, or activation, weight -> result; ...",
           "bgrk, bgmk, bgmv -> bgrv"},
      sizes{command, "size", "b=1,g=8,...", "Extents of the letters",
            cl::CommaSeparated},
      lengths{command, "lengths", "17,300,...", "Valid keys of each sequence",
              cl::CommaSeparated},
      type{command, "type", "type",
           "Of query, key and value: f32, f16, bf16; i8, f8e4m3", "f32"},
      outputType{command, "output-type", "type",
                 "Of the output: f32, f16, bf16 (f32, or f64 if --type is)"},
      layout{command, "layout", "layout",
             "head-major (as in --spec) or token-major", "head-major"},
      valueInKey{command, "value-in-key", "",
                 "The value is the first columns of the key"},
      mask{command, "mask", "mask", "none, causal, 'window(W)', ...", "none"},
      scale{command, "scale", "X", "Of the scores (1/sqrt(depth))"},
      threads{command, "threads", "N", "OpenMP threads, 0 = all cores"},
      cpu{command, "cpu", "name", "Target CPU", "host"},
      cold{command, "cold", "", "Go through buffers that no cache holds", true},
      seconds{command, "seconds", "X", secondsText, seconds},
      perturb{command, "perturb", "X",
              "Add X to an element: the check must fail"} {}

llvm::Expected<BenchProblem> BenchFlags::problem() const {
  if (threads < 0)
    return failure(Exit::Usage, "--threads is negative", "0 means all cores");
  if (!(seconds > 0))
    return failure(Exit::Usage, "--seconds is not positive",
                   "the default is 2");
  BenchProblem::Request request;
  request.spec = spec;
  request.type = type;
  request.outputType = outputType;
  request.layout = layout;
  request.mask = mask;
  request.sizes.assign(sizes.begin(), sizes.end());
  request.lengths.assign(lengths.begin(), lengths.end());
  request.valueInKey = valueInKey;
  request.scale = scale;
  return BenchProblem::create(request);
}

bool BenchFlags::isProjections() const {
  auto [first, rest] = llvm::StringRef(spec).split(';');
  return !rest.empty() || first.split("->").first.count(',') == 1;
}

llvm::Expected<ProjectionProblem> BenchFlags::projections() const {
  if (threads < 0)
    return failure(Exit::Usage, "--threads is negative", "0 means all cores");
  if (!(seconds > 0))
    return failure(Exit::Usage, "--seconds is not positive",
                   "the default is 2");
  llvm::StringRef given = lengths.getNumOccurrences()      ? "lengths"
                          : outputType.getNumOccurrences() ? "output-type"
                          : layout.getNumOccurrences()     ? "layout"
                          : valueInKey.getNumOccurrences() ? "value-in-key"
                          : mask.getNumOccurrences()       ? "mask"
                          : scale.getNumOccurrences()      ? "scale"
                                                           : "";
  if (!given.empty())
    return failure(Exit::Usage,
                   "--" + given + " is of an attention, and --spec='" + spec +
                       "' is none",
                   "leave it out, or write query, key, value -> output");
  return ProjectionProblem::create(
      spec, std::vector<std::string>(sizes.begin(), sizes.end()), type);
}

int BenchFlags::threadCount() const {
  return threads > 0 ? threads.getValue() : availableThreads();
}

std::string sizesText(const BenchProblem &problem) {
  std::string text;
  for (const auto &[letter, extent] : problem.extent)
    text += (text.empty() ? "" : ",") + std::string(1, letter) + "=" +
            std::to_string(extent);
  for (size_t i = 0; i < problem.lengths.size(); ++i)
    text += (i ? "," : " lengths=") + std::to_string(problem.lengths[i]);
  return text;
}

} // namespace einhead::tool
