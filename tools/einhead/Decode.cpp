//===- Decode.cpp - Greedy decoding with a module ---------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Decode.h"
#include "ReadFloor.h"
#include "Safetensors.h"
#include "Tool.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <cstring>

namespace einhead::tool {
namespace {

/// How the logits differ from those of a golden file.
struct GoldenResult {
  int64_t compared = 0;
  double worst = 0;
  int64_t worstRow = 0;
  int64_t tokenMismatches = 0;
  bool pass = false;
};

class Decoder {
public:
  Decoder(const Module &module, const Function &function,
          const DecodeOptions &options)
      : module(module), function(function), options(options) {}
  llvm::Error run();

private:
  llvm::Error prepare();
  llvm::Error step(int64_t token);
  llvm::Error compareGolden();
  int64_t best() const;
  void stream(int64_t token) const;
  void print();
  double cacheBytesPerToken() const;
  double bytesReadAt(int64_t valid) const;

  const Module &module;
  const Function &function;
  const DecodeOptions &options;
  Bindings sizes;
  std::unique_ptr<CallTensors> tensors;
  std::unique_ptr<Session> session;
  std::vector<double> seconds;
  HostTensor logits; ///< [calls, vocabulary]
  int64_t vocabulary = 0, calls = 0, done = 0;
  std::vector<int64_t> fed, chosen;
  GoldenResult golden;
};

llvm::Error Decoder::prepare() {
  sizes = options.sizes;
  calls = static_cast<int64_t>(options.tokens.size()) + options.steps -
          (options.steps > 0);
  // Capacities that were not given hold just what is needed, batches are 1.
  for (const Argument &argument : function.arguments)
    for (size_t d = 0; d < argument.shape.size(); ++d) {
      const std::string &name = argument.shape[d].name;
      if (!name.empty() && argument.kind == "cache" && !sizes.count(name))
        sizes[name] = static_cast<int>(d) == argument.append
                          ? std::max<int64_t>(calls, 1)
                          : 1;
    }
  for (const Argument &argument : function.arguments)
    for (const Dimension &dimension : argument.shape)
      if (dimension.name == "b")
        sizes.emplace("b", 1);
  auto made = CallTensors::create(function, sizes);
  if (!made)
    return made.takeError();
  tensors = std::move(*made);
  if (tensors->inputs.size() != 1 || tensors->outputs.empty() ||
      isFloat(tensors->inputs[0].type) || !isFloat(tensors->outputs[0].type))
    return failure(Exit::Usage,
                   "function '" + function.name +
                       "' does not take one tensor of tokens and return logits",
                   "--tokens is for modules that 'einhead import' wrote; leave "
                   "it out to run a function once");
  vocabulary =
      tensors->outputs[0].shape.empty() ? 0 : tensors->outputs[0].shape.back();
  if (tensors->inputs[0].elementCount() != 1 ||
      tensors->outputs[0].elementCount() != vocabulary || vocabulary == 0)
    return failure(Exit::Unsupported, "greedy decoding takes a batch of 1",
                   "give --size=b=1");
  auto created = Session::create(module, sizes, options.threads);
  if (!created)
    return created.takeError();
  session = std::make_unique<Session>(std::move(*created));
  logits = HostTensor(DataType::F32, {calls, vocabulary});
  return llvm::Error::success();
}

llvm::Error Decoder::step(int64_t token) {
  if (token < 0 || token >= vocabulary)
    return failure(Exit::Usage,
                   "token " + llvm::Twine(token) + " is not below " +
                       llvm::Twine(vocabulary),
                   "the tokens are numbers from 0");
  tensors->inputs[0].set(0, static_cast<double>(token));
  if (llvm::Error error = session->call(function.name, tensors->inputViews,
                                        tensors->outputViews))
    return error;
  seconds.push_back(session->seconds());
  for (int64_t i = 0; i < vocabulary; ++i)
    logits.set(done * vocabulary + i, tensors->outputs[0].at(i));
  fed.push_back(token);
  ++done;
  return llvm::Error::success();
}

/// The first token with the largest logit of the last call.
int64_t Decoder::best() const {
  int64_t best = 0;
  double largest = -HUGE_VAL;
  for (int64_t i = 0; i < vocabulary; ++i)
    if (double logit = tensors->outputs[0].at(i); logit > largest) {
      largest = logit;
      best = i;
    }
  return best;
}

void Decoder::stream(int64_t token) const {
  if (options.json || !options.streamBytes)
    return;
  llvm::outs() << static_cast<char>(token);
  llvm::outs().flush();
}

llvm::Error Decoder::compareGolden() {
  if (options.goldenFile.empty())
    return llvm::Error::success();
  Safetensors file;
  if (llvm::Error error = file.add(options.goldenFile))
    return error;
  auto wantedLogits = file.get("logits");
  if (!wantedLogits)
    return wantedLogits.takeError();
  auto wantedTokens = file.get("tokens");
  if (!wantedTokens)
    return wantedTokens.takeError();
  if (wantedLogits->shape.size() != 2 || wantedLogits->shape[1] != vocabulary)
    return failure(Exit::Invalid,
                   options.goldenFile + ": 'logits' is " +
                       describe(wantedLogits->type, wantedLogits->shape) +
                       ", wanted [steps, " + llvm::Twine(vocabulary) + "]",
                   "use the golden file of this model");
  golden.compared = std::min(calls, wantedLogits->shape[0]);
  golden.pass = golden.compared > 0;
  for (int64_t i = 0; i < golden.compared * vocabulary; ++i) {
    double error = std::abs(logits.at(i) - wantedLogits->at(i));
    if (!(error <= golden.worst)) { // also where it is NaN
      golden.worst = std::isnan(error) ? HUGE_VAL : error;
      golden.worstRow = i / vocabulary;
    }
  }
  std::vector<int64_t> all = options.tokens;
  all.insert(all.end(), chosen.begin(), chosen.end());
  int64_t count = std::min<int64_t>(all.size(), wantedTokens->elementCount());
  for (int64_t i = 0; i < count; ++i)
    golden.tokenMismatches += all[i] != wantedTokens->at(i);
  golden.pass &= golden.worst <= options.tolerance && !golden.tokenMismatches;
  return llvm::Error::success();
}

/// One session's cache bytes that a token adds.
double Decoder::cacheBytesPerToken() const {
  double bytes = 0;
  std::vector<std::string> missing;
  for (const Argument &argument : function.arguments) {
    if (argument.kind != "cache" || argument.append < 0)
      continue;
    double product = static_cast<double>(sizeOf(argument.type));
    std::vector<int64_t> extents = argument.extents(sizes, missing);
    for (size_t d = 0; d < extents.size(); ++d)
      if (static_cast<int>(d) != argument.append)
        product *= static_cast<double>(extents[d]);
    bytes += product;
  }
  return bytes;
}

double Decoder::bytesReadAt(int64_t valid) const {
  double bytes = 0;
  for (const TrafficTerm &term : function.traffic) {
    double product = static_cast<double>(term.bytes);
    for (const std::string &name : term.dimensions) {
      auto bound = sizes.find(name);
      if (name == "valid")
        product *= static_cast<double>(valid);
      else if (bound != sizes.end())
        product *= static_cast<double>(bound->second);
    }
    bytes += product;
  }
  return bytes;
}

void Decoder::print() {
  double microseconds = median(seconds) * 1e6;
  double perSecond = microseconds > 0 ? 1e6 / microseconds : 0;
  if (options.json) {
    llvm::json::OStream os(llvm::outs());
    os.object([&] {
      os.attribute("tokens", llvm::json::Array(chosen));
      os.attribute("calls", calls);
      os.attribute("step_us", microseconds);
      os.attribute("tokens_per_second", perSecond);
      os.attribute("cache_bytes_per_token", cacheBytesPerToken());
      if (!function.traffic.empty())
        os.attribute("kv_bytes_last_step", bytesReadAt(calls));
      if (!options.goldenFile.empty()) {
        os.attribute("golden_steps", golden.compared);
        os.attribute("golden_worst_error",
                     std::isinf(golden.worst) ? 1e300 : golden.worst);
        os.attribute("golden_token_mismatches", golden.tokenMismatches);
        os.attribute("golden_pass", golden.pass);
      }
    });
    llvm::outs() << "\n";
    return;
  }
  llvm::raw_ostream &os = llvm::outs();
  if (options.streamBytes)
    os << "\n";
  if (!options.quiet) {
    if (!options.streamBytes)
      os << "tokens: "
         << llvm::join(llvm::map_range(
                           chosen, [](int64_t t) { return std::to_string(t); }),
                       ",")
         << "\n";
    os << llvm::format("%lld steps, median %.1f us per step, %.0f tokens/s\n",
                       static_cast<long long>(calls), microseconds, perSecond)
       << llvm::format("cache: %.0f bytes per token", cacheBytesPerToken());
    if (!function.traffic.empty())
      os << llvm::format("; K and V read at the last step: %.0f bytes",
                         bytesReadAt(calls));
    os << "\n";
  }
  if (!options.goldenFile.empty())
    os << llvm::format("golden: %lld steps, largest logit error %.3g (step "
                       "%lld, tolerance %.3g), %lld tokens differ: %s\n",
                       static_cast<long long>(golden.compared), golden.worst,
                       static_cast<long long>(golden.worstRow),
                       options.tolerance,
                       static_cast<long long>(golden.tokenMismatches),
                       golden.pass ? "PASS" : "FAIL");
}

llvm::Error Decoder::run() {
  if (llvm::Error error = prepare())
    return error;
  for (int64_t token : options.tokens) {
    stream(token);
    if (llvm::Error error = step(token))
      return error;
  }
  for (int64_t i = 0; i < options.steps; ++i) {
    chosen.push_back(best());
    stream(chosen.back());
    if (i + 1 == options.steps)
      break;
    if (llvm::Error error = step(chosen.back()))
      return error;
  }
  if (options.perturb != 0 && calls > 0)
    logits.set(0, logits.at(0) + options.perturb);
  if (!options.logitsFile.empty())
    if (llvm::Error error = writeNpy(options.logitsFile, logits))
      return error;
  if (llvm::Error error = compareGolden())
    return error;
  print();
  if (!options.goldenFile.empty() && !golden.pass)
    return failure(Exit::Wrong,
                   "the logits are not those of '" + options.goldenFile + "'");
  return llvm::Error::success();
}

} // namespace

llvm::Error decode(const Module &module, const DecodeOptions &options) {
  auto function = module.manifest().function(options.function);
  if (!function)
    return function.takeError();
  return Decoder(module, **function, options).run();
}

} // namespace einhead::tool
