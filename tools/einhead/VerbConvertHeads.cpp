//===- VerbConvertHeads.cpp - einhead convert-heads -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ConvertHeads.h"
#include "Tool.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"
#include <csignal>

namespace cl = llvm::cl;

namespace einhead::tool {
namespace {

class ConvertHeadsVerb final : public Verb {
public:
  ConvertHeadsVerb()
      : Verb("convert-heads",
             "Pool the key/value heads of a Hugging Face checkpoint") {}
  llvm::Error run() override;

private:
  void print(const HeadConversion &conversion,
             const HeadConversionResult &result) const;

  cl::opt<std::string> input{cl::Positional, cl::desc("IN_FOLDER"),
                             cl::Required, cl::sub(command),
                             cl::cat(optionCategory())};
  cl::opt<std::string> output{cl::Positional, cl::desc("OUT_FOLDER"),
                              cl::Required, cl::sub(command),
                              cl::cat(optionCategory())};
  cl::opt<long long> groups{"kv-heads",
                            cl::desc("Key/value heads of the output: a "
                                     "divisor of the input's"),
                            cl::value_desc("count"),
                            cl::Required,
                            cl::sub(command),
                            cl::cat(optionCategory())};
  cl::opt<std::string> method{
      "method",
      cl::desc("mean (default) or first of each group's heads, or random"),
      cl::value_desc("name"),
      cl::init("mean"),
      cl::sub(command),
      cl::cat(optionCategory())};
  cl::opt<unsigned long long> seed{
      "seed",           cl::desc("Of --method=random (default: 0)"),
      cl::init(0),      cl::value_desc("number"),
      cl::sub(command), cl::cat(optionCategory())};
};

llvm::Error ConvertHeadsVerb::run() {
  HeadConversion conversion;
  conversion.input = input;
  conversion.output = output;
  conversion.groups = groups;
  conversion.seed = seed;
  if (groups < 1)
    return failure(Exit::Usage,
                   "--kv-heads=" + llvm::Twine(groups) + " is below 1",
                   "give a divisor of the model's key/value heads; 1 makes a "
                   "multi-query model");
  auto known = parseHeadMethod(method);
  if (!known)
    return failure(Exit::Usage, "no method '" + method + "'",
                   "the methods are " + headMethodNames());
  conversion.method = *known;
  if (seed.getNumOccurrences() && *known != HeadMethod::Random)
    return failure(Exit::Usage, "--seed is for --method=random",
                   "leave it out");
  auto result = convertHeads(conversion);
  if (!result && conversionWasInterrupted())
    // The handlers are gone after the first signal: this ends the process the
    // way that its parent expects, unless the parent ignores the signal.
    std::raise(SIGINT);
  if (!result)
    return result.takeError();
  print(conversion, *result);
  return llvm::Error::success();
}

void ConvertHeadsVerb::print(const HeadConversion &conversion,
                             const HeadConversionResult &result) const {
  const importer::HeadSizes &sizes = result.before;
  // K and V of each layer, in f32 as imported graphs keep them.
  int64_t perHead = sizes.layers * 2 * sizes.headSize * 4;
  int64_t after = conversion.groups;
  llvm::outs() << "key/value heads: " << sizes.groups << " -> " << after
               << " for " << sizes.heads << " query heads\n"
               << "converted: " << result.tensors << " tensors of "
               << sizes.layers << " layers, by " << method << "\n"
               << "cache: " << perHead * sizes.groups << " -> "
               << perHead * after << " bytes per token (f32)\n"
               << "tensors: " << result.bytesBefore << " -> "
               << result.bytesAfter << " bytes\n";
  if (!result.leftOut.empty())
    llvm::outs() << "left out: " << llvm::join(result.leftOut, ", ") << "\n";
}

} // namespace

std::unique_ptr<Verb> createConvertHeadsVerb() {
  return std::make_unique<ConvertHeadsVerb>();
}

} // namespace einhead::tool
