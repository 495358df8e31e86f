// RUN: einhead-opt %s | einhead-opt -o /dev/null

// One decoding step of grouped-query attention, as a graph: two groups of four
// heads share a cache of keys and one of values.
func.func @step(%q: tensor<?x2x4x64xf32> {attn.name = "q", attn.shape = "b, 2, 4, 64"},
                %k: tensor<?x2x64xf32> {attn.name = "k", attn.shape = "b, 2, 64"},
                %v: tensor<?x2x64xf32> {attn.name = "v", attn.shape = "b, 2, 64"},
                %n: index {attn.length, attn.name = "n"},
                %key_cache: tensor<?x2x?x64xf32> {attn.cache, attn.name = "k0", attn.shape = "b, 2, m, 64"},
                %value_cache: tensor<?x2x?x64xf32> {attn.cache, attn.name = "v0", attn.shape = "b, 2, m, 64"})
    -> (tensor<?x2x4x64xf32> {attn.name = "y", attn.shape = "b, 2, 4, 64"},
        tensor<?x2x?x64xf32> {attn.cache = "k0"}, tensor<?x2x?x64xf32> {attn.cache = "v0"}) {
  %one = arith.constant 1 : index
  %keys = attn.append "bgk -> bgmk"(%k into %key_cache at %n : index)
    : tensor<?x2x64xf32> into tensor<?x2x?x64xf32>
  %values = attn.append "bgv -> bgmv"(%v into %value_cache at %n : index)
    : tensor<?x2x64xf32> into tensor<?x2x?x64xf32>
  %valid = arith.addi %n, %one : index
  %scores = attn.einsum "bgrk, bgmk -> bgrm"(%q, %keys)
    : (tensor<?x2x4x64xf32>, tensor<?x2x?x64xf32>) -> tensor<?x2x4x?xf32>
  %weights = attn.softmax "bgrm" over "m"(%scores) valid(%valid : index) : tensor<?x2x4x?xf32>
  %y = attn.einsum "bgrm, bgmv -> bgrv"(%weights, %values)
    : (tensor<?x2x4x?xf32>, tensor<?x2x?x64xf32>) -> tensor<?x2x4x64xf32>
  return %y, %keys, %values : tensor<?x2x4x64xf32>, tensor<?x2x?x64xf32>, tensor<?x2x?x64xf32>
}
