// RUN: einhead-opt %s --attn-raise --remarks-filter='attn.*' --split-input-file 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// Attention to the product of i8 rows and their scales reads the rows.

// REMARK: [Passed] ScaledRows | Category:attn-raise
// REMARK-SAME: the key is read as i8 "bgmk" and multiplied by its scale where it is used
// REMARK: [Passed] ScaledRows
// REMARK-SAME: the value is read as i8 "bgmv"
// CHECK-LABEL: func.func @key_and_value
// CHECK-SAME: %[[KEY:[a-z0-9]+]]: tensor<2x4x?x16xi8>, %[[VALUE:[a-z0-9]+]]: tensor<2x4x?x8xi8>,
// CHECK-SAME: %[[KEY_SCALES:[a-z0-9]+]]: tensor<2x4x?xf32>, %[[VALUE_SCALES:[a-z0-9]+]]: tensor<2x4x?xf32>)
func.func @key_and_value(%q: tensor<2x4x3x16xf32>, %k: tensor<2x4x?x16xi8>, %v: tensor<2x4x?x8xi8>,
                         %ks: tensor<2x4x?xf32>, %vs: tensor<2x4x?xf32>) -> tensor<2x4x3x8xf32> {
  // CHECK-NEXT: tensor.empty
  // CHECK-NEXT: attn.attention "bgrk, bgmk, bgmv -> bgrv" query({{.*}}) key(%[[KEY]] : tensor<2x4x?x16xi8>)
  // CHECK-SAME: value(%[[VALUE]] : tensor<2x4x?x8xi8>) scale 1.000000e+00
  // CHECK-SAME: key_scale(%[[KEY_SCALES]] : tensor<2x4x?xf32>) value_scale(%[[VALUE_SCALES]] : tensor<2x4x?xf32>)
  // CHECK-NEXT: return
  %kw = arith.sitofp %k : tensor<2x4x?x16xi8> to tensor<2x4x?x16xf32>
  %kf = attn.einsum "bgmk, bgm -> bgmk"(%kw, %ks) : (tensor<2x4x?x16xf32>, tensor<2x4x?xf32>) -> tensor<2x4x?x16xf32>
  %vw = arith.sitofp %v : tensor<2x4x?x8xi8> to tensor<2x4x?x8xf32>
  %vf = attn.einsum "bgmv, bgm -> bgmv"(%vw, %vs) : (tensor<2x4x?x8xf32>, tensor<2x4x?xf32>) -> tensor<2x4x?x8xf32>
  %s = attn.einsum "bgrk, bgmk -> bgrm"(%q, %kf) : (tensor<2x4x3x16xf32>, tensor<2x4x?x16xf32>) -> tensor<2x4x3x?xf32>
  %p = attn.softmax "bgrm" over "m"(%s) : tensor<2x4x3x?xf32>
  %y = attn.einsum "bgrm, bgmv -> bgrv"(%p, %vf) : (tensor<2x4x3x?xf32>, tensor<2x4x?x8xf32>) -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}

// -----

