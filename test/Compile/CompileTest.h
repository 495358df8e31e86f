//===- CompileTest.h - Compile text, call what comes out --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TEST_COMPILE_COMPILETEST_H
#define EINHEAD_TEST_COMPILE_COMPILETEST_H

#include "einhead/Compiler.h"
#include "einhead/runtime.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"

namespace einhead::test {

/// How modules are compiled: a binary of tests may have another way.
inline llvm::Expected<std::string> (*compileWith)(
    mlir::ModuleOp, EmitKind, const CompileOptions &) = &einhead::compile;
inline bool compilesAnotherWay() { return compileWith != &einhead::compile; }

/// Compiles text; the text of the error where that fails.
class Compiler {
public:
  explicit Compiler(llvm::StringRef text) {
    mlir::DialectRegistry registry;
    registerAllDialects(registry);
    context.appendDialectRegistry(registry);
    context.getDiagEngine().registerHandler([this](mlir::Diagnostic &d) {
      diagnostics += d.str() + "\n";
      return mlir::success();
    });
    module =
        mlir::parseSourceString<mlir::ModuleOp>(text, &context, "test.mlir");
    EXPECT_TRUE(module) << diagnostics;
  }

  std::string compile(EmitKind kind, const CompileOptions &options = {}) {
    error.clear();
    if (!module)
      return "";
    auto bytes = compileWith(*module, kind, options);
    if (bytes)
      return *bytes;
    llvm::handleAllErrors(bytes.takeError(), [&](const llvm::ErrorInfoBase &e) {
      error = e.message();
      code = e.convertToErrorCode();
    });
    return "";
  }

  mlir::MLIRContext context;
  std::string diagnostics, error;
  std::error_code code;

private:
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

/// An f32, i64 or bool tensor over the caller's memory.
struct View {
  std::vector<int64_t> shape, strides;
  DLTensor dl = {};

  View(float *data, std::vector<int64_t> extents,
       std::vector<int64_t> steps = {})
      : View(data, {kDLFloat, 32, 1}, std::move(extents), std::move(steps)) {}
  View(int64_t *data, std::vector<int64_t> extents)
      : View(data, {kDLInt, 64, 1}, std::move(extents), {}) {}
  View(bool *data, std::vector<int64_t> extents)
      : View(data, {6 /* kDLBool */, 8, 1}, std::move(extents), {}) {}
  View(const View &) = delete;

private:
  View(void *data, DLDataType type, std::vector<int64_t> extents,
       std::vector<int64_t> steps)
      : shape(std::move(extents)), strides(std::move(steps)) {
    dl.data = data;
    dl.device = {kDLCPU, 0};
    dl.ndim = static_cast<int32_t>(shape.size());
    dl.dtype = type;
    dl.shape = shape.data();
    dl.strides = strides.empty() ? nullptr : strides.data();
  }
};

/// A compiled module, opened, with one session.
class Loaded {
public:
  explicit Loaded(const std::string &bytes,
                  std::vector<einhead_dimension_t> dimensions = {}) {
    llvm::SmallString<64> path;
    EXPECT_FALSE(
        llvm::sys::fs::createTemporaryFile("compile", "einhead", path));
    {
      std::error_code error;
      llvm::raw_fd_ostream file(path, error);
      file << bytes;
    }
    EXPECT_EQ(einhead_module_open(path.c_str(), nullptr, &module), EINHEAD_OK)
        << einhead_last_error()->text;
    llvm::sys::fs::remove(path);
    if (!module)
      return;
    einhead_session_options_t options = {};
    options.dimensions = dimensions.data();
    options.dimension_count = dimensions.size();
    options.threads = 2;
    EXPECT_EQ(einhead_session_create(module, &options, &session), EINHEAD_OK)
        << einhead_last_error()->text;
  }
  ~Loaded() {
    einhead_session_release(session);
    einhead_module_release(module);
  }
  Loaded(const Loaded &) = delete;

  /// The status, after printing an error's text.
  einhead_status_t call(const char *function,
                        llvm::ArrayRef<const View *> inputs,
                        llvm::ArrayRef<const View *> outputs) {
    std::vector<DLTensor> in, out;
    for (const View *view : inputs)
      in.push_back(view->dl);
    for (const View *view : outputs)
      out.push_back(view->dl);
    einhead_status_t status = einhead_session_call(
        session, function, in.data(), in.size(), out.data(), out.size());
    EXPECT_EQ(status, EINHEAD_OK) << einhead_last_error()->text;
    return status;
  }

  einhead_module_t *module = nullptr;
  einhead_session_t *session = nullptr;
};

} // namespace einhead::test

#endif // EINHEAD_TEST_COMPILE_COMPILETEST_H
