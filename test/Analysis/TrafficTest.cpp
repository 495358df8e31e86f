//===- TrafficTest.cpp - Derived bytes against the loops' loads -*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "einhead/Analysis/Traffic.h"
#include "CompileTest.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/FormatVariadic.h"

using namespace einhead;
using namespace einhead::test;
using namespace mlir;

/// How often the loops around `op` run it.
static int64_t tripCount(Operation *op) {
  int64_t count = 1;
  for (Operation *at = op->getParentOp(); at; at = at->getParentOp()) {
    if (auto forall = dyn_cast<scf::ForallOp>(at))
      for (int64_t extent : forall.getStaticUpperBound())
        count *= extent;
    if (auto loop = dyn_cast<scf::ForOp>(at)) {
      llvm::APInt from, to, step;
      EXPECT_TRUE(matchPattern(loop.getLowerBound(), m_ConstantInt(&from)) &&
                  matchPattern(loop.getUpperBound(), m_ConstantInt(&to)) &&
                  matchPattern(loop.getStep(), m_ConstantInt(&step)));
      count *= (to.getSExtValue() - from.getSExtValue()) / step.getSExtValue();
    }
  }
  return count;
}

static int64_t bytesOf(Value tile) {
  auto type = cast<RankedTensorType>(tile.getType());
  return type.getNumElements() * type.getElementTypeBitWidth() / 8;
}

/// The K and V bytes that the tiled loops of `text` read.
static int64_t loadedBytes(const std::string &text, bool share) {
  Compiler compiler(text);
  CompileOptions options;
  options.shareKV = share;
  options.stopAfter = "tiled";
  std::string tiled = compiler.compile(EmitKind::MLIR, options);
  EXPECT_FALSE(tiled.empty()) << compiler.error;
  auto module = parseSourceString<ModuleOp>(tiled, &compiler.context);
  int64_t bytes = 0;
  module->walk([&](attn::PartialAttentionOp op) {
    bytes += tripCount(op) * (bytesOf(op.getKey()) + bytesOf(op.getValue()));
  });
  return bytes;
}

static std::string graph(int64_t groups, int64_t rows, int64_t keys,
                         llvm::StringRef type) {
  return llvm::formatv(
             R"(func.func @f(%q: tensor<{0}x{1}x32xf32>, %k: tensor<{0}x{2}x32x{3}>,
    %v: tensor<{0}x{2}x48x{3}>) -> tensor<{0}x{1}x48xf32> {{
  %init = tensor.empty() : tensor<{0}x{1}x48xf32>
  %y = attn.attention "grk, gmk, gmv -> grv" query(%q : tensor<{0}x{1}x32xf32>)
    key(%k : tensor<{0}x{2}x32x{3}>) value(%v : tensor<{0}x{2}x48x{3}>) scale 1.0
    outs(%init : tensor<{0}x{1}x48xf32>) -> tensor<{0}x{1}x48xf32>
  return %y : tensor<{0}x{1}x48xf32>
})",
             groups, rows, keys, type)
      .str();
}

/// What the analysis derives: the least, and what unshared rows read.
static std::pair<int64_t, int64_t> derivedBytes(const std::string &text) {
  Compiler compiler(text);
  auto module = parseSourceString<ModuleOp>(text, &compiler.context);
  std::pair<int64_t, int64_t> bytes = {0, 0};
  auto none = [](char) -> int64_t { return 0; };
  module->walk([&](attn::AttentionOp op) {
    auto traffic =
        AttentionTraffic::of(cast<attn::AttentionLike>(op.getOperation()));
    for (const LetterProduct &product : traffic.kvBytes)
      bytes.first += product.evaluate(none);
    for (const LetterProduct &product : traffic.kvBytesUnshared)
      bytes.second += product.evaluate(none);
  });
  return bytes;
}

TEST(Traffic, LoopsReadWhatTheRolesSay) {
  for (int64_t rows : {1, 4, 71})
    for (const char *type : {"f32", "bf16"}) {
      std::string text = graph(3, rows, 1024, type);
      auto [least, unshared] = derivedBytes(text);
      EXPECT_EQ(least, 3 * 1024 * (32 + 48) * (type[0] == 'b' ? 2 : 4));
      EXPECT_EQ(unshared, rows * least);
      EXPECT_EQ(loadedBytes(text, /*share=*/true), least) << rows << type;
      // Rows that do not share reload K and V: the count sees it.
      EXPECT_EQ(loadedBytes(text, /*share=*/false), unshared) << rows << type;
    }
}
