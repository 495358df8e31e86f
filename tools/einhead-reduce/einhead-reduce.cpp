//===- einhead-reduce.cpp - The reducer -------------------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Compiler.h"
#include "einhead/Reducer/Reducer.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"

int main(int argc, char **argv) {
  einhead::registerAllPasses();
  mlir::DialectRegistry registry;
  einhead::registerAllDialects(registry);
  einhead::registerReductionPatterns(registry);
  mlir::MLIRContext context(registry);
  // Patterns are asked of the dialects that are loaded.
  context.loadAllAvailableDialects();
  return mlir::asMainReturnCode(mlir::mlirReduceMain(argc, argv, context));
}
