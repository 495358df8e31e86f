//===- Compile.cpp - From MLIR to a module file -----------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CompileDevice.h"
#include "LevelContract.h"
#include "Reproducer.h"
#include "einhead/Compiler.h"
#include "einhead/Pipelines/GPU.h"
#include "einhead/Target/Codegen.h"
#include "einhead/Target/Container.h"
#include "einhead/Target/Manifest.h"
#include "einhead/Transforms/ScheduleFile.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace einhead;

namespace {
/// Keeps the first error; diagnostics still reach the context's handlers.
class FirstError {
public:
  explicit FirstError(MLIRContext *context)
      : handler(context, [this](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == DiagnosticSeverity::Error &&
              text.empty())
            text = describe(diagnostic);
          return failure();
        }) {}

  llvm::Error error(std::errc kind, const Twine &otherwise) const {
    return llvm::createStringError(std::make_error_code(kind),
                                   text.empty() ? otherwise.str() : text);
  }

private:
  static std::string describe(Diagnostic &diagnostic) {
    std::string result;
    llvm::raw_string_ostream stream(result);
    diagnostic.getLocation()->walk([&](Location part) {
      auto place = dyn_cast<FileLineColLoc>(part);
      if (!place)
        return WalkResult::advance();
      stream << place.getFilename().getValue() << ":" << place.getLine() << ":"
             << place.getColumn() << ": ";
      return WalkResult::interrupt();
    });
    stream << diagnostic.str();
    return result;
  }

  std::string text;
  ScopedDiagnosticHandler handler;
};

/// One run of the compiler.
class Compilation {
public:
  Compilation(ModuleOp module, EmitKind kind, const CompileOptions &options,
              TargetInfo target, Level start)
      : target(std::move(target)), module(module), kind(kind), options(options),
        start(start), firstError(module.getContext()) {
    pipeline.cpu = options.cpu;
    pipeline.chip = options.chip;
    pipeline.schedules = options.schedules;
    pipeline.fuse = options.fuse;
    pipeline.shareKV = options.shareKV;
    pipeline.requireFused = options.requireFused;
    for (const NamedSize &size : options.sizes)
      pipeline.sizes.push_back(size.name + "=" + std::to_string(size.extent));
  }

  /// The bytes of the kind; for a module, its code.
  llvm::Expected<std::string> run(Level last);

  Manifest manifest;
  /// With the features that the code turned out to use.
  TargetInfo target;
  /// Of a GPU, where there is one.
  std::optional<DeviceCode> device;

private:
  llvm::Error prepare();
  LogicalResult collectManifest();
  LogicalResult restoreManifest();
  llvm::Error runLevel(Level level);
  llvm::Error dump(Level level);
  llvm::Expected<std::string> generate();
  std::string text();
  bool isForDevice() const { return options.target == "cuda"; }

  ModuleOp module;
  EmitKind kind;
  const CompileOptions &options;
  Level start;
  FirstError firstError;
  GPUPipelineOptions pipeline;
  /// False for MLIR of a module whose functions no manifest can describe.
  bool hasManifest = false;
};
} // namespace

/// The IR as a file from which compiling can go on: with the manifest, which
/// lower levels do not hold.
std::string Compilation::text() {
  if (hasManifest)
    manifest.attach(module);
  std::string result;
  llvm::raw_string_ostream stream(result);
  module->print(stream);
  stream << "\n";
  if (hasManifest)
    (void)Manifest().detach(module);
  return result;
}

/// Everything that is wrong with the input itself shows up here.
llvm::Error Compilation::prepare() {
  DialectRegistry registry;
  registerAllDialects(registry);
  module.getContext()->appendDialectRegistry(registry);
  if (!options.schedules.empty() &&
      failed(ScheduleFile::load(options.schedules, module.getContext())))
    return firstError.error(std::errc::invalid_argument,
                            "the schedules are invalid");
  LogicalResult valid = verify(module);
  if (succeeded(valid) && start == Level::Graph) {
    PassManager passes(module.getContext());
    buildGraphPipeline(passes, pipeline);
    valid = passes.run(module);
    // One that is left from an earlier run describes another module.
    if (succeeded(valid))
      valid = Manifest().detach(module);
    if (succeeded(valid))
      valid = collectManifest();
  } else if (succeeded(valid)) {
    valid = checkLevel(module, start, pipeline, isForDevice());
    if (succeeded(valid))
      valid = restoreManifest();
  }
  if (succeeded(valid))
    return llvm::Error::success();
  return firstError.error(std::errc::invalid_argument, "the module is invalid");
}

/// A module file needs a manifest; MLIR has one where there can be one.
LogicalResult Compilation::collectManifest() {
  if (kind == EmitKind::Module) {
    hasManifest = true;
    return manifest.collect(module);
  }
  if (kind == EmitKind::MLIR || !options.dumpStages.empty()) {
    ScopedDiagnosticHandler silence(module.getContext(), [](Diagnostic &) {});
    hasManifest = succeeded(manifest.collect(module));
  }
  return success();
}

