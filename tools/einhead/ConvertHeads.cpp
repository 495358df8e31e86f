//===- ConvertHeads.cpp - Checkpoints with fewer K/V heads ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The files of a head conversion.  Everything is checked before the first byte
// is written; then a sibling of the output's folder is filled, and renamed at
// the end.  The numbers are HeadPooling's.
//
//===----------------------------------------------------------------------===//

#include "ConvertHeads.h"
#include "ConvertHeadsConfig.h"
#include "File.h"
#include "ImportJSON.h"
#include "SafetensorsWriter.h"
#include "TemporaryFolder.h"
#include "Tool.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"
#include <atomic>
#include <cstring>
#include <set>

namespace einhead::tool {

using namespace importer;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

static std::atomic<bool> interrupted{false};

bool conversionWasInterrupted() { return interrupted; }

namespace {

/// How far the work is, on standard error: often on a terminal, in tenths for
/// a log where the work is long, else not at all.
class Progress {
public:
  explicit Progress(int64_t total) : total(total) {
    if (llvm::sys::Process::StandardErrIsDisplayed())
      step = 1;
    else if (total >= int64_t(1) << 30)
      step = 10;
  }
  ~Progress() {
    if (step == 1 && shown > 0)
      llvm::errs() << "\r\033[K";
  }

  llvm::Error advance(int64_t bytes) {
    if (interrupted)
      return failure(Exit::Internal, "interrupted; nothing was written");
    done += bytes;
    int64_t percent = total ? done * 100 / total : 100;
    if (step == 0 || percent / step == shown / step)
      return llvm::Error::success();
    shown = percent;
    llvm::errs() << (step == 1 ? "\r" : "") << "einhead: " << shown << " % of "
                 << (total >> 20) << " MiB" << (step == 1 ? "" : "\n");
    return llvm::Error::success();
  }

private:
  int64_t total, done = 0, shown = 0, step = 0;
};

class Converter {
public:
  explicit Converter(const HeadConversion &conversion)
      : conversion(conversion) {}

  llvm::Expected<HeadConversionResult> run();

private:
  llvm::Error readInput();
  /// Decides what each tensor becomes.
  llvm::Error plan();
  llvm::Error planProjection(const std::string &name, bool isBias);
  llvm::Error checkOtherTensors() const;
  /// Files that are neither configuration nor weights.
  llvm::Error findOthers();
  llvm::Error writeOutput(llvm::StringRef folder);
  llvm::Error writeIndex(llvm::StringRef folder) const;

  std::string inputFile(const llvm::Twine &name) const {
    llvm::SmallString<128> full(conversion.input);
    path::append(full, name);
    return std::string(full);
  }

