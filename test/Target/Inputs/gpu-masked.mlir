// Two groups of four heads, five new tokens; each head attends its own columns of earlier blocks.
func.func @step(%q: tensor<2x4x5x40xf32>, %k: tensor<2x700x40xbf16>, %v: tensor<2x700x33xbf16>,
                %bias: tensor<4x700xf32>, %valid: index, %p: index)
    -> (tensor<2x4x5x33xbf16>, tensor<2x4x5xf32>) {
  %init = tensor.empty() : tensor<2x4x5x33xbf16>
  %none = tensor.empty() : tensor<2x4x5xf32>
  %y, %lse = attn.attention "grnk, gmk, gmv -> grnv"
    query(%q : tensor<2x4x5x40xf32>) key(%k : tensor<2x700x40xbf16>) value(%v : tensor<2x700x33xbf16>)
    scale 0.25 bias "rm"(%bias : tensor<4x700xf32>) valid(%valid : index)
    mask #attn.mask<"rnm", fixed(64, 8, "r")>(%p)
    outs(%init : tensor<2x4x5x33xbf16>) lse(%none : tensor<2x4x5xf32>)
    -> tensor<2x4x5x33xbf16>, tensor<2x4x5xf32>
  return %y, %lse : tensor<2x4x5x33xbf16>, tensor<2x4x5xf32>
}
