// Every op with each of its clauses prints as it parses, twice and in generic
// form.
// RUN: einhead-opt %s | einhead-opt | FileCheck %s
// RUN: einhead-opt %s -mlir-print-op-generic -mlir-print-local-scope | einhead-opt | FileCheck %s
// RUN: einhead-opt %s -emit-bytecode | einhead-opt | FileCheck %s
// RUN: einhead-opt %s -mlir-print-op-generic | einhead-opt | FileCheck %s

#causal = affine_set<(n, m)[p] : (p + n - m >= 0)>
#causal_mask = #attn.mask<"nm", "(n, m)[p] : (p + n - m >= 0)">

// CHECK-LABEL: func.func @einsum
func.func @einsum(%q: tensor<1x8x4x128xf32>, %k: tensor<1x8x?x128xbf16>, %s: tensor<f32>)
    -> (tensor<1x8x4x?xf32>, tensor<1x8xf64>, tensor<f16>) {
  // CHECK: attn.einsum "bgrk, bgmk -> bgrm"(%{{[a-z0-9]+}}, %{{[a-z0-9]+}})
  // CHECK-SAME: : (tensor<1x8x4x128xf32>, tensor<1x8x?x128xbf16>) -> tensor<1x8x4x?xf32>
  %0 = attn.einsum "bgrk, bgmk -> bgrm"(%q, %k)
    : (tensor<1x8x4x128xf32>, tensor<1x8x?x128xbf16>) -> tensor<1x8x4x?xf32>
  // One operand: a sum over the letters that the result lacks.
  // CHECK: attn.einsum "bgrk -> bg"(%{{[a-z0-9]+}}) : (tensor<1x8x4x128xf32>) -> tensor<1x8xf64>
  %1 = attn.einsum "bgrk -> bg"(%q) : (tensor<1x8x4x128xf32>) -> tensor<1x8xf64>
  // Terms without letters are scalars.
  // CHECK: attn.einsum ", -> "(%{{[a-z0-9]+}}, %{{[a-z0-9]+}}) {note = "kept"} : (tensor<f32>, tensor<f32>) -> tensor<f16>
  %2 = attn.einsum ", -> "(%s, %s) {note = "kept"} : (tensor<f32>, tensor<f32>) -> tensor<f16>
  return %0, %1, %2 : tensor<1x8x4x?xf32>, tensor<1x8xf64>, tensor<f16>
}

// CHECK-LABEL: func.func @softmax
func.func @softmax(%x: tensor<2x8x1024xf32>, %n: index, %each: tensor<2xi64>, %p: index)
    -> (tensor<2x8x1024xf32>, tensor<2x8x1024xf32>, tensor<2x8x1024xf32>, tensor<2x8x1024xf32>) {
  // CHECK: attn.softmax "bhm" over "m"(%{{[a-z0-9]+}}) : tensor<2x8x1024xf32>
  %0 = attn.softmax "bhm" over "m"(%x) : tensor<2x8x1024xf32>
  // CHECK: attn.softmax "bhm" over "m"(%{{[a-z0-9]+}}) valid(%{{[a-z0-9]+}} : index) : tensor<2x8x1024xf32>
  %1 = attn.softmax "bhm" over "m"(%x) valid(%n : index) : tensor<2x8x1024xf32>
  // CHECK: attn.softmax "bhm" over "h"(%{{[a-z0-9]+}}) valid(%{{[a-z0-9]+}} : tensor<2xi64>) : tensor<2x8x1024xf32>
  %2 = attn.softmax "bhm" over "h"(%x) valid(%each : tensor<2xi64>) : tensor<2x8x1024xf32>
  // CHECK: attn.softmax "bnm" over "m"(%{{[a-z0-9]+}}) mask <"nm", "(d0, d1)[s0] : (d0 + s0 - d1 >= 0)">(%{{[a-z0-9]+}}) : tensor<2x8x1024xf32>
  %3 = attn.softmax "bnm" over "m"(%x)
    mask <"nm", #causal>(%p) : tensor<2x8x1024xf32>
  return %0, %1, %2, %3
    : tensor<2x8x1024xf32>, tensor<2x8x1024xf32>, tensor<2x8x1024xf32>, tensor<2x8x1024xf32>
}

