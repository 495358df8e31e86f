//===- OracleTest.h - A test that interprets functions ----------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef EINHEAD_TEST_REFERENCE_ORACLETEST_H
#define EINHEAD_TEST_REFERENCE_ORACLETEST_H

#include "Oracle.h"
#include "einhead/IR/Attn.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

namespace einhead::test {

using reference::Tensor;

/// Parses and interprets a function.
class Oracle : public testing::Test {
protected:
  Oracle() {
    context.loadDialect<attn::AttnDialect, mlir::affine::AffineDialect,
                        mlir::arith::ArithDialect, mlir::func::FuncDialect,
                        mlir::linalg::LinalgDialect, mlir::math::MathDialect,
                        mlir::tensor::TensorDialect>();
  }

  llvm::Expected<std::vector<Tensor>>
  tryEvaluate(const std::string &text, const std::vector<Tensor> &arguments) {
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context, "test");
    if (!module)
      return llvm::createStringError("does not parse");
    auto function = *module->getOps<mlir::func::FuncOp>().begin();
    return tool::evaluate(function, arguments);
  }

  /// The first result.
  Tensor evaluate(const std::string &text,
                  const std::vector<Tensor> &arguments) {
    auto results = tryEvaluate(text, arguments);
    if (!results) {
      ADD_FAILURE() << llvm::toString(results.takeError());
      return Tensor({0});
    }
    return results->front();
  }

  std::string errorOf(const std::string &text,
                      const std::vector<Tensor> &arguments) {
    auto results = tryEvaluate(text, arguments);
    return results ? "" : llvm::toString(results.takeError());
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};

inline Tensor scalar(double value) { return Tensor({}, {value}); }

using Values = std::vector<double>;
using Shape = std::vector<int64_t>;

} // namespace einhead::test

#endif // EINHEAD_TEST_REFERENCE_ORACLETEST_H
