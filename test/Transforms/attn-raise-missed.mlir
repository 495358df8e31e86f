// RUN: einhead-opt %s --attn-raise --remarks-filter='attn.*' --split-input-file 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks
// RUN: not einhead-opt %s --attn-raise=require-fused --split-input-file -o /dev/null 2>&1 | FileCheck %s --check-prefix=ERROR

// What is not attention stays as it is, and a located remark says why.
// CHECK-NOT: attn.attention

// REMARK: attn-raise-missed.mlir:[[#@LINE+7]]:8: remark: [Missed] NotAttention
// REMARK-SAME: the softmax is over 'n', but the values einsum sums the weights over "m"
// ERROR: attn-raise-missed.mlir:[[#@LINE+5]]:8: error: softmax is not fused: the softmax is over 'n', but the values einsum sums the weights over "m"
// CHECK-LABEL: func.func @wrong_letter
func.func @wrong_letter(%q: tensor<2x5x4xf32>, %k: tensor<2x5x4xf32>) -> tensor<2x5x4xf32> {
  %s = attn.einsum "bnk, bmk -> bnm"(%q, %k)
    : (tensor<2x5x4xf32>, tensor<2x5x4xf32>) -> tensor<2x5x5xf32>
  %p = attn.softmax "bnm" over "n"(%s) : tensor<2x5x5xf32>
  // CHECK: attn.softmax "bnm" over "n"
  %y = attn.einsum "bnm, bmk -> bnk"(%p, %k)
    : (tensor<2x5x5xf32>, tensor<2x5x4xf32>) -> tensor<2x5x4xf32>
  return %y : tensor<2x5x4xf32>
}

// -----

// REMARK: [Missed] NotAttention
// REMARK-SAME: the values einsum keeps the softmaxed letter 'm'
// CHECK-LABEL: func.func @keeps_key
func.func @keeps_key(%q: tensor<2x5x4xf32>, %k: tensor<2x9x4xf32>) -> tensor<2x5x9x4xf32> {
  %s = attn.einsum "bnk, bmk -> bnm"(%q, %k)
    : (tensor<2x5x4xf32>, tensor<2x9x4xf32>) -> tensor<2x5x9xf32>
  %p = attn.softmax "bnm" over "m"(%s) : tensor<2x5x9xf32>
  %y = attn.einsum "bnm, bmk -> bnmk"(%p, %k)
    : (tensor<2x5x9xf32>, tensor<2x9x4xf32>) -> tensor<2x5x9x4xf32>
  return %y : tensor<2x5x9x4xf32>
}

// -----

// REMARK: [Missed] NotAttention
// REMARK-SAME: the weights are used elsewhere, so they must be stored
// CHECK-LABEL: func.func @weights_returned
func.func @weights_returned(%q: tensor<2x5x4xf32>, %k: tensor<2x9x4xf32>)
    -> (tensor<2x5x4xf32>, tensor<2x5x9xf32>) {
  %s = attn.einsum "bnk, bmk -> bnm"(%q, %k)
    : (tensor<2x5x4xf32>, tensor<2x9x4xf32>) -> tensor<2x5x9xf32>
  %p = attn.softmax "bnm" over "m"(%s) : tensor<2x5x9xf32>
  %y = attn.einsum "bnm, bmk -> bnk"(%p, %k)
    : (tensor<2x5x9xf32>, tensor<2x9x4xf32>) -> tensor<2x5x4xf32>
  return %y, %p : tensor<2x5x4xf32>, tensor<2x5x9xf32>
}

// -----

// REMARK: [Missed] NotAttention
// REMARK-SAME: its input is no (scaled, biased) einsum of query and key
// CHECK-LABEL: func.func @given_scores
func.func @given_scores(%s: tensor<2x5x9xf32>, %v: tensor<2x9x4xf32>) -> tensor<2x5x4xf32> {
  %p = attn.softmax "bnm" over "m"(%s) : tensor<2x5x9xf32>
  %y = attn.einsum "bnm, bmk -> bnk"(%p, %v)
    : (tensor<2x5x9xf32>, tensor<2x9x4xf32>) -> tensor<2x5x4xf32>
  return %y : tensor<2x5x4xf32>
}

// -----

// REMARK: [Missed] NotAttention
// REMARK-SAME: the softmaxed letter 'm' stands in both operands of the scores einsum
// CHECK-LABEL: func.func @key_letter_in_query
func.func @key_letter_in_query(%q: tensor<9x4xf32>, %k: tensor<9x4xf32>, %v: tensor<9x3xf32>) -> tensor<3xf32> {
  %s = attn.einsum "mk, mk -> m"(%q, %k) : (tensor<9x4xf32>, tensor<9x4xf32>) -> tensor<9xf32>
  %p = attn.softmax "m" over "m"(%s) : tensor<9xf32>
  %y = attn.einsum "m, mv -> v"(%p, %v) : (tensor<9xf32>, tensor<9x3xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}