// CHECK-LABEL: func.func @append
func.func @append(%row: tensor<2x8x64xf16>, %rows: tensor<2x3x8x64xf16>, %cache: tensor<2x8x?x64xf16>,
                  %at: index, %each: tensor<2xi64>) -> (tensor<2x8x?x64xf16>, tensor<2x8x?x64xf16>) {
  // CHECK: attn.append "bhk -> bhmk"(%{{[a-z0-9]+}} into %{{[a-z0-9]+}} at %{{[a-z0-9]+}}
  // CHECK-SAME: : index) : tensor<2x8x64xf16> into tensor<2x8x?x64xf16>
  %0 = attn.append "bhk -> bhmk"(%row into %cache at %at : index)
    : tensor<2x8x64xf16> into tensor<2x8x?x64xf16>
  // Several rows, their letters in another order, a position for each sequence.
  // CHECK: attn.append "bnhk -> bhmk"(%{{[a-z0-9]+}} into %{{[a-z0-9]+}} at %{{[a-z0-9]+}}
  // CHECK-SAME: : tensor<2xi64>) : tensor<2x3x8x64xf16> into tensor<2x8x?x64xf16>
  %1 = attn.append "bnhk -> bhmk"(%rows into %cache at %each : tensor<2xi64>)
    : tensor<2x3x8x64xf16> into tensor<2x8x?x64xf16>
  return %0, %1 : tensor<2x8x?x64xf16>, tensor<2x8x?x64xf16>
}

// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<2x8x4x3x128xbf16>, %k: tensor<2x8x1024x128xbf16>, %v: tensor<2x8x1024x64xbf16>,
                     %bias: tensor<8x4x1024xf32>, %each: tensor<2xi64>, %p: index, %init: tensor<2x8x4x3x64xf32>)
    -> (tensor<2x8x4x3x64xf32>, tensor<2x8x4x3x64xf32>) {
  // CHECK: attn.attention "bgrnk, bgmk, bgmv -> bgrnv" query(%{{[a-z0-9]+}} : tensor<2x8x4x3x128xbf16>)
  // CHECK-SAME: key(%{{[a-z0-9]+}} : tensor<2x8x1024x128xbf16>) value(%{{[a-z0-9]+}} : tensor<2x8x1024x64xbf16>)
  // CHECK-SAME: scale 1.250000e-01 outs(%{{[a-z0-9]+}} : tensor<2x8x4x3x64xf32>) -> tensor<2x8x4x3x64xf32>
  %0 = attn.attention "bgrnk, bgmk, bgmv -> bgrnv"
      query(%q : tensor<2x8x4x3x128xbf16>)
      key(%k : tensor<2x8x1024x128xbf16>)
      value(%v : tensor<2x8x1024x64xbf16>)
      scale 0.125
      outs(%init : tensor<2x8x4x3x64xf32>) -> tensor<2x8x4x3x64xf32>
  // CHECK: attn.attention "bgrnk, bgmk, bgmv -> bgrnv"
  // CHECK-SAME: scale 1.250000e-01 bias "grm"(%{{[a-z0-9]+}} : tensor<8x4x1024xf32>) valid(%{{[a-z0-9]+}} : tensor<2xi64>)
  // CHECK-SAME: mask <"nm", "(d0, d1)[s0] : (d0 + s0 - d1 >= 0)">(%{{[a-z0-9]+}})
  // CHECK-SAME: offsets "nm"(%{{[a-z0-9]+}}, %{{[a-z0-9]+}}) shared_kv
  // CHECK-SAME: schedule <chunk = 512, key_tile = 64, row_tile = 32, lanes = 16>
  // CHECK-SAME: {note = "kept"} outs(%{{[a-z0-9]+}} : tensor<2x8x4x3x64xf32>) -> tensor<2x8x4x3x64xf32>
  %1 = attn.attention "bgrnk, bgmk, bgmv -> bgrnv"
      query(%q : tensor<2x8x4x3x128xbf16>)
      key(%k : tensor<2x8x1024x128xbf16>)
      value(%v : tensor<2x8x1024x64xbf16>)
      scale 0.125
      bias "grm"(%bias : tensor<8x4x1024xf32>)
      valid(%each : tensor<2xi64>)
      mask #causal_mask(%p)
      offsets "nm"(%p, %p)
      shared_kv
      schedule #attn.schedule<chunk = 512, key_tile = 64, row_tile = 32, lanes = 16>
      {note = "kept"}
      outs(%init : tensor<2x8x4x3x64xf32>) -> tensor<2x8x4x3x64xf32>
  return %0, %1 : tensor<2x8x4x3x64xf32>, tensor<2x8x4x3x64xf32>
}

