//===- MachineKernels.cpp - Loops that measure a machine --------*- C++ -*-===//
//
// Part of the Einhead project, under the Apache License v2.0 with LLVM
// Exceptions.  SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MachineKernels.h"
#include "llvm/Support/FormatVariadic.h"

namespace einhead::tool {

static std::string list(int64_t count, llvm::StringRef pattern) {
  std::string text;
  for (int64_t i = 0; i < count; ++i)
    text += (i ? ", " : "") + llvm::formatv(pattern.data(), i).str();
  return text;
}

/// Wraps the body of a task, which defines %task (a row of %x) and %result, a
/// vector<width x f32>.  Operands depend on the task: a body that does not
/// would be computed once for all of them.
static std::string wrap(int64_t tasks, int64_t width, llvm::StringRef body) {
  std::string rows = llvm::formatv("tensor<{0}x{1}xf32>", tasks, width).str();
  std::string row = llvm::formatv("tensor<1x{0}xf32>", width).str();
  return llvm::formatv(R"(
func.func @measure(%x: {0} {{attn.name = "x"})
    -> ({0} {{attn.name = "y"}) {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %f0 = arith.constant 0.0 : f32
  %init = tensor.empty() : {0}
  %y = scf.forall (%task) in ({2}) shared_outs(%out = %init) -> {0} {{
{3}    %to = tensor.extract_slice %out[%task, 0] [1, {4}] [1, 1] : {0} to {1}
    %full = vector.transfer_write %result, %to[%c0, %c0] {{in_bounds = [true]} : vector<{4}xf32>, {1}
    scf.forall.in_parallel {{
      tensor.parallel_insert_slice %full into %out[%task, 0] [1, {4}] [1, 1] : {1} into {0}
    }
  }
  return %y : {0}
}
)",
                       rows, row, tasks, body, width)
      .str();
}

/// A loop of `steps` that gives each of `sums` vectors one more product by
/// `product`, a pattern of {0}, the number of the sum.
static std::string sumLoop(int64_t sums, int64_t lanes, int64_t steps,
                           llvm::StringRef product) {
  std::string vector = llvm::formatv("vector<{0}xf32>", lanes).str();
  std::string types = list(sums, vector);
  std::string text =
      llvm::formatv("    %steps = arith.constant {0} : index\n"
                    "    %sums:{1} = scf.for %i = %c0 to %steps step %c1 "
                    "iter_args({2}) -> ({3}) {{\n",
                    steps, sums, list(sums, "%s{0} = %start"), types)
          .str();
  for (int64_t i = 0; i < sums; ++i)
    text += "      " + llvm::formatv(product.data(), i).str() + "\n";
  text +=
      "      scf.yield " + list(sums, "%n{0}") + " : " + types + "\n    }\n";
  // Every sum must be used.
  text += "    %t0 = arith.addf %sums#0, %sums#1 : " + vector + "\n";
  for (int64_t i = 2; i < sums; ++i)
    text +=
        llvm::formatv("    {0} = arith.addf %t{1}, %sums#{2} : {3}\n",
                      i + 1 == sums ? "%result" : "%t" + std::to_string(i - 1),
                      i - 2, i, vector)
            .str();
  return text;
}

/// An FMA takes 4 or 5 cycles and a core starts up to two each cycle, so that
/// ten sums keep it busy; three quarters of the registers are at least twelve.
static int64_t sumCount(const TargetInfo &target) {
  return target.vectorRegisters * 3 / 4;
}

constexpr int64_t vectorSteps = 200000;

MachineKernel fmaKernel(const TargetInfo &target, int64_t tasks) {
  int64_t lanes = target.f32Lanes(), sums = sumCount(target);
  std::string vector = llvm::formatv("vector<{0}xf32>", lanes).str();
  std::string body =
      llvm::formatv("    %start = vector.transfer_read %x[%task, %c0], %f0 "
                    "{{in_bounds = [true]} : tensor<{0}x{1}xf32>, {2}\n",
                    tasks, lanes, vector)
          .str() +
      sumLoop(sums, lanes, vectorSteps,
              "%n{0} = vector.fma %start, %start, %s{0} : " + vector);
  return {wrap(tasks, lanes, body), lanes,
          2.0 * static_cast<double>(lanes * sums * vectorSteps)};
}

MachineKernel dotKernel(const TargetInfo &target, int64_t tasks) {
  int64_t lanes = target.f32Lanes(), sums = sumCount(target);
  std::string vector = llvm::formatv("vector<{0}xf32>", lanes).str();
  std::string pairs = llvm::formatv("vector<{0}xbf16>", 2 * lanes).str();
  std::string body =
      llvm::formatv("    %start = vector.transfer_read %x[%task, %c0], %f0 "
                    "{{in_bounds = [true]} : tensor<{0}x{1}xf32>, {2}\n"
                    "    %pairs = vector.bitcast %start : {2} to {3}\n",
                    tasks, lanes, vector, pairs)
          .str() +
      sumLoop(sums, lanes, vectorSteps,
              "%n{0} = x86vector.avx512.dot %s{0}, %pairs, %pairs : " + pairs +
                  " -> " + vector);
  return {wrap(tasks, lanes, body), lanes,
          4.0 * static_cast<double>(lanes * sums * vectorSteps)};
}

/// Tiles do not live across loops, so that a step of the loop loads its sums,
/// adds many products to each and stores them; what it stores, the next step
/// loads, and no step can be left out.
MachineKernel tileKernel(int64_t tasks) {
  constexpr int64_t steps = 200, products = 64, sums = 4;
  const std::string sum = "!amx.tile<16x16xf32>",
                    left = "!amx.tile<16x32xbf16>";
  std::string body = llvm::formatv(R"(
    %steps = arith.constant {0} : index
    %start = vector.transfer_read %x[%task, %c0], %f0 {{in_bounds = [true]} : tensor<{1}x16xf32>, vector<16xf32>
    %line = vector.bitcast %start : vector<16xf32> to vector<32xbf16>
    %operand = vector.broadcast %line : vector<32xbf16> to vector<16x32xbf16>
    %zero = arith.constant dense<0.0> : vector<64x16xf32>
    %a = memref.alloca() {{alignment = 64 : i64} : memref<16x32xbf16>
    %sums = memref.alloca() {{alignment = 64 : i64} : memref<64x16xf32>
    vector.transfer_write %operand, %a[%c0, %c0] {{in_bounds = [true, true]} : vector<16x32xbf16>, memref<16x32xbf16>
    vector.transfer_write %zero, %sums[%c0, %c0] {{in_bounds = [true, true]} : vector<64x16xf32>, memref<64x16xf32>
)",
                                   steps, tasks)
                         .str();
  for (int64_t i = 0; i < sums; ++i)
    body += llvm::formatv("    %r{0} = arith.constant {1} : index\n", i, 16 * i)
                .str();
  body += "    scf.for %i = %c0 to %steps step %c1 {\n";
  for (const char *name : {"%left", "%right"})
    body += llvm::formatv("      {0} = amx.tile_load %a[%c0, %c0] : "
                          "memref<16x32xbf16> into {1}\n",
                          name, left)
                .str();
  for (int64_t i = 0; i < sums; ++i)
    body += llvm::formatv("      %s0_{0} = amx.tile_load %sums[%r{0}, %c0] : "
                          "memref<64x16xf32> into {1}\n",
                          i, sum)
                .str();
  for (int64_t p = 0; p < products; ++p)
    for (int64_t i = 0; i < sums; ++i)
      body += llvm::formatv("      %s{0}_{1} = amx.tile_mulf %left, %right, "
                            "%s{2}_{1} : {3}, {3}, {4}\n",
                            p + 1, i, p, left, sum)
                  .str();
  for (int64_t i = 0; i < sums; ++i)
    body += llvm::formatv("      amx.tile_store %sums[%r{0}, %c0], %s{1}_{0} : "
                          "memref<64x16xf32>, {2}\n",
                          i, products, sum)
                .str();
  body += "    }\n    %result = vector.transfer_read %sums[%c0, %c0], %f0 "
          "{in_bounds = [true]} : memref<64x16xf32>, vector<16xf32>\n";
  constexpr double operations = 16 * 16 * 32 * 2;
  return {wrap(tasks, 16, body), 16, operations * steps * products * sums};
}

MachineKernel forkKernel(int64_t tasks) {
  constexpr int64_t loops = 200;
  std::string rows = llvm::formatv("tensor<{0}x16xf32>", tasks).str();
  std::string text = llvm::formatv(R"(
func.func @measure(%x: {0} {{attn.name = "x"})
    -> ({0} {{attn.name = "y"}) {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %loops = arith.constant {1} : index
  %f1 = arith.constant 1.0 : f32
  %empty = tensor.empty() : {0}
  %init = linalg.fill ins(%f1 : f32) outs(%empty : {0}) -> {0}
  %y = scf.for %i = %c0 to %loops step %c1 iter_args(%state = %init) -> {0} {{
    %next = scf.forall (%task) in ({2}) shared_outs(%out = %state) -> {0} {{
      %old = tensor.extract %out[%task, %c0] : {0}
      %new = arith.addf %old, %f1 : f32
      %one = tensor.from_elements %new : tensor<1x1xf32>
      scf.forall.in_parallel {{
        tensor.parallel_insert_slice %one into %out[%task, 0] [1, 1] [1, 1] : tensor<1x1xf32> into {0}
      }
    }
    scf.yield %next : {0}
  }
  return %y : {0}
}
)",
                                   rows, loops, tasks)
                         .str();
  return {text, 16, static_cast<double>(loops)};
}

MachineKernel chainKernel() {
  constexpr int64_t steps = 20000, links = 32;
  std::string body =
      llvm::formatv("    %steps = arith.constant {0} : index\n"
                    "    %seed = tensor.extract %x[%task, %c0] : "
                    "tensor<1x16xf32>\n"
                    "    %bits = arith.bitcast %seed : f32 to i32\n"
                    "    %n0 = arith.extui %bits : i32 to i64\n"
                    "    %last = scf.for %i = %c0 to %steps step %c1 "
                    "iter_args(%p0 = %n0) -> i64 {{\n",
                    steps)
          .str();
  for (int64_t i = 0; i < links; ++i)
    body +=
        llvm::formatv("      %p{0} = arith.muli %p{1}, %p{1} : i64\n", i + 1, i)
            .str();
  body += llvm::formatv("      scf.yield %p{0} : i64\n    }\n"
                        "    %low = arith.trunci %last : i64 to i32\n"
                        "    %number = arith.uitofp %low : i32 to f32\n"
                        "    %result = vector.broadcast %number : f32 to "
                        "vector<16xf32>\n",
                        links)
              .str();
  return {wrap(1, 16, body), 16, static_cast<double>(steps * links)};
}

} // namespace einhead::tool