// Any letters, the scale first, the tensor in another order than the product,
// widened to a type that holds all i8.
// CHECK-LABEL: func.func @spelled_otherwise
// CHECK-SAME: %[[KEY:[a-z0-9]+]]: tensor<9x4x16xi8>, %[[VALUE:[a-z0-9]+]]: tensor<4x9x8xf32>, %[[SCALES:[a-z0-9]+]]: tensor<9x4xf32>)
func.func @spelled_otherwise(%q: tensor<4x16xf32>, %k: tensor<9x4x16xi8>, %v: tensor<4x9x8xf32>,
                             %ks: tensor<9x4xf32>) -> tensor<4x8xf32> {
  // CHECK-NOT: arith.sitofp
  // CHECK: attn.attention "hk, mhk, hmv -> hv" query({{.*}}) key(%[[KEY]] : tensor<9x4x16xi8>) value(%[[VALUE]] : tensor<4x9x8xf32>)
  // CHECK-SAME: key_scale(%[[SCALES]] : tensor<9x4xf32>) outs
  %kw = arith.sitofp %k : tensor<9x4x16xi8> to tensor<9x4x16xbf16>
  %kf = attn.einsum "ca, cab -> acb"(%ks, %kw) : (tensor<9x4xf32>, tensor<9x4x16xbf16>) -> tensor<4x9x16xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %kf) : (tensor<4x16xf32>, tensor<4x9x16xf32>) -> tensor<4x9xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x9xf32>
  %y = attn.einsum "hm, hmv -> hv"(%p, %v) : (tensor<4x9xf32>, tensor<4x9x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// A number for each head alone is none for each row.
// REMARK: [Missed] ScaledRows
// REMARK-SAME: the key is i8, but multiplied in memory first: its scale is by "h", which has to be "hm", a number for each row
// CHECK-LABEL: func.func @scale_by_head
func.func @scale_by_head(%q: tensor<4x16xf32>, %k: tensor<4x9x16xi8>, %v: tensor<4x9x8xf32>,
                         %ks: tensor<4xf32>) -> tensor<4x8xf32> {
  // CHECK: attn.einsum "hmk, h -> hmk"
  // CHECK: attn.attention "hk, hmk, hmv -> hv"
  // CHECK-NOT: key_scale
  %kw = arith.sitofp %k : tensor<4x9x16xi8> to tensor<4x9x16xf32>
  %kf = attn.einsum "hmk, h -> hmk"(%kw, %ks) : (tensor<4x9x16xf32>, tensor<4xf32>) -> tensor<4x9x16xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %kf) : (tensor<4x16xf32>, tensor<4x9x16xf32>) -> tensor<4x9xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x9xf32>
  %y = attn.einsum "hm, hmv -> hv"(%p, %v) : (tensor<4x9xf32>, tensor<4x9x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// Nor is one for each column.
// REMARK: [Missed] ScaledRows
// REMARK-SAME: the value is i8, but multiplied in memory first: its scale is by "hv", which has to be "hm"
// CHECK-LABEL: func.func @scale_by_column
func.func @scale_by_column(%q: tensor<4x16xf32>, %k: tensor<4x8x16xf32>, %v: tensor<4x8x8xi8>,
                           %vs: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // CHECK: attn.einsum "hmv, hv -> hmv"
  // CHECK-NOT: value_scale
  %vw = arith.sitofp %v : tensor<4x8x8xi8> to tensor<4x8x8xf32>
  %vf = attn.einsum "hmv, hv -> hmv"(%vw, %vs) : (tensor<4x8x8xf32>, tensor<4x8xf32>) -> tensor<4x8x8xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %k) : (tensor<4x16xf32>, tensor<4x8x16xf32>) -> tensor<4x8xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x8xf32>
  %y = attn.einsum "hm, hmv -> hv"(%p, %vf) : (tensor<4x8xf32>, tensor<4x8x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// The letters of the scale in another order.
// REMARK: [Missed] ScaledRows
// REMARK-SAME: its scale is by "mh", which has to be "hm"
// CHECK-LABEL: func.func @scale_transposed
func.func @scale_transposed(%q: tensor<4x16xf32>, %k: tensor<4x9x16xi8>, %v: tensor<4x9x8xf32>,
                            %ks: tensor<9x4xf32>) -> tensor<4x8xf32> {
  // CHECK: attn.einsum "hmk, mh -> hmk"
  // CHECK-NOT: key_scale
  %kw = arith.sitofp %k : tensor<4x9x16xi8> to tensor<4x9x16xf32>
  %kf = attn.einsum "hmk, mh -> hmk"(%kw, %ks) : (tensor<4x9x16xf32>, tensor<9x4xf32>) -> tensor<4x9x16xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %kf) : (tensor<4x16xf32>, tensor<4x9x16xf32>) -> tensor<4x9xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x9xf32>
  %y = attn.einsum "hm, hmv -> hv"(%p, %v) : (tensor<4x9xf32>, tensor<4x9x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// A product that is stored in less than f32 is rounded by the graph.
// REMARK: [Missed] ScaledRows
// REMARK-SAME: scale and product must be f32: rounding them is part of the graph
// CHECK-LABEL: func.func @product_in_bf16
func.func @product_in_bf16(%q: tensor<4x16xf32>, %k: tensor<4x9x16xi8>, %v: tensor<4x9x8xf32>,
                           %ks: tensor<4x9xf32>) -> tensor<4x8xf32> {
  // CHECK: attn.einsum "hmk, hm -> hmk"
  // CHECK-NOT: key_scale
  %kw = arith.sitofp %k : tensor<4x9x16xi8> to tensor<4x9x16xf32>
  %kf = attn.einsum "hmk, hm -> hmk"(%kw, %ks) : (tensor<4x9x16xf32>, tensor<4x9xf32>) -> tensor<4x9x16xbf16>
  %s = attn.einsum "hk, hmk -> hm"(%q, %kf) : (tensor<4x16xf32>, tensor<4x9x16xbf16>) -> tensor<4x9xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x9xf32>
  %y = attn.einsum "hm, hmv -> hv"(%p, %v) : (tensor<4x9xf32>, tensor<4x9x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// Integers of another width are no such rows; nothing is said.
// REMARK-NOT: ScaledRows
// CHECK-LABEL: func.func @i16
func.func @i16(%q: tensor<4x16xf32>, %k: tensor<4x9x16xi16>, %v: tensor<4x9x8xf32>,
               %ks: tensor<4x9xf32>) -> tensor<4x8xf32> {
  // CHECK: attn.einsum "hmk, hm -> hmk"
  // CHECK-NOT: key_scale
  %kw = arith.sitofp %k : tensor<4x9x16xi16> to tensor<4x9x16xf32>
  %kf = attn.einsum "hmk, hm -> hmk"(%kw, %ks) : (tensor<4x9x16xf32>, tensor<4x9xf32>) -> tensor<4x9x16xf32>
  %s = attn.einsum "hk, hmk -> hm"(%q, %kf) : (tensor<4x16xf32>, tensor<4x9x16xf32>) -> tensor<4x9xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x9xf32>
  %y = attn.einsum "hm, hmv -> hv"(%p, %v) : (tensor<4x9xf32>, tensor<4x9x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
