// Rows of 2^n + 1 bf16: LLVM makes their copy one load, which its code for CPUs
// with instructions for bf16 cannot split.  That ended the process.

// RUN: rm -rf %t && mkdir %t
// RUN: %einhead compile %s --cpu=x86-64,x86-64-v3,znver4,sapphirerapids -o %t/m.einhead

// The load is one of i16 and then bf16 where the vector is a power of two.
// RUN: %einhead compile %s --cpu=znver4 --emit=llvm -o - | FileCheck %s --implicit-check-not='load <9 x bfloat>'
// CHECK-LABEL: define {{.*}}@nine
// CHECK: load <9 x i16>
// CHECK: bitcast <16 x i16> %{{.*}} to <16 x bfloat>

// Here, each result is within its bound, and the twin is not.
// RUN: %einhead run %s --function=nine | FileCheck %s --check-prefix=NINE
// NINE: y f32[2,6] pass
// RUN: %einhead run %s --function=seventeen | FileCheck %s --check-prefix=SEVENTEEN
// SEVENTEEN: y f32[2,6] pass
// RUN: not %einhead run %s --function=nine --perturb=1

func.func @nine(%q: tensor<2x9xbf16> {attn.name = "q", attn.shape = "2, 9"},
    %k: tensor<2x5x9xbf16> {attn.name = "k", attn.shape = "2, 5, 9"},
    %v: tensor<2x5x6xbf16> {attn.name = "v", attn.shape = "2, 5, 6"})
    -> (tensor<2x6xf32> {attn.name = "y", attn.shape = "2, 6"}) {
  %init = tensor.empty() : tensor<2x6xf32>
  %y = attn.attention "hk, hmk, hmv -> hv" query(%q : tensor<2x9xbf16>)
      key(%k : tensor<2x5x9xbf16>) value(%v : tensor<2x5x6xbf16>) scale 0.25
      outs(%init : tensor<2x6xf32>) -> tensor<2x6xf32>
  return %y : tensor<2x6xf32>
}

func.func @seventeen(%q: tensor<2x17xbf16> {attn.name = "q", attn.shape = "2, 17"},
    %k: tensor<2x5x17xbf16> {attn.name = "k", attn.shape = "2, 5, 17"},
    %v: tensor<2x5x6xbf16> {attn.name = "v", attn.shape = "2, 5, 6"})
    -> (tensor<2x6xf32> {attn.name = "y", attn.shape = "2, 6"}) {
  %init = tensor.empty() : tensor<2x6xf32>
  %y = attn.attention "hk, hmk, hmv -> hv" query(%q : tensor<2x17xbf16>)
      key(%k : tensor<2x5x17xbf16>) value(%v : tensor<2x5x6xbf16>) scale 0.25
      outs(%init : tensor<2x6xf32>) -> tensor<2x6xf32>
  return %y : tensor<2x6xf32>
}