// i8 rows stand with their scales, on tensors and on buffers.
// CHECK-LABEL: func.func @attention_of_scaled_rows
func.func @attention_of_scaled_rows(%q: tensor<2x8x64xf32>, %k: tensor<2x?x64xi8>, %v: tensor<2x?x32xi8>,
                                    %ks: tensor<2x?xf32>, %vs: tensor<2x?xf32>, %bias: tensor<2x?xf32>,
                                    %init: tensor<2x8x32xf32>, %bq: memref<2x8x64xf32>, %bk: memref<2x9x64xi8>,
                                    %bv: memref<2x9x64xf16>, %bs: memref<2x9xf32, strided<[?, 1], offset: ?>>,
                                    %max: memref<2x8xf32>, %acc: memref<2x8x64xf32>) -> tensor<2x8x32xf32> {
  // CHECK: attn.attention "bhk, bmk, bmv -> bhv" query(%{{[a-z0-9]+}} : tensor<2x8x64xf32>)
  // CHECK-SAME: key(%{{[a-z0-9]+}} : tensor<2x?x64xi8>) value(%{{[a-z0-9]+}} : tensor<2x?x32xi8>) scale 1.250000e-01
  // CHECK-SAME: key_scale(%[[KEY_SCALES:[a-z0-9]+]] : tensor<2x?xf32>) value_scale(%{{[a-z0-9]+}} : tensor<2x?xf32>)
  // CHECK-SAME: bias "bm"(%{{[a-z0-9]+}} : tensor<2x?xf32>) outs
  %0 = attn.attention "bhk, bmk, bmv -> bhv"
      query(%q : tensor<2x8x64xf32>)
      key(%k : tensor<2x?x64xi8>)
      value(%v : tensor<2x?x32xi8>)
      scale 0.125
      key_scale(%ks : tensor<2x?xf32>)
      value_scale(%vs : tensor<2x?xf32>)
      bias "bm"(%bias : tensor<2x?xf32>)
      outs(%init : tensor<2x8x32xf32>) -> tensor<2x8x32xf32>
  // CHECK: attn.partial_attention "bhk, bmk, bmv -> bhv"
  // CHECK-SAME: key(%{{[a-z0-9]+}} : memref<2x9x64xi8>) value(%{{[a-z0-9]+}} : memref<2x9x64xf16>) scale 1.000000e+00
  // CHECK-SAME: key_scale(%{{[a-z0-9]+}} : memref<2x9xf32, strided<[?, 1], offset: ?>>) outs
  attn.partial_attention "bhk, bmk, bmv -> bhv"
      query(%bq : memref<2x8x64xf32>)
      key(%bk : memref<2x9x64xi8>)
      value(%bv : memref<2x9x64xf16>)
      scale 1.0
      key_scale(%bs : memref<2x9xf32, strided<[?, 1], offset: ?>>)
      outs(%max, %max, %acc : memref<2x8xf32>, memref<2x8xf32>, memref<2x8x64xf32>)
  return %0 : tensor<2x8x32xf32>
}

// On buffers there are no results; strided views are taken.
// CHECK-LABEL: func.func @attention_on_buffers
func.func @attention_on_buffers(%q: memref<2x8x128xf32>, %k: memref<2x?x128xf32, strided<[?, 512, 1], offset: ?>>,
                                %n: memref<2xi64>, %out: memref<2x8x128xf32>) {
  // Key and value are one buffer: V is a slice of K.
  // CHECK: attn.attention "bhk, bmk, bmv -> bhv" query(%{{[a-z0-9]+}} : memref<2x8x128xf32>)
  // CHECK-SAME: valid(%{{[a-z0-9]+}} : memref<2xi64>)
  // CHECK-SAME: outs(%{{[a-z0-9]+}} : memref<2x8x128xf32>){{$}}
  attn.attention "bhk, bmk, bmv -> bhv"
      query(%q : memref<2x8x128xf32>)
      key(%k : memref<2x?x128xf32, strided<[?, 512, 1], offset: ?>>)
      value(%k : memref<2x?x128xf32, strided<[?, 512, 1], offset: ?>>)
      scale 1.0 valid(%n : memref<2xi64>) outs(%out : memref<2x8x128xf32>)
  return
}

