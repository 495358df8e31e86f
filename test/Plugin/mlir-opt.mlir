// The stock mlir-opt with our plugin: the dialect, the passes, the pipelines.

// DEFINE: %{load} = --load-dialect-plugin=%plugin --load-pass-plugin=%plugin

// It prints what our own tool prints.
// RUN: mlir-opt %s --load-dialect-plugin=%plugin > %t.plugin
// RUN: einhead-opt %s > %t.own
// RUN: cmp %t.plugin %t.own
// RUN: FileCheck %s --check-prefix=PRINT < %t.plugin
// PRINT: %[[SCORES:.*]] = attn.einsum "bhk, bmk -> bhm"
// PRINT: attn.softmax "bhm" over "m"(%[[SCORES]]) valid(%{{.*}} : index)

// One pass, by the name of its flag.
// RUN: mlir-opt %s %{load} --pass-pipeline='builtin.module(func.func(attn-raise))' | FileCheck %s --check-prefix=RAISE
// RAISE-NOT: attn.softmax
// RAISE: attn.attention "bhk, bmk, bmv -> bhv"

// Remarks of our passes go through upstream's engine.
// RUN: mlir-opt %s %{load} --pass-pipeline='builtin.module(func.func(attn-raise))' \
// RUN:   --remarks-filter='attn.*' --remark-format=emitRemark -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Our pipelines, with options, as far as the tiled level and as far as code.
// RUN: mlir-opt %s %{load} --pass-pipeline='builtin.module(einhead-to-cpu{cpu=x86-64-v3 stop-after=tiled})' | FileCheck %s --check-prefix=TILED
// TILED: scf.forall
// TILED: scf.for
// TILED: attn.partial_attention
// TILED: attn.merge
// RUN: mlir-opt %s %{load} --pass-pipeline='builtin.module(einhead-to-cpu{cpu=x86-64-v3})' > %t.plugin
// RUN: einhead-opt %s --einhead-to-cpu=cpu=x86-64-v3 > %t.own
// RUN: cmp %t.plugin %t.own
// RUN: FileCheck %s --check-prefix=LLVM < %t.plugin
// LLVM: llvm.func @einhead_entry_decode

// Upstream passes work on our ops: the interface models came along.
// RUN: mlir-opt %s %{load} \
// RUN:   --pass-pipeline='builtin.module(func.func(attn-raise),one-shot-bufferize{bufferize-function-boundaries})' | FileCheck %s --check-prefix=BUFFER
// BUFFER: attn.attention {{.*}} outs(%{{.*}} : memref<2x8x32xf32>)

// A tool that has all this already takes the plugin for what it is.
// RUN: einhead-opt %s %{load} --pass-pipeline='builtin.module(func.func(attn-raise))' | FileCheck %s --check-prefix=RAISE

func.func @decode(%q: tensor<2x8x64xf32>, %k: tensor<2x128x64xf32>,
                  %v: tensor<2x128x32xf32>, %keys: index) -> tensor<2x8x32xf32> {
  %s = attn.einsum "bhk, bmk -> bhm"(%q, %k)
    : (tensor<2x8x64xf32>, tensor<2x128x64xf32>) -> tensor<2x8x128xf32>
  // REMARK: mlir-opt.mlir:[[@LINE+1]]:8: remark: [Passed] Attention | Category:attn-raise
  %p = attn.softmax "bhm" over "m"(%s) valid(%keys : index) : tensor<2x8x128xf32>
  %y = attn.einsum "bhm, bmv -> bhv"(%p, %v)
    : (tensor<2x8x128xf32>, tensor<2x128x32xf32>) -> tensor<2x8x32xf32>
  return %y : tensor<2x8x32xf32>
}