/// The manifest of a module that comes from a file of a later level: as the
/// file has it, checked against the signatures as long as they are there.
LogicalResult Compilation::restoreManifest() {
  FailureOr<bool> found = manifest.detach(module);
  if (failed(found))
    return failure();
  if (start >= Level::Vector) {
    hasManifest = *found;
    if (kind != EmitKind::Module)
      return success();
    if (!*found)
      return module.emitError()
             << "no einhead.manifest: from level 'vector' on, only that "
                "attribute "
                "knows the arguments; take the file that 'einhead compile' "
                "writes, or an earlier level";
    if (StringRef name = manifest.readerOfParameters();
        !name.empty() && options.parameterFiles.empty())
      return module.emitError() << "@" << name << " reads parameters, and no "
                                << "file is named; give --parameters";
    return success();
  }
  Manifest told = std::move(manifest);
  manifest = Manifest();
  if (failed(collectManifest()))
    return failure();
  if (*found && hasManifest && !told.sameSignatures(manifest))
    return module.emitError() << "einhead.manifest and the functions disagree; "
                                 "remove the attribute "
                                 "and it is made anew";
  // At level 'attention' what is told of K and V is told by the next level.
  if (*found && start >= Level::Shared)
    manifest = std::move(told);
  else if (start == Level::Shared || start == Level::Scheduled)
    manifest.addTraffic(module);
  else if (start == Level::Tiled && kind == EmitKind::Module)
    module.emitWarning() << "no einhead.manifest: the module will not say how "
                            "many bytes of K and V a call reads";
  return success();
}

llvm::Error Compilation::dump(Level level) {
  if (options.dumpStages.empty())
    return llvm::Error::success();
  std::error_code error = llvm::sys::fs::create_directories(options.dumpStages);
  llvm::SmallString<128> path(options.dumpStages);
  std::string name;
  llvm::raw_string_ostream(name)
      << llvm::format("%02d", static_cast<int>(level)) << "-"
      << levelName(level) << ".mlir";
  llvm::sys::path::append(path, name);
  if (!error) {
    llvm::raw_fd_ostream file(path, error);
    file << text();
    file.close();
    if (!error)
      error = file.error();
    file.clear_error();
  }
  if (!error)
    return llvm::Error::success();
  return llvm::createStringError(error, "cannot write " + path.str() + ": " +
                                            error.message());
}

llvm::Error Compilation::runLevel(Level level) {
  PassManager passes(module.getContext());
  if (isForDevice())
    buildGPULevelPipeline(passes, level, pipeline);
  else
    buildLevelPipeline(passes, level, pipeline);
  PassOutcome outcome = runWithReproducer(passes, module, options.reproducer);
  if (outcome != PassOutcome::Done)
    return firstError.error(
        outcome == PassOutcome::Broken ? std::errc::state_not_recoverable
                                       : std::errc::not_supported,
        "lowering to level " + levelName(level) + " failed");
  // What sharing saves is known here, and after tiling it is not.
  if (level == Level::Shared && hasManifest)
    manifest.addTraffic(module);
  return dump(level);
}

llvm::Expected<std::string> Compilation::generate() {
  if (isForDevice()) {
    auto code = generateDeviceCode(module, options.chip, options.optLevel,
                                   /*assemble=*/kind == EmitKind::Module);
    if (!code)
      return code.takeError();
    device = std::move(*code);
    if (kind == EmitKind::PTX)
      return device->images.back().bytes;
  }
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code =
      translateModuleToLLVMIR(module, context, "einhead");
  if (!code)
    return firstError.error(std::errc::state_not_recoverable,
                            "translation to LLVM IR failed");
  if (llvm::Error error = checkIntrinsics(*code, target))
    return error;
  dropUnusedFeatures(*code, target);
  auto machine = createMachine(target, options.optLevel);
  if (!machine)
    return machine.takeError();
  std::string wrong;
  llvm::raw_string_ostream why(wrong);
  optimize(*code, **machine, target, options.optLevel);
  if (llvm::verifyModule(*code, &why))
    return llvm::createStringError(
        std::make_error_code(std::errc::state_not_recoverable),
        "invalid LLVM IR: " + wrong);
  if (kind == EmitKind::LLVM) {
    std::string result;
    llvm::raw_string_ostream stream(result);
    code->print(stream, nullptr);
    return result;
  }
  auto object = emitObject(*code, **machine);
  if (!object || kind == EmitKind::Object)
    return object;
  auto library = linkSharedObject(*object);
  if (!library)
    return library;
  if (llvm::Error error = checkImports(*library))
    return error;
  return library;
}

