//===- LevelContract.cpp - What holds at each level -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LevelContract.h"
#include "einhead/Compiler.h"
#include "einhead/IR/Attn.h"
#include "einhead/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

namespace {
/// One run over a module.
class Contract {
public:
  Contract(ModuleOp module, Level level, const CPUPipelineOptions &options,
           bool isForDevice)
      : module(module), level(level), options(options),
        isForDevice(isForDevice) {}

  LogicalResult check();

private:
  struct Finding {
    Location place;
    std::string what;
  };

  bool reached(Level other) const { return level >= other; }
  void find(Operation *op, const Twine &what);
  void checkNotBeyond(Operation *op);
  void checkAttention(Operation *op);
  void checkBuffers(Operation *op);
  void checkCode(Operation *op);
  void checkDecided();
  LogicalResult report();

  ModuleOp module;
  Level level;
  const CPUPipelineOptions &options;
  bool isForDevice;
  llvm::StringSet<> said;
  std::vector<Finding> findings;
};
} // namespace

/// Once for each kind of op: one wrong level shows everywhere.
void Contract::find(Operation *op, const Twine &what) {
  if (said.insert(what.str()).second)
    findings.push_back({op->getLoc(), what.str()});
}

/// One error, a few notes: what stands first says most.
LogicalResult Contract::report() {
  if (findings.empty())
    return success();
  InFlightDiagnostic diagnostic = emitError(findings.front().place)
                                  << "the input is not at level '"
                                  << levelName(level)
                                  << "': " << findings.front().what;
  constexpr size_t most = 4;
  for (size_t i = 1; i < std::min(findings.size(), most); ++i)
    diagnostic.attachNote(findings[i].place) << findings[i].what;
  if (findings.size() > most)
    diagnostic.attachNote(findings.front().place)
        << findings.size() - most << " more kinds of op that do not fit";
  return failure();
}

static bool hasType(Operation *op, llvm::function_ref<bool(Type)> holds) {
  return llvm::any_of(op->getOperandTypes(), holds) ||
         llvm::any_of(op->getResultTypes(), holds) ||
         llvm::any_of(op->getRegions(), [&](Region &region) {
           return llvm::any_of(region.getArgumentTypes(), holds);
         });
}

/// Nothing that only a later level makes, or another target has.
void Contract::checkNotBeyond(Operation *op) {
  if (!isForDevice && isa_and_nonnull<gpu::GPUDialect>(op->getDialect()))
    return find(op, op->getName().getStringRef() +
                        " is code for a GPU, which --target=cuda takes");
  // Kernels of tensor cores are written in the LLVM dialect at once.
  if (!reached(Level::LLVM) && isa<LLVM::LLVMFuncOp>(op) &&
      !(isForDevice && reached(Level::Vector) &&
        op->getParentOfType<gpu::GPUModuleOp>()))
    return find(op, "a function of the LLVM dialect belongs to level 'llvm'");
  if (!reached(Level::Vector) &&
      hasType(op, [](Type type) { return isa<BaseMemRefType>(type); }))
    return find(op, op->getName().getStringRef() +
                        " on buffers belongs to level 'vector'");
  if (!reached(Level::Tiled) && isa<PartialAttentionOp, MergeOp>(op))
    find(op, op->getName().getStringRef() + " belongs to level 'tiled'");
}

/// What attention carries from level to level.
void Contract::checkAttention(Operation *op) {
  auto attention = dyn_cast<AttentionOp>(op);
  if (attention && reached(Level::Shared) && options.shareKV &&
      !attention.getSharedKv())
    return find(op, "attn.attention without shared_kv, which "
                    "--attn-fuse-shared-kv gives it (--no-share-kv does "
                    "without)");
  if (!reached(Level::Tiled))
    return;
  if (attention && attention.getSchedule())
    return find(op, "attn.attention with a schedule, which --attn-split-keys "
                    "and --attn-tile-decode make into loops");
  auto partial = dyn_cast<PartialAttentionOp>(op);
  if (partial && partial.getChunk())
    return find(op, "attn.partial_attention over chunks, which "
                    "--attn-tile-decode makes into loops");
  if (partial && !partial.getSchedule())
    find(op, "attn.partial_attention without a schedule, which says how "
             "--attn-to-vector writes it");
}

