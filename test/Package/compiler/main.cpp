//===- main.cpp - A project that embeds the compiler ------------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Compiler.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/raw_ostream.h"

static const char *const source = R"(
func.func @scores(%q: tensor<4x8xf32> {attn.shape = "b, k"},
                  %k: tensor<4x16x8xf32> {attn.shape = "b, m, k"})
    -> (tensor<4x16xf32> {attn.shape = "b, m"}) {
  %s = attn.einsum "bk, bmk -> bm"(%q, %k)
    : (tensor<4x8xf32>, tensor<4x16x8xf32>) -> tensor<4x16xf32>
  return %s : tensor<4x16xf32>
}
)";

int main() {
  mlir::DialectRegistry registry;
  einhead::registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(source, &context);
  if (!module)
    return 1;
  einhead::CompileOptions options;
  auto text = einhead::compile(*module, einhead::EmitKind::MLIR, options);
  if (!text) {
    llvm::errs() << llvm::toString(text.takeError()) << "\n";
    return 1;
  }
  if (llvm::StringRef(*text).contains("attn.")) {
    llvm::errs() << "an attn op is left:\n" << *text;
    return 1;
  }
  llvm::outs() << "compiled to " << text->size() << " bytes of LLVM dialect\n";
  return 0;
}
