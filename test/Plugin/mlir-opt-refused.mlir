// What our verifiers and passes refuse, mlir-opt refuses in the same words.
// RUN: mlir-opt %s --split-input-file --verify-diagnostics \
// RUN:   --load-dialect-plugin=%plugin --load-pass-plugin=%plugin \
// RUN:   --pass-pipeline='builtin.module(func.func(attn-raise{require-fused=true}))'

// Without the plugin there is no such dialect.
// RUN: not mlir-opt %s --split-input-file 2>&1 | FileCheck %s
// CHECK: Dialect `attn' not found

func.func @extent(%q: tensor<2x3xf32>, %k: tensor<4x5xf32>) -> tensor<2x4xf32> {
  // expected-error @+1 {{letter 'k' is 5 in operand #1 but 3 in operand #0}}
  %0 = attn.einsum "hk, mk -> hm"(%q, %k) : (tensor<2x3xf32>, tensor<4x5xf32>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @not_attention(%s: tensor<2x4xf32>) -> tensor<2x4xf32> {
  // expected-error @+1 {{is not fused: }}
  %0 = attn.softmax "hm" over "m"(%s) : tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}
