// Four heads whose key weights are a constant in the text, and whose value
// weights are a resource.
func.func @constants(
    %q: tensor<4x2xf32> {attn.name = "q", attn.shape = "4, 2"},
    %x: tensor<5x3xf32> {attn.name = "x", attn.shape = "5, 3"})
    -> (tensor<4x2xf32> {attn.name = "y", attn.shape = "4, 2"}) {
  %wk = arith.constant dense<[[0.0, 0.1, 0.2], [0.3, 0.4, 0.5], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9],
                              [-1.0, 0.0, 0.0], [0.0, 0.0, 0.5], [-2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]> : tensor<8x3xf16>
  %wv = arith.constant dense_resource<wv> : tensor<4x2x3xf32>
  %flat = attn.einsum "ed, md -> me"(%wk, %x) : (tensor<8x3xf16>, tensor<5x3xf32>) -> tensor<5x8xf32>
  %k = tensor.expand_shape %flat [[0], [1, 2]] output_shape [5, 4, 2] : tensor<5x8xf32> into tensor<5x4x2xf32>
  %v = attn.einsum "md, hvd -> mhv"(%x, %wv) : (tensor<5x3xf32>, tensor<4x2x3xf32>) -> tensor<5x4x2xf32>
  %s = attn.einsum "hk, mhk -> hm"(%q, %k) : (tensor<4x2xf32>, tensor<5x4x2xf32>) -> tensor<4x5xf32>
  %p = attn.softmax "hm" over "m"(%s) : tensor<4x5xf32>
  %y = attn.einsum "hm, mhv -> hv"(%p, %v) : (tensor<4x5xf32>, tensor<5x4x2xf32>) -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

{-# dialect_resources: { builtin: {
  wv: "0x040000000000000000000000000000000000000000000000000000000000004000000040000000400000004000000040000000400000804000008040000080400000804000008040000080400000C0400000C0400000C0400000C0400000C0400000C040"
} } #-}