llvm::Expected<std::string> Compilation::run(Level last) {
  if (llvm::Error error = prepare())
    return error;
  for (Level level : levels) {
    if (level <= start)
      continue;
    if (llvm::Error error = runLevel(level))
      return error;
    if (level == last)
      break;
  }
  return kind == EmitKind::MLIR ? text() : generate();
}

static llvm::Error invalidArgument(const Twine &text) {
  return llvm::createStringError(
      std::make_error_code(std::errc::invalid_argument), text);
}

/// Where compiling starts and ends.
static llvm::Expected<std::pair<Level, Level>>
levelRange(EmitKind kind, const CompileOptions &options) {
  // Only MLIR is a product of every level.
  std::optional<Level> last = parseLevel(
      kind == EmitKind::MLIR ? llvm::StringRef(options.stopAfter) : "");
  if (!last)
    return invalidArgument("unknown level \"" + options.stopAfter + "\"");
  std::optional<Level> start =
      options.startFrom.empty() || options.startFrom == "graph"
          ? Level::Graph
          : parseLevel(options.startFrom);
  if (!start || *start > *last)
    return invalidArgument(
        (start ? "nothing lies between level \"" : "unknown level \"") +
        options.startFrom + "\"" +
        (start ? " and \"" + options.stopAfter + "\"" : ""));
  if (*start != Level::Graph && !options.sizes.empty())
    return invalidArgument("sizes are given at level \"graph\", not at \"" +
                           options.startFrom + "\"");
  return std::pair(*start, *last);
}

/// Whether the device can be compiled for, and there is one where one is
/// needed.
static llvm::Error checkDevice(EmitKind kind, const CompileOptions &options,
                               size_t cpuCount) {
  if (options.target != "cpu" && options.target != "cuda")
    return invalidArgument("unknown target \"" + options.target +
                           "\"; known are cpu, cuda");
  if (options.target == "cpu")
    return kind == EmitKind::PTX ? invalidArgument("only code for a GPU is PTX")
                                 : llvm::Error::success();
  if (cpuCount > 1)
    return invalidArgument("code for several CPUs (" + options.cpu +
                           ") beside a GPU; name one CPU");
  auto gpu = GPUInfo::get(options.chip);
  if (!gpu)
    return invalidArgument(llvm::toString(gpu.takeError()));
  return llvm::Error::success();
}

/// A module with code for each of the targets, whose names are in `options`.
static llvm::Expected<std::string>
compileVariants(ModuleOp module, std::vector<TargetInfo> targets,
                const CompileOptions &options, Level start) {
  SmallVector<StringRef> names;
  StringRef(options.cpu).split(names, ',');
  std::vector<std::string> codes;
  std::string manifest;
  for (size_t i = 0; i < targets.size(); ++i) {
    CompileOptions each = options;
    each.cpu = names[i].str();
    if (!options.dumpStages.empty())
      each.dumpStages += "/" + targets[i].cpu;
    bool isLast = i + 1 == targets.size();
    OwningOpRef<ModuleOp> copy(isLast ? ModuleOp() : module.clone());
    Compilation compilation(isLast ? module : *copy, EmitKind::Module, each,
                            targets[i], start);
    auto code = compilation.run(Level::LLVM);
    if (!code)
      return code;
    codes.push_back(std::move(*code));
    targets[i] = compilation.target;
    if (isLast)
      manifest = compilation.manifest.json(targets, options.parameterFiles);
  }
  return writeContainer(manifest, codes.front(), ArrayRef(codes).drop_front());
}

llvm::Expected<std::string> einhead::compile(ModuleOp module, EmitKind kind,
                                             const CompileOptions &options) {
  auto targets = TargetInfo::list(options.cpu);
  if (!targets)
    return invalidArgument(llvm::toString(targets.takeError()));
  auto range = levelRange(kind, options);
  if (!range)
    return range.takeError();
  auto [start, last] = *range;
  if (llvm::Error error = checkDevice(kind, options, targets->size()))
    return error;
  if (targets->size() > 1 && kind != EmitKind::Module)
    return invalidArgument("code for several CPUs (" + options.cpu +
                           ") needs a module file to lie in; name one CPU");
  // A file has 64 sections, one of which is the manifest (docs/Module.md).
  constexpr size_t mostTargets = 63;
  if (targets->size() > mostTargets)
    return invalidArgument("code for " + Twine(targets->size()) +
                           " CPUs: a module file has room for " +
                           Twine(mostTargets));
  if (targets->size() > 1)
    return compileVariants(module, std::move(*targets), options, start);
  Compilation compilation(module, kind, options, targets->front(), start);
  auto bytes = compilation.run(last);
  if (!bytes || kind != EmitKind::Module)
    return bytes;
  const std::optional<DeviceCode> &device = compilation.device;
  return writeContainer(
      compilation.manifest.json(compilation.target, options.parameterFiles,
                                device ? &*device : nullptr),
      *bytes, {}, device ? ArrayRef(device->images) : ArrayRef<DeviceImage>());
}