  const HeadConversion &conversion;
  HeadConversionResult result;
  std::string configText;
  Checkpoint checkpoint;
  /// By the file that the tensors are in.
  std::map<std::string, std::vector<OutgoingTensor>> outgoing;
  std::map<std::string, OutgoingTensor> projections;
  std::vector<std::string> others;
};

} // namespace

static llvm::Error invalid(llvm::Error error) {
  return failure(Exit::Invalid, llvm::toString(std::move(error)));
}

/// Refuses an output that would overwrite something.
static llvm::Error checkFolders(const HeadConversion &conversion) {
  if (!fs::is_directory(conversion.input))
    return failure(Exit::Invalid,
                   "'" + conversion.input + "' is not a directory",
                   "give the folder that holds config.json and the "
                   "safetensors files");
  if (fs::equivalent(conversion.input, conversion.output))
    return failure(Exit::Usage,
                   "'" + conversion.output + "' is the input as well",
                   "a checkpoint is not changed in place; name a new folder");
  if (!fs::exists(conversion.output))
    return llvm::Error::success();
  std::error_code code;
  bool isEmpty = fs::is_directory(conversion.output) &&
                 fs::directory_iterator(conversion.output, code) ==
                     fs::directory_iterator();
  if (!isEmpty || code)
    return failure(Exit::Usage,
                   "'" + conversion.output + "' exists and is " +
                       (fs::is_directory(conversion.output) ? "not empty"
                                                            : "no directory"),
                   "name a new folder, or an empty one");
  return llvm::Error::success();
}

llvm::Error Converter::readInput() {
  std::string configPath = inputFile("config.json");
  auto sizes = readHeadSizes(configPath);
  if (!sizes)
    return invalid(sizes.takeError());
  result.before = *sizes;
  if (sizes->groups % conversion.groups != 0)
    return failure(Exit::Usage,
                   "--kv-heads=" + llvm::Twine(conversion.groups) +
                       " does not divide the " + llvm::Twine(sizes->groups) +
                       " key/value heads of '" + conversion.input + "'",
                   "it can be pooled into " + possibleGroups(sizes->groups));
  auto config = readFile(configPath);
  if (!config)
    return config.takeError();
  auto changed = withGroups((*config)->getBuffer(), conversion.groups);
  if (!changed)
    return failure(Exit::Invalid, "'" + configPath + "': " +
                                      llvm::toString(changed.takeError()));
  configText = *changed;
  auto read = readCheckpoint(conversion.input);
  if (!read)
    return invalid(read.takeError());
  checkpoint = std::move(*read);
  return llvm::Error::success();
}

llvm::Error Converter::planProjection(const std::string &name, bool isBias) {
  const HeadSizes &sizes = result.before;
  llvm::SmallVector<int64_t, 4> shape = {sizes.groups * sizes.headSize};
  if (!isBias)
    shape.push_back(sizes.hidden);
  auto info = checkpoint.find(name, shape);
  if (!info)
    return invalid(info.takeError());
  // find() has refused what is none of the three.
  HeadElement type = llvm::StringSwitch<HeadElement>((*info)->dtype)
                         .Case("F32", HeadElement::F32)
                         .Case("F16", HeadElement::F16)
                         .Case("BF16", HeadElement::BF16);
  HeadAxis axis;
  axis.heads = sizes.groups;
  axis.groups = conversion.groups;
  axis.inner = sizes.headSize * (isBias ? 1 : sizes.hidden);

  OutgoingTensor &tensor = projections[name];
  shape[0] = conversion.groups * sizes.headSize;
  tensor.shape = shape;
  tensor.bytes = axis.resultCount() * int64_t(sizeOf(type));
  if (conversion.method != HeadMethod::Random)
    tensor.convert = [=, method = conversion.method](const char *from,
                                                     char *to) {
      poolHeads(method, type, axis, from, to);
    };
  else if (isBias) // As models are initialised: biases start at 0.
    tensor.convert = [bytes = tensor.bytes](const char *, char *to) {
      std::memset(to, 0, bytes);
    };
  else
    tensor.convert = [=, seed = conversion.seed,
                      deviation = sizes.initializerRange](const char *,
                                                          char *to) {
      drawNormal(type, axis.resultCount(), deviation, seed, name, to);
    };
  return llvm::Error::success();
}

/// A tensor of a self-attention that is neither a known one nor free of K/V
/// heads would be left at odds with the others.
llvm::Error Converter::checkOtherTensors() const {
  const HeadSizes &sizes = result.before;
  for (const auto &entry : checkpoint.tensors) {
    llvm::StringRef name = entry.getKey(), rest = name;
    if (!rest.consume_front("model.layers.") || projections.count(name.str()))
      continue;
    int64_t layer = -1;
    if (rest.consumeInteger(10, layer) || layer >= sizes.layers)
      return failure(Exit::Invalid,
                     "'" + entry.second.file + "': tensor '" + name +
                         "' is of no layer; config.json has " +
                         llvm::Twine(sizes.layers),
                     "are both of one model?");
    if (!rest.consume_front(".self_attn."))
      continue;
    bool isHeadNorm =
        rest == "k_norm.weight" &&
        llvm::ArrayRef<int64_t>(entry.second.shape).equals({sizes.headSize});
    if (!isHeadNorm && !rest.starts_with("q_") && !rest.starts_with("o_") &&
        !rest.starts_with("rotary_emb."))
      return failure(Exit::Unsupported,
                     "'" + entry.second.file + "': tensor '" + name + "' " +
                         shapeText(entry.second.shape) +
                         " may depend on the key/value heads",
                     "k_proj, v_proj and their biases are converted, and a "
                     "k_norm of one head is kept");
  }
  return llvm::Error::success();
}

llvm::Error Converter::plan() {
  for (int64_t layer = 0; layer != result.before.layers; ++layer)
    for (const char *kind : {"k", "v"}) {
      std::string name = "model.layers." + std::to_string(layer) +
                         ".self_attn." + kind + "_proj.";
      if (llvm::Error error = planProjection(name + "weight", false))
        return error;
      if (checkpoint.tensors.contains(name + "bias"))
        if (llvm::Error error = planProjection(name + "bias", true))
          return error;
    }
  result.tensors = int64_t(projections.size());
  if (llvm::Error error = checkOtherTensors())
    return error;
  for (const auto &entry : checkpoint.tensors) {
    const TensorInfo &info = entry.second;
    OutgoingTensor tensor;
    auto projection = projections.find(entry.getKey().str());
    if (projection != projections.end())
      tensor = projection->second;
    else
      tensor.shape = info.shape, tensor.bytes = info.bytes;
    tensor.name = entry.getKey().str();
    tensor.from = &info;
    result.bytesBefore += info.bytes;
    result.bytesAfter += tensor.bytes;
    outgoing[info.file].push_back(std::move(tensor));
  }
  return llvm::Error::success();
}

/// Whether a file holds weights, or speaks of those in another form.
static bool isOfWeights(llvm::StringRef name) {
  // params.json has the heads of the weights in consolidated.*.
  if (name.ends_with(".index.json") || name == "params.json")
    return true;
  return llvm::StringSwitch<bool>(path::extension(name).lower())
      .Cases({".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf"}, true)
      .Cases({".h5", ".msgpack", ".onnx", ".onnx_data", ".npz"}, true)
      .Default(false);
}

llvm::Error Converter::findOthers() {
  std::set<std::string> read = {"config.json"};
  read.insert(path::filename(checkpoint.source).str());
  for (const std::string &file : checkpoint.files)
    read.insert(path::filename(file).str());
  std::error_code code;
  fs::directory_iterator it(conversion.input, code), end;
  for (; !code && it != end; it.increment(code)) {
    std::string name = path::filename(it->path()).str();
    // Links are followed: caches of downloads consist of them.
    if (read.count(name) || name.front() == '.' ||
        !fs::is_regular_file(it->path()))
      continue;
    (isOfWeights(name) ? result.leftOut : others).push_back(name);
  }
  if (code)
    return failure(Exit::Invalid, "cannot read the folder '" +
                                      conversion.input +
                                      "': " + code.message());
  llvm::sort(result.leftOut);
  llvm::sort(others);
  return llvm::Error::success();
}

llvm::Error Converter::writeIndex(llvm::StringRef folder) const {
  auto text = readFile(checkpoint.source);
  if (!text)
    return text.takeError();
  auto value = parseJSON((*text)->getBuffer());
  if (!value || !value->getAsObject())
    return failure(Exit::Invalid,
                   "'" + checkpoint.source + "' changed while it was read");
  llvm::json::Object &index = *value->getAsObject();
  if (!index.getObject("metadata"))
    index["metadata"] = llvm::json::Object{};
  llvm::json::Object &metadata = *index.getObject("metadata");
  metadata["total_size"] = result.bytesAfter;
  if (metadata.get("total_parameters")) {
    int64_t count = 0;
    for (const auto &[file, tensors] : outgoing)
      for (const OutgoingTensor &tensor : tensors) {
        int64_t elements = 1;
        for (int64_t extent : tensor.shape)
          elements *= extent;
        count += elements;
      }
    metadata["total_parameters"] = count;
  }
  llvm::SmallString<128> to(folder);
  path::append(to, path::filename(checkpoint.source));
  return writeFile(to, llvm::formatv("{0:2}\n", *value).str());
}

llvm::Error Converter::writeOutput(llvm::StringRef folder) {
  auto outputFile = [&](llvm::StringRef from) {
    llvm::SmallString<128> to(folder);
    path::append(to, path::filename(from));
    return std::string(to);
  };
  if (llvm::Error error = writeFile(outputFile("config.json"), configText))
    return error;
  for (const std::string &name : others)
    if (std::error_code code = fs::copy_file(inputFile(name), outputFile(name)))
      return failure(Exit::Invalid,
                     "cannot copy '" + inputFile(name) + "': " + code.message(),
                     "check the permissions and the free space");
  Progress progress(result.bytesBefore);
  for (const std::string &file : checkpoint.files)
    if (llvm::Error error = writeSafetensors(
            outputFile(file), file, std::move(outgoing[file]),
            checkpoint.metadata.lookup(file),
            [&](int64_t bytes) { return progress.advance(bytes); }))
      return error;
  return llvm::Error::success();
}

llvm::Expected<HeadConversionResult> Converter::run() {
  if (llvm::Error error = checkFolders(conversion))
    return error;
  if (llvm::Error error = readInput())
    return error;
  if (llvm::Error error = plan())
    return error;
  if (llvm::Error error = findOthers())
    return error;
  // A first signal only asks the work to stop, so that the folder goes.
  llvm::sys::SetInterruptFunction([] { interrupted = true; });
  auto folder = TemporaryFolder::createBeside(conversion.output);
  if (!folder)
    return folder.takeError();
  // The index needs the plan, which writing the shards takes apart.
  if (path::extension(checkpoint.source) == ".json")
    if (llvm::Error error = writeIndex(folder->name()))
      return error;
  if (llvm::Error error = writeOutput(folder->name()))
    return error;
  if (llvm::Error error = Progress(0).advance(0))
    return error;
  if (llvm::Error error = folder->keep(conversion.output))
    return error;
  return std::move(result);
}

llvm::Expected<HeadConversionResult>
convertHeads(const HeadConversion &conversion) {
  return Converter(conversion).run();
}

} // namespace einhead::tool
