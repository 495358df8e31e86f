// RUN: einhead-opt %s --attn-raise --remarks-filter='attn.*' --split-input-file 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// What does not map each score by itself has no score region, and is said.
// CHECK-NOT: attn.attention

// REMARK: [Missed] NotAttention
// REMARK-SAME: the scores are used elsewhere, so they must be stored
func.func @capped_returned(%q: tensor<2x5x4xf32>, %k: tensor<2x9x4xf32>)
    -> (tensor<2x5x4xf32>, tensor<2x5x9xf32>) {
  %s = attn.einsum "bnk, bmk -> bnm"(%q, %k)
    : (tensor<2x5x4xf32>, tensor<2x9x4xf32>) -> tensor<2x5x9xf32>
  %t = math.tanh %s : tensor<2x5x9xf32>
  %p = attn.softmax "bnm" over "m"(%t) : tensor<2x5x9xf32>
  %y = attn.einsum "bnm, bmk -> bnk"(%p, %k)
    : (tensor<2x5x9xf32>, tensor<2x9x4xf32>) -> tensor<2x5x4xf32>
  return %y, %t : tensor<2x5x4xf32>, tensor<2x5x9xf32>
}

// -----

// REMARK: [Missed] NotAttention
// REMARK-SAME: a score depends on another one
func.func @symmetric(%q: tensor<2x9x4xf32>, %k: tensor<2x9x4xf32>) -> tensor<2x9x4xf32> {
  %s = attn.einsum "bnk, bmk -> bnm"(%q, %k)
    : (tensor<2x9x4xf32>, tensor<2x9x4xf32>) -> tensor<2x9x9xf32>
  %e = tensor.empty() : tensor<2x9x9xf32>
  %t = linalg.transpose ins(%s : tensor<2x9x9xf32>) outs(%e : tensor<2x9x9xf32>) permutation = [0, 2, 1]
  %u = arith.addf %s, %t : tensor<2x9x9xf32>
  %p = attn.softmax "bnm" over "m"(%u) : tensor<2x9x9xf32>
  %y = attn.einsum "bnm, bmk -> bnk"(%p, %k)
    : (tensor<2x9x9xf32>, tensor<2x9x4xf32>) -> tensor<2x9x4xf32>
  return %y : tensor<2x9x4xf32>
}

// -----

// REMARK: [Missed] NotAttention
// REMARK-SAME: between the scores and the softmax stands 'attn.einsum', which does not map each score by itself
func.func @centred(%q: tensor<2x5x4xf32>, %k: tensor<2x9x4xf32>) -> tensor<2x5x4xf32> {
  %s = attn.einsum "bnk, bmk -> bnm"(%q, %k)
    : (tensor<2x5x4xf32>, tensor<2x9x4xf32>) -> tensor<2x5x9xf32>
  %sum = attn.einsum "bnm -> bn"(%s) : (tensor<2x5x9xf32>) -> tensor<2x5xf32>
  %e = tensor.empty() : tensor<2x5x9xf32>
  %repeated = linalg.broadcast ins(%sum : tensor<2x5xf32>) outs(%e : tensor<2x5x9xf32>) dimensions = [2]
  %t = arith.subf %s, %repeated : tensor<2x5x9xf32>
  %p = attn.softmax "bnm" over "m"(%t) : tensor<2x5x9xf32>
  %y = attn.einsum "bnm, bmk -> bnk"(%p, %k)
    : (tensor<2x5x9xf32>, tensor<2x9x4xf32>) -> tensor<2x5x4xf32>
  return %y : tensor<2x5x4xf32>
}

// -----

// REMARK: [Missed] NotAttention
// REMARK-SAME: 'linalg.generic' reads a tensor at computed indices
#id = affine_map<(b, n, m) -> (b, n, m)>
#far = affine_map<(b, n, m) -> (n + m)>
func.func @relative(%q: tensor<2x5x4xf32>, %k: tensor<2x9x4xf32>, %r: tensor<13xf32>) -> tensor<2x5x4xf32> {
  %s = attn.einsum "bnk, bmk -> bnm"(%q, %k)
    : (tensor<2x5x4xf32>, tensor<2x9x4xf32>) -> tensor<2x5x9xf32>
  %e = tensor.empty() : tensor<2x5x9xf32>
  %t = linalg.generic {indexing_maps = [#id, #far, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %r : tensor<2x5x9xf32>, tensor<13xf32>) outs(%e : tensor<2x5x9xf32>) {
    ^bb0(%score: f32, %x: f32, %out: f32):
      %z = arith.mulf %score, %x : f32
      linalg.yield %z : f32
  } -> tensor<2x5x9xf32>
  %p = attn.softmax "bnm" over "m"(%t) : tensor<2x5x9xf32>
  %y = attn.einsum "bnm, bmk -> bnk"(%p, %k)
    : (tensor<2x5x9xf32>, tensor<2x9x4xf32>) -> tensor<2x5x4xf32>
  return %y : tensor<2x5x4xf32>
}
