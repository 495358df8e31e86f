//===- VerbRun.cpp - einhead run --------------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Decode.h"
#include "FunctionRun.h"
#include "Source.h"
#include "Tool.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

namespace cl = llvm::cl;

namespace einhead::tool {
namespace {

class RunVerb final : public Verb {
public:
  RunVerb() : Verb("run", "Run a function and check it, or decode tokens") {}
  llvm::Error run() override;

private:
  llvm::Expected<RunOptions> runOptions();
  llvm::Expected<DecodeOptions> decodeOptions(const Bindings &sizes);
  llvm::Error runModule(const std::string &path, const std::string &parameters,
                        mlir::ModuleOp graph, bool isCompiledHere,
                        RunOptions &options);
  llvm::Error runSource();
  bool isDecoding() const {
    return tokens.getNumOccurrences() || steps.getNumOccurrences();
  }

  cl::opt<std::string> file{
      cl::Positional, cl::desc("FILE.mlir or MODULE.einhead"), cl::Required,
      cl::sub(command), cl::cat(optionCategory())};
  Option<std::string> function{command, "function", "name", "Which one to run"};
  ListOption<std::string> inputs{command, "input", "...",
                                 "name=file.npy, name=random:SEED, name=zeros"};
  ListOption<std::string> outputs{command, "output", "...",
                                  "name=file.npy: write an output there"};
  Option<uint64_t> seed{command, "seed", "N", "Of random inputs and caches"};
  Option<int64_t> length{command, "length", "N",
                         "Valid keys before the call (random)"};
  Option<bool> poison{command, "poison", "",
                      "NaN in cache rows past the length"};
  Option<int> repeat{command, "repeat", "N", "Calls to time (10)", 10};
  Option<int> threads{command, "threads", "N", "OpenMP threads, 0 = all cores"};
  Option<bool> check{command, "check", "", "Compare with the oracle (true)",
                     true};
  Option<double> perturb{command, "perturb", "X",
                         "Add X to an output: the check must fail"};
  Option<std::string> parameters{command, "parameters", "path",
                                 "Safetensors file, or a folder of them"};
  ListOption<int64_t> tokens{command, "tokens", "71,101,...",
                             "Feed these one by one", cl::CommaSeparated};
  Option<int64_t> steps{command, "steps", "N", "Then choose N tokens greedily"};
  Option<std::string> logits{command, "logits", "file.npy",
                             "Write all logits there"};
  Option<std::string> golden{command, "golden", "file.safetensors",
                             "Compare with these logits and tokens"};
  Option<double> tolerance{command, "tolerance", "X",
                           "Largest logit error (0.001)", 1e-3};
  Option<std::string> stream{command, "stream", "bytes|ids",
                             "Print bytes as they come, or ids", "ids"};
  Option<bool> json{command, "json", "", "Print JSON (with --tokens)"};
  Option<bool> quiet{command, "quiet", "", "No statistics (with --tokens)"};
  CompileFlags flags{command};
};

llvm::Expected<RunOptions> RunVerb::runOptions() {
  auto sizes = parseSizes(flags.sizes);
  if (!sizes)
    return sizes.takeError();
  if (threads < 0 || repeat < 0)
    return failure(Exit::Usage, "--threads and --repeat are not negative",
                   "--threads=0 means all cores");
  RunOptions options;
  options.function = function;
  options.sizes = *sizes;
  options.inputs = inputs;
  options.outputs = outputs;
  options.seed = seed;
  options.repeat = repeat;
  options.threads = threads;
  if (length.getNumOccurrences())
    options.length = length;
  options.poison = poison;
  options.perturb = perturb;
  return options;
}

llvm::Expected<DecodeOptions> RunVerb::decodeOptions(const Bindings &sizes) {
  if (tokens.empty() || steps < 0)
    return failure(Exit::Usage, "decoding starts from at least one token",
                   "write for example --tokens=71,101 --steps=20");
  if (stream != "bytes" && stream != "ids")
    return failure(Exit::Usage, "no stream '" + stream + "'",
                   "--stream=bytes or --stream=ids");
  DecodeOptions options;
  options.function = function;
  options.tokens = tokens;
  options.steps = steps;
  options.sizes = sizes;
  options.threads = threads;
  options.logitsFile = logits;
  options.goldenFile = golden;
  options.tolerance = tolerance;
  options.streamBytes = stream == "bytes";
  options.json = json;
  options.quiet = quiet;
  options.perturb = perturb;
  return options;
}

/// Every size must name a dimension of the module.
llvm::Error checkNames(const Manifest &manifest, const Bindings &sizes) {
  std::vector<std::string> names;
  for (const Function &function : manifest.functions)
    for (std::string &name : namesIn(function))
      if (!llvm::is_contained(names, name))
        names.push_back(std::move(name));
  for (const auto &[name, extent] : sizes)
    if (!llvm::is_contained(names, name))
      return failure(
          Exit::Usage, "--size: no dimension '" + name + "' in the module",
          names.empty() ? "all its dimensions are static"
                        : "the names are " + llvm::join(names, ", "));
  return llvm::Error::success();
}

llvm::Error RunVerb::runModule(const std::string &path,
                               const std::string &parameterPath,
                               mlir::ModuleOp graph, bool isCompiledHere,
                               RunOptions &options) {
  auto module = Module::open(path, parameterPath);
  if (!module)
    return module.takeError();
  if (!isCompiledHere)
    if (llvm::Error error = checkNames(module->manifest(), options.sizes))
      return error;
  if (!isDecoding())
    return FunctionRun(*module, options).run(graph);
  auto decoding = decodeOptions(options.sizes);
  if (!decoding)
    return decoding.takeError();
  return decode(*module, *decoding);
}

llvm::Error RunVerb::runSource() {
  auto options = runOptions();
  if (!options)
    return options.takeError();
  auto compileOptions = flags.options();
  if (!compileOptions)
    return compileOptions.takeError();
  auto source = Source::load(file);
  if (!source)
    return source.takeError();
  options->parameterPaths = parameters.empty()
                                ? (*source)->parameterFiles()
                                : std::vector<std::string>{parameters};
  for (const std::string &name : options->parameterPaths)
    compileOptions->parameterFiles.push_back(
        llvm::sys::path::filename(name).str());
  mlir::OwningOpRef<mlir::ModuleOp> graph;
  if (check && !isDecoding()) {
    auto specialized = (*source)->specialized(compileOptions->sizes);
    if (!specialized)
      return specialized.takeError();
    graph = std::move(*specialized);
  }
  auto bytes = (*source)->compile(EmitKind::Module, *compileOptions);
  if (!bytes)
    return bytes.takeError();
  auto module = TemporaryFile::create(*bytes);
  if (!module)
    return module.takeError();
  // One file is opened as it is, several through their folder.
  std::string path;
  if (options->parameterPaths.size() == 1)
    path = options->parameterPaths[0];
  else if (!options->parameterPaths.empty())
    path = llvm::sys::path::parent_path(options->parameterPaths[0]).str();
  if (path.empty() && !options->parameterPaths.empty())
    path = ".";
  return runModule(module->name(), path, graph ? *graph : mlir::ModuleOp(),
                   /*isCompiledHere=*/true, *options);
}

llvm::Error RunVerb::run() {
  if (file == "-")
    return runSource();
  auto buffer = readFile(file);
  if (!buffer)
    return buffer.takeError();
  if (!isModuleFile((*buffer)->getBuffer()))
    return runSource();
  if (check.getNumOccurrences() && check)
    return failure(Exit::Usage,
                   "a module file cannot be checked: it has no "
                   "graph to compare with",
                   "give the .mlir file, or leave --check out");
  auto options = runOptions();
  if (!options)
    return options.takeError();
  return runModule(file, parameters, {}, /*isCompiledHere=*/false, *options);
}

} // namespace

std::unique_ptr<Verb> createRunVerb() { return std::make_unique<RunVerb>(); }

} // namespace einhead::tool
