//===- Source.cpp - MLIR files and how to compile them ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Source.h"
#include "Session.h"
#include "Tool.h"
#include "einhead/IR/ShapeNames.h"
#include "einhead/Target/GPUInfo.h"
#include "einhead/Target/TargetInfo.h"
#include "einhead/Transforms/ScheduleFile.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

namespace cl = llvm::cl;
namespace path = llvm::sys::path;

namespace einhead::tool {

ScheduleFlag::ScheduleFlag(cl::SubCommand &command)
    : cl::opt<std::string>(
          "schedules", cl::desc("Measured schedules, written by einhead tune"),
          cl::value_desc("file"), cl::sub(command), cl::cat(optionCategory())) {
}

CompileFlags::CompileFlags(cl::SubCommand &command)
    : target("target", cl::desc("What to compile for: cpu (default) or cuda"),
             cl::value_desc("kind"), cl::init("cpu"), cl::sub(command),
             cl::cat(optionCategory())),
      chip("chip", cl::desc("Target GPU: sm_80, sm_90a (default), ..."),
           cl::value_desc("name"), cl::sub(command), cl::cat(optionCategory())),
      cpu("cpu", cl::desc("Target CPU: host, x86-64-v3, znver4, ..."),
          cl::value_desc("name,..."), cl::init("host"), cl::sub(command),
          cl::cat(optionCategory())),
      schedules(command),
      sizes("size", cl::desc("Extents of named dimensions: b=1,h=8"),
            cl::value_desc("name=N,..."), cl::CommaSeparated, cl::sub(command),
            cl::cat(optionCategory())),
      noFuse("no-fuse", cl::desc("Do not recognise attention"),
             cl::sub(command), cl::cat(optionCategory())),
      noShareKV("no-share-kv", cl::desc("Load K and V once for each query row"),
                cl::sub(command), cl::cat(optionCategory())),
      requireFused("require-fused",
                   cl::desc("A softmax that is not fused is an error"),
                   cl::sub(command), cl::cat(optionCategory())),
      reproducer("reproducer",
                 cl::desc("Where a failed pass leaves its input (default: a "
                          "temporary file), or none"),
                 cl::value_desc("file"), cl::init("temp"), cl::sub(command),
                 cl::cat(optionCategory())) {}

/// The least CPU of this machine's architecture.
static std::string portableCPU() {
  llvm::Triple here(llvm::sys::getDefaultTargetTriple());
  return here.isAArch64() ? "generic" : "x86-64";
}

llvm::Expected<CompileOptions> CompileFlags::options() const {
  auto bindings = parseSizes(sizes);
  if (!bindings)
    return bindings.takeError();
  if (noFuse && requireFused)
    return failure(Exit::Usage,
                   "--no-fuse and --require-fused exclude each "
                   "other",
                   "give one of them");
  if (target != "cpu" && target != "cuda")
    return failure(Exit::Usage, "no target '" + target + "'",
                   "the targets are cpu and cuda");
  if (target == "cpu" && !chip.empty())
    return failure(Exit::Usage, "--chip=" + chip + " without --target=cuda",
                   "only a GPU is a chip; --cpu names the CPU");
  CompileOptions options;
  options.target = target;
  if (!chip.empty())
    options.chip = chip;
  options.cpu = cpu;
  // A module for a GPU does its work there: its host part runs anywhere.
  if (target == "cuda" && !cpu.getNumOccurrences())
    options.cpu = portableCPU();
  options.schedules = schedules;
  options.fuse = !noFuse;
  options.shareKV = !noShareKV;
  options.requireFused = requireFused;
  if (reproducer != "none")
    options.reproducer = reproducer;
  for (const auto &[name, extent] : *bindings)
    options.sizes.push_back({name, extent});
  return options;
}

Source::Source() {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  mlirContext = std::make_unique<mlir::MLIRContext>(registry);
  mlirContext->printOpOnDiagnostic(false);
  printer = std::make_unique<mlir::SourceMgrDiagnosticHandler>(
      sourceManager, mlirContext.get(), llvm::errs());
  counter = std::make_unique<mlir::ScopedDiagnosticHandler>(
      mlirContext.get(), [this](mlir::Diagnostic &diagnostic) {
        errorCount +=
            diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error;
        return mlir::failure(); // goes on to the printer
      });
}

Source::~Source() = default;

llvm::Error Source::parseBuffer(std::unique_ptr<llvm::MemoryBuffer> buffer) {
  sourceManager.AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  parsed =
      mlir::parseSourceFile<mlir::ModuleOp>(sourceManager, mlirContext.get());
  if (!parsed)
    return failure(Exit::Invalid, errorCount ? "" : name + ": no module",
                   "docs/Spec.md has the syntax and the constraints of the "
                   "attn ops");
  return llvm::Error::success();
}

llvm::Expected<std::unique_ptr<Source>> Source::load(llvm::StringRef path) {
  auto buffer = readFile(path);
  if (!buffer)
    return buffer.takeError();
  if (isModuleFile((*buffer)->getBuffer()))
    return failure(Exit::Usage, "'" + path + "' is a compiled module",
                   "give the .mlir file that it was compiled from");
  std::unique_ptr<Source> source(new Source);
  source->name = path.str();
  if (llvm::Error error = source->parseBuffer(std::move(*buffer)))
    return error;
  return source;
}

llvm::Expected<std::unique_ptr<Source>> Source::parse(llvm::StringRef text,
                                                      llvm::StringRef name) {
  std::unique_ptr<Source> source(new Source);
  source->name = name.str();
  if (llvm::Error error =
          source->parseBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, name)))
    return error;
  return source;
}

