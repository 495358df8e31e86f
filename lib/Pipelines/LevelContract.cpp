//===- LevelContract.cpp - What holds at each level -------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LevelContract.h"
#include "einhead/Compiler.h"
#include "einhead/IR/Attn.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace einhead;
using namespace einhead::attn;

namespace {
/// One run over a module.  Each finding is said once for each kind of op: one
/// wrong level shows everywhere.
class Contract {
public:
  Contract(ModuleOp module, Level level, const CPUPipelineOptions &options)
      : module(module), level(level), options(options) {}

  LogicalResult check();

private:
  bool reached(Level other) const { return level >= other; }
  void find(Operation *op, const Twine &what);
  void checkNotBeyond(Operation *op);
  void checkAttention(Operation *op);
  void checkBuffers(Operation *op);
  void checkCode(Operation *op);
  void checkDecided();

  ModuleOp module;
  Level level;
  const CPUPipelineOptions &options;
  llvm::StringSet<> said;
  bool fits = true;
};
} // namespace

void Contract::find(Operation *op, const Twine &what) {
  fits = false;
  if (said.insert((op->getName().getStringRef() + what).str()).second)
    emitError(op->getLoc())
        << "the input is not at level '" << levelName(level) << "': " << what;
}

static bool hasType(Operation *op, llvm::function_ref<bool(Type)> holds) {
  return llvm::any_of(op->getOperandTypes(), holds) ||
         llvm::any_of(op->getResultTypes(), holds) ||
         llvm::any_of(op->getRegions(), [&](Region &region) {
           return llvm::any_of(region.getArgumentTypes(), holds);
         });
}

/// Nothing that only a later level makes.
void Contract::checkNotBeyond(Operation *op) {
  if (!reached(Level::LLVM) && isa<LLVM::LLVMFuncOp>(op))
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
  if (op != module && !isa_and_nonnull<LLVM::LLVMDialect>(op->getDialect()))
    find(op, op->getName().getStringRef() + " is not of the LLVM dialect");
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
  std::vector<CompilerRemark> found;
  collectRemarks(scratch, [&](const CompilerRemark &remark) {
    if (remark.kind == CompilerRemark::Kind::Passed &&
        (remark.category == "attn-raise" || remark.category == "attn-schedule"))
      found.push_back(remark);
  });
  auto copy = parseSourceString<ModuleOp>(text, &scratch);
  if (!copy)
    return;
  PassManager passes(&scratch);
  buildLevelPipeline(passes, Level::Attention, options);
  if (reached(Level::Scheduled))
    buildLevelPipeline(passes, Level::Scheduled, options);
  if (failed(passes.run(*copy)) || found.empty())
    return;
  fits = false;
  InFlightDiagnostic diagnostic = module.emitError()
                                  << "the input is not at level '"
                                  << levelName(level) << "'";
  for (const CompilerRemark &remark : found)
    diagnostic.attachNote()
        << remark.location << ": --" << remark.category << " still finds "
        << (remark.category == "attn-raise" ? remark.text : "an attention");
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
  if (fits && options.fuse && reached(Level::Attention) &&
      !reached(Level::Tiled))
    checkDecided();
  return success(fits);
}

LogicalResult einhead::checkLevel(ModuleOp module, Level level,
                                  const CPUPipelineOptions &options) {
  return Contract(module, level, options).check();
}
