//===- VerbCompile.cpp - einhead compile ------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Source.h"
#include "Tool.h"
#include "einhead/Pipelines/CPU.h"
#include "llvm/Support/Path.h"

namespace cl = llvm::cl;

namespace einhead::tool {
namespace {

class CompileVerb final : public Verb {
public:
  CompileVerb() : Verb("compile", "Compile an MLIR file to a module") {}
  llvm::Error run() override;

private:
  llvm::Error checkLevels() const;

  cl::opt<std::string> file{cl::Positional, cl::desc("FILE.mlir"), cl::Required,
                            cl::sub(command), cl::cat(optionCategory())};
  cl::opt<std::string> output{"o",
                              cl::desc("Output file, - for stdout"),
                              cl::value_desc("file"),
                              cl::Required,
                              cl::sub(command),
                              cl::cat(optionCategory())};
  cl::opt<EmitKind> emit{
      "emit",
      cl::desc("What to write (default: module)"),
      cl::init(EmitKind::Module),
      cl::values(clEnumValN(EmitKind::Module, "module", "a module file"),
                 clEnumValN(EmitKind::MLIR, "mlir", "MLIR text"),
                 clEnumValN(EmitKind::LLVM, "llvm", "LLVM IR text"),
                 clEnumValN(EmitKind::Object, "obj", "an object file"),
                 clEnumValN(EmitKind::SharedObject, "so", "a shared object"),
                 clEnumValN(EmitKind::PTX, "ptx", "the kernels, as PTX")),
      cl::sub(command),
      cl::cat(optionCategory())};
  cl::opt<std::string> stopAfter{
      "stop-after",
      cl::desc("With --emit=mlir, the last level: attention, shared, "
               "scheduled, tiled, vector, llvm"),
      cl::value_desc("level"), cl::sub(command), cl::cat(optionCategory())};
  cl::opt<std::string> from{
      "from",
      cl::desc("The level that FILE.mlir is at (default: graph), as written "
               "by --stop-after or --dump-stages"),
      cl::value_desc("level"), cl::sub(command), cl::cat(optionCategory())};
  cl::opt<std::string> dumpStages{
      "dump-stages", cl::desc("Write the IR after each level there"),
      cl::value_desc("folder"), cl::sub(command), cl::cat(optionCategory())};
  cl::list<std::string> parameters{
      "parameters",
      cl::desc("Safetensors files, instead of the input's attn.parameters"),
      cl::value_desc("file,..."),
      cl::CommaSeparated,
      cl::sub(command),
      cl::cat(optionCategory())};
  CompileFlags flags{command};
};

/// The levels of --from and --stop-after exist and lie in this order.
llvm::Error CompileVerb::checkLevels() const {
  std::optional<Level> start = Level::Graph;
  if (!from.empty() && from != "graph")
    start = parseLevel(from);
  std::optional<Level> last = parseLevel(stopAfter);
  if (!start || !last)
    return failure(Exit::Usage,
                   "no level '" + (start ? stopAfter : from).getValue() + "'",
                   "the levels are attention, shared, scheduled, tiled, "
                   "vector, llvm");
  if (*start == Level::Graph)
    return llvm::Error::success();
  if (!stopAfter.empty() && *start >= *last)
    return failure(Exit::Usage,
                   "--stop-after=" + stopAfter +
                       " does not lie "
                       "after --from=" +
                       from,
                   "give a later level, or no --stop-after");
  if (!flags.sizes.empty())
    return failure(Exit::Usage, "--size with --from=" + from,
                   "sizes are given where the graph is compiled");
  return llvm::Error::success();
}

llvm::Error CompileVerb::run() {
  auto options = flags.options();
  if (!options)
    return options.takeError();
  EmitKind kind = emit;
  if (kind == EmitKind::PTX && options->target != "cuda")
    return failure(Exit::Usage, "--emit=ptx without --target=cuda",
                   "only code for a GPU is PTX");
  if (!stopAfter.empty()) {
    if (kind != EmitKind::MLIR && emit.getNumOccurrences())
      return failure(Exit::Usage, "--stop-after needs --emit=mlir",
                     "give --emit=mlir, or no --stop-after");
    kind = EmitKind::MLIR;
  }
  if (llvm::Error error = checkLevels())
    return error;
  options->stopAfter = stopAfter;
  options->startFrom = from;
  options->dumpStages = dumpStages;

  auto source = Source::load(file);
  if (!source)
    return source.takeError();
  std::vector<std::string> files = parameters.empty()
                                       ? (*source)->parameterFiles()
                                       : std::vector<std::string>(parameters);
  for (const std::string &name : files)
    options->parameterFiles.push_back(
        relativePath(name, llvm::sys::path::parent_path(output)));
  auto bytes = (*source)->compile(kind, *options);
  if (!bytes)
    return bytes.takeError();
  return writeFile(output, *bytes);
}

} // namespace

std::unique_ptr<Verb> createCompileVerb() {
  return std::make_unique<CompileVerb>();
}

} // namespace einhead::tool