std::vector<std::string> Source::parameterFiles() {
  std::vector<std::string> files;
  auto names = module()->getAttrOfType<mlir::ArrayAttr>("attn.parameters");
  if (!names)
    return files;
  for (mlir::Attribute entry : names)
    if (auto file = llvm::dyn_cast<mlir::StringAttr>(entry)) {
      llvm::SmallString<128> joined;
      if (path::is_relative(file.getValue()))
        joined = path::parent_path(name);
      path::append(joined, file.getValue());
      files.push_back(joined.str().str());
    }
  return files;
}

/// The names that `attn.shape` gives the dimensions of arguments.
static std::vector<std::string> dimensionNames(mlir::ModuleOp module) {
  std::vector<std::string> names;
  module.walk([&](mlir::func::FuncOp function) {
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      auto text = function.getArgAttrOfType<mlir::StringAttr>(i, "attn.shape");
      auto shape = attn::parseShapeNames(text ? text.getValue() : "");
      if (mlir::failed(shape))
        continue;
      for (const attn::ShapeName &name : *shape)
        if (!name.name.empty() && !llvm::is_contained(names, name.name))
          names.push_back(name.name);
    }
  });
  return names;
}

llvm::Expected<std::string> Source::compile(EmitKind kind,
                                            const CompileOptions &options) {
  auto targets = TargetInfo::list(options.cpu);
  if (!targets)
    return failure(Exit::Usage, "--cpu: " + llvm::toString(targets.takeError()),
                   "--cpu=host compiles for this machine");
  if (targets->size() > 1 && kind != EmitKind::Module)
    return failure(Exit::Usage, "--cpu=" + options.cpu + " names several CPUs",
                   "only a module file holds code for several; name one");
  if (options.target == "cuda") {
    auto gpu = GPUInfo::get(options.chip);
    if (!gpu)
      return failure(Exit::Usage, "--chip: " + llvm::toString(gpu.takeError()),
                     "--chip=sm_90a compiles for an H100 or H200");
    if (targets->size() > 1)
      return failure(Exit::Usage,
                     "--cpu=" + options.cpu + " names several CPUs",
                     "beside a GPU one CPU runs the host part; name one");
  }
  std::vector<std::string> names = dimensionNames(module());
  for (const NamedSize &size : options.sizes)
    if (!llvm::is_contained(names, size.name))
      return failure(
          Exit::Usage, "--size: no dimension '" + size.name + "' in " + name,
          names.empty() ? "name dimensions with 'attn.shape'"
                        : "the names are " + llvm::join(names, ", "));
  if (!options.schedules.empty() &&
      mlir::failed(ScheduleFile::load(options.schedules, mlirContext.get())))
    return failure(Exit::Invalid, "",
                   "'einhead tune -o FILE' writes such a file; "
                   "docs/CommandLine.md shows an entry");
  errorCount = 0;
  auto bytes = einhead::compile(module(), kind, options);
  if (bytes)
    return bytes;
  std::error_code kindOfError;
  std::string message;
  llvm::handleAllErrors(bytes.takeError(), [&](const llvm::ErrorInfoBase &e) {
    kindOfError = e.convertToErrorCode();
    message = e.message();
  });
  Exit code = Exit::Unsupported;
  if (kindOfError == std::errc::invalid_argument)
    code = Exit::Invalid;
  else if (kindOfError == std::errc::no_such_file_or_directory)
    code = Exit::Missing;
  else if (kindOfError == std::errc::state_not_recoverable)
    code = Exit::Internal;
  if (!options.startFrom.empty() && code == Exit::Invalid)
    return failure(code, errorCount ? std::string() : message,
                   "docs/Pipeline.md says what holds at each level");
  return failure(code, errorCount ? std::string() : message,
                 name == "bench" || name == "tune"
                     ? "'einhead bench --print-graph' prints the graph"
                     : "'einhead explain " + name +
                           "' says what was recognised and why not");
}

llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>>
Source::specialized(llvm::ArrayRef<NamedSize> sizes) {
  mlir::OwningOpRef<mlir::ModuleOp> copy(module().clone());
  if (sizes.empty())
    return copy;
  std::string pipeline = "attn-specialize{sizes=";
  for (const NamedSize &size : sizes)
    pipeline += (&size == &sizes.front() ? "" : ",") + size.name + "=" +
                std::to_string(size.extent);
  pipeline += "}";
  static bool registered = (registerAllPasses(), true);
  (void)registered;
  mlir::PassManager manager(mlirContext.get());
  if (mlir::failed(mlir::parsePassPipeline(pipeline, manager)) ||
      mlir::failed(manager.run(*copy)))
    return failure(Exit::Invalid, errorCount ? "" : "--size was refused",
                   "--size binds the names in 'attn.shape' of arguments");
  return copy;
}

std::string relativePath(llvm::StringRef file, llvm::StringRef folder) {
  auto absolute = [](llvm::StringRef name) {
    llvm::SmallString<128> whole(name.empty() ? "." : name);
    llvm::SmallString<128> real;
    if (!llvm::sys::fs::real_path(whole, real))
      return real;
    llvm::sys::fs::make_absolute(whole);
    path::remove_dots(whole, /*remove_dot_dot=*/true);
    return whole;
  };
  llvm::SmallString<128> to = absolute(file), from = absolute(folder);
  auto t = path::begin(to), te = path::end(to);
  auto f = path::begin(from), fe = path::end(from);
  for (; t != te && f != fe && *t == *f; ++t, ++f)
    ;
  llvm::SmallString<128> relative;
  for (; f != fe; ++f)
    path::append(relative, "..");
  for (; t != te; ++t)
    path::append(relative, *t);
  return relative.str().str();
}

} // namespace einhead::tool
