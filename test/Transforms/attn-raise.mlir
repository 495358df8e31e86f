// RUN: einhead-opt %s --attn-raise --remarks-filter='attn.*' 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// Attention is recognised by its letters, however the chain is spelled.

// Grouped queries, a scale as a splat constant.
// REMARK: [Passed] Attention | Category:attn-raise
// REMARK-SAME: attention "bgrk, bgmk, bgmv -> bgrv": batch "bg", rows "r", key "m", depth "k", value "v"
// CHECK-LABEL: func.func @grouped
// CHECK-SAME: (%[[QUERY:.*]]: tensor<1x8x4x16xf32>, %[[KEY:.*]]: tensor<1x8x?x16xf32>, %[[VALUE:.*]]: tensor<1x8x?x16xf32>, %{{.*}}: index)
func.func @grouped(%q: tensor<1x8x4x16xf32>, %k: tensor<1x8x?x16xf32>,
                   %v: tensor<1x8x?x16xf32>, %keys: index) -> tensor<1x8x4x16xf32> {
  // CHECK: %[[INIT:.*]] = tensor.empty() : tensor<1x8x4x16xf32>
  // CHECK-NEXT: %[[OUT:.*]] = attn.attention "bgrk, bgmk, bgmv -> bgrv"
  // CHECK-SAME: query(%[[QUERY]] :
  // CHECK-SAME: key(%[[KEY]] :
  // CHECK-SAME: value(%[[VALUE]] :
  // CHECK-SAME: scale 2.500000e-01
  // CHECK-SAME: outs(%[[INIT]] :
  // CHECK-NEXT: return %[[OUT]]
  %s = attn.einsum "bgrk, bgmk -> bgrm"(%q, %k)
    : (tensor<1x8x4x16xf32>, tensor<1x8x?x16xf32>) -> tensor<1x8x4x?xf32>
  %quarter = arith.constant 0.25 : f32
  %scale = tensor.splat %quarter[%keys] : tensor<1x8x4x?xf32>
  %t = arith.mulf %s, %scale : tensor<1x8x4x?xf32>
  %p = attn.softmax "bgrm" over "m"(%t) : tensor<1x8x4x?xf32>
  %y = attn.einsum "bgrm, bgmv -> bgrv"(%p, %v)
    : (tensor<1x8x4x?xf32>, tensor<1x8x?x16xf32>) -> tensor<1x8x4x16xf32>
  return %y : tensor<1x8x4x16xf32>
}

// Operands in the other order, every einsum with letters of its own, a division
// as the scale, the bias on the left.
// CHECK-LABEL: func.func @spelled_otherwise
// CHECK-SAME: (%[[QUERY:.*]]: tensor<2x5x7xf32>, %[[KEY:.*]]: tensor<2x9x7xf32>, %[[VALUE:.*]]: tensor<2x9x3xf32>, %[[BIAS:.*]]: tensor<2x5x9xf32>)
func.func @spelled_otherwise(%q: tensor<2x5x7xf32>, %k: tensor<2x9x7xf32>,
                             %v: tensor<2x9x3xf32>, %bias: tensor<2x5x9xf32>)
    -> tensor<5x2x3xf32> {
  // CHECK: attn.attention "ytd, yjd, yja -> tya"
  // CHECK-SAME: query(%[[QUERY]] :
  // CHECK-SAME: key(%[[KEY]] :
  // CHECK-SAME: value(%[[VALUE]] :
  // CHECK-SAME: scale 5.000000e-01
  // CHECK-SAME: bias "ytj"(%[[BIAS]] :
  %s = attn.einsum "yjd, ytd -> ytj"(%k, %q)
    : (tensor<2x9x7xf32>, tensor<2x5x7xf32>) -> tensor<2x5x9xf32>
  %two = arith.constant dense<2.0> : tensor<2x5x9xf32>
  %t = arith.divf %s, %two : tensor<2x5x9xf32>
  %u = arith.addf %bias, %t : tensor<2x5x9xf32>
  %p = attn.softmax "abc" over "c"(%u) : tensor<2x5x9xf32>
  // 'd' is the depth above, so the value letter needs another name.
  %y = attn.einsum "ijd, ikj -> kid"(%v, %p)
    : (tensor<2x9x3xf32>, tensor<2x5x9xf32>) -> tensor<5x2x3xf32>
  return %y : tensor<5x2x3xf32>
}

// Lengths and a mask go with it, in its letters.
// CHECK-LABEL: func.func @valid_and_mask
// CHECK-SAME: %[[LENGTH:[a-z0-9]+]]: tensor<2xi64>, %[[POSITION:[a-z0-9]+]]: index)
func.func @valid_and_mask(%q: tensor<2x5x4xf32>, %k: tensor<2x9x4xf32>,
                          %length: tensor<2xi64>, %position: index)
    -> tensor<2x5x4xf32> {
  // CHECK: attn.attention "bnk, bmk, bma -> bna"
  // CHECK-SAME: scale 1.000000e+00
  // CHECK-SAME: valid(%[[LENGTH]] : tensor<2xi64>)
  // CHECK-SAME: mask <"nm", "(d0, d1)[s0] : (d0 + s0 - d1 >= 0)">(%[[POSITION]])
  %s = attn.einsum "bnk, bmk -> bnm"(%q, %k)
    : (tensor<2x5x4xf32>, tensor<2x9x4xf32>) -> tensor<2x5x9xf32>
  %p = attn.softmax "xyz" over "z"(%s) valid(%length : tensor<2xi64>)
    mask <"yz", affine_set<(y, z)[p] : (p + y - z >= 0)>>(%position)
    : tensor<2x5x9xf32>
  %y = attn.einsum "bnm, bmk -> bnk"(%p, %k)
    : (tensor<2x5x9xf32>, tensor<2x9x4xf32>) -> tensor<2x5x4xf32>
  return %y : tensor<2x5x4xf32>
}

// The operands may say more of the extents than the result's type: it keeps its
// type.
// CHECK-LABEL: func.func @known
func.func @known(%q: tensor<?x5x4xf32>, %k: tensor<2x9x4xf32>) -> tensor<?x5x?xf32> {
  // CHECK: %[[Y:.*]] = attn.attention {{.*}} -> tensor<?x5x4xf32>
  // CHECK: %[[CAST:.*]] = tensor.cast %[[Y]] : tensor<?x5x4xf32> to tensor<?x5x?xf32>
  // CHECK: return %[[CAST]]
  %s = attn.einsum "bnk, bmk -> bnm"(%q, %k) : (tensor<?x5x4xf32>, tensor<2x9x4xf32>) -> tensor<?x5x9xf32>
  %p = attn.softmax "bnm" over "m"(%s) : tensor<?x5x9xf32>
  %y = attn.einsum "bnm, bmv -> bnv"(%p, %k) : (tensor<?x5x9xf32>, tensor<2x9x4xf32>) -> tensor<?x5x?xf32>
  return %y : tensor<?x5x?xf32>
}
