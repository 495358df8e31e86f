// RUN: einhead-opt %s | einhead-opt -o /dev/null

// Causal attention of the rows of a prefix, and a residual that is added to it.
#rows = affine_map<(b, n, h, v) -> (b, n, h, v)>
func.func @prefix(%x: tensor<?x48x4x32xf32> {attn.name = "x", attn.shape = "b, 48, 4, 32"},
                  %k: tensor<?x48x32xf32> {attn.name = "k", attn.shape = "b, 48, 32"},
                  %v: tensor<?x48x32xf32> {attn.name = "v", attn.shape = "b, 48, 32"})
    -> (tensor<?x48x4x32xf32> {attn.name = "y", attn.shape = "b, 48, 4, 32"}) {
  %zero = arith.constant 0 : index
  %scores = attn.einsum "bnhk, bmk -> bnhm"(%x, %k)
    : (tensor<?x48x4x32xf32>, tensor<?x48x32xf32>) -> tensor<?x48x4x48xf32>
  %weights = attn.softmax "bnhm" over "m"(%scores) mask <"nm", causal>(%zero) : tensor<?x48x4x48xf32>
  %o = attn.einsum "bnhm, bmv -> bnhv"(%weights, %v)
    : (tensor<?x48x4x48xf32>, tensor<?x48x32xf32>) -> tensor<?x48x4x32xf32>
  %b = tensor.dim %x, %zero : tensor<?x48x4x32xf32>
  %empty = tensor.empty(%b) : tensor<?x48x4x32xf32>
  %y = linalg.generic {indexing_maps = [#rows, #rows, #rows],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%o, %x : tensor<?x48x4x32xf32>, tensor<?x48x4x32xf32>) outs(%empty : tensor<?x48x4x32xf32>) {
    ^bb0(%attended: f32, %residual: f32, %unused: f32):
      %sum = arith.addf %attended, %residual : f32
      linalg.yield %sum : f32
  } -> tensor<?x48x4x32xf32>
  return %y : tensor<?x48x4x32xf32>
}
