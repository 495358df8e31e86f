// One decode step over a cache that is kept unscaled: factors for each channel
// are multiplied in at each step.  docs/Tutorial.md moves them off the cache.
//
// RUN: einhead run %s --function=step --size=b=2,m=300
//
// What the pass makes of it (checked where the example is built):
// MOVED-LABEL: func.func @step
// MOVED-SAME: (%[[QUERY:[a-z0-9]+]]: tensor<?x4x64xf32>
// MOVED-SAME: %[[KEY:[a-z0-9]+]]: tensor<?x?x64xf32>
// MOVED-SAME: %[[VALUE:[a-z0-9]+]]: tensor<?x?x32xf32>
// MOVED-SAME: %[[WK:[a-z0-9]+]]: tensor<64xf32>
// MOVED-SAME: %[[WV:[a-z0-9]+]]: tensor<32xf32>
// MOVED: %[[SCALED:.*]] = attn.einsum "bhk, k -> bhk"(%[[QUERY]], %[[WK]])
// MOVED: %[[OUT:.*]] = attn.attention "bhk, bmk, bmv -> bhv" query(%[[SCALED]] :
// MOVED-SAME: key(%[[KEY]] :
// MOVED-SAME: value(%[[VALUE]] :
// MOVED: %[[RESULT:.*]] = attn.einsum "bhv, v -> bhv"(%[[OUT]], %[[WV]])
// MOVED: return %[[RESULT]]
//
// A factor for each key stays where it is.
// MOVED-LABEL: func.func @factor_for_each_key
// MOVED: attn.einsum "bmk, m -> bmk"
// MOVED: attn.attention

func.func @step(
    %q: tensor<?x4x64xf32> {attn.name = "q", attn.shape = "b, 4, 64"},
    %k: tensor<?x?x64xf32> {attn.name = "k", attn.shape = "b, m, 64"},
    %v: tensor<?x?x32xf32> {attn.name = "v", attn.shape = "b, m, 32"},
    %wk: tensor<64xf32> {attn.name = "wk"}, %wv: tensor<32xf32> {attn.name = "wv"})
    -> (tensor<?x4x32xf32> {attn.name = "y", attn.shape = "b, 4, 32"}) {
  %keys = attn.einsum "bmk, k -> bmk"(%k, %wk)
    : (tensor<?x?x64xf32>, tensor<64xf32>) -> tensor<?x?x64xf32>
  %values = attn.einsum "bmv, v -> bmv"(%v, %wv)
    : (tensor<?x?x32xf32>, tensor<32xf32>) -> tensor<?x?x32xf32>
  %s = attn.einsum "bhk, bmk -> bhm"(%q, %keys)
    : (tensor<?x4x64xf32>, tensor<?x?x64xf32>) -> tensor<?x4x?xf32>
  %p = attn.softmax "bhm" over "m"(%s) : tensor<?x4x?xf32>
  %y = attn.einsum "bhm, bmv -> bhv"(%p, %values)
    : (tensor<?x4x?xf32>, tensor<?x?x32xf32>) -> tensor<?x4x32xf32>
  return %y : tensor<?x4x32xf32>
}

func.func @factor_for_each_key(%q: tensor<2x4x64xf32>, %k: tensor<2x16x64xf32>,
                               %v: tensor<2x16x32xf32>, %w: tensor<16xf32>)
    -> tensor<2x4x32xf32> {
  %keys = attn.einsum "bmk, m -> bmk"(%k, %w)
    : (tensor<2x16x64xf32>, tensor<16xf32>) -> tensor<2x16x64xf32>
  %s = attn.einsum "bhk, bmk -> bhm"(%q, %keys)
    : (tensor<2x4x64xf32>, tensor<2x16x64xf32>) -> tensor<2x4x16xf32>
  // REMARK: step.mlir:[[@LINE+2]]:8: remark: [Missed] Letter
  // REMARK-SAME: the scale of the key varies along 'm', which "bhk" lacks
  %p = attn.softmax "bhm" over "m"(%s) : tensor<2x4x16xf32>
  %y = attn.einsum "bhm, bmv -> bhv"(%p, %v)
    : (tensor<2x4x16xf32>, tensor<2x16x32xf32>) -> tensor<2x4x32xf32>
  return %y : tensor<2x4x32xf32>
}
