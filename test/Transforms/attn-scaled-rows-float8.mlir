// RUN: einhead-opt %s --attn-raise --remarks-filter='attn.*' --split-input-file 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// Attention to the product of f8E4M3FN rows and their scales reads the rows: of
// the key widened, of the value as an einsum takes them.

// REMARK: [Passed] ScaledRows | Category:attn-raise
// REMARK-SAME: the key is read as f8E4M3FN "bgmk" and multiplied by its scale where it is used
// REMARK: [Passed] ScaledRows
// REMARK-SAME: the value is read as f8E4M3FN "bgmv"
// CHECK-LABEL: func.func @key_and_value
// CHECK-SAME: %[[KEY:[a-z0-9]+]]: tensor<2x4x?x16xf8E4M3FN>, %[[VALUE:[a-z0-9]+]]: tensor<2x4x?x8xf8E4M3FN>,
// CHECK-SAME: %[[KEY_SCALES:[a-z0-9]+]]: tensor<2x4x?xf32>, %[[VALUE_SCALES:[a-z0-9]+]]: tensor<2x4x?xf32>)
func.func @key_and_value(%q: tensor<2x4x3x16xbf16>, %k: tensor<2x4x?x16xf8E4M3FN>, %v: tensor<2x4x?x8xf8E4M3FN>,
                         %ks: tensor<2x4x?xf32>, %vs: tensor<2x4x?xf32>) -> tensor<2x4x3x8xf32> {
  // CHECK-NEXT: tensor.empty
  // CHECK-NEXT: attn.attention "bgrk, bgmk, bgmv -> bgrv" query({{.*}}) key(%[[KEY]] : tensor<2x4x?x16xf8E4M3FN>)
  // CHECK-SAME: value(%[[VALUE]] : tensor<2x4x?x8xf8E4M3FN>) scale 1.000000e+00
  // CHECK-SAME: key_scale(%[[KEY_SCALES]] : tensor<2x4x?xf32>) value_scale(%[[VALUE_SCALES]] : tensor<2x4x?xf32>)
  // CHECK-NEXT: return
  %kw = arith.extf %k : tensor<2x4x?x16xf8E4M3FN> to tensor<2x4x?x16xf32>
  %kf = attn.einsum "bgmk, bgm -> bgmk"(%kw, %ks) : (tensor<2x4x?x16xf32>, tensor<2x4x?xf32>) -> tensor<2x4x?x16xf32>
  %vf = attn.einsum "bgm, bgmv -> bgmv"(%vs, %v) : (tensor<2x4x?xf32>, tensor<2x4x?x8xf8E4M3FN>) -> tensor<2x4x?x8xf32>
  %s = attn.einsum "bgrk, bgmk -> bgrm"(%q, %kf) : (tensor<2x4x3x16xbf16>, tensor<2x4x?x16xf32>) -> tensor<2x4x3x?xf32>
  %p = attn.softmax "bgrm" over "m"(%s) : tensor<2x4x3x?xf32>
  %y = attn.einsum "bgrm, bgmv -> bgrv"(%p, %vf) : (tensor<2x4x3x?xf32>, tensor<2x4x?x8xf32>) -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}

// -----

// One number for all keys of a head is no scale of rows.
// REMARK: [Missed] ScaledRows
// REMARK-SAME: the key is f8E4M3FN, but multiplied in memory first: its scale is by "h", which has to be "hm", a number for each row, in the order of the f8E4M3FN tensor
// CHECK-LABEL: func.func @scale_by_head
// CHECK: attn.attention {{.*}} key(%{{.*}} : tensor<4x9x16xf32>)
func.func @scale_by_head(%q: tensor<4x16xf32>, %k: tensor<4x9x16xf8E4M3FN>, %v: tensor<4x9x8xf32>, %ks: tensor<4xf32>) -> tensor<4x8xf32> {
  %kf = attn.einsum "hmk, h -> hmk"(%k, %ks) : (tensor<4x9x16xf8E4M3FN>, tensor<4xf32>) -> tensor<4x9x16xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %kf) : (tensor<4x16xf32>, tensor<4x9x16xf32>) -> tensor<4x9xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x9xf32>
  %y = attn.einsum "hm, hmv -> hv"(%p, %v) : (tensor<4x9xf32>, tensor<4x9x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// A query of f8E4M3FN is not fused, and nothing is lost.
// REMARK: [Missed] NotAttention
// REMARK-SAME: softmax is not fused: the query is f8E4M3FN, which key and value alone may be; widen it
// CHECK-LABEL: func.func @query
// CHECK-NOT: attn.attention
// CHECK: attn.softmax
func.func @query(%q: tensor<4x16xf8E4M3FN>, %k: tensor<4x9x16xf8E4M3FN>) -> tensor<4x16xf32> {
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<4x16xf8E4M3FN>, tensor<4x9x16xf8E4M3FN>) -> tensor<4x9xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x9xf32>
  %y = attn.einsum "hm, hmk -> hk"(%p, %k) : (tensor<4x9xf32>, tensor<4x9x16xf8E4M3FN>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}