// CHECK-LABEL: func.func @partial_attention
func.func @partial_attention(%q: tensor<2x8x128xf16>, %k: tensor<2x?x128xf16>, %v: tensor<2x?x64xf16>,
                             %bias: tensor<2x?xf16>, %n: index,
                             %max: tensor<2x8xf32>, %sum: tensor<2x8xf32>, %acc: tensor<2x8x64xf32>,
                             %maxes: tensor<?x2x8xf32>, %sums: tensor<?x2x8xf32>, %accs: tensor<?x2x8x64xf32>)
    -> (tensor<2x8x64xf32>, tensor<?x2x8x64xf32>) {
  // CHECK: attn.partial_attention "bhk, bmk, bmv -> bhv"
  // CHECK-SAME: scale 5.000000e-01
  // CHECK-SAME: outs(%{{[a-z0-9#]+}}, %{{[a-z0-9#]+}}, %{{[a-z0-9#]+}} : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x64xf32>)
  // CHECK-SAME: -> tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x64xf32>
  %0:3 = attn.partial_attention "bhk, bmk, bmv -> bhv"
      query(%q : tensor<2x8x128xf16>)
      key(%k : tensor<2x?x128xf16>)
      value(%v : tensor<2x?x64xf16>)
      scale 0.5
      outs(%max, %sum, %acc : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x64xf32>)
      -> tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8x64xf32>
  // CHECK: attn.partial_attention "bhk, bmk, bmv -> bhv"
  // CHECK-SAME: bias "bm"(%{{[a-z0-9]+}} : tensor<2x?xf16>) valid(%{{[a-z0-9]+}} : index)
  // CHECK-SAME: mask <"m", "(d0) : (d0 mod 2 == 0)", "(d0) : (-d0 + 3 >= 0)">()
  // CHECK-SAME: offsets "m"(%{{[a-z0-9]+}}) chunk 512 schedule <chunk = 512, key_tile = 64, row_tile = 8, lanes = 8>
  // CHECK-SAME: outs(%{{[a-z0-9#]+}}, %{{[a-z0-9#]+}}, %{{[a-z0-9#]+}} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8x64xf32>)
  %1:3 = attn.partial_attention "bhk, bmk, bmv -> bhv"
      query(%q : tensor<2x8x128xf16>)
      key(%k : tensor<2x?x128xf16>)
      value(%v : tensor<2x?x64xf16>)
      scale 0.5
      bias "bm"(%bias : tensor<2x?xf16>)
      valid(%n : index)
      mask <"m", affine_set<(m) : (m mod 2 == 0)>, affine_set<(m) : (3 - m >= 0)>>()
      offsets "m"(%n)
      chunk 512
      schedule #attn.schedule<chunk = 512, key_tile = 64, row_tile = 8, lanes = 8>
      outs(%maxes, %sums, %accs : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8x64xf32>)
      -> tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8x64xf32>
  return %0#2, %1#2 : tensor<2x8x64xf32>, tensor<?x2x8x64xf32>
}

// CHECK-LABEL: func.func @merge
func.func @merge(%max: tensor<?x2x8xf32>, %sum: tensor<?x2x8xf32>, %acc: tensor<?x2x8x64xf32>,
                 %init: tensor<2x8x64xbf16>) -> tensor<2x8x64xbf16> {
  // CHECK: attn.merge "bh, bhv -> bhv"
  // CHECK-SAME: (%{{[a-z0-9#]+}}, %{{[a-z0-9#]+}}, %{{[a-z0-9#]+}} : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8x64xf32>)
  // CHECK-SAME: outs(%{{[a-z0-9]+}} : tensor<2x8x64xbf16>) -> tensor<2x8x64xbf16>
  %0 = attn.merge "bh, bhv -> bhv"(%max, %sum, %acc
      : tensor<?x2x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8x64xf32>)
      outs(%init : tensor<2x8x64xbf16>) -> tensor<2x8x64xbf16>
  return %0 : tensor<2x8x64xbf16>
}
