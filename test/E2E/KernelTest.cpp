//===- KernelTest.cpp - Attention as kernels, by emulation ------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The tests beside this file, compiled another way: parallel loops become
// kernels, which loops over blocks and threads then run.
//
//===----------------------------------------------------------------------===//

#include "CompileTest.h"
#include "KernelEmulation.h"
#include <cstdlib>

using namespace einhead;
using namespace einhead::test;

static int64_t threads = 128;

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  if (const char *text = std::getenv("EINHEAD_TEST_THREADS"))
    threads = std::atoi(text);
  compileWith = [](mlir::ModuleOp module, EmitKind kind,
                   const CompileOptions &options) {
    return compileAsKernels(module, kind, options, threads);
  };
  return RUN_ALL_TESTS();
}
