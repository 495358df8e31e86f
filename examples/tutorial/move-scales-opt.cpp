//===- move-scales-opt.cpp - An opt tool with one pass more -----*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MoveScales.h"
#include "einhead/Compiler.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  einhead::registerAllPasses();
  registerMoveScalesPass();
  mlir::DialectRegistry registry;
  einhead::registerAllDialects(registry);
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Einhead with move-scales\n", registry));
}
