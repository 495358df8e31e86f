//===- ReproducerTest.cpp - What a crash leaves behind ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reproducer.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/Pass.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cstdlib>
#include <gtest/gtest.h>

using namespace mlir;
using namespace einhead;

namespace {
/// A pass under a given flag that does one given thing.
struct ActingPass final : PassWrapper<ActingPass, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ActingPass)

  ActingPass(llvm::StringRef flag,
             std::function<LogicalResult(Operation *)> act)
      : flag(flag), act(std::move(act)) {}
  StringRef getArgument() const override { return flag; }
  void runOnOperation() override {
    if (failed(act(getOperation())))
      signalPassFailure();
  }

  std::string flag;
  std::function<LogicalResult(Operation *)> act;
};

class Reproducer : public ::testing::Test {
protected:
  void SetUp() override {
    context.loadDialect<func::FuncDialect>();
    context.printOpOnDiagnostic(false);
    module = parseSourceString<ModuleOp>("func.func @the_input() { return }",
                                         &context);
    llvm::sys::fs::createTemporaryFile("reproducer", "mlir", path);
    llvm::sys::fs::remove(path);
  }
  void TearDown() override { llvm::sys::fs::remove(path); }

  PassOutcome run(llvm::StringRef flag,
                  std::function<LogicalResult(Operation *)> act) {
    ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
      said += diagnostic.str() + "\n";
      for (Diagnostic &note : diagnostic.getNotes())
        said += note.str() + "\n";
    });
    PassManager passes(&context);
    passes.addNestedPass<func::FuncOp>(
        std::make_unique<ActingPass>(flag, std::move(act)));
    return runWithReproducer(passes, *module, path);
  }
  std::string written() {
    auto file = llvm::MemoryBuffer::getFile(path);
    return file ? (*file)->getBuffer().str() : "";
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  llvm::SmallString<128> path;
  std::string said;
};
} // namespace

TEST_F(Reproducer, NothingAfterSuccess) {
  EXPECT_EQ(run("other-pass", [](Operation *) { return success(); }),
            PassOutcome::Done);
  EXPECT_EQ(written(), "");
  EXPECT_EQ(said, "");
}

TEST_F(Reproducer, CrashLeavesInputAndPipeline) {
  EXPECT_EQ(
      run("attn-crashing", [](Operation *) -> LogicalResult { std::abort(); }),
      PassOutcome::Broken);
  EXPECT_NE(written().find("@the_input"), std::string::npos) << written();
  EXPECT_NE(written().find("builtin.module(func.func(attn-crashing))"),
            std::string::npos)
      << written();
  EXPECT_NE(said.find("pass 'attn-crashing' crashed"), std::string::npos)
      << said;
  EXPECT_NE(said.find(("einhead-opt --run-reproducer " + path).str()),
            std::string::npos)
      << said;
}

TEST_F(Reproducer, InvalidIRIsTheCompilersFault) {
  EXPECT_EQ(run("attn-spoiling",
                [](Operation *op) {
                  cast<func::FuncOp>(op).front().getTerminator()->erase();
                  return success();
                }),
            PassOutcome::Broken);
  EXPECT_NE(written(), "");
  EXPECT_NE(said.find("pass 'attn-spoiling' left invalid IR"),
            std::string::npos)
      << said;
}

TEST_F(Reproducer, OtherPassesFail) {
  EXPECT_EQ(
      run("other-pass", [](Operation *op) { return op->emitError("cannot"); }),
      PassOutcome::Failed);
  EXPECT_NE(written(), "");
  EXPECT_NE(said.find("pass 'other-pass' failed"), std::string::npos) << said;
}

TEST_F(Reproducer, OursRefuse) {
  EXPECT_EQ(run("attn-refusing",
                [](Operation *op) { return op->emitError("not this one"); }),
            PassOutcome::Refused);
  EXPECT_EQ(written(), "");
  EXPECT_EQ(said, "not this one\n");
}

TEST_F(Reproducer, OursDoNotFailWithoutAWord) {
  EXPECT_EQ(run("attn-silent", [](Operation *) { return failure(); }),
            PassOutcome::Broken);
  EXPECT_NE(written(), "");
  EXPECT_NE(said.find("pass 'attn-silent' failed"), std::string::npos) << said;
}

// Passes on several functions would run on threads of the pool, where a crash
// cannot be caught.
TEST_F(Reproducer, CrashOnOneOfManyFunctions) {
  module = parseSourceString<ModuleOp>(
      "func.func @one() { return }\nfunc.func @two() { return }", &context);
  EXPECT_EQ(run("attn-crashing",
                [](Operation *op) -> LogicalResult {
                  if (cast<func::FuncOp>(op).getName() == "two")
                    std::abort();
                  return success();
                }),
            PassOutcome::Broken);
  EXPECT_NE(written().find("@two"), std::string::npos) << written();
  EXPECT_TRUE(context.isMultithreadingEnabled());
}
