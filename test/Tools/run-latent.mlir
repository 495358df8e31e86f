// Latent attention is run absorbed and compared with the oracle, which projects
// the keys; an error in one element is seen.

// RUN: %einhead explain %s --size=b=2,m=37 2>&1 | FileCheck %s --check-prefix=EXPLAIN
// EXPLAIN: the weights of keys and values are absorbed
// EXPLAIN: the value is columns 0 to 10 of the key's 14: K alone is read

// RUN: %einhead run %s --function=one_cache --require-fused --repeat=1 --size=b=2,m=37 | FileCheck %s
// RUN: %einhead run %s --function=one_cache --require-fused --repeat=1 --size=b=1,m=1 | FileCheck %s
// RUN: %einhead run %s --function=one_cache --require-fused --repeat=1 --size=b=3,m=517 --threads=2 | FileCheck %s
// RUN: %einhead run %s --function=one_cache --no-fuse --repeat=1 --size=b=2,m=37 | FileCheck %s
// RUN: not %einhead run %s --function=one_cache --repeat=1 --size=b=2,m=37 --perturb=1e-2 2>&1 | FileCheck %s --check-prefix=WRONG
// RUN: %einhead run %s --function=two_caches --require-fused --repeat=1 --size=b=2,m=37 | FileCheck %s
// RUN: %einhead run %s --function=two_caches --require-fused --repeat=1 --size=b=1,m=1 | FileCheck %s
// RUN: %einhead run %s --function=two_caches --require-fused --repeat=1 --size=b=3,m=517 --threads=2 | FileCheck %s
// RUN: %einhead run %s --function=two_caches --no-fuse --repeat=1 --size=b=2,m=37 | FileCheck %s
// CHECK: output f32[{{.*}}] pass
// WRONG: error: wrong result

func.func @one_cache(
    %q: tensor<?x3x7xf32> {attn.name = "query", attn.shape = "b, 3, 7"},
    %qr: tensor<?x3x3xf32> {attn.name = "rotary", attn.shape = "b, 3, 3"},
    %cache: tensor<?x?x14xf32> {attn.name = "cache", attn.shape = "b, m, 14"},
    %uk: tensor<3x11x7xf32> {attn.name = "up_k", attn.shape = "3, 11, 7"},
    %uv: tensor<3x11x5xf32> {attn.name = "up_v", attn.shape = "3, 11, 5"})
    -> (tensor<?x3x5xf32> {attn.name = "output", attn.shape = "b, 3, 5"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %cache, %c0 : tensor<?x?x14xf32>
  %m = tensor.dim %cache, %c1 : tensor<?x?x14xf32>
  %c = tensor.extract_slice %cache[0, 0, 0] [%b, %m, 11] [1, 1, 1]
    : tensor<?x?x14xf32> to tensor<?x?x11xf32>
  %kr = tensor.extract_slice %cache[0, 0, 11] [%b, %m, 3] [1, 1, 1]
    : tensor<?x?x14xf32> to tensor<?x?x3xf32>
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<?x?x11xf32>, tensor<3x11x7xf32>) -> tensor<?x3x?x7xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<?x?x11xf32>, tensor<3x11x5xf32>) -> tensor<?x3x?x5xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<?x3x7xf32>, tensor<?x3x?x7xf32>) -> tensor<?x3x?xf32>
  %r = attn.einsum "bhr, bmr -> bhm"(%qr, %kr)
    : (tensor<?x3x3xf32>, tensor<?x?x3xf32>) -> tensor<?x3x?xf32>
  %t = arith.addf %s, %r : tensor<?x3x?xf32>
  %p = attn.softmax "bhm" over "m"(%t) : tensor<?x3x?xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<?x3x?xf32>, tensor<?x3x?x5xf32>) -> tensor<?x3x5xf32>
  return %y : tensor<?x3x5xf32>
}

func.func @two_caches(
    %q: tensor<?x3x7xf32> {attn.name = "query", attn.shape = "b, 3, 7"},
    %qr: tensor<?x3x3xf32> {attn.name = "rotary", attn.shape = "b, 3, 3"},
    %c: tensor<?x?x11xf32> {attn.name = "latent", attn.shape = "b, m, 11"},
    %kr: tensor<?x?x3xf32> {attn.name = "rotary_key", attn.shape = "b, m, 3"},
    %uk: tensor<3x11x7xf32> {attn.name = "up_k", attn.shape = "3, 11, 7"},
    %uv: tensor<3x11x5xf32> {attn.name = "up_v", attn.shape = "3, 11, 5"})
    -> (tensor<?x3x5xf32> {attn.name = "output", attn.shape = "b, 3, 5"}) {
  %k = attn.einsum "bmc, hck -> bhmk"(%c, %uk)
    : (tensor<?x?x11xf32>, tensor<3x11x7xf32>) -> tensor<?x3x?x7xf32>
  %v = attn.einsum "bmc, hcv -> bhmv"(%c, %uv)
    : (tensor<?x?x11xf32>, tensor<3x11x5xf32>) -> tensor<?x3x?x5xf32>
  %s = attn.einsum "bhk, bhmk -> bhm"(%q, %k)
    : (tensor<?x3x7xf32>, tensor<?x3x?x7xf32>) -> tensor<?x3x?xf32>
  %r = attn.einsum "bhr, bmr -> bhm"(%qr, %kr)
    : (tensor<?x3x3xf32>, tensor<?x?x3xf32>) -> tensor<?x3x?xf32>
  %t = arith.addf %s, %r : tensor<?x3x?xf32>
  %p = attn.softmax "bhm" over "m"(%t) : tensor<?x3x?xf32>
  %y = attn.einsum "bhm, bhmv -> bhv"(%p, %v)
    : (tensor<?x3x?xf32>, tensor<?x3x?x5xf32>) -> tensor<?x3x5xf32>
  return %y : tensor<?x3x5xf32>
}
