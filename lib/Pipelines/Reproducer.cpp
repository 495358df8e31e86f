//===- Reproducer.cpp - What a failed pass leaves behind --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reproducer.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassInstrumentation.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Threading.h"

using namespace mlir;
using namespace einhead;

/// Whether failing means refusing: our passes end with an error that says what
/// is wrong with the input, upstream's end wherever they got stuck.
static bool isOurs(StringRef flag) {
  return flag.starts_with("attn-") || flag.starts_with("einhead-") ||
         flag == "convert-attn-to-linalg";
}

/// Without a word.
static bool verifies(Operation *op) {
  uint64_t thread = llvm::get_threadid();
  ScopedDiagnosticHandler silence(op->getContext(), [&](Diagnostic &) {
    return success(llvm::get_threadid() == thread);
  });
  return succeeded(verify(op));
}

namespace {
/// What is known of a run.
struct Run {
  std::string where;
  /// The flags of the passes that have begun and not ended.
  SmallVector<std::string> running;
  std::string failedPass;
  /// The first pass that failed is ours and has left valid IR.
  bool refused = false;
  bool invalid = false;
  unsigned errors = 0;
  bool written = false;
  /// The reproducer, and where it was written.
  std::string text, path, problem;

  /// The file's name, for the words of a signal handler as well.
  StringRef name();
  void write();
  /// Removes the temporary file that `name` has made.
  void drop();
};

class Watch final : public PassInstrumentation {
public:
  explicit Watch(Run &run) : run(run) {}

  void runBeforePass(Pass *pass, Operation *) override {
    if (!pass->getArgument().empty())
      run.running.push_back(pass->getArgument().str());
  }
  void runAfterPass(Pass *pass, Operation *) override { ended(pass); }
  void runAfterPassFailed(Pass *pass, Operation *op) override {
    // The adaptor over functions fails because a pass in it has.
    if (pass->getArgument().empty() || !run.failedPass.empty())
      return ended(pass);
    run.failedPass = pass->getArgument().str();
    run.invalid = !verifies(op);
    run.refused = isOurs(run.failedPass) && !run.invalid;
    ended(pass);
  }

private:
  void ended(Pass *pass) {
    auto at = llvm::find(run.running, pass->getArgument());
    if (at != run.running.end())
      run.running.erase(at);
  }

  Run &run;
};

/// Upstream writes here when a pass fails, and from a signal handler too: then
/// nothing runs afterwards, and the file must be written at once.
class Stream final : public ReproducerStream {
public:
  explicit Stream(Run &run) : run(run), stream(run.text) {}
  ~Stream() override {
    stream.flush();
    if (!run.refused)
      run.write();
  }
  llvm::StringRef description() override { return run.name(); }
  llvm::raw_ostream &os() override { return stream; }

private:
  Run &run;
  llvm::raw_string_ostream stream;
};
} // namespace

StringRef Run::name() {
  if (!path.empty())
    return path;
  llvm::SmallString<128> temporary(where);
  if (where == "temp")
    if (std::error_code error =
            llvm::sys::fs::createTemporaryFile("einhead", "mlir", temporary))
      problem = error.message();
  path = temporary.str().str();
  return path;
}

void Run::write() {
  if (name(); !problem.empty())
    return;
  std::error_code error;
  llvm::raw_fd_ostream file(path, error);
  if (!error) {
    file << text;
    file.close();
    error = file.error();
    file.clear_error();
  }
  if (error)
    problem = error.message();
  else
    written = true;
}

void Run::drop() {
  if (where == "temp" && !path.empty() && problem.empty())
    llvm::sys::fs::remove(path);
}

/// Names the pass and the way to replay it.
static void report(ModuleOp module, const Run &run, bool crashed) {
  std::string pass =
      crashed && !run.running.empty() ? run.running.back() : run.failedPass;
  InFlightDiagnostic diagnostic = emitError(module.getLoc())
                                  << "pass '" << pass << "' "
                                  << (crashed       ? "crashed"
                                      : run.invalid ? "left invalid IR"
                                                    : "failed");
  Diagnostic &note = diagnostic.attachNote(module.getLoc());
  if (run.problem.empty())
    note << "to replay: einhead-opt --run-reproducer " << run.path;
  else
    note << "no reproducer: cannot write '" << run.path << "': " << run.problem;
}

/// What a failed run has come to, without a word on it.
static PassOutcome outcomeOf(const Run &run, bool crashed) {
  if (crashed || run.invalid)
    return PassOutcome::Broken;
  if (!run.refused)
    return PassOutcome::Failed;
  return run.errors ? PassOutcome::Refused : PassOutcome::Broken;
}

PassOutcome einhead::runWithReproducer(PassManager &passes, ModuleOp module,
                                       llvm::StringRef where) {
  Run run;
  run.where = where.str();
  // A crash on a thread of the pool cannot be caught, and ends the process
  // while others still write.
  MLIRContext *context = module.getContext();
  bool threaded = context->isMultithreadingEnabled();
  if (!where.empty())
    context->disableMultithreading();
  if (!where.empty())
    passes.enableCrashReproducerGeneration(
        [&run](std::string &) { return std::make_unique<Stream>(run); });
  // After upstream's instrumentation: failures come to the last one first, and
  // what is refused must be known before the file is written.
  passes.addInstrumentation(std::make_unique<Watch>(run));
  LogicalResult result = failure();
  {
    // Upstream's own error about the file comes for refusals too.
    ScopedDiagnosticHandler filter(
        module.getContext(), [&run](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
            return failure();
          if (llvm::StringRef(diagnostic.str())
                  .starts_with("Failures have been detected while processing"))
            return success();
          ++run.errors;
          return failure();
        });
    result = passes.run(module);
  }
  context->disableMultithreading(!threaded);
  if (succeeded(result))
    return PassOutcome::Done;
  bool crashed = run.failedPass.empty();
  PassOutcome outcome = outcomeOf(run, crashed);
  if (outcome == PassOutcome::Refused)
    run.drop();
  if (outcome == PassOutcome::Refused || where.empty())
    return outcome;
  if (!run.written)
    run.write();
  report(module, run, crashed);
  return outcome;
}
