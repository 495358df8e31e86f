//===- Execute.cpp - Compiles, runs and checks one case ---------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Execute.h"
#include "Call.h"
#include "File.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"

using llvm::StringRef;

namespace einhead::fuzz {
namespace {

/// Takes every diagnostic, and notes what an error lacks.
class Diagnostics {
public:
  explicit Diagnostics(mlir::MLIRContext *context)
      : handler(context, [this](mlir::Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error)
            add(diagnostic);
          return mlir::success();
        }) {}

  int errors = 0;
  std::string first, last; ///< of errors
  std::string fault;       ///< of a diagnostic itself

private:
  void add(mlir::Diagnostic &diagnostic) {
    last = diagnostic.str();
    if (errors++ == 0)
      first = last;
    bool isLocated = false;
    diagnostic.getLocation()->walk([&](mlir::Location part) {
      isLocated |= mlir::isa<mlir::FileLineColRange>(part);
      return mlir::WalkResult::advance();
    });
    if (!isLocated)
      fault = "an error without a location: " + last;
    if (StringRef(last).trim().size() < 8)
      fault = "an error without words: '" + last + "'";
  }

  mlir::ScopedDiagnosticHandler handler;
};

} // namespace

Bench::Bench() : context(mlir::MLIRContext::Threading::DISABLED) {
  mlir::DialectRegistry registry;
  registerAllDialects(registry);
  context.appendDialectRegistry(registry);
  context.printOpOnDiagnostic(false);
  collectRemarks(context, [this](const CompilerRemark &remark) {
    remarks.push_back(remark);
  });
}

/// The problem as a wrong compiler would have it.
static Problem planted(Problem problem, Plant plant) {
  if (plant == Plant::Scale)
    problem.scale = problem.scale * 1.25 + 0.125;
  if (plant == Plant::Mask)
    problem.maskLetters.clear();
  return problem;
}

static CompileOptions compileOptions(const Problem &problem,
                                     const ExecuteOptions &options) {
  CompileOptions result;
  result.fuse = problem.fuse;
  result.shareKV = problem.shareKV;
  result.optLevel = options.optLevel;
  std::map<std::string, int64_t> sizes;
  if (problem.specialize)
    for (const Operand *operand : problem.arguments())
      for (const Dim &dim : operand->dims)
        if (dim.dynamic)
          sizes.emplace(dim.name, dim.extent);
  for (const auto &[name, extent] : sizes)
    result.sizes.push_back({name, extent});
  return result;
}

/// Rows that do not count may hold anything where attention is one op; a graph
/// that stays one multiplies them with 0.
static Poison poisonFor(const Problem &problem,
                        llvm::ArrayRef<CompilerRemark> remarks) {
  if (!problem.mutation.empty())
    return Poison::None;
  bool missed = false;
  for (const CompilerRemark &remark : remarks)
    missed |= remark.kind == CompilerRemark::Kind::Missed &&
              remark.category == "attn-raise";
  return !problem.fuse || missed ? Poison::Key : Poison::KeyAndValue;
}

static Outcome outcomeOf(Outcome::Kind kind, const llvm::Twine &why) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.why = why.str();
  return outcome;
}

static Outcome runCompiled(const std::string &bytes, const Problem &problem,
                           Poison poison, mlir::ModuleOp graph,
                           const ExecuteOptions &options) {
  auto file = tool::TemporaryFile::create(bytes);
  if (!file)
    return outcomeOf(Outcome::Finding, llvm::toString(file.takeError()));
  auto module = tool::Module::open(file->name());
  if (!module)
    return outcomeOf(Outcome::Finding,
                     "open: " + llvm::toString(module.takeError()));
  Call call(*module, problem, poison);
  if (llvm::Error error = call.run())
    return outcomeOf(Outcome::Refused,
                     "call: " + llvm::toString(std::move(error)));
  return call.check(graph, options);
}

Outcome Bench::execute(const Problem &problem, const ExecuteOptions &options) {
  if (options.plant == Plant::Crash)
    std::abort();
  remarks.clear();
  Diagnostics diagnostics(&context);
  auto refused = [&](StringRef stage, const llvm::Twine &why) {
    if (diagnostics.errors == 0)
      return outcomeOf(Outcome::Finding,
                       stage + " failed without a diagnostic: " + why);
    if (!diagnostics.fault.empty())
      return outcomeOf(Outcome::Finding, diagnostics.fault);
    return outcomeOf(Outcome::Refused, stage + ": " + diagnostics.first);
  };
  auto parse = [&](const Problem &from) {
    return mlir::parseSourceString<mlir::ModuleOp>(moduleText(from), &context,
                                                   "case.mlir");
  };
  auto graph = parse(problem);
  if (!graph)
    return refused("parse", "");
  auto module = parse(planted(problem, options.plant));
  if (!module)
    return refused("parse", "");

  auto bytes =
      compile(*module, EmitKind::Module, compileOptions(problem, options));
  if (!bytes) {
    std::string why;
    bool isBroken = false;
    llvm::handleAllErrors(bytes.takeError(), [&](const llvm::ErrorInfoBase &e) {
      why = e.message();
      isBroken = e.convertToErrorCode() == std::errc::state_not_recoverable;
    });
    // A pass that left what does not verify, or code that LLVM does not take.
    if (isBroken)
      return outcomeOf(Outcome::Finding,
                       "broken: " + why + " (" + diagnostics.last + ")");
    return refused("compile", why);
  }
  if (diagnostics.errors)
    return outcomeOf(Outcome::Finding,
                     "compiled in spite of an error: " + diagnostics.first);
  Outcome outcome = runCompiled(*bytes, problem, poisonFor(problem, remarks),
                                *graph, options);
  for (const CompilerRemark &remark : remarks)
    outcome.tiled |= remark.name == "Scheduled";
  return outcome;
}

} // namespace einhead::fuzz