void Contract::checkBuffers(Operation *op) {
  if (isa_and_nonnull<AttnDialect>(op->getDialect()))
    return find(op, op->getName().getStringRef() +
                        ", which the passes to level 'vector' lower");
  if (hasType(op, [](Type type) { return isa<TensorType>(type); }))
    find(op, op->getName().getStringRef() +
                 " on tensors, which become buffers on the way to 'vector'");
}

void Contract::checkCode(Operation *op) {
  if (isa<gpu::GPUModuleOp>(op) ||
      isa_and_nonnull<NVVM::NVVMDialect>(op->getDialect()))
    return;
  if (op != module && !isa_and_nonnull<LLVM::LLVMDialect>(op->getDialect()))
    find(op, op->getName().getStringRef() + " is not of the LLVM dialect");
}

/// "file:line:col" as a place in this context.
static Location placeOf(MLIRContext *context, StringRef text) {
  auto [head, column] = text.rsplit(':');
  auto [file, line] = head.rsplit(':');
  unsigned l = 0, c = 0;
  if (line.getAsInteger(10, l) || column.getAsInteger(10, c))
    return UnknownLoc::get(context);
  return FileLineColLoc::get(context, file, l, c);
}

/// Whether the passes that decide have decided: run on a copy in a context of
/// its own, they find nothing more to do.
void Contract::checkDecided() {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream, OpPrintingFlags().enableDebugInfo());
  DialectRegistry registry;
  registerAllDialects(registry);
  MLIRContext scratch(registry);
  ScopedDiagnosticHandler silence(&scratch, [](Diagnostic &) {});
  std::string pass;
  collectRemarks(scratch, [&](const CompilerRemark &remark) {
    if (remark.kind == CompilerRemark::Kind::Passed && remark.category == pass)
      findings.push_back({placeOf(module.getContext(), remark.location),
                          "--" + pass + " still finds " + remark.text});
  });
  auto copy = parseSourceString<ModuleOp>(text, &scratch);
  if (!copy)
    return;
  auto run = [&](StringRef name, std::unique_ptr<Pass> next) {
    pass = name.str();
    PassManager passes(&scratch);
    passes.addNestedPass<func::FuncOp>(std::move(next));
    return succeeded(passes.run(*copy));
  };
  if (!run("attn-raise", createRaisePass()) || !findings.empty() ||
      !reached(Level::Scheduled))
    return;
  // In place; a schedule that the file has is kept, and that is no finding.
  SmallVector<AttentionOp> open;
  copy->walk([&](AttentionOp op) {
    if (!op.getSchedule())
      open.push_back(op);
  });
  SchedulePassOptions schedule;
  schedule.cpu = options.cpu;
  if (!run("", createSchedulePass(schedule)))
    return;
  for (AttentionOp op : open)
    if (auto place = dyn_cast<FileLineColLoc>(op.getLoc());
        place && op.getSchedule())
      findings.push_back(
          {FileLineColLoc::get(module.getContext(),
                               place.getFilename().getValue(), place.getLine(),
                               place.getColumn()),
           "attn.attention without a schedule, which --attn-schedule gives "
           "it"});
}

LogicalResult Contract::check() {
  module.walk<WalkOrder::PreOrder>([&](Operation *op) {
    checkNotBeyond(op);
    if (reached(Level::LLVM))
      return checkCode(op);
    if (reached(Level::Vector))
      return checkBuffers(op);
    if (options.fuse)
      checkAttention(op);
  });
  if (findings.empty() && options.fuse && !reached(Level::Vector))
    checkDecided();
  return report();
}

LogicalResult einhead::checkLevel(ModuleOp module, Level level,
                                  const CPUPipelineOptions &options,
                                  bool isForDevice) {
  return Contract(module, level, options, isForDevice).check();
}
